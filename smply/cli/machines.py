"""`smply machines …`."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smply.cli._answers import show_list, tell
from smply.cli._command import SETTINGS, Given, command
from smply.cli._connect import all_pages
from smply.cli._interrupt import to_its_end
from smply.cli._options import (
    ExistingVersion,
    Indexes,
    IndexSelectors,
    JsFile,
    MachineName,
    NewMachineName,
    NodeFile,
    SkipValidation,
    checked_text,
)

if TYPE_CHECKING:
    from smply.cli._output import Output
    from smply.client import AsyncClient
    from smply.models import Version

EXAMPLE = '{"sub": "…"}'

app = typer.Typer(help="Machines: names for versions of code.", context_settings=SETTINGS)

VersionReference = Annotated[
    str,
    typer.Option(
        "--version-reference",
        "-r",
        metavar="TEXT",
        help="Your own name of the first version.",
        callback=checked_text,
    ),
]


@command(app, "create", view="tree", named="name")
async def create(
    given: Given,
    machine: NewMachineName,
    js: JsFile = None,
    node: NodeFile = None,
    version_reference: VersionReference = "0.0.1",
    skip_validation: SkipValidation = False,
    index: Indexes = None,
    index_selectors: IndexSelectors = None,
) -> None:
    """Create a machine, with a file as its first version.

    smply machines create -m checkout --node src/checkout.ts
    """
    from smply.cli._build import bundle, source_of
    from smply.cli._not_built import refuse_indexes

    refuse_indexes(index, index_selectors)
    source = source_of(js, node)
    code = None
    if source is not None:
        code = await bundle(source, given.output, check=not skip_validation)
    async with given.client() as client:
        making = _make(client, machine, code, version_reference, given.output)
        current = await to_its_end(making, lambda made: _tell(given.output, machine, made))
        # Said before the client is closed, which takes a while and can be interrupted.
        if given.output.for_people:
            _tell(given.output, machine, current)
        else:
            from smply.cli._shapes import created_machine_json

            given.output.json(created_machine_json(machine, current))


async def _make(
    client: AsyncClient, machine: str, code: bytes | None, reference: str, output: Output
) -> Version | None:
    """Create the machine, publish its first version, if there is one, and make it current."""
    await client.machines.create(machine)
    if code is None:
        return None
    try:
        await client.versions.create(machine, code, client_info=reference, make_current=True)
    except BaseException:
        output.step("Created", f"{machine}, without a version")
        raise
    return (await client.machines.get(machine)).current_version or None


def _tell(output: Output, machine: str, current: Version | None) -> None:
    if current is None:
        output.step("Created", f"{machine}, without a version")
        output.next(f"smply machine-versions create -m {machine} -r 0.0.1 -c --node FILE")
    else:
        output.step("Created", f"{machine}, {current.id} is current")
        output.next(f"smply instances create -m {machine} -i NAME --auth-context '{EXAMPLE}'")


@command(app, "list", view="table", named="name")
async def list_machines(given: Given) -> None:
    """List all machines."""
    async with given.client() as client:
        machines = await all_pages(client.machines.list)
    from smply.cli._lists import machine_list

    show_list(
        given,
        machines,
        machine_list,
        "no machines yet",
        "smply machines create -m NAME --node FILE",
    )


@command(app, "get", view="tree", named="name")
async def get(given: Given, machine: MachineName) -> None:
    """Show a machine and its current version."""
    async with given.client() as client:
        found = await client.machines.get(machine)
    if given.output.for_people:
        from smply.cli._lists import machine_detail

        given.output.lines(lambda frame: machine_detail(machine, found, frame), given.clock.now())
    else:
        from smply.cli._shapes import machine_json

        given.output.json(machine_json(machine, found))


@command(app, "set-current", view=None, named="name")
async def set_current(given: Given, machine: MachineName, version: ExistingVersion) -> None:
    """Make an existing version current: new instances get it.

    smply machines set-current -m checkout -v ver_FsrMf_baSJG53SBNSUszzw
    """
    async with given.client() as client:
        await client.machines.set_current(machine, version)
        found = await client.machines.get(machine)
    if given.output.for_people:
        given.output.step("Switched", f"{machine}, {version} is current")
        given.output.next(f"smply instances create -m {machine} -i NAME --auth-context '{EXAMPLE}'")
    else:
        from smply.cli._shapes import created_machine_json

        given.output.json(created_machine_json(machine, found.current_version or None))


@command(app, "delete", view=None, named="name")
def delete(given: Given, machine: MachineName) -> Coroutine[Any, Any, None]:
    """Delete a machine with its versions; asks for its name.

    smply machines delete -m checkout
    """
    from smply.cli._confirm import confirm

    warning = [
        f"{machine} will be deleted for ever, with all its versions and their code.",
        "If it has instances, they are to be deleted first.",
        "Nothing can bring it back.",
    ]
    confirm(given, warning, machine)
    return _delete(given, machine)


async def _delete(given: Given, machine: str) -> None:
    async with given.client() as client:
        await client.machines.delete(machine)
    value = {"name": machine, "deleted": True}
    tell(given, "Deleted", f"{machine}, with its versions", value)
