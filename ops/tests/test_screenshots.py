"""The pictures in ``docs/pages``: of every page, and of pages that all can use."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from ops.demo.places import CHECKOUT
from ops.screenshots import alone, shots
from ops.screenshots.__main__ import every_shot, main
from ops.screenshots.camera import THEMES, WIDTHS, Camera
from ops.screenshots.shots import Shot
from tests.browsing import AXE, broken_rules, scrolls_sideways


@pytest.mark.feature("W10")
def test_each_state_has_its_four_pictures_and_there_is_no_other() -> None:
    names = [shot.name for shot in every_shot()]
    assert len(set(names)) == len(names)
    wanted = {
        f"{name}-{width}-{theme}.png" for name in names for width in WIDTHS for theme in THEMES
    }
    assert {path.name for path in (CHECKOUT / "docs" / "pages").iterdir()} == wanted


def test_a_picture_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--only", "sync,sunk"])
    assert ended.value.code == 2
    assert "there is no picture sunk" in capsys.readouterr().err


@pytest.mark.browser
@pytest.mark.feature("W10")
def test_a_new_location_and_one_in_trouble_have_pages_for_everyone(
    browser: Browser, tmp_path: Path
) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is missing: make styles")
    with alone.running() as there:
        location = there.location
        password = location.users["provider"]["password"]
        camera = Camera(browser, location.url, tmp_path, {"provider": ("provider", password)})
        camera.sign_in("provider")
        for shot, said in zip(
            [*shots.of_nobody_entered(), *shots.of_too_many()],
            ["No customers yet", "No hits", "Nothing to decide", "Nothing has been recorded yet",
             "No transactions", "stands alone", "Too many attempts"],
            strict=True,
        ):  # fmt: skip
            _look(camera, shot, said)
        there.restore()
        (refused,) = shots.of_restored()
        _look(camera, refused, "New customer")
        with camera.page(refused.who) as page:
            refused.reach(page, "")
            assert "takes no writes" in page.inner_text("#read-only")
            assert page.input_value("#id_surname") == "Kowalska"
        location.cluster.stop()
        (broken,) = shots.of_no_database()
        _look(camera, broken, "Something went wrong on our side")


def _look(camera: Camera, shot: Shot, said: str) -> None:
    with camera.page(shot.who) as page:
        shot.reach(page, "")
        assert said in page.inner_text("main"), shot.name
        for width in WIDTHS:
            for theme in THEMES:
                assert broken_rules(page, theme=theme, width=width) == [], (shot.name, theme, width)
            assert not scrolls_sideways(page), (shot.name, width)
