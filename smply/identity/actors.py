"""Who calls, and what they may do: from a request's headers to an actor."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from smply.contract import ACT_HEADER, ORG_HEADER
from smply.errors import Forbidden, InvalidParameter
from smply.identity.scopes import ROLES, SCOPES
from smply.ids import ORG, USER, parse_id, show_id
from smply.store import Owner

if TYPE_CHECKING:
    from smply.identity.access import Access

_ACT = ACT_HEADER.encode()
_ORG = ORG_HEADER.encode()
_CLAIMS = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True)
class Actor:
    """A caller: their org (16 bytes), their auth context (JSON text), what they may do.

    `who` is the id of a person or a key, as it is shown; `user` a person's 16 bytes.
    """

    org: bytes
    auth: bytes
    scopes: frozenset[str] = SCOPES
    who: str = ""
    user: bytes | None = None

    def require(self, scope: str) -> None:
        """Raise Forbidden (`missing-scope`, S106) unless they may do this."""
        if scope not in self.scopes:
            raise Forbidden(f"this needs the scope {scope}, which {self.who} does not have")


class Identity(Protocol):
    """Tells who makes a request."""

    @property
    def access(self) -> Access:
        """The accounts."""

    def actor(self, headers: Mapping[bytes, bytes]) -> Actor:
        """The caller behind these headers, by their names in lower case, in one org.

        Raises Forbidden (`missing-user`, `missing-org`, `missing-scope`), InvalidParameter
        (`specify-org`, S113).
        """

    def person(self, headers: Mapping[bytes, bytes]) -> bytes:
        """The person behind them, in whatever org. Raises Forbidden (`missing-user`).

        Raises what `actor` does as well where they speak for somebody else.
        """


class LocalIdentity:
    """The local profile: every request is its owner's, with all scopes and no secret.

    `x-statebacked-org-id` names another org of theirs.
    `x-statebacked-act` stands as given (Q67); without it the auth context is `{"sub": owner}`
    (Q26).
    """

    def __init__(self, owner: Owner, open_access: Callable[[], Access]) -> None:
        self._open_access = open_access
        who = show_id(USER, owner.user)
        self._owner = Actor(owner.org, sub_of(who), SCOPES, who, owner.user)

    @cached_property
    def access(self) -> Access:
        """Opened by the first who needs it: few commands do, and its libraries are large."""
        return self._open_access()

    def actor(self, headers: Mapping[bytes, bytes]) -> Actor:
        actor = self._in(headers[_ORG]) if _ORG in headers else self._owner
        act = headers.get(_ACT)
        return actor if act is None else replace(actor, auth=checked_act(act))

    def _in(self, named: bytes) -> Actor:
        """The owner in an org that they have made or joined."""
        assert self._owner.user is not None
        try:
            org = parse_id(ORG, named.decode("latin-1"), ORG_HEADER)
        except InvalidParameter as exc:
            raise no_org() from exc
        if org == self._owner.org:
            return self._owner
        role = self.access.accounts.get_role(org, self._owner.user)
        if role is None:
            raise no_org()
        return replace(self._owner, org=org, scopes=ROLES[role])

    def person(self, headers: Mapping[bytes, bytes]) -> bytes:
        assert self._owner.user is not None
        return self._owner.user


def no_org() -> Forbidden:
    """For an org that the caller is not in."""
    told = f"you are in no such org ({ORG_HEADER})"
    return Forbidden(told, code="missing-org", parameter=ORG_HEADER)


def sub_of(who: str) -> bytes:
    return json.dumps({"sub": who}).encode()


def checked_act(claims: bytes) -> bytes:
    try:
        claims.decode()
        _CLAIMS.decode(claims)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidParameter(f"{ACT_HEADER} is no JSON object", parameter=ACT_HEADER) from exc
    return claims
