"""What machine code prints, kept for whoever asks (S174-S180, C10)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from smply.engine import EngineSettings
from smply.engine.logbook import LogBook
from smply.store import LogRow
from tests.conftest import World

pytestmark = pytest.mark.anyio

VERSION = bytes(16)
MINUTE = 60_000
DAY = 86_400_000


@pytest.fixture
def book(world: World) -> LogBook:
    settings = EngineSettings(log_entries_per_minute=3, log_days=30)
    return LogBook(world.store, world.clock, settings)


def note(book: LogBook, world: World, text: str, instance: str = "one", org: bytes = b"") -> None:
    book.note(org or world.org, "m", instance, VERSION, "stdout", text)


def read(book: LogBook, world: World, after: int = 0, **narrowed: str) -> list[LogRow]:
    """All of it, the newest too."""
    world.clock.time += 2_000
    return book.read(
        world.org, after, None, narrowed.get("machine"), narrowed.get("instance"), None
    )


async def test_what_was_printed_comes_in_its_order(book: LogBook, world: World) -> None:
    for text in ("a", "b\nb"):
        note(book, world, text)
        world.clock.time += 1
    await book.flush()
    since = world.clock.time - 2
    assert read(book, world) == [
        LogRow(since, "m", "one", VERSION, "stdout", "a"),
        LogRow(since + 1, "m", "one", VERSION, "stdout", "b\nb"),
    ]
    assert [row.text for row in read(book, world, after=since)] == ["b\nb"]
    assert read(book, world, after=since + 1) == []


async def test_the_newest_is_not_told_yet(book: LogBook, world: World) -> None:
    """Whoever reads on from the last entry never meets that millisecond again."""
    note(book, world, "a")
    await book.flush()
    assert book.read(world.org, 0, None, None, None, None) == []
    world.clock.time += 1_500
    assert len(book.read(world.org, 0, None, None, None, None)) == 1


async def test_it_is_narrowed(book: LogBook, world: World) -> None:
    note(book, world, "a", "one")
    note(book, world, "b", "two")
    note(book, world, "c", "one", org=bytes(15) + b"x")
    await book.flush()
    assert [row.text for row in read(book, world)] == ["a", "b"]
    assert [row.text for row in read(book, world, instance="two")] == ["b"]
    assert read(book, world, machine="other") == []
    before = world.clock.time - 10 * MINUTE
    assert book.read(world.org, 0, before, None, None, None) == []


async def test_a_batch_splits_no_millisecond(world: World) -> None:
    book = LogBook(world.store, world.clock, EngineSettings())
    for number in range(250):
        if number in (60, 240):
            world.clock.time += 1
        note(book, world, str(number))
    await book.flush()
    first = read(book, world)
    assert [row.text for row in first] == [str(number) for number in range(240)]
    assert len(read(book, world, after=first[-1].ts)) == 10


async def test_an_instance_has_so_much_in_a_minute(book: LogBook, world: World) -> None:
    for number in range(5):
        note(book, world, f"{number}", "loud")
    note(book, world, "quiet", "quiet")
    await book.flush()
    world.clock.time += MINUTE
    note(book, world, "again", "loud")
    await book.flush()
    loud = read(book, world, instance="loud")
    told = ("stderr", "left out of this minute: 2 entries")
    assert [(row.stream, row.text) for row in loud] == [
        ("stdout", "0"), ("stdout", "1"), ("stdout", "2"), told, ("stdout", "again"),
    ]  # fmt: skip
    assert [row.text for row in read(book, world, instance="quiet")] == ["quiet"]


async def test_that_something_was_left_out_is_told_though_nothing_follows(
    book: LogBook, world: World
) -> None:
    for number in range(4):
        note(book, world, f"{number}")
    await book.flush()
    world.clock.time += MINUTE
    await book.flush()
    assert read(book, world)[-1].text == "left out of this minute: 1 entry"


async def test_what_is_old_is_forgotten(book: LogBook, world: World) -> None:
    note(book, world, "old")
    await book.flush()
    world.clock.time += 20 * DAY
    note(book, world, "new")
    await book.flush()
    await book.trim()
    assert [row.text for row in read(book, world)] == ["old", "new"]
    world.clock.time += 11 * DAY
    await book.trim()
    assert [row.text for row in read(book, world)] == ["new"]


async def test_it_is_kept_for_ever_if_wanted(world: World) -> None:
    settings = replace(EngineSettings(), log_days=0)
    book = LogBook(world.store, world.clock, settings)
    note(book, world, "old")
    await book.flush()
    world.clock.time += 1_000 * DAY
    await book.trim()
    assert [row.text for row in read(book, world)] == ["old"]


async def test_nothing_is_kept_twice_when_the_server_ends(book: LogBook, world: World) -> None:
    note(book, world, "a")
    keeping = asyncio.ensure_future(book.flush())
    await asyncio.sleep(0)
    keeping.cancel()
    await book.flush()
    await asyncio.wait([keeping])
    note(book, world, "b")
    await book.flush()
    assert [row.text for row in read(book, world)] == ["a", "b"]


async def test_what_cannot_be_kept_now_is_kept_later(
    book: LogBook, world: World, tmp_path: Path
) -> None:
    note(book, world, "a")
    other = apsw.Connection(str(tmp_path / "smply.db"))
    other.execute("CREATE TRIGGER full BEFORE INSERT ON logs BEGIN SELECT RAISE(ABORT, 'x'); END")
    await book.flush()
    assert read(book, world) == []
    other.execute("DROP TRIGGER full")
    other.close()
    await book.flush()
    assert [row.text for row in read(book, world)] == ["a"]
