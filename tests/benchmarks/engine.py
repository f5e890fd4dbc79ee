"""An event without HTTP: `python -m tests.benchmarks.engine [ROUNDS]`.

The engine, its Deno process and its store in one process; 1,000 instances, 64 callers. Prints
events/s and the CPU of the event loop's thread per event, socket and SQL statements included.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from smply.clock import SystemClock
from smply.engine import Engine, EngineSettings
from smply.runtime import Runtime, RuntimeSettings
from smply.store import open_store
from tests.benchmarks.__main__ import CONNECTIONS, EVENTS, INSTANCES
from tests.benchmarks.servers import MACHINE

_AUTH = b'{"sub":"bench"}'
_EVENT = b'{"type":"toggle"}'


async def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        clock = SystemClock()
        store = await open_store(Path(directory) / "smply.db", clock.now())
        runtime = Runtime(RuntimeSettings(), lambda _key, _log: None)
        engine = Engine(store, runtime, clock, EngineSettings(), print)
        org = store.owner().org
        await _publish(engine, org)
        measured = [await _round(engine, org) for _ in range(rounds)]
        await runtime.close(0)
        await store.close()
    rate = statistics.median(rate for rate, _ in measured)
    loop = statistics.median(loop for _, loop in measured)
    print(f"{rate:,.0f} events/s, {loop:.0f} µs of the event loop's thread each")


async def _publish(engine: Engine, org: bytes) -> None:
    await engine.machines.create(org, "bench")
    upload = await engine.machines.provision(org, "bench")
    await engine.machines.upload(upload.id, upload.secret, MACHINE.read_bytes(), False)
    await engine.machines.finalize(org, "bench", upload.handle, "", True)
    births = (
        engine.instances.create(org, "bench", f"i{number}", b"{}", None, "", _AUTH)
        for number in range(INSTANCES)
    )
    await asyncio.gather(*births)


async def _round(engine: Engine, org: bytes) -> tuple[float, float]:
    async def caller(first: int) -> None:
        for number in range(first, EVENTS, CONNECTIONS):
            await engine.instances.send(org, "bench", f"i{number % INSTANCES}", _EVENT, _AUTH)

    cpu, start = time.thread_time(), time.perf_counter()
    await asyncio.gather(*(caller(first) for first in range(CONNECTIONS)))
    seconds, used = time.perf_counter() - start, time.thread_time() - cpu
    return EVENTS / seconds, 1e6 * used / EVENTS


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
