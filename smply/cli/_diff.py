"""What an event changed, in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from smply.cli._frame import Marks
from smply.cli._takes import event_names, takes
from smply.cli._text import harmless, plural, span, state_words
from smply.cli._tree import Node
from smply.models import InstanceDetail


@dataclass(frozen=True)
class Change:
    """An instance before and after an event, and how long the event took in milliseconds."""

    before: InstanceDetail
    after: InstanceDetail
    event: str | dict[str, Any]
    elapsed: int


def change_words(change: Change, definition: Node, marks: Marks) -> str:
    """`cart → payment.method`, or why nothing changed."""
    before, after = change.before, change.after
    if before.state != after.state:
        return f"{state_words(before.state)} {marks.arrow} {state_words(after.state)}"
    refusal = _untaken(change, definition)
    if refusal is not None:
        return f"no transition: {refusal}"
    return f"{state_words(after.state)}, unchanged"


def made_no_transition(change: Change, definition: Node) -> bool:
    """Whether nobody took the event, as far as can be told from what it left behind."""
    return change.before.state == change.after.state and _untaken(change, definition) is not None


def effort(change: Change) -> str:
    """`3 transitions, 41 ms`."""
    count = change.after.seq - change.before.seq
    return f"{plural(count, 'transition')}, {span(change.elapsed)}"


def _untaken(change: Change, definition: Node) -> str | None:
    """Why an event made no transition; None where it may have made one."""
    if change.before.context != change.after.context:
        return None
    if change.before.done:
        return "the machine has ended"
    event = harmless(change.event if isinstance(change.event, str) else str(change.event["type"]))
    found = takes(definition, change.before.state)
    guards = [take.guard for take in found if take.event in (event, "*")]
    if None in guards:
        return None
    if guards:
        return f"{event} needs {', '.join(dict.fromkeys(guard for guard in guards if guard))}"
    offers = ", ".join(event_names(found)) or "nothing"
    return f"{_where(change.before)} takes {offers}"


def _where(detail: InstanceDetail) -> str:
    value = detail.state
    return harmless(value) if isinstance(value, str) else ", ".join(map(harmless, value))
