"""Accounts on a real file, with a clock that a test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from smply.identity.access import Access
from smply.identity.callers import TokenIdentity
from smply.identity.jwks import KeySets
from smply.identity.secrets import open_sealer
from smply.store import open_store
from tests.conftest import ManualClock
from tests.identity.support import Desk


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def open_desk(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Callable[[], object]]:
    """Opens one more server on the same data."""
    opened = []

    async def open_one() -> Desk:
        store = await open_store(tmp_path / "smply.db", clock.now())
        opened.append(store)
        access = Access(store.accounts, open_sealer(tmp_path / "key"), clock, KeySets(clock))
        owner = store.owner()
        return Desk(access, TokenIdentity(access), owner.org, owner.user, clock)

    yield open_one
    for store in opened:
        await store.close()


@pytest.fixture
async def desk(open_desk: Callable[[], object]) -> Desk:
    return await open_desk()  # type: ignore[no-any-return, misc]
