"""What is deleted is gone whole, and takes nothing of others with it (S160-S162, Q53)."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from smply.errors import Unavailable
from smply.store import NewInstance, Set, StepWrite, sqlite
from smply.store.sqlite import SqliteStore

from .conftest import Opener
from .support import NOW, World, find, publish, upload, version

pytestmark = pytest.mark.anyio


def count(path: Path, table: str) -> int:
    """The rows of a table, seen by nobody's store."""
    with closing(sqlite3.connect(path)) as connection:
        rows: list[tuple[int]] = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
    return rows[0][0]


async def live(world: World, name: str, seq: int) -> int:
    """A new instance that has come to this seq and is owed two events."""
    owed = [Set("a", NOW + 1, "{}"), Set("b", NOW + 2, "{}")]
    instance = await world.create(name, deliveries=owed)
    for base in range(1, seq):
        assert await world.move(instance, base)
    return instance


async def another_machine(world: World, number: int, code: bytes) -> World:
    """A machine `other` of the same org, with a version of this code."""
    machine = await world.store.create_machine(world.org, "other", [], NOW)
    assert machine is not None
    other = World(world.store, world.org, machine, version(world, number).id)
    await world.store.create_upload(upload(other, number))
    await world.store.put_upload_code(upload(other, number).id, code)
    new = version(other, number, code=code, uploaded_sha256=hashlib.sha256(code).digest())
    assert await world.store.create_version(new, True, upload(other, number).id)
    return other


async def test_nothing_of_a_deleted_instance_remains_s160(world: World, path: Path) -> None:
    gone, kept = await live(world, "gone", 5), await live(world, "kept", 3)
    assert await world.store.delete_instance(gone)
    assert world.store.get_instance(world.org, "toggler", "gone") is None
    assert (world.store.deliveries(gone), world.store.next_due(gone)) == ([], None)
    assert world.store.list_transitions(gone, 0, 9) == []
    assert [t.seq for t in world.store.list_transitions(kept, 0, 9)] == [1, 2, 3]
    assert (count(path, "deliveries"), count(path, "removals")) == (2, 0)


async def test_a_deleted_name_is_another_instance_q53(world: World) -> None:
    first = await live(world, "same", 3)
    assert await world.store.delete_instance(first)
    second = await world.create("same")
    assert second > first
    assert [t.seq for t in world.store.list_transitions(second, 0, 9)] == [1]
    assert not await world.move(first, 3)
    assert not await world.store.delete_instance(first)


async def test_a_step_that_comes_after_the_deletion_loses(world: World) -> None:
    instance = await world.create()
    deleted, moved = await asyncio.gather(
        world.store.delete_instance(instance), world.move(instance, 1)
    )
    assert (deleted, moved) == (True, False)
    assert world.store.list_transitions(instance, 0, 9) == []


async def test_a_long_history_goes_in_parts(
    world: World, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "REMOVED_AT_ONCE", 4)
    instance = await live(world, "long", 18)
    await world.create("other")
    assert isinstance(world.store, SqliteStore)
    before = world.store.transactions
    assert await world.store.delete_instance(instance)
    assert world.store.transactions - before == 5
    assert (count(path, "transitions"), count(path, "removals")) == (1, 0)


