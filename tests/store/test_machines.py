"""Machines, uploads, versions, codes."""

from __future__ import annotations

import hashlib

import pytest

from smply.store import MachineRow, Store, UploadRow

from .conftest import Opener
from .support import NOW, World, publish, upload, version

pytestmark = pytest.mark.anyio


async def test_the_owner_is_made_once(store: Store, opener: Opener) -> None:
    again = await opener()
    assert again.owner() == store.owner()
    assert store.owner().org[6] >> 4 == store.owner().user[6] >> 4 == 4
    assert store.owner().org != store.owner().user


async def test_a_machine_is_a_name_with_indexes_s1(store: Store) -> None:
    org = store.owner().org
    made = await store.create_machine(org, "m", ["a", "b"], NOW)
    assert made is not None
    assert store.get_machine(org, "m") == MachineRow(made, org, "m", NOW, ["a", "b"], None)


async def test_a_name_is_taken_once_per_org(store: Store) -> None:
    org = store.owner().org
    assert await store.create_machine(org, "m", [], NOW) is not None
    assert await store.create_machine(org, "m", [], NOW) is None
    assert len(store.list_machines(org, 0, 10)) == 1


async def test_another_org_sees_nothing(world: World) -> None:
    other = b"o" * 16
    assert world.store.get_machine(other, "toggler") is None
    assert world.store.list_machines(other, 0, 10) == []
    assert world.store.get_version(other, world.version) is None
    assert world.store.list_versions(other, world.machine, 0, 10) == []
    assert world.store.get_upload(other, upload(world).id) is None
    assert world.store.list_instances(other, world.machine, 0, 10) == []


async def test_machines_come_in_pages_q32(store: Store) -> None:
    org = store.owner().org
    for name in "edcba":
        await store.create_machine(org, name, [], NOW)
    first = store.list_machines(org, 0, 2)
    second = store.list_machines(org, first[-1].id, 2)
    third = store.list_machines(org, second[-1].id, 2)
    assert [m.name for m in first + second + third] == list("edcba")


async def test_an_upload_waits_for_its_code_s7(world: World) -> None:
    await world.store.create_upload(upload(world, 2))
    assert world.store.get_upload(world.org, upload(world, 2).id) == upload(world, 2)
    assert await world.store.put_upload_code(upload(world, 2).id, b"code")
    sha256 = hashlib.sha256(b"code").digest()
    assert world.store.get_upload(None, upload(world, 2).id) == upload(world, 2, sha256)
    assert world.store.get_code(world.org, sha256) == b"code"


async def test_code_for_an_unknown_upload_is_not_kept(world: World) -> None:
    assert not await world.store.put_upload_code(b"?" * 16, b"stray")
    with pytest.raises(LookupError):
        world.store.get_code(world.org, hashlib.sha256(b"stray").digest())


async def test_a_version_keeps_all_it_was_made_of(world: World) -> None:
    new = version(world)
    row = world.store.get_version(world.org, new.id)
    assert row is not None
    for field in set(new.__struct_fields__) - {"code"}:
        assert getattr(row, field) == getattr(new, field)
    assert world.store.get_code(world.org, row.code_sha256) == new.code


async def test_a_version_is_finalized_once_q34(world: World) -> None:
    done = world.store.get_upload(world.org, upload(world).id)
    assert isinstance(done, UploadRow)
    assert done.finalized is True
    other = version(world, 7)
    assert not await world.store.create_version(other, True, upload(world).id)
    assert world.store.get_version(world.org, other.id) is None


async def test_the_current_version_is_the_last_made_current_s2(world: World) -> None:
    second = await publish(world, 2)
    await publish(world, 3, make_current=False)
    machine = world.store.get_machine(world.org, "toggler")
    assert machine is not None
    assert machine.current == world.store.get_version(world.org, second)
    assert world.store.list_machines(world.org, 0, 9) == [machine]


async def test_versions_come_in_pages_oldest_first(world: World) -> None:
    for number in (5, 3, 4):
        await publish(world, number)
    first = world.store.list_versions(world.org, world.machine, 0, 3)
    rest = world.store.list_versions(world.org, world.machine, first[-1].row, 3)
    assert [v.client_info for v in first] == ["v1", "v5", "v3"]
    assert [v.client_info for v in rest] == ["v4"]


async def test_large_code_goes_in_beside_small_writes(world: World) -> None:
    await world.store.create_upload(upload(world, 2))
    large = bytes(10_000_000)
    instance = await world.create()
    assert await world.store.put_upload_code(upload(world, 2).id, large)
    assert await world.move(instance, 1)
    assert world.store.get_code(world.org, hashlib.sha256(large).digest()) == large
