"""Instances and the compare-and-set that moves them (S45)."""

from __future__ import annotations

import asyncio

import pytest

from smply.store import Cancel, InstanceRow, NewInstance, Set, TransitionRow

from .conftest import Opener
from .support import NOW, World, find

pytestmark = pytest.mark.anyio


def seq_of(world: World, name: str = "session-1") -> int:
    row = world.store.get_instance(world.org, "toggler", name)
    assert row is not None
    # What the row holds, and the history, always tell of the same transition.
    assert row.value == f'"s{row.seq}"'
    rows = world.store.list_transitions(row.id, 0, 10_000)
    assert [t.seq for t in rows] == list(range(1, row.seq + 1))
    return row.seq


async def test_an_instance_begins_with_its_first_transition(world: World) -> None:
    instance = await world.create(event='{"type":"xstate.init"}', done=True, tags='["a"]')
    assert world.store.get_instance(world.org, "toggler", "session-1") == InstanceRow(
        id=instance,
        org=world.org,
        machine=world.machine,
        name="session-1",
        version=world.version,
        status="running",
        created_at=NOW,
        seq=1,
        ts=NOW + 1,
        value='"s1"',
        context='{"count":1}',
        rest='{"rest":1}',
        answer=f'{{"ts":{NOW + 1},"state":"s1"}}',
        tags='["a"]',
        claimed_by=None,
        claimed_until=None,
        done=True,
    )
    assert world.store.list_transitions(instance, 0, 10) == [
        TransitionRow(
            seq=1,
            ts=NOW + 1,
            event='{"type":"xstate.init"}',
            value='"s1"',
            auth='{"sub":"me"}',
            cause="client",
            cause_id=None,
            version=world.version,
            rest='{"rest":1}',
            context='{"count":1}',
            patch=None,
        )
    ]


async def test_a_taken_name_makes_nothing(world: World) -> None:
    instance = await world.create(deliveries=[Set(None, NOW, "{}")])
    assert await world.try_create("session-1", deliveries=[Set(None, NOW, "{}")]) is None
    assert seq_of(world) == 1
    assert len(world.store.deliveries(instance)) == 1


async def test_of_many_creations_of_one_name_one_wins(world: World) -> None:
    made = await asyncio.gather(*[world.try_create("same") for _ in range(16)])
    assert len([one for one in made if one is not None]) == 1
    assert seq_of(world, "same") == 1


async def test_an_unknown_machine_harms_no_neighbour(world: World) -> None:
    stray = NewInstance(world.org, 999, "stray", world.version, NOW)
    good, bad = await asyncio.gather(
        world.try_create("good"),
        world.store.create_instance(stray, world.step(0, 0)),
        return_exceptions=True,
    )
    assert isinstance(good, int)
    assert isinstance(bad, Exception)
    assert seq_of(world, "good") == 1


async def test_a_step_moves_the_instance_and_its_history(world: World) -> None:
    instance = await world.create()
    assert await world.move(instance, 1, auth=None, cause="timer", cause_id=7, patch='{"a":1}')
    assert seq_of(world) == 2
    row = world.store.list_transitions(instance, 1, 1)[0]
    assert (row.auth, row.cause, row.cause_id) == (None, "timer", 7)
    assert (row.context, row.patch) == (None, '{"a":1}')


async def test_a_step_on_an_old_base_loses_s45(world: World) -> None:
    instance = await world.create()
    assert await world.move(instance, 1)
    late = world.step(instance, 1, value='"late"', deliveries=[Set(None, NOW, "{}")])
    assert not await world.commit([late])
    assert not await world.move(instance, 3)
    assert seq_of(world) == 2
    assert world.store.deliveries(instance) == []


async def test_a_step_of_an_unknown_instance_loses(world: World) -> None:
    assert not await world.move(12345, 1)


async def test_of_two_steps_on_one_base_the_first_wins(world: World) -> None:
    instance = await world.create()
    answers = await asyncio.gather(*[world.move(instance, 1) for _ in range(5)])
    assert answers == [True, False, False, False, False]
    assert seq_of(world) == 2


async def test_losers_do_not_touch_their_neighbours(world: World) -> None:
    ids = [await world.create(f"i{n}") for n in range(20)]
    for instance in ids[::2]:
        await world.move(instance, 1)
    answers = await asyncio.gather(*[world.move(instance, 1) for instance in ids])
    assert answers == [False, True] * 10
    assert {seq_of(world, f"i{n}") for n in range(20)} == {2}


