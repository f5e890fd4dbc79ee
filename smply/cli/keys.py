"""`smply keys …`."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smply.cli._answers import missing, show_facts, show_list, tell, tell_once
from smply.cli._command import SETTINGS, Given, command
from smply.cli._connect import all_pages
from smply.cli._options import KeyId, Title
from smply.errors import UsageError

if TYPE_CHECKING:
    from smply.models import NewKey

app = typer.Typer(help="Keys: what signs the tokens of your servers.", context_settings=SETTINGS)

USES = ("production", "ci")

Use = Annotated[
    str | None,
    typer.Option(
        "--use", "-u", metavar="USE", help="production (the default) or ci.",
        autocompletion=lambda: list(USES),
    ),
]  # fmt: skip
Scopes = Annotated[
    list[str] | None,
    typer.Option(
        "--scopes", "-s", metavar="SCOPE", help="Only these instead of a use; several with commas."
    ),
]


@command(app, "create", view="tree", named="id key")
async def create(given: Given, name: Title, use: Use = None, scopes: Scopes = None) -> None:
    """Create a key; its secret is told this once. Its use says what it may do, or its scopes do:

    \b
    analytics.read events.read events.write indexes.read instances.admin
    instances.read instances.write logs.read machine-versions.read
    machine-versions.write machines.admin machines.read machines.write
    org-members.read org-members.write org.keys.write org.read org.write
    state.read tokens.admin

    smply keys create --name web --use production
    """
    wanted = [scope for each in scopes or () for scope in each.split(",") if scope]
    if use is not None and use not in USES:
        raise UsageError(f"--use {use} is not known", hint="--use production, or --use ci")
    if wanted and use == "ci":
        raise UsageError("--scopes and --use ci exclude each other", hint="leave one of them out")
    chosen = None if wanted else use or USES[0]
    async with given.client() as client:
        making = client.keys.create(name, use=chosen, scopes=wanted or None)
        await tell_once(given, making, lambda key: _tell(given, key), "the key was made")


def _tell(given: Given, key: NewKey) -> None:
    show_facts(given, key, {"key": key.id, "secret": key.key}, once=True)
    if given.output.for_people:
        sign = f"smply tokens generate --key {key.id} --secret-stdin --claims"
        given.output.next(f"""{sign} '{{"sub": "…"}}'""")
    given.output.remark("the secret is told this once: keep it where only its server reads it")


@command(app, "list", view="table", named="id")
async def list_keys(given: Given) -> None:
    """List the keys of the org, without their secrets."""
    async with given.client() as client:
        keys = await all_pages(client.keys.list)
    from smply.cli._account_lists import key_list

    show_list(given, keys, key_list, "no keys yet", "smply keys create --name NAME")


@command(app, "delete", view=None, named="id")
def delete(given: Given, key: KeyId) -> Coroutine[Any, Any, None]:
    """Delete a key; what it has signed is refused at once. Asks for its id.

    smply keys delete --key sbk_FsrMf_baSJG53SBNSUszzw
    """
    from smply.cli._confirm import confirm

    warning = [
        f"{key} will be deleted for ever.",
        "Whatever it has signed is refused from then on, and so is what it signs.",
        "Nothing can bring it back.",
    ]
    confirm(given, warning, key)
    return _delete(given, key)


async def _delete(given: Given, key: str) -> None:
    async with given.client() as client:
        with missing("smply keys list"):
            await client.keys.delete(key)
    tell(given, "Deleted", f"key {key}", {"id": key, "deleted": True})
