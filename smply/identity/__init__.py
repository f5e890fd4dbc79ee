"""Who calls, and what they may do: from a request's credentials to an actor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from smply.contract import ACT_HEADER
from smply.errors import InvalidParameter

_ACT = ACT_HEADER.encode()
_CLAIMS = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True)
class Actor:
    """A caller: their org, their auth context (JSON text).

    `org` is the 16 bytes of the org's id.
    """

    org: bytes
    auth: bytes


class Identity(Protocol):
    """Tells who makes a request."""

    def actor(self, headers: Mapping[bytes, bytes]) -> Actor:
        """The caller behind these headers, by their names in lower case.

        Raises Forbidden, InvalidParameter.
        """


class LocalIdentity:
    """The local profile: every request is its owner's, with all scopes and no secret.

    `x-statebacked-act` stands as given (Q67); without it the auth context is `{"sub": owner}`
    (Q26).
    """

    def __init__(self, org: bytes, owner_id: str) -> None:
        self._owner = Actor(org, json.dumps({"sub": owner_id}).encode())

    def actor(self, headers: Mapping[bytes, bytes]) -> Actor:
        act = headers.get(_ACT)
        if act is None:
            return self._owner
        return Actor(self._owner.org, _checked(act))


def _checked(claims: bytes) -> bytes:
    try:
        claims.decode()
        _CLAIMS.decode(claims)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidParameter(f"{ACT_HEADER} is no JSON object", parameter=ACT_HEADER) from exc
    return claims
