"""A server's callers: whoever asks proves who they are with a token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from smply.contract import ACT_HEADER, AUDIENCE, ORG_HEADER
from smply.errors import Forbidden, InvalidParameter
from smply.identity.access import Access
from smply.identity.actors import Actor, checked_act, no_org, sub_of
from smply.identity.memory import Memory
from smply.identity.scopes import IMPERSONATES, ROLES
from smply.identity.secrets import ACCESS_TOKEN, digest
from smply.identity.signatures import (
    LEEWAY_SECONDS,
    BadToken,
    Token,
    check_signature,
    check_times,
    parse,
)
from smply.ids import KEY, ORG, USER, parse_id, show_id

_ACT = ACT_HEADER.encode()
_ORG = ORG_HEADER.encode()
_CREDENTIAL = b"authorization"

_REMEMBERED_BYTES_MAX = 4_096
"""Of a header: spaces before a token make it a new one as often as somebody likes."""


@dataclass(frozen=True, slots=True)
class _Remembered:
    actor: Actor
    until: float
    """When the token expires, in milliseconds of the epoch."""
    token: bytes | None
    """The access token that it is, whose use is noted."""


class TokenIdentity:
    """A server: whoever asks proves it with a token, of a key or of a person.

    What was proven is remembered until it expires, or somebody's rights were taken away.
    `audiences` are the names of this server that a token may be for, beside the one of all token
    libraries.
    """

    def __init__(self, access: Access, audiences: frozenset[str] = frozenset()) -> None:
        self.access = access
        self._audiences = audiences | {AUDIENCE}
        self._memory: Memory[_Remembered] = Memory(access.accounts, access.clock)
        access.on_change = self._memory.clear

    def actor(self, headers: Mapping[bytes, bytes]) -> Actor:
        credential, org = headers.get(_CREDENTIAL, b""), headers.get(_ORG, b"")
        now = self.access.clock.now()
        found = self._memory.get((credential, org))
        if found is None or found.until <= now:
            found = self._verified(credential, org, now)
            if len(credential) <= _REMEMBERED_BYTES_MAX:
                self._memory.keep((credential, org), found)
        if found.token is not None:
            self.access.tokens.note_use(found.token, now)
        act = headers.get(_ACT)
        if act is None:
            return found.actor
        if IMPERSONATES not in found.actor.scopes:
            raise Forbidden(f"{ACT_HEADER} needs the scope {IMPERSONATES} (S115)")
        return replace(found.actor, auth=checked_act(act))

    def person(self, headers: Mapping[bytes, bytes]) -> bytes:
        text = _bearer(headers.get(_CREDENTIAL, b""))
        if not text.startswith(ACCESS_TOKEN):
            raise _nobody("this is for a person with an access token, and not for a key")
        user = self._access_token(text, self.access.clock.now())[0]
        if _ACT in headers:
            # Whom they speak for changes nothing here, and yet who may not do so is refused (S115).
            self.actor(headers)
        return user

    def _verified(self, credential: bytes, org: bytes, now: int) -> _Remembered:
        text = _bearer(credential)
        if text.startswith(ACCESS_TOKEN):
            return self._of_person(text, org, now)
        try:
            return self._of_key(parse(text), org, now)
        except BadToken as exc:
            raise _nobody(str(exc)) from exc

    def _of_person(self, text: str, org: bytes, now: int) -> _Remembered:
        user, token, until = self._access_token(text, now)
        chosen, role = self._org_of(user, org)
        who = show_id(USER, user)
        actor = Actor(chosen, sub_of(who), ROLES[role], who, user)
        return _Remembered(actor, until, token)

    def _access_token(self, text: str, now: int) -> tuple[bytes, bytes, float]:
        found = self.access.accounts.find_access_token(digest(text))
        if found is None:
            raise _nobody("there is no such access token, or it was deleted")
        until = float("inf") if found.expires_at is None else float(found.expires_at)
        if until <= now:
            raise _nobody("the access token has expired")
        return found.user, found.id, until

    def _org_of(self, user: bytes, named: bytes) -> tuple[bytes, str]:
        """The org that a person means, and their role there."""
        if named:
            org = _org_id(named)
            role = self.access.accounts.get_role(org, user)
            if role is None:
                raise no_org()
            return org, role
        orgs = self.access.accounts.list_orgs(user, 0, 2)
        if not orgs:
            raise Forbidden("you are a member of no org", code="missing-org")
        if len(orgs) > 1:
            raise InvalidParameter(
                f"you are a member of several orgs: name one with {ORG_HEADER}",
                code="specify-org",
                parameter=ORG_HEADER,
            )
        return orgs[0].id, orgs[0].role

    def _of_key(self, token: Token, org: bytes, now: int) -> _Remembered:
        kid = token.header.kid
        if not isinstance(kid, str):
            raise BadToken("the token names no key")
        try:
            key = self.access.keys.find(parse_id(KEY, kid, "kid"))
        except InvalidParameter as exc:
            raise BadToken("the token names no key of this server") from exc
        if key is None:
            raise BadToken("there is no such key, or it was deleted")
        check_signature(token, key.secret, ["HS256"])
        claims = token.claims()
        check_times(claims, now / 1000)
        if self._audiences.isdisjoint(claims.audiences):
            raise BadToken(f"the token is not for this server: its `aud` is not {AUDIENCE}")
        if org and _org_id(org) != key.org:
            raise no_org()
        actor = Actor(key.org, _auth_of(token.everything()), key.scopes, kid)
        return _Remembered(actor, (claims.exp + LEEWAY_SECONDS) * 1000, None)


def _auth_of(claims: dict[str, Any]) -> bytes:
    """The `act` claim; its `sub` falls back to the token's own (S102, client-facts 24)."""
    act = claims.get("act")
    if not isinstance(act, dict):
        raise BadToken("the token has no `act`, the claims of whom it is for")
    sub = claims.get("sub")
    if "sub" not in act and isinstance(sub, str):
        act = {**act, "sub": sub}
    return msgspec.json.encode(act)


def _bearer(credential: bytes) -> str:
    kind, _, text = credential.partition(b" ")
    text = text.strip()
    if kind.lower() != b"bearer" or not text:
        raise _nobody("this needs a token: authorization: Bearer …")
    # What is not ASCII is no token, and found to be none.
    return text.decode("latin-1")


def _org_id(named: bytes) -> bytes:
    try:
        return parse_id(ORG, named.decode("latin-1"), ORG_HEADER)
    except InvalidParameter as exc:
        raise no_org() from exc


def _nobody(why: str) -> Forbidden:
    return Forbidden(why, code="missing-user")
