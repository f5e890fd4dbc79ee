"""smply and XState side by side, in an event loop that a test without one can use.

Unlike the fixture `world`, a bench is closed and opened again on its database: as when a command
ends and the next one begins, nothing is left of it but what was stored. And its steps can be lost.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from smply.runtime import (
    Code,
    Host,
    Log,
    Runtime,
    RuntimeSettings,
    Snapshot,
    StepAnswer,
    StepEvent,
)
from tests.conftest import ManualClock, World, open_world
from tests.differential.driver import (
    Moment,
    Reference,
    Run,
    Step,
    create,
    first_difference,
    kill_processes,
    look,
    publish,
    take,
)

SHRINKING_SECONDS_MAX = 90.0
"""Hypothesis would go on until the whole run is ended for taking too long."""


class Smallest(BaseException):
    """The smallest difference that was found in the time there is.

    Hypothesis takes an Exception for one more failure that is to be shrunk.
    """


class Mishap(StrEnum):
    """What befalls smply before a step, or in it."""

    NONE = "none"
    DISCARD = "discard"
    """The step is made and dropped, as one that lost a race, and made again."""
    KILL = "kill"
    """Every process of Deno is killed."""
    REOPEN = "reopen"
    """The engine, its store and its processes are closed and opened again."""


Plan = Sequence[tuple[Mishap, Step]]


class _Hasty:
    """A host whose steps are lost when they are made for the first time, if `runtime` says so."""

    def __init__(self, runtime: _HastyRuntime, host: Host) -> None:
        self._runtime = runtime
        self._host = host

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    async def step(
        self, instance: int, name: str, base: int, snapshot: Callable[[], Snapshot],
        events: Sequence[StepEvent],
    ) -> list[StepAnswer]:  # fmt: skip
        if not self._runtime.hasty:
            return await self._host.step(instance, name, base, snapshot, events)
        lost = await self._host.step(instance, name, base, snapshot, events)
        self._host.drop(instance, base + 1)
        again = await self._host.step(instance, name, base, snapshot, events)
        assert again == lost
        return again


class _HastyRuntime(Runtime):
    """A runtime whose hosts can be made hasty."""

    hasty = False

    async def host(self, key: Hashable, load: Callable[[], Code]) -> Host:
        host = await super().host(key, load)
        return cast(Host, _Hasty(self, host))


class Bench:
    """Runs machines through smply and XState; all machines share a database."""

    def __init__(self, runner: asyncio.Runner, directory: Path) -> None:
        self._runner = runner
        self._directory = directory
        self._clock = ManualClock()
        self._heard: list[Log] = []
        self._open = AsyncExitStack()
        self._names = (f"machine-{n}" for n in itertools.count())
        self._found: list[str] = []
        self._shrunk_by: float | None = None

    async def start(self) -> None:
        self._reference = await Reference.start(self._directory)
        await self._enter()

    async def stop(self) -> None:
        await self._open.aclose()
        await self._reference.stop()

    def moments(self, source: str, plan: Plan) -> list[Moment]:
        """What smply makes of a machine, at the start and after each step."""
        return self._runner.run(self._through_smply(Run(next(self._names), source, []), plan))

    def difference(self, source: str, plan: Plan) -> str | None:
        """Where smply and XState part, or None if they do not.

        Raises Smallest when a search for the smallest difference has taken long enough.
        """
        found = self._runner.run(self._difference(source, plan))
        if found is not None:
            self._found.append(found)
            self._shrunk_by = self._shrunk_by or time.monotonic() + SHRINKING_SECONDS_MAX
        if self._shrunk_by and time.monotonic() > self._shrunk_by:
            raise Smallest(min(self._found, key=len))
        return found

    def forget(self) -> None:
        """Begin a new search."""
        self._found = []
        self._shrunk_by = None

    async def _difference(self, source: str, plan: Plan) -> str | None:
        ours = await self._through_smply(Run(next(self._names), source, []), plan)
        theirs = await self._reference.run(source, [step for _, step in plan])
        place = first_difference(ours, theirs)
        if place is None:
            return None
        return (
            f"{source}\nafter the start and {json.dumps(plan[:place])}\n"
            f"XState:\n{theirs[place]}\nsmply:\n{ours[place]}\n"
        )

    async def _through_smply(self, run: Run, plan: Plan) -> list[Moment]:
        self._heard.clear()
        await publish(self._world, run)
        await create(self._world, run.name, run.name)
        moments = [await look(self._world, run.name, run.name)]
        for mishap, step in plan:
            await self._befall(mishap)
            self._heard.clear()
            if isinstance(step, int):
                self._clock.time += step
            moments.append(await take(self._world, run.name, run.name, step))
        assert not self._world.notices
        return moments

    async def _befall(self, mishap: Mishap) -> None:
        self._runtime.hasty = mishap is Mishap.DISCARD
        if mishap is Mishap.KILL:
            await kill_processes(self._runtime, self._world.org)
        elif mishap is Mishap.REOPEN:
            await self._open.aclose()
            await self._enter()

    async def _enter(self) -> None:
        self._runtime = _HastyRuntime(RuntimeSettings(processes_max=2), self._hear)
        self._open.push_async_callback(self._runtime.close, 0.0)
        world = open_world(self._directory / "smply.db", self._clock, self._runtime, self._heard)
        self._world: World = await self._open.enter_async_context(world)

    def _hear(self, _key: Hashable, log: Log) -> None:
        self._heard.append(log)


@contextmanager
def open_bench(directory: Path) -> Iterator[Bench]:
    with asyncio.Runner() as runner:
        bench = Bench(runner, directory)
        runner.run(bench.start())
        yield bench
        runner.run(bench.stop())
