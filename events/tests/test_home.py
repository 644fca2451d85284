"""A database that was copied to another server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from events import recovery
from events.models import Home

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
    pytest.mark.feature("R08"),
]


@pytest.fixture
def copied() -> Iterator[None]:
    """As on another server than the one it was made on."""
    Home.objects.update(system_identifier=1)
    yield
    recovery.finish(bytes(32))


@pytest.mark.parametrize("process", ["run_sequencer", "consume_events", "migrate"])
def test_trap_31_a_copy_does_not_start_and_only_reads(copied, process):
    assert not recovery.is_recovering()
    with pytest.raises(CommandError, match="is a copy") as refused:
        call_command(process)
    assert refused.value.returncode == 2
    assert recovery.is_recovering()


def test_trap_31_it_starts_once_it_is_said_that_the_original_is_gone(copied, capsys):
    call_command("recover")
    assert "No writes until" in capsys.readouterr().out
    call_command("migrate", verbosity=0)
    assert recovery.is_recovering()


def test_the_server_is_remembered_once(db):
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT system_identifier FROM pg_control_system()")
        assert cursor.fetchall() == list(Home.objects.values_list("system_identifier"))
    assert not recovery.is_recovering()
