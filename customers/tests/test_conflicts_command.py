"""``manage.py conflicts``: what scripts and people at a terminal are told, and with which code."""

from __future__ import annotations

import io
import json
from typing import Any
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from accounts.authors import now_us
from customers.resolving import Choice, settle
from customers.tests.apart import closed_beside_edits, disputed, id_of, item_of
from events.drafting import Author

pytestmark = [pytest.mark.django_db, pytest.mark.feature("S05")]


def run(*arguments: str) -> tuple[int, str]:
    """Return the exit code and what was printed."""
    printed = io.StringIO()
    try:
        call_command("conflicts", *arguments, stdout=printed)
    except SystemExit as ended:
        return int(ended.code or 0), printed.getvalue()
    return 0, printed.getvalue()


def document(*arguments: str) -> tuple[int, Any]:
    code, printed = run("--json", *arguments)
    return code, json.loads(printed)


def test_none_is_0_and_some_open_is_1() -> None:
    assert run() == (0, "0 open\n")
    assert document() == (0, {"open": 0, "items": []})
    uid = disputed()
    code, printed = run()
    assert code == 1
    line, last = printed.splitlines()
    assert line.startswith(f"{id_of(uid)}  open  {uid}  phone  loc1 20")
    assert last == "1 open"
    settle([Choice(id_of(uid), "keep")], Author(None, "loc1", now_us()))
    assert document() == (0, {"open": 0, "items": []})
    code, found = document("--all")
    assert (code, [item["state"] for item in found["items"]]) == (0, ["settled"])
    assert found["items"][0]["rows"][0]["resolved_by"]


def test_the_document_names_events_origins_instants_and_no_value() -> None:
    uid, other = closed_beside_edits("phone", "email"), disputed("phone", "+4911", "+4922")
    code, found = document()
    assert (code, found["open"]) == (1, 2)
    plain, closing = found["items"]
    assert (plain["entity_uid"], closing["entity_uid"]) == (str(other), str(uid))
    assert closing["is_closing"]
    assert {row["group"] for row in closing["rows"]} == {"phone", "email"}
    (row,) = plain["rows"]
    earlier, later = (side.event for side in item_of(other).sides)
    assert (row["earlier"]["event_id"], row["later"]["event_id"]) == (
        str(earlier.event_id), str(later.event_id))  # fmt: skip
    assert (row["earlier"]["origin"], row["later"]["origin"]) == ("loc1", "loc2")
    assert row["earlier"]["at"].endswith("Z")
    said = json.dumps(found) + run()[1]
    for value in ("+4911", "+4922", "new phone", "new email", "Rayleigh"):
        assert value not in said


def test_what_cannot_be_told_is_2_and_a_sentence() -> None:
    with (
        mock.patch("events.sql.execute", side_effect=OperationalError("secret")),
        pytest.raises(CommandError) as refused,
    ):
        call_command("conflicts")
    assert refused.value.returncode == 2
    assert str(refused.value) == "The conflicts cannot be read: OperationalError."
