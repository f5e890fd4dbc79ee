"""Paused, deleted, made again: what others who still remember an instance do to it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from smply.engine import Engine, EngineSettings
from smply.engine.meter import Meter
from smply.engine.step import Ask, Live, LostRace, Stepper
from smply.errors import AuthorizerRefused, Conflict, NotFound
from smply.models import AdminState
from smply.runtime import Runtime
from tests.conftest import World

pytestmark = pytest.mark.anyio

Publish = Callable[[str, str], Awaitable[str]]

ACT = {"sid": "one"}
AUTH = b'{"sid":"one"}'
TOGGLE = b'{"type":"toggle"}'
DOOR = """
import { assign, createMachine } from "npm:xstate@5";
export const allowRead = () => true;
export const allowWrite = ({ type, context }) => type === "initialization" || context.open;
export default createMachine({
  context: { open: true, public: {} },
  on: { knock: {}, close: { actions: assign({ open: false }) } },
});
"""


class Meddling:
    """A real store in which something else happens just before the calls of one name."""

    def __init__(self, store: Any, name: str, before: Callable[[], Awaitable[object]]) -> None:
        self._store = store
        self._name = name
        self._before: Callable[[], Awaitable[object]] | None = before

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        return self._meddled(method) if name == self._name else method

    def _meddled(self, method: Any) -> Any:
        async def call(*args: Any) -> Any:
            before, self._before = self._before, None
            if before is not None:
                await before()
            return await method(*args)

        return call


@pytest.fixture
async def lit(world: World, publish: Publish) -> World:
    """The light `one` is on; its timer is due in 3 s."""
    await publish("light", "light.ts")
    await world.client.instances.create("light", "one", act=ACT)
    await world.client.instances.send("light", "one", "toggle", act=ACT)
    return world


@pytest.fixture
async def door(world: World) -> World:
    """The door `one` lets nobody write any more."""
    await world.client.machines.create("door")
    await world.client.versions.create("door", DOOR.encode(), make_current=True)
    await world.client.instances.create("door", "one", act={})
    return world


def other_engine(world: World, runtime: Runtime, store: Any = None) -> Engine:
    """Another process on the same data, as far as the engine can tell."""
    return Engine(
        store or world.store, runtime, world.clock, EngineSettings(), world.notices.append
    )


async def state_of(world: World, machine: str = "light") -> AdminState:
    return await world.client.instances.get_admin(machine, "one")


async def seq_of(world: World, machine: str = "light") -> int:
    return (await world.client.instances.inspect(machine, "one")).seq


async def test_a_paused_instance_refuses_events_and_is_looked_at_s158(lit: World) -> None:
    for _ in range(2):
        await lit.client.instances.set_status("light", "one", "paused")
        with pytest.raises(Conflict, match="one is paused") as caught:
            await lit.client.instances.send("light", "one", "toggle", act=ACT)
        assert (caught.value.code, caught.value.parameter) == ("invalid-state", "status")
    assert (await state_of(lit)).status == "paused"
    assert (await lit.client.instances.get("light", "one", act=ACT)).state == "on"
    for _ in range(2):
        await lit.client.instances.set_status("light", "one", "running")
    assert (await lit.client.instances.send("light", "one", "toggle", act=ACT)).state == "off"
    assert await seq_of(lit) == 3


async def test_timers_wait_while_paused_and_are_made_on_resuming_s159(lit: World) -> None:
    await lit.client.instances.set_status("light", "one", "paused")
    lit.clock.time += 1_000_000
    detail = await lit.client.instances.inspect("light", "one")
    assert (detail.state, len(detail.timers), lit.notices) == ("on", 1, [])
    await lit.client.instances.set_status("light", "one", "running")
    row = lit.store.get_instance(lit.org, "light", "one")
    assert row is not None
    assert (row.value, row.ts) == ('"off"', lit.clock.time)
    assert lit.store.deliveries(row.id) == []


async def test_what_was_due_before_the_pause_comes_before_it(lit: World) -> None:
    """design.md, local profile: a command that names an instance makes what is overdue."""
    lit.clock.time += 5_000
    await lit.client.instances.set_status("light", "one", "paused")
    state = await state_of(lit)
    assert (state.state, state.status) == ("off", "paused")


async def test_an_instance_resumes_though_its_timer_fails(world: World, publish: Publish) -> None:
    await publish("failing", "failing_timer.ts")
    await world.client.instances.create("failing", "one", act={})
    await world.client.instances.set_status("failing", "one", "paused")
    world.clock.time += 2_000
    await world.client.instances.set_status("failing", "one", "running")
    assert (await state_of(world, "failing")).status == "running"
    row = world.store.get_instance(world.org, "failing", "one")
    assert row is not None
    assert [owed.attempts for owed in world.store.deliveries(row.id)] == [1]
    assert "attempt 1" in world.notices[0]


async def test_a_step_under_way_at_the_pause_is_not_made(lit: World, runtime: Runtime) -> None:
    def pause() -> Awaitable[object]:
        return lit.client.instances.set_status("light", "one", "paused")

    engine = other_engine(lit, runtime, Meddling(lit.store, "commit", pause))
    with pytest.raises(Conflict, match="one is paused"):
        await engine.instances.send(lit.org, "light", "one", TOGGLE, AUTH)
    assert await seq_of(lit) == 2


async def test_who_remembers_it_running_or_paused_looks_again(lit: World, runtime: Runtime) -> None:
    """S158 in every process."""
    engine = other_engine(lit, runtime)
    await engine.instances.send(lit.org, "light", "one", TOGGLE, AUTH)
    await lit.client.instances.set_status("light", "one", "paused")
    for _ in range(2):
        with pytest.raises(Conflict, match="one is paused"):
            await engine.instances.send(lit.org, "light", "one", TOGGLE, AUTH)
    await lit.client.instances.set_status("light", "one", "running")
    await engine.instances.send(lit.org, "light", "one", TOGGLE, AUTH)
    assert await seq_of(lit) == 4


async def test_a_refusal_is_of_the_instance_as_it_is_now(door: World, runtime: Runtime) -> None:
    """Who remembers an instance that was deleted and made again answers for the new one (Q53)."""
    engine = other_engine(door, runtime)
    await engine.instances.send(door.org, "door", "one", b'{"type":"close"}', AUTH)
    with pytest.raises(AuthorizerRefused):
        await engine.instances.send(door.org, "door", "one", b'{"type":"knock"}', AUTH)
    await door.client.instances.delete("door", "one")
    await door.client.instances.create("door", "one", act={})
    await engine.instances.send(door.org, "door", "one", b'{"type":"knock"}', AUTH)
    assert await seq_of(door, "door") == 2


async def test_a_pause_elsewhere_comes_before_a_refusal(door: World, runtime: Runtime) -> None:
    engine = other_engine(door, runtime)
    await engine.instances.send(door.org, "door", "one", b'{"type":"close"}', AUTH)
    await door.client.instances.set_status("door", "one", "paused")
    with pytest.raises(Conflict):
        await engine.instances.send(door.org, "door", "one", b'{"type":"knock"}', AUTH)


async def test_nothing_of_a_deleted_instance_comes_to_one_of_its_name(
    lit: World, runtime: Runtime
) -> None:
    """Q53, S160: no state, no history, no timer; nor for who still remembers it."""
    engine = other_engine(lit, runtime)
    await engine.instances.send(lit.org, "light", "one", b'{"type":"nothing"}', AUTH)
    await lit.client.instances.delete("light", "one")
    with pytest.raises(NotFound):
        await state_of(lit)
    with pytest.raises(NotFound):
        await engine.instances.send(lit.org, "light", "one", TOGGLE, AUTH)
    await lit.client.instances.create("light", "one", act=ACT)
    lit.clock.time += 10_000
    await engine.instances.send(lit.org, "light", "one", TOGGLE, AUTH)
    detail = await lit.client.instances.inspect("light", "one")
    assert (detail.seq, detail.state, detail.context["public"]) == (2, "on", {"count": 1})


async def test_events_that_wait_for_a_deleted_instance_are_not_found(
    world: World, publish: Publish
) -> None:
    await publish("echo", "echo.ts")
    await world.client.instances.create("echo", "one", act={})
    sends = [world.client.instances.send("echo", "one", "count", act={}) for _ in range(150)]
    sending = asyncio.gather(*sends, return_exceptions=True)
    while await seq_of(world, "echo") == 1:
        await asyncio.sleep(0)
    await world.client.instances.delete("echo", "one")
    results = await sending
    made = [result for result in results if not isinstance(result, NotFound)]
    assert 0 < len(made) < 150
    assert all(not isinstance(result, BaseException) for result in made)
    assert all(isinstance(result, NotFound) for result in results[len(made) :])
    await world.client.instances.create("echo", "one", act={})
    assert await seq_of(world, "echo") == 1


async def test_an_instance_is_deleted_once(lit: World, runtime: Runtime) -> None:
    async def delete() -> None:
        await lit.client.instances.delete("light", "one")

    first = other_engine(lit, runtime, Meddling(lit.store, "delete_instance", delete))
    with pytest.raises(NotFound, match="light has no instance one"):
        await first.instances.delete(lit.org, "light", "one")
    await lit.client.instances.create("light", "one", act=ACT)
    second = other_engine(lit, runtime, Meddling(lit.store, "set_status", delete))
    with pytest.raises(NotFound, match="light has no instance one"):
        await second.instances.set_status(lit.org, "light", "one", "paused")


async def test_a_machine_with_instances_stays_s162(lit: World) -> None:
    with pytest.raises(Conflict, match="light has instances") as caught:
        await lit.client.machines.delete("light")
    assert (caught.value.code, caught.value.parameter) == ("invalid-state", "machineSlug")
    await lit.client.instances.delete("light", "one")
    await lit.client.machines.delete("light")
    with pytest.raises(NotFound):
        await lit.client.machines.get("light")
    await lit.client.machines.create("light")
    assert (await lit.client.versions.list("light")).items == []


MET = ["create_instance", "create_version", "create_upload", "set_current"]


@pytest.mark.parametrize("met", MET)
async def test_what_meets_the_deletion_of_its_machine_is_not_found(
    world: World, publish: Publish, runtime: Runtime, bundle: Any, met: str
) -> None:
    shown = await publish("light", "light.ts")
    code = await bundle("light.ts")

    async def remake() -> None:
        await world.client.machines.delete("light")
        await world.client.machines.create("light")

    engine = other_engine(world, runtime, Meddling(world.store, met, remake))
    [version] = world.store.list_versions(
        world.org, engine.machines.get(world.org, "light").id, 0, 9
    )

    async def publish_again() -> None:
        upload = await engine.machines.provision(world.org, "light")
        await engine.machines.upload(upload.id, upload.secret, code, False)
        await engine.machines.finalize(world.org, "light", upload.handle, "", True)

    async def create() -> None:
        await engine.instances.create(world.org, "light", "one", b"{}", None, "", AUTH)

    async def set_current() -> None:
        await engine.machines.set_current(world.org, "light", version.id, shown)

    verbs = {"create_instance": create, "set_current": set_current}
    with pytest.raises(NotFound, match="light was deleted meanwhile"):
        await verbs.get(met, publish_again)()
    assert (await world.client.instances.list("light")).items == []
    assert (await world.client.versions.list("light")).items == []


async def test_a_version_that_is_gone_makes_one_look_again(world: World, runtime: Runtime) -> None:
    """Its process may have been retired before who remembers an instance of it asks for it."""
    stepper = Stepper(world.store, runtime, world.clock, Meter(world.store, world.clock))
    version = uuid.uuid4().bytes
    live = Live(7, world.org, "m", "one", version, "running", 1, 1, None, None, 0)
    with pytest.raises(LostRace):
        await stepper.advance(live, [Ask(TOGGLE, AUTH, "client")])
    with pytest.raises(NotFound, match="m was deleted meanwhile"):
        await stepper.host(world.org, version, "m", "a")


async def test_an_older_version_is_made_current_again_s2(lit: World, bundle: Any) -> None:
    """S4, S6: new instances get it, others stay on theirs."""
    first = (await state_of(lit)).machine_version.id
    second = await lit.client.versions.create("light", await bundle("light.ts"), make_current=True)
    await lit.client.instances.create("light", "two", act={"sid": "two"})
    await lit.client.machines.set_current("light", first)
    await lit.client.instances.create("light", "three", act={"sid": "three"})
    rows = (await lit.client.instances.list("light")).items
    assert [row.machine_version.id for row in rows] == [first, second, first]


async def test_only_a_version_of_the_machine_is_made_current(lit: World, publish: Publish) -> None:
    foreign = await publish("other", "echo.ts")
    for version in (foreign, "ver_FsrMf_baSJG53SBNSUszzw"):
        with pytest.raises(NotFound, match=f"light has no version {version}"):
            await lit.client.machines.set_current("light", version)
