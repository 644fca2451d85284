"""Entering, changing, closing and opening a customer on the pages."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.test import Client

from accounts.authors import now_us
from accounts.models import Member
from customers import commands, queries
from customers.commands import When
from customers.tests.browsing import HTMX, address, change, close, enter, hidden, page_text
from events.drafting import Author
from events.models import Event
from events.stamp import to_micros

pytestmark = pytest.mark.django_db


# ---- entering ----


@pytest.mark.feature("C01", "C02")
def test_a_customer_is_entered_and_shown_with_its_source(client: Client, agent: Member) -> None:
    form = client.get("/customers/new")
    uid = UUID(hidden(form, "uid"))
    data = {"uid": uid, "entity_type": "PERSON", "surname": " Rayleigh ", "dob": "1980-01-31"}
    response = client.post("/customers/new", data, follow=True)
    assert response.redirect_chain == [(address("record", uid), 302)]
    text = page_text(response)
    assert "Rayleigh" in text
    assert "1980-01-31" in text
    assert "Ann agent" in text
    assert queries.get(uid).values == {"surname": "Rayleigh", "dob": "1980-01-31"}


@pytest.mark.feature("C02")
def test_a_form_sent_twice_enters_one_customer(client: Client, agent: Member) -> None:
    data = {"uid": hidden(client.get("/customers/new"), "uid"), "surname": "Rayleigh"}
    first, second = client.post("/customers/new", data), client.post("/customers/new", data)
    assert first["Location"] == second["Location"]
    assert Event.objects.filter(type="customers.entity_created").count() == 1
    other = client.post("/customers/new", {**data, "surname": "May"})
    assert other.status_code == 422
    assert "saved before" in page_text(other)


@pytest.mark.feature("W03")
def test_searched_words_are_put_into_the_new_form(client: Client, agent: Member) -> None:
    text = page_text(client.get("/customers/new", {"q": "Maria Kowalska C01X00"}))
    for name, value in (("surname", "Kowalska"), ("name", "Maria"), ("document_number", "C01X00")):
        assert re.search(rf'name="{name}" value="{value}"', text)


@pytest.mark.feature("W03", "W10")
def test_entering_begins_with_the_first_key_and_a_wrong_form_with_what_is_wrong(
    client: Client, agent: Member
) -> None:
    fresh = page_text(client.get("/customers/new"))
    assert re.findall(r'name="(\w+)"[^>]* autofocus', fresh) == ["surname"]
    wrong = page_text(client.post("/customers/new", {"email": "nowhere"}, headers=HTMX))
    assert re.findall(r"<(\w+)[^>]* autofocus", wrong) == ["div"]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("email", "nowhere", "Expected an e-mail address."),
        ("dob", "1980-02-30", "Expected a date as YYYY-MM-DD."),
        ("surname", "x" * 301, "at most 300"),
        ("surname", "a\x00b", "Null characters"),
        ("owner", "not-a-member", "Expected the uid of a member."),
        ("effective", "yesterday", "Enter a date and time"),
        ("effective", "2999-01-01T00:00", "not in the future."),
        ("entity_type", "ROBOT", "not one of the available choices"),
    ],
)
@pytest.mark.feature("W03")
def test_a_wrong_value_is_told_by_its_field(
    client: Client, agent: Member, field: str, value: str, said: str
) -> None:
    data = {"uid": hidden(client.get("/customers/new"), "uid"), "name": "Mo", field: value}
    response = client.post("/customers/new", data)
    text = page_text(response)
    assert response.status_code == 422
    assert said in text
    assert 'role="alert"' in text
    if field != "entity_type":
        assert f'aria-describedby="wrong-{field}"' in text
        assert f'id="wrong-{field}"' in text
    assert not Event.objects.filter(type="customers.entity_created").exists()


@pytest.mark.feature("C01")
def test_a_form_without_any_value_is_refused(client: Client, agent: Member) -> None:
    response = client.post("/customers/new", {"uid": "nonsense", "entity_type": "PERSON"})
    assert response.status_code == 422
    assert "at least one value" in page_text(response)


@pytest.mark.feature("W03")
def test_htmx_gets_the_wrong_form_alone_and_is_led_on_when_it_is_right(
    client: Client, agent: Member
) -> None:
    uid = hidden(client.get("/customers/new"), "uid")
    wrong = client.post("/customers/new", {"uid": uid, "email": "x"}, headers=HTMX)
    assert page_text(wrong).lstrip().startswith("<form")
    right = client.post("/customers/new", {"uid": uid, "email": "x@y.z"}, headers=HTMX)
    assert right["HX-Redirect"] == address("record", UUID(uid))


@pytest.mark.feature("T09")
def test_a_change_may_take_effect_before_it_is_recorded(client: Client, agent: Member) -> None:
    uid = enter(
        surname="Rayleigh", when=When(effective=to_micros(datetime(2020, 1, 1, tzinfo=UTC)))
    )
    form = client.get(address("edit", uid))
    data = {"sealed": hidden(form, "sealed"), "surname": "May", "effective": "2021-06-01T12:00"}
    assert client.post(address("edit", uid), data).status_code == 302
    before = page_text(client.get(address("record", uid), {"as_of": "2021-05-31"}))
    after = page_text(client.get(address("record", uid), {"as_of": "2021-06-01"}))
    assert "<h1>Rayleigh</h1>" in before
    assert "<h1>May</h1>" in after


# ---- changing ----


def _open_form(client: Client, uid: UUID, **changes: str) -> dict[str, str]:
    """Return what the edit form would send, as it is open now."""
    sealed = hidden(client.get(address("edit", uid)), "sealed")
    return {"sealed": sealed, **queries.get(uid).values, **changes}


@pytest.mark.feature("C02")
def test_only_what_was_changed_is_recorded(client: Client, agent: Member) -> None:
    uid = enter(surname="Rayleigh", name="Mo", phone="1")
    data = _open_form(client, uid, phone="2", name="", reason="Asked")
    response = client.post(address("edit", uid), data)
    assert response["Location"] == address("record", uid)
    customer = queries.get(uid)
    assert customer.values == {"surname": "Rayleigh", "phone": "2"}
    assert customer.details["surname"].actor is None
    assert customer.details["phone"].actor == agent.uid


@pytest.mark.feature("T03")
def test_saving_what_is_so_already_records_nothing(client: Client, agent: Member) -> None:
    uid = enter(surname="Rayleigh")
    data = _open_form(client, uid)
    response = client.post(address("edit", uid), data, follow=True)
    assert "Nothing was different." in page_text(response)
    assert Event.objects.filter(entity_uid=uid).count() == 1


@pytest.mark.feature("T03")
def test_a_browsers_line_ends_are_no_change(client: Client, agent: Member) -> None:
    uid = enter(surname="Rayleigh", notes="one\ntwo")
    data = _open_form(client, uid, notes="one\r\ntwo")
    assert "Nothing was different." in page_text(
        client.post(address("edit", uid), data, follow=True)
    )


def _choices(text: str) -> dict[str, str]:
    """Return what a stale form puts to its author, field by field, without its marks."""
    return {
        code: " ".join(re.sub(r"<[^>]*>", " ", row).split())
        for code, row in re.findall(r'id="clash-(\w+)">(.*?)</fieldset>', text, re.DOTALL)
    }


@pytest.mark.feature("A06", "W03")
def test_a_stale_form_shows_both_values_and_keeps_what_was_typed(
    client: Client, agent: Member
) -> None:
    uid = enter(surname="Rayleigh", phone="1")
    data = _open_form(client, uid, phone="mine", company="also mine")
    change(uid, "loc2", phone="theirs")
    response = client.post(address("edit", uid), data)
    text = page_text(response)
    assert response.status_code == 412
    assert _choices(text) == {
        "phone": "Phone When you began: 1 What you entered mine"
        " What it is now theirs SINS loc2 just now"
    }
    assert "One field was changed by both of you" in text
    assert 'value="also mine"' in text
    assert queries.get(uid).values["phone"] == "theirs"


@pytest.mark.feature("A06", "W03")
def test_what_is_chosen_above_cannot_be_typed_below_as_well(client: Client, agent: Member) -> None:
    uid = enter(surname="Rayleigh", phone="1")
    data = _open_form(client, uid, phone="mine")
    change(uid, "loc2", phone="theirs")
    text = page_text(client.post(address("edit", uid), data))
    assert re.findall(r'<input[^>]*name="phone"[^>]*>', text) == [
        '<input type="hidden" name="phone" value="mine" id="id_phone">'
    ]
    assert 'href="#clash-phone">as chosen above</a>' in text
    assert len(re.findall(r'<input type="text" name="surname"', text)) == 1


@pytest.mark.feature("A06", "W03")
def test_a_value_removed_meanwhile_is_said_with_who_removed_it(
    client: Client, agent: Member
) -> None:
    uid = enter(surname="Rayleigh", email="a@b.c", phone="1", notes="old")
    data = _open_form(client, uid, email="x@y.z", phone="")
    author = Author(agent.uid, "loc1", now_us())
    commands.change_customer(uid, {"email": None, "phone": "2", "notes": "new"}, author)
    text = page_text(client.post(address("edit", uid), data))
    assert _choices(text) == {
        "phone": "Phone When you began: 1 What you entered removed"
        " What it is now 2 Ann agent loc1 just now",
        "email": "E-mail When you began: a@b.c What you entered x@y.z"
        " What it is now removed Ann agent loc1 just now",
    }
    assert "brought up to date below: Notes" in text
    assert ">\nnew</textarea>" in text


@pytest.mark.feature("A06", "W03")
def test_where_both_entered_the_same_there_is_nothing_to_choose(
    client: Client, agent: Member
) -> None:
    uid = enter(surname="Rayleigh", phone="1")
    data = _open_form(client, uid, phone="2", company="mine")
    change(uid, "loc2", phone="2", company="theirs")
    assert _choices(page_text(client.post(address("edit", uid), data))).keys() == {"company"}


@pytest.mark.feature("A06", "W03")
def test_a_record_closed_and_opened_meanwhile_is_saved_the_second_time(
    client: Client, agent: Member
) -> None:
    uid = enter(surname="Rayleigh")
    data = _open_form(client, uid, phone="2")
    close(uid)
    commands.restore_customer(uid, Author(None, "loc2", now_us()))
    stale = client.post(address("edit", uid), data)
    assert stale.status_code == 412
    assert "None of your values is in question" in page_text(stale)
    again = {**data, "sealed": hidden(stale, "sealed")}
    assert client.post(address("edit", uid), again).status_code == 302
    assert queries.get(uid).values["phone"] == "2"


@pytest.mark.parametrize(("take", "phone"), [("mine", "mine"), ("current", "theirs")])
@pytest.mark.feature("A06", "W03")
def test_who_was_shown_both_values_chooses(
    client: Client, agent: Member, take: str, phone: str
) -> None:
    uid = enter(surname="Rayleigh", phone="1")
    data = _open_form(client, uid, phone="mine", company="kept")
    change(uid, "loc2", phone="theirs")
    stale = client.post(address("edit", uid), data)
    again = {**data, "sealed": hidden(stale, "sealed"), "take_phone": take}
    assert client.post(address("edit", uid), again).status_code == 302
    assert queries.get(uid).values == {"surname": "Rayleigh", "phone": phone, "company": "kept"}


@pytest.mark.feature("A06")
def test_different_fields_changed_by_two_agents_both_stand(client: Client, agent: Member) -> None:
    uid = enter(surname="Rayleigh", phone="1")
    data = _open_form(client, uid, phone="2")
    change(uid, "loc2", surname="May")
    assert client.post(address("edit", uid), data).status_code == 302
    assert queries.get(uid).values == {"surname": "May", "phone": "2"}


@pytest.mark.feature("A06")
def test_a_seal_that_was_altered_or_is_anothers_is_refused(client: Client, agent: Member) -> None:
    uid, other = enter(surname="Rayleigh"), enter(surname="May")
    for sealed in ("nonsense", "", _open_form(client, other)["sealed"]):
        response = client.post(address("edit", uid), {"sealed": sealed, "surname": "Changed"})
        assert response.status_code == 422
        assert "Changed" in page_text(response)
    assert queries.get(uid).values == {"surname": "Rayleigh"}


@pytest.mark.feature("A06")
def test_a_form_about_a_record_closed_meanwhile_saves_nothing(
    client: Client, agent: Member
) -> None:
    uid = enter(surname="Rayleigh")
    data = _open_form(client, uid, surname="May")
    close(uid)
    response = client.post(address("edit", uid), data, follow=True)
    assert "closed" in page_text(response)
    assert Event.objects.filter(entity_uid=uid).count() == 2


# ---- closing and opening ----


@pytest.mark.feature("C02")
def test_deleting_asks_first_and_a_provider_undoes_it(client: Client, provider: Member) -> None:
    uid = enter(surname="Rayleigh")
    ask = client.get(address("delete", uid))
    assert "Rayleigh" in page_text(ask)
    assert not queries.get(uid).is_deleted
    client.post(address("delete", uid), {"sealed": hidden(ask, "sealed"), "reason": "Twice"})
    assert queries.get(uid).is_deleted
    assert "Rayleigh" not in page_text(client.get("/customers/"))
    assert "Rayleigh" in page_text(client.get("/customers/?state=closed"))
    closed = page_text(client.get(address("record", uid)))
    assert "This record is closed" in closed
    client.post(address("restore", uid))
    assert queries.get(uid).values == {"surname": "Rayleigh"}
    assert "opened again" in page_text(client.get(address("record", uid)))


@pytest.mark.feature("C02")
def test_an_agent_neither_restores_nor_lists_the_closed(client: Client, agent: Member) -> None:
    uid = enter(surname="Rayleigh")
    close(uid)
    assert client.post(address("restore", uid)).status_code == 403
    assert address("restore", uid) not in page_text(client.get(address("record", uid)))
    assert "Rayleigh" not in page_text(client.get("/customers/?state=closed"))
    assert client.get(address("edit", uid))["Location"] == address("record", uid)


@pytest.mark.feature("A06")
def test_deleting_what_changed_meanwhile_asks_again(client: Client, agent: Member) -> None:
    uid = enter(surname="Rayleigh")
    sealed = hidden(client.get(address("delete", uid)), "sealed")
    change(uid, surname="May")
    response = client.post(address("delete", uid), {"sealed": sealed})
    assert response.status_code == 412
    assert "May" in page_text(response)
    assert not queries.get(uid).is_deleted
