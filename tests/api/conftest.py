from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from smply.api import Audit, create_app
from smply.engine import Engine, EngineSettings
from smply.identity import Access, KeySets, TokenIdentity, open_sealer
from smply.runtime import Runtime
from smply.store import open_store
from tests.api.support import Served
from tests.conftest import ManualClock


@pytest.fixture
async def served(tmp_path: Path, runtime: Runtime) -> AsyncIterator[Served]:
    clock = ManualClock()
    store = await open_store(tmp_path / "smply.db", clock.now())
    engine = Engine(store, runtime, clock, EngineSettings(), lambda sentence: None)
    access = Access(store.accounts, open_sealer(tmp_path / "key"), clock, KeySets(clock))
    app = create_app(
        engine, TokenIdentity(access), Audit(store.accounts.add_audit, clock), "http://test.smply"
    )
    owner = store.owner()
    _, token = await access.tokens.create(owner.user, "owner")
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(base_url="http://test.smply", transport=transport) as http:
        yield Served(http, access, clock, owner.org, owner.user, token, app)
    await store.close()
