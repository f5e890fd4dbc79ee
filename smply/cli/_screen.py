"""The screen of an instance: what it is, where, what may come next, and what it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from msgspec import UNSET
from rich.cells import cell_len
from rich.text import Text

from smply.cli._diff import Change, change_words, effort, made_no_transition
from smply.cli._frame import Frame, Marks
from smply.cli._table import beside, columns_of, fitted_or_whole
from smply.cli._takes import Take, takes, timed
from smply.cli._text import (
    ago,
    ahead,
    cut,
    harmless,
    short_id,
    state_words,
    until,
)
from smply.cli._tree import Look, Node, active_ids, tree
from smply.models import InstanceDetail, State, Timer

_LABEL = 10
"""Columns of the words `takes`, `waiting`, `public`, `private`."""

_GAP = 3
"""Columns between a name and what is said of it."""

_VALUE = 20
"""Columns that an output or an error may take in the first line."""

_MARGIN = 5
"""Lines above the tree, and those of the prompts before and after it."""


@dataclass(frozen=True)
class Subject:
    """An instance with the definition of its version; `public` leaves private context out."""

    machine: str
    name: str
    detail: InstanceDetail
    definition: Node
    public: bool = False
    unfold: bool = False
    before: InstanceDetail | None = None


def instance_screen(subject: Subject, frame: Frame) -> list[Text]:
    """The screen of `instances get` and `create`."""
    changed = f"changed {ago(subject.detail.ts, frame.now)}"
    head = beside(_name(subject), _facts(subject, frame, changed))
    return [fitted_or_whole(head, frame.width, frame.marks.ellipsis), *_rest(subject, frame)]


def state_screen(machine: str, name: str, state: State, frame: Frame) -> list[Text]:
    """What somebody sees who may not look inside: where an instance is, and its public context."""
    words = f"{state_words(state.state)}{', done' if state.done else ''}"
    changed = f"{machine} {frame.marks.dot} changed {ago(state.ts, frame.now)}"
    head = beside(Text(name + " " * _GAP, style="bold"), Text(changed, style="dim"))
    context = {} if state.public_context is UNSET else state.public_context
    rows = [[Text(words, style="bold green"), Text(" ".join(map(harmless, state.tags)), "dim")]]
    return [
        fitted_or_whole(head, frame.width, frame.marks.ellipsis),
        *_block("state", rows, frame),
        *_values("public", context, "", frame, apart=True),
    ]


def change_screen(subject: Subject, change: Change, frame: Frame) -> list[Text]:
    """The screen of `send-event`: what changed, then the same as `instances get`."""
    words = Text(change_words(change, subject.definition, frame.marks), style="bold")
    cost = "" if made_no_transition(change, subject.definition) else effort(change)
    first = beside(_name(subject), words, Text(f"   {cost}" if cost else "", style="dim"))
    indent = Text(" " * (len(subject.name) + _GAP))
    second = beside(indent, _facts(subject, frame))
    if cost and cell_len(first.plain) > frame.width:
        first = beside(_name(subject), words)
        second = beside(indent, _facts(subject, frame, cost))
    fitting = [fitted_or_whole(line, frame.width, frame.marks.ellipsis) for line in (first, second)]
    return [*fitting, *_rest(subject, frame)]


def _name(subject: Subject) -> Text:
    return Text(subject.name + " " * _GAP, style="bold")


def _facts(subject: Subject, frame: Frame, *more: str) -> Text:
    detail = subject.detail
    facts = [
        subject.machine,
        short_id(detail.machine_version.id),
        _status(detail, frame.marks),
        f"seq {detail.seq}",
        *more,
    ]
    return Text(f" {frame.marks.dot} ".join(facts), style="dim")


def _status(detail: InstanceDetail, marks: Marks) -> str:
    if detail.error is not UNSET:
        return f"failed, {cut(detail.error, _VALUE, marks)}"
    if not detail.done:
        return detail.status
    return "done" if detail.output is UNSET else f"done, output {cut(detail.output, _VALUE, marks)}"


def _rest(subject: Subject, frame: Frame) -> list[Text]:
    below = [*_events(subject, frame), *_context(subject, frame)]
    look = _look(subject)
    lines = _tree(subject, look, frame)
    too_high = frame.height is not None and len(lines) > frame.height - len(below) - _MARGIN
    if too_high and not subject.unfold:
        lines = _tree(subject, replace(look, fold=True), frame)
    return [Text(), *lines, *below]


def _tree(subject: Subject, look: Look, frame: Frame) -> list[Text]:
    # A machine without an id is called "(machine)" by XState; people know it by its name here.
    key = str(subject.definition["key"])
    name = subject.machine if key.startswith("(") else key
    return tree(subject.definition, name, look, frame.width, frame.marks)


def _look(subject: Subject) -> Look:
    active = active_ids(subject.definition, subject.detail.state)
    if subject.before is None:
        return Look(active)
    before = active_ids(subject.definition, subject.before.state)
    return Look(active, left=before - active, entered=active - before)


def _events(subject: Subject, frame: Frame) -> list[Text]:
    detail = subject.detail
    if detail.done or detail.error is not UNSET:
        return []
    after, others = timed(subject.definition, detail.state, detail.timers)
    found = [*takes(subject.definition, detail.state), *after]
    rows = [_take_row(take, frame) for take in found] or [_row("nothing")]
    waiting = [_timer_row(timer, frame) for timer in others]
    return [
        *_block("takes", rows, frame),
        *_block("waiting", waiting, frame, apart=False),
    ]


def _timer_row(timer: Timer, frame: Frame) -> list[Text]:
    event = harmless(str(timer.event.get("type", "")))
    return _row(event, "", until(timer.due, frame.now))


def _take_row(take: Take, frame: Frame) -> list[Text]:
    target = f"{frame.marks.arrow} {', '.join(take.targets)}" if take.targets else "stays"
    notes = [f"if {take.guard}"] if take.guard else []
    notes += [ahead(take.due, frame.now)] if take.due is not None else []
    return _row(take.event, target, ", ".join(notes))


def _row(event: str, target: str = "", note: str = "") -> list[Text]:
    return [Text(event, style="bold"), Text(target), Text(note, style="dim")]


def _context(subject: Subject, frame: Frame) -> list[Text]:
    context = subject.detail.context
    shared = context.get("public")
    public = shared if isinstance(shared, dict) else {}
    private = {k: v for k, v in context.items() if k != "public" or not isinstance(shared, dict)}
    hidden = {} if subject.public else private
    return [
        *_values("public", public, "", frame, apart=True),
        *_values("private", hidden, "dim", frame, apart=not public),
    ]


def _values(
    label: str, values: dict[str, Any], style: str, frame: Frame, *, apart: bool
) -> list[Text]:
    if not values:
        return []
    keys = {key: harmless(key) for key in values}
    widest = min(max(len(key) for key in keys.values()), frame.width // 3)
    room = frame.width - _LABEL - widest - 2
    rows = [
        [Text(keys[key], style=style or "bold"), Text(cut(value, room, frame.marks), style=style)]
        for key, value in values.items()
    ]
    return _block(label, rows, frame, apart=apart)


def _block(
    label: str, rows: Sequence[Sequence[Text]], frame: Frame, *, apart: bool = True
) -> list[Text]:
    """Rows behind a label that stands on the first of them."""
    if not rows:
        return []
    lines = columns_of(rows, frame.width - _LABEL, frame.marks.ellipsis)
    labels = [label.ljust(_LABEL), *[" " * _LABEL] * (len(lines) - 1)]
    shown = [
        beside(Text(before, style="dim"), line) for before, line in zip(labels, lines, strict=True)
    ]
    return [Text(), *shown] if apart else shown
