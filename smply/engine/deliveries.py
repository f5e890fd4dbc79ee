"""What is owed to an instance: its timers and its undelayed sends to itself.

A delivery is made in one transaction: its row goes and its step is committed, so that it happens
exactly once (S64). Order is due time, then id.
"""

from __future__ import annotations

from collections.abc import Callable

from smply.clock import Clock
from smply.engine.settings import EngineSettings
from smply.engine.step import AT_ONCE, Ask, Live, LostRace, Outcome, Stepper
from smply.errors import ApiError, MachineError
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

    def is_due(self, live: Live) -> bool:
        """Whether the instance is owed something by now."""
        return live.next_due is not None and live.next_due <= self._clock.now()

    def look_again(self, live: Live) -> None:
        """Another process may have set something since the instance was looked up."""
        live.next_due = self._store.next_due(live.id)

    def tell(self, live: Live, what: str) -> None:
        """Remark what went wrong of itself."""
        self._notice(f"{live.machine}/{live.name}: {what}")

    async def make_due(self, live: Live) -> None:
        """Make what is due of an instance, in order: at most 100 timers, and all that it sends
        itself at once, for the 90 s of settling (S50).

        One that fails is tried again 30 s later, five times in all, then parked (S66, S67); the
        others go on. Raises LostRace when the instance had moved on.
        """
        timers = 0
        deadline = self._clock.monotonic() + self._settings.settle_seconds
        while (due := self._next(live)) is not None:
            timers += due.due != AT_ONCE
            if timers > self._settings.overdue_max:
                return
            if self._clock.monotonic() > deadline:
                self.tell(live, "it has not settled in time; the rest comes later")
                return
            await self._make(live, due)

    def _next(self, live: Live) -> DeliveryRow | None:
        if not self.is_due(live):
            return None
        found = self._store.due_deliveries(live.id, self._clock.now(), 1)
        if not found:
            live.next_due = self._store.next_due(live.id)
        return found[0] if found else None

    async def _make(self, live: Live, due: DeliveryRow) -> None:
        ask = Ask(due.event.encode(), None, due.cause, due)
        outcome: Outcome
        try:
            (outcome,) = await self._stepper.advance(live, [ask])
        except MachineError as exc:
            # Its code cannot even be loaded.
            outcome = exc
        if isinstance(outcome, ApiError):
            await self._failed(live, due, outcome)

    async def _failed(self, live: Live, due: DeliveryRow, error: ApiError) -> None:
        attempt = due.attempts + 1
        last = attempt >= self._settings.delivery_attempts_max
        retry_at = self._clock.now() + self._settings.retry_ms
        counted = await self._store.fail_delivery(
            due.id, due.attempts, error.message, retry_at, last
        )
        if not counted:
            raise LostRace
        live.next_due = self._store.next_due(live.id)
        again = f"again in {self._settings.retry_ms // 1000} s"
        then = "it is parked" if last else f"attempt {attempt}, {again}"
        sentence = error.message.partition("\n")[0]
        self.tell(live, f"a timer's event failed ({then}): {sentence}")
