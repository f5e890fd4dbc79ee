"""Durable events over HTTP: `python -m tests.benchmarks [ROUNDS]`.

The app under uvicorn on loopback with the local Identity; 1,000 instances of an XState 5 toggler,
64 connections, the load from a process of its own. Prints requests/s, p50, p99 and the CPU of a
request split into event loop, writer (the other threads of the server) and Deno, beside the
budgets of the design.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from smply.client import AsyncClient

INSTANCES = 1_000
CONNECTIONS = 64
EVENTS = 20_000
MACHINE = Path(__file__).parent / "toggler.js"


@dataclass(frozen=True)
class Cpu:
    """Seconds of CPU that a server has used so far."""

    loop: float
    writer: float
    deno: float


@dataclass(frozen=True)
class Row:
    rate: float
    p50: float
    p99: float
    loop: float
    writer: float
    deno: float
    generator_share: float


def _used(pid: int) -> Cpu:
    threads = {
        int(task.name): _thread_seconds(task) for task in Path(f"/proc/{pid}/task").iterdir()
    }
    loop = threads.pop(pid)
    children = [child for task in Path(f"/proc/{pid}/task").iterdir() for child in _children(task)]
    deno = sum(_process_seconds(child) for child in children)
    return Cpu(loop, sum(threads.values()), deno)


def _thread_seconds(task: Path) -> float:
    return int((task / "schedstat").read_text().split()[0]) / 1e9


def _process_seconds(pid: int) -> float:
    return sum(_thread_seconds(task) for task in Path(f"/proc/{pid}/task").iterdir())


def _children(task: Path) -> list[int]:
    return [int(pid) for pid in (task / "children").read_text().split()]


def _requests(kind: str, round_: int) -> Iterator[str]:
    act = {"x-statebacked-act": '{"sub":"bench"}', "content-type": "application/json"}
    if kind == "create":
        for number in range(INSTANCES):
            body = json.dumps({"slug": f"i{round_}-{number}"})
            yield json.dumps(["POST", "/machines/bench", act, body])
    for number in range(EVENTS) if kind != "create" else ():
        path = f"/machines/bench/i/i{round_}-{number % INSTANCES}"
        if kind == "send":
            yield json.dumps(["POST", f"{path}/events", act, '{"event":"toggle"}'])
        else:
            yield json.dumps(["GET", path, act, ""])


def _measure(port: int, pid: int, kind: str, round_: int) -> Row:
    lines = list(_requests(kind, round_))
    before = _used(pid)
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.generator", str(port), str(CONNECTIONS)],
        input="\n".join(lines), stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    after, result = _used(pid), json.loads(done.stdout)
    assert result["errors"] == 0, f"{result['errors']} requests failed"
    count = len(lines)
    used = Cpu(after.loop - before.loop, after.writer - before.writer, after.deno - before.deno)
    return Row(
        rate=count / result["seconds"],
        p50=result["p50"],
        p99=result["p99"],
        loop=1e6 * used.loop / count,
        writer=1e6 * used.writer / count,
        deno=1e6 * used.deno / count,
        generator_share=result["cpu"] / (result["cpu"] + used.loop + used.writer + used.deno),
    )


def _line(kind: str, rows: list[Row]) -> str:
    def middle(name: str) -> float:
        return float(statistics.median(getattr(row, name) for row in rows))

    parts = [middle(name) for name in ("loop", "writer", "deno")]
    cells = [
        kind, f"{middle('rate'):,.0f}", f"{middle('p50'):.1f}", f"{middle('p99'):.1f}",
        f"{sum(parts):.0f}", *(f"{part:.0f}" for part in parts), f"{middle('generator_share'):.0%}",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


async def _publish(port: int) -> None:
    async with AsyncClient(f"http://127.0.0.1:{port}") as client:
        await client.machines.create("bench")
        await client.versions.create("bench", MACHINE.read_bytes(), make_current=True)


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.server", directory],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        assert server.stdout is not None
        try:
            port = int(server.stdout.readline())
            asyncio.run(_publish(port))
            rows: dict[str, list[Row]] = {"create": [], "send": [], "read": []}
            for round_ in range(rounds):
                for kind, measured in rows.items():
                    measured.append(_measure(port, server.pid, kind, round_))
        finally:
            server.terminate()
            server.wait(20)
    print("| request | per s | p50 ms | p99 ms | CPU µs | loop | writer | Deno | generator |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for kind, measured in rows.items():
        print(_line(kind, measured))
    print("| budget of send | | | | 100 | 45 | 25 | 30 | under 30% |")
    print("| budget of read | | | | 60 | | | | |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
