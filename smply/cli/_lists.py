"""Lists and single things as lines for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET
from rich.text import Text

from smply.cli._frame import Frame
from smply.cli._table import Column, beside, columns_of, table
from smply.cli._text import (
    compact,
    harmless,
    plural,
    since,
    size,
    state_words,
)
from smply.cli._tree import Node
from smply.models import (
    InstanceSummary,
    Machine,
    MachineSummary,
    Transition,
    Version,
    VersionDetail,
)

Fact = str | Sequence[str] | None
"""What is said of a label, in a line or several."""


def machine_list(machines: Sequence[MachineSummary], frame: Frame) -> list[Text]:
    """NAME, CREATED, CURRENT VERSION and its REFERENCE."""
    columns = [Column("NAME"), Column("CREATED"), Column("CURRENT VERSION"), Column("REFERENCE")]
    rows = [
        [
            Text(machine.name, style="bold"),
            _age(machine.created_at, frame),
            *_version_cells(None if machine.current_version is UNSET else machine.current_version),
        ]
        for machine in machines
    ]
    return table(columns, rows, frame.width, frame.marks.ellipsis)


def machine_detail(name: str, machine: Machine, frame: Frame) -> list[Text]:
    """The facts of one machine, one a line."""
    current = None if machine.current_version is UNSET else machine.current_version
    facts = {
        "machine": Text(name, style="bold"),
        "created": _age(machine.created_at, frame),
        "current": Text("  ").join(_version_cells(current)) if current else Text("no version yet"),
        "indexes": Text(", ".join(machine.indexes)),
    }
    rows = [[Text(label, style="dim"), fact] for label, fact in facts.items() if fact]
    return columns_of(rows, frame.width, frame.marks.ellipsis, gap=3)


def version_list(versions: Sequence[Version], current: str | None, frame: Frame) -> list[Text]:
    """VERSION, CREATED, REFERENCE; the current one is lit and marked."""
    columns = [Column(""), Column("VERSION"), Column("CREATED"), Column("REFERENCE")]
    rows = [
        [
            Text(frame.marks.active if version.id == current else " ", style="bold green"),
            Text(version.id, style="bold green" if version.id == current else ""),
            _age(version.created_at, frame),
            Text(harmless(version.client_info)),
        ]
        for version in versions
    ]
    return table(columns, rows, frame.width, frame.marks.ellipsis)


def version_detail(
    machine: str, version: VersionDetail, is_current: bool, frame: Frame
) -> list[Text]:
    """The facts of one version, one a line; its states are drawn where an instance is shown."""
    states, transitions = _extent(version.definition)
    extent = f"{plural(states, 'state')}, {plural(transitions, 'transition')}"
    whole, gzipped = version.bundle["bytes"], version.bundle["gzippedBytes"]
    mark = Text(f"{frame.marks.active} current", style="bold green")
    facts = {
        "version": Text("  ").join(
            [
                Text(version.id, style="bold"),
                mark if is_current else Text("not current", style="dim"),
                Text(harmless(version.client_info)),
            ]
        ),
        "machine": Text(f"{machine}, {extent}"),
        "created": _age(version.created_at, frame),
        "xstate": Text(version.xstate),
        "exports": Text(", ".join(harmless(name) for name in version.exports)),
        "bundle": Text(f"{size(whole)}, {size(gzipped)} gzipped"),
        "sha256": Text(version.bundle["sha256"], style="dim"),
    }
    rows = [[Text(label, style="dim"), fact] for label, fact in facts.items()]
    return columns_of(rows, frame.width, frame.marks.ellipsis, gap=3)


def fact_lines(facts: Mapping[str, Fact], frame: Frame) -> list[Text]:
    """Labels and what they say, one a line or several; nothing is said of what is None."""
    rows = [
        [Text(label if first else "", style="dim"), Text(harmless(each))]
        for label, fact in facts.items()
        if fact is not None
        for first, each in _numbered(fact)
    ]
    return columns_of(rows, frame.width, frame.marks.ellipsis, gap=3)


def _numbered(fact: str | Sequence[str]) -> list[tuple[bool, str]]:
    lines = [fact] if isinstance(fact, str) else fact
    return [(at == 0, line) for at, line in enumerate(lines)]


def instance_list(instances: Sequence[InstanceSummary], frame: Frame) -> list[Text]:
    """NAME, STATUS, CREATED, VERSION."""
    columns = [Column("NAME"), Column("STATUS"), Column("CREATED"), Column("VERSION")]
    rows = [
        [
            Text(instance.name, style="bold"),
            Text(instance.status),
            _age(instance.created_at, frame),
            Text(instance.machine_version.id, style="dim"),
        ]
        for instance in instances
    ]
    return table(columns, rows, frame.width, frame.marks.ellipsis)


def transition_list(transitions: Sequence[Transition], frame: Frame) -> list[Text]:
    """SEQ, WHEN, EVENT with what it carried, STATE AFTER; oldest first (S41)."""
    columns = [Column("SEQ", right=True), Column("WHEN"), Column("EVENT"), Column("STATE AFTER")]
    rows = [
        [
            Text(str(seq)),
            _age(transition.created_at, frame),
            _event(transition.event, frame),
            Text(state_words(transition.state)),
        ]
        for seq, transition in enumerate(transitions, start=1)
    ]
    return table(columns, rows, frame.width, frame.marks.ellipsis)


def _extent(node: Node) -> tuple[int, int]:
    """Numbers of the states below a node, and of the transitions in it and in them."""
    below = [_extent(child) for child in node.get("states", {}).values()]
    own = sum(map(len, node.get("on", {}).values()))
    own += len(node.get("always", ())) + len(node.get("after", ()))
    return sum(n + 1 for n, _ in below), own + sum(n for _, n in below)


def _age(iso: str, frame: Frame) -> Text:
    return Text(since(iso, frame.now), style="dim")


def _version_cells(version: Version | None) -> list[Text]:
    if version is None:
        return [Text("none", style="dim"), Text()]
    return [Text(version.id), Text(harmless(version.client_info), style="dim")]


def _event(event: Any, frame: Frame) -> Text:
    if not isinstance(event, dict):
        return Text(harmless(str(event)))
    payload = "  ".join(
        f"{harmless(key)} {compact(value, frame.marks)}"
        for key, value in event.items()
        if key != "type"
    )
    words = Text(harmless(str(event.get("type", ""))))
    return beside(words, Text(f"  {payload}", style="dim")) if payload else words
