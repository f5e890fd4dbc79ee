"""The instances of one version, spread over processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from smply.engine import Engine, EngineSettings
from smply.runtime import RuntimeSettings
from smply.store import open_store
from tests.conftest import ManualClock
from tests.runtime.support import AUTH, Lab, machine

pytestmark = pytest.mark.anyio

NAMES = [f"light-{number}" for number in range(8)]


@pytest.mark.parametrize(("shards", "processes"), [(1, 1), (3, 3)])
async def test_an_instance_stays_in_the_process_that_made_it(
    tmp_path: Path, shards: int, processes: int
) -> None:
    lab, clock = Lab(RuntimeSettings(shards=shards)), ManualClock()
    store = await open_store(tmp_path / "smply.db", clock.now())
    engine, org = Engine(store, lab.runtime, clock, EngineSettings(), print), store.owner().org
    await engine.machines.create(org, "light")
    upload = await engine.machines.provision(org, "light")
    await engine.machines.upload(upload.id, upload.secret, machine().encode(), False)
    await engine.machines.finalize(org, "light", upload.handle, "", True)

    for name in NAMES:
        await engine.instances.create(org, "light", name, b"{}", None, "", AUTH)
    assert lab.runtime._pool is not None
    asked = [process._last_call for process in lab.runtime._pool._lent]
    for name in NAMES:
        await engine.instances.send(org, "light", name, b'{"type":"toggle"}', AUTH)
        await engine.instances.read(org, "light", name, AUTH)

    lent = lab.runtime._pool._lent
    assert len(lent) == processes
    # A load, and a birth, a step and a read of each: no state had to be asked for again.
    assert sum(asked) == processes + len(NAMES)
    assert sum(each._last_call for each in lent) == processes + 3 * len(NAMES)
    await lab.runtime.close(0)
    await store.close()


def test_a_shard_is_the_same_in_every_process() -> None:
    """No seed of this Python's hashes in it; crc32 is what other servers reckon too."""
    runtime = Lab(RuntimeSettings(shards=4)).runtime

    assert [runtime.shard(name) for name in ("a", "b", "order-1", "été")] == [3, 1, 3, 0]
