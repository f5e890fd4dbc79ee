"""The writer of a SQLite file: what has queued up is committed as one transaction.

Statements run on the event loop, since they are short and a change of threads is not [4 us
against 20 to 40]; large writes, COMMIT, checkpoints, and a BEGIN that has to wait for another
process run in one worker thread. While it commits, writes queue up and are the next batch.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import apsw

from smply.errors import SmplyError, Unavailable
from smply.store.schema import damaged

T = TypeVar("T")

BATCH_MAX = 256
"""Writes in one transaction; at a few microseconds each they hold the loop for about 1 ms."""

CHECKPOINT_PAGES = 4000
"""From this length on (16 MB) the WAL is copied into the database."""

WAL_BYTES_KEPT = 64 << 20
"""What a long reader has made it grow beyond is given back to the disk once it starts anew."""

_LOCK_TRIES = 2500
_LOCK_PAUSE_SECONDS = 0.002


class Writer:
    """Takes writes and commits them in their order, many at a time.

    A write is a function of a cursor inside a transaction. It is run again, after a rollback, if
    a neighbour of its batch breaks, so it changes nothing but the database.
    """

    def __init__(self, connection: apsw.Connection, connect: Callable[[], apsw.Connection]) -> None:
        self.transactions = 0
        self.writes = 0
        self._connection = connection
        self._cursor = connection.cursor()
        self._queue: deque[_Entry[Any]] = deque()
        self._idle = asyncio.Event()
        self._idle.set()
        # Asking for it each time costs a system call on Python 3.11.
        self._loop = asyncio.get_running_loop()
        self._worker = _Worker(self._loop)
        self._checkpoints = _Checkpoints(connection, connect)
        self._closed = False
        self._patient = False
        self._pause = threading.Event()
        connection.set_busy_handler(self._wait_for_lock)

    async def submit(self, write: Callable[[apsw.Cursor], T], *, large: bool = False) -> T:
        """What `write` returns, once it is durable.

        The write is made even if the caller is cancelled meanwhile. A `large` one runs in the
        worker thread, in a transaction of its own.

        Raises Unavailable if the database cannot be written just now, and then nothing of the
        write is there; and whatever `write` raises.
        """
        self.writes += 1
        if self._closed:
            raise Unavailable("The store is closed.")
        answer: asyncio.Future[T] = self._loop.create_future()
        self._queue.append(_Entry(write, large, answer))
        if self._idle.is_set():
            self._idle.clear()
            # In the next turn of the loop, so that all writes of this turn go together.
            self._loop.call_soon(self._next)
        return await answer

    async def close(self) -> None:
        """Commit what has been submitted, then stop. May be called again."""
        self._closed = True
        await self._idle.wait()
        self._worker.stop()
        self._checkpoints.wait()
        # The last connection of all copies the WAL into the database and removes it.
        self._connection.close()

    def _next(self) -> None:
        """Begin the next transaction, if there is something to write."""
        if not self._queue:
            self._idle.set()
            return
        batch = self._next_batch()
        done = partial(self._finish, batch)
        try:
            if batch[0].large or not self._begin_at_once():
                self._worker.put(partial(self._transact, batch), done)
            elif self._apply(batch):
                self._worker.put(self._commit, done)
            else:
                self._worker.put(partial(self._transact_one_by_one, batch), done)
        except Exception as exc:
            self._loop.call_soon(done, exc)

    def _next_batch(self) -> list[_Entry[Any]]:
        batch = [self._queue.popleft()]
        if not batch[0].large:
            while self._queue and not self._queue[0].large and len(batch) < BATCH_MAX:
                batch.append(self._queue.popleft())
        return batch

    def _finish(self, batch: list[_Entry[Any]], error: Exception | None) -> None:
        """Tell the callers, and go on with what has queued up meanwhile."""
        if error is not None:
            self._roll_back()
        for entry in batch:
            entry.settle(error)
        self._next()

    def _transact(self, batch: list[_Entry[Any]]) -> None:
        """A whole transaction, in the worker thread."""
        self._begin_patiently()
        if self._apply(batch):
            self._commit()
        else:
            self._transact_one_by_one(batch)

    def _begin_at_once(self) -> bool:
        try:
            self._cursor.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            return False
        return True

    def _begin_patiently(self) -> None:
        self._patient = True
        try:
            self._cursor.execute("BEGIN IMMEDIATE")
        finally:
            self._patient = False

    def _wait_for_lock(self, tries: int) -> bool:
        # SQLite's own waiting sleeps 100 ms at a time, a hundred times as long as a commit takes.
        if not self._patient or tries >= _LOCK_TRIES:
            return False
        self._pause.wait(_LOCK_PAUSE_SECONDS)
        return True

    def _apply(self, batch: list[_Entry[Any]]) -> bool:
        """Run the writes of a batch; False, and nothing is left of any, if one of them broke."""
        try:
            for entry in batch:
                entry.run(self._cursor)
        except Exception as exc:
            if not _is_fault_of_write(exc):
                raise
            self._roll_back()
            return False
        return True

    def _transact_one_by_one(self, batch: list[_Entry[Any]]) -> None:
        """A whole transaction again, in the worker thread: another process may be at it now.

        Only after a write broke: a savepoint for each costs as much as the write itself.
        """
        self._begin_patiently()
        for entry in batch:
            self._cursor.execute("SAVEPOINT one")
            try:
                entry.run(self._cursor)
            except Exception as exc:
                if not _is_fault_of_write(exc):
                    raise
                entry.error = exc
                self._cursor.execute("ROLLBACK TO one")
            self._cursor.execute("RELEASE one")
        self._commit()

    def _commit(self) -> None:
        self._cursor.execute("COMMIT")
        self.transactions += 1
        self._checkpoints.after_commit()

    def _roll_back(self) -> None:
        # SQLite has rolled back by itself after some errors. If it cannot now, the next batch
        # cannot begin, fails, and comes here again.
        with contextlib.suppress(apsw.Error):
            if self._connection.in_transaction:
                self._cursor.execute("ROLLBACK")


class _Entry(Generic[T]):
    """A write that waits, and the future of its caller, who may be gone."""

    __slots__ = ("answer", "error", "large", "result", "write")

    def __init__(
        self, write: Callable[[apsw.Cursor], T], large: bool, answer: asyncio.Future[T]
    ) -> None:
        self.write = write
        self.large = large
        self.answer = answer
        self.error: Exception | None = None

    def run(self, cursor: apsw.Cursor) -> None:
        self.result = self.write(cursor)

    def settle(self, error_of_batch: Exception | None) -> None:
        error = self.error or error_of_batch
        if self.answer.done():
            return
        if error is None:
            self.answer.set_result(self.result)
        else:
            self.answer.set_exception(translated(error))


class _Worker:
    """One thread, started by its first job; it ends with `stop`, or with the process."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, job: Callable[[], None], done: Callable[[Exception | None], None]) -> None:
        """Run `job` in the thread, then `done` on this event loop with what the job raised."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="smply-commit", daemon=True)
            self._thread.start()
        self._jobs.put(partial(_run, job, self._loop, done))

    def stop(self) -> None:
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _run(
    job: Callable[[], None],
    loop: asyncio.AbstractEventLoop,
    done: Callable[[Exception | None], None],
) -> None:
    error: Exception | None = None
    try:
        job()
    except Exception as exc:
        error = exc
    # A loop that ended without closing the store waits for nothing any more.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(done, error)


class _Checkpoints:
    """Keeps the WAL from growing without letting a commit wait for the copying.

    Most of it is copied by a thread with a connection of its own while commits go on; the small
    rest that they have added is copied between two commits, and the next one starts the WAL anew.
    [A WAL that never restarts doubles the cost of a write; a plain autocheckpoint costs p99.]
    """

    def __init__(self, connection: apsw.Connection, connect: Callable[[], apsw.Connection]) -> None:
        self._connection = connection
        self._connect = connect
        self._pages = 0
        self._begin_at = CHECKPOINT_PAGES
        self._rest_left = False
        self._thread: threading.Thread | None = None
        connection.pragma("journal_size_limit", WAL_BYTES_KEPT)
        # The hook also takes the place of SQLite's autocheckpoint.
        connection.set_wal_hook(self._note_length)

    def after_commit(self) -> None:
        """Do what is due now; called in the worker thread, between two commits."""
        if self._rest_left:
            self._rest_left = False
            _copy_wal(self._connection)
        if self._pages < CHECKPOINT_PAGES:
            self._begin_at = CHECKPOINT_PAGES
        elif self._pages >= self._begin_at and (
            self._thread is None or not self._thread.is_alive()
        ):
            # A reader may keep the WAL from restarting: then wait for as many pages again.
            self._begin_at = self._pages + CHECKPOINT_PAGES
            thread = threading.Thread(target=self._copy_most, name="smply-wal", daemon=True)
            # The commit stands, whether or not there is a thread to be had just now.
            with contextlib.suppress(RuntimeError):
                thread.start()
                self._thread = thread

    def wait(self) -> None:
        if self._thread is not None:
            self._thread.join()

    def _note_length(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._pages = pages
        return apsw.SQLITE_OK

    def _copy_most(self) -> None:
        # Tried again after as many pages, if there is no connection to be had just now.
        with (
            contextlib.suppress(SmplyError, apsw.Error),
            contextlib.closing(self._connect()) as connection,
        ):
            _copy_wal(connection)
            self._rest_left = True


def _copy_wal(connection: apsw.Connection) -> None:
    # What cannot be copied now stays in the WAL, where it is just as safe.
    with contextlib.suppress(apsw.Error):
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)


def _is_fault_of_write(exc: Exception) -> bool:
    """Whether the write is to blame; otherwise the disk or another process, and for the batch."""
    own = (apsw.ConstraintError, apsw.TooBigError, apsw.MismatchError)
    return not isinstance(exc, apsw.Error) or isinstance(exc, own)


def translated(exc: Exception) -> Exception:
    """What smply calls an error of the driver; any other exception as it is."""
    if not isinstance(exc, apsw.Error):
        return exc
    if _is_fault_of_write(exc):
        error: SmplyError = SmplyError(f"The store refused a row: {exc}")
    elif isinstance(exc, (apsw.CorruptError, apsw.NotADBError)):
        error = damaged("the database", str(exc))
    elif isinstance(exc, apsw.BusyError):
        error = Unavailable("Another process kept the database locked for 5 seconds.")
    elif isinstance(exc, apsw.FullError):
        error = Unavailable("The disk that holds the database is full.")
    else:
        error = Unavailable(f"The database is not to be had just now: {exc}")
    error.__cause__ = exc
    return error
