"""smply and XState side by side, in an event loop that a test without one can use.

Unlike the fixture `world`, a bench is closed and opened again on its database: as when a command
ends and the next one begins, nothing is left of it but what was stored.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Hashable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from enum import StrEnum
from pathlib import Path

from smply.runtime import Log, Runtime, RuntimeSettings
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

SHRINKING_SECONDS_MAX = 120.0
"""After that, hypothesis has to be content with what it has found."""


class Restart(StrEnum):
    """What is begun anew before a step."""

    NOTHING = "nothing"
    PROCESS = "process"
    """Every process of Deno is killed."""
    COMMAND = "command"
    """The engine, its store and its processes are closed and opened again."""


Plan = Sequence[tuple[Restart, Step]]


class Bench:
    """Runs machines through smply and XState; all machines share a database."""

    def __init__(self, runner: asyncio.Runner, directory: Path) -> None:
        self._runner = runner
        self._directory = directory
        self._clock = ManualClock()
        self._heard: list[Log] = []
        self._open = AsyncExitStack()
        self._names = (f"machine-{n}" for n in itertools.count())
        self._found: dict[tuple[str, str], str | None] = {}
        self._found_first: float | None = None

    async def start(self) -> None:
        self._reference = await Reference.start(self._directory)
        await self._enter()

    async def stop(self) -> None:
        await self._open.aclose()
        await self._reference.stop()

    def difference(self, source: str, plan: Plan) -> str | None:
        """Where smply and XState part, or None if they do not; it is remembered."""
        key = (source, json.dumps(plan))
        is_late = self._found_first and time.monotonic() > self._found_first + SHRINKING_SECONDS_MAX
        if key not in self._found and not is_late:
            self._found[key] = self._runner.run(self._difference(source, plan))
            if self._found[key] is not None:
                self._found_first = self._found_first or time.monotonic()
        return self._found.get(key)

    async def _difference(self, source: str, plan: Plan) -> str | None:
        ours = await self._through_smply(Run(next(self._names), source, []), plan)
        theirs = await self._reference.run(source, [step for _, step in plan])
        place = first_difference(ours, theirs)
        if place is None:
            return None
        return (
            f"{source}\nwith {json.dumps(plan)}, after step {place} of them\n"
            f"XState:\n{theirs[place]}\nsmply:\n{ours[place]}\n"
        )

    async def _through_smply(self, run: Run, plan: Plan) -> list[Moment]:
        self._heard.clear()
        await publish(self._world, run)
        await create(self._world, run.name, run.name)
        moments = [await look(self._world, run.name, run.name)]
        for restart, step in plan:
            await self._restart(restart)
            self._heard.clear()
            if isinstance(step, int):
                self._clock.time += step
            moments.append(await take(self._world, run.name, run.name, step))
        assert not self._world.notices
        return moments

    async def _restart(self, restart: Restart) -> None:
        if restart is Restart.PROCESS:
            await kill_processes(self._runtime, self._world.org)
        elif restart is Restart.COMMAND:
            await self._open.aclose()
            await self._enter()

    async def _enter(self) -> None:
        self._runtime = Runtime(RuntimeSettings(processes_max=2), self._hear)
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
