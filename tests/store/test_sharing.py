"""Several stores on the same data, in threads and in processes (S45)."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from collections import Counter
from pathlib import Path

import pytest

from smply.store import Set, open_store

from .conftest import Opener
from .counting import count_up, count_up_alone, write_until_killed
from .support import NOW, World, find

pytestmark = pytest.mark.anyio

# A forked child would take over locks and connections, which SQLite forbids.
SPAWN = multiprocessing.get_context("spawn")


def assert_counted(world: World, seq: int) -> None:
    row = world.store.get_instance(world.org, "toggler", "session-1")
    assert row is not None
    assert row.seq == seq
    rows = world.store.list_transitions(row.id, 0, 10_000)
    assert [t.seq for t in rows] == list(range(1, seq + 1))


async def test_a_store_sees_at_once_what_another_has_written(world: World, opener: Opener) -> None:
    other = find(await opener())
    instance = await world.create()
    row = other.store.get_instance(other.org, "toggler", "session-1")
    assert row == world.store.get_instance(world.org, "toggler", "session-1")
    assert await other.move(instance, 1)
    assert not await world.move(instance, 1)


async def test_of_two_stores_that_take_one_delivery_one_wins(world: World, opener: Opener) -> None:
    other = find(await opener())
    instance = await world.create(deliveries=[Set(None, NOW, "{}")])
    taken = world.store.deliveries(instance)[0].id
    answers = await asyncio.gather(*[w.move(instance, 1, took=taken) for w in (world, other)])
    assert Counter(answers) == {True: 1, False: 1}


async def test_two_threads_make_one_linear_history_s45(world: World, path: Path) -> None:
    await world.create()
    threads = [threading.Thread(target=count_up_alone, args=(path, 50)) for _ in range(2)]
    for thread in threads:
        thread.start()
    await count_up(path, 50)
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert_counted(world, 151)


async def test_two_processes_make_one_linear_history_s45(world: World, path: Path) -> None:
    await world.create()
    processes = [SPAWN.Process(target=count_up_alone, args=(path, 50)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.join)
        assert process.exitcode == 0
    assert_counted(world, 101)


@pytest.mark.parametrize("acknowledged", [1, 20, 60])
async def test_kill_9_leaves_chains_whole_and_acknowledged_ones_there(
    world: World, path: Path, acknowledged: int
) -> None:
    await world.create(deliveries=[Set(None, NOW, "1")])
    await world.store.close()
    answers, theirs = SPAWN.Pipe(duplex=False)
    process = SPAWN.Process(target=write_until_killed, args=(path, theirs))
    process.start()
    theirs.close()
    told = [await asyncio.to_thread(answers.recv) for _ in range(acknowledged)][-1]
    process.kill()
    process.join()
    while answers.poll():
        try:
            told = answers.recv()
        except EOFError:
            break
    answers.close()

    again = find(await open_store(path, NOW))
    row = again.store.get_instance(again.org, "toggler", "session-1")
    assert row is not None
    assert row.seq >= told
    assert row.seq % 3 == 1
    assert_counted(again, row.seq)
    assert [owed.event for owed in again.store.deliveries(row.id)] == [str(row.seq)]
    assert await again.move(row.id, row.seq)
    await again.store.close()
