"""Real things, started once for the run: a runtime with real Deno, stores on real SQLite."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest

from smply.api import Audit, create_app
from smply.client import AsyncClient
from smply.engine import Engine, EngineSettings
from smply.identity import LocalIdentity
from smply.identity.access import Access
from smply.runtime import Log, Runtime, RuntimeSettings
from smply.store import Store, open_store

MACHINES = Path(__file__).parent / "machines"

TEST_SECONDS = 60
"""What an async test may take. What hangs elsewhere ends the run: `faulthandler_timeout`."""

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")
TIMES = 10 if PROFILE == "long" else 1
"""How many examples the deep check draws for each one of the ordinary run."""

# Nobody's own keyring: tests bring theirs.
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"

# So it is for what a shell runs in the background, or nohup, and for all commands started here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, max_examples=100)
hypothesis.settings.register_profile("long", deadline=None, max_examples=100 * TIMES)
hypothesis.settings.load_profile(PROFILE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = _in_time(item.obj)


def _in_time(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def run(*args: Any, **fixtures: Any) -> None:
        async with asyncio.timeout(TEST_SECONDS):
            await test(*args, **fixtures)

    return run


def no_access() -> Access:
    """For a local identity that nobody asks for accounts."""
    raise AssertionError("somebody asks for accounts")


def audit_of(world: World) -> Audit:
    return Audit(world.store.accounts.add_audit, world.clock)


class ManualClock:
    """A clock that a test moves."""

    def __init__(self, now: int = 1_800_000_000_000) -> None:
        self.time = now

    def now(self) -> int:
        return self.time

    def monotonic(self) -> float:
        return self.time / 1000

    async def sleep_until(self, due: int) -> None:
        self.time = max(self.time, due)


@dataclass
class World:
    """A server in the process: its parts, and what it said."""

    clock: ManualClock
    store: Store
    engine: Engine
    client: AsyncClient
    org: bytes
    notices: list[str]
    logs: list[Log] = field(default_factory=list)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def heard() -> list[Log]:
    """What machine code of the shared runtime printed."""
    return []


@pytest.fixture(scope="session")
async def runtime(anyio_backend: str, heard: list[Log]) -> AsyncIterator[Runtime]:
    def hear(_key: Hashable, log: Log) -> None:
        heard.append(log)

    shared = Runtime(RuntimeSettings(processes_max=6), hear)
    yield shared
    await shared.close()


@pytest.fixture(scope="session")
def bundle(runtime: Runtime) -> Callable[[str], Awaitable[bytes]]:
    """Builds a machine of tests/machines, once for the run."""
    built: dict[str, bytes] = {}

    async def build(name: str) -> bytes:
        if name not in built:
            built[name] = await runtime.build(MACHINES / name)
        return built[name]

    return build


@contextlib.asynccontextmanager
async def open_world(
    database: Path, clock: ManualClock, runtime: Runtime, heard: list[Log]
) -> AsyncIterator[World]:
    """A server on a database, which may be there already, until it is closed again."""
    store = await open_store(database, clock.now())
    notices: list[str] = []
    settings = EngineSettings(deliver_on_read=True)
    engine = Engine(store, runtime, clock, settings, notices.append)
    owner = store.owner()
    app = create_app(
        engine,
        LocalIdentity(owner, no_access),
        Audit(store.accounts.add_audit, clock),
        "http://test.smply",
    )
    transport = httpx.ASGITransport(app=app)
    async with AsyncClient("http://test.smply", transport=transport) as client:
        yield World(clock, store, engine, client, owner.org, notices, heard)
    await store.close()


@pytest.fixture
async def world(tmp_path: Path, runtime: Runtime, heard: list[Log]) -> AsyncIterator[World]:
    heard.clear()
    async with open_world(tmp_path / "smply.db", ManualClock(), runtime, heard) as world:
        yield world


@pytest.fixture
def publish(
    world: World, bundle: Callable[[str], Awaitable[bytes]]
) -> Callable[[str, str], Awaitable[str]]:
    """Publishes a machine of tests/machines under a name; returns the version's id."""

    async def publish_as(name: str, file: str) -> str:
        await world.client.machines.create(name)
        code = await bundle(file)
        return await world.client.versions.create(name, code, make_current=True)

    return publish_as
