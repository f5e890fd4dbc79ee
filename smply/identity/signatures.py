"""JSON Web Tokens: whose they say they are, whether that is so, and making new ones (RFC 7519).

The signature is PyJWT's to check. What a key may be used with is bound to the key and decided here,
before PyJWT is asked; what the header says chooses nothing but among those (CVE-2026-48523). A key
is looked for by us: `jku`, `x5u`, `jwk` and `x5c` of a header are never looked at.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import jwt
import msgspec
from jwt.algorithms import HMACAlgorithm
from msgspec import UNSET, UnsetType

T = TypeVar("T")

TOKEN_BYTES_MAX = 16_384
LEEWAY_SECONDS = 5
"""Clocks differ, and the client uses a token until a second after it has expired."""

SYMMETRIC = frozenset({"HS256", "HS384", "HS512"})
ASYMMETRIC = frozenset({
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
})  # fmt: skip
ALGORITHMS = SYMMETRIC | ASYMMETRIC


class BadToken(Exception):
    """A token that proves nothing; the text says why, for whoever sent it."""


class Header(msgspec.Struct):
    """What a token says of its signature, before anything of it is believed."""

    alg: str
    kid: str | UnsetType = UNSET
    crit: Any = UNSET
    b64: Any = UNSET


class Claims(msgspec.Struct):
    """The claims that have a meaning of their own (RFC 7519, 4.1); times in seconds."""

    exp: float
    nbf: float | UnsetType = UNSET
    iat: float | UnsetType = UNSET
    iss: str | UnsetType = UNSET
    aud: str | list[str] | UnsetType = UNSET

    @property
    def audiences(self) -> list[str]:
        if isinstance(self.aud, UnsetType):
            return []
        return [self.aud] if isinstance(self.aud, str) else self.aud


@dataclass(frozen=True, slots=True)
class Token:
    """A token that came from somebody: its text, and what it says of itself."""

    text: str
    header: Header
    payload: bytes

    def claims(self) -> Claims:
        """Raises BadToken."""
        return _decoded(self.payload, Claims)

    def everything(self) -> dict[str, Any]:
        """All claims as they are. Raises BadToken."""
        return _decoded(self.payload, dict[str, Any])


def parse(text: str) -> Token:
    """Take a token apart; nothing of it is proven. Raises BadToken."""
    if len(text) > TOKEN_BYTES_MAX:
        raise BadToken(f"the token has more than {TOKEN_BYTES_MAX:,} bytes")
    parts = text.split(".")
    if len(parts) != 3 or not text.isascii():
        raise BadToken("the token is no JSON Web Token")
    header = _decoded(_unpacked(parts[0]), Header)
    if not isinstance(header.crit, UnsetType):
        raise BadToken("the token's header has `crit`, which is not understood here")
    if not isinstance(header.b64, UnsetType):
        raise BadToken("the token's header has `b64`, which is not understood here")
    return Token(text, header, _unpacked(parts[1]))


def check_signature(token: Token, key: Any, algorithms: Sequence[str]) -> None:
    """Raise BadToken unless the key has signed the token with one of these.

    `key` is bytes for HMAC, and a public key of `cryptography` otherwise. `algorithms` are those
    that this key is for.
    """
    if token.header.alg not in algorithms:
        raise BadToken(f"this key is not used with {token.header.alg[:20]}")
    try:
        _JWS.decode(token.text, key, [token.header.alg])
    except jwt.InvalidTokenError as exc:
        raise BadToken("the token's signature is wrong") from exc
    except (TypeError, ValueError, jwt.PyJWTError) as exc:
        raise BadToken(f"this key is not used with {token.header.alg}") from exc


def check_times(claims: Claims, now: float) -> None:
    """Raise BadToken if a token has expired, or is not valid yet; `now` in seconds."""
    if not claims.exp > now - LEEWAY_SECONDS:
        raise BadToken("the token has expired")
    for since in (claims.nbf, claims.iat):
        if not isinstance(since, UnsetType) and not since <= now + LEEWAY_SECONDS:
            raise BadToken("the token is not valid yet")


def sign(claims: Mapping[str, Any], secret: bytes, kid: str) -> str:
    """A token of a key of ours: HS256, with the key's id as `kid` (S110)."""
    # The client reads a token with `atob`, which knows neither - nor _ (client-facts 27). Text
    # without these three characters beside ASCII never has them in base64url.
    payload = json.dumps(claims, separators=(",", ":"))
    for character in ">?~":
        payload = payload.replace(character, f"\\u{ord(character):04x}")
    return _JWS.encode(payload.encode(), secret, "HS256", {"kid": kid})


class _AnyLength(HMACAlgorithm):
    """HMAC with a key of any length: that of anonymous sessions is short, and known to all."""

    def check_key_length(self, key: bytes) -> str | None:
        return None


def _jws() -> jwt.PyJWS:
    jws = jwt.PyJWS(algorithms=sorted(ALGORITHMS))
    for name, kind in (
        ("HS256", HMACAlgorithm.SHA256),
        ("HS384", HMACAlgorithm.SHA384),
        ("HS512", HMACAlgorithm.SHA512),
    ):
        jws.unregister_algorithm(name)
        jws.register_algorithm(name, _AnyLength(kind))
    return jws


_JWS = _jws()


def _unpacked(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except ValueError as exc:
        raise BadToken("the token is no JSON Web Token") from exc


def _decoded(text: bytes, kind: type[T]) -> T:
    try:
        text.decode()
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise BadToken(f"the token is not as it should be: {exc}") from exc
