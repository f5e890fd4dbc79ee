"""A store that kills its process at one of its writes; and the command line with such a store.

    python -m tests.acceptance.crash AT WHEN instances send-event …

dies at write number AT, `before` its commit reaches the disk or `after` that, before the answer.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from smply import cli, server
from smply.store import Store, open_store

EFFECT_SECONDS = 0.05
"""Time for the effects of a step to be seen, should they have begun before its commit."""


class DyingStore:
    """A real store that counts its writes, and does not outlive one of them."""

    def __init__(self, store: Any, at: int, when: str) -> None:
        self._store = store
        self._at = at
        self._when = when
        self.writes: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name == "close" or not asyncio.iscoroutinefunction(found):
            return found
        return self._dying(name, found)

    def _dying(self, name: str, write: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        async def call(*args: Any, **options: Any) -> Any:
            self.writes.append(name)
            if len(self.writes) != self._at:
                return await write(*args, **options)
            await asyncio.sleep(EFFECT_SECONDS)
            if self._when == "before":
                # All of it is written, and the COMMIT about to begin.
                self._store._writer._connection.set_commit_hook(die)
            await write(*args, **options)
            return die()

        return call


def die() -> bool:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


async def open_dying(path: Path, now: int, at: int, when: str) -> Any:
    """The store in this file; write number `at` (0: none) is the last."""
    return DyingStore(await open_store(path, now), at, when)


if __name__ == "__main__":
    at, when = int(sys.argv[1]), sys.argv[2]

    async def _open(path: Path, now: int) -> Store:
        store: Store = await open_dying(path, now, at, when)
        return store

    setattr(server, "open_store", _open)  # noqa: B010  # mypy is told nothing of this
    cli.main(sys.argv[3:])
