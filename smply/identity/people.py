"""People, their orgs and roles, their access tokens, and how new ones come in (S192, S193, Q49)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from smply.clock import Clock
from smply.errors import Conflict, InvalidParameter, NotFound, SmplyError
from smply.identity.keys import checked_title
from smply.identity.scopes import ROLES
from smply.identity.secrets import ACCESS_TOKEN, INVITATION, digest, make_secret
from smply.ids import INVITATION as INVITATION_ID
from smply.ids import TOKEN, USER, show_id
from smply.store import (
    AccessTokenRow,
    Accounts,
    Anonymous,
    InvitationRow,
    MemberRow,
    OrgRow,
    new_id,
)

INVITATION_MS = 7 * 86_400_000
"""How long an invitation stands."""

_SECRET_LENGTH_MIN = len(ACCESS_TOKEN) + 32

USE_NOTED_MS = 60_000
"""How often it is noted, at most, that a token was used."""


class Orgs:
    """Orgs, each with its machines, keys and members (S192)."""

    def __init__(
        self, accounts: Accounts, clock: Clock, anonymous: Callable[[bytes], Anonymous],
        on_change: Callable[[], None],
    ) -> None:  # fmt: skip
        self._accounts = accounts
        self._clock = clock
        self._anonymous = anonymous
        self._on_change = on_change

    async def create(self, owner: bytes, name: str, *, allow_anonymous: bool = True) -> bytes:
        """A new org, whose admin is whoever makes it (S128). Raises InvalidParameter."""
        org, title = new_id(), checked_title(name, "name")
        anonymous = self._anonymous(org) if allow_anonymous else None
        await self._accounts.create_org(org, title, owner, self._clock.now(), anonymous)
        # Whoever was in one org alone must name one from now on (S113).
        self._on_change()
        return org

    async def begin_serving(self, org: bytes) -> bool:
        """Let strangers into the org of a data directory at its first start as a server (S129)."""
        return await self._accounts.begin_serving(self._anonymous(org))

    def list(self, user: bytes, after: int, limit: int) -> list[OrgRow]:
        return self._accounts.list_orgs(user, after, limit)


class Members:
    """The members of an org: `admin`, `write` or `read` (S193, Q27)."""

    def __init__(self, accounts: Accounts, on_change: Callable[[], None]) -> None:
        self._accounts = accounts
        self._on_change = on_change

    def list(self, org: bytes, after: int, limit: int) -> list[MemberRow]:
        return self._accounts.list_members(org, after, limit)

    async def set_role(self, org: bytes, user: bytes, role: str) -> None:
        """Raises InvalidParameter, NotFound, Conflict if no admin were left."""
        done = await self._accounts.set_role(org, user, checked_role(role))
        self._told(done, user)

    async def remove(self, org: bytes, user: bytes) -> None:
        """Raises NotFound, Conflict if no admin were left."""
        self._told(await self._accounts.delete_member(org, user), user)

    def _told(self, done: bool | None, user: bytes) -> None:
        if done is None:
            raise Conflict("an org keeps one admin at least: make somebody else admin first")
        if not done:
            raise NotFound(f"{show_id(USER, user)} is no member of this org")
        self._on_change()


class AccessTokens:
    """A person's tokens: opaque, named, kept as a hash, and good until they expire or are deleted.

    Uses are noted in memory and kept by `flush`.
    """

    def __init__(self, accounts: Accounts, clock: Clock, on_change: Callable[[], None]) -> None:
        self._accounts = accounts
        self._clock = clock
        self._on_change = on_change
        self._used: dict[bytes, int] = {}
        self._noted: dict[bytes, int] = {}

    async def create(
        self, user: bytes, name: str, expires_at: int | None = None
    ) -> tuple[AccessTokenRow, str]:
        """A new token, and its secret, which is shown this once. `expires_at` in ms of the epoch.

        Raises InvalidParameter.
        """
        now = self._clock.now()
        if expires_at is not None and expires_at <= now:
            raise InvalidParameter("a token expires later than now", parameter="expiresAt")
        token, secret = new_token(user, checked_title(name, "name"), now, expires_at)
        await self._accounts.create_access_token(token, digest(secret))
        return token, secret

    async def bring(self, user: bytes, name: str, secret: str) -> None:
        """Take a secret that was made elsewhere for a token of a person, unless it is one already.

        Raises InvalidParameter for one that is short, or does not begin as ours do.
        """
        if not secret.startswith(ACCESS_TOKEN) or len(secret) < _SECRET_LENGTH_MIN:
            raise InvalidParameter(
                f"an access token is {ACCESS_TOKEN} and 32 characters at least", parameter="token"
            )
        if self._accounts.find_access_token(digest(secret)) is None:
            row = AccessTokenRow(0, new_id(), user, name, self._clock.now(), None, None)
            await self._accounts.create_access_token(row, digest(secret))

    def is_known(self, secret: str) -> bool:
        """Whether it is somebody's token still."""
        return self._accounts.find_access_token(digest(secret)) is not None

    def list(self, user: bytes, after: int, limit: int) -> list[AccessTokenRow]:
        return self._accounts.list_access_tokens(user, after, limit)

    async def delete(self, user: bytes, token: bytes) -> None:
        """It is refused from now on. Raises NotFound."""
        if not await self._accounts.delete_access_token(user, token):
            raise NotFound(f"you have no access token {show_id(TOKEN, token)}")
        self._on_change()

    def note_use(self, token: bytes, now: int) -> None:
        """Remember that it was used, for `flush`."""
        if now - self._noted.get(token, 0) >= USE_NOTED_MS:
            self._used[token] = now

    async def flush(self) -> None:
        """Keep when tokens were last used; what cannot be kept just now is kept the next time."""
        used, self._used = self._used, {}
        with contextlib.suppress(SmplyError):
            await asyncio.gather(
                *(self._accounts.touch_access_token(token, now) for token, now in used.items())
            )
        self._noted = {**used} if len(self._noted) > 10_000 else {**self._noted, **used}


