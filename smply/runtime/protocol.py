"""The words that pass between Python and the host in Deno: bytes to dataclasses and back.

Each line is one JSON array of messages, each message an array whose first element is its name.
What a machine makes (states, contexts, answers) is spliced, never parsed. Everything that comes
from a process is checked here for its shape; `process.py` checks that it was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from smply.contract import (
    ANSWER_BYTES_MAX,
    CONTEXT_BYTES_MAX,
    DELIVERIES_BYTES_MAX,
    DELIVERIES_MAX,
    EVENT_BYTES_MAX,
    NAME,
    REST_BYTES_MAX,
    STATE_BYTES_MAX,
)

PROTOCOL = 1

Phase = Literal["load", "guard", "authorizer", "action", "rejection", "timer", "transition"]
Stream = Literal["stdout", "stderr"]
FailureKind = Literal[
    "machine-error", "not-implemented", "context-too-large", "invalid-state",
    "no-default-export", "not-a-machine", "too-deep", "missing-export", "bad-import",
    "unsupported-xstate", "load-failed", "syntax",
]  # fmt: skip


# What the door hands out and takes.


class Code(Struct, frozen=True):
    """A checked bundle: its text, the name it has in stacks, its adapter (4, 5), its XState."""

    text: bytes
    label: str
    adapter: int
    xstate: str


class Checked(Struct, frozen=True):
    """What a check found out.

    `code` has every `npm:xstate…` specifier rewritten to the exact copy (S6); `xstate` is that
    copy (`5.33.3`) or `bundled`; `definition` is JSON, the Node of the API's extensions.
    """

    code: bytes
    xstate: str
    adapter: int
    exports: list[str]
    definition: bytes
    states: int
    transitions: int


class Snapshot(Struct, frozen=True):
    """A stored state, as the three JSON texts that a step handed out."""

    value: str
    context: str
    rest: str


class StepEvent(Struct, frozen=True):
    """An event to step with; `event` and `auth` are JSON objects, known to be well-formed.

    `auth` None: allowWrite is not asked. `ts` in milliseconds; `cause` as in the history.
    """

    ts: int
    event: bytes
    auth: bytes | None
    cause: str


Delivery = (
    tuple[Literal["set"], str | None, int | None, str]
    | tuple[Literal["cancel"], str]
    | tuple[Literal["clear"]]
)
"""`("set", key | None, delay in ms | None, event's JSON)`, `("cancel", key)` or `("clear",)`.

