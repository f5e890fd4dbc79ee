"""The store in one SQLite file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import apsw

from smply.errors import Unavailable
from smply.store import schema
from smply.store.accounts import Accounts
from smply.store.queries import SQL, Row, changed, is_true, made, new_id
from smply.store.rows import (
    CLAIM_MS_MAX,
    Cancel,
    DeliveryRow,
    Due,
    InstanceRow,
    ListedInstance,
    LogRow,
    MachineRow,
    NewInstance,
    NewVersion,
    Overdue,
    Owner,
    Set,
    StepWrite,
    TransitionRow,
    UploadRow,
    UsageRow,
    VersionRow,
)
from smply.store.sqlite_accounts import SqliteAccounts
from smply.store.writer import Writer, translated

T = TypeVar("T")

REMOVED_AT_ONCE = 5_000
"""Transitions of a deleted instance that go in one transaction.

[A million at once keep others from writing for 1.6 s; in such parts, for 0.15 s at most.]
"""


def open_sqlite(path: Path, now: int) -> SqliteStore:
    """The store in this file, which is made or upgraded if need be.

    Raises DataDirectoryError if it cannot be opened, is not ours, or is too new.
    """
    connection = schema.connect(path)
    try:
        schema.upgrade(connection)
        _set_up(connection)
        owner = _ensure_owner(connection, now)
    except apsw.Error as exc:
        connection.close()
        raise schema.unusable(path, exc) from exc
    except BaseException:
        connection.close()
        raise
    return SqliteStore(path, connection, owner)


def _set_up(connection: apsw.Connection) -> None:
    _switch_to_wal(connection)
    connection.pragma("synchronous", "full")
    connection.pragma("foreign_keys", 1)
    connection.pragma("cache_size", -65536)


def _switch_to_wal(connection: apsw.Connection) -> None:
    # Here alone SQLite does not wait for its locks, lest two that switch wait for each other.
    pause = threading.Event()
    for _ in range(500):
        with contextlib.suppress(apsw.BusyError):
            connection.pragma("journal_mode", "wal")
            return
        pause.wait(0.01)
    connection.pragma("journal_mode", "wal")


def _ensure_owner(connection: apsw.Connection, now: int) -> Owner:
    if owner := _find_owner(connection):
        return owner
    connection.execute("BEGIN IMMEDIATE")
    # Asked again under the lock: another process may have been quicker.
    owner = _find_owner(connection)
    if owner is None:
        owner = Owner(org=new_id(), user=new_id())
        connection.execute(SQL["insert_user"], (owner.user, None, now))
        connection.execute(SQL["insert_org"], (owner.org, owner.user, "local", now))
        connection.execute(SQL["insert_member"], (owner.org, owner.user, "admin", now))
    connection.execute("COMMIT")
    return owner


def _find_owner(connection: apsw.Connection) -> Owner | None:
    rows: list[Row] = connection.execute(SQL["get_owner"]).fetchall()
    return Owner(*rows[0]) if rows else None


class SqliteStore:
    """Writes go through one `Writer`; reads have a connection of their own.

    A read is one statement, so it sees one moment, and always what has been answered as written.
    """

    def __init__(self, path: Path, connection: apsw.Connection, owner: Owner) -> None:
        self._owner = owner
        self._reader = schema.connect(path)
        self._reader.pragma("cache_size", -65536)
        self._reader.pragma("query_only", 1)
        self._writer = Writer(connection, lambda: schema.connect(path))
        self.accounts: Accounts = SqliteAccounts(self._rows, self._write)

    @property
    def transactions(self) -> int:
        """How many transactions have been committed since it was opened."""
        return self._writer.transactions

    async def close(self) -> None:
        self._reader.close()
        await self._writer.close()

    def _rows(self, query: str, values: Sequence[Any]) -> list[Row]:
        try:
            return self._reader.execute(SQL[query], values).fetchall()
        except apsw.Error as exc:
            raise translated(exc) from exc

    def _row(self, query: str, values: Sequence[Any]) -> Row | None:
        rows = self._rows(query, values)
        return rows[0] if rows else None

    async def _write(self, write: Callable[[apsw.Cursor], T], *, large: bool = False) -> T:
        return await self._writer.submit(write, large=large)

    def owner(self) -> Owner:
        return self._owner

    # Machines and versions

    async def create_machine(
        self, org: bytes, name: str, indexes: list[str], now: int
    ) -> int | None:
        def write(cursor: apsw.Cursor) -> int | None:
            cursor.execute(SQL["insert_machine"], (org, name, json.dumps(indexes), now))
            return made(cursor)

        return await self._write(write)

    def get_machine(self, org: bytes, name: str) -> MachineRow | None:
        row = self._row("get_machine", (org, name))
        return None if row is None else _machine(row)

    def list_machines(self, org: bytes, after: int, limit: int) -> list[MachineRow]:
        return [_machine(row) for row in self._rows("list_machines", (org, after, limit))]

    async def create_upload(self, upload: UploadRow) -> bool:
        values = (
            upload.id, upload.org, upload.machine, upload.version, upload.secret_sha256,
            upload.created_at, upload.code_sha256, upload.finalized,
        )  # fmt: skip

        return await self._write(lambda cursor: changed(cursor, "insert_upload", values))

    def get_upload(self, org: bytes | None, upload_id: bytes) -> UploadRow | None:
        row = self._row("get_upload", (upload_id, org))
        return None if row is None else UploadRow(*_with_flag(row))

    async def put_upload_code(self, upload_id: bytes, code: bytes) -> bool:
        def write(cursor: apsw.Cursor) -> bool:
            found: list[Row] = cursor.execute(SQL["get_upload_org"], (upload_id,)).fetchall()
            if not found:
                return False
            sha256 = _keep_code(cursor, found[0][0], code)
            cursor.execute(SQL["set_upload_code"], (sha256, upload_id))
            return True

        return await self._write(write, large=True)

    async def create_version(self, v: NewVersion, make_current: bool, upload_id: bytes) -> bool:
        def write(cursor: apsw.Cursor) -> bool:
            cursor.execute(SQL["finalize_upload"], (upload_id,))
            if not cursor.connection.changes():
                return False
            sha256 = _keep_code(cursor, v.org, v.code)
            values = (
                v.id, v.org, v.machine, v.created_at, v.client_info, v.xstate, v.adapter,
                v.uploaded_sha256, sha256, v.uploaded_bytes, v.gzipped_bytes,
                v.selectors, v.exports, v.definition,
            )  # fmt: skip
            cursor.execute(SQL["insert_version"], values)
            if make_current:
                cursor.execute(SQL["set_current"], (v.id, v.machine))
            return True

        return await self._write(write, large=True)

    async def set_current(self, machine: int, version: bytes) -> bool:
        values = (machine, version)
        return await self._write(lambda cursor: changed(cursor, "choose_current", values))

    async def delete_machine(self, machine: int) -> bool:
        def write(cursor: apsw.Cursor) -> bool:
            if is_true(cursor, "has_instances", (machine,)):
                return False
            for query in ("delete_codes", "delete_uploads", "delete_versions", "delete_machine"):
                cursor.execute(SQL[query], (machine,))
            return True

        return await self._write(write, large=True)

    def get_version(self, org: bytes, version: bytes) -> VersionRow | None:
        row = self._row("get_version", (version, org))
        return None if row is None else VersionRow(*row)

    def list_versions(self, org: bytes, machine: int, after: int, limit: int) -> list[VersionRow]:
        return [
            VersionRow(*row) for row in self._rows("list_versions", (org, machine, after, limit))
        ]

    def get_code(self, org: bytes, sha256: bytes) -> bytes:
        row = self._row("get_code", (org, sha256))
        if row is None:
            raise LookupError(f"no code {sha256.hex()}")
        code: bytes = row[0]
        # SQLite does not notice when the pages of a long text are not what it has written.
        if hashlib.sha256(code).digest() != sha256:
            raise schema.damaged("the database", "the code of a version is not what was uploaded")
        return code

    # Instances

    async def create_instance(self, new: NewInstance, first: StepWrite) -> int | None:
        values = (
            new.org, new.machine, new.name, new.created_at, first.ts, first.value, first.context,
            first.rest, first.answer, first.tags, first.done, new.version,
        )  # fmt: skip

        def write(cursor: apsw.Cursor) -> int | None:
            cursor.execute(SQL["insert_instance"], values)
            instance = made(cursor)
            if instance is not None:
                _record(cursor, instance, first)
            elif not is_true(cursor, "is_version_of", (new.version, new.machine)):
                raise LookupError("the machine has no such version")
            return instance

        return await self._write(write)

    async def commit(
        self, steps: Sequence[StepWrite], claimant: bytes, now: int, hold_until: int | None = None
    ) -> bool:
        if not steps or any(
            (b.instance, b.base) != (a.instance, a.base + 1) for a, b in pairwise(steps)
        ):
            raise ValueError("steps are a chain of one instance: base, base + 1, …")
        claim = (claimant, now, hold_until)
        return await self._write(lambda cursor: _move(cursor, steps, claim))

    async def claim(self, instance: int, claimant: bytes, now: int, until: int) -> bool:
        values = (instance, claimant, now, until, CLAIM_MS_MAX)
        return await self._write(lambda cursor: changed(cursor, "claim_instance", values))

    def stands(self, instance: int, seq: int) -> bool:
        return self._row("stands", (instance, seq)) is not None

    async def set_status(self, instance: int, status: str) -> bool:
        def write(cursor: apsw.Cursor) -> bool:
            if not changed(cursor, "set_status", (instance, status)):
                return False
            cursor.execute(SQL["hold_deliveries"], (instance, status != "running"))
            return True

        return await self._write(write)

    async def delete_instance(self, instance: int) -> bool:
        def write(cursor: apsw.Cursor) -> bool:
            if not changed(cursor, "delete_instance", (instance,)):
                return False
            cursor.execute(SQL["clear_deliveries"], (instance,))
            cursor.execute(SQL["insert_removal"], (instance,))
            _trim(cursor, instance)
            return True

        deleted = await self._write(write, large=True)
        await self.finish_removals()
        return deleted

    async def finish_removals(self) -> None:
        """Remove what is left of deleted instances, between the writes of others.

        What cannot be removed just now waits for the next time.
        """
        with contextlib.suppress(Unavailable):
            while (found := self._row("next_removal", ())) is not None:
                await self._write(partial(_trim, instance=found[0]), large=True)

    def get_instance(self, org: bytes, machine: str, name: str) -> InstanceRow | None:
        row = self._row("get_instance", (org, machine, name))
        return None if row is None else _instance(row)

    def list_instances(
        self, org: bytes, machine: int, after: int, limit: int
    ) -> list[ListedInstance]:
        rows = self._rows("list_instances", (org, machine, after, limit))
        return [ListedInstance(*row) for row in rows]

    def list_transitions(self, instance: int, after: int, limit: int) -> list[TransitionRow]:
        return [
            TransitionRow(*row) for row in self._rows("list_transitions", (instance, after, limit))
        ]

    def list_since_whole(self, instance: int, seq: int) -> list[TransitionRow]:
        return [TransitionRow(*row) for row in self._rows("list_since_whole", (instance, seq))]

    # Deliveries

    def due_deliveries(self, instance: int, now: int, limit: int) -> list[DeliveryRow]:
        return [DeliveryRow(*row) for row in self._rows("due_deliveries", (instance, now, limit))]

    def next_due(self, instance: int) -> int | None:
        row = self._row("next_due", (instance,))
        return None if row is None else row[0]

    @property
    def writes(self) -> int:
        """How many writes have been put together in them."""
        return self._writer.writes

    def count_deliveries(self, now: int) -> tuple[int, int]:
        row = self._row("count_deliveries", (now,))
        return (0, 0) if row is None else (row[0], row[1])

    def due_instances(self, now: int, limit: int) -> list[Due]:
        return [Due(*row) for row in self._rows("due_instances", (now, limit))]

    def first_due_after(self, now: int) -> int | None:
        row = self._row("first_due_after", (now,))
        return None if row is None else row[0]

    def deliveries(self, instance: int) -> list[DeliveryRow]:
        return [DeliveryRow(*row) for row in self._rows("list_deliveries", (instance,))]

    def overdue_elsewhere(self, org: bytes, instance: int | None, now: int) -> Overdue:
        return Overdue(*(self._row("overdue_elsewhere", (org, instance, now)) or (0, None, None)))

    async def add_usage(self, usage: Sequence[UsageRow]) -> None:
        def write(cursor: apsw.Cursor) -> None:
            for row in usage:
                values = (row.org, row.month, row.transitions, row.reads)
                cursor.execute(SQL["add_usage"], values)

        await self._write(write)

    def list_usage(self, org: bytes) -> list[UsageRow]:
        return [UsageRow(*row) for row in self._rows("list_usage", (org,))]

    async def add_logs(self, logs: Sequence[tuple[bytes, LogRow]]) -> None:
        def write(cursor: apsw.Cursor) -> None:
            for org, log in logs:
                values = (
                    org, log.ts, log.machine, log.instance, log.version, log.stream, log.text
                )  # fmt: skip
                cursor.execute(SQL["insert_log"], values)

        await self._write(write)

    def list_logs(
        self, org: bytes, after: int, until: int, limit: int, *, machine: str | None = None,
        instance: str | None = None, version: bytes | None = None,
    ) -> list[LogRow]:  # fmt: skip
        values = (org, after, until, machine, instance, version, limit)
        return [LogRow(*row) for row in self._rows("list_logs", values)]

    async def trim_logs(self, before: int, limit: int) -> int:
        def write(cursor: apsw.Cursor) -> int:
            cursor.execute(SQL["trim_logs"], (before, limit))
            return cursor.connection.changes()

        return await self._write(write, large=True)

    async def fail_delivery(
        self, delivery: int, attempts: int, error: str, retry_at: int, parked: bool
    ) -> bool:
        values = (delivery, attempts, error, retry_at, parked)
        return await self._write(lambda cursor: changed(cursor, "fail_delivery", values))


_Claim = tuple[bytes, int, int | None]
"""Who moves an instance, when, and until when it stays claimed."""


def _move(cursor: apsw.Cursor, steps: Sequence[StepWrite], claim: _Claim) -> bool:
    """Take an instance from the base of the first step to the last, or change nothing.

    If the first base holds, the others do. What a later step takes may be gone, though, perhaps
    by an earlier step of this very chain: only then is there something to undo.
    """
    if any(step.took is not None for step in steps[1:]):
        return _move_or_undo(cursor, steps, claim)
    return _move_all(cursor, steps, claim)


def _move_or_undo(cursor: apsw.Cursor, steps: Sequence[StepWrite], claim: _Claim) -> bool:
    cursor.execute("SAVEPOINT chain")
    moved = _move_all(cursor, steps, claim)
    if not moved:
        cursor.execute("ROLLBACK TO chain")
    cursor.execute("RELEASE chain")
    return moved


def _move_all(cursor: apsw.Cursor, steps: Sequence[StepWrite], claim: _Claim) -> bool:
    first, last = steps[0], steps[-1]
    values = (
        first.instance, first.base, last.base + 1, last.ts, last.value, last.context, last.rest,
        last.answer, last.tags, last.done, last.version, first.took,
    )  # fmt: skip
    moved = changed(cursor, "move_instance", values) or (
        # Only a loser comes here; mostly it has lost its base.
        changed(cursor, "free_instance", (first.instance, first.base, *claim[:2], CLAIM_MS_MAX))
        and changed(cursor, "move_instance", values)
    )
    if moved and claim[2] is not None:
        cursor.execute(SQL["claim_instance"], (first.instance, *claim, CLAIM_MS_MAX))
    return moved and all(_record(cursor, first.instance, step) for step in steps)


def _record(cursor: apsw.Cursor, instance: int, step: StepWrite) -> bool:
    """Write what a step leaves beside the instance; False if what it takes is gone."""
    if step.took is not None:
        cursor.execute(SQL["take_delivery"], (step.took, instance))
        if not cursor.connection.changes():
            return False
    values = (
        instance, step.base + 1, step.ts, step.event, step.auth, step.cause, step.cause_id,
        step.version, step.value, step.rest,
        step.context if step.patch is None else None, step.patch,
    )  # fmt: skip
    cursor.execute(SQL["insert_transition"], values)
    for change in step.deliveries:
        if isinstance(change, Set):
            owed = (instance, change.due, change.key, change.event, change.cause)
            cursor.execute(SQL["set_delivery"], owed)
        elif isinstance(change, Cancel):
            cursor.execute(SQL["cancel_delivery"], (instance, change.key))
        else:
            cursor.execute(SQL["clear_deliveries"], (instance,))
    return True


def _trim(cursor: apsw.Cursor, instance: int) -> None:
    """Remove the oldest part of a deleted instance's history, and the note of it with the last."""
    cursor.execute(SQL["trim_history"], (instance, REMOVED_AT_ONCE))
    if cursor.connection.changes() < REMOVED_AT_ONCE:
        cursor.execute(SQL["delete_removal"], (instance,))


def _keep_code(cursor: apsw.Cursor, org: bytes, code: bytes) -> bytes:
    sha256 = hashlib.sha256(code).digest()
    cursor.execute(SQL["insert_code"], (org, sha256, code))
    return sha256


def _machine(row: Row) -> MachineRow:
    current = None if row[5] is None else VersionRow(*row[5:])
    machine, org, name, created_at, indexes = row[:5]
    return MachineRow(machine, org, name, created_at, json.loads(indexes), current)


def _instance(row: Row) -> InstanceRow:
    return InstanceRow(*_with_flag(row))


def _with_flag(row: Row) -> list[Any]:
    """The values of a row whose last column is a truth value, which SQLite keeps as 0 or 1."""
    return [*row[:-1], bool(row[-1])]
