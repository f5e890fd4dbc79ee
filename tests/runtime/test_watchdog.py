"""Loops, memory, rejections: who is to blame fails, nobody else notices (Q4, Q61)."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from smply.errors import BuildError, MachineError
from smply.runtime import Code, Failed, Later, RuntimeSettings, StepEvent, Stepped
from tests.runtime.support import AUTH, OFF, Lab, event, machine, pid_of, step, values

pytestmark = pytest.mark.anyio

LOOP = 'loop: { target: "on", guard: () => { for (;;); } }'
ACT = 'act: { target: "on", actions: () => { console.log("acted"); } }'
KEEP_100_MB = """keep: { target: "on", guard: () => {
  const kept = [];
  for (let n = 0; n < 1_200; n++) kept.push(new Array(10_000).fill(n + 0.5));
  return kept.length > 0;
} }"""
TOO_LONG = "machine code ran longer than 0.5 s and was stopped"


async def test_a_guard_that_loops_fails_its_event_and_the_next_one_is_handled(hasty: Lab) -> None:
    host = await hasty.host(machine(LOOP))

    [looped] = await step(host, 1, "loop")
    [toggled] = await step(host, 1, "toggle")

    assert looped == Failed("machine-error", TOO_LONG, "")
    assert isinstance(toggled, Stepped)
    assert toggled.value == '"on"'


async def test_the_others_in_the_process_never_notice_who_loops(hasty: Lab) -> None:
    host = await hasty.host(machine(LOOP))

    answers = await asyncio.gather(
        *(step(host, n, "loop" if n == 5 else "toggle") for n in range(1, 9))
    )

    assert [values(each)[0] for each in answers] == ["on"] * 4 + ["failed"] + ["on"] * 3
    assert hasty.logs == []


async def test_two_that_loop_are_both_found(hasty: Lab) -> None:
    host = await hasty.host(machine(LOOP))

    answers = await asyncio.gather(
        *(step(host, n, "loop" if n in (2, 3) else "toggle") for n in range(1, 5))
    )

    assert [values(each)[0] for each in answers] == ["on", "failed", "failed", "on"]


async def test_a_read_and_a_start_are_asked_again_too(hasty: Lab) -> None:
    host = await hasty.host(machine(LOOP))

    _, refused, started = await asyncio.gather(
        step(host, 1, "loop"),
        host.read(2, "two", 1, lambda: OFF, AUTH),
        host.start("three", 1_000, b"{}", AUTH),
    )

    assert refused is None
    assert isinstance(started, Stepped)
    host.commit(started.instance, 1, 3)
    assert values(await step(host, 3, "toggle")) == ["on"]


async def test_of_several_events_the_looping_one_is_named_and_the_rest_wait(hasty: Lab) -> None:
    host = await hasty.host(machine(LOOP))

    answers = await step(host, 1, "nothing", "loop", "toggle")

    assert values(answers) == ["off", "failed", "later"]
    assert answers[1] == Failed("machine-error", TOO_LONG, "")


async def test_a_call_made_while_another_is_on_trial_waits_its_turn(hasty: Lab) -> None:
    host = await hasty.host(machine(LOOP))
    trial = asyncio.gather(step(host, 1, "loop"), step(host, 2, "toggle"))
    while hasty.loads < 2 or host._process is None or not host._process.owes:
        await asyncio.sleep(0.01)

    late = await step(host, 3, "toggle")
    [looped], [toggled] = await trial

    assert values([looped, toggled, *late]) == ["failed", "on", "on"]
    # The first, the one in which the loop was alone, and the one that serves now.
    assert hasty.loads == 3


async def test_a_step_that_eats_its_memory_fails_alone(lab: Lab) -> None:
    eat = """eat: { target: "on", guard: () => {
      const kept = [];
      for (;;) kept.push(new Array(10_000).fill(Math.random()));
    } }"""
    host = await lab.host(machine(eat))

    [eaten], [toggled] = await asyncio.gather(step(host, 1, "eat"), step(host, 2, "toggle"))

    message = "machine code ran out of memory (128 MB beside the cache) and was stopped"
    assert eaten == Failed("machine-error", message, "")
    assert values([toggled]) == ["on"]


async def test_the_heap_has_the_size_of_the_settings() -> None:
    small = Lab(RuntimeSettings(heap_megabytes=64, cache_bytes=1 << 20))

    [kept] = await step(await small.host(machine(KEEP_100_MB)), 1, "keep")

    message = "machine code ran out of memory (64 MB beside the cache) and was stopped"
    assert kept == Failed("machine-error", message, "")
    await small.runtime.close(0)


async def test_a_heap_within_its_size_is_no_fault(lab: Lab) -> None:

    assert values(await step(await lab.host(machine(KEEP_100_MB)), 1, "keep")) == ["on"]


async def test_a_forgotten_await_is_logged_and_kills_nobody(lab: Lab) -> None:
    forget = 'forget: { target: "on", guard: () => { later(); return true; } }'
    top = "async function later() { await null; throw new TypeError('nobody waits'); }"
    host = await lab.host(machine(forget, top=top))
    before = pid_of(host)

    assert values(await step(host, 7, "forget")) == ["on"]
    assert values(await step(host, 8, "toggle")) == ["on"]

    [log] = lab.logs
    assert (log.instance, log.name, log.phase, log.stream) == (7, "light-7", "rejection", "stderr")
    assert log.text.startswith("TypeError: nobody waits")
    assert pid_of(host) == before


async def test_an_action_that_throws_after_the_commit_is_logged_once(lab: Lab) -> None:
    throw = 'act: { target: "on", actions: function notify() { throw new Error("no mail"); } }'
    host = await lab.host(machine(throw))

    assert values(await step(host, 1, "act")) == ["on"]
    host.commit(1, 2)
    assert values(await step(host, 2, "toggle")) == ["on"]

    [log] = lab.logs
    assert (log.name, log.phase, log.stream) == ("light-1", "action", "stderr")
    assert log.text.startswith("Error: no mail")


async def test_an_action_that_loops_after_the_commit_costs_the_next_call_only_time(
    hasty: Lab,
) -> None:
    host = await hasty.host(machine('act: { target: "on", actions: () => { for (;;); } }'))
    [acted] = await step(host, 1, "act")
    assert isinstance(acted, Stepped)
    assert acted.effects
    host.commit(1, 2)

    assert values(await step(host, 2, "toggle")) == ["on"]

    [log] = hasty.logs
    assert (log.instance, log.name, log.phase, log.stream) == (1, "light-1", "action", "stderr")
    assert log.text == "an action ran longer than 0.5 s and was stopped"


async def test_what_loops_later_is_found_though_nobody_asks() -> None:
    """It would take a processor from all others for as long as its process lives."""
    lab = Lab(RuntimeSettings(step_seconds=0.3, pulse_seconds=0.1))
    loop = "setTimeout(() => { for (;;); }, 10)"
    host = await lab.host(machine(f"go: {{ target: 'on', actions: () => {{ {loop}; }} }}"))
    await step(host, 1, "go")
    host.commit(1, 2)

    async with asyncio.timeout(5):
        while not lab.logs:
            await asyncio.sleep(0.02)

    assert [log.text for log in lab.logs] == ["an action ran longer than 0.3 s and was stopped"]
    assert values(await step(host, 2, "toggle")) == ["on"]
    await lab.runtime.close(0)


async def test_a_loop_is_found_though_actions_ran_before_it(hasty: Lab) -> None:
    host = await hasty.host(machine(f"{ACT}, {LOOP}"))
    await step(host, 1, "act")
    host.commit(1, 2)
    await step(host, 2, "toggle")

    assert values(await step(host, 2, "loop")) == ["failed"]

    assert [log.text for log in hasty.logs] == ["acted"]


async def test_an_action_in_doubt_is_told_when_another_instance_looped(hasty: Lab) -> None:
    host = await hasty.host(machine(f"{ACT}, {LOOP}"))
    await step(host, 1, "act")
    looping = asyncio.create_task(step(host, 2, "loop"))
    while host._process is None or not host._process.owes:
        await asyncio.sleep(0.01)
    host.commit(1, 2)

    assert values(await looping) == ["failed"]

    [log] = hasty.logs
    assert (log.instance, log.stream, log.phase) == (1, "stderr", "action")
    assert log.text == (
        "its actions may not have run: machine code ran longer than 0.5 s and was stopped"
    )


async def test_a_process_killed_from_outside_is_replaced(lab: Lab) -> None:
    host = await lab.host(machine())
    first = pid_of(host)

    os.kill(first, signal.SIGKILL)

    assert values(await step(host, 1, "toggle")) == ["on"]
    assert pid_of(host) != first


async def test_code_that_loops_while_it_loads_is_no_version(hasty: Lab) -> None:
    with pytest.raises(BuildError) as refused:
        await hasty.runtime.check(machine(top="for (;;);").encode(), "light")

    assert refused.value.message == (
        "the code of light ran longer than 2 s and was stopped while it was loaded"
    )


async def test_code_that_loops_while_it_is_loaded_again_is_a_machine_error(hasty: Lab) -> None:
    source = machine(top="for (;;);").replace("@5", "@5.33.3")
    code = Code(source.encode(), "light", 5, "5.33.3")

    with pytest.raises(MachineError, match=r"the code of the machine ran longer than 2 s"):
        await hasty.runtime.host("loops", lambda: code)


async def test_later_events_are_asked_for_again_after_one_with_effects(lab: Lab) -> None:
    host = await lab.host(machine(ACT))

    answers = await step(host, 1, "act", "toggle")

    assert values(answers) == ["on", "later"]
    assert answers[1] == Later()
    host.drop(1, 2)
    assert lab.logs == []


async def test_what_a_line_feed_in_an_event_separates_is_not_a_message(lab: Lab) -> None:
    host = await lab.host(machine())
    spaced = event("toggle").event.replace(b":", b"\n:\r\n")

    [answer] = await host.step(1, "one", 1, lambda: OFF, [StepEvent(2_000, spaced, AUTH, "client")])

    assert values([answer]) == ["on"]


async def test_a_flood_of_prints_is_shortened_and_says_so(lab: Lab) -> None:
    flood = """flood: { target: "on", guard: () => {
      for (let n = 0; n < 20_000; n++) console.log("x".repeat(100));
      return true;
    } }"""
    host = await lab.host(machine(flood))

    assert values(await step(host, 1, "flood")) == ["on"]

    assert 1_000 < len(lab.logs) < 3_000
    assert lab.logs[-1].text == (
        "it printed too much at once: what follows within this second is not kept"
    )


WORK = """const work = () => { const end = Date.now() + 60; while (Date.now() < end); };"""
SLOW = "slow: { actions: assign(() => (work(), {})) }"
SLOW_ACT = "slow: { actions: () => work() }"


async def test_many_steps_that_take_a_while_are_not_one_that_takes_too_long(hasty: Lab) -> None:
    """Sixteen of 60 ms each come in one chunk: patience is for one, and each is heard of."""
    host = await hasty.host(machine(SLOW, top=WORK))

    answers = await asyncio.gather(*(step(host, n, "slow") for n in range(1, 17)))

    assert [values(each) for each in answers] == [["off"]] * 16
    assert hasty.loads == 1


async def test_nor_are_many_events_of_one_instance(hasty: Lab) -> None:
    host = await hasty.host(machine(SLOW, top=WORK))
    base = 1
    while base < 17:
        answers = await step(host, 1, *["slow"] * (17 - base), base=base)
        made = [each for each in answers if isinstance(each, Stepped)]
        assert values(answers) == ["off"] * len(made) + ["later"] * (17 - base - len(made))
        base += len(made)
        host.commit(1, base)
    assert hasty.loads == 1


async def test_nor_are_the_actions_of_many(hasty: Lab) -> None:
    host = await hasty.host(machine(SLOW_ACT, top=WORK))
    await asyncio.gather(*(step(host, n, "slow") for n in range(1, 17)))
    for n in range(1, 17):
        host.commit(n, 2)

    assert values(await step(host, 17, "toggle")) == ["on"]

    assert (hasty.loads, hasty.logs) == (1, [])
