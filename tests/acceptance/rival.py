"""An engine in a process of its own, beside others on one data directory; it says what it did.

    python -m tests.acceptance.rival DATA_DIR MACHINE INSTANCE TYPE EVENTS AT_ONCE [AUTH_CONTEXT]

waits for a line on stdin, so that all begin together, and prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from smply.clock import SystemClock
from smply.engine import Engine, EngineSettings
from smply.runtime import Runtime, RuntimeSettings
from smply.store import Store, open_store


class Counting:
    """A real store that counts, per instance, the commits in a row that lost their race."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.lost = self.lost_in_a_row = self.lost_in_a_row_max = self.claims = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, *args: Any) -> bool:
        committed = await self._store.commit(*args)
        self.lost += not committed
        self.lost_in_a_row = 0 if committed else self.lost_in_a_row + 1
        self.lost_in_a_row_max = max(self.lost_in_a_row_max, self.lost_in_a_row)
        return committed

    async def claim(self, *args: Any) -> bool:
        self.claims += 1
        return await self._store.claim(*args)


async def race(
    path: Path, machine: str, name: str, kind: str, count: int, at_once: int, auth: bytes
) -> None:
    clock = SystemClock()
    store = Counting(await open_store(path / "smply.db", clock.now()))
    org = store.owner().org
    notices: list[str] = []
    runtime = Runtime(RuntimeSettings(), lambda _key, log: notices.append(log.text))
    engine = Engine(store, runtime, clock, EngineSettings(), notices.append)
    event = json.dumps({"type": kind}).encode()
    left = iter(range(count))
    answers = 0

    async def send_in_turn() -> None:
        nonlocal answers
        for _ in left:
            await engine.instances.send(org, machine, name, event, auth)
            answers += 1

    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.gather(*(send_in_turn() for _ in range(at_once)))
    await runtime.close()
    await store.close()
    told = {"answers": answers, "lost": store.lost, "in_a_row": store.lost_in_a_row_max}
    print(json.dumps({**told, "claims": store.claims, "notices": notices}))


if __name__ == "__main__":
    data_dir, machine, name, kind, events, at_once, *auth = sys.argv[1:]
    told = (auth or ["{}"])[0].encode()
    asyncio.run(race(Path(data_dir), machine, name, kind, int(events), int(at_once), told))
