"""`smply instances …`."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smply.cli import _complete
from smply.cli._answers import show_list, tell
from smply.cli._command import SETTINGS, Given, command
from smply.cli._connect import all_pages
from smply.cli._options import (
    Acting,
    AuthContext,
    InstanceName,
    MachineName,
    NewInstanceName,
    Token,
    Unfold,
    VersionId,
    acting,
    event_of,
    json_object,
)
from smply.errors import Forbidden, SmplyError, UsageError

if TYPE_CHECKING:
    from smply.cli._screen import Subject
    from smply.client import AsyncClient
    from smply.models import InstanceDetail, State

app = typer.Typer(help="Instances: living copies of a machine.", context_settings=SETTINGS)

InitialContext = Annotated[
    str | None,
    typer.Option("--context", "-c", metavar="JSON", help="Replaces members of the context."),
]
Event = Annotated[
    str,
    typer.Option("--event", "-e", metavar="EVENT", help="Its name, or JSON if it begins with {."),
]
Public = Annotated[bool, typer.Option("--public", help="Read as a user does: allowRead is asked.")]


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

    smply instances create -m checkout -i order-1042 -a '{"sub": "u_12"}'
    """
    who = acting(auth, token)
    initial = json_object("--context", context)
    async with given.client(token=who.token) as client:
        state = await client.instances.create(
            machine, instance, context=initial, version=version, act=who.act
        )
        if given.output.for_people:
            inside = None
            if who.token is None:
                inside = await _afterwards(client, machine, instance, unfold=unfold)
            _show(given, (machine, instance), state, inside)
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

    smply instances send-event -m checkout -i order-42 -e pay -a '{"sub": "u_1"}'
    """
    who = acting(auth, token)
    sent = event_of(event)
    async with given.client(token=who.token) as client:
        before = None
        if given.output.for_people and who.token is None:
            before = await _inside(client, machine, instance)
        begun = given.clock.monotonic()
        state = await client.instances.send(machine, instance, sent, act=who.act)
        elapsed = round((given.clock.monotonic() - begun) * 1000)
        if not given.output.for_people:
            given.output.json(state)
        elif before is None:
            _show(given, (machine, instance), state)
        else:
            after = await _afterwards(client, machine, instance, unfold=unfold)
            if after is None:
                _show(given, (machine, instance), state)
            else:
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
    if not public and (auth is not None or token is not None):
        option = "--auth-context" if token is None else "--token"
        raise UsageError(f"{option} is for --public", hint="--public reads as a user does")
    who = acting(auth, token) if public else Acting()
    async with given.client(token=who.token) as client:
        if not public:
            await _get_all(given, client, machine, instance, unfold=unfold)
            return
        state = await client.instances.get(machine, instance, act=who.act)
        if given.output.for_people:
            inside = None
            if who.token is None:
                inside = await _subject(client, machine, instance, public=True, unfold=unfold)
            _show(given, (machine, instance), state, inside)
        else:
            given.output.json(state)


async def _get_all(
    given: Given, client: AsyncClient, machine: str, instance: str, *, unfold: bool
) -> None:
    """What administrators see (F20)."""
    if not given.output.for_people:
        given.output.json(await client.instances.get_admin(machine, instance))
        return
    detail = await client.instances.inspect(machine, instance)
    version = await client.versions.get(machine, detail.machine_version.id)
    from smply.cli._screen import Subject, instance_screen

    subject = Subject(machine, instance, detail, version.definition, unfold=unfold)
    given.output.lines(lambda frame: instance_screen(subject, frame), given.clock.now())


@command(app, "list", view="table", named="name")
async def list_instances(given: Given, machine: MachineName) -> None:
    """List a machine's instances."""
    async with given.client() as client:
        instances = await all_pages(lambda cursor: client.instances.list(machine, cursor))
    from smply.cli._lists import instance_list

    show_list(
        given, instances, instance_list, f"{machine} has no instances yet",
        f'smply instances create -m {machine} -i NAME --auth-context \'{{"sub": "…"}}\'',
    )  # fmt: skip


@command(app, "list-transitions", view="table")
async def list_transitions(given: Given, machine: MachineName, instance: InstanceName) -> None:
    """List an instance's transitions, oldest first."""
    async with given.client() as client:
        transitions = await all_pages(
            lambda cursor: client.instances.transitions(machine, instance, cursor)
        )
    from smply.cli._lists import transition_list

    show_list(given, transitions, transition_list, "", "")


@command(app, "set-status", view=None, named="name")
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
    verb = "Paused" if status == "paused" else "Resumed"
    again = f"smply instances set-status -m {machine} -i {instance} -s running"
    look = f"smply instances get -m {machine} -i {instance}"
    value = {"name": instance, "status": status}
    tell(given, verb, f"{instance} of {machine}", value, again if verb == "Paused" else look)


@command(app, "delete", view=None, named="name")
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
    tell(given, "Deleted", f"{instance} of {machine}", {"name": instance, "deleted": True})


async def _inside(client: AsyncClient, machine: str, instance: str) -> InstanceDetail | None:
    """An instance as administrators see it; None for who is none, who sees its state alone."""
    with suppress(Forbidden):
        return await client.instances.inspect(machine, instance)
    return None


async def _subject(
    client: AsyncClient, machine: str, instance: str, *, public: bool = False, unfold: bool = False
) -> Subject | None:
    """The same with the definition of its version."""
    from smply.cli._screen import Subject

    detail = await _inside(client, machine, instance)
    if detail is None:
        return None
    with suppress(Forbidden):
        version = await client.versions.get(machine, detail.machine_version.id)
        return Subject(machine, instance, detail, version.definition, public=public, unfold=unfold)
    return None


async def _afterwards(
    client: AsyncClient, machine: str, instance: str, *, unfold: bool
) -> Subject | None:
    """The same once something was done: that it cannot be looked at does not make it fail."""
    with suppress(SmplyError):
        return await _subject(client, machine, instance, unfold=unfold)
    return None


def _show(
    given: Given, where: tuple[str, str], state: State, inside: Subject | None = None
) -> None:
    """The screen of an instance, or of its state for who may not look inside."""
    from smply.cli._screen import instance_screen, state_screen

    given.output.lines(
        lambda frame: (
            state_screen(*where, state, frame) if inside is None else instance_screen(inside, frame)
        ),
        given.clock.now(),
    )


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
