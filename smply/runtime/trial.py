"""Who is to blame when a process ends: each question is asked again, alone.

Whoever was alone with the process is to blame. Several are asked again one by one on the
replacement, so that the guilty one fails and the others never notice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

from smply.runtime.process import Ended, Process
from smply.runtime.protocol import Failed, Later, Refused, Snapshot, StepEvent, Stepped

T = TypeVar("T")

StepAnswer = Stepped | Refused | Failed | Later

_TRIALS = 3


@dataclass(frozen=True, slots=True)
class Run:
    """Events to step an instance through from `base`, and how to come by its state there."""

    instance: int
    name: str
    base: int
    snapshot: Callable[[], Snapshot]
    events: Sequence[StepEvent]

    def only(self, event: StepEvent) -> Run:
        return replace(self, events=[event])

    def after(self, step: Stepped) -> Run:
        def snapshot() -> Snapshot:
            return Snapshot(step.value, step.context, step.rest)

        return replace(self, base=step.seq, snapshot=snapshot)


class Tell(Protocol):
    """Says what became of actions; `to_blame`: one of them ended the process."""

    def __call__(self, end: Ended, to_blame: bool) -> None: ...


class StepThrough(Protocol):
    """Asks a process for the answers to a run."""

    async def __call__(self, process: Process, run: Run) -> list[StepAnswer]: ...


class Trial:
    """The trials of one key. `running` gives the process of now; `tell` hears of actions."""

    def __init__(self, running: Callable[[], Awaitable[Process]], tell: Tell) -> None:
        self._running = running
        self._tell = tell
        self._suspects = 0
        self._proven = False
        self._calm = asyncio.Event()
        self._one_by_one = asyncio.Lock()

    @property
    def is_on(self) -> bool:
        """Somebody is asked again, or waits for that: nothing else may be asked."""
        return self._suspects > 0

    async def over(self) -> None:
        self._calm.clear()
        await self._calm.wait()

    async def again(self, end: Ended, ask: Callable[[Process], Awaitable[T]]) -> T | Failed:
        """Ask once more, alone; Failed when that ends the process too."""
        if end.guilty:
            return _stopped(end)
        async with self._alone(end):
            return await self._try(ask)

    async def step_again(self, end: Ended, run: Run, step: StepThrough) -> list[StepAnswer]:
        """One event after the other, to find the one that is to blame; what follows is Later."""
        if end.guilty and len(run.events) == 1:
            return [_stopped(end)]
        made: list[StepAnswer] = []
        async with self._alone(end):
            for event in run.events:
                answers = await self._try(partial(step, run=run.only(event)))
                answer = answers if isinstance(answers, Failed) else answers[0]
                made.append(answer)
                if isinstance(answer, Stepped):
                    run = run.after(answer)
                if _ends_run(answer):
                    break
        return made + [Later()] * (len(run.events) - len(made))

    async def _try(self, ask: Callable[[Process], Awaitable[T]]) -> T | Failed:
        """Ask until it is clear who is to blame: an action may end the process meanwhile."""
        for left in reversed(range(_TRIALS)):
            try:
                return await ask(await self._running())
            except Ended as end:
                if end.guilty or not left:
                    self._proven = True
                    return _stopped(end)
        raise AssertionError("the last trial has a verdict")

    @contextlib.asynccontextmanager
    async def _alone(self, end: Ended) -> AsyncIterator[None]:
        """Nothing else is asked of the process meanwhile; new questions wait."""
        self._suspects += 1
        try:
            async with self._one_by_one:
                yield
        finally:
            self._suspects -= 1
            if not self._suspects:
                self._calm.set()
                self._tell(end, to_blame=not self._proven)
                self._proven = False


def _ends_run(answer: StepAnswer) -> bool:
    if isinstance(answer, Stepped):
        return answer.effects or bool(answer.deliveries)
    return isinstance(answer, Failed)


def _stopped(end: Ended) -> Failed:
    return Failed("machine-error", f"machine code {end.reason}", "")
