"""The conflict inbox as a browser without JavaScript meets it."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any
from unittest import mock
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Member
from customers import conflict_views, queries
from customers.tests.apart import (
    closed_beside_edits,
    disputed,
    head_of,
    id_of,
    item_of,
    write_elsewhere,
)
from customers.tests.browsing import address, change, enter, page_text, sign_in
from events import sql
from events.models import Event

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer

pytestmark = [pytest.mark.django_db, pytest.mark.feature("S05", "W09")]

INBOX, RESOLVE = "/conflicts/", "/conflicts/resolve"


def cards(response: Answer) -> list[str]:
    """Return the parts of the page that show an item each."""
    return page_text(response).partition("</section>")[0].split('<li class="conflict"')[1:]


def tokens(client: Client, path: str = INBOX) -> list[str]:
    """Return what stands for each item in its form, as the page is now."""
    text = page_text(client.get(path))
    found = re.findall(r'type="hidden" name="item" value="([^"]+)"', text)
    return list(dict.fromkeys(html.unescape(token) for token in found))


def decide(client: Client, choice: str, items: list[str], **given: Any) -> Answer:
    path = given.pop("path", RESOLVE)
    return client.post(path, {"item": items, "choice": choice, **given})


def phone(uid: UUID) -> Any:
    return queries.get(uid).values.get("phone")


def side(text: str, value: str) -> str:
    """Return the side of a card that shows a value."""
    sides = text.split('class="versus-side')[1:]
    return next(each for each in sides if f"<strong>{value}</strong>" in each)


class TestSeen:
    def test_both_values_side_by_side_with_who_where_and_when(
        self, client: Client, provider: Member
    ) -> None:
        disputed()
        response = client.get(INBOX)
        (card,) = cards(response)
        assert response.status_code == 200
        assert "Rayleigh" in card
        assert "Phone" in card
        assert "loc1" in side(card, "11")
        assert "loc2" in side(card, "22")
        assert "<time" in side(card, "11")
        assert "stands now" in side(card, "22")
        assert "stands now" not in side(card, "11")

    def test_what_closed_a_record_and_all_it_overlooked_are_one(
        self, client: Client, provider: Member
    ) -> None:
        closed_beside_edits("phone", "email")
        (card,) = cards(client.get(INBOX))
        assert "stands now" in side(card, "closed")
        assert "new phone" in side(card, "new phone")
        assert "E-mail" in side(card, "new email")
        assert ">Keep closed</button>" in card
        assert ">Bring back</button>" in card
        assert "Enter another" not in card

    def test_an_agent_reads_and_is_offered_nothing_to_press(
        self, client: Client, agent: Member
    ) -> None:
        uid = disputed()
        text = page_text(client.get(INBOX))
        assert "<strong>11</strong>" in text
        assert RESOLVE not in text
        assert 'name="item"' not in text
        assert decide(client, "keep", ["x"]).status_code == 403
        assert item_of(uid).outline.state == "open"

    def test_a_customer_and_a_stranger_see_nothing(self, client: Client) -> None:
        disputed()
        assert client.get(INBOX)["Location"].startswith("/accounts/login/")
        sign_in(client, "customer")
        response = client.get(INBOX)
        assert response.status_code == 403
        assert "Rayleigh" not in page_text(response)
        assert decide(client, "keep", ["x"]).status_code == 403

    def test_an_empty_inbox_says_what_would_be_there(
        self, client: Client, provider: Member
    ) -> None:
        assert "Nothing to decide" in page_text(client.get(INBOX))
        assert "Nothing has been settled yet" in page_text(client.get(f"{INBOX}?state=settled"))
        assert "nothing on this page" in page_text(client.get(f"{INBOX}?page=2"))

    @pytest.mark.parametrize("query", ["state=burnt", "entity=7", "page=0", "page=x"])
    def test_a_question_that_cannot_be_is_told_so(
        self, client: Client, provider: Member, query: str
    ) -> None:
        response = client.get(f"{INBOX}?{query}")
        assert response.status_code == 400
        assert 'role="alert"' in page_text(response)

    def test_a_record_that_never_was_has_no_inbox(self, client: Client, agent: Member) -> None:
        assert client.get(f"{INBOX}?entity={UUID(int=7)}").status_code == 404

    def test_pages_and_those_of_one_record(
        self, client: Client, provider: Member, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(conflict_views, "PAGE_SIZE", 2)
        uids = [disputed(notes=f"Number {n}") for n in range(3)]
        first = client.get(INBOX)
        assert (len(cards(first)), "<strong>3</strong> open" in page_text(first)) == (2, True)
        assert f'href="{INBOX}?page=2"' in page_text(first)
        second = client.get(f"{INBOX}?page=2")
        assert len(cards(second)) == 1
        assert f'rel="prev" href="{INBOX}"' in page_text(second)
        only = client.get(f"{INBOX}?entity={uids[0]}")
        assert address("record", uids[0]) in cards(only)[0]
        assert "Conflicts of Rayleigh" in page_text(only)
        assert f'href="{INBOX}?state=settled&amp;entity={uids[0]}"' in page_text(only)

    def test_it_asks_no_more_for_more_conflicts(self, client: Client, provider: Member) -> None:
        def asked() -> int:
            with (
                CaptureQueriesContext(connection) as captured,
                mock.patch("events.sql.execute", wraps=sql.execute) as prepared,
            ):
                assert client.get(INBOX).status_code == 200
            return len([q for q in captured if "SAVEPOINT" not in q["sql"]]) + prepared.call_count

        disputed("owner", str(UUID(int=1)), str(UUID(int=2)))
        closed_beside_edits()
        few = asked()
        for _ in range(4):
            disputed("owner", str(UUID(int=1)), str(UUID(int=2)))
            closed_beside_edits("phone", "email")
        assert asked() == few

    def test_what_people_typed_is_never_markup(self, client: Client, provider: Member) -> None:
        disputed("notes", "<script>alert(1)</script>", "<img src=x onerror=y>")
        text = page_text(client.get(INBOX))
        assert "<script>alert" not in text
        assert "<img src=x" not in text

    def test_a_parked_record_waits_and_what_cannot_be_read_is_said_so(
        self, client: Client, provider: Member
    ) -> None:
        uid = disputed()
        write_elsewhere(head_of(uid), {"email": "a@b.c"}, "loc3", is_key_here=False)
        sql.execute("DELETE FROM events_subjectkey WHERE subject_uid = %s", [uid])
        (card,) = cards(client.get(INBOX))
        assert card.count("cannot be read here") == 2
        assert "read-only" in card
        assert "<button" not in card

    def test_looking_records_nothing(self, client: Client, provider: Member) -> None:
        disputed()
        before = Event.objects.count()
        client.get(INBOX)
        assert client.get(RESOLVE).status_code == 405
        assert Event.objects.count() == before


class TestSettled:
    @pytest.mark.parametrize(("choice", "value", "stands"), [
        ("keep", "", "22"), ("swap", "", "11"), ("enter", " 33 ", "33"), ("enter", "", None),
    ])  # fmt: skip
    def test_one(
        self, client: Client, provider: Member, choice: str, value: str, stands: str | None
    ) -> None:
        uid = disputed()
        response = client.post(
            RESOLVE, {"item": tokens(client), "choice": choice, "value": value}, follow=True
        )
        assert response.redirect_chain == [(INBOX, 302)]
        assert "1 conflict is settled." in page_text(response)
        assert phone(uid) == stands
        settled = page_text(client.get(f"{INBOX}?state=settled"))
        words = {"keep": "kept", "swap": "swapped", "enter": "another value entered"}
        assert f'<strong class="chosen">{words[choice]}</strong> · Ann provider' in settled
        assert RESOLVE not in settled

    def test_many_at_once(self, client: Client, provider: Member) -> None:
        uids = [disputed(), disputed(), closed_beside_edits()]
        response = client.post(RESOLVE, {"item": tokens(client), "choice": "swap"}, follow=True)
        assert "3 conflicts are settled." in page_text(response)
        assert "Nothing to decide" in page_text(response)
        assert [phone(uid) for uid in uids] == ["11", "11", "new phone"]

    def test_it_leads_back_to_the_conflicts_of_the_record(
        self, client: Client, provider: Member
    ) -> None:
        uid = disputed()
        here = f"{INBOX}?entity={uid}"
        assert f'action="{RESOLVE}?entity={uid}"' in page_text(client.get(here))
        response = decide(client, "keep", tokens(client, here), path=f"{RESOLVE}?entity={uid}")
        assert response["Location"] == here

    def test_where_neither_value_stands_there_is_no_other_one(
        self, client: Client, provider: Member
    ) -> None:
        uid = disputed()
        change(uid, phone="33")
        (card,) = cards(client.get(INBOX))
        assert "The record shows neither" in card
        assert ">Swap</button>" not in card
        response = decide(client, "swap", tokens(client))
        assert response.status_code == 422
        assert "shows neither of the two values" in page_text(response)
        assert decide(client, "enter", tokens(client), value="11").status_code == 302
        assert phone(uid) == "11"

    @pytest.mark.parametrize(("group", "values", "field"), [
        ("owner", (str(UUID(int=1)), str(UUID(int=2))), "<select"),
        ("notes", ("a", "b"), "<textarea"), ("dob", ("1980-01-01", "1980-01-02"), 'type="date"'),
        ("display_name", ("Ray", "Lord"), 'type="text"'),
        ("type", ("INSTITUTION", None), "<select"),
    ])  # fmt: skip
    def test_another_value_is_entered_in_a_field_of_its_kind(
        self,
        client: Client,
        provider: Member,
        group: str,
        values: tuple[str, str],
        field: str,
    ) -> None:
        uid = enter(surname="Rayleigh")
        seen = head_of(uid)
        for origin, value in zip(("loc2", "loc3"), values, strict=True):
            write_elsewhere(seen, {group: value}, origin)
        (card,) = cards(client.get(INBOX))
        assert field in card.split('class="enter"')[1]


class TestRefused:
    def test_a_wrong_value_is_told_by_its_field_and_kept(
        self, client: Client, provider: Member
    ) -> None:
        uid = disputed("email", "a@b.c", "d@e.f")
        response = decide(client, "enter", tokens(client), value="nowhere")
        assert response.status_code == 422
        (card,) = cards(response)
        assert "Expected an e-mail address." in card
        assert 'value="nowhere"' in card
        assert 'aria-invalid="true"' in card
        described = re.search(r'aria-describedby="(wrong-[^"]+)"', card)
        assert described
        assert f'id="{described[1]}"' in card
        assert "<details" in card
        assert " open>" in card
        assert item_of(uid).outline.state == "open"

    def test_a_page_of_before_is_stale_and_shows_what_is_so_now(
        self, client: Client, provider: Member
    ) -> None:
        uid, other = disputed(), disputed()
        old = tokens(client)
        change(uid, phone="33")
        response = decide(client, "keep", old)
        assert response.status_code == 412
        (card,) = cards(response)
        assert "has changed since it was read" in card
        assert "33" in card
        assert "1 conflict is settled." in page_text(response)
        assert item_of(other).outline.state == "settled"
        (fresh,) = tokens(client)
        assert decide(client, "keep", [fresh]).status_code == 302
        assert phone(uid) == "33"

    def test_who_is_late_is_told(self, client: Client, provider: Member) -> None:
        disputed()
        old = tokens(client)
        decide(client, "swap", old)
        before = Event.objects.count()
        response = decide(client, "keep", old)
        assert response.status_code == 409
        assert "This conflict is settled already." in page_text(response)
        assert Event.objects.count() == before

    @pytest.mark.parametrize(("choice", "count", "said"), [
        ("keep", 0, "Nothing was selected"), ("", 1, "Keep, swap, or enter"),
        ("burn", 1, "Keep, swap, or enter"), ("enter", 2, "Keep, swap, or enter"),
    ])  # fmt: skip
    def test_a_form_that_says_nothing_is_told_so(
        self, client: Client, provider: Member, choice: str, count: int, said: str
    ) -> None:
        uids = [disputed(), disputed()]
        response = decide(client, choice, tokens(client)[:count])
        assert response.status_code == 422
        assert said in page_text(response)
        assert {item_of(uid).outline.state for uid in uids} == {"open"}

    def test_an_altered_form_settles_nothing(self, client: Client, provider: Member) -> None:
        uid = disputed()
        (token,) = tokens(client)
        for altered in (f"{token}x", token[1:], id_of(uid), "", "a:b:c"):
            response = decide(client, "keep", [altered])
            assert response.status_code == 422
            assert "cannot be read any more" in page_text(response)
        assert item_of(uid).outline.state == "open"


class TestElsewhere:
    @pytest.mark.parametrize("role", ["agent", "provider"])
    def test_the_navigation_counts_what_waits(self, client: Client, role: str) -> None:
        sign_in(client, role)
        assert f'<a href="{INBOX}">Conflicts</a>' in page_text(client.get("/customers/"))
        closed_beside_edits("phone", "email"), disputed()
        text = page_text(client.get("/customers/"))
        assert re.search(rf'<a href="{INBOX}">Conflicts <span class="count">2<', text)

    def test_the_navigation_asks_once_a_page(self, client: Client, agent: Member) -> None:
        with mock.patch("cockpit.templatetags.cockpit.open_count", return_value=7) as asked:
            text = page_text(client.get("/customers/"))
        assert text.count('<span class="count">7<') == 2  # wide, and in the menu
        assert asked.call_count == 1

    def test_a_record_leads_to_its_conflicts(self, client: Client, provider: Member) -> None:
        uid, other = disputed(), enter(surname="Other")
        link = f'href="{INBOX}?entity={uid}"'
        text = page_text(client.get(address("record", uid)))
        assert link in text
        assert "1 conflict of this record waits" in text
        assert "wait" not in page_text(client.get(address("record", other)))
        decide(client, "keep", tokens(client))
        assert link not in page_text(client.get(address("record", uid)))

    def test_the_history_marks_what_was_made_in_parallel(
        self, client: Client, agent: Member
    ) -> None:
        uid = enter(surname="Rayleigh", phone="0")
        seen = head_of(uid)
        change(uid, phone="11")
        write_elsewhere(seen, {"email": "a@b.c"})
        text = page_text(client.get(address("record", uid)))
        (mark,) = re.findall(r'<span class="act act-parallel" title="([^"]*)">parallel', text)
        assert "loc1" in mark
        newest = text.split('<li class="moment">')[1]
        assert "act-parallel" in newest
        change(uid, notes="x")
        assert page_text(client.get(address("record", uid))).count("act-parallel") == 1
