"""A Kafka broker inside librdkafka: keeps nothing on disk and about 5 MB a topic.

``python -m ops.broker --port-file F`` writes its address to F, prints it, and runs until ended.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
from pathlib import Path

from confluent_kafka import Producer


def address_of(broker: Producer) -> str:
    """Return where a mock cluster listens."""
    brokers = broker.list_topics(timeout=10).brokers.values()
    return ",".join(f"{one.host}:{one.port}" for one in brokers)


def start() -> Producer:
    """Start a broker; it runs as long as what is returned is kept."""
    return Producer({"bootstrap.servers": "127.0.0.1", "test.mock.num.brokers": 1, "log_level": 2})


def main() -> None:
    """Run a broker until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="ops.broker", description=__doc__)
    parser.add_argument("--port-file", type=Path, help="where to write the address")
    arguments = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    broker = start()
    address = address_of(broker)
    if arguments.port_file:
        scratch = arguments.port_file.with_suffix(".new")
        scratch.write_text(address, encoding="utf-8")
        os.replace(scratch, arguments.port_file)  # noqa: PTH105 - whoever waits sees all or nothing
    print(address, flush=True)
    stop.wait()


if __name__ == "__main__":
    main()
