"""What is owed to instances: set, cancelled, taken, failed (S64-S69, Q65)."""

from __future__ import annotations

import asyncio

import pytest

from smply.store import Cancel, Clear, DeliveryRow, Overdue, Set

from .support import NOW, World

pytestmark = pytest.mark.anyio


def keys(world: World, instance: int) -> list[str | None]:
    return [row.key for row in world.store.deliveries(instance)]


def seq_of(world: World) -> int:
    row = world.store.get_instance(world.org, "toggler", "session-1")
    assert row is not None
    return row.seq


async def test_a_delivery_is_set_with_its_transition(world: World) -> None:
    instance = await world.create(deliveries=[Set("t", NOW + 5, "{}", cause="message")])
    row = world.store.deliveries(instance)[0]
    assert row == DeliveryRow(
        id=row.id,
        instance=instance,
        due=NOW + 5,
        key="t",
        event="{}",
        attempts=0,
        last_error=None,
        parked=None,
        cause="message",
    )


async def test_deliveries_are_ordered_by_due_then_id(world: World) -> None:
    sets = [Set("c", NOW + 2, "{}"), Set("a", NOW + 1, "{}"), Set("b", NOW + 1, "{}")]
    instance = await world.create(deliveries=sets)
    assert keys(world, instance) == ["a", "b", "c"]
    due = world.store.due_deliveries
    assert [row.key for row in due(instance, NOW + 2, 9)] == ["a", "b", "c"]
    assert [row.key for row in due(instance, NOW + 1, 9)] == ["a", "b"]
    assert [row.key for row in due(instance, NOW + 2, 1)] == ["a"]
    assert due(instance, NOW, 9) == []
    assert world.store.next_due(instance) == NOW + 1


async def test_nothing_is_due_where_nothing_is_owed(world: World) -> None:
    assert world.store.next_due(await world.create()) is None


async def test_a_cancel_takes_the_newest_of_its_key_q65(world: World) -> None:
    sets = [Set("t", NOW + 9, "1"), Set("t", NOW + 1, "2"), Set("u", NOW, "3")]
    instance = await world.create(deliveries=sets)
    other = await world.create("other", deliveries=[Set("t", NOW, "4")])
    assert await world.move(instance, 1, deliveries=[Cancel("t"), Cancel("nothing")])
    assert [row.event for row in world.store.deliveries(instance)] == ["3", "1"]
    assert keys(world, other) == ["t"]


async def test_changes_are_applied_in_their_order(world: World) -> None:
    instance = await world.create(deliveries=[Set("old", NOW, "{}")])
    changes = [Set("a", NOW, "{}"), Clear(), Set("b", NOW, "{}"), Set("c", NOW, "{}"), Cancel("b")]
    assert await world.move(instance, 1, deliveries=changes)
    assert keys(world, instance) == ["c"]


async def test_a_step_takes_its_delivery_exactly_once(world: World) -> None:
    instance = await world.create(deliveries=[Set("t", NOW, "{}")])
    row = world.store.deliveries(instance)[0]
    again = [Set("t", NOW + 9, "{}")]
    assert await world.move(instance, 1, took=row.id, cause="timer", deliveries=again)
    assert not await world.move(instance, 2, took=row.id, cause="timer", deliveries=again)
    assert [d.due for d in world.store.deliveries(instance)] == [NOW + 9]
    assert [t.seq for t in world.store.list_transitions(instance, 0, 9)] == [1, 2]
    assert seq_of(world) == 2


async def test_what_a_step_takes_goes_before_its_changes(world: World) -> None:
    instance = await world.create(deliveries=[Set("t", NOW, "1"), Set("t", NOW, "2")])
    newest = world.store.deliveries(instance)[1]
    assert await world.move(instance, 1, took=newest.id, deliveries=[Cancel("t")])
    assert world.store.deliveries(instance) == []


async def test_a_step_cannot_take_from_another_instance(world: World) -> None:
    instance = await world.create()
    other = await world.create("other", deliveries=[Set("t", NOW, "{}")])
    taken = world.store.deliveries(other)[0].id
    assert not await world.move(instance, 1, took=taken)
    assert seq_of(world) == 1
    assert keys(world, other) == ["t"]


async def test_a_lost_step_takes_nothing(world: World) -> None:
    instance = await world.create(deliveries=[Set("t", NOW, "{}")])
    await world.move(instance, 1)
    assert not await world.move(instance, 1, took=world.store.deliveries(instance)[0].id)
    assert keys(world, instance) == ["t"]


