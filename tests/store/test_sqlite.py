"""What is SQLite's own: group commit, locks, full disks, checkpoints, the file itself."""

from __future__ import annotations

import asyncio
import resource
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import apsw
import pytest

from smply.errors import DataDirectoryError, SmplyError, Unavailable
from smply.store import Set, writer
from smply.store.sqlite import SqliteStore, open_sqlite

from .support import NOW, World, furnish

pytestmark = pytest.mark.anyio


@pytest.fixture
async def sqlite(path: Path, anyio_backend: str) -> AsyncIterator[SqliteStore]:
    store = open_sqlite(path, NOW)
    yield store
    await store.close()


@pytest.fixture
async def world(sqlite: SqliteStore) -> World:
    return await furnish(sqlite)


@contextmanager
def write_lock(path: Path) -> Iterator[None]:
    """Another process that is writing."""
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("COMMIT")
    other.close()


def ask(path: Path, query: str) -> object:
    connection = apsw.Connection(str(path))
    try:
        return connection.execute(query).get
    finally:
        connection.close()


def seq_of(world: World, name: str = "session-1") -> int:
    row = world.store.get_instance(world.org, "toggler", name)
    assert row is not None
    assert len(world.store.list_transitions(row.id, 0, 10_000)) == row.seq
    return row.seq


async def test_writes_that_come_together_share_transactions(
    sqlite: SqliteStore, world: World
) -> None:
    ids = [await world.create(f"i{n}") for n in range(64)]
    before = sqlite.transactions
    assert all(await asyncio.gather(*[world.move(instance, 1) for instance in ids]))
    assert sqlite.transactions - before == 1


async def test_what_comes_while_a_commit_runs_is_the_next_batch(
    sqlite: SqliteStore, world: World
) -> None:
    ids = [await world.create(f"i{n}") for n in range(9)]
    before = sqlite.transactions
    first = asyncio.create_task(world.move(ids[0], 1))
    while sqlite._writer._idle.is_set() or sqlite._writer._queue:
        await asyncio.sleep(0)
    others = [asyncio.create_task(world.move(instance, 1)) for instance in ids[1:]]
    assert all(await asyncio.gather(first, *others))
    assert sqlite.transactions - before == 2


async def test_a_very_long_queue_is_cut_into_batches(sqlite: SqliteStore, world: World) -> None:
    instance = await world.create()
    before = sqlite.transactions
    count = 2 * writer.BATCH_MAX + 1
    assert all(await asyncio.gather(*[world.move(instance, base + 1) for base in range(count)]))
    assert sqlite.transactions - before == 3


async def test_a_commit_is_synced_before_it_is_answered(sqlite: SqliteStore) -> None:
    connection = sqlite._writer._connection
    assert connection.pragma("synchronous") == 2
    assert connection.pragma("journal_mode") == "wal"


async def test_reads_cannot_write(sqlite: SqliteStore) -> None:
    with pytest.raises(apsw.ReadOnlyError):
        sqlite._reader.execute("DELETE FROM orgs")


async def test_a_paused_instance_does_not_move(path: Path, world: World) -> None:
    instance = await world.create(deliveries=[Set(None, NOW, "{}")])
    ask(path, "UPDATE instances SET status = 'paused'")
    assert not await world.move(instance, 1)
    assert world.store.overdue_elsewhere(world.org, None, NOW).count == 0
    ask(path, "UPDATE instances SET status = 'running'")
    assert await world.move(instance, 1)
    assert world.store.overdue_elsewhere(world.org, None, NOW).count == 1


async def test_a_row_that_is_too_big_fails_alone(sqlite: SqliteStore, world: World) -> None:
    ids = [await world.create(f"i{n}") for n in range(3)]
    sqlite._writer._connection.limit(apsw.SQLITE_LIMIT_LENGTH, 1_000_000)
    answers = await asyncio.gather(
        world.move(ids[0], 1),
        world.move(ids[1], 1, event="x" * 1_100_000),
        world.move(ids[2], 1),
        return_exceptions=True,
    )
    assert answers[0] is True
    assert answers[2] is True
    assert isinstance(answers[1], SmplyError)
    assert not isinstance(answers[1], Unavailable)
    assert [seq_of(world, f"i{n}") for n in range(3)] == [2, 1, 2]


async def test_a_locked_file_does_not_hold_the_loop(path: Path, world: World) -> None:
    instance = await world.create()
    with write_lock(path):
        waiting = asyncio.create_task(world.move(instance, 1))
        longest = 0.0
        for _ in range(100):
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - before)
            assert seq_of(world) == 1
        assert not waiting.done()
    assert await waiting
    assert longest < 0.5


