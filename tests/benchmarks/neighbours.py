"""What one version feels of another that misbehaves: `python -m tests.benchmarks.neighbours`.

Sends to a quiet version, alone and while the machine of another one on the same server loops, or
eats its memory, again and again. Prints the p99 of each, in ms, and how many times that of the
quiet one alone it is: at most twice is what is asked for. Each figure is the median of ROUNDS.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from smply.client import Client
from tests.benchmarks import servers
from tests.benchmarks.servers import Server

_INSTANCES = 100
_HOSTILE = b"""
import { createMachine } from "npm:xstate@5";
const eaten = [];
const eat = () => { for (;;) eaten.push(new Array(100_000).fill({})); };
export default createMachine({
  on: { loop: { guard: () => { for (;;); } }, bomb: { guard: eat }, none: {} },
});
export const allowRead = () => true;
export const allowWrite = () => true;
"""


@dataclass(frozen=True)
class Load:
    """Requests to the quiet version, over connections that rest so many ms between two."""

    title: str
    connections: int
    requests: int
    pause: float


LOADS = [
    Load("8 connections that pause 10 ms", 8, 5_000, 10),
    Load("64 connections, as fast as they can", 64, 30_000, 0),
]


def main(rounds: int) -> None:
    print("| load | neighbour | p50 ms | p99 ms | times alone |\n| --- | --- |" + " ---: |" * 3)
    with tempfile.TemporaryDirectory() as directory, servers.smply(Path(directory), {}) as server:
        with server.client() as client:
            _publish(client)
        for load in LOADS:
            _compare(server, load, rounds)


def _compare(server: Server, load: Load, rounds: int) -> None:
    measured: dict[str, list[dict[str, float]]] = {"none": [], "loop": [], "bomb": []}
    for _ in range(rounds):
        for event, results in measured.items():
            with _neighbour(server, event):
                results.append(_send(server, load))
    middle = {
        event: [statistics.median(each[part] for each in results) for part in ("p50", "p99")]
        for event, results in measured.items()
    }
    for event, (p50, p99) in middle.items():
        ratio = p99 / middle["none"][1]
        print(f"| {load.title} | {event} | {p50:.1f} | {p99:.1f} | {ratio:.1f} |", flush=True)


def _publish(client: Client) -> None:
    for number in range(_INSTANCES):
        client.instances.create("bench", f"i{number}", act={"sub": "bench"})
    client.machines.create("hostile")
    client.versions.create("hostile", _HOSTILE, make_current=True)
    client.instances.create("hostile", "one", act={"sub": "bench"})


@contextmanager
def _neighbour(server: Server, event: str) -> Iterator[None]:
    """Somebody sends this event to the other version, and again as soon as it has failed."""
    if event == "none":
        yield
        return
    generator = _generator(server, 1)
    assert generator.stdin is not None
    request = server.request("POST", "/machines/hostile/i/one/events", {"event": event})
    generator.stdin.write("\n".join([request] * 1_000))
    generator.stdin.close()
    try:
        yield
        assert generator.poll() is None, "the neighbour did nothing that takes time"
    finally:
        generator.kill()
        generator.wait()


def _send(server: Server, load: Load) -> dict[str, float]:
    requests = [server.event(f"i{number % _INSTANCES}") for number in range(load.requests)]
    told, _ = _generator(server, load.connections, load.pause).communicate("\n".join(requests))
    result: dict[str, float] = json.loads(told)
    assert result["errors"] == 0, f"{result['errors']} requests failed"
    return result


def _generator(server: Server, connections: int, pause: float = 0) -> subprocess.Popen[str]:
    command = ["-m", "tests.benchmarks.generator", str(server.port), str(connections)]
    command += ["--pause", str(pause)] if pause else []
    return subprocess.Popen(
        [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
