"""Memory of a server once it has touched many instances: `python -m tests.benchmarks.memory [N]`.

Creates N (100,000) instances and sends each an event; prints the resident memory of the server and
of its machines' processes before, between and after, in MB.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.benchmarks import servers
from tests.benchmarks.__main__ import CONNECTIONS, measure
from tests.benchmarks.servers import Server


def main(instances: int) -> None:
    print("| | server MB | machines MB |\n| --- | ---: | ---: |")
    names = [f"i{number}" for number in range(instances)]
    with tempfile.TemporaryDirectory() as name, servers.smply(Path(name) / "data", {}) as server:
        _tell("started", server)
        measure(server, [server.birth(name) for name in names], CONNECTIONS)
        _tell(f"{instances:,} instances created", server)
        measure(server, [server.event(name) for name in names], CONNECTIONS)
        _tell("an event to each", server)


def _tell(title: str, server: Server) -> None:
    machines = sum(_resident(child) for child in server.children())
    print(f"| {title} | {_resident(server.process.pid):.0f} | {machines:.0f} |", flush=True)


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
