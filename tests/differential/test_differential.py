"""smply against XState itself: what both make of the same machines and events is the same.

In smply the process is killed between every two steps, so that each of them starts from what is
stored. The seeds of the random machines are fixed; `SMPLY_SEEDS=200` draws so many others for each
mode, and `SMPLY_SEED=…` repeats the one that a failure names.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import SystemRandom

import pytest

from smply.runtime import Runtime
from tests.conftest import World
from tests.differential.driver import Reference, Run, differences, script
from tests.differential.modes import MODES, Mode, hand_written
from tests.differential.random_machines import scripts_of, source_of

pytestmark = pytest.mark.anyio

SEEDS = [18, 54, 984983354, 3651471062]
AT_ONCE = 4
"""Machines that are stepped together: each has a process."""

INSTANCES = 3


def _seeds() -> list[int]:
    if "SMPLY_SEED" in os.environ:
        return [int(os.environ["SMPLY_SEED"])]
    count = int(os.environ.get("SMPLY_SEEDS", "0"))
    return [SystemRandom().randrange(1 << 32) for _ in range(count)] or SEEDS


def _batches(seeds: list[int]) -> list[list[int]]:
    return [seeds[at : at + AT_ONCE] for at in range(0, len(seeds), AT_ONCE)]


# Every step is a millisecond later than the one before (Q13): no time here is just that of a timer.
SCRIPTS = {
    "player": (
        "resume play faster faster mute pause replay pause play power resume eject",
        "power mute play faster power resume pause play slower mute louder eject",
    ),
    "kettle": (
        "heat 6s heat hush 15s off heat 32s 6s 13s heat 32s 6s pour",
        "drip 6s heat off 15s heat hush 32s 6s 13s heat 32s 6s pour",
    ),
    "parcel": (
        "look write look restart look close write pay paint 59s lose find 61s",
        "paint pay look close look write restart look lose 59s find look 61s",
    ),
    "relay": (
        "go go add back go again back go late again back",
        "add go again again back go add add go again back",
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_machine_does_what_it_does_in_xstate(
    name: str, world: World, runtime: Runtime, reference: Reference, tmp_path: Path
) -> None:
    """S32, S59, S64, Q65."""
    scripts = [script(text) for text in SCRIPTS[name]]
    runs = [Run(f"{name}-{mode}", hand_written(name, mode), scripts) for mode in MODES]
    found = await differences(world, runtime, reference, runs, tmp_path)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("seeds", _batches(_seeds()), ids=lambda seeds: "-".join(map(str, seeds)))
async def test_random_machines_do_what_they_do_in_xstate(
    seeds: list[int], mode: Mode,
    world: World, runtime: Runtime, reference: Reference, tmp_path: Path,
) -> None:  # fmt: skip
    """S32, S59, S64."""
    runs = [
        Run(f"seed-{seed}", source_of(seed, mode), scripts_of(seed, INSTANCES)) for seed in seeds
    ]
    found = await differences(world, runtime, reference, runs, tmp_path)
    assert not found, "\n".join(found)
