"""What the tests of the store share: a machine with a version, and steps of its instances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from smply.store import NewInstance, NewVersion, StepWrite, Store, UploadRow

NOW = 1_730_000_000_000


@dataclass
class World:
    """A store with one machine that has one version."""

    store: Store
    org: bytes
    machine: int
    version: bytes

    async def create(self, name: str = "session-1", **changes: Any) -> int:
        """A new instance's id; it stands at seq 1."""
        made = await self.try_create(name, **changes)
        assert made is not None
        return made

    async def try_create(self, name: str, **changes: Any) -> int | None:
        new = NewInstance(self.org, self.machine, name, self.version, NOW)
        return await self.store.create_instance(new, self.step(0, 0, **changes))

    def step(self, instance: int, base: int, **changes: Any) -> StepWrite:
        """A step from `base` whose texts tell its seq."""
        seq = base + 1
        fields: dict[str, Any] = {
            "ts": NOW + seq,
            "value": f'"s{seq}"',
            "context": f'{{"count":{seq}}}',
            "rest": f'{{"rest":{seq}}}',
            "answer": f'{{"ts":{NOW + seq},"state":"s{seq}"}}',
            "tags": "[]",
            "done": False,
            "version": self.version,
            "event": f'{{"type":"e{seq}"}}',
            "auth": '{"sub":"me"}',
            "cause": "client",
        }
        return StepWrite(instance, base, **(fields | changes))

    async def move(self, instance: int, base: int, **changes: Any) -> bool:
        return await self.commit([self.step(instance, base, **changes)])

    async def commit(self, steps: Sequence[StepWrite]) -> bool:
        """Of nobody who claims anything."""
        return await self.store.commit(steps, b"", NOW)


def upload(world: World, number: int = 1, code_sha256: bytes | None = None) -> UploadRow:
    return UploadRow(
        id=bytes([number]) * 16,
        org=world.org,
        machine=world.machine,
        version=bytes([number, 99]) * 8,
        secret_sha256=b"s" * 32,
        created_at=NOW,
        code_sha256=code_sha256,
        finalized=False,
    )


def version(world: World, number: int = 1, **changes: Any) -> NewVersion:
    fields: dict[str, Any] = {
        "client_info": f"v{number}",
        "xstate": "5.33.3",
        "adapter": 5,
        "uploaded_sha256": b"u" * 32,
        "code": b"export default machine",
        "uploaded_bytes": 23,
        "gzipped_bytes": 20,
        "selectors": "{}",
        "exports": '["default"]',
        "definition": '{"key":"toggler"}',
    }
    identity = (bytes([number, 99]) * 8, world.org, world.machine, NOW + number)
    return NewVersion(*identity, **(fields | changes))


async def publish(world: World, number: int = 1, make_current: bool = True) -> bytes:
    """A finalized version's id."""
    await world.store.create_upload(upload(world, number))
    made = await world.store.create_version(
        version(world, number), make_current, bytes([number]) * 16
    )
    assert made
    return version(world, number).id


async def furnish(store: Store) -> World:
    """Make the machine and its version."""
    org = store.owner().org
    machine = await store.create_machine(org, "toggler", ["byUser"], NOW)
    assert machine is not None
    world = World(store, org, machine, b"")
    world.version = await publish(world)
    return world


def find(store: Store) -> World:
    """The world that `furnish` has made, seen through another store on the same data."""
    org = store.owner().org
    machine = store.get_machine(org, "toggler")
    assert machine is not None
    assert machine.current is not None
    return World(store, org, machine.id, machine.current.id)
