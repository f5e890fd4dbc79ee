"""Machines that carry an XState of their own do in smply what they do in that XState (C16)."""

from __future__ import annotations

from itertools import cycle

import pytest

from smply.runtime import RuntimeSettings, Stepped
from tests.conftest import World
from tests.differential.bench import Bench, Mishap, Plan
from tests.differential.driver import Step, script
from tests.differential.modes import Mode, hand_written
from tests.differential.own_copies import PAIRS, bundle_all
from tests.differential.random_machines import scripts_of, source_of
from tests.runtime.support import AUTH, Lab

SEED = 73
RELAY = script("go go add back go again back go add")
KETTLE = script("heat 6s heat hush 15s heat 32s pour off")
[RANDOM] = scripts_of(SEED, 1)

EACH = pytest.mark.parametrize(
    ("release", "mode"), PAIRS, ids=[f"{release}, {mode}" for release, mode in PAIRS]
)

WAITING = """
import { createMachine } from "npm:xstate@5";
const actions = { wait: () => new Promise(() => {}) };
export default createMachine({ context: {}, entry: "wait" }, { actions });
export const allowRead = () => true;
export const allowWrite = () => true;
"""


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of each release and mode, three machines; of two, one that waits for ever. All minified."""
    sources = {f"waiting-{release}": (release, WAITING) for release in ("5.0.0", "5.18.2")}
    for release, mode in PAIRS:
        sources[_name("relay", release, mode)] = (release, hand_written("relay", mode))
        sources[_name("kettle", release, mode)] = (release, hand_written("kettle", mode))
        sources[_name("random", release, mode)] = (release, source_of(SEED, mode))
    return bundle_all(tmp_path_factory.mktemp("copies"), sources)


@EACH
@pytest.mark.parametrize(
    ("machine", "steps"), [("relay", RELAY), ("kettle", KETTLE), ("random", RANDOM)],
    ids=["relay", "kettle", "random"],
)  # fmt: skip
def test_a_machine_does_what_it_does_in_its_own_xstate(
    machine: str, steps: list[Step], release: str, mode: Mode,
    bundles: dict[str, str], bench: Bench,
) -> None:  # fmt: skip
    """S59, S64, C16: its state kept, its steps lost, its process killed, in turn."""
    bundle = bundles[_name(machine, release, mode)]
    plan: Plan = list(
        zip(cycle((Mishap.NONE, Mishap.KILL, Mishap.NONE, Mishap.DISCARD)), steps, strict=False)
    )
    difference = bench.difference(bundle, plan)
    assert difference is None, difference[difference.rindex("export{") :]


@pytest.mark.anyio
async def test_a_bundle_with_its_own_xstate_is_told_as_such(
    bundles: dict[str, str], world: World
) -> None:
    """C16."""
    await world.client.machines.create("own")
    for release, mode in PAIRS:
        code = bundles[_name("relay", release, mode)].encode()
        version = await world.client.versions.create("own", code, make_current=True)
        detail = await world.client.versions.get("own", version)
        assert detail.xstate == f"{release[0]} bundled"


@pytest.mark.anyio
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


def _name(machine: str, release: str, mode: Mode) -> str:
    return f"{machine}-{release.replace('.', '-')}-{mode}"
