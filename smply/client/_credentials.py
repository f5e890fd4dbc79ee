"""Who a client is: a token, or a key that signs a new one whenever it is needed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from smply.clock import SystemClock
from smply.contract import ACT_HEADER, AUDIENCE
from smply.errors import UsageError

ISSUER = "https://cli.statebacked.dev/"
"""What the npm tool writes as `iss`; nobody checks it against a list (S112)."""

_LIFE_SECONDS = 3_600
_RENEWED_BEFORE_SECONDS = 300
_REMEMBERED_MAX = 1_000
_SECRET_BYTES_MIN = 32


def sign_token(
    key_id: str, secret: str, act: Mapping[str, Any], *, issuer: str = ISSUER,
    expires_in: int = 86_400, now: float | None = None,
) -> str:  # fmt: skip
    """A token for whom `act` tells of, signed HS256 with a key and its secret (S110, S111).

    What `act` holds is the `authContext` of the machine. `expires_in` is in seconds, `now` in
    seconds of the epoch. Raises UsageError for what can be no secret.
    """
    import jwt

    if len(secret.encode()) < _SECRET_BYTES_MIN:
        # RFC 7518, 3.2; PyJWT would print a warning and sign.
        raise UsageError(
            f"the secret of {key_id} is too short to be one",
            hint="it is what smply keys create told, sbsec_…",
        )

    issued = int(SystemClock().now() / 1000 if now is None else now)
    claims = {
        "aud": AUDIENCE, "iss": issuer, "iat": issued, "exp": issued + expires_in,
        "act": dict(act),
    }  # fmt: skip
    try:
        return jwt.encode(claims, secret, algorithm="HS256", headers={"kid": key_id})
    except jwt.InvalidKeyError as exc:
        raise UsageError(f"the secret of {key_id} is none: {exc}", hint="it is no PEM") from exc


class Credential(Protocol):
    """Makes the headers that say who asks."""

    def headers(self, act: Mapping[str, Any] | None) -> dict[str, str]:
        """Those of a request with this auth context; None is the caller's own."""


class Bearer:
    """A token as it is; for another auth context it asks to speak for somebody (S114)."""

    def __init__(self, token: str | None) -> None:
        self._own = {} if token is None else {"authorization": f"Bearer {token}"}

    def headers(self, act: Mapping[str, Any] | None) -> dict[str, str]:
        if act is None:
            return self._own
        # Headers are ASCII, so that other letters are escaped.
        return {**self._own, ACT_HEADER: json.dumps(act, separators=(",", ":"))}


class SigningKey:
    """A key and its secret: an auth context is signed into a token, so that any key may say it.

    Tokens last an hour and are used again meanwhile. `now` gives seconds of the epoch.
    """

    def __init__(self, key_id: str, secret: str, now: Callable[[], float] | None = None) -> None:
        self._key_id = key_id
        self._secret = secret
        self._now = now or (lambda: SystemClock().now() / 1000)
        self._signed: dict[str, tuple[float, str]] = {}

    def headers(self, act: Mapping[str, Any] | None) -> dict[str, str]:
        claims = json.dumps(act or {}, sort_keys=True)
        now = self._now()
        until, token = self._signed.get(claims, (0.0, ""))
        if until - _RENEWED_BEFORE_SECONDS <= now:
            token = sign_token(
                self._key_id, self._secret, act or {}, expires_in=_LIFE_SECONDS, now=now
            )
            if len(self._signed) >= _REMEMBERED_MAX:
                self._signed.clear()
            self._signed[claims] = (now + _LIFE_SECONDS, token)
        return {"authorization": f"Bearer {token}"}
