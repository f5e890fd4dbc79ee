"""XState by itself, and smply beside it, started once for the run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.differential.bench import Bench, open_bench
from tests.differential.driver import Reference
from tests.runtime.conftest import lab, shared_lab


@pytest.fixture(scope="session")
async def reference(
    anyio_backend: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Reference]:
    started = await Reference.start(tmp_path_factory.mktemp("reference"))
    yield started
    await started.stop()


__all__ = ["bench", "lab", "reference", "shared_bench", "shared_lab"]


@pytest.fixture(scope="session")
def shared_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with open_bench(tmp_path_factory.mktemp("bench")) as bench:
        yield bench


@pytest.fixture
def bench(shared_bench: Bench) -> Bench:
    shared_bench.forget()
    return shared_bench
