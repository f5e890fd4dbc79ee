"""What processes remember between calls, when they are retired, how they are closed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable

import pytest

from smply.errors import Unavailable
from smply.runtime import RuntimeSettings, Snapshot, Stepped, process
from smply.runtime.pool import Falls
from tests.runtime.support import (
    AUTH,
    OFF,
    OFF_4,
    Lab,
    event,
    machine,
    machine4,
    pid_of,
    step,
    unknown,
    values,
)

pytestmark = pytest.mark.anyio

ACT = 'act: { target: "on", actions: () => { console.log("acted"); } }'


@pytest.fixture
async def narrow(anyio_backend: str) -> AsyncIterator[Lab]:
    """A runtime of one process."""
    lab = Lab(RuntimeSettings(processes_max=1))
    yield lab
    await lab.runtime.close(0)


async def test_the_snapshot_is_asked_for_once(lab: Lab) -> None:
    host = await lab.host(machine())
    asked: list[int] = []

    def snapshot() -> Snapshot:
        asked.append(1)
        return OFF

    first = await host.step(1, "one", 4, snapshot, [event("toggle", 10), event("toggle", 11)])
    host.commit(1, 6)
    second = await host.step(1, "one", 6, unknown, [event("toggle", 12)])

    assert values(first + second) == ["on", "off", "on"]
    assert [each.seq for each in first + second if isinstance(each, Stepped)] == [5, 6, 7]
    assert asked == [1]


async def test_a_dropped_step_leaves_the_one_before(lab: Lab) -> None:
    host = await lab.host(machine())
    await step(host, 1, "toggle", "toggle", "toggle")
    host.commit(1, 2)

    host.drop(1, 3)
    again = await host.step(1, "one", 2, unknown, [event("toggle", 2_001)])

    assert values(again) == ["off"]


async def test_a_step_stands_on_the_newest_that_is_not_committed(lab: Lab) -> None:
    host = await lab.host(machine())
    await step(host, 1, "toggle", "toggle")

    [third] = await host.step(1, "light-1", 3, unknown, [event("toggle", 2_002)])

    assert values([third]) == ["on"]


async def test_a_new_instance_is_known_by_its_row_after_the_commit(lab: Lab) -> None:
    host = await lab.host(machine())
    started = await host.start("one", 1_000, b'{"name":"x"}', AUTH)
    assert isinstance(started, Stepped)
    assert started.instance < 0

    host.commit(started.instance, 1, 42)
    [toggled] = await host.step(42, "one", 1, unknown, [event("toggle")])

    assert values([toggled]) == ["on"]


async def test_the_commit_of_a_birth_keeps_a_step_that_was_quicker(lab: Lab) -> None:
    """Another caller may find the row in the store before its commit is told to the host."""
    host = await lab.host(machine(ACT))
    started = await host.start("one", 1_000, b"{}", AUTH)
    assert isinstance(started, Stepped)
    await step(host, 43, "act")

    host.commit(started.instance, 1, 43)
    host.commit(43, 2)
    await step(host, 44, "toggle")

    assert [(log.instance, log.text) for log in lab.logs] == [(43, "acted")]


async def test_effects_wait_for_the_commit(lab: Lab) -> None:
    host = await lab.host(machine(ACT))
    await step(host, 1, "act")
    await step(host, 2, "toggle")
    assert lab.logs == []

    host.commit(1, 2)
    await step(host, 3, "toggle")

    assert [(log.instance, log.text) for log in lab.logs] == [(1, "acted")]


async def test_allow_read_is_asked_with_the_auth_context(lab: Lab) -> None:
    host = await lab.host(machine(allow_read='authContext.sub === "a"'))

    assert await host.read(1, "one", 1, lambda: OFF, b'{"sub":"a"}') is None
    refused = await host.read(1, "one", 1, unknown, b'{"sub":"b"}')

    assert refused is not None
    assert type(refused).__name__ == "Refused"


async def test_the_idle_process_makes_room(narrow: Lab) -> None:
    one, other = await narrow.code(machine()), await narrow.code(machine(ACT))
    for _ in range(2):
        for key, code in (("one", one), ("other", other)):
            host = await narrow.runtime.host(key, lambda code=code: code)  # type: ignore[misc]
            assert values(await step(host, 1, "toggle")) == ["on"]
            assert narrow.runtime._pool is not None
            assert len(narrow.runtime._pool._lent) == 1


async def test_a_host_goes_on_after_its_process_was_retired(narrow: Lab) -> None:
    first = await narrow.host(machine())
    await narrow.host(machine(ACT))

    assert values(await step(first, 1, "toggle")) == ["on"]


async def test_without_an_idle_process_a_new_one_is_unavailable_after_a_second(
    narrow: Lab,
) -> None:
    code = await narrow.code(machine())
    host = await narrow.host(machine("loop: { guard: () => { for (;;); } }"))
    busy = asyncio.create_task(step(host, 1, "loop"))
    await asyncio.sleep(0)

    with pytest.raises(Unavailable, match="every process for machine code is at work"):
        await narrow.runtime.host("other", lambda: code)

    assert values(await busy) == ["failed"]


async def test_a_start_waits_for_a_process_that_is_at_work_for_less_than_a_second() -> None:
    lab = Lab(RuntimeSettings(processes_max=1, step_seconds=0.3))
    code = await lab.code(machine())
    host = await lab.host(machine("loop: { guard: () => { for (;;); } }"))
    busy = asyncio.create_task(step(host, 1, "loop"))
    await asyncio.sleep(0)

    other = await lab.runtime.host("other", lambda: code)

    assert values(await busy) == ["failed"]
    assert values(await step(other, 1, "toggle")) == ["on"]
    await lab.runtime.close(0)


async def test_a_step_that_waits_for_its_commit_keeps_its_process(narrow: Lab) -> None:
    code = await narrow.code(machine())
    host = await narrow.host(machine(ACT))
    await step(host, 1, "act")

    with pytest.raises(Unavailable):
        await narrow.runtime.host("other", lambda: code)

    host.commit(1, 2)
    await narrow.runtime.host("other", lambda: code)
    assert [log.text for log in narrow.logs] == ["acted"]


async def test_a_birth_that_waits_for_its_commit_keeps_its_process(narrow: Lab) -> None:
    code = await narrow.code(machine())
    host = await narrow.host(machine())
    born = await host.start("one", 1_000, b"{}", AUTH)
    assert isinstance(born, Stepped)

    with pytest.raises(Unavailable):
        await narrow.runtime.host("other", lambda: code)

    host.drop(born.instance, 1)
    await narrow.runtime.host("other", lambda: code)


async def test_a_process_keeps_running_while_an_action_of_it_does(narrow: Lab) -> None:
    code = await narrow.code(machine())
    top = "let end; const ended = new Promise((resolve) => { end = resolve; });"
    acts = 'act: { target: "on", actions: () => ended }, end: { guard: () => end() ?? true }'
    host = await narrow.host(machine(acts, top=top))
    await step(host, 1, "act")
    host.commit(1, 2)

    with pytest.raises(Unavailable):
        await narrow.runtime.host("other", lambda: code)

    assert values(await step(host, 2, "end")) == ["off"]
    await narrow.runtime.host("other", lambda: code)


async def test_an_action_that_never_ends_makes_room_at_last() -> None:
    """One that nobody awaits any more must not keep a place from all other versions."""
    lab = Lab(RuntimeSettings(processes_max=1, action_seconds=0.1))
    code = await lab.code(machine())
    host = await lab.host(machine("hang: { target: 'on', actions: () => new Promise(() => {}) }"))
    await step(host, 1, "hang")
    host.commit(1, 2)

    other = await lab.runtime.host("other", lambda: code)

    assert values(await step(other, 1, "toggle")) == ["on"]
    assert [log.text for log in lab.logs] == [
        "light-1: an action was still running after 0.1 s and was stopped to make room"
    ]
    await lab.runtime.close(0)


async def test_the_least_recently_used_process_is_retired_first() -> None:
    lab = Lab(RuntimeSettings(processes_max=3))
    first, second, third = [await lab.host(machine()) for _ in range(3)]
    processes = [host._process for host in (first, second, third)]
    await step(first, 1, "toggle")

    await lab.host(machine())
    await step(first, 1, "toggle")
    await lab.host(machine())

    ended = [process.ended for process in processes if process is not None]
    assert ended == [None, "was retired", "was retired"]
    await lab.runtime.close(0)


@pytest.fixture
async def prepared(anyio_backend: str) -> AsyncIterator[Lab]:
    """A runtime of three processes, one of which waits blank."""
    lab = Lab(RuntimeSettings(processes_max=3, spares=1))
    yield lab
    await lab.runtime.close(0)


async def waiting(lab: Lab) -> process.Process:
    """The spare of a runtime, once it has greeted."""
    assert lab.runtime._pool is not None
    [(spare, start)] = lab.runtime._pool._spares.items()
    await start
    return spare


async def test_a_spare_is_lent_and_another_takes_its_place(prepared: Lab) -> None:
    code = await prepared.code(machine(ACT))
    spare = await waiting(prepared)

    host = await prepared.runtime.host("key", lambda: code)
    await step(host, 1, "act")
    host.commit(1, 2)
    await step(host, 2, "toggle")

    assert host._process is spare
    assert [log.text for log in prepared.logs] == ["acted"]
    assert await waiting(prepared) is not spare


async def test_spares_are_given_up_before_a_process_is_retired(prepared: Lab) -> None:
    hosts = [await prepared.host(machine()) for _ in range(3)]
    assert prepared.runtime._pool is not None

    assert [host._process and host._process.ended for host in hosts] == [None] * 3
    assert not prepared.runtime._pool._spares

    await prepared.host(machine())
    assert [host._process and host._process.ended for host in hosts] == ["was retired", None, None]


async def test_a_spare_that_died_is_not_lent(prepared: Lab) -> None:
    code = await prepared.code(machine())
    spare = await waiting(prepared)
    assert spare._child is not None
    os.kill(spare._child.pid, signal.SIGKILL)
    await spare.wait()

    host = await prepared.runtime.host("key", lambda: code)

    assert values(await step(host, 1, "toggle")) == ["on"]
    assert await waiting(prepared) is not spare


@pytest.mark.parametrize("turns", [0, 1, 3, None])
async def test_close_ends_processes_that_are_only_starting(turns: int | None) -> None:
    """So many turns of the loop after their start was asked for; None: when they had greeted."""
    lab = Lab(RuntimeSettings(spares=2))
    pool = lab.runtime._open()
    spares = dict(pool._spares)
    for _ in range(turns or 0):
        await asyncio.sleep(0)
    if turns is None:
        await asyncio.gather(*spares.values())

    assert await lab.runtime.close(0) == []

    assert [each._child and each._child.returncode for each in spares] == [-signal.SIGKILL] * 2


async def test_nothing_waits_blank_unless_it_is_asked_for() -> None:
    lab = Lab(RuntimeSettings())
    await lab.host(machine())
    assert lab.runtime._pool is not None

    assert len(lab.runtime._pool._lent) == 1
    assert not lab.runtime._pool._spares
    await lab.runtime.close(0)


async def test_close_waits_for_an_action_that_has_begun() -> None:
    lab = Lab(RuntimeSettings())
    slow = 'act: { target: "on", actions: async () => { await wait(50); console.log("done"); } }'
    top = "const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));"
    host = await lab.host(machine(slow, top=top))
    await step(host, 1, "act")
    host.commit(1, 2)

    assert await lab.runtime.close(5.0) == []

    assert [log.text for log in lab.logs] == ["done"]


async def test_close_names_the_action_that_it_stops() -> None:
    lab = Lab(RuntimeSettings())
    top = "async function notify() { await new Promise(() => {}); }"
    host = await lab.host(machine('act: { target: "on", actions: notify }', top=top))
    await step(host, 1, "act")
    host.commit(1, 2)

    assert await lab.runtime.close(0.05) == [
        "light-1: action notify was still running after 0.05 s and was stopped"
    ]


async def test_a_close_that_is_interrupted_still_ends_its_processes() -> None:
    lab = Lab(RuntimeSettings())
    top = "async function notify() { await new Promise(() => {}); }"
    host = await lab.host(machine('act: { target: "on", actions: notify }', top=top))
    await step(host, 1, "act")
    host.commit(1, 2)
    process, home = host._process, lab.runtime._home
    assert process is not None
    assert process._child is not None
    assert home is not None

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await lab.runtime.close(30.0)

    assert process._child.returncode is not None
    assert not home.path.exists()


@pytest.mark.parametrize(("make", "off"), [(machine, OFF), (machine4, OFF_4)])
@pytest.mark.parametrize("actions", ["() => wait()", "[() => wait()]"])
async def test_close_gives_an_action_without_a_name_none(
    make: Callable[..., str], off: Snapshot, actions: str
) -> None:
    lab = Lab(RuntimeSettings())
    top = "const wait = () => new Promise(() => {});"
    host = await lab.host(make(f'act: {{ target: "on", actions: {actions} }}', top=top))
    await host.step(1, "light-1", 1, lambda: off, [event("act")])
    host.commit(1, 2)

    assert await lab.runtime.close(0.05) == [
        "light-1: an action was still running after 0.05 s and was stopped"
    ]


async def test_close_does_not_wait_long_for_a_loop() -> None:
    lab = Lab(RuntimeSettings(step_seconds=0.3))
    host = await lab.host(machine('act: { target: "on", actions: () => { for (;;); } }'))
    await step(host, 1, "act")
    host.commit(1, 2)

    async with asyncio.timeout(3):
        assert await lab.runtime.close(30.0) == ["light-1: an action looped and was stopped"]


async def test_close_tells_a_process_that_ended_from_an_action_that_did_not() -> None:
    lab = Lab(RuntimeSettings())
    top = "async function notify() { await new Promise(() => {}); }"
    host = await lab.host(machine('act: { target: "on", actions: notify }', top=top))
    await step(host, 1, "act")
    host.commit(1, 2)
    await step(host, 2, "toggle")

    assert host._process is not None
    asked = host._process._last_call
    closing = asyncio.create_task(lab.runtime.close(30.0))
    # What still runs, and then whether it has ended.
    while host._process._last_call < asked + 2:
        await asyncio.sleep(0.01)
    os.kill(pid_of(host), signal.SIGKILL)

    assert await closing == [
        "light-1: action notify was still running when machine code lost its process (signal 9)"
    ]


async def test_an_action_that_loops_is_told_of_when_its_process_is_to_make_room() -> None:
    lab = Lab(RuntimeSettings(processes_max=1, step_seconds=0.3))
    host = await lab.host(machine('act: { target: "on", actions: () => { for (;;); } }'))
    code = await lab.code(machine())
    await step(host, 1, "act")
    host.commit(1, 2)

    await lab.runtime.host("other", lambda: code)

    assert [log.text for log in lab.logs] == ["an action ran longer than 0.3 s and was stopped"]
    await lab.runtime.close(0)


async def test_a_process_that_does_not_greet_in_time_leaves_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = await lab.code(machine())
    with monkeypatch.context() as impatient:
        impatient.setattr(process, "_HELLO_SECONDS", 0.001)
        for number in range(lab.settings.processes_max + 1):
            with pytest.raises(Unavailable, match="does not start"):
                await lab.runtime.host(f"slow-{number}", lambda: code)

    assert values(await step(await lab.host(machine()), 1, "toggle")) == ["on"]


async def test_a_runtime_that_was_never_used_starts_nothing(tmp_path: object) -> None:
    assert await Lab(RuntimeSettings()).runtime.close() == []


def test_processes_that_are_stopped_again_and_again_start_after_a_pause() -> None:
    falls = Falls()
    assert [falls.pause(time) for time in range(7)] == [0, 0, 0.25, 0.5, 1, 1, 1]
    assert falls.pause(16) == 0
    assert [falls.pause(time) for time in range(17, 20)] == [0, 0.25, 0.5]


async def test_only_what_was_stopped_makes_the_next_wait(hasty: Lab) -> None:
    """One that was killed from outside, or retired, is no fault of its code."""
    host = await hasty.host(machine("loop: { guard: () => { for (;;); } }"))
    for _ in range(2):
        await step(host, 1, "loop")
        assert host._process is not None
        assert host._process.overran
    [toggled] = await step(host, 1, "toggle")
    assert isinstance(toggled, Stepped)
    killed = host._process
    assert killed is not None
    os.kill(pid_of(host), signal.SIGKILL)
    await killed.wait()
    assert not killed.overran
    await step(host, 1, "toggle")
    assert host._falls._count == 2


async def test_the_third_in_a_row_waits(hasty: Lab) -> None:
    host = await hasty.host(machine("loop: { guard: () => { for (;;); } }"))
    for _ in range(3):
        await step(host, 1, "loop")
    since = asyncio.get_running_loop().time()
    [toggled] = await step(host, 1, "toggle")
    assert isinstance(toggled, Stepped)
    assert asyncio.get_running_loop().time() - since >= 0.25
