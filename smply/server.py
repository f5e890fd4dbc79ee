"""The only place that joins the rooms: store, runtime, engine, identity and app."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import AsyncIterator, Callable, Hashable
from dataclasses import dataclass
from pathlib import Path

from starlette.types import ASGIApp

from smply.api import create_app, show_user
from smply.clock import Clock
from smply.directory import DataDirectory
from smply.engine import Engine, EngineSettings
from smply.identity import Identity, LocalIdentity
from smply.models import LogEntry, Notice
from smply.runtime import Log, Network, Runtime, RuntimeSettings, unenforced
from smply.store import Overdue, migrate, needs_migration, open_store

LOCAL_URL = "http://local.smply"
"""The address of the app in the process: no request to it leaves the process."""


@contextlib.asynccontextmanager
async def open_local(
    data_dir: Path,
    clock: Clock,
    on_log: Callable[[LogEntry], None],
    on_notice: Callable[[Notice], None],
    network: str = "public",
) -> AsyncIterator[ASGIApp]:
    """The app of the local profile, on SQLite in `data_dir`; made if it is not there.

    Every request is the owner's. `on_log` hears what machine code prints, `on_notice` what
    happened of itself. `network` is whom machine code may talk to, as in SMPLY_NETWORK. At the end
    begun actions have 5 s. Raises DataDirectoryError, and UsageError for a policy that is none.
    """
    async with open_rooms(data_dir, clock, on_log, on_notice, network) as rooms:
        yield create_app(rooms.engine, rooms.identity)


@dataclass(frozen=True, slots=True)
class Rooms:
    """What an app, or a protocol beside it, is made of."""

    engine: Engine
    identity: Identity


@contextlib.asynccontextmanager
async def open_rooms(
    data_dir: Path,
    clock: Clock,
    on_log: Callable[[LogEntry], None],
    on_notice: Callable[[Notice], None],
    network: str = "public",
) -> AsyncIterator[Rooms]:
    """The rooms of the local profile, joined, as `open_local` tells."""
    settings = RuntimeSettings(network=Network.parse(network))
    _collect_less_often()

    def notice(sentence: str) -> None:
        on_notice(Notice(sentence))

    with DataDirectory(data_dir) as directory:
        if not directory.database.exists() and (limits := unenforced()) is not None:
            notice(limits)
        directory.hold(needs_migration, migrate)
        store = await open_store(directory.database, clock.now())
        runtime = Runtime(settings, lambda key, log: on_log(_entry(key, log)))
        try:
            engine = Engine(store, runtime, clock, EngineSettings(deliver_on_read=True), notice)
            owner = store.owner()
            yield Rooms(engine, LocalIdentity(owner.org, show_user(owner.user)))
            overdue = engine.instances.overdue_elsewhere(owner.org)
            if overdue is not None:
                notice(_overdue_sentence(overdue))
        finally:
            try:
                for action in await runtime.close():
                    notice(action)
            finally:
                await store.close()


def _collect_less_often() -> None:
    """What is there by now stays, and an event leaves no cycles [a tenth of the engine's CPU]."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _entry(key: Hashable, log: Log) -> LogEntry:
    assert isinstance(key, tuple), "the engine's key of a process is org, version, machine, shard"
    return LogEntry(key[2], log.name, log.phase, log.stream, log.text)


def _overdue_sentence(overdue: Overdue) -> str:
    others = (
        "1 other instance has" if overdue.count == 1 else f"{overdue.count} other instances have"
    )
    return (
        f"{others} overdue timers; `smply instances get -m {overdue.machine}"
        f" -i {overdue.instance}` makes those of {overdue.instance}"
    )
