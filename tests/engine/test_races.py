"""Two engines on one data directory: each has a store, a runtime and a memory of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import pytest

from smply.engine import Engine, EngineSettings
from smply.errors import AuthorizerRefused, Conflict, MachineError, Unavailable
from smply.runtime import Runtime, RuntimeSettings
from smply.store import StepWrite, open_store
from tests.conftest import World

pytestmark = pytest.mark.anyio

Publish = Callable[[str, str], Awaitable[str]]

GATE = b"""
import { assign, setup } from "npm:xstate@5";
export const allowRead = () => true;
export const allowWrite = ({ context, event }) => event?.type !== "pass" || context.public.open;
export default setup({
  guards: {
    open: ({ context }) => {
      if (!context.public.open) throw new Error("it is shut");
      return true;
    },
  },
}).createMachine({
  context: { public: { open: false, n: 0 } },
  on: {
    open: { actions: assign({ public: ({ context }) => ({ ...context.public, open: true }) }) },
    shut: { actions: assign({ public: { open: false, n: 0 } }) },
    "*": {
      guard: "open",
      actions: assign({ public: ({ context: { public: all } }) => ({ ...all, n: all.n + 1 }) }),
    },
  },
});"""

DELETE_GATE = """
DELETE FROM transitions;
DELETE FROM instances;
DELETE FROM versions;
DELETE FROM uploads;
DELETE FROM machines WHERE name = 'gate';
"""

A_STATE = {"open": True, "n": 1}


@dataclass
class Rival:
    """The other engine, and what it was told of itself."""

    world: World
    path: Path
    runtime: Runtime
    notices: list[str]

    def __post_init__(self) -> None:
        self.engine: Engine = self.world.engine
        self.store: Any = self.world.store

    def sql(self, script: str) -> None:
        """What a third process does to the data."""
        connection = apsw.Connection(str(self.path))
        connection.execute(script)
        connection.close()


@pytest.fixture(scope="module")
async def other_runtime(anyio_backend: str) -> AsyncIterator[Runtime]:
    runtime = Runtime(RuntimeSettings(processes_max=3), lambda _key, _log: None)
    yield runtime
    await runtime.close()


@pytest.fixture
async def rival(world: World, tmp_path: Path, other_runtime: Runtime) -> AsyncIterator[Rival]:
    rival = Rival(world, tmp_path / "smply.db", other_runtime, [])
    rival.store = await open_store(rival.path, world.clock.now())
    rival.engine = engine_of(rival, rival.store)
    yield rival
    await rival.store.close()


def engine_of(rival: Rival, store: Any) -> Engine:
    """One more engine on the rival's runtime; the store may be wrapped."""
    return Engine(
        store, rival.runtime, rival.world.clock, EngineSettings(), rival.notices.append
    )  # fmt: skip


async def send(engine: Engine, world: World, machine: str, kind: str) -> dict[str, Any]:
    event = json.dumps({"type": kind}).encode()
    answer: dict[str, Any] = json.loads(
        await engine.instances.send(world.org, machine, "one", event, b"{}")
    )
    return answer


@pytest.fixture
async def gate(world: World, rival: Rival) -> Rival:
    """The machine `gate` with its instance `one`, which the rival remembers as shut."""
    await publish_gate(world)
    for refused in (AuthorizerRefused, MachineError):
        with pytest.raises(refused):
            await send(
                rival.engine, world, "gate", "pass" if refused is AuthorizerRefused else "go"
            )
    return rival


async def publish_gate(world: World) -> None:
    await world.client.machines.create("gate")
    await world.client.versions.create("gate", GATE, make_current=True)
    await world.client.instances.create("gate", "one", act={})


@pytest.mark.parametrize("kind", ["pass", "go"])
async def test_an_event_is_judged_on_what_another_has_acknowledged(
    world: World, gate: Rival, kind: str
) -> None:
    """S45: a refusal (`pass`) or a failure (`go`) is one of the newest state."""
    await send(world.engine, world, "gate", "open")
    assert (await send(gate.engine, world, "gate", kind))["publicContext"] == A_STATE


