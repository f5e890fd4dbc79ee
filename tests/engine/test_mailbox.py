"""The order of one instance's events, and what becomes of them when something fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from smply.engine import Engine, EngineSettings
from smply.engine.mailbox import Mailboxes
from smply.errors import LimitExceeded, MachineError, NotFound, Unavailable
from smply.runtime import Runtime
from smply.store import open_store
from tests.conftest import World

pytestmark = pytest.mark.anyio

Publish = Callable[[str, str], Awaitable[str]]


class FailingStore:
    """A real store that fails at the commits of the given numbers, counted from 1."""

    def __init__(self, store: Any, *failing: int) -> None:
        self._store = store
        self._failing = failing
        self._commits = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, *args: Any) -> bool:
        self._commits += 1
        if self._commits in self._failing:
            raise Unavailable("the disk is full")
        return bool(await self._store.commit(*args))


class Unread:
    """A real store whose reads of one kind fail while a test says so."""

    def __init__(self, store: Any, query: str) -> None:
        self._store = store
        self._query = query
        self.commits = 0

    def __getattr__(self, name: str) -> Any:
        if name == self._query and self.commits:
            return self._fail
        return getattr(self._store, name)

    def _fail(self, *_: Any) -> Any:
        raise Unavailable("the disk is away")

    async def commit(self, *args: Any) -> bool:
        moved = await self._store.commit(*args)
        self.commits += 1
        return bool(moved)


@pytest.fixture
async def echo(world: World, publish: Publish) -> AsyncIterator[World]:
    """A world with the machine `echo` and its instance `one`; a test of it may last 20 s."""
    await publish("echo", "echo.ts")
    async with asyncio.timeout(20):
        await world.client.instances.create("echo", "one", act={})
        yield world


def engine_of(world: World, runtime: Runtime, store: Any, **settings: Any) -> Engine:
    return Engine(
        store, runtime, world.clock, EngineSettings(**settings), world.notices.append
    )  # fmt: skip


def event(text: str) -> bytes:
    return f'{{"type":"{text}"}}'.encode()


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.001)


async def count_of(world: World) -> int:
    state = await world.client.instances.get_admin("echo", "one")
    return int(state.context["public"]["n"])


async def test_an_answer_waits_for_all_that_an_instance_sends_itself(echo: World) -> None:
    """S48: settled, however many steps that takes."""
    state = await echo.client.instances.send("echo", "one", {"type": "repeat", "left": 150}, act={})
    assert state.public_context == {"n": 150}
    assert (await echo.client.instances.inspect("echo", "one")).seq == 152


async def test_what_is_sent_to_itself_comes_before_the_next_event(echo: World) -> None:
    send = echo.client.instances.send
    repeated, said = await asyncio.gather(
        send("echo", "one", {"type": "repeat", "left": 2}, act={}),
        send("echo", "one", "say", act={}),
    )
    assert (repeated.public_context, said.public_context) == ({"n": 2}, {"n": 3})


async def test_more_events_than_one_message_takes_keep_their_order(echo: World) -> None:
    """S45."""
    sends = [
        echo.client.instances.send("echo", "one", {"type": "count", "n": number}, act={})
        for number in range(150)
    ]
    states = await asyncio.gather(*sends)
    assert [state.public_context for state in states] == [{"n": n + 1} for n in range(150)]


async def test_a_failed_commit_fails_its_event_and_nothing_else(
    echo: World, runtime: Runtime
) -> None:
    engine = engine_of(echo, runtime, FailingStore(echo.store, 1))
    with pytest.raises(Unavailable):
        await engine.instances.send(echo.org, "echo", "one", event("count"), b"{}")
    await engine.instances.send(echo.org, "echo", "one", event("count"), b"{}")
    assert await count_of(echo) == 1


async def test_an_event_is_answered_though_what_it_sent_itself_fails(
    echo: World, runtime: Runtime
) -> None:
    """The event is on record: it is answered, and what is owed is made by the next."""
    engine = engine_of(echo, runtime, FailingStore(echo.store, 2))
    repeat = b'{"type":"repeat","left":1}'
    await engine.instances.send(echo.org, "echo", "one", repeat, b"{}")
    assert "still owed" in echo.notices[0]
    await engine.instances.send(echo.org, "echo", "one", event("count"), b"{}")
    assert (await echo.client.instances.inspect("echo", "one")).seq == 4


EAGER = b"""
import { assign, createMachine, sendTo } from "npm:xstate@5";
export const allowRead = () => true;
export const allowWrite = () => true;
export default createMachine({
  context: { public: { n: 0 } },
  entry: sendTo(({ self }) => self, { type: "grow" }),
  on: { grow: { actions: assign({ public: { n: 1 } }) } },
});"""


async def test_a_creation_is_answered_though_what_it_sent_itself_fails(
    world: World, runtime: Runtime
) -> None:
    await world.client.machines.create("eager")
    await world.client.versions.create("eager", EAGER, make_current=True)
    engine = engine_of(world, runtime, FailingStore(world.store, 1))
    answer = await engine.instances.create(world.org, "eager", "one", b"{}", None, "", b"{}")
    assert '"publicContext":{"n":0}' in answer
    assert world.notices == ["eager/one: what it is owed is late: the disk is full"]
    state = await world.client.instances.create("eager", "two", act={})
    assert state.public_context == {"n": 1}

    unread = engine_of(world, runtime, Unread(world.store, "get_instance"))
    answer = await unread.instances.create(world.org, "eager", "three", b"{}", None, "", b"{}")
    assert '"state":{}' in answer


@pytest.mark.parametrize("query", ["next_due", "due_deliveries", "get_instance"])
async def test_an_event_on_record_is_answered_though_nothing_can_be_read(
    echo: World, runtime: Runtime, query: str
) -> None:
    """Failure table: 503 says that nothing was written, or a client would send it twice."""
    engine = engine_of(echo, runtime, Unread(echo.store, query))
    send = partial(engine.instances.send, echo.org, "echo", "one")
    answers = await asyncio.gather(
        send(event("count"), b"{}"), send(b'{"type":"repeat","left":1}', b"{}")
    )
    assert [json.loads(answer)["publicContext"]["n"] for answer in answers] == [1, 2]


async def test_effects_run_though_nothing_can_be_read_after_the_commit(
    echo: World, runtime: Runtime
) -> None:
    """S59: they wait for the commit, and for nothing else."""
    engine = engine_of(echo, runtime, Unread(echo.store, "next_due"))
    await engine.instances.send(echo.org, "echo", "one", b'{"type":"speak","left":1}', b"{}")
    await until(lambda: echo.logs[-1].text == "speak ")


async def test_a_failed_commit_spares_those_that_came_after_it(
    echo: World, runtime: Runtime
) -> None:
    engine = engine_of(echo, runtime, FailingStore(echo.store, 1))
    send = partial(engine.instances.send, echo.org, "echo", "one", event("count"), b"{}")
    sent = [send()]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    sent.append(send())
    first, second = await asyncio.gather(*sent, return_exceptions=True)
    assert isinstance(first, Unavailable)
    assert isinstance(second, str)


async def test_two_engines_on_one_store_lose_no_event(echo: World, runtime: Runtime) -> None:
    """Failure table: two servers, both events are applied, one after the other."""
    engines = [engine_of(echo, runtime, echo.store) for _ in range(2)]
    sends = [
        engines[number % 2].instances.send(echo.org, "echo", "one", event("count"), b"{}")
        for number in range(40)
    ]
    await asyncio.gather(*sends)
    assert await count_of(echo) == 40
    assert (await echo.client.instances.inspect("echo", "one")).seq == 41


async def test_a_full_mailbox_refuses_more(echo: World, runtime: Runtime) -> None:
    engine = engine_of(echo, runtime, echo.store, mailbox_max=3)

    async def send() -> str:
        return await engine.instances.send(echo.org, "echo", "one", event("count"), b"{}")

    results = await asyncio.gather(*(send() for _ in range(5)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, LimitExceeded)]
    assert len(refused) == 2
    assert await count_of(echo) == 3


async def test_a_caller_who_goes_away_changes_nothing(echo: World) -> None:
    sending = asyncio.create_task(echo.client.instances.send("echo", "one", "say", act={}))
    creating = asyncio.create_task(echo.client.instances.create("echo", "two", act={}))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    sending.cancel()
    creating.cancel()
    while len(echo.logs) < 3:
        await asyncio.sleep(0.001)
    assert sorted((log.name, log.text) for log in echo.logs) == [
        ("one", "say "), ("one", "xstate.init "), ("two", "xstate.init "),
    ]  # fmt: skip


async def test_an_unknown_instance_is_not_found_by_all_who_ask(echo: World) -> None:
    sends = [echo.client.instances.send("echo", "two", "count", act={}) for _ in range(3)]
    results = await asyncio.gather(*sends, return_exceptions=True)
    assert [type(result) for result in results] == [NotFound] * 3


async def test_late_timers_that_cannot_be_made_keep_no_reader_away(
    world: World, publish: Publish, runtime: Runtime
) -> None:
    """design.md, local profile: a remark on stderr, and the command goes on."""
    await publish("light", "light.ts")
    await world.client.instances.create("light", "one", act={"sid": "one"})
    await world.client.instances.send("light", "one", "toggle", act={"sid": "one"})
    world.clock.time += 5_000
    engine = engine_of(world, runtime, FailingStore(world.store, 1), deliver_on_read=True)
    found = await engine.instances.inspect(world.org, "light", "one")
    assert found.row.value == '"on"'
    assert world.notices == ["light/one: what it is owed is late: the disk is full"]


async def test_idle_mailboxes_are_let_go_and_busy_ones_are_not(world: World) -> None:
    made: list[Any] = []

    class Box:
        idle = True

    def make(_key: Any) -> Any:
        made.append(Box())
        return made[-1]

    boxes = Mailboxes(make, kept_max=2)
    first, second = boxes.of((b"", "m", "1")), boxes.of((b"", "m", "2"))
    first.idle = False  # type: ignore[misc]
    boxes.of((b"", "m", "3"))
    assert boxes.of((b"", "m", "1")) is first
    assert boxes.of((b"", "m", "2")) is not second


async def test_a_loop_in_one_event_spares_the_others(echo: World, publish: Publish) -> None:
    await publish("light", "light.ts")
    await echo.client.instances.create("light", "one", act={})
    loop = echo.client.instances.send("light", "one", "loop", act={})
    count = echo.client.instances.send("echo", "one", "count", act={})
    looped, counted = await asyncio.gather(loop, count, return_exceptions=True)
    assert isinstance(looped, MachineError)
    assert not isinstance(counted, BaseException)


async def test_a_store_opened_anew_finds_everything(echo: World, tmp_path: Any) -> None:
    await echo.client.instances.send("echo", "one", "count", act={})
    again = await open_store(tmp_path / "smply.db", echo.clock.now())
    row = again.get_instance(echo.org, "echo", "one")
    await again.close()
    assert row is not None
    assert row.seq == 2
