"""What a demo prints of its locations is right for one that was restored, too."""

from __future__ import annotations

from ops.demo.report import are_equal, standing

TAKEN = {"heads": {"loc1": [1, 40, 2, 3], "loc2": [1, 7]}, "value": "ab", "is_settled": True}


def test_events_of_all_epochs_count() -> None:
    found = standing(5, TAKEN)
    assert [found.events_of(name) for name in ("loc1", "loc2", "loc3")] == [43, 7, 0]


def test_locations_at_other_epochs_are_not_equal() -> None:
    behind = {**TAKEN, "heads": {"loc1": [1, 40], "loc2": [1, 7]}}
    assert are_equal({"loc1": standing(5, TAKEN), "loc2": standing(5, TAKEN)})
    assert not are_equal({"loc1": standing(5, TAKEN), "loc2": standing(5, behind)})
