"""The only place that joins the rooms: store, runtime, engine, identity and app."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import AsyncIterator, Callable, Hashable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from smply.api import Audit, create_app
from smply.clock import Clock
from smply.directory import DataDirectory
from smply.engine import Engine, EngineSettings
from smply.identity import Identity, LocalIdentity
from smply.models import LogEntry, Notice
from smply.runtime import Log, Network, Runtime, RuntimeSettings, unenforced
from smply.store import Overdue, Owner, Store, migrate, needs_migration, open_store

if TYPE_CHECKING:
    from smply.identity import Access

LOCAL_URL = "http://local.smply"
"""The address of the app in the process: no request to it leaves the process."""


@contextlib.asynccontextmanager
async def open_local(
    data_dir: Path,
    clock: Clock,
    on_log: Callable[[LogEntry], None],
    on_notice: Callable[[Notice], None],
    network: str = "public",
    *,
    asks_for_tokens: bool = False,
) -> AsyncIterator[ASGIApp]:
    """The app of the local profile, on SQLite in `data_dir`; made if it is not there.

    Every request is the owner's, unless it `asks_for_tokens` as a server does. `on_log` hears what
    machine code prints, `on_notice` what happened of itself. `network` is whom machine code may
    talk to, as in SMPLY_NETWORK. At the end begun actions have 5 s. Raises DataDirectoryError, and
    UsageError for a policy that is none.
    """
    settings = EngineSettings(deliver_on_read=True)
    async with open_directory(data_dir, clock, on_log, on_notice, network, settings) as opened:
        yield create_app(opened.engine, _identity(opened, asks_for_tokens), opened.audit, LOCAL_URL)
        overdue = opened.engine.instances.overdue_elsewhere(opened.owner.org)
        if overdue is not None:
            on_notice(Notice(_overdue_sentence(overdue)))


@dataclass(frozen=True, slots=True)
class Opened:
    """A data directory with its rooms: the engine, who owns it, and who may come in.

    `access` is opened by the first who needs it, since its libraries are large.
    """

    engine: Engine
    owner: Owner
    access: Callable[[], Access]
    audit: Audit


@contextlib.asynccontextmanager
async def open_directory(
    data_dir: Path,
    clock: Clock,
    on_log: Callable[[LogEntry], None],
    on_notice: Callable[[Notice], None],
    network: str = "public",
    engine_settings: EngineSettings | None = None,
) -> AsyncIterator[Opened]:
    """The rooms of a data directory, joined, as `open_local` tells."""
    settings = RuntimeSettings(network=Network.parse(network))
    _collect_less_often()

    def notice(sentence: str) -> None:
        on_notice(Notice(sentence))

    with DataDirectory(data_dir) as directory:
        if not directory.database.exists() and (limits := unenforced()) is not None:
            notice(limits)
        directory.hold(needs_migration, migrate)
        store = await open_store(directory.database, clock.now())
        opened: list[Engine] = []

        def hear(key: Hashable, log: Log) -> None:
            assert isinstance(key, tuple), "the engine's key of a process"
            org, version, machine, _shard = key
            for engine in opened:
                engine.logs.note(org, machine, log.name or "", version, log.stream, log.text)
            on_log(LogEntry(machine, log.name, log.phase, log.stream, log.text))

        runtime = Runtime(settings, hear)
        try:
            engine = Engine(store, runtime, clock, engine_settings or EngineSettings(), notice)
            opened.append(engine)
            access = cache(lambda: _access(directory, store, clock))
            yield Opened(engine, store.owner(), access, Audit(store.accounts.add_audit, clock))
        finally:
            try:
                for action in await runtime.close():
                    notice(action)
                for engine in opened:
                    await engine.logs.flush()
                    await engine.meter.flush()
            finally:
                await store.close()


def _identity(opened: Opened, asks_for_tokens: bool) -> Identity:
    if not asks_for_tokens:
        return LocalIdentity(opened.owner, opened.access)
    from smply.identity import TokenIdentity

    return TokenIdentity(opened.access())


def _access(directory: DataDirectory, store: Store, clock: Clock) -> Access:
    """The accounts of a directory. Their libraries are imported by the first who needs them."""
    from smply.identity import Access, KeySets, open_sealer

    sealer = open_sealer(directory.key, must_exist=store.accounts.has_secrets())
    return Access(store.accounts, sealer, clock, KeySets(clock))


def _collect_less_often() -> None:
    """What is there by now stays, and an event leaves no cycles [a tenth of the engine's CPU]."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _overdue_sentence(overdue: Overdue) -> str:
    others = (
        "1 other instance has" if overdue.count == 1 else f"{overdue.count} other instances have"
    )
    return (
        f"{others} overdue timers; `smply instances get -m {overdue.machine}"
        f" -i {overdue.instance}` makes those of {overdue.instance}"
    )
