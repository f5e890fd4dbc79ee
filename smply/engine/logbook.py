"""What machine code prints, kept for those who ask for it later (S174-S180)."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque

from smply.clock import Clock
from smply.engine.settings import EngineSettings
from smply.errors import SmplyError
from smply.store import LogRow, Store

_FLUSH_SECONDS = 0.5
_TURNS_PER_TRIM = 120
_KEPT_BACK_MS = 1_500
"""The newest entries are not told yet: another process may still write one of that time, and who
reads on from the last one would never see it (client-facts 39)."""
_WAITING_MAX = 20_000
_BATCH = 100
_TRIMMED_AT_ONCE = 5_000
_TEXT_MAX = 64_000
_MINUTE_MS = 60_000
_DAY_MS = 86_400_000

_Whose = tuple[bytes, str, str]
"""Org, machine, instance."""


class LogBook:
    """Takes what is printed, keeps it in batches, and finds it again.

    An instance has so many entries in a minute; one more says how many were left out.
    """

    def __init__(self, store: Store, clock: Clock, settings: EngineSettings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._waiting: deque[tuple[bytes, LogRow]] = deque()
        self._minute = 0
        self._counts: dict[_Whose, int] = {}
        self._left_out: dict[_Whose, LogRow] = {}

    def note(
        self, org: bytes, machine: str, instance: str, version: bytes, stream: str, text: str
    ) -> None:
        """Take what was printed at once."""
        now = self._clock.now()
        if now // _MINUTE_MS != self._minute:
            self._close_minute(now)
        row = LogRow(now, machine, instance, version, stream, text[:_TEXT_MAX])
        whose = (org, machine, instance)
        count = self._counts[whose] = self._counts.get(whose, 0) + 1
        if count > self._settings.log_entries_per_minute or len(self._waiting) >= _WAITING_MAX:
            self._left_out.setdefault(whose, row)
        else:
            self._waiting.append((org, row))

    def _close_minute(self, now: int) -> None:
        for whose, row in self._left_out.items():
            more = self._counts[whose] - self._settings.log_entries_per_minute
            count = max(more, 1)
            what = "1 entry" if count == 1 else f"{count} entries"
            text = f"left out of this minute: {what}"
            told = LogRow(now, row.machine, row.instance, row.version, "stderr", text)
            self._waiting.append((whose[0], told))
        self._minute = now // _MINUTE_MS
        self._counts.clear()
        self._left_out.clear()

    async def run(self) -> None:
        """Keep what comes, and forget what is old, until cancelled."""
        for turn in itertools.count():
            await asyncio.sleep(_FLUSH_SECONDS)
            await self.flush()
            if turn % _TURNS_PER_TRIM == 0:
                await self.trim()

    async def flush(self) -> None:
        """Keep what has come; if that cannot be done just now, it is tried again."""
        if self._left_out and self._clock.now() // _MINUTE_MS != self._minute:
            self._close_minute(self._clock.now())
        if not self._waiting:
            return
        # Taken out first: the store makes a write though whoever asked for it is cancelled.
        batch, self._waiting = self._waiting, deque()
        try:
            await self._store.add_logs(batch)
        except SmplyError:
            self._waiting.extendleft(reversed(batch))

    async def trim(self) -> None:
        """Forget what is older than it may be."""
        days = self._settings.log_days
        if days:
            before = self._clock.now() - days * _DAY_MS
            try:
                while await self._store.trim_logs(before, _TRIMMED_AT_ONCE) == _TRIMMED_AT_ONCE:
                    pass
            except SmplyError:
                return

    def read(
        self, org: bytes, after: int, until: int | None, machine: str | None,
        instance: str | None, version: bytes | None,
    ) -> list[LogRow]:  # fmt: skip
        """A batch of entries after that time, 100 or a few more (S176, C10)."""
        newest = self._clock.now() - _KEPT_BACK_MS
        last = newest if until is None else min(newest, until)
        return self._store.list_logs(
            org, after, last, _BATCH, machine=machine, instance=instance, version=version
        )
