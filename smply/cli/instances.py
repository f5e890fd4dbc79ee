"""`smply instances …`."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smply.cli import _complete
from smply.cli._command import SETTINGS, Given, command
from smply.cli._connect import all_pages
from smply.cli._not_built import refuse_token
from smply.cli._options import (
    AuthContext,
    InstanceName,
    MachineName,
    NewInstanceName,
    Token,
    Unfold,
    VersionId,
    auth_context,
    event_of,
    json_object,
)
from smply.errors import UsageError

if TYPE_CHECKING:
    from smply.cli._screen import Subject
    from smply.client import AsyncClient
    from smply.models import InstanceDetail

app = typer.Typer(help="Instances: living copies of a machine.", context_settings=SETTINGS)

InitialContext = Annotated[
    str | None,
    typer.Option("--context", "-c", metavar="JSON", help="Replaces members of the context."),
]
Event = Annotated[
    str,
    typer.Option("--event", "-e", metavar="EVENT", help="Its name, or JSON if it begins with {."),
]
Public = Annotated[
    bool, typer.Option("--public", help="Read as a user does: allowRead is asked (F20).")
]


def _checked_status(value: str) -> str:
    known = _complete.statuses()
    if value not in known:
        raise UsageError(f'--status "{value}" is not known', hint=f"--status {' or '.join(known)}")
    return value


Status = Annotated[
    str,
    typer.Option(
        "--status",
        "-s",
        metavar="STATUS",
        help="running or paused.",
        callback=_checked_status,
        autocompletion=_complete.statuses,
    ),
]


@command(app, "create", view="tree")
async def create(
    given: Given,
    machine: MachineName,
    instance: NewInstanceName,
    auth: AuthContext = None,
    context: InitialContext = None,
    version: VersionId = None,
    unfold: Unfold = False,
    token: Token = None,
) -> None:
    """Create an instance and make its initial transition.

    smply instances create -m checkout -i order-1042 --auth-context '{"sub": "u_12"}'
    """
    act = auth_context(auth, token)
    initial = json_object("--context", context)
    async with given.client() as client:
        state = await client.instances.create(
            machine, instance, context=initial, version=version, act=act
        )
        if given.output.for_people:
            await _show(given, client, machine, instance, unfold=unfold)
        else:
            given.output.json(state)


@command(app, "send-event", view="tree")
async def send_event(
    given: Given,
    machine: MachineName,
    instance: InstanceName,
    event: Event,
    auth: AuthContext = None,
    unfold: Unfold = False,
    token: Token = None,
) -> None:
    """Send an event to an instance; the answer is the state once it has settled.

    smply instances send-event -m checkout -i order-1042 -e pay --auth-context '{"sub": "u_12"}'
    """
    act = auth_context(auth, token)
    sent = event_of(event)
    async with given.client() as client:
        if not given.output.for_people:
            given.output.json(await client.instances.send(machine, instance, sent, act=act))
            return
        before = await client.instances.inspect(machine, instance)
        begun = given.clock.monotonic()
        await client.instances.send(machine, instance, sent, act=act)
        elapsed = round((given.clock.monotonic() - begun) * 1000)
        after = await _subject(client, machine, instance, unfold=unfold)
        _show_change(given, before, after, sent, elapsed)


@command(app, "get", view="tree")
async def get(
    given: Given,
    machine: MachineName,
    instance: InstanceName,
    public: Public = False,
    auth: AuthContext = None,
    unfold: Unfold = False,
    token: Token = None,
) -> None:
    """Show an instance: where it is, what it can take, what it waits for, what it holds.

    smply instances get -m checkout -i order-1042
    """
    refuse_token(token)
    act = auth_context(auth, token) if public else None
    if not public and auth is not None:
        raise UsageError("--auth-context is for --public", hint="--public reads as a user does")
    async with given.client() as client:
        if public:
            state = await client.instances.get(machine, instance, act=act)
            if not given.output.for_people:
                given.output.json(state)
                return
        elif not given.output.for_people:
            given.output.json(await client.instances.get_admin(machine, instance))
            return
        await _show(given, client, machine, instance, public=public, unfold=unfold)


@command(app, "list", view="table")
async def list_instances(given: Given, machine: MachineName) -> None:
    """List a machine's instances."""
    async with given.client() as client:
        instances = await all_pages(lambda cursor: client.instances.list(machine, cursor))
    if not given.output.for_people:
        given.output.json(instances)
    elif instances:
        from smply.cli._lists import instance_list

        given.output.lines(lambda frame: instance_list(instances, frame), given.clock.now())
    else:
        given.output.empty(
            f"{machine} has no instances yet",
            f'smply instances create -m {machine} -i NAME --auth-context \'{{"sub": "…"}}\'',
        )


