"""`smply orgs …`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from smply.cli._answers import show_list, tell, tell_once
from smply.cli._command import SETTINGS, Given, command
from smply.cli._connect import all_pages
from smply.cli._options import Title, checked_org
from smply.connection import keep_default_org
from smply.errors import NotFound, SmplyError, UsageError
from smply.profiles import Profiles

app = typer.Typer(help="Orgs: whose machines they are.", context_settings=SETTINGS)
default = typer.Typer(help="The org that commands mean.", context_settings=SETTINGS)
app.add_typer(default, name="default")

NoStrangers = Annotated[
    bool,
    typer.Option("--no-anonymous-access", help="Without sessions for strangers."),
]


@command(app, "list", view="table", named="id")
async def list_orgs(given: Given) -> None:
    """List the orgs that you are in; the default one is marked."""
    async with given.client() as client:
        orgs = await all_pages(client.orgs.list)
    from smply.cli._account_lists import org_list

    meant = given.connection.org.value if given.connection.org else None
    show_list(
        given, orgs, lambda items, frame: org_list(items, meant, frame),
        "you are in no org", "smply orgs create --name NAME",
    )  # fmt: skip


@command(app, "create", view=None, named="orgId")
async def create(given: Given, name: Title, no_anonymous_access: NoStrangers = False) -> None:
    """Create an org; you are its admin.

    smply orgs create --name acme
    """
    async with given.client() as client:
        making = client.orgs.create(name, allow_anonymous_access=not no_anonymous_access)
        await tell_once(given, making, lambda org: _tell(given, name, org), "the org was made")


def _tell(given: Given, name: str, org: str) -> None:
    tell(given, "Created", f"{name}, {org}", {"orgId": org}, f"smply orgs default set --org {org}")


@command(default, "get", view=None)
def get_default(given: Given) -> None:
    """Print the id of the org that commands mean.

    It is told by --org, SMPLY_ORG, the profile, or the data directory; exit status 0 without one.
    """
    org = given.connection.org
    if given.output.asked_for_json:
        given.output.json({"defaultOrg": org.value if org else None})
    elif org is not None:
        given.output.text(org.value)
    else:
        given.output.text("No default org")
        given.output.comment("without one, the only org of a credential is meant")


@command(default, "set", view=None, named="defaultOrg")
async def set_default(given: Given) -> None:
    """Make an org the one that commands mean, in the profile in use.

    Whether you are in it is asked where you are signed in.

    smply orgs default set --org org_FsrMf_baSJG53SBNSUszzw
    """
    org = checked_org(given.flags.org)
    here = given.connection
    await _check(given, org)
    if here.is_local:
        keep_default_org(given.config.data_dir, org)
    elif here.at_home:
        profiles = Profiles(given.config.config_dir)
        profiles.save(replace(here.settings, org=org))
    else:
        raise UsageError(
            f"no profile is of {here.server}, and so none can keep an org for it",
            hint=f"SMPLY_ORG={org}, or smply login --api-url {here.server} --org {org}",
        )
    tell(given, "Set", f"{org} as the default org of {here.profile.value}", {"defaultOrg": org})


async def _check(given: Given, org: str) -> None:
    """Refuse an org that one is not in, where that can be known; a key knows its own (F25)."""
    here = given.connection
    if here.key_id is not None or (here.credential is None and not here.is_local):
        return
    if here.is_local and not given.config.data_dir.is_dir():
        return
    try:
        async with given.client() as client:
            orgs = await all_pages(client.orgs.list)
    except SmplyError:
        # The token of a key lists none, a keyring may be locked, a server away.
        return
    if org not in [each.id for each in orgs]:
        raise NotFound(f"you are in no org {org}", hint="smply orgs list")