async def test_a_paused_instance_is_paused_for_all(world: World, gate: Rival) -> None:
    gate.sql("UPDATE instances SET status = 'paused'")
    for kind in ("pass", "open"):
        with pytest.raises(Conflict, match="one is paused"):
            await send(gate.engine, world, "gate", kind)
    gate.sql("UPDATE instances SET status = 'running'")
    assert (await send(gate.engine, world, "gate", "open"))["publicContext"]["open"]


@pytest.mark.parametrize("kind", ["pass", "go"])
async def test_a_name_made_again_is_another_instance(world: World, gate: Rival, kind: str) -> None:
    """Q53."""
    gate.sql("DELETE FROM instances; DELETE FROM transitions")
    await world.client.instances.create("gate", "one", act={})
    await send(world.engine, world, "gate", "open")
    assert (await send(gate.engine, world, "gate", kind))["publicContext"] == A_STATE
    assert (await world.client.instances.inspect("gate", "one")).seq == 3


@pytest.mark.parametrize("kind", ["pass", "go", "open"])
async def test_a_machine_made_again_is_another_machine(
    world: World, gate: Rival, kind: str
) -> None:
    """Q53."""
    gate.sql(DELETE_GATE)
    await publish_gate(world)
    await send(world.engine, world, "gate", "open")
    answer = await send(gate.engine, world, "gate", kind)
    assert answer["publicContext"] == {**A_STATE, "n": 0 if kind == "open" else 1}


async def test_a_machine_made_again_needs_no_code_of_the_old_one(
    world: World, rival: Rival, publish: Publish
) -> None:
    """Its process was retired meanwhile, and its code is gone with its version."""
    await publish_gate(world)
    rival.runtime = Runtime(RuntimeSettings(processes_max=1), lambda _key, _log: None)
    engine = engine_of(rival, rival.store)
    await send(engine, world, "gate", "open")
    await publish("echo", "echo.ts")
    await world.client.instances.create("echo", "one", act={})
    await send(engine, world, "echo", "count")
    rival.sql(DELETE_GATE.replace("FROM instances", "FROM instances WHERE id = 1"))
    await publish_gate(world)
    assert (await send(engine, world, "gate", "open"))["publicContext"]["open"]
    await rival.runtime.close()


async def test_a_version_that_another_has_moved_to_is_the_one_that_steps(
    world: World, gate: Rival
) -> None:
    """S6: an upgrade is a transition, too."""
    newer = GATE.replace(b"all.n + 1", b"all.n + 100")
    version = await world.client.versions.create("gate", newer, make_current=True)
    row = world.store.get_instance(world.org, "gate", "one")
    machine = world.store.get_machine(world.org, "gate")
    assert row is not None
    assert machine is not None
    assert machine.current is not None
    upgrade = StepWrite(
        row.id, row.seq, row.ts + 1, row.value, '{"public":{"open":true,"n":0}}', row.rest,
        row.answer, row.tags, row.done, machine.current.id, "{}", None, "upgrade",
    )  # fmt: skip
    assert await world.store.commit([upgrade], b"", upgrade.ts)
    assert (await send(gate.engine, world, "gate", "go"))["publicContext"]["n"] == 100
    steps = (await world.client.instances.transitions("gate", "one")).items
    assert (await world.client.instances.get_admin("gate", "one")).machine_version.id == version
    assert len(steps) == 3


async def test_a_timer_that_another_has_set_comes_before_the_next_event(
    world: World, rival: Rival, publish: Publish
) -> None:
    """S64, S45."""
    await publish("light", "light.ts")
    await world.client.instances.create("light", "one", act={})
    await send(rival.engine, world, "light", "nothing")
    await send(world.engine, world, "light", "toggle")
    world.clock.time += 10_000
    assert (await send(rival.engine, world, "light", "toggle"))["state"] == "on"
    steps = (await world.client.instances.transitions("light", "one")).items
    assert [step.event["type"] for step in steps[2:]] == [
        "toggle", "xstate.after.3000.light.on", "toggle",
    ]  # fmt: skip


