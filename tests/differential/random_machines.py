"""Machines that nobody would write: drawn from a seed or by hypothesis, as readable sources.

The same seed gives the same machine in every mode, but for what the modes do not have in common.
Whatever a machine does comes to an end: what raised and sent events set off raises and sends
nothing, and transitions without an event count up to where their guard no longer holds.

Delays and the time that passes are chosen so that no two timers that were set at different times
are ever due at once, as smply lets every step be a millisecond later than the one before (Q13). A
delayed send with an id cancels that id first: two that wait under one id are met in `kettle`, since
XState keeps no account of the older one and smply does (Q65).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, Protocol, TypeVar

from tests.differential.driver import Step
from tests.differential.modes import MACHINES, Mode

T = TypeVar("T")

EVENTS = ("E0", "E1", "E2", "E3", "E4")
RAISED = ("R0", "R1")
SENT = ("S0", "S1")
TIMED = ("T0", "T1")
HISTORY = ("shallow", "deep")

DELAYS = (3_000, 7_000, 15_000, 21_000)
"""In milliseconds; no two differ by a multiple of what passes at once."""

PASSING = (0, 0, 10_000, 0, 20_000, 0, 0, 10_000, 0, 30_000)
"""The time that passes at each step of every script; 0 is an event."""


class Chance(Protocol):
    """Where numbers below 1 come from. The larger they are, the simpler is what comes of them."""

    def random(self) -> float: ...

    def together(self, draw: Callable[[], T]) -> T:
        """What `draw` draws: a part that can be made simpler as a whole."""
        ...


class Seeded(Random):
    """Chance that is the same for the same seed."""

    def together(self, draw: Callable[[], T]) -> T:
        return draw()


class Code(str):
    """An expression of JavaScript."""


@dataclass
class _Node:
    id: str
    kind: str
    children: list[_Node] = field(default_factory=list)

    @property
    def key(self) -> str:
        return self.id.rpartition("_")[2]


def scripts_of(seed: int, count: int) -> list[list[Step]]:
    """What happens to the instances of a machine; time passes for all of them at once."""
    rng = Random(f"script {seed}")
    return [[ms or {"type": rng.choice(EVENTS)} for ms in PASSING] for _ in range(count)]


def source_of(chance: int | Chance, mode: Mode) -> str:
    """A machine of a seed, or of another source of chance, in a mode, as a module."""
    words = (MACHINES / f"words{mode.major}.js").read_text()
    drawing = _Drawing(Seeded(chance) if isinstance(chance, int) else chance, mode)
    config = written(drawing.config)
    return (
        f"{words}\nexport default createMachine({config}, implementations);\n\n"
        "export const allowRead = () => true;\nexport const allowWrite = () => true;\n"
    )


class _Drawing:
    """Draws one machine."""

    def __init__(self, chance: Chance, mode: Mode) -> None:
        self._rng = chance
        # A seed gives what it gave when it was kept, and that had no delays of no time.
        self._is_seeded = isinstance(chance, Seeded)
        self._mode = mode
        self._nodes: dict[str, _Node] = {}
        self._targets: list[str] = []
        root = self._tree()
        self.config = {
            **({} if mode.major == 5 else {"predictableActionArguments": mode.predictable}),
            "context": {"n": 0, "trail": [], "public": {}},
            **self._state(root),
        }

    # Chance.

    def _chance(self, probability: float) -> bool:
        return self._rng.random() < probability

    def _pick(self, items: Sequence[T]) -> T:
        return items[int(self._rng.random() * len(items))]

    # The tree of states.

    def _tree(self) -> _Node:
        root = _Node("m", self._pick(("compound", "compound", "parallel")))
        root.children = [self._grow(f"m_{key}", 1 if key == "c" else 2) for key in "bac"]
        if root.kind == "compound" and self._chance(0.5):
            root.children.append(_Node("m_end", "final"))
            if self._chance(0.3):
                self._targets.append("m_end")
        self._note(root)
        return root

    def _grow(self, id: str, depth: int) -> _Node:
        kinds = ("compound", "compound", "parallel", "atomic")
        node = _Node(id, self._pick(kinds) if depth else "atomic")
        self._targets.append(id)
        if node.kind != "atomic":
            keys = "ca" if node.kind == "parallel" or self._chance(0.5) else "cab"
            node.children = [self._grow(f"{id}_{key}", depth - 1) for key in keys]
        if node.kind == "compound":
            if self._chance(0.5):
                node.children.append(_Node(f"{id}_h", self._pick(HISTORY)))
                self._targets.append(f"{id}_h")
            if self._chance(0.3):
                node.children.append(_Node(f"{id}_f", "final"))
                self._targets.append(f"{id}_f")
        return node

    def _note(self, node: _Node) -> None:
        self._nodes[node.id] = node
        for child in node.children:
            self._note(child)

    # States and transitions.

    def _state(self, node: _Node) -> dict[str, Any]:
        state: dict[str, Any] = {"id": node.id}
        if node.kind in HISTORY:
            return {**state, "type": "history", "history": node.kind}
        if node.kind == "final":
            return {**state, "type": "final", "entry": self._actions(0.4)}
        if self._chance(0.4):
            state["tags"] = [f"tag-{self._pick('xyz')}", f"tag-{node.key}"]
        state["entry"] = self._actions(0.5)
        state["exit"] = self._actions(0.4)
        state["on"] = {
            **{event: self._still() for event in (*RAISED, *SENT) if self._chance(0.4)},
            **{event: self._move(node) for event in EVENTS if self._chance(0.4)},
            **{event: self._move(node, calm=True) for event in TIMED if self._chance(0.4)},
        }
        if self._chance(0.3):
            state["after"] = {str(self._pick(DELAYS)): self._move(node, alone=True)}
        if self._chance(0.15):
            state["always"] = [
                {**self._move(node), self._guarding: Code("eager"),
                 "actions": [Code("bump(1)"), Code('say("always")')]},
            ]  # fmt: skip
        return state | self._inside(node)

    def _inside(self, node: _Node) -> dict[str, Any]:
        if not node.children:
            return {}
        inside: dict[str, Any] = {
            "states": {
                child.key: self._rng.together(partial(self._state, child))
                for child in node.children
            }
        }
        if node.kind == "parallel":
            inside["type"] = "parallel"
        else:
            inside["initial"] = node.children[0].key
        if node.id != "m" and self._chance(0.5):
            inside["onDone"] = self._still()
        return inside

    @property
    def _guarding(self) -> str:
        return "guard" if self._mode.major == 5 else "cond"

    def _guard(self, probability: float) -> dict[str, Any]:
        if not self._chance(probability):
            return {}
        by = self._pick((2, 3, 4))
        own = Code(f"divides({by}, {self._pick(range(by))})")
        return {self._guarding: "even" if self._chance(0.4) else own}

    def _still(self) -> dict[str, Any]:
        """A transition that stays where it is and sets nothing off."""
        return {"actions": self._actions(0.7, calm=True), **self._guard(0.3)}

    def _move(self, node: _Node, calm: bool = False, alone: bool = False) -> dict[str, Any]:
        """`alone`: nobody else takes that event."""
        return self._rng.together(partial(self._move_from, node, calm, alone))

    def _move_from(self, node: _Node, calm: bool, alone: bool) -> dict[str, Any]:
        move = {"actions": self._actions(0.6, calm), **self._guard(0.3)}
        target = self._pick(self._targets)
        if self._chance(0.85) and self._may_go(node.id, target, alone):
            move["target"] = f"#{target}"
        if self._mode.major == 5 and self._chance(0.2):
            move["reenter"] = True
        return move

    def _may_go(self, start: str, target: str, alone: bool) -> bool:
        """Whether XState goes from here to there and nowhere else.

        Where two regions take the same event and one of them leaves, XState 4 follows both, and 5
        does so if the other has a history state for its target: the live state then has two active
        children of one parent, until it is stored. 4 does it from one region to another, too.
        """
        one, other = start.split("_"), target.split("_")
        in_region = any(self._kind(one[:depth]) == "parallel" for depth in range(1, len(one)))
        if self._mode.major == 5:
            return alone or not in_region or self._kind(other) not in HISTORY
        while one != other[: len(one)]:
            if not alone and self._kind(one[:-1]) == "parallel":
                return False
            one.pop()
        if "_".join(one) in (start, target):
            return self._kind(one) != "parallel"
        return self._kind(one) == "compound"

    def _kind(self, path: list[str]) -> str:
        return self._nodes["_".join(path)].kind

    # Actions.

    def _actions(self, probability: float, calm: bool = False) -> list[Any]:
        return self._rng.together(partial(self._some_actions, probability, calm))

    def _some_actions(self, probability: float, calm: bool) -> list[Any]:
        actions: list[Any] = []
        while len(actions) < 4 and self._chance(probability):
            more = self._action(calm)
            # XState 4 puts the sends of a list behind its cancels.
            if not any(each in actions for each in more if isinstance(each, Code)):
                actions += more
        return actions

    def _action(self, calm: bool) -> list[Any]:
        """`calm` actions set nothing off."""
        at = self._rng.random() * (0.65 if calm else 1)
        if at < 0.3:
            return [self._pick(("a1", "a2", "a3"))]
        if at < 0.5:
            return [Code(f"bump({self._pick((1, 2, 3))})")]
        if at < 0.6:
            return [Code(f'say("own {self._pick(range(9))}")')]
        if at < 0.65:
            return [Code('either(["a1", "a3"], ["a2"])')]
        if at < 0.75:
            return [Code(f'raise("{self._pick(RAISED)}")')]
        if at < (0.85 if self._is_seeded else 0.82):
            return [Code(f'toSelf("{self._pick(SENT)}")')]
        if at < 0.85:
            return [Code(f'later("{self._pick(SENT)}", 0)')]
        if at < 0.95:
            return self._later()
        return [Code(f'cancel("{self._pick("xy")}")')]

    def _later(self) -> list[Any]:
        what = f'later("{self._pick(TIMED)}", {self._pick(DELAYS)}'
        if self._chance(0.3):
            return [Code(f"{what})")]
        id = self._pick("xy")
        return [Code(f'cancel("{id}")'), Code(f'{what}, "{id}")')]


def written(value: Any, indent: str = "\n") -> str:
    """JavaScript of a value, a line for each property of an object."""
    if isinstance(value, Code):
        return value
    if isinstance(value, list):
        return f"[{', '.join(written(item, indent) for item in value)}]"
    if not isinstance(value, dict):
        return json.dumps(value)
    if not value:
        return "{}"
    deeper = indent + "  "
    lines = (f"{deeper}{json.dumps(key)}: {written(item, deeper)}," for key, item in value.items())
    return "{" + "".join(lines) + indent + "}"
