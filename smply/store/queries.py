"""The queries of a SQLite file by name, and what is asked of what they did."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw

Row = tuple[Any, ...]


def _read(path: Path) -> dict[str, str]:
    """The queries of a file by name; each begins with two comments, its name and a sentence."""
    queries = {}
    for block in path.read_text("utf-8").strip().split("\n\n"):
        name, _sentence, query = block.split("\n", 2)
        queries[name.removeprefix("-- ")] = query
    return queries


_FILES = Path(__file__).parent / "sql" / "sqlite"
SQL = _read(_FILES / "queries.sql") | _read(_FILES / "accounts.sql")


def changed(cursor: apsw.Cursor, query: str, values: Sequence[Any]) -> bool:
    """Run a query; whether it changed a row."""
    cursor.execute(SQL[query], values)
    return cursor.connection.changes() == 1


def is_true(cursor: apsw.Cursor, query: str, values: Sequence[Any]) -> bool:
    """Ask a query that answers 0 or 1."""
    rows: list[Row] = cursor.execute(SQL[query], values).fetchall()
    return bool(rows[0][0])


def made(cursor: apsw.Cursor) -> int | None:
    """The id of the row just inserted, or None if its name was taken."""
    connection = cursor.connection
    return connection.last_insert_rowid() if connection.changes() else None


def new_id() -> bytes:
    """The 16 bytes of a UUID v4."""
    raw = bytearray(os.urandom(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    return bytes(raw)
