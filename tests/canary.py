"""A person with words nobody else has, and her way through every route."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

from django.db import OperationalError
from django.test import Client

from accounts.models import Member
from customers import queries
from customers.tests.browsing import address, hidden, sign_in
from customers.tests.calling import JSON, Caller
from tests.routes import routes

CANARY = {
    "surname": "Zwitschervogel",
    "name": "Kanariella",
    "dob": "1937-11-23",
    "document_number": "CNRY-7Q4X-9983",
    "phone": "+49 555 0199 7731",
    "email": "piepmatz@voliere.example",
    "company": "Vogelbauerei",
    "notes": "singt-nachts-leise",
}
OTHERS = {"display_name": "Kanarella-Zwitscher", "reason": "goldregengrund"}
TYPED = ("falschgesungen", "geheimgesang")  # a wrong value, a password
# Also as they are searched for, and a part of each; too long for chance to spell in ciphertext.
WORDS = [
    "zwitscher", "kanari", "kanarella", "1937-11-23", "19371123", "cnry-7", "cnry7q", "7q4x-9",
    "7q4x99", "0199 7731", "01997731", "piepmatz", "voliere", "vogelbauer", "singt-nachts",
    "goldregen", "falschgesung", "geheimgesang",
]  # fmt: skip


def use_the_api() -> set[str]:
    """Enter, find, change, lose, close and open her; every refusal quotes her."""
    agent, provider = Caller("agent"), Caller("provider")
    answers = [agent.post("customers", {**CANARY, **OTHERS})]
    uid = answers[0].json()["entity_uid"]
    etag = answers[0]["ETag"]
    detail = {"detail_code": "EMAIL", "value": {"value": CANARY["email"]}}
    entity = {"entity_uid": str(uuid4()), "details": [detail], **OTHERS}
    answers += [
        agent.post("entities", entity),
        agent.post("entities", entity),
        agent.post("entities", {**entity, "display_name": "Kanari"}),
        agent.post("entities", {**OTHERS, "details": [{**detail, "value": "Kanari"}]}),
        agent.patch(f"entities/{uid}", {"details": [{**detail, "value": {"value": "@voliere"}}]}),
        agent.patch(f"entities/{uid}", {"details": [{**detail, "value": {"value": "voliere"}}]}),
        agent.patch(f"customers/{uid}", {"surname": "Zwitscherer"}, If_Match=etag),
        agent.patch(f"customers/{uid}", {"notes": CANARY["notes"] * 2, **OTHERS}),
        agent.get(f"customers/{uid}", {"as_of": "2999-01-01", "known_at": "2999-01-01"}),
        *(agent.get("customers", {"q": word, "mode": mode}) for word in CANARY.values()
          for mode in ("exact", "fuzzy")),
        agent.get("entities", {"q": "Zwitschervogel"}),
        agent.get("entities-asof", {"as_of": "2999-01-01"}),
        agent.get("diff", {"from": "2000-01-01", "to": "2999-01-01"}),
        agent.get(f"entities/{uid}/history"),
        agent.get(f"entities/{uid}"),
        agent.delete(f"customers/{uid}"),
        agent.get(f"customers/{uid}"),
        provider.post(f"customers/{uid}/restore"),
        provider.get("audit", {"entity": uid}),
    ]  # fmt: skip
    answers += [send_wrong(agent, uid, name, value) for name, value in CANARY.items()]
    return {str(answer.resolver_match.view_name) for answer in answers}


def send_wrong(agent: Caller, uid: str, name: str, value: str) -> Any:
    wrong = f"{value} falschgesungen" * 40
    agent.patch(f"customers/{uid}", {name: wrong * 10, "effective": wrong, "dob": wrong})
    agent.patch(f"customers/{uid}", {wrong: wrong})
    agent.send("POST", "customers", f'{{"{name}": "{wrong}"'.encode())
    agent.post("customers", {name: value}, If_Match=value, Idempotency_Key=wrong)
    agent.get("customers", {"limit": wrong})
    agent.client.get(f"/api/v1/customers/{value}")
    agent.client.get(f"/customers/{value}/", headers={"Referer": f"http://x/{value}"})
    return agent.get("customers", {"falschgesungen": wrong, name: value})


def use_the_pages() -> set[str]:
    """The same with forms, with and without htmx, and wrong passwords."""
    client = Client()
    sign_in(client, "provider")
    new = hidden(client.get("/customers/new", {"q": "Kanariella Zwitschervogel"}), "uid")
    form = {"uid": new, **CANARY, "reason": OTHERS["reason"]}
    answers = [
        client.post("/customers/new", {**form, "email": "falschgesungen"}),
        client.post("/customers/new", form),
        client.get("/customers/", {"q": "Zwitschervogel Kanarella", "mode": "fuzzy"}),
        client.get("/customers/", {"q": CANARY["document_number"], "mode": "exact"}),
        client.get("/customers/", {"q": "Kanariella", "mode": "falschgesungen"}),
        client.get(address("record", UUID(new))),
    ]
    sealed = hidden(client.get(address("edit", UUID(new))), "sealed")
    change = {**CANARY, "sealed": sealed, "reason": OTHERS["reason"]}
    answers += [
        client.post(address("edit", UUID(new)), {**change, "surname": "Zwitschermann"}),
        client.post(address("edit", UUID(new)), {**change, "surname": "Zwitscherfrau"}),
        client.post(address("edit", UUID(new)), {**change, "dob": "falschgesungen"}),
    ]
    assert [answer.status_code for answer in answers[-3:]] == [302, 412, 422]
    sealed = hidden(client.get(address("delete", UUID(new))), "sealed")
    answers += [
        client.post(address("delete", UUID(new)), {"sealed": sealed, "reason": OTHERS["reason"]}),
        client.post(address("restore", UUID(new))),
        client.get("/audit/", {"entity": new, "actor": "Kanariella"}),
        client.get("/audit/", {"entity": new}),
    ]
    assert queries.get(UUID(new)).values["surname"] == "Zwitschermann"
    return {str(answer.resolver_match.view_name) for answer in answers}


def break_things() -> set[str]:
    """Errors nobody foresaw, whose text quotes her; sign-ins with her name."""
    client = Client(raise_request_exception=False)
    client.force_login(Member.objects.create_user("ann", "not-used", roles=["agent"]))
    answers = []
    for error in (RuntimeError(f"{CANARY}"), OperationalError(f"Key (surname)=({CANARY})")):
        for path in (f"/api/v1/customers/{uuid4()}", "/api/v1/customers?q=Kanariella"):
            with (
                mock.patch("customers.queries.get", side_effect=error),
                mock.patch("customers.candidates.fuzzy", side_effect=error),
            ):
                answers.append(client.get(path))
    assert {answer.status_code for answer in answers} == {500, 503}
    for name in ("Kanariella", CANARY["email"]):
        typed = {"username": name, "password": TYPED[1]}
        answers.append(Client().post("/api/v1/auth/token", typed, JSON))
        form = {"login": name, "password": TYPED[1]}
        answers.append(Client().post("/accounts/login/?next=/customers/?q=Kanariella", form))
    return {str(answer.resolver_match.view_name) for answer in answers}


def ask_everywhere() -> set[str]:
    """Every route, each method, with her in the query and in the body."""
    client = Client(raise_request_exception=False)
    client.force_login(Member.objects.create_user("bob", "not-used", roles=["admin"]))
    body = json.dumps({**CANARY, **OTHERS})
    visited = set()
    for name, path in routes(uuid4()).items():
        asked = f"{path}?q=Kanariella&falschgesungen=Zwitschervogel"
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            if name != "account_logout":
                answer = client.generic(method, asked, body, JSON)
                assert answer.status_code < 500, (name, method)
        visited.add(name)
    client.post("/accounts/logout/?q=Kanariella")
    return visited


WALKS = (use_the_api, use_the_pages, break_things, ask_everywhere)
