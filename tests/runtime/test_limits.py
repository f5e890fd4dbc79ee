"""Whatever machine code does, and wherever, only who does it notices (Q4, Q61)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest

from smply.errors import BuildError
from smply.runtime import (
    Failed,
    Host,
    Refused,
    RuntimeSettings,
    Snapshot,
    StepAnswer,
    StepEvent,
    Stepped,
)
from smply.store import merge_patch
from tests.runtime.support import AUTH, OFF, OFF_4, Lab, event, machine, step, unknown, values

pytestmark = pytest.mark.anyio

SPOIL = """
const spoil = {
  loop: () => { for (;;); },
  memory: () => { for (let kept = [1.5];;) kept = kept.concat(kept); },
  buffers: () => { for (const kept = [];;) kept.push(new Uint8Array(1 << 28)); },
  wasm: () => { for (const kept = [];;) kept.push(new WebAssembly.Memory({ initial: 4096 })); },
  text: () => { let text = "x"; for (;;) text += text; },
  recursion: () => { const down = () => down() + 1; return down(); },
  flood: () => { for (let n = 0; n < 20_000; n++) console.log("x".repeat(100)); },
  floods: () => { for (;;) console.log("x".repeat(10_000)); },
  timers: () => { for (let n = 0; n < 100_000; n++) setTimeout(() => {}, 3_600_000); },
  large: () => "x".repeat(400_000),
  getter: () => ({ get bad() { throw new Error("looked at"); } }),
  cycle: () => { const value = {}; return value.self = value; },
  bigint: () => 1n,
  date: () => new Date(0),
  undefined: () => undefined,
  nan: () => NaN,
  map: () => new Map([[1, 2]]),
  proto: () => JSON.parse('{"__proto__":{"polluted":1}}'),
};
"""


def of_5(top: str = "", context: str = "{}") -> str:
    return f"""
import {{ createMachine, assign }} from "npm:xstate@5";
{SPOIL} {top}
export const allowRead = () => true;
export const allowWrite = ({{ event }}) =>
  event?.type === "authorizer" ? spoil[event.what]() : true;
