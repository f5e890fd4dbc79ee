"""What is owed to an instance: its timers and its undelayed sends to itself.

A delivery is made in one transaction: its row goes and its step is committed, so that it happens
exactly once (S64). Order is due time, then id.
"""

from __future__ import annotations

from collections.abc import Callable

from smply.clock import Clock
from smply.engine.settings import EngineSettings
from smply.engine.step import Ask, Live, Stepper
from smply.errors import ApiError
from smply.store import DeliveryRow, Store


class Deliveries:
    """Makes the deliveries of instances that are due."""

    def __init__(
        self, store: Store, stepper: Stepper, clock: Clock, settings: EngineSettings,
        notice: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._store = store
        self._stepper = stepper
        self._clock = clock
        self._settings = settings
        self._notice = notice

    async def make_due(self, live: Live) -> int:
        """Make what is due of an instance, in order; returns how many were tried.

        One that fails is tried again 30 s later, five times in all, then parked (S66, S67); the
        others go on. Raises LostRace when the instance had moved on.
        """
        tried = 0
        stop = self._clock.monotonic() + self._settings.settle_seconds
        while tried < self._settings.overdue_max and self._clock.monotonic() < stop:
            due = self._next(live)
            if due is None:
                break
            await self._make(live, due)
            tried += 1
        return tried

    def _next(self, live: Live) -> DeliveryRow | None:
        now = max(self._clock.now(), live.ts)
        if live.next_due is None or live.next_due > now:
            return None
        found = self._store.due_deliveries(live.id, now, 1)
        if not found:
            live.next_due = self._store.next_due(live.id)
        return found[0] if found else None

    async def _make(self, live: Live, due: DeliveryRow) -> None:
        ask = Ask(due.event.encode(), None, due.cause, due)
        (outcome,) = await self._stepper.advance(live, [ask])
        if isinstance(outcome, ApiError):
            await self._failed(live, due, outcome)

    async def _failed(self, live: Live, due: DeliveryRow, error: ApiError) -> None:
        attempt = due.attempts + 1
        last = attempt >= self._settings.delivery_attempts_max
        await self._store.fail_delivery(
            due.id, error.message, self._clock.now() + self._settings.retry_ms, last
        )
        live.next_due = self._store.next_due(live.id)
        then = "it is parked" if last else f"attempt {attempt}, again in 30 s"
        sentence = error.message.partition("\n")[0]
        self._notice(f"{live.machine}/{live.name}: a timer's event failed ({then}): {sentence}")
