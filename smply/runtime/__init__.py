"""The door to Deno: build a source, check a bundle, step a machine.

The processes that run machine code are started, watched and replaced behind it; what they may do
is told in `sandbox.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

from smply.runtime import sandbox
from smply.runtime.bundle import build_file
from smply.runtime.check import check_bundle
from smply.runtime.children import Home
from smply.runtime.pool import Host, Pool
from smply.runtime.process import Launch, Process
from smply.runtime.protocol import (
    Checked,
    Code,
    Delivery,
    Failed,
    Later,
    Log,
    Refused,
    Snapshot,
    StepEvent,
    Stepped,
)
from smply.runtime.sandbox import PUBLIC, Network, unenforced
from smply.runtime.trial import StepAnswer

__all__ = [
    "Checked",
    "Code",
    "Delivery",
    "Failed",
    "Host",
    "Later",
    "Log",
    "Network",
    "Refused",
    "Runtime",
    "RuntimeSettings",
    "Snapshot",
    "StepAnswer",
    "StepEvent",
    "Stepped",
    "unenforced",
]

_CHECKS_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """Limits of machine code and of its processes.

    `directory` is where sockets and the records of children go; None is one of this user's below
    the temporary directory. `heap_megabytes` is what a machine has for itself, beside the cache of
    `cache_bytes`. `network` is whom it may talk to in actions. `spares` are processes that wait
    blank for their machine, among `processes_max`; the instances of a version are spread over
    `shards` processes. An action that has run for `action_seconds` is stopped if its place is
    needed. A process that nobody asks anything is felt every `pulse_seconds`: it may loop of
    itself. `dist` is the built host.
    """

    directory: Path | None = None
    step_seconds: float = 2.0
    load_seconds: float = 5.0
    heap_megabytes: int = 128
    cache_bytes: int = 64 << 20
    processes_max: int = 20
    network: Network = PUBLIC
    spares: int = 0
    shards: int = 1
    action_seconds: float = 90.0
    pulse_seconds: float = 5.0
    dist: Path = sandbox.DIST


class Runtime:
    """Machine code, run in processes of Deno; nothing is started before it is needed."""

    def __init__(self, settings: RuntimeSettings, on_log: Callable[[Hashable, Log], None]) -> None:
        self._settings = settings
        self._on_log = on_log
        self._home: Home | None = None
        self._pool: Pool | None = None
        self._checks = asyncio.Semaphore(_CHECKS_AT_ONCE)

    @property
    def processes(self) -> int:
        """How many processes of machines live."""
        return 0 if self._pool is None else self._pool.living

    async def build(self, path: Path) -> bytes:
        """One bundle from a TypeScript or JavaScript file and what it imports (C16).

        BuildError tells what stands in the way, with file, line, column and the line itself.
        """
        self._open()
        assert self._home is not None
        return await build_file(path, self._home.path, self._settings.dist)

    async def check(self, code: bytes, label: str) -> Checked:
        """Load a bundle in a process of its own, without network, and look at its machine.

        `label` names it in stacks. BuildError when it can be no version (S14, S22, C16), NotBuilt
        when it asks for what smply does not do yet.
        """
        launch = replace(self._open().launch, network=Network("none"))
        async with self._checks:
            process = Process(launch)
            try:
                return await check_bundle(process, code, label, launch.load_seconds)
            finally:
                process.stop("was stopped")
                await process.wait()

    async def host(self, key: Hashable, load: Callable[[], Code]) -> Host:
        """The process of that key, started and loaded if need be.

        MachineError when its code does not load, Unavailable when no process is to be had.
        """
        return await self._open().host(key, load)

    def shard(self, name: str) -> int:
        """Which of the processes of a version runs the instance of this name.

        By its name, not its row: one that is being born has no row yet, and its state is to be
        found again in the process that made it.
        """
        shards = self._settings.shards
        return crc32(name.encode()) % shards if shards > 1 else 0

    async def close(self, wait_seconds: float = 5.0) -> list[str]:
        """Wait for actions that have begun, then stop everything.

        The answer says of each that did not end what became of it: "order-1: action notify was
        still running after 5 s and was stopped", "order-1: an action looped and was stopped".
        """
        if self._pool is None or self._home is None:
            return []
        pool, home = self._pool, self._home
        try:
            return await pool.close(wait_seconds)
        finally:
            home.close()
            self._pool = self._home = None

    def _open(self) -> Pool:
        if self._pool is None:
            settings = self._settings
            manifest = sandbox.read_manifest(settings.dist)
            self._home = Home(settings.directory)
            self._home.write("import-map.json", sandbox.import_map(settings.dist, manifest))
            launch = Launch(
                self._home,
                settings.dist,
                manifest,
                settings.step_seconds,
                settings.load_seconds,
                settings.heap_megabytes,
                settings.cache_bytes,
                settings.network,
                settings.action_seconds,
                settings.pulse_seconds,
            )
            self._pool = Pool(launch, settings.processes_max, settings.spares, self._on_log)
        return self._pool
