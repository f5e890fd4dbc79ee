"""`smply logs get`, `smply audit list`, `smply usage` and `smply billing`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from smply.cli import _complete
from smply.cli._answers import show_list
from smply.cli._command import SETTINGS, Given, command
from smply.cli._connect import all_pages, pages
from smply.cli._options import checked_name, checked_version
from smply.cli._text import harmless
from smply.cli._times import moment
from smply.contract import show_time
from smply.errors import NotFound, UsageError

if TYPE_CHECKING:
    from smply.client import AsyncClient
    from smply.models import LogBatch, LogLine

logs = typer.Typer(help="Logs: what machine code prints.", context_settings=SETTINGS)
audit = typer.Typer(help="Audit: who did what.", context_settings=SETTINGS)

From = Annotated[
    str,
    typer.Option("--from", "-f", metavar="TIME", help="Since when: 15m ago is -15m; or ISO 8601."),
]
To = Annotated[
    str | None,
    typer.Option("--to", "-t", metavar="TIME", help="Until when: a span from --from; or ISO 8601."),
]
OfMachine = Annotated[
    str | None,
    typer.Option(
        "--machine", "-m", metavar="NAME", help="Of this machine.", callback=checked_name,
        autocompletion=_complete.machines,
    ),
]  # fmt: skip
OfInstance = Annotated[
    str | None,
    typer.Option(
        "--instance", "-i", metavar="NAME", help="Of this instance.", callback=checked_name,
        autocompletion=_complete.instances,
    ),
]  # fmt: skip
OfVersion = Annotated[
    str | None,
    typer.Option(
        "--version", "-v", metavar="ID", help="Of this version.", callback=checked_version,
        autocompletion=_complete.versions,
    ),
]  # fmt: skip
Clean = Annotated[
    bool, typer.Option("--clean", "-c", help="The text as it was printed, under its source.")
]


@command(logs, "get", view="table")
async def get_logs(
    given: Given,
    since: From,
    to: To = None,
    machine: OfMachine = None,
    instance: OfInstance = None,
    version: OfVersion = None,
    clean: Clean = False,
) -> None:
    """Show what machine code has printed.

    smply logs get --from=-15m --machine checkout
    """
    start = moment("--from", since, given.clock.now())
    until = None if to is None else moment("--to", to, start)
    if until is not None and until < start:
        raise UsageError("--to is before --from")
    async with given.client() as client:
        batch = await _all_logs(client, start, until, machine, instance, version)
    if clean:
        for line in _clean(batch.logs):
            given.output.text(line)
    elif not given.output.for_people:
        # A line for each entry is what reads well, and what is piped on.
        given.output.json(batch.logs if given.output.in_lines else batch)
    else:
        from smply.cli._account_lists import log_list

        show_list(
            given,
            batch.logs,
            log_list,
            "nothing was printed in that time",
            "console.log in an action",
        )


async def _all_logs(
    client: AsyncClient, start: int, until: int | None, machine: str | None, instance: str | None,
    version: str | None,
) -> LogBatch:  # fmt: skip
    """Every batch as one (G7)."""
    from smply.models import LogBatch

    first, last = show_time(start), None if until is None else show_time(until)
    since = first

    async def fetch(at: str | None) -> LogBatch:
        nonlocal since
        since = at or first
        return await client.server.logs(
            since, until=last, machine=machine, instance=instance, version=version
        )

    def next_of(batch: LogBatch) -> str | None:
        return None if batch.max_timestamp == since else batch.max_timestamp

    lines = [line async for batch in pages(fetch, next_of) for line in batch.logs]
    return LogBatch(since, lines)


def _clean(lines: Iterable[LogLine]) -> Iterable[str]:
    """Each time the source changes a line of JSON and the stream, then the bare text (cli.md)."""
    before = None
    for line in lines:
        source = {
            "msg": "logs for", "machineName": line.machine_name, "instanceName": line.instance_name,
            "machineVersionId": line.machine_version_id, "orgId": line.org_id,
        }  # fmt: skip
        if (source, line.output_type) != before:
            before = source, line.output_type
            yield f"{json.dumps(source)}\n\n{line.output_type}\n"
        yield line.log.removesuffix("\n")


@command(audit, "list", view="table")
async def list_audit(given: Given) -> None:
    """List who did what in the org, oldest first: every write that is no event."""
    async with given.client() as client:
        entries = await all_pages(client.server.audit)
    from smply.cli._account_lists import audit_list

    show_list(given, entries, audit_list, "nothing was done yet", "smply machines create -m NAME")


def declare(app: typer.Typer) -> None:
    """Add `usage` and `billing`."""

    @command(app, "usage", view="table", named="month")
    async def usage(given: Given) -> None:
        """Show what the org has used, by month: transitions, reads, index writes."""
        async with given.client() as client:
            rows = await client.server.usage()
        from smply.cli._account_lists import usage_list

        show_list(given, rows, usage_list, "nothing was used yet", "smply instances create --help")

    @command(app, "billing", view=None)
    async def billing(given: Given) -> None:
        """Print the address of the org's billing portal; a server of your own has none."""
        try:
            async with given.client() as client:
                url = await client.server.billing()
        except NotFound as exc:
            # A server names the call of its API, which is no command.
            exc.message = exc.message.partition(": GET ")[0]
            exc.hint = "smply usage says what was used"
            raise
        if given.output.asked_for_json:
            given.output.json({"url": url})
        else:
            given.output.text(harmless(url))
