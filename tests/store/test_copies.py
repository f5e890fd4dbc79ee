"""Copies of a database: what is seen of them, and what is left beside them."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from smply.store import Contents, Store, copy_database, read_copy, schema

from .support import World


async def test_a_copy_tells_what_it_holds(
    world: World, store: Store, path: Path, tmp_path: Path
) -> None:
    await world.create("one")
    await world.create("two")
    copy_database(path, tmp_path / "copy")
    assert read_copy(tmp_path / "copy") == Contents(schema.newest_schema(), world.org, 2, False)


async def test_a_copy_is_read_without_files_of_a_wal(
    world: World, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be no room for them."""
    place = tmp_path / "place"
    place.mkdir()
    copy_database(path, place / "copy")
    seen: list[str] = []
    applied = schema.applied

    def look(connection: apsw.Connection) -> int:
        number = applied(connection)
        seen.extend(each.name for each in place.iterdir())
        return number

    monkeypatch.setattr(schema, "applied", look)
    read_copy(place / "copy")
    assert seen == ["copy"]