@command(app, "list-transitions", view="table")
async def list_transitions(given: Given, machine: MachineName, instance: InstanceName) -> None:
    """List an instance's transitions, oldest first."""
    async with given.client() as client:
        transitions = await all_pages(
            lambda cursor: client.instances.transitions(machine, instance, cursor)
        )
    if given.output.for_people:
        from smply.cli._lists import transition_list

        given.output.lines(lambda frame: transition_list(transitions, frame), given.clock.now())
    else:
        given.output.json(transitions)


@command(app, "set-status", view=None)
def set_status(
    given: Given, machine: MachineName, instance: InstanceName, status: Status
) -> Coroutine[Any, Any, None]:
    """Pause an instance, or let it run again.

    smply instances set-status -m checkout -i order-1042 --status paused
    """
    from smply.cli._confirm import confirm

    if status == "paused":
        warning = [
            f"While {instance} of {machine} is paused, events that are sent to it are refused.",
            "Its timers wait; those that come due are made when it runs again.",
            "It can still be looked at. It runs again with",
            f"smply instances set-status -m {machine} -i {instance} -s running",
        ]
        confirm(given, warning, instance)
    return _set_status(given, machine, instance, status)


async def _set_status(given: Given, machine: str, instance: str, status: str) -> None:
    async with given.client() as client:
        await client.instances.set_status(machine, instance, status)
    if not given.output.for_people:
        given.output.json({"name": instance, "status": status})
    elif status == "paused":
        given.output.step("Paused", f"{instance} of {machine}")
        given.output.next(f"smply instances set-status -m {machine} -i {instance} -s running")
    else:
        given.output.step("Resumed", f"{instance} of {machine}")
        given.output.next(f"smply instances get -m {machine} -i {instance}")


@command(app, "delete", view=None)
def delete(given: Given, machine: MachineName, instance: InstanceName) -> Coroutine[Any, Any, None]:
    """Delete an instance with its history; asks for its name.

    smply instances delete -m checkout -i order-1042
    """
    from smply.cli._confirm import confirm

    warning = [
        f"{instance} of {machine} will be deleted for ever: its state, its history, its timers.",
        "Events that wait for it are refused, and its name is free for another.",
        "Nothing can bring it back.",
    ]
    confirm(given, warning, instance)
    return _delete(given, machine, instance)


async def _delete(given: Given, machine: str, instance: str) -> None:
    async with given.client() as client:
        await client.instances.delete(machine, instance)
    if given.output.for_people:
        given.output.step("Deleted", f"{instance} of {machine}")
    else:
        given.output.json({"name": instance, "deleted": True})


async def _subject(
    client: AsyncClient, machine: str, instance: str, *, public: bool = False, unfold: bool = False
) -> Subject:
    """An instance as it is now, with the definition of its version."""
    from smply.cli._screen import Subject

    detail = await client.instances.inspect(machine, instance)
    version = await client.versions.get(machine, detail.machine_version.id)
    return Subject(machine, instance, detail, version.definition, public=public, unfold=unfold)


async def _show(
    given: Given,
    client: AsyncClient,
    machine: str,
    instance: str,
    *,
    public: bool = False,
    unfold: bool = False,
) -> None:
    from smply.cli._screen import instance_screen

    subject = await _subject(client, machine, instance, public=public, unfold=unfold)
    given.output.lines(lambda frame: instance_screen(subject, frame), given.clock.now())


def _show_change(
    given: Given,
    before: InstanceDetail,
    after: Subject,
    event: str | dict[str, object],
    elapsed: int,
) -> None:
    from dataclasses import replace

    from smply.cli._diff import Change
    from smply.cli._screen import change_screen

    change = Change(before, after.detail, event, elapsed)
    subject = replace(after, before=before)
    given.output.lines(lambda frame: change_screen(subject, change, frame), given.clock.now())
