"""XState by itself, started once for the run."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.differential.driver import Reference


@pytest.fixture(scope="session")
async def reference(
    anyio_backend: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Reference]:
    started = await Reference.start(tmp_path_factory.mktemp("reference"))
    yield started
    await started.stop()
