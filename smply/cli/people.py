"""`smply members …` and `smply invitations …`."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smply.cli._answers import missing, show_facts, show_list, tell, tell_once
from smply.cli._command import SETTINGS, Given, command
from smply.cli._connect import all_pages
from smply.cli._options import InvitationId, UserId, secret_of
from smply.cli._text import until
from smply.errors import UsageError

if TYPE_CHECKING:
    from smply.models import Invitation, Welcome

members = typer.Typer(help="Members: the people in an org.", context_settings=SETTINGS)
invitations = typer.Typer(help="Invitations: how people come in.", context_settings=SETTINGS)

ROLES = ("admin", "write", "read")


def _checked_role(value: str) -> str:
    if value not in ROLES:
        raise UsageError(f"--role {value} is not known", hint="--role admin, write or read")
    return value


def _checked_email(value: str) -> str:
    if "@" not in value:
        raise UsageError(f"--email {value} is no address: it has no @", hint="--email ADDRESS")
    return value


Role = Annotated[
    str,
    typer.Option(
        "--role", "-r", metavar="ROLE", help="admin, write or read.", callback=_checked_role,
        autocompletion=lambda: list(ROLES),
    ),
]  # fmt: skip
Email = Annotated[
    str,
    typer.Option(
        "--email", "-e", metavar="ADDRESS", help="Whom to invite.", callback=_checked_email
    ),
]
Code = Annotated[
    str,
    typer.Option("--invitation", "-i", metavar="CODE", help="Its code, @FILE or @- (stdin)."),
]


@command(members, "list", view="table", named="userId")
async def list_members(given: Given) -> None:
    """List the members of the org."""
    async with given.client() as client:
        found = await all_pages(client.members.list)
    from smply.cli._account_lists import member_list

    show_list(given, found, member_list, "no members", "smply invitations send --email ADDRESS")


@command(members, "set-role", view=None, named="userId")
async def set_role(given: Given, user: UserId, role: Role) -> None:
    """Change what a member may do.

    smply members set-role --user usr_FsrMf_baSJG53SBNSUszzw --role read
    """
    async with given.client() as client:
        with missing("smply members list"):
            await client.members.set_role(user, role)
    tell(given, "Set", f"the role of {user}: {role}", {"userId": user, "role": role})


@command(members, "remove", view=None, named="userId")
def remove(given: Given, user: UserId) -> Coroutine[Any, Any, None]:
    """Take a member out of the org. Asks for the id.

    smply members remove --user usr_FsrMf_baSJG53SBNSUszzw
    """
    from smply.cli._confirm import confirm

    confirm(given, [f"{user} will be taken out of the org, and may do nothing in it."], user)
    return _remove(given, user)


async def _remove(given: Given, user: str) -> None:
    async with given.client() as client:
        with missing("smply members list"):
            await client.members.remove(user)
    tell(given, "Removed", f"{user}", {"userId": user, "deleted": True})


@command(invitations, "send", view="tree", named="invitation")
async def send(given: Given, email: Email, role: Role = "write") -> None:
    """Invite somebody into the org: its code is told this once, for you to pass on.

    smply invitations send --email ann@example.com --role write
    """
    async with given.client() as client:
        sending = client.invitations.send(email, role)
        await tell_once(given, sending, lambda sent: _sent(given, sent), "the invitation was sent")


def _sent(given: Given, sent: Invitation) -> None:
    ends = until(sent.expires_at, given.clock.now())
    facts = {"invitation": sent.id, "for": sent.email, "role": sent.role, "expires": ends}
    show_facts(given, sent, {**facts, "code": str(sent.invitation)}, once=True)
    if given.output.for_people:
        server = "" if given.connection.url is None else f" --api-url {given.connection.url.value}"
        given.output.next(f"smply invitations accept --invitation CODE{server}")
    given.output.remark("there is no mail: pass the code on; it is told this once")


@command(invitations, "accept", view="tree", named="userId")
async def accept(given: Given, invitation: Code) -> None:
    """Join an org with the code of an invitation; without a credential, as a new person.

    smply invitations accept --invitation @code.txt
    """
    code = secret_of("--invitation", invitation)
    async with given.client(as_nobody=True) as client:
        joining = client.invitations.accept(code)
        await tell_once(given, joining, lambda found: _joined(given, found), "you have joined")


def _joined(given: Given, welcome: Welcome | None) -> None:
    if welcome is None:
        tell(given, "Joined", "the org", {"accepted": True}, "smply orgs list")
        return
    facts = {"org": welcome.org_id, "you": welcome.user_id, "access token": welcome.access_token}
    show_facts(given, welcome, facts, once=True)
    if given.output.for_people:
        here = given.connection
        login = "smply serve" if here.is_local else f"smply login --api-url {here.server}"
        given.output.next(login)
    given.output.remark("the access token is told this once, and is how you come in")


@command(invitations, "list", view="table", named="id")
async def list_invitations(given: Given) -> None:
    """List the invitations that nobody has accepted yet."""
    async with given.client() as client:
        found = await all_pages(client.invitations.list)
    from smply.cli._account_lists import invitation_list

    show_list(
        given, found, invitation_list,
        "no invitations wait", "smply invitations send --email ADDRESS",
    )  # fmt: skip


@command(invitations, "revoke", view=None, named="id")
def revoke(given: Given, invitation: InvitationId) -> Coroutine[Any, Any, None]:
    """Take an invitation back. Asks for its id.

    smply invitations revoke --invitation inv_FsrMf_baSJG53SBNSUszzw
    """
    from smply.cli._confirm import confirm

    confirm(given, [f"Nobody can come in with {invitation} any more."], invitation)
    return _revoke(given, invitation)


async def _revoke(given: Given, invitation: str) -> None:
    async with given.client() as client:
        with missing("smply invitations list"):
            await client.invitations.revoke(invitation)
    tell(given, "Revoked", invitation, {"id": invitation, "deleted": True})
