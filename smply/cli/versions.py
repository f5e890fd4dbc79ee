"""`smply machine-versions …`, also `smply versions …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smply.cli._command import SETTINGS, Given, command
from smply.cli._connect import all_pages
from smply.cli._options import (
    IndexSelectors,
    JsFile,
    MachineName,
    NodeFile,
    SkipValidation,
    VersionId,
    checked_text,
)
from smply.errors import NotFound, UsageError

app = typer.Typer(help="Versions of a machine's code (also: versions).", context_settings=SETTINGS)

VersionReference = Annotated[
    str,
    typer.Option(
        "--version-reference",
        "-r",
        metavar="TEXT",
        help="Your own name of the version.",
        callback=checked_text,
    ),
]
MakeCurrent = Annotated[
    bool, typer.Option("--make-current", "-c", help="New instances get this version.")
]
Bundle = Annotated[
    Path, typer.Option("--js", "-j", metavar="FILE", help="A finished bundle, as it is.")
]


@command(app, "create", view="tree", named="machineVersionId")
async def create(
    given: Given,
    machine: MachineName,
    version_reference: VersionReference,
    js: JsFile = None,
    node: NodeFile = None,
    make_current: MakeCurrent = False,
    skip_validation: SkipValidation = False,
    index_selectors: IndexSelectors = None,
) -> None:
    """Publish a version of a machine from a file.

    smply machine-versions create -m checkout -r 0.0.2 -c --node src/checkout.ts
    """
    from smply.cli._build import bundle, source_of
    from smply.cli._not_built import refuse_indexes

    refuse_indexes(None, index_selectors)
    source = source_of(js, node)
    if source is None:
        raise UsageError("a version needs a file", hint="--node FILE builds it, --js FILE does not")
    code = await bundle(source, given.output, check=not skip_validation)
    async with given.client() as client:
        version = await client.versions.create(
            machine, code, client_info=version_reference, make_current=make_current
        )
    if not given.output.for_people:
        given.output.json({"machineVersionId": version})
    elif make_current:
        given.output.step("Created", f"{version}, current version of {machine}")
    else:
        given.output.step("Created", f"{version} of {machine}, not current")


@command(app, "list", view="table", named="id")
async def list_versions(given: Given, machine: MachineName) -> None:
    """List a machine's versions, oldest first; the current one is marked."""
    async with given.client() as client:
        versions = await all_pages(lambda cursor: client.versions.list(machine, cursor))
        if not given.output.for_people:
            given.output.json(versions)
            return
        current = (await client.machines.get(machine)).current_version
    if versions:
        from smply.cli._lists import version_list

        mark = current.id if current else None
        given.output.lines(lambda frame: version_list(versions, mark, frame), given.clock.now())
    else:
        given.output.empty(
            f"{machine} has no versions yet",
            f"smply machine-versions create -m {machine} -r 0.0.1 -c --node FILE",
        )


@command(app, "get", view="tree", named="id")
async def get(given: Given, machine: MachineName, version: VersionId = None) -> None:
    """Show a version, and whether it is current.

    smply machine-versions get -m checkout -v ver_FsrMf_baSJG53SBNSUszzw
    """
    async with given.client() as client:
        found = (await client.machines.get(machine)).current_version
        current = found.id if found else None
        wanted = version or current
        if wanted is None:
            raise NotFound(f"{machine} has no current version", parameter="machineVersionId")
        detail = await client.versions.get(machine, wanted)
    if given.output.for_people:
        from smply.cli._lists import version_detail

        is_current = wanted == current
        given.output.lines(
            lambda frame: version_detail(machine, detail, is_current, frame), given.clock.now()
        )
    else:
        from smply.cli._shapes import version_json

        given.output.json(version_json(detail, current=wanted == current))


@command(app, "validate-bundle", view=None)
async def validate_bundle(given: Given, js: Bundle) -> None:
    """Say whether a finished bundle can be a version.

    smply machine-versions validate-bundle --js dist/checkout.js
    """
    from smply.cli._build import source_of, validate

    source = source_of(js, None)
    assert source is not None
    facts = await validate(source, given.output)
    if given.output.asked_for_json:
        given.output.json(facts)
    else:
        given.output.text("Valid bundle")