None is an event sent at once, which comes before a timer of no time.
"""


class Stepped(Struct, frozen=True):
    """A new state, not yet committed: JSON texts, and what it owes.

    `answer` is the finished public answer; `patch` an RFC 7396 patch of the context, or None when
    only the whole context will do; `effects`: something waits to run after the commit.
    """

    instance: int
    seq: int
    ts: int
    value: str
    context: str
    rest: str
    answer: str
    tags: str
    done: bool
    patch: str | None
    deliveries: list[Delivery]
    effects: bool


class Refused(Struct, frozen=True):
    """An authorizer did not return true (S99, S100)."""

    reason: Literal["false", "threw", "promise", "not-true"]
    detail: str
    stack: str


class Failed(Struct, frozen=True):
    """Nothing came of it.

    `machine-error`, `not-implemented`, `context-too-large`, or `invalid-state` for an instance that
    has failed or was stopped (Q63).
    """

    kind: FailureKind
    message: str
    stack: str


class Later(Struct, frozen=True):
    """Not done: an event before it must be committed first. Ask again."""


class Log(Struct, frozen=True):
    """What machine code printed, or an error that nobody handled."""

    instance: int | None
    name: str | None
    phase: Phase
    stream: Stream
    text: str


# Python to host.


class _ToHost(Struct, frozen=True, array_like=True, tag=str.lower):
    pass


class Load(_ToHost, frozen=True):
    call: int
    code: str
    label: str
    adapter: int


class Check(_ToHost, frozen=True):
    call: int
    code: str
    label: str


class Start(_ToHost, frozen=True):
    call: int
    name: str
    ts: int
    context: Raw
    auth: Raw | None


class Step(_ToHost, frozen=True):
    call: int
    instance: int
    name: str
    base: int
    snapshot: tuple[Raw, Raw, Raw] | None
    events: Sequence[tuple[int, Raw, Raw | None, str]]


class Read(_ToHost, frozen=True):
    call: int
    instance: int
    name: str
    base: int
    snapshot: tuple[Raw, Raw, Raw] | None
    auth: Raw


class Commit(_ToHost, frozen=True):
    instance: int
    seq: int
    becomes: int | None


class Drop(_ToHost, frozen=True):
    instance: int
    seq: int


class Finish(_ToHost, frozen=True):
    call: int
    ms: int


Question = Load | Check | Start | Step | Read | Finish
Order = Commit | Drop


# Host to Python.

_Number = Annotated[int, Meta(ge=-(2**53), le=2**53)]
_Count = Annotated[int, Meta(ge=0, le=2**53)]
_Name = Annotated[str, Meta(pattern=rf"\A{NAME.pattern}\Z")]
_Key = Annotated[str, Meta(max_length=DELIVERIES_BYTES_MAX)]
_Text = Annotated[str, Meta(max_length=32_768)]
_Delay = Annotated[int, Meta(ge=0, le=100 * 365 * 24 * 3_600_000)]
_Names = Annotated[list[_Text], Meta(max_length=1_000)]


class _FromHost(Struct, frozen=True, array_like=True, tag=str.lower, forbid_unknown_fields=True):
    pass


class Hello(_FromHost, frozen=True):
    protocol: int
    host: str


class Loaded(_FromHost, frozen=True):
    call: _Number


class CheckInfo(Struct, frozen=True):
    code: str | None
    xstate: str
    adapter: Literal[4, 5]
    exports: list[str]
    definition: Raw
    states: _Count
    transitions: _Count
    services: list[str]


class CheckedWire(_FromHost, frozen=True, tag="checked"):
    call: _Number
    info: CheckInfo


class SetWire(_FromHost, frozen=True, tag="set"):
    key: _Key | None
    delay_ms: _Delay | None
    event: Raw


class CancelWire(_FromHost, frozen=True, tag="cancel"):
    key: _Key


class ClearWire(_FromHost, frozen=True, tag="clear"):
    pass


_Deliveries = Annotated[list[SetWire | CancelWire | ClearWire], Meta(max_length=DELIVERIES_MAX)]


class SteppedWire(_FromHost, frozen=True, tag="stepped"):
    call: _Number | None
    instance: _Number
    seq: _Number
    ts: _Number
    value: Raw
    context: Raw
    rest: Raw
    answer: Raw
    tags: Raw
    done: bool
    patch: Raw
    deliveries: _Deliveries
    effects: bool


class RefusedWire(_FromHost, frozen=True, tag="refused"):
    call: _Number | None
    reason: Literal["false", "threw", "promise", "not-true"]
    detail: _Text
    stack: _Text


class FailedWire(_FromHost, frozen=True, tag="failed"):
    call: _Number | None
    seq: _Number | None
    kind: FailureKind
    message: _Text
    stack: _Text


class LaterWire(_FromHost, frozen=True, tag="later"):
    pass


class Steps(_FromHost, frozen=True):
    call: _Number
    answers: list[SteppedWire | RefusedWire | FailedWire | LaterWire]


class Miss(_FromHost, frozen=True):
    call: _Number


class Allowed(_FromHost, frozen=True):
    call: _Number


class Finished(_FromHost, frozen=True):
    call: _Number
    names: _Names


class Alive(_FromHost, frozen=True):
    """It works at one thing after the other, and some take their time."""


class LogWire(_FromHost, frozen=True, tag="log"):
    instance: _Number | None
    name: _Name | None
    phase: Phase
    stream: Stream
    text: _Text


Answer = (
    Loaded | CheckedWire | SteppedWire | RefusedWire | FailedWire | Steps | Miss | Allowed
    | Finished
)  # fmt: skip
Message = Hello | Answer | Alive | LogWire

ANSWERS: dict[type[Question], tuple[type[Answer], ...]] = {
    Load: (Loaded, FailedWire),
    Check: (CheckedWire, FailedWire),
    Start: (SteppedWire, RefusedWire, FailedWire),
    Step: (Steps, Miss),
    Read: (Allowed, RefusedWire, FailedWire, Miss),
    Finish: (Finished,),
}
"""What may answer a question; anything else is a violation."""

SMALL_LINE_BYTES = min(CONTEXT_BYTES_MAX, STATE_BYTES_MAX, EVENT_BYTES_MAX)
"""What is said in no more than that can only be small."""

encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Message]).decode


def decode_line(line: bytes) -> list[Message]:
    """The messages of a line.

    Raises DecodeError, UnicodeDecodeError (a Raw is not looked into for that) or RecursionError.
    """
    if not line.isascii():
        line.decode()
    return _decode(line)


def is_small(answer: Answer) -> bool:
    """Whether the steps in an answer have the sizes that the host sees to."""
    if type(answer) is Steps:
        return all(type(each) is not SteppedWire or _is_small(each) for each in answer.answers)
    return type(answer) is not SteppedWire or _is_small(answer)


def _is_small(step: SteppedWire) -> bool:
    events = [len(each.event) for each in step.deliveries if type(each) is SetWire]
    return (
        max(len(step.context), len(step.patch)) <= CONTEXT_BYTES_MAX
        and max(len(step.value), len(step.tags)) <= STATE_BYTES_MAX
        and len(step.rest) <= REST_BYTES_MAX
        and len(step.answer) <= ANSWER_BYTES_MAX
        and max(events, default=0) <= EVENT_BYTES_MAX
        and sum(events) <= DELIVERIES_BYTES_MAX
    )


def is_shaped(step: Stepped) -> bool:
    """Whether each text of a step is JSON of its kind; that it is JSON was seen before."""
    return (
        step.context[0] == step.rest[0] == step.answer[0] == "{"
        and step.value[0] in '{"'
        and step.tags[0] == "["
        and (step.patch is None or step.patch[0] == "{")
        and all(each[0] != "set" or each[3][0] == "{" for each in step.deliveries)
    )


def raw(json: bytes) -> Raw:
    """JSON to be spliced into a line: a bare line feed can only be white space in it."""
    return Raw(json.replace(b"\n", b" ") if b"\n" in json else json)


def raw_snapshot(snapshot: Snapshot) -> tuple[Raw, Raw, Raw]:
    return Raw(snapshot.value), Raw(snapshot.context), Raw(snapshot.rest)


def raw_events(events: Sequence[StepEvent]) -> list[tuple[int, Raw, Raw | None, str]]:
    return [
        (event.ts, raw(event.event), None if event.auth is None else raw(event.auth), event.cause)
        for event in events
    ]


def stepped(wire: SteppedWire, instance: int) -> Stepped:
    """The step, copied out of the line it came in (a Raw would keep the whole line alive)."""
    patch = str(wire.patch, "utf-8")
    return Stepped(
        instance,
        wire.seq,
        wire.ts,
        str(wire.value, "utf-8"),
        str(wire.context, "utf-8"),
        str(wire.rest, "utf-8"),
        str(wire.answer, "utf-8"),
        str(wire.tags, "utf-8"),
        wire.done,
        None if patch == "null" else patch,
        [_delivery(each) for each in wire.deliveries] if wire.deliveries else [],
        wire.effects,
    )


def _delivery(wire: SetWire | CancelWire | ClearWire) -> Delivery:
    if type(wire) is SetWire:
        return ("set", wire.key, wire.delay_ms, str(wire.event, "utf-8"))
    if type(wire) is CancelWire:
        return ("cancel", wire.key)
    return ("clear",)


def refused(wire: RefusedWire) -> Refused:
    return Refused(wire.reason, wire.detail, wire.stack)


def failed(wire: FailedWire) -> Failed:
    return Failed(wire.kind, wire.message, wire.stack)
