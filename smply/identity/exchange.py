"""A token of somebody's identity provider for one of ours (RFC 8693, S117-S127)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from jsonpath_rfc9535 import JSONPathError

from smply.clock import Clock
from smply.errors import ExchangeRefused, InvalidParameter
from smply.identity.claims import mapped
from smply.identity.jwks import KeySets
from smply.identity.keys import Keys
from smply.identity.providers import IdentityProvider, Providers, fits
from smply.identity.signatures import (
    BadToken,
    Token,
    check_signature,
    check_times,
    parse,
    sign,
)
from smply.ids import KEY, ORG, parse_id, show_id
from smply.store import Accounts

_AUDIENCE = re.compile(
    r"https://tokens\.statebacked\.dev/(?P<org>org_[A-Za-z0-9_-]{22})/(?P<service>[^/]{1,128})"
)
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A token of ours, and for how many seconds it is good."""

    token: str
    expires_in: int


class Exchange:
    """Finds the identity provider by a token's `aud` and `iss`, checks it, maps it twice, signs."""

    def __init__(
        self, accounts: Accounts, keys: Keys, providers: Providers, key_sets: KeySets, clock: Clock
    ) -> None:
        self._accounts = accounts
        self._keys = keys
        self._providers = providers
        self._key_sets = key_sets
        self._clock = clock

    async def exchange(self, audience: str, subject_token: str) -> Exchanged:
        """`audience` names org and service (S122). Raises ExchangeRefused."""
        org, service = _target(audience)
        try:
            token = parse(subject_token)
            claims = token.claims()
            iss = claims.iss if isinstance(claims.iss, str) else ""
            provider = self._providers.identity_provider_of(org, claims.audiences, iss)
            if provider is None:
                raise BadToken("there is no identity provider for its `aud` and `iss`")
            await self._check(token, provider)
            if self._providers.identity_provider_of(org, claims.audiences, iss) != provider:
                raise BadToken("its identity provider has changed just now")
            now = self._clock.now() / 1000
            check_times(claims, now)
            found = mapped(provider.mapping, token.everything())
        except (BadToken, JSONPathError) as exc:
            raise ExchangeRefused(
                f"the subject token is refused: {exc}", "invalid_request", "subject_token"
            ) from exc
        return self._signed(org, service, found, claims.exp)

    async def _check(self, token: Token, provider: IdentityProvider) -> None:
        algorithm = token.header.alg
        if algorithm not in provider.algs:
            raise BadToken("its algorithm is none of the identity provider's")
        if provider.jwks_url is None:
            return check_signature(token, provider.key, provider.algs)
        kid = token.header.kid if isinstance(token.header.kid, str) else None
        keys = await self._key_sets.candidates(provider.jwks_url, kid, algorithm)
        for key in keys:
            if fits(key, algorithm):
                try:
                    return check_signature(token, key, provider.algs)
                except BadToken:
                    continue
        raise BadToken("the token's signature is wrong")

    def _signed(self, org: bytes, service: str, claims: dict[str, Any], exp: float) -> Exchanged:
        provider = self._accounts.find_token_provider(org, service)
        if provider is None:
            raise _no_service()
        key = self._keys.find(provider.key)
        if key is None or key.org != org:
            # Q36: its key may be deleted before it.
            raise _no_service()
        try:
            act = mapped(json.loads(provider.mapping), claims)
        except JSONPathError as exc:
            raise ExchangeRefused(str(exc), "invalid_request", "subject_token") from exc
        kid = show_id(KEY, provider.key)
        now = int(self._clock.now() / 1000)
        until = int(min(exp, now + _DAY_SECONDS))
        told = {
            "act": act,
            "aud": "https://api.statebacked.dev/",
            "iss": f"https://{kid}.client.statebacked.dev/",
            "iat": now,
            "exp": until,
        }
        return Exchanged(sign(told, key.secret, kid), max(until - now, 0))


def _target(audience: str) -> tuple[bytes, str]:
    found = _AUDIENCE.fullmatch(audience)
    try:
        if found is not None:
            return parse_id(ORG, found["org"], "audience"), found["service"]
    except InvalidParameter:
        pass
    raise ExchangeRefused(
        "the audience is https://tokens.statebacked.dev/<org id>/<service>",
        "invalid_target",
        "audience",
    )


def _no_service() -> ExchangeRefused:
    return ExchangeRefused(
        "the audience names no token provider that can sign", "invalid_target", "audience"
    )
