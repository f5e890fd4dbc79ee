"""Timers on time, by the server itself (S64-S69, S159)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from smply.engine import Engine, EngineSettings
from smply.engine.mailbox import Key
from smply.engine.schedule import Schedule
from smply.errors import Unavailable
from smply.runtime import Log, Runtime, RuntimeSettings
from smply.store import Due
from tests.conftest import ManualClock, World, open_world

pytestmark = pytest.mark.anyio

TIMED = b"""
import { assign, createMachine } from "npm:xstate@5";
export const allowRead = () => true;
export const allowWrite = () => true;
const count = assign({ public: ({ context }) => ({ n: context.public.n + 1 }) });
export default createMachine({
  context: { public: { n: 0 } },
  initial: "off",
  states: {
    off: { on: { start: "on", fail: "bad", tick: "ticking" } },
    on: { after: { 60000: { target: "off", actions: count } } },
    ticking: { after: { 10: [
      { guard: "few", target: "ticking", reenter: true, actions: count },
      { target: "off" },
    ] } },
    bad: { after: { 60000: { guard: () => { throw new Error("no"); }, target: "off" } } },
  },
}, { guards: { few: ({ context }) => context.public.n < 5 } });"""


class Waiting(ManualClock):
    """A clock that stands until a test moves it, and lets nobody sleep for less."""

    async def sleep_until(self, due: int) -> None:
        while self.time < due:
            await asyncio.sleep(0.001)


@pytest.fixture
async def timed(tmp_path: Path, runtime: Runtime, heard: list[Log]) -> AsyncIterator[World]:
    """A server that delivers on time, with the machine `timed`."""
    async with open_world(tmp_path / "smply.db", Waiting(), runtime, heard) as world:
        await world.client.machines.create("timed")
        await world.client.versions.create("timed", TIMED, make_current=True)
        async with on_time(world.engine):
            yield world


@contextlib.asynccontextmanager
async def on_time(engine: Engine) -> AsyncIterator[None]:
    task = asyncio.create_task(engine.deliver_on_time())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def start(world: World, name: str, event: str = "start") -> None:
    await world.client.instances.create("timed", name, act={})
    await world.client.instances.send("timed", name, event, act={})


def state_of(world: World, name: str) -> str:
    """As it is stored: to read it over HTTP would make what is due."""
    row = world.store.get_instance(world.org, "timed", name)
    assert row is not None
    return row.value.strip('"')


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.001)


async def test_a_timer_fires_when_it_is_due_though_nobody_asks(timed: World) -> None:
    await start(timed, "one")
    timed.clock.time += 59_999
    await asyncio.gather(*(start(timed, f"other{n}") for n in range(3)))
    assert state_of(timed, "one") == "on"
    timed.clock.time += 1
    await until(lambda: state_of(timed, "one") == "off")
    assert [state_of(timed, f"other{n}") for n in range(3)] == ["on"] * 3


async def test_what_was_due_while_no_server_ran_is_made_at_its_start(
    tmp_path: Path, runtime: Runtime, heard: list[Log]
) -> None:
    clock = Waiting()
    async with open_world(tmp_path / "smply.db", clock, runtime, heard) as world:
        await world.client.machines.create("timed")
        await world.client.versions.create("timed", TIMED, make_current=True)
        for number in range(250):
            await start(world, f"i{number}")
    clock.time += 3_600_000
    async with open_world(tmp_path / "smply.db", clock, runtime, heard) as world:
        async with on_time(world.engine):
            await until(lambda: world.store.due_instances(clock.now(), 1) == [])
        assert {state_of(world, f"i{number}") for number in range(250)} == {"off"}


async def test_what_another_process_sets_is_made_as_well(timed: World, runtime: Runtime) -> None:
    other = Engine(timed.store, runtime, timed.clock, EngineSettings(), timed.notices.append)
    await timed.client.instances.create("timed", "one", act={})
    await other.instances.send(timed.org, "timed", "one", b'{"type":"start"}', b"{}")
    timed.clock.time += 60_000
    await until(lambda: state_of(timed, "one") == "off")


async def test_what_another_process_sets_is_made_though_the_instance_is_known(
    timed: World, runtime: Runtime
) -> None:
    other = Engine(timed.store, runtime, timed.clock, EngineSettings(), timed.notices.append)
    await start(timed, "one", "nothing")
    await other.instances.send(timed.org, "timed", "one", b'{"type":"start"}', b"{}")
    timed.clock.time += 60_000
    await until(lambda: state_of(timed, "one") == "off")


async def test_a_timer_that_sets_the_next_goes_on(timed: World) -> None:
    await start(timed, "one", "tick")
    while state_of(timed, "one") != "off":
        timed.clock.time += 10
        await asyncio.sleep(0.001)
    row = timed.store.get_instance(timed.org, "timed", "one")
    assert row is not None
    assert '"n":5' in row.context


async def test_one_that_fails_is_tried_five_times_and_parked(timed: World) -> None:
    """S66, S67, C7."""
    await start(timed, "one", "fail")
    timed.clock.time += 60_000
    await parked(timed, "one")
    assert timed.store.first_due_after(0) is None


async def test_one_whose_code_cannot_be_loaded_any_more_is_parked_too(tmp_path: Path) -> None:
    """S66, S67."""
    until_ms = int(time.time() * 1000) + 3_000
    late = f'if (Date.now() > {until_ms}) throw new Error("too late");'.encode() + TIMED
    database, clock = tmp_path / "smply.db", Waiting()
    for last in (False, True):
        runtime = Runtime(RuntimeSettings(processes_max=2), lambda _key, _log: None)
        async with open_world(database, clock, runtime, []) as world:
            if not last:
                await world.client.machines.create("timed")
                await world.client.versions.create("timed", late, make_current=True)
                await start(world, "one")
                await until(lambda: time.time() * 1000 > until_ms)
                clock.time += 60_000
            else:
                async with on_time(world.engine):
                    await parked(world, "one")
                assert "too late" in world.notices[-1]
        await runtime.close()


async def parked(world: World, name: str) -> None:
    """Let the attempts at what an instance is owed pass, all five."""
    row = world.store.get_instance(world.org, "timed", name)
    assert row is not None
    for attempt in range(1, 5):
        await until(lambda n=attempt: world.store.deliveries(row.id)[0].attempts == n)  # type: ignore[misc]
        world.clock.time += 30_000
    await until(lambda: world.store.deliveries(row.id)[0].parked is not None)
    await until(lambda: len(world.notices) == 5)


async def test_a_paused_instance_keeps_what_it_is_owed(timed: World) -> None:
    """S159: not attempted while paused, made on resuming."""
    await start(timed, "one")
    await start(timed, "two")
    await timed.client.instances.set_status("timed", "one", "paused")
    timed.clock.time += 60_000
    await until(lambda: state_of(timed, "two") == "off")
    assert timed.store.due_instances(timed.clock.now(), 9) == []
    assert state_of(timed, "one") == "on"
    await timed.client.instances.set_status("timed", "one", "running")
    await until(lambda: state_of(timed, "one") == "off")
    row = timed.store.get_instance(timed.org, "timed", "one")
    assert row is not None
    assert timed.store.deliveries(row.id) == []


async def test_a_deleted_instance_is_owed_nothing(timed: World) -> None:
    await start(timed, "one")
    await timed.client.instances.delete("timed", "one")
    timed.clock.time += 60_000
    await start(timed, "two")
    timed.clock.time += 60_000
    await until(lambda: state_of(timed, "two") == "off")
    assert timed.notices == []


async def test_the_store_may_be_away_for_a_while(
    timed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await start(timed, "one")
    asked = []

    def away(*_: object) -> object:
        asked.append(1)
        raise Unavailable("the disk is away")

    with monkeypatch.context() as broken:
        broken.setattr(timed.store, "due_instances", away)
        timed.clock.time += 60_000
        await until(lambda: len(asked) > 1)
        assert state_of(timed, "one") == "on"
    await until(lambda: state_of(timed, "one") == "off")


class Owed:
    """A store with so many instances that are owed something by now."""

    def __init__(self, count: int) -> None:
        self.due = [Due(number, b"", "m", f"i{number}") for number in range(count)]

    def due_instances(self, _now: int, limit: int) -> list[Due]:
        return self.due[:limit]

    def first_due_after(self, _now: int) -> None:
        return None


@contextlib.asynccontextmanager
async def scheduled(store: Any, settle: Callable[[Key], Awaitable[None]]) -> AsyncIterator[None]:
    task = asyncio.create_task(Schedule(store, ManualClock(), settle).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_those_who_cannot_be_reached_keep_nobody_waiting() -> None:
    owed = Owed(2_500)
    reached = asyncio.Event()

    async def settle(key: Key) -> None:
        if key[2] != "i2499":
            raise Unavailable("no process")
        owed.due.pop()
        reached.set()

    async with scheduled(owed, settle):
        await asyncio.wait_for(reached.wait(), 10)


async def test_a_fault_of_our_own_is_not_met_again_at_once() -> None:
    met: list[Key] = []

    async def settle(key: Key) -> None:
        met.append(key)
        raise ZeroDivisionError

    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    async with scheduled(Owed(1), settle):
        await asyncio.sleep(0.3)
    assert len(met) == 1