@dataclass(frozen=True, slots=True)
class Welcome:
    """Who has accepted an invitation: the org, the person, and a new person's access token."""

    org: bytes
    user: bytes
    secret: str | None


class Invitations:
    """Codes that make whoever brings one a member of an org; there is no mail."""

    def __init__(self, accounts: Accounts, clock: Clock, on_change: Callable[[], None]) -> None:
        self._accounts = accounts
        self._clock = clock
        self._on_change = on_change

    async def send(self, org: bytes, email: str, role: str) -> tuple[InvitationRow, str]:
        """A new invitation, and its code, which is shown this once. Raises InvalidParameter."""
        if "@" not in email or len(email) > 320 or not email.isprintable():
            raise InvalidParameter("an e-mail address has an @ in it", parameter="email")
        now, code = self._clock.now(), make_secret(INVITATION)
        invitation = InvitationRow(
            0, new_id(), org, email, checked_role(role), now, now + INVITATION_MS
        )
        await self._accounts.create_invitation(invitation, digest(code))
        return invitation, code

    def list(self, org: bytes, after: int, limit: int) -> list[InvitationRow]:
        """Those that still stand."""
        return self._accounts.list_invitations(org, self._clock.now(), after, limit)

    async def revoke(self, org: bytes, invitation: bytes) -> None:
        """Raises NotFound."""
        if not await self._accounts.delete_invitation(org, invitation):
            raise NotFound(f"there is no invitation {show_id(INVITATION_ID, invitation)}")

    async def accept(self, code: str, user: bytes | None) -> Welcome:
        """Make a person a member; without one, a new person, who gets an access token.

        Raises NotFound for a code that is unknown, used or expired, Conflict for a member.
        """
        now = self._clock.now()
        found = self._accounts.find_invitation(digest(code))
        if found is None or found.expires_at <= now:
            raise _no_invitation()
        secret = None
        newcomer = None
        if user is None:
            user = new_id()
            token, secret = new_token(user, "invitation", now, None)
            newcomer = (token, digest(secret))
        elif self._accounts.get_role(found.org, user) is not None:
            raise Conflict("you are a member of this org already")
        done = await self._accounts.accept_invitation(found, user, now, newcomer)
        if done is None:
            raise _no_invitation()
        self._on_change()
        return Welcome(found.org, user, secret)


def new_token(
    user: bytes, name: str, now: int, expires_at: int | None
) -> tuple[AccessTokenRow, str]:
    secret = make_secret(ACCESS_TOKEN)
    return AccessTokenRow(0, new_id(), user, name, now, expires_at, None), secret


def checked_role(role: str) -> str:
    """Raises InvalidParameter."""
    if role not in ROLES:
        raise InvalidParameter(f"a role is one of {', '.join(ROLES)}", parameter="role")
    return role


def _no_invitation() -> NotFound:
    return NotFound("there is no such invitation: it was used, taken back, or has expired")
