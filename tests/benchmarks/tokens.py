"""What remembering a token saves: `python -m tests.benchmarks.tokens [ROUNDS]`.

The same events with one token, which the server remembers, and each with a token of its own, which
it has to verify. Prints a row for each: the event loop's CPU is what differs.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.benchmarks import servers
from tests.benchmarks.__main__ import CONNECTIONS, EVENTS, INSTANCES, Row, line, measure
from tests.benchmarks.servers import Server


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name, servers.smply(Path(name) / "data", {}) as server:
        names = [f"i{number}" for number in range(INSTANCES)]
        measure(server, [server.birth(name) for name in names], CONNECTIONS)
        rows: dict[str, list[Row]] = {"one token": [], "a token for each event": []}
        for round_ in range(rounds):
            once = [server.event(names[number % INSTANCES]) for number in range(EVENTS)]
            rows["one token"].append(measure(server, once, CONNECTIONS))
            each = [
                _holder(server, f"{round_}-{number}").event(names[number % INSTANCES])
                for number in range(EVENTS)
            ]
            rows["a token for each event"].append(measure(server, each, CONNECTIONS))
    for title, measured in rows.items():
        print(line(title, "smply", measured))


def _holder(server: Server, number: str) -> Server:
    """The same server for somebody with a token of their own."""
    return replace(server, headers=servers.user(server.key, jti=number))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
