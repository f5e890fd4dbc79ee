"""One runtime with real Deno for most tests here; `hasty` has shorter patience."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from smply.runtime import RuntimeSettings
from tests.runtime.support import Lab


@pytest.fixture(scope="session")
async def shared_lab(anyio_backend: str) -> AsyncIterator[Lab]:
    lab = Lab(RuntimeSettings(processes_max=4))
    yield lab
    await lab.runtime.close(0)


@pytest.fixture
def lab(shared_lab: Lab) -> Lab:
    shared_lab.logs.clear()
    return shared_lab


@pytest.fixture
async def hasty(anyio_backend: str) -> AsyncIterator[Lab]:
    """A runtime whose steps have half a second."""
    lab = Lab(RuntimeSettings(step_seconds=0.5, load_seconds=2.0, processes_max=2))
    yield lab
    await lab.runtime.close(0)
