"""Where all tools have to be there, a skipped test has failed."""

from __future__ import annotations

import pytest

import conftest


def reported(report: pytest.TestReport) -> pytest.TestReport:
    """Return what the hook makes of ``report``."""
    hook = conftest.pytest_runtest_makereport()
    next(hook)
    with pytest.raises(StopIteration) as made:
        hook.send(report)
    assert isinstance(made.value.value, pytest.TestReport)
    return made.value.value


def skipped() -> pytest.TestReport:
    return pytest.TestReport(
        "tests/test_x.py::test_x", ("x", 1, "x"), {}, "skipped", "no Java", "call"
    )


@pytest.mark.parametrize(("is_ci", "outcome"), [(True, "failed"), (False, "skipped")])
def test_skip_fails_only_in_ci(monkeypatch: pytest.MonkeyPatch, is_ci: bool, outcome: str) -> None:
    monkeypatch.setattr(conftest, "IS_CI", is_ci)
    assert reported(skipped()).outcome == outcome


def test_expected_failure_is_no_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conftest, "IS_CI", True)
    report = skipped()
    report.wasxfail = "known"
    assert reported(report).outcome == "skipped"
