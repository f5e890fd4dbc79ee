"""Claims: who may move an instance that several want to move (design.md, a claim)."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from smply.store import Set, open_store
from tests.conftest import TIMES

from .support import NOW, World, furnish

pytestmark = pytest.mark.anyio

ME, OTHER = b"m" * 16, b"o" * 16


async def move(
    world: World, instance: int, base: int, who: bytes, now: int, hold: int | None = None
) -> bool:
    return await world.store.commit([world.step(instance, base)], who, now, hold)


async def test_nobody_else_moves_what_is_claimed(world: World) -> None:
    instance = await world.create()
    assert await world.store.claim(instance, ME, NOW, NOW + 5)
    assert not await world.store.claim(instance, OTHER, NOW + 4, NOW + 9)
    assert not await move(world, instance, 1, OTHER, NOW + 4)
    assert not await move(world, instance, 1, b"", NOW + 4)
    row = world.store.get_instance(world.org, "toggler", "session-1")
    assert row is not None
    assert (row.seq, row.claimed_by, row.claimed_until) == (1, ME, NOW + 5)
    assert await move(world, instance, 1, ME, NOW + 4)


async def test_the_claimants_commit_releases_the_claim_unless_it_holds_on(world: World) -> None:
    instance = await world.create()
    assert await world.store.claim(instance, ME, NOW, NOW + 5)
    assert await move(world, instance, 1, ME, NOW, hold=NOW + 5)
    assert not await move(world, instance, 2, OTHER, NOW)
    assert await move(world, instance, 2, ME, NOW)
    assert await move(world, instance, 3, OTHER, NOW)


async def test_a_lapsed_claim_hinders_nobody(world: World) -> None:
    instance = await world.create()
    assert await world.store.claim(instance, ME, NOW, NOW + 5)
    assert await move(world, instance, 1, OTHER, NOW + 5)
    assert await move(world, instance, 2, ME, NOW)
    assert await world.store.claim(instance, ME, NOW, NOW + 5)
    assert await world.store.claim(instance, OTHER, NOW + 5, NOW + 9)
    assert not await world.store.claim(instance, ME, NOW + 5, NOW + 9)


async def test_a_claim_of_before_the_clock_was_set_back_hinders_nobody(world: World) -> None:
    instance = await world.create()
    assert await world.store.claim(instance, ME, NOW, NOW + 2_000)
    assert not await world.store.claim(instance, OTHER, NOW - 58_000, NOW)
    assert await move(world, instance, 1, OTHER, NOW - 3_600_000)
    assert await world.store.claim(instance, ME, NOW, NOW + 2_000)
    assert await world.store.claim(instance, OTHER, NOW - 3_600_000, NOW - 3_598_000)


async def test_a_claim_on_what_is_gone_is_none(world: World) -> None:
    assert not await world.store.claim(12345, ME, NOW, NOW + 5)


async def test_a_claimant_on_an_old_base_moves_nothing_and_keeps_its_claim(world: World) -> None:
    instance = await world.create(deliveries=[Set(None, NOW, "{}")])
    assert await world.move(instance, 1)
    assert await world.store.claim(instance, ME, NOW, NOW + 5)
    assert not await move(world, instance, 1, ME, NOW)
    assert not await move(world, instance, 2, OTHER, NOW)


async def test_only_a_running_instance_at_that_seq_stands(world: World) -> None:
    instance = await world.create()
    assert world.store.stands(instance, 1)
    assert await world.move(instance, 1)
    assert not world.store.stands(instance, 1)
    assert not world.store.stands(12345, 1)


class Claims(RuleBasedStateMachine):
    """Three claimants, one instance, a clock: the store against one line of model."""

    who = st.sampled_from([b"a", b"b", b"c"])

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.loop = asyncio.new_event_loop()
        path = Path(self.directory.name, "smply.db")
        self.world = self.loop.run_until_complete(self._furnish(path))
        self.instance = self.loop.run_until_complete(self.world.create())
        self.seq, self.now = 1, NOW
        self.holder, self.until = b"", 0

    async def _furnish(self, path: Path) -> World:
        return await furnish(await open_store(path, NOW))

    def teardown(self) -> None:
        self.loop.run_until_complete(self.world.store.close())
        self.loop.close()
        self.directory.cleanup()

    def free_for(self, who: bytes) -> bool:
        return self.until <= self.now or self.holder == who

    @rule(who=who, span=st.integers(0, 5))
    def claim(self, who: bytes, span: int) -> None:
        until = self.now + span
        claimed = self.world.store.claim(self.instance, who, self.now, until)
        assert self.loop.run_until_complete(claimed) is self.free_for(who)
        if self.free_for(who):
            self.holder, self.until = who, until

    @rule(who=who, old=st.booleans(), span=st.none() | st.integers(0, 5))
    def move(self, who: bytes, old: bool, span: int | None) -> None:
        hold = None if span is None else self.now + span
        moved = move(self.world, self.instance, self.seq - old, who, self.now, hold)
        may = self.free_for(who) and not old
        assert self.loop.run_until_complete(moved) is may
        if may:
            self.seq += 1
            self.holder, self.until = who, hold or 0

    @rule(span=st.integers(1, 3))
    def wait(self, span: int) -> None:
        self.now += span

    @invariant()
    def history_is_linear(self) -> None:
        rows = self.world.store.list_transitions(self.instance, 0, 1_000)
        assert [row.seq for row in rows] == list(range(1, self.seq + 1))


TestClaims = Claims.TestCase
TestClaims.settings = settings(max_examples=30 * TIMES, stateful_step_count=25)
