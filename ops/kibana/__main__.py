"""``python -m ops.kibana [import | export]``: the dashboards, into Kibana or into files.

``import`` is the default: one-shot set-up, repeated at will. The environment says where and who:
see ``Login.of``. ``export FILE`` writes the file that Kibana imports; without FILE the committed
ones are written anew: that file and the bodies of the Dashboards API.

Ends with 0 when all is there, 1 when Kibana refuses, 2 when the environment does not say enough,
3 when Kibana was not ready within five minutes.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ops.kibana.api_bodies import bodies
from ops.kibana.importer import KibanaError, Login, TooLate, Unusable, bring
from ops.kibana.saved_objects import ndjson

HERE: Final = Path(__file__).resolve().parent
COMMITTED: Final = HERE / "saved_objects.ndjson"
BODIES: Final = HERE / "api"
DONE, REFUSED, UNUSABLE, TOO_LATE = 0, 1, 2, 3


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Do what is asked; a failure is one sentence."""
    parser = argparse.ArgumentParser(prog="python -m ops.kibana")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("import", help="into the Kibana that the environment names (the default)")
    export = commands.add_parser("export", help="write the file that Kibana imports")
    export.add_argument("file", nargs="?", type=Path, help="default: the committed files")
    asked = parser.parse_args(arguments)
    if asked.command == "export":
        return write(asked.file)
    try:
        login = Login.of(environment)
        bring(login, ndjson())
    except KibanaError as error:
        print(error, file=sys.stderr)
        return exit_code(error)
    print(f"The dashboards are in Kibana: {login.url}/app/dashboards")
    return DONE


def write(file: Path | None) -> int:
    """Write the saved objects to ``file``, or all there is to where it is committed."""
    (file or COMMITTED).write_bytes(ndjson())
    if file is None:
        BODIES.mkdir(exist_ok=True)
        for name, body in bodies().items():
            (BODIES / f"{name}.json").write_bytes(body)
    return DONE


def exit_code(error: KibanaError) -> int:
    """Return the number that says what kind of failure it is."""
    match error:
        case Unusable():
            return UNUSABLE
        case TooLate():
            return TOO_LATE
        case _:
            return REFUSED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
