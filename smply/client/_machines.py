"""Machines, versions and instances of a server: the verbs of both clients, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smply.client import _base as base
from smply.client._asking import Asking, AsyncAsking
from smply.models import (
    AdminState,
    InstanceDetail,
    InstanceSummary,
    Machine,
    MachineSummary,
    Page,
    State,
    Transition,
    Version,
    VersionDetail,
)

Act = Mapping[str, Any] | None
"""The auth context that a request is made with, in place of the caller's own (S114)."""


class AsyncMachines:
    """`client.machines` of an `AsyncClient`."""

    def __init__(self, client: AsyncAsking) -> None:
        self._client = client

    async def create(self, name: str, *, indexes: Sequence[str] = ()) -> None:
        """Create a machine. Raises Conflict when the name is taken (Q9)."""
        await self._client.ask(base.create_machine(name, indexes))

    async def get(self, name: str) -> Machine:
        """A machine by name. Raises NotFound."""
        return await self._client.ask(base.get_machine(name))

    async def list(self, cursor: str | None = None) -> Page[MachineSummary]:
        """One page of machines, in the order of their creation."""
        return await self._client.ask(base.list_machines(cursor))

    async def set_current(self, name: str, version: str) -> None:
        """Make a version current, a later one or an earlier. Raises NotFound."""
        await self._client.ask(base.set_current(name, version))

    async def delete(self, name: str) -> None:
        """Delete a machine with its versions, for ever (S161).

        Raises Conflict while it has instances (S162), NotFound.
        """
        await self._client.ask(base.delete_machine(name))


class AsyncVersions:
    """`client.versions` of an `AsyncClient`."""

    def __init__(self, client: AsyncAsking) -> None:
        self._client = client

    async def create(
        self,
        machine: str,
        code: bytes,
        *,
        client_info: str | None = None,
        make_current: bool = False,
        index_selectors: Mapping[str, str] | None = None,
    ) -> str:
        """Upload a bundle as a version; returns its id (`ver_…`).

        Raises InvalidParameter when the bundle is no machine (Q8), NotFound for the machine.
        """
        return await self._client.follow(
            base.create_version(machine, code, client_info, make_current, index_selectors)
        )

    async def get(self, machine: str, version: str) -> VersionDetail:
        """A version with its definition. Raises NotFound."""
        return await self._client.ask(base.get_version(machine, version))

    async def list(self, machine: str, cursor: str | None = None) -> Page[Version]:
        """One page of a machine's versions, oldest first."""
        return await self._client.ask(base.list_versions(machine, cursor))


class AsyncInstances:
    """`client.instances` of an `AsyncClient`."""

    def __init__(self, client: AsyncAsking) -> None:
        self._client = client

    async def create(
        self,
        machine: str,
        name: str,
        *,
        context: Mapping[str, Any] | None = None,
        version: str | None = None,
        act: Act = None,
    ) -> State:
        """Create an instance and make its initial transition (S28, S29).

        Raises Conflict when the name is taken (S26), AuthorizerRefused (S92), NotFound.
        """
        return await self._client.ask(base.create_instance(machine, name, context, version, act))

    async def send(
        self, machine: str, name: str, event: str | Mapping[str, Any], *, act: Act = None
    ) -> State:
        """Send an event; the answer is the state after the instance settled (S48).

        Raises AuthorizerRefused, MachineError (a guard or assign threw), NotFound.
        """
        return await self._client.ask(base.send_event(machine, name, event, act))

    async def get(self, machine: str, name: str, *, act: Act = None) -> State:
        """The public state; allowRead is asked (S91). Raises AuthorizerRefused, NotFound."""
        return await self._client.ask(base.get_instance(machine, name, act))

    async def get_admin(self, machine: str, name: str) -> AdminState:
        """The administrative state, private context included (S38). Raises NotFound."""
        return await self._client.ask(base.get_admin(machine, name))

    async def inspect(self, machine: str, name: str) -> InstanceDetail:
        """The administrative state with seq, timers and deliveries. Raises NotFound."""
        return await self._client.ask(base.inspect_instance(machine, name))

    async def list(self, machine: str, cursor: str | None = None) -> Page[InstanceSummary]:
        """One page of a machine's instances (S40)."""
        return await self._client.ask(base.list_instances(machine, cursor))

    async def transitions(
        self, machine: str, name: str, cursor: str | None = None
    ) -> Page[Transition]:
        """One page of an instance's transitions, oldest first (S41)."""
        return await self._client.ask(base.list_transitions(machine, name, cursor))

    async def set_status(self, machine: str, name: str, status: str) -> None:
        """Set `running` or `paused` (S158): a paused instance refuses events with Conflict.

        Raises NotFound.
        """
        await self._client.ask(base.set_status(machine, name, status))

    async def delete(self, machine: str, name: str) -> None:
        """Delete an instance with its history and timers, for ever (S160). Raises NotFound."""
        await self._client.ask(base.delete_instance(machine, name))


