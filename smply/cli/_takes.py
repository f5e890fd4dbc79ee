"""What an instance can take now, from its definition and its state value alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from smply.cli._text import harmless, milliseconds, span
from smply.cli._tree import Node, active_children, active_nodes
from smply.contract import PLATFORM_EVENTS
from smply.models import StateValue, Timer


@dataclass(frozen=True)
class Take:
    """One transition that may come next; `due` is when its timer fires, if it has one."""

    event: str
    targets: tuple[str, ...]
    guard: str | None
    due: int | None = None


def takes(definition: Node, value: StateValue) -> list[Take]:
    """The events that the active states handle, innermost first."""
    found, _ = _taken(definition, value, _labels(definition))
    return list(dict.fromkeys(found))


def _taken(
    node: Node, value: StateValue | None, labels: dict[str, str]
) -> tuple[list[Take], set[str]]:
    """What a state and those in it take, and the events that they take whatever guards say."""
    found: list[Take] = []
    certain: set[str] = set()
    for child, inner in active_children(node, value):
        below, certain_below = _taken(child, inner, labels)
        found += below
        certain |= certain_below
    # A state is asked only where no state inside it takes the event for certain.
    asked = {
        event: choices
        for event, choices in node.get("on", {}).items()
        if event not in certain and not event.startswith(PLATFORM_EVENTS)
    }
    found += [_take(event, choice, labels) for event in asked for choice in asked[event]]
    certain |= {event for event in asked if not all(c.get("guard") for c in asked[event])}
    return found, certain


def timed(
    definition: Node, value: StateValue, timers: Sequence[Timer]
) -> tuple[list[Take], list[Timer]]:
    """The `after` transitions of the active states with their times, and the other timers."""
    labels = _labels(definition)
    found, used = [], set()
    for node in active_nodes(definition, value):
        for choice in node.get("after", []):
            timer = _timer_of(node, choice["delay"], timers)
            due = milliseconds(timer.due) if timer else None
            found.append(_take(f"after {_delay(choice['delay'])}", choice, labels, due))
            used |= {timer.delivery} if timer else set()
    return found, [timer for timer in timers if timer.delivery not in used]


def event_names(found: Iterable[Take]) -> list[str]:
    """The events, each once."""
    return list(dict.fromkeys(take.event for take in found))


def _take(
    event: str, choice: dict[str, Any], labels: dict[str, str], due: int | None = None
) -> Take:
    targets = tuple(labels.get(target, harmless(target)) for target in choice.get("targets", []))
    guard = choice.get("guard")
    return Take(harmless(event), targets, harmless(guard) if guard else None, due)


def _labels(definition: Node) -> dict[str, str]:
    """Every state's id, and its place below the root (`payment.method`) as people say it."""
    found = {definition["id"]: harmless(definition["key"])}

    def walk(node: Node, path: str) -> None:
        for key, child in node.get("states", {}).items():
            found[child["id"]] = harmless(path + key)
            walk(child, f"{path}{key}.")

    walk(definition, "")
    return found


def _delay(delay: int | str) -> str:
    if isinstance(delay, str) and not delay.isdigit():
        return harmless(delay)
    return span(int(delay))


def _timer_of(node: Node, delay: int | str, timers: Sequence[Timer]) -> Timer | None:
    """The timer of an `after`; XState names it by its delay and its state (both majors)."""
    names = (f"xstate.after.{delay}.{node['id']}", f"xstate.after({delay})#{node['id']}")
    exact = [timer for timer in timers if timer.id in names]
    return exact[0] if exact else _inline_timer_of(node, timers)


def _inline_timer_of(node: Node, timers: Sequence[Timer]) -> Timer | None:
    # A delay that is a function is named by its place in the list, which only XState knows.
    if len(node["after"]) != 1:
        return None
    pattern = re.compile(rf"xstate\.after(\..+\.|\(.+\)#){re.escape(node['id'])}")
    return next((timer for timer in timers if pattern.fullmatch(timer.id)), None)