export default createMachine({{
  context: {context}, initial: "off",
  states: {{ on: {{}}, off: {{ on: {{
    toggle: "on",
    guard: {{ target: "on", guard: ({{ event }}) => (spoil[event.what](), true) }},
    assign: {{ target: "on", actions: assign({{ kept: ({{ event }}) => spoil[event.what]() }}) }},
    action: {{ target: "on", actions: ({{ event }}) => void spoil[event.what]() }},
  }} }} }},
}});
"""


def of_4(top: str = "", context: str = "{}") -> str:
    return (
        of_5(top, context)
        .replace("xstate@5", "xstate@4")
        .replace("guard: ({ event })", "cond: (_, event)")
        .replace("kept: ({ event })", "kept: (_, event)")
        .replace("actions: ({ event })", "actions: (_, event)")
        .replace("createMachine({", "createMachine({ predictableActionArguments: true,")
    )


@pytest.fixture(scope="module")
async def brief(anyio_backend: str) -> AsyncIterator[Lab]:
    """A runtime with little patience."""
    settings = RuntimeSettings(step_seconds=0.5, load_seconds=1.0)
    lab = Lab(settings)
    yield lab
    await lab.runtime.close(0)


@pytest.fixture(scope="module")
async def narrow(anyio_backend: str) -> AsyncIterator[Lab]:
    """A runtime with very little memory, and the patience to see it run out."""
    lab = Lab(
        RuntimeSettings(
            load_seconds=10.0, step_seconds=10.0, heap_megabytes=32, cache_bytes=1 << 20
        )
    )
    yield lab
    await lab.runtime.close(0)


@pytest.fixture(scope="module")
async def hosts(brief: Lab) -> dict[int, Host]:
    return {4: await brief.host(of_4()), 5: await brief.host(of_5())}


OFFS = {4: OFF_4, 5: OFF}


LOOPED = "machine-error: machine code ran longer than 0.5 s and was stopped"
ATE = "machine-error: machine code ran out of memory (32 MB beside the cache) and was stopped"
NO_BUFFER = "RangeError: Array buffer allocation failed"
NO_WASM = "RangeError: WebAssembly.Memory(): could not allocate memory"
NO_STACK = "RangeError: Maximum call stack size exceeded"
TOO_LONG = "RangeError: Invalid string length"
FLOODED = "it printed too much at once: what follows within this second is not kept"
NO_JSON = "machine-error: the context cannot be written as JSON: "
TAKEN, NOTHING = '"on" {}', "nothing was logged"


def stops(told: str) -> dict[str, str]:
    """What ends the process, and is told in the same words wherever it was done."""
    action = told.replace("machine-error: machine code", "an action")
    load = told.replace("machine-error: machine code", "the code of light").replace("0.5", "1")
    return {
        "guard": told, "assign": told, "authorizer": told, "action": action,
        "load": f"{load} while it was loaded",
    }  # fmt: skip


def throws(error: str) -> dict[str, str]:
    """What throws, and leaves the process as it was."""
    return {
        "guard": f"machine-error: guard (inline) threw: {error}",
        "assign": f"machine-error: machine code threw: {error}",
        "authorizer": f"refused, threw: {error}",
        "action": error,
        "load": f"loading the machine threw: {error}",
    }


def gives(assigned: str, shown: str) -> dict[str, str]:
    """A value that is nothing to a guard and an action, and no permission."""
    return {
        "guard": TAKEN, "assign": assigned, "authorizer": f"refused, not-true: {shown}",
        "action": NOTHING, "load": "loaded",
    }  # fmt: skip


HIDDEN = "something that cannot be shown"
TOLD = {
    "loop": stops(LOOPED),
    "buffers": throws(NO_BUFFER),
    "wasm": throws(NO_WASM),
    "text": throws(TOO_LONG),
    "recursion": throws(NO_STACK),
    "flood": {
        "guard": TAKEN, "assign": TAKEN, "authorizer": "refused, not-true: undefined",
        "action": FLOODED, "load": "loaded",
    },
    "large": gives(
        "context-too-large: the context would be larger than 400,000 bytes",
        '"' + "x" * 3_999 + "…",
    ),
    "getter": gives(NO_JSON + "Error: looked at", HIDDEN),
    "cycle": gives(NO_JSON + "TypeError: Converting circular structure to JSON", HIDDEN),
    "bigint": gives(NO_JSON + "TypeError: Do not know how to serialize a BigInt", HIDDEN),
    "date": gives('"on" {"kept":"1970-01-01T00:00:00.000Z"}', '"1970-01-01T00:00:00.000Z"'),
    "undefined": gives(TAKEN, "undefined"),
    "nan": gives('"on" {"kept":null}', "null"),
    "map": gives('"on" {"kept":{}}', "{}"),
    "proto": gives(
        '"on" {"kept":{"__proto__":{"polluted":1}}}', '{"__proto__":{"polluted":1}}'
    ),
}  # fmt: skip


async def told(lab: Lab, host: Host, major: int, where: str, what: str) -> str:
    """What whoever sends the event hears, or what the log says of its action."""
    lab.logs.clear()
    sent = StepEvent(2_000, json.dumps({"type": where, "what": what}).encode(), AUTH, "client")
    [answer] = await host.step(1, "light-1", 1, lambda: OFFS[major], [sent])
    if isinstance(answer, Failed):
        return f"{answer.kind}: {answer.message}"
    if isinstance(answer, Refused):
        return f"refused, {answer.reason}: {answer.detail}"
    assert isinstance(answer, Stepped)
    if where != "action":
        return f"{answer.value} {answer.context}"
    host.commit(1, 2)
    assert await toggles(host, major, 3)
    return lab.logs[-1].text.partition("\n")[0] if lab.logs else NOTHING


async def toggles(host: Host, major: int, instance: int) -> bool:
    """Whether an instance that is off turns on, with nothing in its context."""
    [answer] = await host.step(instance, "x", 1, lambda: OFFS[major], [event("toggle")])
    host.drop(instance, 2)
    return isinstance(answer, Stepped) and (answer.value, answer.context) == ('"on"', "{}")


@pytest.mark.parametrize("where", ["guard", "assign", "action", "authorizer"])
@pytest.mark.parametrize(
    ("what", "major"),
    [(what, major) for what in TOLD for major in (5, 4) if (what, major) != ("loop", 4)],
)
async def test_whoever_does_it_is_told_and_nobody_else_notices(
    brief: Lab, hosts: dict[int, Host], what: str, where: str, major: int
) -> None:
    """S57, S99, Q4, Q61: state as before, other instances and other versions answer."""
    host = hosts[major]
    if (what, where) == ("flood", "action"):
        # It is counted by the second: not together with what another test printed.
        host = hosts[major] = await brief.host(of_5() if major == 5 else of_4())

    assert await told(brief, host, major, where, what) == TOLD[what][where]

    host.drop(1, 2)
    assert await toggles(host, major, 1)
    assert await toggles(host, major, 2)
    assert await toggles(hosts[9 - major], 9 - major, 1)


@pytest.mark.parametrize("where", ["guard", "assign", "action", "authorizer"])
async def test_so_it_is_when_memory_runs_out(narrow: Lab, where: str) -> None:
    """S21."""
    host, other = await narrow.host(of_5()), await narrow.host(of_4())

    assert await told(narrow, host, 5, where, "memory") == stops(ATE)[where]

    host.drop(1, 2)
    assert await toggles(host, 5, 1)
    assert await toggles(host, 5, 2)
    assert await toggles(other, 4, 1)


async def test_and_when_it_does_while_the_module_is_loaded(narrow: Lab) -> None:
    source = of_5("const value = spoil.memory();")

    assert await loaded(narrow, source) == stops(ATE)["load"]


async def test_prints_without_end_are_a_loop_that_takes_no_memory_of_ours(
    brief: Lab, hosts: dict[int, Host]
) -> None:
    assert await told(brief, hosts[5], 5, "guard", "floods") == LOOPED
    assert len(brief.logs) < 100
    assert await toggles(hosts[5], 5, 2)


async def test_most_of_a_flood_never_leaves_the_process(brief: Lab) -> None:
    """What is dropped anyway need not cost the event loop that serves everybody."""
    host = await brief.host(of_5())

    assert await told(brief, host, 5, "guard", "flood") == TAKEN

    assert host._process is not None
    assert 2_000 < host._process._gate._characters / 132 < 5_000


@pytest.mark.parametrize("what", TOLD)
async def test_so_it_is_when_the_module_is_loaded(
    brief: Lab, hosts: dict[int, Host], what: str
) -> None:
    assert await loaded(brief, of_5(f"const value = spoil.{what}();")) == TOLD[what]["load"]

    assert await toggles(hosts[4], 4, 1)
    assert await toggles(hosts[5], 5, 1)


async def loaded(lab: Lab, source: str) -> str:
    try:
        await lab.runtime.check(source.encode(), "light")
    except BuildError as exc:
        return exc.message.partition("\n")[0]
    return "loaded"


@pytest.mark.parametrize("make", [of_4, of_5])
@pytest.mark.parametrize(
    ("value", "context"),
    [
        ("spoil.date()", '{"kept":"1970-01-01T00:00:00.000Z","also":1}'),
        ("spoil.undefined()", '{"also":1}'),
        ("spoil.cycle()", "TypeError: Converting circular structure to JSON"),
        ("spoil.getter()", "Error: looked at"),
    ],
)
async def test_so_it_is_in_the_context_that_a_machine_starts_with(
    brief: Lab, make: Callable[..., str], value: str, context: str
) -> None:
    host = await brief.host(make(context=f"{{ kept: {value} }}"))

    answer = await host.start("i", 1_000, b'{"also":1}', AUTH)

    assert not isinstance(answer, Refused)
    assert (answer.context if isinstance(answer, Stepped) else answer.message).endswith(context)


async def test_a_hundred_thousand_timers_are_borne_or_end_what_set_them(
    brief: Lab, hosts: dict[int, Host]
) -> None:
    """Deno needs longer than this patience for so many; ten thousand are no fault."""
    few = "for (let n = 0; n < 10_000; n++) setTimeout(() => {}, 3_600_000);"
    assert await loaded(brief, of_5(few)) == "loaded"

    assert await told(brief, hosts[5], 5, "guard", "timers") in (TAKEN, LOOPED)

    host = hosts[5]
    host.drop(1, 2)
    assert await toggles(host, 5, 2)
    assert await toggles(hosts[4], 4, 1)


@pytest.mark.parametrize(
    ("make", "error"),
    [(of_4, NO_STACK), (of_5, "Error: Infinite loop detected")],
)
async def test_a_machine_that_moves_on_for_ever_fails_its_step(
    brief: Lab, make: Callable[..., str], error: str
) -> None:
    """XState 5 counts from 5.31 on; before, and in what it does not count, the watchdog ends it."""
    states = 'states: { on: { always: "back" }, back: { always: "on" },'
    host = await brief.host(make().replace("states: { on: {},", states))

    [answer] = await host.step(
        1, "light-1", 1, lambda: OFFS[4 if make is of_4 else 5], [event("toggle")]
    )

    assert isinstance(answer, Failed)
    assert error in answer.message


# What one step may leave behind.


def sends_5(actions: str) -> str:
    return of_5('import { enqueueActions, raise } from "npm:xstate@5";').replace(
        'toggle: "on",', f'toggle: "on", go: {{ actions: {actions} }},'
    )


def sends_4(actions: str) -> str:
    return of_4('import { actions, send } from "npm:xstate@4";').replace(
        'toggle: "on",', f'toggle: "on", go: {{ actions: {actions} }},'
    )


def many(count: int, event: str = '{ type: "x" }') -> dict[int, str]:
    """The source of a machine, by major, that sends itself so many events on `go`."""
    loop = f"for (let n = 0; n < {count}; n++)"
    raised = f"{loop} enqueue.raise({event}, {{ delay: 9 }});"
    sent = f"{loop} all.push(send({event}, {{ delay: 9 }}));"
    return {
        5: sends_5(f"enqueueActions(({{ enqueue }}) => {{ {raised} }})"),
        4: sends_4(f"actions.pure(() => {{ const all = []; {sent} return all; }})"),
    }


async def went(lab: Lab, source: str, major: int) -> StepAnswer:
    host = await lab.host(source)
    [answer] = await host.step(1, "light-1", 1, lambda: OFFS[major], [event("go")])
    return answer


@pytest.mark.parametrize("major", [4, 5])
async def test_one_step_sends_itself_a_thousand_events_and_no_more(lab: Lab, major: int) -> None:
    answer = await went(lab, many(1_000)[major], major)
    assert isinstance(answer, Stepped)
    assert len(answer.deliveries) == 1_000
    assert {each[2:] for each in answer.deliveries} == {(9, '{"type":"x"}')}

    answer = await went(lab, many(1_001)[major], major)
    assert answer == Failed(
        "machine-error",
        "it sends itself or cancels 1,001 events in one step: the limit is 1,000",
        "",
    )


@pytest.mark.parametrize("major", [4, 5])
@pytest.mark.parametrize(
    ("count", "length", "message"),
    [
        (1, 400_000, "an event that it sends itself has more than 400,000 bytes"),
        (6, 390_000, "the events that it sends itself in one step have more than 2,000,000 bytes"),
    ],
)
async def test_the_events_of_one_step_have_a_size(
    lab: Lab, major: int, count: int, length: int, message: str
) -> None:
    """Q46."""
    large = f'{{ type: "x", text: "y".repeat({length}) }}'

    answer = await went(lab, many(count, large)[major], major)

    assert answer == Failed("machine-error", message, "")


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (
            'type: "final"',
            "what it keeps of its event or output has more than 1,000,000 bytes",
        ),
        ('tags: "x".repeat(400_000)', "the tags of its state have more than 400,000 bytes"),
    ],
)
async def test_what_else_a_step_leaves_has_a_size(lab: Lab, end: str, message: str) -> None:
    output = 'output: () => "x".repeat(1_000_000), context: {'
    source = machine('go: "end"').replace("states: {", f"states: {{ end: {{ {end} }},", 1)

    answer = await went(lab, source.replace("context: {", output), 5)

    assert answer == Failed("machine-error", message, "")


# Deno has no accessor of this name: it is a key like others, and makes no prototype of anything.


@pytest.mark.parametrize("major", [4, 5])
async def test_proto_is_a_key_like_others(hosts: dict[int, Host], major: int) -> None:
    """In the context that is given (S29), in the event, and after an assign."""
    host, proto = hosts[major], '{"__proto__":{"admin":true}}'
    started = await host.start("i", 1_000, proto.encode(), AUTH)
    assert isinstance(started, Stepped)
    assert started.context == proto
    host.commit(started.instance, 1, 7)
    sent = StepEvent(
        2_000, b'{"type":"assign","what":"nan","__proto__":{"type":1}}', AUTH, "client"
    )

    [answer] = await host.step(7, "light-7", 1, unknown, [sent])

    assert isinstance(answer, Stepped), answer
    assert answer.context == '{"__proto__":{"admin":true},"kept":null}'


@pytest.mark.parametrize("make", [of_4, of_5])
async def test_such_a_key_deeper_down_lives_on_and_so_does_its_history(
    lab: Lab, make: Callable[..., str]
) -> None:
    """The context of each transition can be rebuilt from merge patches, to the letter."""
    put = "({ event }) => event.put" if make is of_5 else "(_, event) => event.put"
    host = await lab.host(
        make(context='{ filler: "x".repeat(2_000) }').replace(
            'toggle: "on",', f"go: {{ actions: assign({{ kept: {put} }}) }},"
        )
    )
    started = await host.start("i", 1_000, b"{}", AUTH)
    assert isinstance(started, Stepped)
    host.commit(started.instance, 1, 1)
    context = started.context
    for seq, put in enumerate(
        ['{"__proto__":{"a":1}}', '{"__proto__":{"a":2},"b":1}', '{"b":1}', "{}"], 1
    ):
        sent = StepEvent(2_000 + seq, f'{{"type":"go","put":{put}}}'.encode(), AUTH, "client")
        [answer] = await host.step(1, "i", seq, unknown, [sent])
        assert isinstance(answer, Stepped), answer
        host.commit(1, seq + 1)
        assert answer.context.endswith(f'"kept":{put}}}')
        if answer.patch is not None:
            assert merge_patch(context, answer.patch) == answer.context
        context = answer.context
    assert await lab.context_of(machine(context="{ polluted: {}.a ?? null }")) == (
        '{"polluted":null}'
    )


# A loop among twenty.


async def test_nothing_is_lost_and_nothing_done_twice_while_one_loops(hasty: Lab) -> None:
    """Twenty instances count what they are sent while another one loops."""
    count = "count: { actions: assign({ n: ({ context }) => (context.n ?? 0) + 1 }) }"
    loop = "loop: { guard: () => { for (;;); } }"
    host = await hasty.host(machine(f"{count}, {loop}"))
    looping = asyncio.create_task(step(host, 99, "loop"))

    rounds = await asyncio.gather(*(counted(host, n, looping) for n in range(1, 21)))

    assert values(looping.result()) == ["failed"]
    assert min(rounds) > 1
    assert hasty.logs == []


async def counted(host: Host, instance: int, until: asyncio.Task[Any]) -> int:
    """Send one event after the other; the count that the machine keeps is that of the answers."""
    sent, last = 0, OFF
    while sent < 2 or not until.done():
        sent += 1
        count = event("count", 2_000 + sent)
        [made] = await host.step(instance, f"light-{instance}", sent, partial(_same, last), [count])
        assert isinstance(made, Stepped), made
        assert (made.seq, made.context) == (sent + 1, f'{{"n":{sent}}}')
        last = Snapshot(made.value, made.context, made.rest)
        host.commit(instance, made.seq)
    return sent


def _same(snapshot: Snapshot) -> Snapshot:
    return snapshot
