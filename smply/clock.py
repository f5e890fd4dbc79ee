"""The time, asked for in this room alone, so that a test can move it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Protocol

from smply.errors import UsageError


class Clock(Protocol):
    """What the engine knows of time."""

    def now(self) -> int:
        """Wall time, in milliseconds of the epoch."""

    def monotonic(self) -> float:
        """Seconds that never jump; measures time-outs."""

    async def sleep_until(self, due: int) -> None:
        """Return once `now()` has reached `due`, in milliseconds of the epoch."""


class SystemClock:
    """The time of this machine."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep_until(self, due: int) -> None:
        while (left := due - self.now()) > 0:
            await asyncio.sleep(min(left, 60_000) / 1000)


class FileClock(SystemClock):
    """Wall time as a file tells it: a whole number of milliseconds, which tests rewrite."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def now(self) -> int:
        try:
            return int(self._path.read_text())
        except (OSError, ValueError) as exc:
            raise UsageError(
                f"the clock file {self._path} holds no whole number of milliseconds",
                hint="unset SMPLY_CLOCK to use the time of this machine",
            ) from exc

    async def sleep_until(self, due: int) -> None:
        while self.now() < due:
            await asyncio.sleep(0.005)


def open_clock(setting: str) -> Clock:
    """The clock a setting names: `system`, or `file:PATH`."""
    if setting == "system":
        return SystemClock()
    if setting.startswith("file:"):
        return FileClock(Path(setting.removeprefix("file:")))
    raise UsageError(f'clock is "{setting}", but must be "system" or "file:PATH"')
