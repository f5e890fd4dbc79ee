"""Routes of orgs, members, invitations, and a person's access tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from smply.api._wire import body_of, json_answer, no_answer, page_in, time_of
from smply.contract import show_time
from smply.errors import NotFound
from smply.identity import Actor
from smply.ids import INVITATION, ORG, TOKEN, USER, parse_id, show_id

if TYPE_CHECKING:
    from smply.identity import Access

UNLIMITED = 9_007_199_254_740_991
"""The limit of an org that has none (Q47): the largest whole number of JavaScript."""


class _CreateOrg(msgspec.Struct, rename="camel"):
    name: str
    allow_anonymous_access: bool = True


class _Invite(msgspec.Struct):
    email: str
    role: str


class _SetRole(msgspec.Struct):
    role: str


class _CreateToken(msgspec.Struct, rename="camel"):
    name: str
    expires_at: str | UnsetType = UNSET


# Orgs.


async def list_orgs(request: Request, access: Access, user: bytes) -> Response:
    """`GET /orgs`: a page of `{"id", "name", "role", "createdAt", "limits"}`."""
    page = page_in(request)
    rows = access.orgs.list(user, page.after, page.one_more)
    return page.answer("orgs", rows, _org, lambda row: row.row)


async def create_org(request: Request, access: Access, user: bytes) -> Response:
    """`POST /orgs` `{"name", "allowAnonymousAccess"?}`: `{"id"}` (S128)."""
    body = await body_of(request, _CreateOrg)
    org = await access.orgs.create(user, body.name, allow_anonymous=body.allow_anonymous_access)
    request.state.what = show_id(ORG, org)
    request.state.noted = Actor(org, b"", who=show_id(USER, user))
    return json_answer({"id": show_id(ORG, org)})


def _org(row: Any) -> dict[str, Any]:
    return {
        "id": show_id(ORG, row.id),
        "name": row.name,
        "role": row.role,
        "createdAt": show_time(row.created_at),
        "limits": {"monthlyEventsLimit": UNLIMITED, "monthlyReadsLimit": UNLIMITED},
    }


# Members and invitations.


async def list_members(request: Request, access: Access, actor: Actor) -> Response:
    """`GET /smply/members`: a page of `{"userId", "email", "role", "createdAt"}`."""
    page = page_in(request)
    rows = access.members.list(actor.org, page.after, page.one_more)
    return page.answer("members", rows, _member, lambda row: row.row)


async def set_role(request: Request, access: Access, actor: Actor) -> Response:
    """`PUT /smply/members/{user}` `{"role"}`: 204; 409 if no admin were left."""
    body = await body_of(request, _SetRole)
    user = parse_id(USER, request.path_params["user"], "user")
    await access.members.set_role(actor.org, user, body.role)
    return no_answer()


async def remove_member(request: Request, access: Access, actor: Actor) -> Response:
    """`DELETE /smply/members/{user}`: 204; 409 if no admin were left."""
    await access.members.remove(actor.org, parse_id(USER, request.path_params["user"], "user"))
    return no_answer()


async def send_invitation(request: Request, access: Access, actor: Actor) -> Response:
    """`POST /org-members` `{"email", "role"}`: 201, and once its code in `invitation`."""
    body = await body_of(request, _Invite)
    invitation, code = await access.invitations.send(actor.org, body.email, body.role)
    request.state.what = show_id(INVITATION, invitation.id)
    return json_answer({**_invitation(invitation), "invitation": code}, 201)


async def list_invitations(request: Request, access: Access, actor: Actor) -> Response:
    """`GET /smply/invitations`: a page of those that nobody has accepted."""
    page = page_in(request)
    rows = access.invitations.list(actor.org, page.after, page.one_more)
    return page.answer("invitations", rows, _invitation, lambda row: row.row)


async def revoke_invitation(request: Request, access: Access, actor: Actor) -> Response:
    """`DELETE /smply/invitations/{id}`: 204."""
    invitation = parse_id(INVITATION, request.path_params["id"], "id")
    await access.invitations.revoke(actor.org, invitation)
    return no_answer()


async def accept_invitation(request: Request, access: Access, user: bytes | None) -> Response:
    """`PUT /invitations/{code}`, or `PUT /{code}`: 204; without a token, 200 with a new person's.

    `{"orgId", "userId", "accessToken"}`.
    """
    code = request.path_params["invitation"]
    if not code:
        raise NotFound("there is no such invitation")
    welcome = await access.invitations.accept(code, user)
    # The path holds the code.
    who = request.state.what = show_id(USER, welcome.user)
    request.state.noted = Actor(welcome.org, b"", who=who)
    if welcome.secret is None:
        return no_answer()
    return json_answer(
        {
            "orgId": show_id(ORG, welcome.org),
            "userId": show_id(USER, welcome.user),
            "accessToken": welcome.secret,
        }
    )


def _member(row: Any) -> dict[str, Any]:
    return {
        "userId": show_id(USER, row.user),
        "email": row.email,
        "role": row.role,
        "createdAt": show_time(row.created_at),
    }


def _invitation(row: Any) -> dict[str, Any]:
    return {
        "id": show_id(INVITATION, row.id),
        "email": row.email,
        "role": row.role,
        "createdAt": show_time(row.created_at),
        "expiresAt": show_time(row.expires_at),
    }


# Access tokens.


async def list_tokens(request: Request, access: Access, user: bytes) -> Response:
    """`GET /smply/tokens`: `{"id", "name", "createdAt", "expiresAt"?, "lastUsedAt"?}`."""
    page = page_in(request)
    rows = access.tokens.list(user, page.after, page.one_more)
    return page.answer("tokens", rows, _token, lambda row: row.row)


async def create_token(request: Request, access: Access, user: bytes) -> Response:
    """`POST /smply/tokens` `{"name", "expiresAt"?}`: it, and `accessToken`, this once."""
    body = await body_of(request, _CreateToken)
    until = (
        None if isinstance(body.expires_at, UnsetType) else time_of(body.expires_at, "expiresAt")
    )
    row, secret = await access.tokens.create(user, body.name, until)
    return json_answer({**_token(row), "accessToken": secret})


async def delete_token(request: Request, access: Access, user: bytes) -> Response:
    """`DELETE /smply/tokens/{id}`: 204; it is refused at once."""
    await access.tokens.delete(user, parse_id(TOKEN, request.path_params["id"], "id"))
    return no_answer()


def _token(row: Any) -> dict[str, Any]:
    shown = {
        "id": show_id(TOKEN, row.id), "name": row.name, "createdAt": show_time(row.created_at)
    }  # fmt: skip
    for name, time in (("expiresAt", row.expires_at), ("lastUsedAt", row.used_at)):
        if time is not None:
            shown[name] = show_time(time)
    return shown