class Meddling:
    """A real store; before each commit or failed attempt somebody else does something."""

    def __init__(self, store: Any, meddle: Callable[[], Awaitable[object]]) -> None:
        self._store = store
        self._meddle = meddle
        self.calls = 0
        self.claims = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def claim(self, *args: Any) -> bool:
        self.claims += 1
        return bool(await self._store.claim(*args))

    async def commit(self, *args: Any) -> bool:
        self.calls += 1
        await self._meddle()
        return bool(await self._store.commit(*args))

    async def fail_delivery(self, *args: Any) -> bool:
        self.calls += 1
        await self._meddle()
        return bool(await self._store.fail_delivery(*args))


async def test_a_failed_attempt_that_two_made_is_counted_once(
    world: World, rival: Rival, publish: Publish
) -> None:
    """S66: five attempts, 30 s apart, however many processes try."""
    await publish("failing", "failing_timer.ts")
    await world.client.instances.create("failing", "one", act={})
    world.clock.time += 1_001
    meddled = Meddling(rival.store, lambda: world.client.instances.inspect("failing", "one"))
    await send(engine_of(rival, meddled), world, "failing", "hello")
    (owed,) = world.store.deliveries(1)
    assert (owed.attempts, owed.due) == (1, world.clock.time + 30_000)
    assert meddled.calls == 2
    assert len(world.notices) + len(rival.notices) == 1


@asynccontextmanager
async def hammering(
    world: World, rival: Rival
) -> AsyncIterator[tuple[Engine, Meddling, list[asyncio.Task[Any]]]]:
    """An engine before whose every commit the other one has an event of its own."""
    sent: list[asyncio.Task[Any]] = []

    async def hammer() -> None:
        sent.append(asyncio.create_task(send(world.engine, world, "echo", "count")))
        row = world.store.get_instance(world.org, "echo", "one")
        assert row is not None
        if row.claimed_until is None:
            await sent[-1]

    meddling = Meddling(rival.store, hammer)
    yield engine_of(rival, meddling), meddling, sent
    await asyncio.gather(*sent)


@pytest.fixture
async def echo(world: World, rival: Rival, publish: Publish) -> Rival:
    await publish("echo", "echo.ts")
    await world.client.instances.create("echo", "one", act={})
    return rival


async def test_a_loser_of_three_races_wins_the_fourth(world: World, echo: Rival) -> None:
    """design.md, a claim: nobody starves, however hard another goes on."""
    async with hammering(world, echo) as (engine, meddling, sent):
        for n in range(1, 4):
            await send(engine, world, "echo", "count")
            assert (meddling.calls, len(sent), meddling.claims) == (4 * n, 4 * n, n)
    row = world.store.get_instance(world.org, "echo", "one")
    assert row is not None
    assert (row.seq, row.claimed_until) == (1 + 5 * 3, None)
    history = world.store.list_transitions(row.id, 0, 100)
    assert [step.seq for step in history] == list(range(1, row.seq + 1))


async def test_a_claim_is_held_while_more_waits_and_released_with_the_last(
    world: World, echo: Rival
) -> None:
    async with hammering(world, echo) as (engine, meddling, _):
        event = b'{"type":"repeat","left":3}'
        sends = [engine.instances.send(world.org, "echo", "one", event, b"{}") for _ in range(3)]
        await asyncio.gather(*sends)
        # Three lost races, then three events and the nine that they send to the instance itself.
        assert meddling.calls == 3 + 12
    # The clock stands still, so that nothing has lapsed: the others went on since it was released.
    row = world.store.get_instance(world.org, "echo", "one")
    assert row is not None
    assert (row.seq, row.claimed_until, meddling.claims) == (1 + 12 + 15, None, 2)


