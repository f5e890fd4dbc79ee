"""What an org uses, per month (S194-S196)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import UTC, datetime

from smply.clock import Clock
from smply.errors import SmplyError
from smply.store import Store, UsageRow

_FLUSH_SECONDS = 5.0
_DAY_MS = 86_400_000
_CONTEXT_BYTES = 100_000


class Meter:
    """Counts transitions (one for each started 100 kB of context) and reads, and keeps them.

    What was counted in the last seconds before a crash is not kept.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._counts: defaultdict[tuple[bytes, str], list[int]] = defaultdict(lambda: [0, 0])
        self.steps = 0
        """Transitions that stand, since the engine began."""
        self._day = -1
        self._month = ""

    def transition(self, org: bytes, context: str) -> None:
        """A macrostep that stands, by the text of its context."""
        self.steps += 1
        self._of(org)[0] += 1 if len(context) <= _CONTEXT_BYTES else _started(context)

    def read(self, org: bytes) -> None:
        self._of(org)[1] += 1

    def _of(self, org: bytes) -> list[int]:
        now = self._clock.now()
        if now // _DAY_MS != self._day:
            self._day = now // _DAY_MS
            self._month = datetime.fromtimestamp(now / 1000, UTC).strftime("%Y-%m")
        return self._counts[org, self._month]

    async def run(self) -> None:
        """Keep what was counted, until cancelled."""
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Keep what was counted; if that cannot be done just now, it is tried again."""
        counted, self._counts = self._counts, defaultdict(lambda: [0, 0])
        rows = [UsageRow(*whose, *counts) for whose, counts in counted.items()]
        if not rows:
            return
        try:
            await self._store.add_usage(rows)
        except SmplyError:
            for row in rows:
                again = self._counts[row.org, row.month]
                again[0] += row.transitions
                again[1] += row.reads

    async def usage(self, org: bytes) -> list[UsageRow]:
        """What an org has used, newest month first."""
        await self.flush()
        return self._store.list_usage(org)


def _started(context: str) -> int:
    return -(-len(context.encode()) // _CONTEXT_BYTES)
