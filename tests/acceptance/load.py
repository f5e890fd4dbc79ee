"""An engine at full load, to be killed at any instant: each acknowledged event is told.

    python -m tests.acceptance.load DATABASE INSTANCES

makes so many instances, says `ready`, then sends to all of them at once, for ever; each line is
the instance and the number of its event that was answered.
"""

from __future__ import annotations

import asyncio
import json
import sys
from itertools import count
from pathlib import Path

from smply.clock import SystemClock
from smply.engine import Engine, EngineSettings
from smply.runtime import Runtime, RuntimeSettings
from smply.store import open_store


async def load(path: Path, instances: int) -> None:
    store = await open_store(path, 0)
    org = store.owner().org
    runtime = Runtime(RuntimeSettings(), lambda _key, _log: None)
    engine = Engine(store, runtime, SystemClock(), EngineSettings(), lambda _: None).instances

    async def send_for_ever(name: str) -> None:
        for number in count(1):
            kind = "echo" if number % 5 == 0 else "poke"
            event = json.dumps({"type": kind, "number": number}).encode()
            await engine.send(org, "life", name, event, b"{}")
            print(name, number, flush=True)

    names = [f"i{number}" for number in range(instances)]
    for name in names:
        await engine.create(org, "life", name, b"{}", None, "", b"{}")
    print("ready", flush=True)
    await asyncio.gather(*map(send_for_ever, names))


if __name__ == "__main__":
    asyncio.run(load(Path(sys.argv[1]), int(sys.argv[2])))
