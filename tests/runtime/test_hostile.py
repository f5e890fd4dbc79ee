"""What machine code makes that no JSON, no event and no answer is: its step fails, no more."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from smply.errors import BuildError
from smply.runtime import Failed, Refused, Snapshot, StepEvent, Stepped
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
    values,
)

pytestmark = pytest.mark.anyio

TOP = """
const deep = (levels) => { let value = 1; while (levels--) value = [value]; return value; };
const half = "12345678 \\ud83d";
const throwing = () => { throw new Error("looked at"); };
"""


def hostile4(off: str, *, predictable: bool = True) -> str:
    return machine4(off, top=TOP, predictable=predictable)


def hostile5(off: str, *, context: str = "{}", allow_read: str = "true") -> str:
    top = 'import { raise, sendTo } from "npm:xstate@5";' + TOP
    return machine(off, top=top, context=context, allow_read=f"({allow_read})")


async def failure(lab: Lab, source: str, snapshot: Snapshot = OFF) -> str:
    """What the event `go` fails with; the process outlives it."""
    host = await lab.host(source)
    before = pid_of(host)
    [answer] = await host.step(1, "light-1", 1, lambda: snapshot, [event("go")])
    assert isinstance(answer, Failed), answer
    assert answer.kind == "machine-error"
    assert pid_of(host) == before
    return answer.message


NO_TYPE = "an event that it sends itself has no type: "
WITHOUT_TYPE = {
    "undefined": "undefined",
    '{ kind: "x" }': '{"kind":"x"}',
    "{ type: 7 }": '{"type":7}',
}
DELAYS = ["", ", { delay: 0 }", ", { delay: 20 }"]
SENDERS_5 = ["raise(() => (EVENT)DELAY)", "sendTo(({ self }) => self, () => (EVENT)DELAY)"]
SENDERS_4 = ["raise(() => (EVENT)DELAY)", "send(() => (EVENT)DELAY)"]


async def failures(lab: Lab, make: Any, senders: list[str], snapshot: Snapshot) -> dict[str, str]:
    """What each way to send itself each event without a type fails with."""
    actions = {
        send.replace("EVENT", made).replace("DELAY", delay): told
        for send in senders
        for made, told in WITHOUT_TYPE.items()
        for delay in DELAYS
    }
    off = [f"e{n}: {{ actions: {action} }}" for n, action in enumerate(actions)]
    host = await lab.host(make(", ".join(off)))
    before = pid_of(host)
    events = [event(f"e{n}") for n in range(len(actions))]
    answers = await host.step(1, "light-1", 1, lambda: snapshot, events)
    assert pid_of(host) == before
    return {
        action: answer.message.replace(NO_TYPE + told, "as it should")
        if isinstance(answer, Failed)
        else str(answer)
        for (action, told), answer in zip(actions.items(), answers, strict=True)
    }


async def test_an_event_to_itself_without_a_type_fails_the_step_that_makes_it(lab: Lab) -> None:
    told = await failures(lab, hostile5, SENDERS_5, OFF)

    assert told == dict.fromkeys(told, "as it should")


@pytest.mark.parametrize("predictable", [True, False])
async def test_so_it_does_in_xstate_4(lab: Lab, predictable: bool) -> None:
    make = partial(hostile4, predictable=predictable)

    told = await failures(lab, make, SENDERS_4, OFF_4)

    assert told == dict.fromkeys(told, "as it should")


async def test_an_event_whose_json_has_no_type_fails_the_step_as_well(lab: Lab) -> None:
    made = '{ type: "x", toJSON() { return { kind: 1 }; } }'
    off = f"go: {{ actions: raise(() => ({made}), {{ delay: 1 }}) }}"

    assert await failure(lab, hostile5(off)) == NO_TYPE + '{"kind":1}'


async def test_half_an_emoji_becomes_a_replacement_character_wherever_it_stands(lab: Lab) -> None:
    off = """go: {
      guard: () => (console.log(half), true),
      target: "on",
      actions: [
        assign({ title: half, [half]: 1, kept: "\\\\ud83d", public: () => ({ half }) }),
        raise({ type: "later", half }, { delay: 9, id: half }),
      ],
    }"""
    source = hostile5(off).replace("states: {", "states: { x: { tags: half },", 1)
    host = await lab.host(
        source.replace('on: { on: { toggle: "off"', "on: { tags: half, on: { up: 'x'")
    )

    [answer] = await step(host, 1, "go")

    assert isinstance(answer, Stepped), answer
    text = "12345678 \ufffd"
    assert json.loads(answer.context) == {
        "title": text, text: 1, "kept": "\\ud83d", "public": {"half": text},
    }  # fmt: skip
    assert json.loads(answer.tags) == [text]
    assert json.loads(answer.answer)["publicContext"] == {"half": text}
    assert answer.deliveries == [("set", text, 9, f'{{"type":"later","half":"{text}"}}')]
    assert [log.text for log in lab.logs] == [text]
    # What the process has kept is what it said, to the byte.
    host.commit(1, 2)
    [after] = await host.step(1, "light-1", 2, lambda: OFF, [event("nothing")])
    assert isinstance(after, Stepped)
    assert after.context == answer.context


async def test_half_an_emoji_in_the_names_of_states_and_in_an_error(lab: Lab) -> None:
    off = "go: { guard: () => { throw new Error(half); } }, move: half"
    host = await lab.host(hostile5(off).replace("states: {", "states: { [half]: {},", 1))

    [failed] = await step(host, 1, "go")
    [moved] = await step(host, 2, "move")

    assert isinstance(failed, Failed)
    assert failed.message == "guard (inline) threw: Error: 12345678 \ufffd"
    assert isinstance(moved, Stepped)
    assert json.loads(moved.value) == "12345678 \ufffd"


async def test_half_an_emoji_in_what_xstate_4_keeps(lab: Lab) -> None:
    off = "go: { actions: assign({ title: () => half }), target: 'on' }"
    host = await lab.host(hostile4(off))

    [answer] = await host.step(1, "light-1", 1, lambda: OFF_4, [event("go")])

    assert isinstance(answer, Stepped)
    assert json.loads(answer.context) == {"title": "12345678 \ufffd"}


@pytest.mark.parametrize("levels", [500, 5_000, 100_000])
async def test_a_context_nested_deeper_than_500_levels_fails_the_step(
    lab: Lab, levels: int
) -> None:
    off = f"go: {{ actions: assign({{ deep: () => deep({levels}) }}) }}"

    message = await failure(lab, hostile5(off))

    assert message == "the context is nested deeper than 500 levels"


async def test_a_context_nested_500_levels_is_kept(lab: Lab) -> None:
    off = """go: { actions: assign({ deep: () => deep(499), text: '[{"'.repeat(600) }) }"""
    host = await lab.host(hostile5(off))

    [answer] = await step(host, 1, "go")

    assert isinstance(answer, Stepped), answer


@pytest.mark.parametrize("levels", [500, 5_000])
async def test_an_event_to_itself_nested_deeper_than_500_levels_fails_the_step(
    lab: Lab, levels: int
) -> None:
    off = f"go: {{ actions: raise(() => ({{ type: 'x', d: deep({levels}) }}), {{ delay: 1 }}) }}"

    assert await failure(lab, hostile5(off)) == 'the event "x" is nested deeper than 500 levels'


async def test_an_output_nested_deeper_than_500_levels_fails_the_step(lab: Lab) -> None:
    source = hostile5('go: "end"').replace("states: {", 'states: { end: { type: "final" },', 1)
    source = source.replace('id: "light",', 'id: "light", output: () => deep(600),')

    message = await failure(lab, source)

    assert message == "what it keeps of its event or output is nested deeper than 500 levels"


@pytest.mark.parametrize(
    "spoil",
    [
        "assign({ toJSON: () => () => null })",
        "assign({ toJSON: () => () => [1] })",
        "assign({ toJSON: () => () => 'text' })",
        "assign({ toJSON: () => () => undefined })",
    ],
)
async def test_a_context_that_is_no_json_object_fails_the_step(lab: Lab, spoil: str) -> None:
    off = f"go: {{ actions: [{spoil}] }}"

    assert await failure(lab, hostile5(off)) == "the context is no JSON object"


async def test_nobody_adds_to_every_object_what_all_instances_would_find(lab: Lab) -> None:
    every = "Object.prototype.toJSON = () => null"

    with pytest.raises(BuildError, match="Cannot add property toJSON, object is not extensible"):
        await lab.host(machine(top=f"{every};"))
    host = await lab.host(machine(f"go: {{ actions: assign(() => {{ {every}; }}) }}"))
    [failed] = await step(host, 1, "go")

    assert isinstance(failed, Failed)
    assert values(await step(host, 2, "toggle")) == ["on"]


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ("{ then: throwing }", ("promise", "")),
        ("{ get then() { return throwing(); } }", ("threw", "Error: looked at")),
        ("new Proxy({}, { get: throwing })", ("threw", "Error: looked at")),
        ("new Proxy({}, { get: () => throwing })", ("promise", "")),
        (
            "Object.defineProperty(Promise.reject(1), 'constructor', { get: throwing })",
            ("promise", ""),
        ),
        (
            "(() => { throw new Proxy({}, { getPrototypeOf: throwing, get: throwing }); })()",
            ("threw", "something that cannot be shown"),
        ),
    ],
)
async def test_an_authorizer_whose_answer_is_a_trap_refuses(
    lab: Lab, answer: str, refused: tuple[str, str]
) -> None:
    host = await lab.host(hostile5("", allow_read=answer))

    told = await host.read(1, "light-1", 1, lambda: OFF, AUTH)

    assert isinstance(told, Refused), told
    assert (told.reason, told.detail) == refused
    assert values(await step(host, 1, "toggle")) == ["on"]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ("error", "it has failed and takes no more events"),
        ("stopped", "it was stopped and takes no more events"),
    ],
)
async def test_an_instance_that_has_failed_or_was_stopped_takes_no_events(
    lab: Lab, status: str, message: str
) -> None:
    """Q63."""
    over = Snapshot('"off"', "{}", f'{{"status":"{status}"}}')
    host = await lab.host(machine())

    [answer] = await host.step(1, "light-1", 1, lambda: over, [event("toggle")])

    assert answer == Failed("invalid-state", message, "")


async def test_the_timers_of_an_instance_that_fails_are_dropped(lab: Lab) -> None:
    """Q63."""
    host = await lab.host(machine())
    fails = StepEvent(2_000, b'{"type":"xstate.error.actor.x","error":5}', None, "self")

    [answer] = await host.step(1, "light-1", 1, lambda: OFF, [fails])

    assert isinstance(answer, Stepped)
    assert json.loads(answer.rest)["status"] == "error"
    assert answer.deliveries == [("clear",)]


@pytest.mark.parametrize("thrown", ["null", "undefined", "{}", "7"])
@pytest.mark.parametrize("major", [4, 5])
async def test_a_guard_is_named_whatever_it_throws(lab: Lab, major: int, thrown: str) -> None:
    guard = f"function isDark() {{ throw {thrown}; }}"
    source = (
        hostile4(f"go: {{ cond: {guard} }}")
        if major == 4
        else hostile5(f"go: {{ guard: {guard} }}")
    )

    message = await failure(lab, source, OFF_4 if major == 4 else OFF)

    assert message == f"guard isDark threw: {thrown}"
