"""The SCXML tests of XState's own suite come to in smply what they come to in XState 4.38."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from smply.errors import NotBuilt
from tests.conftest import World
from tests.differential.driver import Reference, alone_through_smply, first_difference, publish
from tests.differential.scxml_suite import NAMES, Conformance, install, read

pytestmark = pytest.mark.anyio

AT_ONCE = 4
WITH_SERVICES = {"w3c-ecma-test187-txml", "w3c-ecma-test191-txml"}


@pytest.fixture(scope="module")
def tests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("scion"))


@pytest.mark.parametrize("group", NAMES)
async def test_scxml_documents_do_what_they_do_in_xstate(
    group: str, tests: Path, world: World, reference: Reference
) -> None:
    """S32, S33, S35, S47, S59, S64: 130 documents, each event by event."""
    found = [test for test in read(tests, group) if test.run.name not in WITH_SERVICES]
    # Time passes for all instances of a world: those who wait for it take turns.
    untimed = [test for test in found if not any(isinstance(step, int) for step in test.script)]
    timed = [test for test in found if test not in untimed]
    turns = asyncio.Semaphore(AT_ONCE)
    wrong = await asyncio.gather(*(_differences(world, reference, each, turns) for each in untimed))
    wrong += [await _differences(world, reference, each, turns) for each in timed]
    assert not any(wrong), "\n".join(filter(None, wrong))


@pytest.mark.parametrize("group", ["w3c-ecma"])
async def test_scxml_documents_with_services_are_refused(
    group: str, tests: Path, world: World
) -> None:
    invoking = [test for test in read(tests, group) if test.run.name in WITH_SERVICES]
    assert len(invoking) == len(WITH_SERVICES)
    for test in invoking:
        with pytest.raises(NotBuilt, match="services are not supported yet: it invokes child"):
            await publish(world, test.run)


async def _differences(
    world: World, reference: Reference, test: Conformance, turns: asyncio.Semaphore
) -> str:
    """What of a test is not as XState and the test itself have it; nothing is right."""
    async with turns:
        ours = await alone_through_smply(world, test.run)
    theirs = await reference.run(test.run.source, test.script)
    place = first_difference(ours, theirs)
    if place is not None:
        step = f"{test.run.name} with {test.script}, after step {place} of them"
        return f"{step}\nXState:\n{theirs[place]}\nsmply:\n{ours[place]}\n{test.run.source}"
    for at, state in test.expected.items():
        if state not in _active(ours[at].state):
            return f"{test.run.name} is in {ours[at].state} after step {at}, not in {state}"
    return ""


def _active(value: object) -> set[str]:
    """The names of all states in a state value."""
    if isinstance(value, str):
        return {value}
    assert isinstance(value, dict)
    return {name for key, inner in value.items() for name in ({key} | _active(inner))}