async def test_an_answer_is_never_that_of_a_name_made_again(world: World, echo: Rival) -> None:
    """Q53; deleted between an event and what that sent to the instance itself."""
    commits = iter(["event", "sent to itself"])

    async def make_again() -> None:
        if next(commits) == "sent to itself":
            echo.sql("DELETE FROM instances; DELETE FROM deliveries; DELETE FROM transitions")
            await world.client.instances.create("echo", "one", act={})

    engine = engine_of(echo, Meddling(echo.store, make_again))
    event = b'{"type":"repeat","left":1}'
    answer = await engine.instances.send(world.org, "echo", "one", event, b"{}")
    assert json.loads(answer)["publicContext"] == {"n": 1}


async def test_a_claim_of_another_is_waited_for_until_it_lapses(world: World, echo: Rival) -> None:
    await echo.store.claim(1, b"dead", world.clock.time, world.clock.time + 2_000)
    waiting = asyncio.create_task(send(world.engine, world, "echo", "count"))
    await asyncio.wait({waiting}, timeout=0.1)
    assert not waiting.done()
    world.clock.time += 2_000
    assert (await waiting)["publicContext"] == {"n": 1}


async def test_a_claim_of_a_dead_process_ends_though_the_clock_is_set_back(
    world: World, echo: Rival
) -> None:
    """Failure table: clock jumps."""
    await echo.store.claim(1, b"dead", world.clock.time, world.clock.time + 2_000)
    world.clock.time -= 3_600_000
    assert (await send(world.engine, world, "echo", "count"))["publicContext"] == {"n": 1}


async def test_a_claim_that_never_ends_is_unavailable_at_last(world: World, echo: Rival) -> None:
    await echo.store.claim(1, b"dead", world.clock.time, world.clock.time + 2_000)
    waiting = asyncio.create_task(send(world.engine, world, "echo", "count"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    world.clock.time += 91_000
    echo.sql(f"UPDATE instances SET claimed_until = {world.clock.time + 2_000}")
    with pytest.raises(Unavailable, match="another process keeps one to itself"):
        await waiting


async def test_a_refused_event_of_a_claimant_leaves_no_claim(world: World, gate: Rival) -> None:
    """What is refused commits nothing that could release it."""
    await send(world.engine, world, "gate", "open")
    others = iter(["open", "open", "shut"])
    meddling = Meddling(gate.store, lambda: send(world.engine, world, "gate", next(others)))
    with pytest.raises(AuthorizerRefused):
        await send(engine_of(gate, meddling), world, "gate", "pass")
    assert (await send(world.engine, world, "gate", "open"))["publicContext"]["open"]
    row = world.store.get_instance(world.org, "gate", "one")
    assert row is not None
    assert (row.seq, row.claimed_until) == (6, None)


async def test_an_answer_is_settled_though_another_moved_the_instance_meanwhile(
    world: World, echo: Rival
) -> None:
    """S48: what it sent itself and nobody else has made is made, and then it is answered."""
    commits = iter(["event", "sent to itself"])

    async def move_on() -> None:
        if next(commits, None) == "sent to itself":
            echo.sql("UPDATE instances SET seq = seq + 1")

    engine = engine_of(echo, Meddling(echo.store, move_on))
    event = b'{"type":"repeat","left":3}'
    answer = await engine.instances.send(world.org, "echo", "one", event, b"{}")
    assert json.loads(answer)["publicContext"] == {"n": 3}
    assert world.store.deliveries(1) == []


async def test_a_timer_set_after_the_clock_was_set_back_follows_the_clock(
    world: World, publish: Publish
) -> None:
    """Failure table: deliveries follow wall time, though `ts` goes on rising (Q13)."""
    await publish("light", "light.ts")
    world.clock.time += 3_600_000
    await world.client.instances.create("light", "one", act={})
    world.clock.time -= 3_600_000
    await world.client.instances.send("light", "one", "toggle", act={})
    world.clock.time += 2_999
    assert (await world.client.instances.get_admin("light", "one")).state == "on"
    world.clock.time += 1
    assert (await world.client.instances.get_admin("light", "one")).state == "off"