class Machines:
    """`client.machines` of a `Client`; see `AsyncMachines`."""

    def __init__(self, client: Asking) -> None:
        self._client = client

    def create(self, name: str, *, indexes: Sequence[str] = ()) -> None:
        self._client.ask(base.create_machine(name, indexes))

    def get(self, name: str) -> Machine:
        return self._client.ask(base.get_machine(name))

    def list(self, cursor: str | None = None) -> Page[MachineSummary]:
        return self._client.ask(base.list_machines(cursor))

    def set_current(self, name: str, version: str) -> None:
        self._client.ask(base.set_current(name, version))

    def delete(self, name: str) -> None:
        self._client.ask(base.delete_machine(name))


class Versions:
    """`client.versions` of a `Client`; see `AsyncVersions`."""

    def __init__(self, client: Asking) -> None:
        self._client = client

    def create(
        self,
        machine: str,
        code: bytes,
        *,
        client_info: str | None = None,
        make_current: bool = False,
        index_selectors: Mapping[str, str] | None = None,
    ) -> str:
        return self._client.follow(
            base.create_version(machine, code, client_info, make_current, index_selectors)
        )

    def get(self, machine: str, version: str) -> VersionDetail:
        return self._client.ask(base.get_version(machine, version))

    def list(self, machine: str, cursor: str | None = None) -> Page[Version]:
        return self._client.ask(base.list_versions(machine, cursor))


class Instances:
    """`client.instances` of a `Client`; see `AsyncInstances`."""

    def __init__(self, client: Asking) -> None:
        self._client = client

    def create(
        self,
        machine: str,
        name: str,
        *,
        context: Mapping[str, Any] | None = None,
        version: str | None = None,
        act: Act = None,
    ) -> State:
        return self._client.ask(base.create_instance(machine, name, context, version, act))

    def send(
        self, machine: str, name: str, event: str | Mapping[str, Any], *, act: Act = None
    ) -> State:
        return self._client.ask(base.send_event(machine, name, event, act))

    def get(self, machine: str, name: str, *, act: Act = None) -> State:
        return self._client.ask(base.get_instance(machine, name, act))

    def get_admin(self, machine: str, name: str) -> AdminState:
        return self._client.ask(base.get_admin(machine, name))

    def inspect(self, machine: str, name: str) -> InstanceDetail:
        return self._client.ask(base.inspect_instance(machine, name))

    def list(self, machine: str, cursor: str | None = None) -> Page[InstanceSummary]:
        return self._client.ask(base.list_instances(machine, cursor))

    def transitions(self, machine: str, name: str, cursor: str | None = None) -> Page[Transition]:
        return self._client.ask(base.list_transitions(machine, name, cursor))

    def set_status(self, machine: str, name: str, status: str) -> None:
        self._client.ask(base.set_status(machine, name, status))

    def delete(self, machine: str, name: str) -> None:
        self._client.ask(base.delete_instance(machine, name))
