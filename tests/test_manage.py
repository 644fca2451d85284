"""In a checkout with a demo, ``manage.py`` speaks for a location of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import manage


@pytest.mark.parametrize(
    ("arguments", "location", "rest"),
    [
        (["m", "check"], None, ["m", "check"]),
        (["m", "--location", "loc3", "check"], "loc3", ["m", "check"]),
        (["m", "sync_status", "--location=loc2", "--json"], "loc2", ["m", "sync_status", "--json"]),
    ],
)
def test_location_is_taken_from_the_arguments(
    arguments: list[str], location: str | None, rest: list[str]
) -> None:
    assert manage.take_location(arguments) == location
    assert arguments == rest


def test_environment_of_a_location_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {})
    (tmp_path / "environment").write_text('# a demo\'s\nLOCATION_ID=loc3\nPEERS={"a": "="}\n')
    manage.load_environment(tmp_path / "environment", is_required=True)
    assert os.environ == {"LOCATION_ID": "loc3", "PEERS": '{"a": "="}'}


def test_location_that_is_not_there_ends_with_a_sentence(tmp_path: Path) -> None:
    manage.load_environment(tmp_path / "loc9" / "environment", is_required=False)
    with pytest.raises(SystemExit, match="no location loc9"):
        manage.load_environment(tmp_path / "loc9" / "environment", is_required=True)
