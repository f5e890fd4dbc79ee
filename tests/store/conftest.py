"""Stores on real files. An implementation joins the suite by its own `opener`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from smply.store import Store, open_store

from .support import NOW, World, furnish

Opener = Callable[[], Awaitable[Store]]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "smply.db"


@pytest.fixture
async def opener(path: Path, anyio_backend: str) -> AsyncIterator[Opener]:
    """Opens one more store on the same data."""
    opened: list[Store] = []

    async def opener() -> Store:
        opened.append(await open_store(path, NOW))
        return opened[-1]

    yield opener
    for store in opened:
        await store.close()


@pytest.fixture
async def store(opener: Opener) -> Store:
    return await opener()


@pytest.fixture
async def world(store: Store) -> World:
    return await furnish(store)
