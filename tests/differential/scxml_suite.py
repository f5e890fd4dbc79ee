"""The SCXML tests that XState's own suite runs, of SCION and of the W3C.

`scion/` pins their package, which Deno installs from npm; what that depends on is for running them
in another way, and a package of three lines stands for all of it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.differential.driver import Run, Step
from tests.differential.own_copies import deno
from tests.differential.scxml import source_of

_PINS = Path(__file__).parent / "scion"
_TESTS = Path("node_modules", "@scion-scxml", "test-framework", "test")
_LONG_MS = 10_000
"""Longer than a W3C test takes."""

W3C = "w3c-ecma"
NAMES = {
    "actionSend": "send1 send2 send3 send4 send4b send7 send7b send8 send8b send9",
    "assign-current-small-step": "test1 test2 test3 test4",
    "basic": "basic0 basic1 basic2",
    "cond-js": "test0 test1 test2 TestConditionalTransition",
    "data": "data_obj_literal",
    "default-initial-state": "initial1 initial2",
    "delayedSend": "send1 send2 send3",
    "documentOrder": "documentOrder0",
    "hierarchy": "hier0 hier1 hier2",
    "hierarchy+documentOrder": "test0 test1",
    "history": "history0 history1 history2 history3 history4b history5 history6",
    "internal-transitions": "test0 test1",
    "misc": "deep-initial",
    "more-parallel": (
        "test0 test1 test2 test2b test3 test4 test5 test6 test7 test8 test9 test10 test10b"
    ),
    "parallel": "test0 test1 test2 test3",
    "parallel+interrupt": (
        "test0 test2 test3 test4 test6 test8 test9 test10 test11 test13 test14 test16 test17"
        " test18 test19 test22 test23 test24 test27 test28 test29 test30 test31"
    ),
    "scxml-prefix-event-name-matching": "star0",
    "targetless-transition": "test0 test1 test2 test3",
    W3C: (
        "144 147 148 149 158 172 173 174 175 176 185 187 189 191 193 200 201 287 318 331 333 335"
        " 336 337 339 342 348 349 355 396 403a 404 405 406 407 416 417 419 421 445 449 453 503 570"
    ),
}
"""All that stand in the suite of XState 4.38.3 by group; those of the W3C by number."""


_BEGINNINGS = {"test331.txml": "s4"}
"""Where XState's suite begins a test by hand: what is before that needs errors to be events."""


@dataclass(frozen=True, slots=True)
class Conformance:
    """A test: a machine, what happens to it, and a state that is active after some of that."""

    run: Run
    expected: dict[int, str]
    """By the number of steps that were taken; of several states the first, as XState's suite."""

    @property
    def script(self) -> Sequence[Step]:
        [script] = self.run.scripts
        return script


def install(directory: Path) -> Path:
    """Where the tests are, once they are installed in `directory`."""
    shutil.copytree(_PINS, directory, dirs_exist_ok=True)
    deno(directory, "install", "--quiet", "--frozen")
    return directory / _TESTS


def read(tests: Path, group: str) -> list[Conformance]:
    """The tests of a group, converted."""
    written = "test{}.txml" if group == W3C else "{}"
    return [_read(tests / group, written.format(name)) for name in NAMES[group].split()]


def _read(group: Path, name: str) -> Conformance:
    document = (group / f"{name}.scxml").read_text()
    source = source_of(document, _BEGINNINGS.get(name))
    told = json.loads((group / f"{name}.json").read_text())
    if group.name == W3C:
        # A test of the W3C runs by itself, and passes or fails at its end.
        script: list[Step] = [_LONG_MS] if '"delay":' in source else []
        expected = {len(script): "pass"}
    else:
        script, expected = _script(told)
    run_name = f"{group.name}-{name}".replace("+", "-").replace(".", "-")
    return Conformance(Run(run_name, source, [script]), expected)


def _script(told: dict[str, Any]) -> tuple[list[Step], dict[int, str]]:
    script: list[Step] = []
    expected = {0: told["initialConfiguration"][0]}
    for step in told["events"]:
        if "after" in step:
            script.append(int(step["after"]))
        script.append({"type": step["event"]["name"]})
        expected[len(script)] = step["nextConfiguration"][0]
    return script, expected
