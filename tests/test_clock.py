"""The time: the system's, or that of a file that tests move."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from smply.clock import open_clock
from smply.errors import UsageError

pytestmark = pytest.mark.anyio


async def test_the_system_s_clock_is_in_milliseconds() -> None:
    clock = open_clock("system")
    before = clock.now()
    await clock.sleep_until(before + 5)
    assert before + 5 <= clock.now() <= time.time() * 1000 + 1


async def test_a_file_tells_the_time(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    file.write_text("1000")
    clock = open_clock(f"file:{file}")
    waiting = asyncio.create_task(clock.sleep_until(1_500))
    await asyncio.sleep(0)
    assert (clock.now(), waiting.done()) == (1_000, False)
    file.write_text("1500")
    await asyncio.wait_for(waiting, 5)


@pytest.mark.parametrize("text", ["", "soon", "1.5"])
def test_a_file_without_a_number_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "clock").write_text(text)
    with pytest.raises(UsageError, match="holds no whole number"):
        open_clock(f"file:{tmp_path / 'clock'}").now()


def test_an_unknown_clock_is_refused() -> None:
    with pytest.raises(UsageError, match='must be "system" or "file:PATH"'):
        open_clock("sundial")
