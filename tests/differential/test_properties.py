"""Whatever a machine is and whatever befalls smply: it comes to what XState comes to.

Hypothesis draws the machines, what happens to them, and in between steps that are lost, processes
of Deno that are killed, and the whole engine closed and opened again. What it finds is made small
and printed as a module with its steps; it becomes a test by a name of its own in `test_traps.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from tests.conftest import TIMES
from tests.differential.bench import Bench, Mishap, Plan
from tests.differential.driver import Step
from tests.differential.modes import MODES, Mode
from tests.differential.random_machines import EVENTS, PASSING, source_of

T = TypeVar("T")

EXAMPLES = 6 * TIMES


class Drawn:
    """Chance that hypothesis draws, and that it makes simpler when it shrinks."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def random(self) -> float:
        return 1 - self._draw(st.integers(1, 100)) / 100

    def together(self, draw: Callable[[], T]) -> T:
        return self._draw(st.builds(draw))


STEPS: st.SearchStrategy[Step] = st.one_of(
    st.sampled_from([{"type": type} for type in EVENTS]),
    st.sampled_from(sorted({ms for ms in PASSING if ms})),
)
MISHAPS = st.sampled_from([*[Mishap.NONE] * 3, Mishap.DISCARD, Mishap.KILL, Mishap.REOPEN])
PLANS: st.SearchStrategy[list[tuple[Mishap, Step]]] = st.lists(
    st.tuples(MISHAPS, STEPS), min_size=10, max_size=16
)


@st.composite
def sources(draw: st.DrawFn, mode: Mode) -> str:
    """Machines as modules."""
    return source_of(Drawn(draw), mode)


@pytest.mark.parametrize("mode", MODES, ids=str)
@settings(max_examples=EXAMPLES, print_blob=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_machine_that_is_restarted_does_what_it_does_in_xstate(
    data: Any, mode: Mode, bench: Bench
) -> None:
    """S32, S45, S59, S64, Q65."""
    plan: Plan = data.draw(PLANS)
    source = data.draw(sources(mode))
    difference = bench.difference(source, plan)
    assert difference is None, difference
