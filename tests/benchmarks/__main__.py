"""Durable events over HTTP: `python -m tests.benchmarks [ROUNDS] [--alone]`.

smply beside two hand-written Node services in the same run, which take turns (`--alone`: smply
only). Prints for each load requests/s, p50, p99, and the CPU of a request split into event loop,
writer (the other threads of the server) and Deno. At the end smply is killed with -9 under full
load, and what it had acknowledged is looked for.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import killed, servers
from tests.benchmarks.servers import Cpu, Server

INSTANCES = 1_000
CONNECTIONS = 64
EVENTS = 20_000


@dataclass(frozen=True)
class Load:
    """What is asked of a server: requests of one kind, over so many connections."""

    title: str
    kind: str
    connections: int
    instances: int
    requests: int
    peers: bool = True

    def lines(self, server: Server, run: str) -> Iterator[str]:
        """The requests of one round; each round has instances of its own."""
        made = server.event if self.kind == "send" else server.read
        for number in range(self.requests):
            yield made(f"{run}-{number % self.instances}")

    def births(self, server: Server, run: str) -> list[str]:
        return [server.birth(f"{run}-{number}") for number in range(self.instances)]


FAST = [
    Load("64 connections", "send", CONNECTIONS, INSTANCES, EVENTS),
    Load("64 connections, read", "read", CONNECTIONS, INSTANCES, EVENTS, peers=False),
    Load("one instance, 16 connections", "send", 16, 1, EVENTS),
    Load("one client alone", "send", 1, 100, 3_000),
]
SLOW = [
    Load("slow disk, 64 connections", "send", CONNECTIONS, INSTANCES, 3_000),
    Load("slow disk, one instance, 16 connections", "send", 16, 1, 3_000),
]


@dataclass(frozen=True)
class Row:
    rate: float
    p50: float
    p99: float
    cpu: Cpu
    generator_share: float


def measure(server: Server, lines: list[str], connections: int) -> Row:
    """Send these requests, each once, as fast as so many connections can."""
    before = server.used()
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.generator", str(server.port), str(connections)],
        input="\n".join(lines), stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    used, result, count = server.used().since(before), json.loads(done.stdout), len(lines)
    assert result["errors"] == 0, f"{result['errors']} requests failed"
    return Row(
        rate=count / result["seconds"],
        p50=result["p50"],
        p99=result["p99"],
        cpu=Cpu(*(1e6 * part / count for part in (used.loop, used.writer, used.deno))),
        generator_share=result["cpu"] / (result["cpu"] + used.total),
    )


def _rounds(loads: list[Load], running: list[Server], rounds: int) -> None:
    rows: dict[tuple[str, str], list[Row]] = {}
    for round_ in range(rounds):
        for number, load in enumerate(loads):
            for server in running if load.peers else running[:1]:
                run = f"r{round_}-{number}"
                born = measure(server, load.births(server, run), CONNECTIONS)
                if load is FAST[0]:
                    rows.setdefault(("64 connections, create", server.name), []).append(born)
                made = measure(server, list(load.lines(server, run)), load.connections)
                rows.setdefault((load.title, server.name), []).append(made)
    for (title, name), measured in rows.items():
        print(line(title, name, measured), flush=True)


def line(title: str, name: str, rows: list[Row]) -> str:
    def middle(values: Iterator[float]) -> float:
        return float(statistics.median(values))

    parts = [
        middle(row.cpu.loop for row in rows),
        middle(row.cpu.writer for row in rows),
        middle(row.cpu.deno for row in rows),
    ]
    cells = [
        title, name, f"{middle(row.rate for row in rows):,.0f}",
        f"{middle(row.p50 for row in rows):.1f}", f"{middle(row.p99 for row in rows):.1f}",
        f"{sum(parts):.0f}", *(f"{part:.0f}" for part in parts),
        f"{middle(row.generator_share for row in rows):.0%}",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def _serve(stack: ExitStack, directory: Path, disk: dict[str, str], alone: bool) -> list[Server]:
    directory.mkdir()
    running = [stack.enter_context(servers.smply(directory, disk))]
    if not alone:
        running += [
            stack.enter_context(servers.peer(mode, directory, disk)) for mode in ("sqlite", "group")
        ]
    return running


def main(rounds: int, alone: bool) -> None:
    head = "load server per&nbsp;s p50&nbsp;ms p99&nbsp;ms CPU&nbsp;µs loop writer Deno generator"
    print("| " + " | ".join(head.replace("&nbsp;", "\u00a0").split(" ")) + " |")
    print("| --- | --- |" + " ---: |" * 8)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        directory = Path(name)
        for loads, disk in ((FAST, {}), (SLOW, servers.slow_disk(directory))):
            running = _serve(stack, directory / f"data{len(disk)}", disk, alone)
            _rounds(loads, running, rounds)
        print(killed.under_load(directory / "killed"))


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("rounds", type=int, nargs="?", default=5)
    options.add_argument("--alone", action="store_true")
    given = options.parse_args()
    main(given.rounds, given.alone)