async def test_a_write_that_breaks_fails_alone_and_wholly(world: World) -> None:
    ids = [await world.create(f"i{n}") for n in range(3)]
    # A lone surrogate has no UTF-8: the second delivery breaks when all the rest is written.
    deliveries = [Set(None, NOW, "{}"), Set("\ud800", NOW, "{}")]
    answers = await asyncio.gather(
        world.move(ids[0], 1),
        world.move(ids[1], 1, deliveries=deliveries),
        world.move(ids[2], 1),
        return_exceptions=True,
    )
    assert answers[0] is True
    assert answers[2] is True
    assert isinstance(answers[1], UnicodeEncodeError)
    assert [seq_of(world, f"i{n}") for n in range(3)] == [2, 1, 2]
    assert world.store.deliveries(ids[1]) == []


async def test_a_chain_is_committed_whole(world: World) -> None:
    instance = await world.create()
    assert await world.commit([world.step(instance, base) for base in range(1, 9)])
    assert seq_of(world) == 9


async def test_a_chain_on_an_old_base_falls_whole(world: World) -> None:
    instance = await world.create()
    await world.move(instance, 1)
    assert not await world.commit([world.step(instance, base) for base in range(1, 9)])
    assert seq_of(world) == 2


async def test_chains_of_one_instance_may_follow_in_one_commit(world: World) -> None:
    instance = await world.create()
    chains = [[world.step(instance, b), world.step(instance, b + 1)] for b in (1, 3, 5)]
    assert await asyncio.gather(*map(world.commit, chains)) == [True, True, True]
    assert seq_of(world) == 7


async def test_what_is_no_chain_is_refused(world: World) -> None:
    one, other = await world.create("one"), await world.create("other")
    for steps in ([], [(one, 1), (one, 3)], [(one, 1), (one, 1)], [(one, 1), (other, 2)]):
        with pytest.raises(ValueError, match="chain"):
            await world.commit([world.step(*step) for step in steps])
    assert seq_of(world, "one") == seq_of(world, "other") == 1


async def test_a_chain_falls_if_it_takes_what_it_has_cancelled_itself(world: World) -> None:
    instance = await world.create(deliveries=[Set("t", NOW, "{}"), Set("u", NOW, "{}")])
    taken = world.store.deliveries(instance)[0].id
    steps = [
        world.step(instance, 1, deliveries=[Cancel("t"), Set("v", NOW, "{}")]),
        world.step(instance, 2, took=taken),
    ]
    assert not await world.commit(steps)
    assert seq_of(world) == 1
    assert [d.key for d in world.store.deliveries(instance)] == ["t", "u"]


async def test_a_cancelled_caller_changes_nothing(world: World) -> None:
    instance = await world.create()
    task = asyncio.create_task(world.move(instance, 1))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await world.move(instance, 2)
    assert seq_of(world) == 3


async def test_closing_finishes_what_was_asked_for(world: World, opener: Opener) -> None:
    instance = await world.create()
    tasks = [asyncio.create_task(world.move(instance, base)) for base in range(1, 400)]
    await asyncio.sleep(0)
    await world.store.close()
    assert all(await asyncio.gather(*tasks))
    assert seq_of(find(await opener())) == 400


async def test_instances_come_in_pages_oldest_first_s40(world: World) -> None:
    for name in "edcba":
        await world.create(name)
    first = world.store.list_instances(world.org, world.machine, 0, 3)
    rest = world.store.list_instances(world.org, world.machine, first[-1].id, 3)
    assert [row.name for row in first + rest] == list("edcba")
    whole = world.store.get_instance(world.org, "toggler", "e")
    assert whole is not None
    assert (first[0].id, first[0].version) == (whole.id, whole.version)


async def test_transitions_come_in_pages_oldest_first_s41(world: World) -> None:
    instance, other = await world.create(), await world.create("other")
    await world.commit([world.step(instance, base) for base in range(1, 5)])
    await world.move(other, 1)
    first = world.store.list_transitions(instance, 0, 3)
    rest = world.store.list_transitions(instance, first[-1].seq, 3)
    assert [row.seq for row in first] == [1, 2, 3]
    assert [row.seq for row in rest] == [4, 5]