async def test_others_write_between_the_parts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A history of a million would keep the writer for seconds."""
    monkeypatch.setattr(sqlite, "REMOVED_AT_ONCE", 4)
    gone, other = await live(world, "gone", 40), await world.create("other")
    deleting = asyncio.create_task(world.store.delete_instance(gone))
    await asyncio.sleep(0)
    base = 1
    while not deleting.done():
        assert await world.move(other, base)
        base += 1
    assert base > 3
    assert await deleting


async def test_a_broken_off_deletion_is_whole_and_is_finished_by_the_next_opening(
    world: World, path: Path, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "REMOVED_AT_ONCE", 4)
    gone = await live(world, "gone", 18)
    deleting = asyncio.create_task(world.store.delete_instance(gone))
    while world.store.get_instance(world.org, "toggler", "gone") is not None:
        await asyncio.sleep(0)
    deleting.cancel()
    await world.store.close()
    assert 0 < count(path, "transitions") < 18
    assert (count(path, "removals"), count(path, "deliveries")) == (1, 0)
    again = find(await opener())
    assert (count(path, "transitions"), count(path, "removals")) == (0, 0)
    assert await again.create("gone") > gone


async def test_what_cannot_be_removed_now_keeps_no_deletion_from_being_answered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "REMOVED_AT_ONCE", 4)
    gone = await live(world, "gone", 18)
    assert isinstance(world.store, SqliteStore)
    submit, writes = world.store._writer.submit, iter([True])

    async def full_from_the_second_on(write: Any, *, large: bool = False) -> Any:
        if next(writes, False):
            return await submit(write, large=large)
        raise Unavailable("The disk that holds the database is full.")

    monkeypatch.setattr(world.store._writer, "submit", full_from_the_second_on)
    assert await world.store.delete_instance(gone)
    assert world.store.get_instance(world.org, "toggler", "gone") is None


async def test_a_status_is_set_as_often_as_one_likes_s158(world: World) -> None:
    instance = await world.create()
    for status in ("paused", "paused", "running", "running"):
        assert await world.store.set_status(instance, status)
        row = world.store.get_instance(world.org, "toggler", "session-1")
        assert row is not None
        assert row.status == status
        moved = await world.move(instance, row.seq)
        assert moved is (status == "running")
    assert not await world.store.set_status(12345, "paused")


async def test_a_version_of_the_machine_is_made_current_s2(world: World) -> None:
    second = await publish(world, 2)
    assert await world.store.set_current(world.machine, world.version)
    machine = world.store.get_machine(world.org, "toggler")
    assert machine is not None
    assert machine.current == world.store.get_version(world.org, world.version)
    assert second != world.version


async def test_what_is_no_version_of_the_machine_is_not_made_current(world: World) -> None:
    other = await another_machine(world, 7, b"other")
    for version_id in (other.version, b"?" * 16):
        assert not await world.store.set_current(world.machine, version_id)
    assert not await world.store.set_current(999, world.version)
    machine = world.store.get_machine(world.org, "toggler")
    assert machine is not None
    assert machine.current is not None
    assert machine.current.id == world.version


async def test_a_machine_goes_with_versions_uploads_and_codes_s161(
    world: World, path: Path
) -> None:
    await publish(world, 2)
    await world.store.create_upload(upload(world, 3))
    await world.store.put_upload_code(upload(world, 3).id, b"never finalized")
    assert await world.store.delete_machine(world.machine)
    assert world.store.get_machine(world.org, "toggler") is None
    assert world.store.get_version(world.org, world.version) is None
    tables = ("machines", "versions", "uploads", "codes")
    assert [count(path, table) for table in tables] == [0, 0, 0, 0]
    again = await world.store.create_machine(world.org, "toggler", [], NOW)
    assert again is not None
    assert again > world.machine


async def test_a_code_stays_that_another_machine_has_too(world: World) -> None:
    """The same file may be two machines; both know it by its sha256."""
    shared, uploaded = version(world).code, b"as it was uploaded"
    other = await another_machine(world, 7, shared)
    await world.store.create_upload(upload(other, 8))
    await world.store.put_upload_code(upload(other, 8).id, uploaded)
    await world.store.create_upload(upload(world, 9))
    await world.store.put_upload_code(upload(world, 9).id, uploaded)
    assert await world.store.delete_machine(world.machine)
    for code in (shared, uploaded):
        assert world.store.get_code(world.org, hashlib.sha256(code).digest()) == code
    assert await world.store.delete_machine(other.machine)
    for code in (shared, uploaded):
        with pytest.raises(LookupError):
            world.store.get_code(world.org, hashlib.sha256(code).digest())


async def test_a_machine_that_has_instances_is_not_deleted_s162(world: World, path: Path) -> None:
    instance = await world.create()
    assert not await world.store.delete_machine(world.machine)
    assert [count(path, table) for table in ("machines", "versions", "codes")] == [1, 1, 1]
    assert await world.move(instance, 1)
    assert await world.store.delete_instance(instance)
    assert await world.store.delete_machine(world.machine)


@pytest.mark.parametrize("deletes_first", [True, False])
async def test_of_a_creation_and_the_deletion_of_its_machine_one_wins(
    world: World, deletes_first: bool
) -> None:
    """S162 holds when both come at once."""
    delete, create = world.store.delete_machine(world.machine), world.try_create("one")
    ways = [delete, create] if deletes_first else [create, delete]
    answers = await asyncio.gather(*ways, return_exceptions=True)
    deleted, created = answers if deletes_first else answers[::-1]
    if deletes_first:
        assert (deleted, type(created)) == (True, LookupError)
    else:
        assert (deleted, type(created)) == (False, int)


async def test_two_stores_agree_on_which_of_them_wins(world: World, opener: Opener) -> None:
    other = find(await opener())
    for number in range(20):
        deleted, created = await asyncio.gather(
            world.store.delete_machine(world.machine),
            other.try_create(f"i{number}"),
            return_exceptions=True,
        )
        if deleted is True:
            assert isinstance(created, LookupError)
            break
        assert isinstance(created, int)
        assert await other.store.delete_instance(created)


async def test_an_instance_begins_on_a_version_of_its_own_machine_s5(world: World) -> None:
    other = await another_machine(world, 7, b"other")
    foreign = NewInstance(world.org, world.machine, "one", other.version, NOW)
    step: StepWrite = other.step(0, 0)
    good, bad = await asyncio.gather(
        world.try_create("good"),
        world.store.create_instance(foreign, step),
        return_exceptions=True,
    )
    assert isinstance(good, int)
    assert isinstance(bad, LookupError)


async def test_a_version_is_not_made_of_an_upload_that_is_gone(world: World) -> None:
    await world.store.create_upload(upload(world, 2))
    assert await world.store.delete_machine(world.machine)
    assert not await world.store.create_upload(upload(world, 3))
    assert not await world.store.create_version(version(world, 2), True, upload(world, 2).id)
    assert not await world.store.put_upload_code(upload(world, 2).id, b"late")
