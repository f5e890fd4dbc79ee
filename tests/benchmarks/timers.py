"""How late timers are: `python -m tests.benchmarks.timers [ROUNDS]`.

2,000 instances with a timer each, due within 2 s, on a server that is asked nothing meanwhile.
Prints p50, p99 and the latest in ms, medians of the rounds: how long after it was due the
transition of a timer was made, by the server's own clock.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import apsw

from tests.benchmarks import servers
from tests.benchmarks.__main__ import CONNECTIONS, measure
from tests.benchmarks.servers import Server

_TIMERS = 2_000
_WITHIN_MS = 2_000
_AHEAD_MS = 3_000
_MACHINE = b"""
import { createMachine } from "npm:xstate@5";
export default createMachine({
  context: ({ input }) => input, initial: "on",
  states: { on: { after: { due: "off" } }, off: {} },
}, { delays: { due: ({ context }) => context.delay } });
export const allowRead = () => true;
export const allowWrite = () => true;
"""
_LATE = """
SELECT t.ts - b.ts - json_extract(b.context, '$.delay') FROM instances i
JOIN transitions b ON b.instance = i.id AND b.seq = 1
JOIN transitions t ON t.instance = i.id AND t.seq = 2
WHERE i.name GLOB ?
"""


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name, servers.smply(Path(name) / "data", {}) as server:
        with server.client() as client:
            client.machines.create("timed")
            client.versions.create("timed", _MACHINE, make_current=True)
        late = [_round(server, Path(name) / "data", f"r{number}") for number in range(rounds)]
    middle = [
        statistics.median(each[place] for each in late)
        for place in (_TIMERS // 2, _TIMERS * 99 // 100, -1)
    ]
    print("{} timers: p50 {:.0f} ms, p99 {:.0f} ms, the latest {:.0f} ms".format(_TIMERS, *middle))


def _round(server: Server, directory: Path, run: str) -> list[int]:
    """The lateness of each timer, in ms, least first."""
    births = [
        server.request(
            "POST", "/machines/timed",
            {"slug": f"{run}-{number}",
             "context": {"delay": _AHEAD_MS + number * _WITHIN_MS // _TIMERS}},
        )
        for number in range(_TIMERS)
    ]  # fmt: skip
    measure(server, births, CONNECTIONS)
    database = apsw.Connection(str(directory / "smply.db"), flags=apsw.SQLITE_OPEN_READONLY)
    late: list[int] = []
    while len(late) < _TIMERS:
        time.sleep(1)
        late = sorted(row[0] for row in database.execute(_LATE, (f"{run}-*",)))
    database.close()
    return late


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
