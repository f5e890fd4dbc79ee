"""A definition and a state value as the lines of a tree."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from smply.cli._frame import Marks
from smply.cli._table import beside, fitted, fitted_or_whole
from smply.cli._text import harmless
from smply.models import StateValue

Node = dict[str, Any]
"""A state of a definition (`extensions.md`): id, key, type, states, tags, on, after …"""


@dataclass(frozen=True)
class Look:
    """What a tree shows: ids of active, left and entered states, and what may fold."""

    active: Collection[str]
    left: Collection[str] = ()
    entered: Collection[str] = ()
    fold: bool = False


@dataclass(frozen=True)
class _Line:
    state: Text
    note: Text


def active_children(node: Node, value: StateValue | None) -> list[tuple[Node, StateValue | None]]:
    """The active states directly below a node of this value, each with its own value."""
    inner = value if isinstance(value, dict) else {value: None} if value else {}
    states = node.get("states", {})
    return [(states[key], below) for key, below in inner.items() if key in states]


def active_nodes(node: Node, value: StateValue | None) -> list[Node]:
    """The active states below and with `node`, parents first."""
    below = [active_nodes(child, inner) for child, inner in active_children(node, value)]
    return [node, *(found for nodes in below for found in nodes)]


def active_ids(definition: Node, value: StateValue) -> set[str]:
    """The ids of the states that a state value means, the root among them."""
    return {node["id"] for node in active_nodes(definition, value)}


def tree(definition: Node, name: str, look: Look, width: int, marks: Marks) -> list[Text]:
    """The whole hierarchy, one line a state; tags stand to the right of their state."""
    lines = [_Line(_state(definition, look, marks, name=name), _tags(definition, look))]
    lines += _below(definition, "", look, marks)
    column = max(cell_len(line.state.plain) for line in lines) + 3
    return [_joined(line, column, width, marks) for line in lines]


def _below(parent: Node, stem: str, look: Look, marks: Marks) -> Iterable[_Line]:
    children = list(parent.get("states", {}).values())
    shown = _unfolded(children, look) if look.fold else children
    hidden = len(children) - len(shown)
    for child in shown:
        last = child is shown[-1] and not hidden
        branch = Text(stem + (marks.last_branch if last else marks.branch), style="dim")
        state = _state(child, look, marks, region=parent["type"] == "parallel")
        yield _Line(beside(branch, state), _tags(child, look))
        if not look.fold or child["id"] in look.active:
            yield from _below(child, stem + ("   " if last else marks.trunk), look, marks)
    if hidden:
        more = f"{stem}{marks.last_branch}{marks.inactive} {hidden} more"
        yield _Line(Text(more, style="dim"), Text("--all", style="dim"))


def _unfolded(children: list[Node], look: Look) -> list[Node]:
    seen = {*look.active, *look.left}
    shown = [child for child in children if child["id"] in seen]
    # One line saying "1 more" would be no shorter than the state itself.
    return shown if len(children) - len(shown) > 1 else children


def _state(node: Node, look: Look, marks: Marks, *, name: str = "", region: bool = False) -> Text:
    label = harmless(name or node["key"])
    return Text(f"{_mark(node, look, marks, region)} {label}", style=_style(node, look))


def _mark(node: Node, look: Look, marks: Marks, region: bool) -> str:
    active = node["id"] in look.active
    if node["type"] == "history":
        return marks.history
    if node["type"] == "final":
        return marks.final_reached if active else marks.final
    if region:
        return marks.region
    return marks.active if active else marks.inactive


def _style(node: Node, look: Look) -> str:
    if node["id"] in look.left:
        return "dim strike"
    if node["id"] not in look.active:
        return "" if node["type"] != "history" else "dim"
    return "green" if look.entered and node["id"] not in look.entered else "bold green"


def _tags(node: Node, look: Look) -> Text:
    style = "cyan" if node["id"] in look.active else "dim"
    return Text(harmless(" ".join(node.get("tags", []))), style=style)


def _joined(line: _Line, column: int, width: int, marks: Marks) -> Text:
    if not line.note:
        return fitted_or_whole(line.state, width, marks.ellipsis)
    whole = beside(fitted(line.state, column, marks.ellipsis), line.note)
    return fitted_or_whole(whole, width, marks.ellipsis)
