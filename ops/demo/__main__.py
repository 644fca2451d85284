"""``manage.py demo [--fresh] [--kafka | --no-broker]``, ``demo cut X``, ``demo heal X``.

Runs before there is a database or a setting. Ends with 2 and one sentence when it cannot start,
with 1 when a process keeps dying.
"""

from __future__ import annotations

import sys

# Before anything that an older Python cannot read.
if sys.version_info < (3, 11):  # noqa: UP036 - who starts this may have any Python
    print("SINS needs Python 3.11 or later.", file=sys.stderr)
    sys.exit(2)

import argparse
import errno

CANNOT_START = 2


def main(arguments: list[str]) -> int:
    """Run the demo or one of its words; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        from ops.demo.places import DemoError, Places
        from ops.demo.requests import ask
        from ops.demo.supervisor import run
    except ImportError as error:
        return _fail(f"The package {error.name} is not installed: run `make demo` instead.")
    try:
        places = Places.of_environment()
        if options.word:
            print(ask(places, options.word, options.location))
            return 0
        return run(places, is_fresh=options.fresh, broker=options.broker)
    except KeyboardInterrupt:
        return _fail("Ended before anything was started.")
    except DemoError as error:
        return _fail(str(error))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return _fail("The disk is full.")
        return _fail(f"{error.filename or 'The demo'}: {error.strerror}.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="manage.py demo", description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="forget all data and start over")
    brokers = parser.add_mutually_exclusive_group()
    for flag, broker, meaning in (
        ("--kafka", "kafka", "use a real Kafka (see `make kafka`)"),
        ("--no-broker", "none", "use no broker: the locations fetch from each other"),
    ):
        brokers.add_argument(
            flag, dest="broker", action="store_const", const=broker, default="embedded",
            help=meaning,
        )  # fmt: skip
    words = parser.add_subparsers(dest="word", metavar="cut|heal")
    for word, meaning in (
        ("cut", "take a location of the running demo off the network of the others"),
        ("heal", "bring it back"),
    ):
        cut = words.add_parser(word, help=meaning)
        cut.add_argument("location", help="its name; `broker` kills the broker, or starts it again")
    return parser


def _fail(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return CANNOT_START


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
