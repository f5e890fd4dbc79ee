"""On time: whoever is owed something is given it when it is due (S64, S65)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from smply.clock import Clock
from smply.engine.mailbox import Key
from smply.errors import SmplyError
from smply.store import Due, Store

_LOOK_MS = 100
"""How often it is looked what other processes have set; what this one sets, it tells."""

_AT_ONCE_MAX = 200
"""Instances that are given what they are owed at the same time."""

_LOOKED_AT_MAX = 1_000
_LOOKED_AT_MOST = 64_000
"""How far it is looked where those in front can be given nothing just now."""

_AGAIN_MS = 1_000
"""When it is tried again to reach an instance that could not be reached."""


class Schedule:
    """Sleeps until the next delivery is due, and settles the instance that it is owed to.

    `settle` makes what is due of an instance, in its turn; it counts failed attempts, tries again
    and parks. Several processes may do so at once: each delivery is made once.
    """

    def __init__(
        self, store: Store, clock: Clock, settle: Callable[[Key], Awaitable[None]]
    ) -> None:
        self._store = store
        self._clock = clock
        self._settle = settle
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._later: dict[int, int] = {}
        self._look_at = _LOOKED_AT_MAX
        self._hint = asyncio.Event()

    def note(self) -> None:
        """Something was set: it may be due before all else."""
        self._hint.set()

    async def run(self) -> None:
        """Until it is cancelled; what it has begun then comes to its end."""
        try:
            while True:
                self._hint.clear()
                wake = self._begin_due()
                await self._sleep(wake)
        finally:
            await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _sleep(self, due: int | None) -> None:
        """Until then, or until something is set, or until it is time to look again."""
        waiting: list[asyncio.Future[bool]] = [asyncio.ensure_future(self._hint.wait())]
        if due is not None:
            waiting.append(asyncio.ensure_future(self._wake_at(due)))
        try:
            await asyncio.wait(
                waiting, timeout=_LOOK_MS / 1000, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for each in waiting:
                each.cancel()

    async def _wake_at(self, due: int) -> bool:
        await self._clock.sleep_until(due)
        return True

    def _begin_due(self) -> int | None:
        """Begin with all that are due; when the next is, in milliseconds of the epoch."""
        now = self._clock.now()
        try:
            found = self._store.due_instances(now, self._look_at)
            begun = False
            for due in found:
                if len(self._under_way) >= _AT_ONCE_MAX:
                    break
                if due.instance not in self._under_way and self._later.get(due.instance, 0) <= now:
                    self._under_way[due.instance] = asyncio.create_task(self._make(due))
                    begun = True
            self._look_further(len(found), begun)
            return self._store.first_due_after(now)
        except SmplyError:
            # The store is away: the next look finds it again.
            return None

    def _look_further(self, found: int, begun: bool) -> None:
        """Those who cannot be reached, or are at it for long, keep nobody behind them waiting."""
        if found < self._look_at:
            self._look_at = _LOOKED_AT_MAX
        elif not begun and len(self._under_way) < _AT_ONCE_MAX:
            self._look_at = min(2 * self._look_at, _LOOKED_AT_MOST)

    async def _make(self, due: Due) -> None:
        try:
            await self._settle((due.org, due.machine, due.name))
            self._later.pop(due.instance, None)
        except Exception as exc:
            # Gone, paused, or no process to be had: what is still due then is tried again.
            self._later[due.instance] = self._clock.now() + _AGAIN_MS
            if len(self._later) > 10 * _LOOKED_AT_MAX:
                self._later.pop(next(iter(self._later)))
            if not isinstance(exc, SmplyError):
                raise
        finally:
            del self._under_way[due.instance]
            self._hint.set()
