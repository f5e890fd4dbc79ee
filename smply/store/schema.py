"""The numbered migrations of a SQLite file: which it has had, which it lacks, and which are ours.

`application_id` says that a file is smply's, `user_version` the last migration it has had. The
missing ones are applied in one transaction, so a failed upgrade leaves the file as it was.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import apsw

from smply.errors import DataDirectoryError

APPLICATION_ID = 0x73_6D_70_6C
"""`smpl`, in the header of each of our files."""

# One statement, so that it sees one moment of a file that another process is just making.
_MARKS = """
SELECT application_id, user_version, EXISTS (SELECT 1 FROM sqlite_schema)
FROM pragma_application_id, pragma_user_version
"""

_ELSEWHERE = "mend that, or choose another directory with --data-dir"

_ROOM = 65_536
"""Free bytes without which a file cannot be opened."""

_SQL = Path(__file__).parent / "sql" / "sqlite"


def migrations() -> list[Path]:
    """The migrations this smply knows, in order; the first is number 1."""
    return sorted(_SQL.glob("[0-9]*.sql"))


def newest_schema() -> int:
    """The number of the last migration this smply knows."""
    return len(migrations())


def needs_migration(path: Path) -> bool:
    """Whether an existing file is older than this smply, so that opening it would upgrade it.

    Raises DataDirectoryError as `applied` does. An absent or empty file needs none: it is made.
    """
    if not path.exists():
        return False
    connection = connect(path)
    try:
        return 0 < applied(connection) < len(migrations())
    finally:
        connection.close()


def migrate(path: Path) -> None:
    """Apply what the file lacks. The caller keeps others away while a database is upgraded.

    Raises DataDirectoryError, and then has changed nothing.
    """
    connection = connect(path)
    try:
        upgrade(connection)
    finally:
        connection.close()


def connect(path: Path) -> apsw.Connection:
    """A connection that waits up to 5 s for a lock; the file is made if need be.

    Raises DataDirectoryError if it cannot be opened, or only be read.
    """
    try:
        connection = apsw.Connection(str(path))
    except apsw.Error as exc:
        raise unusable(path, exc) from exc
    if connection.readonly("main"):
        connection.close()
        raise DataDirectoryError(
            f"{path} may only be read, but smply must write it", hint=_ELSEWHERE
        )
    connection.set_busy_timeout(5000)
    return connection


def applied(connection: apsw.Connection) -> int:
    """The number of the last migration a file has had; 0 for an empty file.

    Raises DataDirectoryError if the file is not ours or was written by a newer smply.
    """
    path = Path(connection.filename)
    try:
        row: tuple[Any, ...] = connection.execute(_MARKS).fetchall()[0]
    except apsw.Error as exc:
        raise unusable(path, exc) from exc
    mark, number, filled = row
    if not filled and mark == 0 and number == 0:
        return 0
    if mark != APPLICATION_ID:
        raise DataDirectoryError(
            f"{path} is not a database of smply",
            hint="choose another directory with --data-dir, or move that file away",
        )
    if number > len(migrations()):
        raise DataDirectoryError(
            f"{path} was written by a newer smply"
            f" (its schema is {number}, this smply knows {len(migrations())})",
            hint="upgrade with `pip install --upgrade smply`,"
            " or choose another directory with --data-dir",
        )
    return int(number)


def upgrade(connection: apsw.Connection) -> None:
    """Apply what a file lacks, as one transaction. Raises DataDirectoryError."""
    had = applied(connection)
    if had == len(migrations()):
        return
    path = Path(connection.filename)
    try:
        if had == 0:
            _make_private(path)
        _apply_missing(connection)
    except (apsw.Error, OSError) as exc:
        if had == 0:
            raise unusable(path, exc) from exc
        raise DataDirectoryError(
            f"{path} could not be upgraded, and is as it was: {exc}",
            hint="go on with the smply that wrote it",
        ) from exc


def _make_private(path: Path) -> None:
    # By name, not through a file descriptor: closing one drops the locks that SQLite holds on
    # the file. The -wal and -shm files take this mode over.
    path.chmod(0o600)


def _apply_missing(connection: apsw.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Asked again under the lock: another process may have been quicker.
        had = applied(connection)
        for number, script in enumerate(migrations()[had:], had + 1):
            connection.execute(script.read_text("utf-8"))
            connection.pragma("user_version", number)
        connection.pragma("application_id", APPLICATION_ID)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def unusable(path: Path, exc: Exception) -> DataDirectoryError:
    """What is said of a file that cannot be opened."""
    if isinstance(exc, apsw.NotADBError):
        return DataDirectoryError(
            f"{path} is not a database of smply",
            hint="choose another directory with --data-dir, or move that file away",
        )
    if isinstance(exc, apsw.CorruptError):
        return damaged(str(path), str(exc))
    return DataDirectoryError(f"{path} cannot be opened: {_why(path, exc)}", hint=_ELSEWHERE)


def _why(path: Path, exc: Exception) -> str:
    """What SQLite does not tell apart."""
    if path.is_dir():
        return "it is a directory"
    if isinstance(exc, apsw.IOError) and shutil.disk_usage(path.parent).free < _ROOM:
        return "the disk is full"
    return str(exc)


def damaged(what: str, why: str) -> DataDirectoryError:
    """What is said of data that is not as smply left it."""
    return DataDirectoryError(
        f"{what} is damaged: {why}",
        hint="keep a copy of the directory; `sqlite3 smply.db .recover` saves what can be read",
    )
