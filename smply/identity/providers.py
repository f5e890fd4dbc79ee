"""Whose tokens are taken, and what for: identity and token providers (S117-S124)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from smply.errors import InvalidParameter, NotFound
from smply.identity.claims import check_mapping
from smply.identity.secrets import Sealer
from smply.identity.signatures import ALGORITHMS, ASYMMETRIC, SYMMETRIC
from smply.ids import KEY, show_id
from smply.store import Accounts, IdentityProviderRow, TokenProviderRow

NAME_BYTES_MAX = 2_000
KEY_BYTES_MAX = 10_000
MAPPING_BYTES_MAX = 20_000

SERVICE = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.-]{1,128}", re.ASCII)

_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_RSA_BITS_MIN = 2048


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """Whose tokens are taken, and how they are checked: with `key`, or the keys at `jwks_url`.

    `key` is bytes for HMAC and a public key of `cryptography` otherwise, and `algs` are those that
    it is for.
    """

    algs: tuple[str, ...]
    key: Any
    jwks_url: str | None
    mapping: dict[str, Any]


class Providers:
    """Keeps the providers of an org; posting one again changes it."""

    def __init__(self, accounts: Accounts, sealer: Sealer) -> None:
        self._accounts = accounts
        self._sealer = sealer

    # Identity providers.

    async def put_identity_provider(
        self, org: bytes, *, aud: str, iss: str, algs: Sequence[str], key: str | None,
        jwks_url: str | None, mapping: dict[str, Any],
    ) -> None:  # fmt: skip
        """Keep an identity provider, or change the one of that pair (S117, S118, C22).

        `aud` or `iss` may be blank; `key` is its bytes in base64url: a secret for HMAC, a public
        key in PEM or DER otherwise. Raises InvalidParameter.
        """
        _check_pair(aud, iss)
        if (key is None) == (jwks_url is None):
            raise InvalidParameter("give exactly one of key and jwksUrl", parameter="key")
        _check_algorithms(algs, by_address=jwks_url is not None)
        _check_mapping(mapping)
        sealed = None
        if key is not None:
            raw = _unpacked(key)
            _usable(raw, algs)
            sealed = sealed_key(self._sealer, raw, org, aud, iss)
        else:
            assert jwks_url is not None
            _check_address(jwks_url)
        row = IdentityProviderRow(
            0, org, aud, iss, json.dumps([*algs]), sealed, jwks_url, json.dumps(mapping)
        )
        await self._accounts.put_identity_provider(row)

    def list_identity_providers(
        self, org: bytes, after: int, limit: int
    ) -> list[IdentityProviderRow]:
        return self._accounts.list_identity_providers(org, after, limit)

    async def delete_identity_provider(self, org: bytes, aud: str, iss: str) -> None:
        """Exchanges of its tokens fail from now on (S124). Raises NotFound."""
        _check_pair(aud, iss)
        if not await self._accounts.delete_identity_provider(org, aud, iss):
            raise NotFound("there is no identity provider of this pair of aud and iss")

    def identity_provider_of(
        self, org: bytes, audiences: Sequence[str], iss: str
    ) -> IdentityProvider | None:
        """The one for a token: of both its `aud` and `iss` first, then of either alone."""
        pairs = [*((aud, iss) for aud in audiences if iss), *((aud, "") for aud in audiences)]
        pairs += [("", iss)] if iss else []
        for aud, issuer in pairs:
            row = self._accounts.find_identity_provider(org, aud, issuer)
            if row is not None:
                return self._opened(row)
        return None

    def _opened(self, row: IdentityProviderRow) -> IdentityProvider:
        algs = tuple(json.loads(row.algs))
        key = None
        if row.key is not None:
            raw = self._sealer.open(row.key, _purpose(row.org, row.aud, row.iss))
            key = _usable(raw, algs)
        return IdentityProvider(algs, key, row.jwks_url, json.loads(row.mapping))

    # Token providers.

    async def put_token_provider(
        self, org: bytes, service: str, key: bytes, mapping: dict[str, Any]
    ) -> None:
        """Keep the token provider of a service, or change it (S119). Raises InvalidParameter."""
        if SERVICE.fullmatch(service) is None:
            raise InvalidParameter(
                "a service has 1 to 128 of A-Z a-z 0-9 _ . - and is neither . nor ..",
                parameter="service",
            )
        _check_mapping(mapping)
        row = TokenProviderRow(0, org, service, key, json.dumps(mapping))
        if not await self._accounts.put_token_provider(row):
            raise InvalidParameter(f"there is no key {show_id(KEY, key)}", parameter="keyId")

    def list_token_providers(self, org: bytes, after: int, limit: int) -> list[TokenProviderRow]:
        return self._accounts.list_token_providers(org, after, limit)

    async def delete_token_provider(self, org: bytes, service: str) -> None:
        """Exchanges for it fail from now on (S124). Raises NotFound."""
        if not await self._accounts.delete_token_provider(org, service):
            raise NotFound(f"there is no token provider of the service {service[:150]}")


def sealed_key(sealer: Sealer, raw: bytes, org: bytes, aud: str, iss: str) -> bytes:
    """The key of an identity provider as it is kept."""
    return sealer.seal(raw, _purpose(org, aud, iss))


def fits(key: Any, algorithm: str) -> bool:
    """Whether a public key is one for this algorithm, by its kind and curve."""
    if isinstance(key, rsa.RSAPublicKey):
        return algorithm[:2] in ("RS", "PS") and key.key_size >= _RSA_BITS_MIN
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _CURVES.get(key.curve.name) == algorithm
    return isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey) and (
        algorithm == "EdDSA"
    )


def _check_pair(aud: str, iss: str) -> None:
    if not aud and not iss:
        raise InvalidParameter("give aud or iss, or both", parameter="aud")
    for name, value in (("aud", aud), ("iss", iss)):
        if len(value.encode()) > NAME_BYTES_MAX:
            raise InvalidParameter(f"it has more than {NAME_BYTES_MAX} bytes", parameter=name)


def _check_algorithms(algs: Sequence[str], *, by_address: bool) -> None:
    unknown = set(algs) - ALGORITHMS
    if unknown or not algs:
        told = f"{min(unknown)[:20]} is no algorithm" if unknown else "name one algorithm at least"
        raise InvalidParameter(told, parameter="algs")
    if not set(algs) <= (ASYMMETRIC if by_address else SYMMETRIC) and (
        by_address or not set(algs) <= ASYMMETRIC
    ):
        why = "a secret is not read from an address" if by_address else "a key is for one of both"
        raise InvalidParameter(
            f"HS… and other algorithms do not go together: {why}", parameter="algs"
        )


def _check_mapping(mapping: dict[str, Any]) -> None:
    check_mapping(mapping)
    if len(json.dumps(mapping)) > MAPPING_BYTES_MAX:
        raise InvalidParameter(f"it has more than {MAPPING_BYTES_MAX:,} bytes", parameter="mapping")


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and not parts.username
        # Reading it checks it.
        good = good and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or len(url) > NAME_BYTES_MAX or not url.isascii() or not url.isprintable():
        raise InvalidParameter("this is no absolute http(s) address", parameter="jwksUrl")


def _unpacked(key: str) -> bytes:
    try:
        raw = base64.b64decode(key + "=" * (-len(key) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    if not raw or len(raw) > KEY_BYTES_MAX:
        raise InvalidParameter(
            f"a key is 1 to {KEY_BYTES_MAX:,} bytes in base64url", parameter="key"
        )
    return raw


def _usable(raw: bytes, algs: Sequence[str]) -> Any:
    """The key as it verifies: for HMAC its bytes, which must not be somebody's public key."""
    public = _public_key(raw)
    if set(algs) <= SYMMETRIC:
        if public is not None:
            raise InvalidParameter("a public key is no secret for HS…", parameter="key")
        return raw
    if public is None:
        raise InvalidParameter("this is no public key in PEM or DER", parameter="key")
    unfit = [alg for alg in algs if not fits(public, alg)]
    if unfit:
        raise InvalidParameter(f"this key is none for {unfit[0]}", parameter="key")
    return public


def _public_key(raw: bytes) -> Any:
    for load in (serialization.load_pem_public_key, serialization.load_der_public_key):
        try:
            return load(raw)
        except Exception:
            continue
    return None


def _purpose(org: bytes, aud: str, iss: str) -> bytes:
    return b"\0".join((org, aud.encode(), iss.encode()))
