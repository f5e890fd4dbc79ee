"""What the tests of identity share: a server's accounts, and tokens of all kinds."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

from smply.identity.access import Access
from smply.identity.actors import Actor
from smply.identity.callers import TokenIdentity
from smply.ids import KEY, show_id
from tests.conftest import ManualClock

AUD = "https://api.statebacked.dev/"


@dataclass
class Desk:
    """The accounts of a server, with its first org and owner."""

    access: Access
    identity: TokenIdentity
    org: bytes
    owner: bytes
    clock: ManualClock

    @property
    def now(self) -> int:
        """Seconds of the epoch."""
        return self.clock.now() // 1000

    async def key(self, *scopes: str, org: bytes | None = None) -> tuple[str, str]:
        """A new key: its id, and its secret."""
        key, secret = await self.access.keys.create(
            org or self.org, "test", scopes or None, None if scopes else "production"
        )
        return show_id(KEY, key), secret

    def claims(self, **changes: Any) -> dict[str, Any]:
        return {"act": {"sub": "me"}, "aud": AUD, "iat": self.now, "exp": self.now + 60, **changes}

    async def token(self, *scopes: str, **changes: Any) -> str:
        """A token of a new key."""
        kid, secret = await self.key(*scopes)
        return signed(self.claims(**changes), secret, kid=kid)

    def actor(self, token: str, **headers: str) -> Actor:
        told = {b"authorization": f"Bearer {token}".encode()}
        told |= {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        return self.identity.actor(told)


def packed(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def signed(claims: Any, secret: str | bytes, alg: str = "HS256", **header: Any) -> str:
    """A token as anybody can make one, by hand: no library would make some of these."""
    key = secret.encode() if isinstance(secret, str) else secret
    head = packed({"alg": alg, "typ": "JWT", **header})
    text = f"{head}.{packed(claims)}"
    digest = hmac.new(key, text.encode(), getattr(hashlib, f"sha{alg[2:]}", hashlib.sha256))
    return f"{text}.{packed(digest.digest())}"
