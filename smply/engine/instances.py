"""Instances: create, send, read, list."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from smply.clock import Clock
from smply.contract import EVENT_BYTES_MAX, PLATFORM_EVENTS
from smply.engine.deliveries import Deliveries
from smply.engine.faults import event_type, failure, refusal
from smply.engine.machines import Machines
from smply.engine.mailbox import Key, Mailbox, Mailboxes
from smply.engine.meter import Meter
from smply.engine.settings import EngineSettings
from smply.engine.step import Ask, Live, Stepper
from smply.errors import Conflict, InvalidParameter, NotFound, SmplyError, TooLarge
from smply.runtime import Refused, Snapshot
from smply.store import (
    DeliveryRow,
    InstanceRow,
    ListedInstance,
    MachineRow,
    NewInstance,
    Overdue,
    Store,
    TransitionRow,
    VersionRow,
)


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance as it is stored, with its version and what is owed to it."""

    row: InstanceRow
    version: VersionRow
    deliveries: list[DeliveryRow]


class Instances:
    """The instances of all machines."""

    def __init__(
        self, store: Store, stepper: Stepper, machines: Machines, clock: Clock,
        settings: EngineSettings, notice: Callable[[str], None], meter: Meter,
    ) -> None:  # fmt: skip
        self._meter = meter
        self._store = store
        self._stepper = stepper
        self._machines = machines
        self._clock = clock
        self._settings = settings
        self._notice = notice
        self._deliveries = Deliveries(store, stepper, clock, settings, notice)
        self._mailboxes = Mailboxes(self._mailbox)
        self._named: int | None = None

    async def create(
        self, org: bytes, machine: str, name: str, context: bytes, version: bytes | None,
        shown: str, auth: bytes,
    ) -> str:  # fmt: skip
        """Make an instance and its initial transition; returns the public answer (S28).

        `context` is a JSON object that is merged over the machine's own (S29, Q60); `version` is
        None for the current one (S4), `shown` its id as the caller wrote it. Raises NotFound,
        Conflict when the name is taken (S26), AuthorizerRefused (S92), MachineError.

        A caller who goes away changes nothing: the instance is made all the same.
        """
        made = self._create(org, machine, name, context, version, shown, auth)
        return await asyncio.shield(asyncio.create_task(made))

    async def _create(
        self, org: bytes, machine: str, name: str, context: bytes, version: bytes | None,
        shown: str, auth: bytes,
    ) -> str:  # fmt: skip
        owner = self._machines.get(org, machine)
        chosen = self._version_for(org, owner, version, shown)
        if self._store.get_instance(org, machine, name) is not None:
            raise _taken(machine, name)
        new = NewInstance(org, owner.id, name, chosen.id, self._clock.now())
        first = await self._stepper.start(new, machine, context, auth)
        if first is None:
            raise _taken(machine, name)
        self._named = first.instance
        if first.goes_on:
            # The instance stands whatever comes of that: its creation is answered.
            await self._catch_up(org, machine, name)
            with contextlib.suppress(SmplyError):
                row = self._row(org, machine, name)
                # Another may have deleted it meanwhile, and made one of that name.
                return row.answer if row.id == first.instance else first.answer
        return first.answer

    def send(
        self, org: bytes, machine: str, name: str, event: bytes, auth: bytes
    ) -> asyncio.Future[str]:
        """Give an instance an event; the future has the public answer once it has settled (S48).

        A caller who goes away changes nothing: the step is made all the same. `event` is a JSON
        object with a string `type` (S44). Raises InvalidParameter for types of the platform (Q64),
        TooLarge (Q46), LimitExceeded; the future NotFound, AuthorizerRefused, MachineError,
        NotBuilt.
        """
        if len(event) > EVENT_BYTES_MAX:
            raise TooLarge(f"the event has more than {EVENT_BYTES_MAX:,} bytes")
        kind = event_type(event)
        if kind.startswith(PLATFORM_EVENTS):
            raise InvalidParameter(
                f'events of type "{kind}" belong to the platform and cannot be sent',
                parameter="event",
            )
        return self._mailboxes.of((org, machine, name)).send(Ask(event, auth, "client"))

    async def set_status(self, org: bytes, machine: str, name: str, status: str) -> None:
        """Pause an instance, or let it run again (S158). Raises NotFound.

        While it is paused its events are refused, and what is owed to it waits. What came due
        meanwhile is made as soon as it runs (S159); a step under way at the pause is made before
        it or not at all.
        """
        row = await self._current(org, machine, name)
        if not await self._store.set_status(row.id, status):
            raise _unknown(machine, name)
        if status == "running" and self._overdue(self._row(org, machine, name)):
            await self._catch_up(org, machine, name)

    async def delete(self, org: bytes, machine: str, name: str) -> None:
        """Delete an instance for ever: its state, history and timers (S160). Raises NotFound.

        Nothing of it runs any more, not even what is overdue; its events that wait are answered
        NotFound, and its name is free (Q53).
        """
        if not await self._store.delete_instance(self._row(org, machine, name).id):
            raise _unknown(machine, name)

    async def read(self, org: bytes, machine: str, name: str, auth: bytes) -> str:
        """The public answer, if allowRead permits (S91). Raises NotFound, AuthorizerRefused."""
        row = await self._current(org, machine, name)
        host = await self._stepper.host(org, row.version, machine, name)
        answer = await host.read(
            row.id, name, row.seq, lambda: Snapshot(row.value, row.context, row.rest), auth
        )
        if isinstance(answer, Refused):
            raise refusal("allowRead", answer, machine, f"the reading of {name}", auth)
        if answer is not None:
            raise failure(answer, f"allowRead was asked about {name}")
        self._meter.read(org)
        return row.answer

    async def inspect(self, org: bytes, machine: str, name: str) -> Instance:
        """An instance whole; no authorizer is asked (S38). Raises NotFound."""
        row = await self._current(org, machine, name)
        version = self._machines.version_of(org, row.version)
        self._meter.read(org)
        return Instance(row, version, self._store.deliveries(row.id))

    def list(self, org: bytes, machine: str, after: int, limit: int) -> Sequence[ListedInstance]:
        """The instances of a machine after the row `after` (S40). Raises NotFound."""
        return self._store.list_instances(org, self._machines.get(org, machine).id, after, limit)

    async def transitions(
        self, org: bytes, machine: str, name: str, after: int, limit: int
    ) -> Sequence[TransitionRow]:
        """The transitions of an instance after seq `after`, oldest first (S41)."""
        row = await self._current(org, machine, name)
        return self._store.list_transitions(row.id, after, limit)

    def overdue_elsewhere(self, org: bytes) -> Overdue | None:
        """The instances but the one last named that have overdue deliveries, or None."""
        if self._named is None:
            return None
        found = self._store.overdue_elsewhere(org, self._named, self._clock.now())
        return found if found.count else None

    async def _current(self, org: bytes, machine: str, name: str) -> InstanceRow:
        """The row of an instance, with what is overdue made first where nothing else would."""
        row = self._row(org, machine, name)
        if self._settings.deliver_on_read and self._overdue(row):
            await self._catch_up(org, machine, name)
            row = self._row(org, machine, name)
        return row

    async def settle(self, key: Key) -> None:
        """Make what an instance is owed by now, in its turn. Raises Conflict, NotFound, …"""
        await self._mailboxes.of(key).settle()

    async def _catch_up(self, org: bytes, machine: str, name: str) -> None:
        """Make what is due; what keeps that from happening does not keep the answer away."""
        try:
            await self._mailboxes.of((org, machine, name)).settle()
        except SmplyError as exc:
            self._notice(f"{machine}/{name}: what it is owed is late: {exc.message}")

    def _overdue(self, row: InstanceRow) -> bool:
        due = self._store.next_due(row.id) if row.status == "running" else None
        return due is not None and due <= self._clock.now()

    def _row(self, org: bytes, machine: str, name: str) -> InstanceRow:
        row = self._store.get_instance(org, machine, name)
        if row is None:
            # Which of the two names is unknown is looked up only now.
            self._machines.get(org, machine)
            raise _unknown(machine, name)
        self._named = row.id
        return row

    def _version_for(
        self, org: bytes, machine: MachineRow, version: bytes | None, shown: str
    ) -> VersionRow:
        if version is not None:
            return self._machines.version(org, machine, version, shown)
        if machine.current is None:
            raise InvalidParameter(
                f"{machine.name} has no current version", parameter="machineVersionId"
            )
        return machine.current

    def _mailbox(self, key: Key) -> Mailbox:
        return Mailbox(
            lambda: self._open(key),
            lambda: self._row(*key),
            self._stepper,
            self._deliveries,
            self._clock,
            self._settings,
        )

    def _open(self, key: Key) -> Live:
        org, machine, name = key
        row = self._row(org, machine, name)
        return Live(
            id=row.id,
            org=org,
            machine=machine,
            name=name,
            version=row.version,
            status=row.status,
            seq=row.seq,
            ts=row.ts,
            next_due=self._store.next_due(row.id),
            claimed_by=row.claimed_by,
            claimed_until=row.claimed_until or 0,
        )


def _unknown(machine: str, name: str) -> NotFound:
    return NotFound(f"{machine} has no instance {name}", parameter="instanceSlug")


def _taken(machine: str, name: str) -> Conflict:
    return Conflict(f"{machine} has an instance named {name} already", parameter="slug")
