"""The order of one instance: what comes next (S45, S46).

All events that wait go to the machine in one message and are committed together; what is overdue
goes before them, and what they send to the instance itself before they are answered. An engine
that has lost the race for an instance three times in a row claims it, and the others wait.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from smply.clock import Clock
from smply.engine.deliveries import Deliveries
from smply.engine.settings import EngineSettings
from smply.engine.step import Ask, Live, LostRace, Outcome, Stepper
from smply.errors import ApiError, Conflict, LimitExceeded, NotFound, SmplyError, Unavailable
from smply.store import InstanceRow

_RUN_MAX = 64
"""Events that go to the machine in one message."""

_LOOKED_AT_MAX = 16
"""Mailboxes that are looked at to make room for one."""

_LOOK_SECONDS = 0.02
"""How often an instance is looked at that another engine has claimed."""

Key = tuple[bytes, str, str]
"""Org, machine, instance."""


@dataclass(slots=True)
class _Request:
    """An event that waits for its turn; without one it only asks for what is due."""

    ask: Ask | None
    answer: asyncio.Future[str]


class Mailbox:
    """The events that wait for one instance. Macrosteps never overlap.

    `open_live` looks the instance up, `newest` its newest row.
    """

    def __init__(
        self, open_live: Callable[[], Live], newest: Callable[[], InstanceRow], stepper: Stepper,
        deliveries: Deliveries, clock: Clock, settings: EngineSettings,
    ) -> None:  # fmt: skip
        self._open = open_live
        self._newest = newest
        self._stepper = stepper
        self._deliveries = deliveries
        self._clock = clock
        self._settings = settings
        self._live: Live | None = None
        self._waiting: deque[_Request] = deque()
        self._running: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def idle(self) -> bool:
        return self._running is None

    def send(self, ask: Ask) -> asyncio.Future[str]:
        """Take an event in its turn; the answer comes once the instance has settled.

        A caller who goes away changes nothing: the step is made all the same.
        """
        return self._put(ask)

    async def settle(self) -> None:
        """Make what is due of the instance, in its turn."""
        await self._put(None)

    def _put(self, ask: Ask | None) -> asyncio.Future[str]:
        if len(self._waiting) >= self._settings.mailbox_max:
            raise LimitExceeded(f"{self._settings.mailbox_max} events wait for this instance")
        request = _Request(ask, self._loop.create_future())
        self._waiting.append(request)
        if self._running is None:
            self._running = self._loop.create_task(self._run())
        return request.answer

    async def _run(self) -> None:
        races = 0
        try:
            while self._waiting:
                try:
                    live = self._live = self._live or await self._looked_up(races)
                    try:
                        await self._round(live)
                    finally:
                        await self._release(self._live or live)
                    races = 0
                except LostRace:
                    self._live = None
                    races += 1
                    if races > self._settings.lost_races_max:
                        self._refuse(_contested())
                        races = 0
                except Exception as exc:
                    # They cannot be made: there is no such instance, or no way to what it is owed.
                    self._refuse(exc)
                    races = 0
        finally:
            self._running = None

    async def _looked_up(self, races: int) -> Live:
        """The instance as it stands, once no other engine claims it; claimed after lost races."""
        deadline = self._clock.monotonic() + self._settings.settle_seconds
        while True:
            live = self._open()
            if not self._stepper.is_claimed_elsewhere(live):
                if races < self._settings.claim_after or self._stepper.holds(live):
                    return live
                if await self._stepper.claim(live, self._settings.claim_ms):
                    continue
            if self._clock.monotonic() > deadline:
                raise Unavailable(f"another process keeps {live.name} to itself")
            await asyncio.sleep(_LOOK_SECONDS)

    async def _release(self, live: Live) -> None:
        """Let a claim go that no commit has released; what cannot be released lapses."""
        if self._stepper.holds(live) and not self._waiting:
            with contextlib.suppress(SmplyError):
                await self._stepper.claim(live, 0)

    async def _round(self, live: Live) -> None:
        if live.status != "running":
            raise Conflict(f"{live.name} is {live.status} and takes no events", parameter="status")
        if any(request.ask is None for request in self._waiting):
            self._deliveries.look_again(live)
        if self._deliveries.is_due(live):
            await self._deliveries.make_due(live)
        run = self._take()
        try:
            asks = [request.ask for request in run if request.ask is not None]
            more = bool(self._waiting)
            outcomes = await self._stepper.advance(live, asks, more) if asks else []
            self._answer(run, outcomes, await self._settled(live))
        except LostRace:
            self._waiting.extendleft(reversed(run))
            raise
        except Exception as exc:
            # Told to those whose run met it, and to nobody who came after them.
            self._live = None
            for request in run:
                _resolve(request, exc)

    async def _settled(self, live: Live) -> str | None:
        """Make what the steps sent to itself, so that the answer is a settled state (S48).

        Returns the newest answer, or None where the last step's own is the newest. The steps
        stand whatever comes of this: their events are answered, and never made twice.
        """
        if not self._deliveries.is_due(live):
            return None
        try:
            await self._make_due(live)
        except NotFound:
            self._live = None
        except SmplyError as exc:
            self._live = None
            self._deliveries.tell(live, f"what it sent itself is still owed: {exc.message}")
        with contextlib.suppress(SmplyError):
            newest = self._newest()
            # Another may have deleted it meanwhile, and made one of that name.
            return newest.answer if newest.id == live.id else None
        return None

    async def _make_due(self, live: Live) -> None:
        """Make what is due, though another engine may make part of it, delete it, or pause it."""
        races = 0
        newest = live
        while newest.id == live.id and newest.status == "running":
            try:
                await self._deliveries.make_due(newest)
                return
            except LostRace:
                races += 1
                if races > self._settings.lost_races_max:
                    raise _contested() from None
                newest = self._live = await self._looked_up(races)

    def _take(self) -> list[_Request]:
        return [self._waiting.popleft() for _ in range(min(_RUN_MAX, len(self._waiting)))]

    def _answer(self, run: Sequence[_Request], outcomes: list[Outcome], newest: str | None) -> None:
        """Answer those that were reached; the rest wait for the next round."""
        reached = iter(outcomes)
        for place, request in enumerate(run):
            if request.ask is None:
                _resolve(request, "")
                continue
            outcome = next(reached, None)
            if outcome is None:
                self._waiting.extendleft(reversed(run[place:]))
                return
            if isinstance(outcome, ApiError):
                _resolve(request, outcome)
            else:
                is_last = outcome is outcomes[-1]
                _resolve(request, newest if newest and is_last else outcome.answer)

    def _refuse(self, exc: Exception) -> None:
        self._live = None
        for request in self._take():
            _resolve(request, exc)


def _contested() -> Unavailable:
    return Unavailable("others keep changing this instance")


def _resolve(request: _Request, answer: str | Exception) -> None:
    # A caller who went away has cancelled the future.
    if request.answer.done():
        return
    if isinstance(answer, str):
        request.answer.set_result(answer)
    else:
        request.answer.set_exception(answer)


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
            self._retire()
            box = self._boxes[key] = self._make(key)
        else:
            self._boxes.move_to_end(key)
        return box

    def _retire(self) -> None:
        """Let the oldest go; one that is at work has just been used."""
        for _ in range(_LOOKED_AT_MAX):
            if len(self._boxes) < self._kept_max:
                return
            key, box = self._boxes.popitem(last=False)
            if not box.idle:
                self._boxes[key] = box
