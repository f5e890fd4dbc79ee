"""What other processes do to a store in these tests; here, so that they can import it."""

from __future__ import annotations

import asyncio
from multiprocessing.connection import Connection
from pathlib import Path

from smply.store import Clear, Set, open_store

from .support import NOW, find


async def count_up(path: Path, times: int) -> None:
    """Move an instance that others move too: read, step, and again if the race is lost."""
    store = await open_store(path, NOW)
    mine = find(store)
    for _ in range(times):
        while True:
            row = store.get_instance(mine.org, "toggler", "session-1")
            assert row is not None
            if await mine.move(row.id, row.seq):
                break
    await store.close()


def count_up_alone(path: Path, times: int) -> None:
    asyncio.run(count_up(path, times))


def write_until_killed(path: Path, answers: Connection) -> None:
    """Chains of three steps, each with a delivery that the next one takes; tells each seq."""
    asyncio.run(_write_for_ever(path, answers))


async def _write_for_ever(path: Path, answers: Connection) -> None:
    store = await open_store(path, NOW)
    mine = find(store)
    while True:
        row = store.get_instance(mine.org, "toggler", "session-1")
        assert row is not None
        taken = store.deliveries(row.id)[0].id
        owed = [Clear(), Set(None, NOW, str(row.seq + 3))]
        chain = [
            mine.step(row.id, row.seq, took=taken),
            mine.step(row.id, row.seq + 1),
            mine.step(row.id, row.seq + 2, deliveries=owed),
        ]
        assert await mine.commit(chain)
        answers.send(row.seq + 3)
