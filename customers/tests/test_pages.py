"""The customers' pages as a browser without JavaScript, and htmx, meet them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from accounts.authors import now_us
from accounts.models import Access, Member
from customers import commands, queries
from customers.commands import When
from events.drafting import Author
from events.models import Event
from events.stamp import to_micros

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


def _member(role: str) -> Member:
    return Member.objects.create_user(role, "not-used-here", roles=[role], name=f"Ann {role}")


@pytest.fixture
def agent(client: Client) -> Member:
    """An agent who is signed in with ``client``."""
    member = _member("agent")
    client.force_login(member)
    return member


@pytest.fixture
def provider(client: Client) -> Member:
    """A provider who is signed in with ``client``."""
    member = _member("provider")
    client.force_login(member)
    return member


def _enter(origin: str = "loc1", when: When = commands.NOW, **values: str) -> UUID:
    uid, _ = commands.create_customer(values, Author(None, origin, now_us()), when=when)
    return uid


def _change(uid: UUID, origin: str = "loc1", **values: str | None) -> None:
    commands.change_customer(uid, values, Author(None, origin, now_us()))


def _text(response: HttpResponse) -> str:
    return response.content.decode()


def _hidden(response: HttpResponse, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', _text(response))
    assert found, f"no hidden field {name}"
    return found[1]


def _address(name: str, uid: UUID) -> str:
    return reverse(f"customers:{name}", args=[uid])


# ---- who may enter ----


@pytest.mark.feature("W01")
def test_who_is_not_signed_in_is_asked_to(client: Client) -> None:
    response = client.get("/customers/?q=a")
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/?next=/customers/")


@pytest.mark.feature("W01")
def test_a_customer_may_open_no_page(client: Client) -> None:
    client.force_login(_member("customer"))
    uid = _enter(surname="Ray")
    for path in ("/customers/", "/customers/new", _address("record", uid), _address("edit", uid)):
        response = client.get(path)
        assert response.status_code == 403
        assert "Ray" not in _text(response)


# ---- list and search ----


@pytest.mark.feature("W03")
def test_an_empty_location_invites_to_enter_the_first_customer(
    client: Client, agent: Member
) -> None:
    response = client.get("/customers/")
    assert response.status_code == 200
    assert "No customers yet" in _text(response)
    assert "/customers/new" in _text(response)


@pytest.mark.feature("C02")
def test_the_list_shows_customers_with_where_they_are_from(client: Client, agent: Member) -> None:
    _enter(surname="Ray", name="Mo", phone="+1 555", origin="loc2")
    text = _text(client.get("/customers/"))
    assert "Mo Ray" in text
    assert "+1 555" in text
    assert 'class="loc loc-' in text
    assert "loc2" in text


@pytest.mark.feature("C02")
def test_the_list_is_paged_and_ordered(client: Client, agent: Member) -> None:
    for number in range(52):
        _enter(surname=f"Ray{number:02}")
    first, second = (
        client.get("/customers/?order=name"),
        client.get("/customers/?order=name&page=2"),
    )
    assert "Ray00" in _text(first)
    assert "Ray50" not in _text(first)
    assert "Ray50" in _text(second)
    assert "Ray51" in _text(client.get("/customers/?order=newest"))
    assert "nothing on this page" in _text(client.get("/customers/?page=9"))


@pytest.mark.feature("C04", "W03")
def test_a_fuzzy_search_marks_letters_and_gives_reasons(client: Client, agent: Member) -> None:
    _enter(surname="Kowalska", name="Maria")
    response = client.get("/customers/", {"q": "Kowalsca", "mode": "fuzzy"})
    text = _text(response)
    assert "<mark>" in text
    assert "<meter" in text
    assert "“Kowalsca” ≈ “Kowalska”" in text


@pytest.mark.feature("C03", "W03")
def test_an_exact_search_needs_every_term(client: Client, agent: Member) -> None:
    _enter(surname="Kowalska", name="Maria")
    found = _text(client.get("/customers/", {"q": "maria kowalska", "mode": "exact"}))
    assert re.search(r"<mark>Maria</mark>", found)
    missed = _text(client.get("/customers/", {"q": "maria nowak", "mode": "exact"}))
    assert "No hits" in missed
    assert "Create “maria nowak”" in missed
    assert "/customers/new?q=maria%20nowak" in missed


@pytest.mark.feature("W03")
def test_htmx_gets_the_results_alone_and_the_whole_page_on_back(
    client: Client, agent: Member
) -> None:
    part = client.get("/customers/?q=a", headers=HTMX)
    assert _text(part).lstrip().startswith('<div id="results">')
    assert "HX-Request" in part["Vary"]
    back = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert "<html" in _text(client.get("/customers/?q=a", headers=back))


@pytest.mark.parametrize(
    "query", ["page=0", "page=x", "mode=loud", f"q={'a+' * 30}", f"q={'a' * 201}"]
)
@pytest.mark.feature("W03")
def test_a_search_that_cannot_be_is_told_so(client: Client, agent: Member, query: str) -> None:
    response = client.get(f"/customers/?{query}")
    assert response.status_code == 400
    assert 'role="alert"' in _text(response)


@pytest.mark.feature("A02")
def test_a_search_is_in_the_access_log_without_its_words(client: Client, agent: Member) -> None:
    client.get("/customers/?q=Kowalska")
    line = Access.objects.get(kind="search")
    assert line.actor == agent.uid
    assert "Kowalska" not in repr(line.__dict__)


@pytest.mark.feature("A05")
def test_what_people_typed_is_never_markup(client: Client, agent: Member) -> None:
    uid = _enter(surname="<script>alert(1)</script>", notes="<img src=x onerror=y>")
    pages = [
        client.get("/customers/"),
        client.get("/customers/", {"q": "script alert"}),
        client.get("/customers/", {"q": "<script>"}),
        client.get(_address("record", uid)),
        client.get(_address("edit", uid)),
        client.get(_address("delete", uid)),
    ]
    for page in pages:
        assert "<script>alert" not in _text(page)
        assert "<img src=x" not in _text(page)


# ---- entering ----


@pytest.mark.feature("C01", "C02")
def test_a_customer_is_entered_and_shown_with_its_source(client: Client, agent: Member) -> None:
    form = client.get("/customers/new")
    uid = UUID(_hidden(form, "uid"))
    data = {"uid": uid, "entity_type": "PERSON", "surname": " Ray ", "dob": "1980-01-31"}
    response = client.post("/customers/new", data, follow=True)
    assert response.redirect_chain == [(_address("record", uid), 302)]
    text = _text(response)
    assert "Ray" in text
    assert "1980-01-31" in text
    assert "Ann agent" in text
    assert queries.get(uid).values == {"surname": "Ray", "dob": "1980-01-31"}


@pytest.mark.feature("C02")
def test_a_form_sent_twice_enters_one_customer(client: Client, agent: Member) -> None:
    data = {"uid": _hidden(client.get("/customers/new"), "uid"), "surname": "Ray"}
    first, second = client.post("/customers/new", data), client.post("/customers/new", data)
    assert first["Location"] == second["Location"]
    assert Event.objects.filter(type="customers.entity_created").count() == 1
    other = client.post("/customers/new", {**data, "surname": "May"})
    assert other.status_code == 422
    assert "saved before" in _text(other)


@pytest.mark.feature("W03")
def test_searched_words_are_put_into_the_new_form(client: Client, agent: Member) -> None:
    text = _text(client.get("/customers/new", {"q": "Maria Kowalska C01X00"}))
    for name, value in (("surname", "Kowalska"), ("name", "Maria"), ("document_number", "C01X00")):
        assert re.search(rf'name="{name}" value="{value}"', text)


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
    data = {"uid": _hidden(client.get("/customers/new"), "uid"), "name": "Mo", field: value}
    response = client.post("/customers/new", data)
    text = _text(response)
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
    assert "at least one value" in _text(response)


@pytest.mark.feature("W03")
def test_htmx_gets_the_wrong_form_alone_and_is_led_on_when_it_is_right(
    client: Client, agent: Member
) -> None:
    uid = _hidden(client.get("/customers/new"), "uid")
    wrong = client.post("/customers/new", {"uid": uid, "email": "x"}, headers=HTMX)
    assert _text(wrong).lstrip().startswith("<form")
    right = client.post("/customers/new", {"uid": uid, "email": "x@y.z"}, headers=HTMX)
    assert right["HX-Redirect"] == _address("record", UUID(uid))


@pytest.mark.feature("T09")
def test_a_change_may_take_effect_before_it_is_recorded(client: Client, agent: Member) -> None:
    uid = _enter(surname="Ray", when=When(effective=to_micros(datetime(2020, 1, 1, tzinfo=UTC))))
    form = client.get(_address("edit", uid))
    data = {"sealed": _hidden(form, "sealed"), "surname": "May", "effective": "2021-06-01T12:00"}
    assert client.post(_address("edit", uid), data).status_code == 302
    before = _text(client.get(_address("record", uid), {"as_of": "2021-05-31"}))
    after = _text(client.get(_address("record", uid), {"as_of": "2021-06-01"}))
    assert "<h1>Ray</h1>" in before
    assert "<h1>May</h1>" in after


# ---- changing ----


def _open_form(client: Client, uid: UUID, **changes: str) -> dict[str, str]:
    """Return what the edit form would send, as it is open now."""
    sealed = _hidden(client.get(_address("edit", uid)), "sealed")
    return {"sealed": sealed, **queries.get(uid).values, **changes}


@pytest.mark.feature("C02")
def test_only_what_was_changed_is_recorded(client: Client, agent: Member) -> None:
    uid = _enter(surname="Ray", name="Mo", phone="1")
    data = _open_form(client, uid, phone="2", name="", reason="Asked")
    response = client.post(_address("edit", uid), data)
    assert response["Location"] == _address("record", uid)
    customer = queries.get(uid)
    assert customer.values == {"surname": "Ray", "phone": "2"}
    assert customer.details["surname"].actor is None
    assert customer.details["phone"].actor == agent.uid


@pytest.mark.feature("T03")
def test_saving_what_is_so_already_records_nothing(client: Client, agent: Member) -> None:
    uid = _enter(surname="Ray")
    data = _open_form(client, uid)
    response = client.post(_address("edit", uid), data, follow=True)
    assert "Nothing was different." in _text(response)
    assert Event.objects.filter(entity_uid=uid).count() == 1


@pytest.mark.feature("T03")
def test_a_browsers_line_ends_are_no_change(client: Client, agent: Member) -> None:
    uid = _enter(surname="Ray", notes="one\ntwo")
    data = _open_form(client, uid, notes="one\r\ntwo")
    assert "Nothing was different." in _text(client.post(_address("edit", uid), data, follow=True))


@pytest.mark.feature("A06", "W03")
def test_a_stale_form_shows_both_values_and_keeps_what_was_typed(
    client: Client, agent: Member
) -> None:
    uid = _enter(surname="Ray", phone="1")
    data = _open_form(client, uid, phone="mine", company="also mine")
    _change(uid, "loc2", phone="theirs")
    response = client.post(_address("edit", uid), data)
    text = _text(response)
    assert response.status_code == 412
    assert "<strong>mine</strong>" in text
    assert "<strong>theirs</strong>" in text
    assert 'value="also mine"' in text
    assert queries.get(uid).values["phone"] == "theirs"


@pytest.mark.parametrize(("take", "phone"), [("mine", "mine"), ("current", "theirs")])
@pytest.mark.feature("A06", "W03")
def test_who_was_shown_both_values_chooses(
    client: Client, agent: Member, take: str, phone: str
) -> None:
    uid = _enter(surname="Ray", phone="1")
    data = _open_form(client, uid, phone="mine", company="kept")
    _change(uid, "loc2", phone="theirs")
    stale = client.post(_address("edit", uid), data)
    again = {**data, "sealed": _hidden(stale, "sealed"), "take_phone": take}
    assert client.post(_address("edit", uid), again).status_code == 302
    assert queries.get(uid).values == {"surname": "Ray", "phone": phone, "company": "kept"}


@pytest.mark.feature("A06")
def test_different_fields_changed_by_two_agents_both_stand(client: Client, agent: Member) -> None:
    uid = _enter(surname="Ray", phone="1")
    data = _open_form(client, uid, phone="2")
    _change(uid, "loc2", surname="May")
    assert client.post(_address("edit", uid), data).status_code == 302
    assert queries.get(uid).values == {"surname": "May", "phone": "2"}


@pytest.mark.feature("A06")
def test_a_seal_that_was_altered_or_is_anothers_is_refused(client: Client, agent: Member) -> None:
    uid, other = _enter(surname="Ray"), _enter(surname="May")
    for sealed in ("nonsense", "", _open_form(client, other)["sealed"]):
        response = client.post(_address("edit", uid), {"sealed": sealed, "surname": "Changed"})
        assert response.status_code == 422
        assert "Changed" in _text(response)
    assert queries.get(uid).values == {"surname": "Ray"}


@pytest.mark.feature("A06")
def test_a_form_about_a_record_closed_meanwhile_saves_nothing(
    client: Client, agent: Member
) -> None:
    uid = _enter(surname="Ray")
    data = _open_form(client, uid, surname="May")
    commands.delete_customer(uid, Author(None, "loc2", now_us()))
    response = client.post(_address("edit", uid), data, follow=True)
    assert "closed" in _text(response)
    assert Event.objects.filter(entity_uid=uid).count() == 2


# ---- closing and opening ----


@pytest.mark.feature("C02")
def test_deleting_asks_first_and_a_provider_undoes_it(client: Client, provider: Member) -> None:
    uid = _enter(surname="Ray")
    ask = client.get(_address("delete", uid))
    assert "Ray" in _text(ask)
    assert not queries.get(uid).is_deleted
    client.post(_address("delete", uid), {"sealed": _hidden(ask, "sealed"), "reason": "Twice"})
    assert queries.get(uid).is_deleted
    assert "Ray" not in _text(client.get("/customers/"))
    assert "Ray" in _text(client.get("/customers/?state=closed"))
    closed = _text(client.get(_address("record", uid)))
    assert "This record is closed" in closed
    client.post(_address("restore", uid))
    assert queries.get(uid).values == {"surname": "Ray"}
    assert "opened again" in _text(client.get(_address("record", uid)))


@pytest.mark.feature("C02")
def test_an_agent_neither_restores_nor_lists_the_closed(client: Client, agent: Member) -> None:
    uid = _enter(surname="Ray")
    commands.delete_customer(uid, Author(None, "loc1", now_us()))
    assert client.post(_address("restore", uid)).status_code == 403
    assert _address("restore", uid) not in _text(client.get(_address("record", uid)))
    assert "Ray" not in _text(client.get("/customers/?state=closed"))
    assert client.get(_address("edit", uid))["Location"] == _address("record", uid)


@pytest.mark.feature("A06")
def test_deleting_what_changed_meanwhile_asks_again(client: Client, agent: Member) -> None:
    uid = _enter(surname="Ray")
    sealed = _hidden(client.get(_address("delete", uid)), "sealed")
    _change(uid, surname="May")
    response = client.post(_address("delete", uid), {"sealed": sealed})
    assert response.status_code == 412
    assert "May" in _text(response)
    assert not queries.get(uid).is_deleted


# ---- the record ----


@pytest.mark.feature("T04", "W03")
def test_the_history_shows_old_and_new_newest_first(client: Client, agent: Member) -> None:
    uid = _enter(surname="Ray", phone="1")
    _change(uid, "loc2", phone="2")
    text = _text(client.get(_address("record", uid)))
    timeline = text[text.index('class="timeline"') :]
    assert re.search(r'<del class="was">1</del>.*?<span class="now">2</span>', timeline, re.DOTALL)
    assert timeline.index("loc2") < timeline.index("entered")


@pytest.mark.feature("T09")
def test_a_record_can_be_seen_as_it_was_known(client: Client, agent: Member) -> None:
    uid = _enter(surname="Ray")
    at = datetime.now(UTC).isoformat()
    _change(uid, surname="May")
    known = _text(client.get(_address("record", uid), {"known_at": at}))
    assert "<h1>Ray</h1>" in known
    assert "as loc1 knew it" in known
    long_ago = (datetime.now(UTC) - timedelta(days=9)).date().isoformat()
    nothing = client.get(_address("record", uid), {"as_of": long_ago})
    assert "There was no open record then" in _text(nothing)


@pytest.mark.parametrize("query", ["as_of=soon", "known_at=2026-13-01", "as_of=9999-12-31"])
@pytest.mark.feature("T09")
def test_a_moment_that_is_none_is_told_by_its_field(
    client: Client, agent: Member, query: str
) -> None:
    uid = _enter(surname="Ray")
    response = client.get(f"{_address('record', uid)}?{query}")
    assert response.status_code == 400
    assert f'id="wrong-{query.partition("=")[0]}"' in _text(response)


def test_what_never_was_has_a_page_that_says_so(client: Client, agent: Member) -> None:
    for name in ("record", "edit", "delete"):
        response = client.get(_address(name, UUID(int=7)))
        assert response.status_code == 404
        assert "nothing at this address" in _text(response)


@pytest.mark.feature("A02")
def test_looking_records_nothing(client: Client, provider: Member) -> None:
    uid = _enter(surname="Ray")
    before = Event.objects.count()
    for path in ("/customers/", "/customers/?q=Ray", "/customers/new"):
        client.get(path)
    for name in ("record", "edit", "delete"):
        assert client.get(_address(name, uid)).status_code == 200
    assert client.get(_address("restore", uid)).status_code == 405
    assert Event.objects.count() == before
