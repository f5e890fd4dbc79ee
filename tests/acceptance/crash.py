"""The command line with a store that kills its process right after an instance was written.

python -m tests.acceptance.crash instances send-event …
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from smply import cli, server
from smply.store import Store, open_store


class DyingStore:
    """A real store; the process dies between its commit and the answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def create_instance(self, *args: Any) -> None:
        await self._store.create_instance(*args)
        _die()

    async def commit(self, *args: Any) -> None:
        await self._store.commit(*args)
        _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


async def _open(path: Path, now: int) -> Any:
    return DyingStore(await open_store(path, now))


if __name__ == "__main__":
    setattr(server, "open_store", _open)  # noqa: B010  # mypy is told nothing of this
    cli.main(sys.argv[1:])
