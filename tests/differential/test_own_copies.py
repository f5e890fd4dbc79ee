"""Machines that carry an XState of their own do in smply what they do in that XState (C16)."""

from __future__ import annotations

from pathlib import Path

import pytest

from smply.runtime import Runtime, RuntimeSettings, Stepped
from tests.conftest import World
from tests.differential.driver import Reference, Run, differences, script
from tests.differential.modes import hand_written
from tests.differential.own_copies import COPIES, bundle_all
from tests.differential.random_machines import scripts_of, source_of
from tests.runtime.support import AUTH, Lab

pytestmark = pytest.mark.anyio

SEED = 73
RELAY = [script("go go add back go again back go"), script("add go again back again go go add")]

WAITING = """
import { createMachine } from "npm:xstate@5";
const actions = { wait: () => new Promise(() => {}) };
export default createMachine({ context: {}, entry: "wait" }, { actions });
export const allowRead = () => true;
export const allowWrite = () => true;
"""


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of each release, the machine `relay` and a random one; of two, one that waits for ever."""
    sources = {f"waiting-{release}": (release, WAITING) for release in ("5.0.0", "5.18.2")}
    for release, mode in COPIES.items():
        sources[f"relay-{release}"] = (release, hand_written("relay", mode))
        sources[f"random-{release}"] = (release, source_of(SEED, mode))
    return bundle_all(tmp_path_factory.mktemp("copies"), sources)


async def test_a_machine_does_what_it_does_in_its_own_xstate(
    bundles: dict[str, str],
    world: World, runtime: Runtime, reference: Reference, tmp_path: Path,
) -> None:  # fmt: skip
    """S59, C16: with actions in the order of that release."""
    runs = [Run(_name(each), bundles[f"relay-{each}"], RELAY) for each in COPIES]
    found = await differences(world, runtime, reference, runs, tmp_path)
    assert not found, "\n".join(found)
    for release in COPIES:
        page = await world.client.versions.list(_name(release))
        detail = await world.client.versions.get(_name(release), page.items[0].id)
        assert detail.xstate == f"{release[0]} bundled"


async def test_a_random_machine_does_what_it_does_in_its_own_xstate(
    bundles: dict[str, str],
    world: World, runtime: Runtime, reference: Reference, tmp_path: Path,
) -> None:  # fmt: skip
    """S59, S64, C16."""
    scripts = scripts_of(SEED, 3)
    runs = [Run(_name(each), bundles[f"random-{each}"], scripts) for each in COPIES]
    found = await differences(world, runtime, reference, runs, tmp_path)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("release", ["5.0.0", "5.18.2"])
async def test_an_action_that_still_runs_is_known_by_its_name(
    bundles: dict[str, str], release: str
) -> None:
    """Up to 5.18, XState hands over actions without their names."""
    lab = Lab(RuntimeSettings())
    try:
        host = await lab.host(bundles[f"waiting-{release}"])
        started = await host.start("one", 1_000, b"{}", AUTH)
        assert isinstance(started, Stepped)
        host.commit(started.instance, started.seq, 1)
    finally:
        unfinished = await lab.runtime.close(0.1)
    assert unfinished == ["one: action wait was still running after 0.1 s and was stopped"]


def _name(release: str) -> str:
    return f"own-{release.replace('.', '-')}"
