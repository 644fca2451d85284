"""Take pictures of every page: full, empty, in error; wide and narrow, light and dark.

    python -m ops.screenshots http://127.0.0.1:8001 --provider NAME:PASSWORD --agent NAME:PASSWORD

At that location it enters one customer, changes, closes and opens it, so that there is a history
to show. What only a new location shows, one that is stormed or one without its database, it takes
of one that it starts for that; without an address it takes nothing else.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from ops.screenshots import alone, shots
from ops.screenshots.camera import FLAGS, Camera
from ops.screenshots.shots import Shot

CANNOT_START = 2


def main(arguments: list[str]) -> int:
    """Take the pictures; return 0, or 2 with a sentence if there is no browser."""
    given = _given(arguments)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("No Chromium: on Debian, apt-get install chromium.", file=sys.stderr)
        return CANNOT_START
    given.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        if given.base_url:
            _take_running(browser, given)
        _take_alone(browser, given)
        browser.close()
    return 0


def _given(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("base_url", nargs="?", default="")
    for who in ("provider", "agent"):
        parser.add_argument(f"--{who}", default=":", metavar="NAME:PASSWORD")
    parser.add_argument("--only", default="", metavar="NAME,NAME", help="take these alone")
    parser.add_argument("--out", type=Path, default=Path("docs/pages"))
    given = parser.parse_args(arguments)
    given.only = set(given.only.split(",")) - {""}
    unknown = given.only - {shot.name for shot in every_shot()}
    if unknown:
        parser.error(f"there is no picture {', '.join(sorted(unknown))}")
    return given


def every_shot() -> list[Shot]:
    """Return all pictures there are."""
    running = [*shots.signed_out(), *shots.signed_in()]
    return [*running, *shots.of_nobody_entered(), *shots.of_too_many(), *shots.of_restored(),
            *shots.of_no_database()]  # fmt: skip


def _wanted(found: list[Shot], given: argparse.Namespace) -> list[Shot]:
    return [shot for shot in found if not given.only or shot.name in given.only]


def _take_running(browser: Browser, given: argparse.Namespace) -> None:
    wanted = _wanted([*shots.signed_out(), *shots.signed_in()], given)
    if not wanted:
        return
    logins = {"provider": _login(given.provider), "agent": _login(given.agent)}
    camera = Camera(browser, given.base_url.rstrip("/"), given.out, logins)
    with camera.page("provider") as page:
        record = shots.make_history(page)
    camera.take(wanted, record)


def _take_alone(browser: Browser, given: argparse.Namespace) -> None:
    empty, stormed, restored, broken = (
        _wanted(found, given)
        for found in (shots.of_nobody_entered(), shots.of_too_many(), shots.of_restored(),
                      shots.of_no_database())
    )  # fmt: skip
    if not (empty or stormed or restored or broken):
        return
    with alone.running() as there:
        location = there.location
        logins = {"provider": ("provider", location.users["provider"]["password"])}
        camera = Camera(browser, location.url, given.out, logins)
        camera.sign_in("provider")  # while one can
        camera.take(empty)
        camera.take(stormed)
        there.restore()
        camera.take(restored)
        location.cluster.stop()
        camera.take(broken)


def _login(text: str) -> tuple[str, str]:
    name, _, password = text.partition(":")
    return name, password


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