async def test_a_chain_takes_what_is_overdue_in_order(world: World) -> None:
    instance = await world.create(deliveries=[Set(f"t{n}", NOW + n, "{}") for n in range(5)])
    taken = [row.id for row in world.store.due_deliveries(instance, NOW + 9, 100)]
    chain = [world.step(instance, n + 1, took=id) for n, id in enumerate(taken)]
    assert await world.commit(chain)
    assert world.store.deliveries(instance) == []


async def test_a_chain_that_takes_what_is_gone_falls_whole(world: World) -> None:
    instance = await world.create(deliveries=[Set("a", NOW, "{}"), Set("b", NOW, "{}")])
    neighbour = await world.create("neighbour")
    first, second = (row.id for row in world.store.deliveries(instance))
    await world.move(instance, 1, deliveries=[Cancel("b")])
    chain = [world.step(instance, 2, took=first), world.step(instance, 3, took=second)]
    answers = await asyncio.gather(world.commit(chain), world.move(neighbour, 1))
    assert [*answers] == [False, True]
    assert keys(world, instance) == ["a"]
    assert seq_of(world) == len(world.store.list_transitions(instance, 0, 9)) == 2


async def test_a_failed_attempt_is_tried_again_later_s66_s67(world: World) -> None:
    instance = await world.create(deliveries=[Set("t", NOW, "{}")])
    row = world.store.deliveries(instance)[0]
    await world.store.fail_delivery(row.id, 0, "it threw", NOW + 30_000, parked=False)
    await world.store.fail_delivery(row.id, 1, "again", NOW + 60_000, parked=False)
    again = world.store.deliveries(instance)[0]
    assert (again.attempts, again.last_error, again.parked) == (2, "again", None)
    assert world.store.due_deliveries(instance, NOW + 59_999, 9) == []
    assert world.store.due_deliveries(instance, NOW + 60_000, 9) == [again]


async def test_an_attempt_that_another_has_counted_is_not_counted_again_s66(world: World) -> None:
    instance = await world.create(deliveries=[Set("t", NOW, "{}")])
    row = world.store.deliveries(instance)[0]
    fail = world.store.fail_delivery
    answers = await asyncio.gather(*[fail(row.id, 0, "no", NOW + n, False) for n in (1, 2)])
    assert answers == [True, False]
    assert [(d.attempts, d.due) for d in world.store.deliveries(instance)] == [(1, NOW + 1)]
    assert not await fail(12345, 0, "no", NOW, False)


async def test_a_parked_delivery_is_kept_but_no_longer_due_s66(world: World) -> None:
    sets = [Set("t", NOW, "1"), Set("t", NOW + 5, "2")]
    instance = await world.create(deliveries=sets)
    row = world.store.deliveries(instance)[0]
    await world.store.fail_delivery(row.id, 0, "five times", NOW + 1, parked=True)
    parked = world.store.deliveries(instance)[0]
    assert (parked.id, parked.parked, parked.attempts) == (row.id, "five times", 1)
    assert world.store.next_due(instance) == NOW + 5
    assert [d.event for d in world.store.due_deliveries(instance, NOW + 9, 9)] == ["2"]
    await world.move(instance, 1, deliveries=[Cancel("t"), Cancel("t")])
    assert world.store.deliveries(instance) == [parked]


async def test_delivery_ids_are_never_used_again(world: World) -> None:
    instance = await world.create(deliveries=[Set("t", NOW, "{}")])
    old = world.store.deliveries(instance)[0].id
    await world.move(instance, 1, deliveries=[Clear(), Set("t", NOW, "{}")])
    assert world.store.deliveries(instance)[0].id > old


async def test_overdue_elsewhere_names_the_one_that_waits_longest(world: World) -> None:
    mine = await world.create("mine", deliveries=[Set(None, NOW, "{}")])
    await world.create("b", deliveries=[Set(None, NOW + 2, "{}"), Set(None, NOW + 3, "{}")])
    await world.create("a", deliveries=[Set(None, NOW + 1, "{}")])
    await world.create("later", deliveries=[Set(None, NOW + 100, "{}")])
    overdue = world.store.overdue_elsewhere
    assert overdue(world.org, mine, NOW + 9) == Overdue(2, "toggler", "a")
    assert overdue(world.org, None, NOW + 9) == Overdue(3, "toggler", "mine")
    assert overdue(world.org, None, NOW - 1) == Overdue(0, None, None)
    assert overdue(b"o" * 16, None, NOW + 9) == Overdue(0, None, None)