async def test_a_file_locked_for_long_is_unavailable(
    path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = await world.create()
    monkeypatch.setattr(writer, "_LOCK_TRIES", 5)
    with write_lock(path), pytest.raises(Unavailable, match="Another process"):
        await world.move(instance, 1)
    assert await world.move(instance, 1)
    assert seq_of(world) == 2


async def test_a_full_database_fails_whole_batches_and_recovers(
    sqlite: SqliteStore, world: World
) -> None:
    ids = [await world.create(f"i{n}") for n in range(4)]
    connection = sqlite._writer._connection
    pages = connection.pragma("page_count")
    connection.pragma("max_page_count", pages)
    big = '"' + "x" * 50_000 + '"'
    answers = await asyncio.gather(
        *[world.move(instance, 1, event=big) for instance in ids], return_exceptions=True
    )
    assert {type(answer) for answer in answers} == {Unavailable}
    assert "full" in str(answers[0])
    assert {seq_of(world, f"i{n}") for n in range(4)} == {1}
    connection.pragma("max_page_count", 2**30)
    assert all(await asyncio.gather(*[world.move(id, 1, event=big) for id in ids]))


async def test_a_file_that_cannot_grow_fails_at_commit_and_recovers(
    path: Path, world: World
) -> None:
    ids = [await world.create(f"i{n}") for n in range(4)]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    wal = path.with_name("smply.db-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (wal + 4096, limits[1]))
    try:
        answers = await asyncio.gather(
            *[world.move(instance, 1) for instance in ids], return_exceptions=True
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {type(answer) for answer in answers} == {Unavailable}
    assert {seq_of(world, f"i{n}") for n in range(4)} == {1}
    assert all(await asyncio.gather(*[world.move(instance, 1) for instance in ids]))
    assert {seq_of(world, f"i{n}") for n in range(4)} == {2}
    assert ask(path, "PRAGMA integrity_check") == "ok"


async def test_a_transaction_that_an_error_left_open_is_undone(
    sqlite: SqliteStore, world: World
) -> None:
    def break_off(cursor: apsw.Cursor) -> None:
        cursor.execute("DELETE FROM machines")
        raise apsw.IOError("the disk is away")

    instance = await world.create()
    sqlite._writer._connection.pragma("foreign_keys", 0)
    answers = await asyncio.gather(
        world.move(instance, 1), sqlite._writer.submit(break_off), return_exceptions=True
    )
    assert {type(answer) for answer in answers} == {Unavailable}
    assert await world.move(instance, 1)
    assert seq_of(world) == 2
    assert len(world.store.list_machines(world.org, 0, 9)) == 1


async def test_the_wal_restarts_instead_of_growing(
    path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "CHECKPOINT_PAGES", 50)
    ids = [await world.create(f"i{n}") for n in range(20)]
    for base in range(1, 100):
        await asyncio.gather(*[world.move(instance, base) for instance in ids])
    # Some ten pages a commit would be 4 MB by now.
    assert path.with_name("smply.db-wal").stat().st_size < 2_000_000
    assert {seq_of(world, f"i{n}") for n in range(20)} == {100}


async def test_a_wal_that_a_long_reader_has_made_grow_is_given_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "CHECKPOINT_PAGES", 50)
    monkeypatch.setattr(writer, "WAL_BYTES_KEPT", 400_000)
    store = open_sqlite(path, NOW)
    world, wal = await furnish(store), path.with_name("smply.db-wal")
    instance = await world.create()
    reader = apsw.Connection(str(path))
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM instances").get == 1
    for base in range(1, 200):
        await world.move(instance, base)
    assert wal.stat().st_size > 1_000_000
    reader.close()
    for base in range(200, 400):
        await world.move(instance, base)
    assert wal.stat().st_size <= 400_000
    assert seq_of(world) == 400
    await store.close()


async def test_a_write_that_breaks_leaves_its_neighbours_to_wait_for_another_process(
    path: Path, sqlite: SqliteStore, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two attempts, the lock is anybody's."""
    instance = await world.create()
    undo = sqlite._writer._roll_back
    lock, locks = write_lock(path), ExitStack()
    threading.Timer(0.1, locks.close).start()

    def undo_and_let_another_in() -> None:
        undo()
        monkeypatch.setattr(sqlite._writer, "_roll_back", undo)
        locks.enter_context(lock)

    def refuse(cursor: apsw.Cursor) -> None:
        raise LookupError("no such version")

    monkeypatch.setattr(sqlite._writer, "_roll_back", undo_and_let_another_in)
    answers = await asyncio.gather(
        world.move(instance, 1), sqlite._writer.submit(refuse), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [bool, LookupError]
    assert seq_of(world) == 2


@pytest.mark.parametrize("missing", ["thread", "connection"])
async def test_a_commit_is_answered_though_no_checkpoint_can_begin(
    sqlite: SqliteStore, world: World, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """It stands: a client who is told otherwise sends its event twice."""
    instance = await world.create()
    monkeypatch.setattr(writer, "CHECKPOINT_PAGES", 1)
    monkeypatch.setattr(sqlite._writer._checkpoints, "_begin_at", 1)
    failures: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failures.append)

    def fail(*_: object) -> None:
        failure = RuntimeError if missing == "thread" else DataDirectoryError
        raise failure("no more to be had")

    if missing == "thread":
        monkeypatch.setattr(threading.Thread, "start", fail)
    else:
        monkeypatch.setattr(sqlite._writer._checkpoints, "_connect", fail)
    assert await world.move(instance, 1)
    assert seq_of(world) == 2
    sqlite._writer._checkpoints.wait()
    assert failures == []


async def test_a_closed_store_leaves_one_file(
    path: Path, sqlite: SqliteStore, world: World
) -> None:
    await world.create()
    await sqlite.close()
    await sqlite.close()
    assert [file.name for file in path.parent.iterdir()] == ["smply.db"]


async def test_a_closed_store_is_unavailable(sqlite: SqliteStore, world: World) -> None:
    await sqlite.close()
    with pytest.raises(Unavailable):
        await world.create()
    with pytest.raises(Unavailable):
        world.store.list_machines(world.org, 0, 1)


def test_a_loop_may_end_without_closing_the_store(path: Path) -> None:
    async def write() -> SqliteStore:
        store = open_sqlite(path, NOW)
        task = asyncio.create_task(store.create_machine(store.owner().org, "m", [], NOW))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not task.done()
        return store

    store = asyncio.run(write())
    store._writer._worker.stop()
    assert store.get_machine(store.owner().org, "m") is not None
    store._reader.close()
    store._writer._connection.close()
