"""The order of one instance: what comes next (S45, S46).

All events that wait go to the machine in one message and are committed together; what is due of
the instance goes before them and before their answers.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from smply.engine.deliveries import Deliveries
from smply.engine.settings import EngineSettings
from smply.engine.step import Ask, Live, LostRace, Outcome, Stepper
from smply.errors import ApiError, Conflict, LimitExceeded, SmplyError, Unavailable

_RUN_MAX = 64
"""Events that go to the machine in one message."""

Key = tuple[bytes, str, str]
"""Org, machine, instance."""


@dataclass(slots=True)
class _Letter:
    """An event that waits for its turn; without an ask it only waits until what is due is made."""

    ask: Ask | None
    answer: asyncio.Future[str]


class Mailbox:
    """The events that wait for one instance. Macrosteps never overlap."""

    def __init__(
        self, open_live: Callable[[], Live], stepper: Stepper, deliveries: Deliveries,
        settings: EngineSettings,
    ) -> None:  # fmt: skip
        self._open = open_live
        self._stepper = stepper
        self._deliveries = deliveries
        self._settings = settings
        self._live: Live | None = None
        self._waiting: deque[_Letter] = deque()
        self._running: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        return self._running is None

    async def put(self, ask: Ask | None) -> str:
        """Take an event in its turn; returns the public answer once the instance has settled.

        A caller who goes away changes nothing: the step is made all the same.
        """
        if len(self._waiting) >= self._settings.mailbox_max:
            raise LimitExceeded(f"{self._settings.mailbox_max} events wait for this instance")
        letter = _Letter(ask, asyncio.get_running_loop().create_future())
        self._waiting.append(letter)
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await letter.answer

    async def _run(self) -> None:
        races = 0
        try:
            while self._waiting:
                try:
                    await self._round()
                    races = 0
                except LostRace:
                    self._live = None
                    races += 1
                    if races > self._settings.lost_races_max:
                        raise Unavailable("others keep changing this instance") from None
        except SmplyError as exc:
            self._refuse_all(exc)
        except BaseException as exc:
            self._refuse_all(exc)
            raise
        finally:
            self._running = None

    async def _round(self) -> None:
        live = self._live = self._live or self._open()
        if live.status != "running":
            raise Conflict(f"{live.name} is {live.status}")
        await self._deliveries.make_due(live)
        letters = self._take()
        try:
            asks = [letter.ask for letter in letters if letter.ask is not None]
            outcomes = await self._stepper.advance(live, asks) if asks else []
        except BaseException:
            self._waiting.extendleft(reversed(letters))
            raise
        await self._settle(live)
        self._answer(live, letters, outcomes)

    async def _settle(self, live: Live) -> None:
        """Make what the step sent to itself, so that the answer is a settled state (S48)."""
        try:
            await self._deliveries.make_due(live)
        except LostRace:
            self._live = None
            live.answer = self._open().answer

    def _take(self) -> list[_Letter]:
        return [self._waiting.popleft() for _ in range(min(_RUN_MAX, len(self._waiting)))]

    def _answer(self, live: Live, letters: list[_Letter], outcomes: list[Outcome]) -> None:
        """Answer those that were reached; the rest wait for the next round."""
        reached = iter(outcomes)
        for place, letter in enumerate(letters):
            if letter.ask is None:
                _resolve(letter, live.answer)
                continue
            outcome = next(reached, None)
            if outcome is None:
                self._waiting.extendleft(reversed(letters[place:]))
                return
            if isinstance(outcome, ApiError):
                _resolve(letter, outcome)
            else:
                # The last step's answer is newer when sends to itself followed it.
                _resolve(letter, live.answer if outcome is outcomes[-1] else outcome.answer)

    def _refuse_all(self, exc: BaseException) -> None:
        while self._waiting:
            _resolve(self._waiting.popleft(), exc)
        self._live = None


def _resolve(letter: _Letter, answer: str | BaseException) -> None:
    if letter.answer.done():
        return
    if isinstance(answer, str):
        letter.answer.set_result(answer)
    else:
        letter.answer.set_exception(answer)


class Mailboxes:
    """The mailboxes of the instances lately used; idle ones go least recently used first."""

    def __init__(self, make: Callable[[Key], Mailbox], kept_max: int = 10_000) -> None:
        self._make = make
        self._kept_max = kept_max
        self._boxes: OrderedDict[Key, Mailbox] = OrderedDict()

    def of(self, key: Key) -> Mailbox:
        """The mailbox of an instance."""
        box = self._boxes.get(key)
        if box is None:
            box = self._boxes[key] = self._make(key)
            self._retire()
        else:
            self._boxes.move_to_end(key)
        return box

    def _retire(self) -> None:
        excess = len(self._boxes) - self._kept_max
        for key in list(self._boxes)[: max(excess, 0)]:
            if self._boxes[key].idle:
                del self._boxes[key]
