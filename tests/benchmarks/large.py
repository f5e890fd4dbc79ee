"""An event among a million instances: `python -m tests.benchmarks.large [ROUNDS] [INSTANCES]`.

Fills a store with instances of 20 transitions each (a million take about 3 GB and half a minute)
and sends events to 1,000 of them, spread over all, beside the same load on an empty store.
Prints both rows and the ratio of their CPU.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import apsw

from tests.benchmarks import servers
from tests.benchmarks.__main__ import CONNECTIONS, INSTANCES, Row, line, measure
from tests.benchmarks.servers import Server

TRANSITIONS = 20
EVENTS = 20_000

_FILL = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
DROP INDEX transitions_of;
DROP INDEX instances_in_order;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {instances})
INSERT INTO instances (org, machine, name, version, created_at, seq, ts,
                       value, context, rest, answer, tags, done)
SELECT org, machine, 'full-' || i, version, created_at, {transitions}, ts,
       value, context, rest, answer, tags, done
FROM n, (SELECT * FROM instances WHERE name = 'first');
WITH RECURSIVE s(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM s WHERE seq < {transitions})
INSERT INTO transitions (instance, seq, ts, event, auth, cause, version, value, rest, context)
SELECT i.id, s.seq, t.ts, t.event, t.auth, t.cause, t.version, t.value, t.rest, t.context
FROM s CROSS JOIN instances i CROSS JOIN (SELECT * FROM transitions WHERE seq = 2) t
WHERE i.name <> 'first';
CREATE UNIQUE INDEX transitions_of ON transitions (instance, seq);
CREATE INDEX instances_in_order ON instances (machine, id);
"""


def _events(server: Server, names: list[str]) -> list[str]:
    return [server.event(names[number % len(names)]) for number in range(EVENTS)]


def _fill(directory: Path, instances: int) -> None:
    """Multiply one real instance and its first real event."""
    with servers.smply(directory, {}) as server:
        measure(server, [server.birth("first")], 1)
        measure(server, [server.event("first")], 1)
    connection = apsw.Connection(str(directory / "smply.db"))
    connection.execute(_FILL.format(instances=instances, transitions=TRANSITIONS)).fetchall()
    connection.pragma("journal_mode", "wal")
    connection.close()


def main(rounds: int, instances: int) -> None:
    spread = [f"full-{1 + number * (instances // INSTANCES)}" for number in range(INSTANCES)]
    few = [f"i{number}" for number in range(INSTANCES)]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        empty, full = Path(name) / "empty", Path(name) / "full"
        _fill(full, instances)
        running = [
            (stack.enter_context(servers.smply(empty, {})), few),
            (stack.enter_context(servers.smply(full, {})), spread),
        ]
        small = running[0][0]
        measure(small, [small.birth(name) for name in few], CONNECTIONS)
        rows: list[list[Row]] = [[], []]
        # So that both have the texts of these instances in their caches.
        for server, names in running:
            measure(server, [server.read(name) for name in names], CONNECTIONS)
        for _ in range(rounds):
            for (server, names), measured in zip(running, rows, strict=True):
                measured.append(measure(server, _events(server, names), CONNECTIONS))
        size = (full / "smply.db").stat().st_size / 1e9
    print(line("an empty store", "smply", rows[0]))
    print(line(f"{instances:,} instances, {size:.1f} GB", "smply", rows[1]))
    before, after = (statistics.median(row.cpu.total for row in measured) for measured in rows)
    print(f"{after / before:.2f} times the CPU of an event in an empty store")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    main(*(numbers + [3, 1_000_000][len(numbers) :]))
