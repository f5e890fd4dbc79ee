"""What the tests of the routes share: a server's app with its accounts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx

from smply.identity import Access
from smply.ids import show_id
from tests.conftest import ManualClock
from tests.identity.support import AUD, signed


@dataclass
class Served:
    """A server's app, its owner's token, and who asks it."""

    http: httpx.AsyncClient
    access: Access
    clock: ManualClock
    org: bytes
    owner: bytes
    token: str
    app: Any
    version: str = ""
    names: dict[str, str] = field(default_factory=dict)

    async def ask(
        self, method: str, path: str, body: Any = None, token: str | None = "", **headers: str
    ) -> httpx.Response:
        """With the owner's token unless another is given, or none."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            told["authorization"] = f"Bearer {token or self.token}"
        return await self.http.request(method, path, json=body, headers=told)

    async def key_token(self, *scopes: str, org: bytes | None = None) -> str:
        key, secret = await self.access.keys.create(org or self.org, "test", scopes, None)
        now = self.clock.now() // 1000
        claims = {"act": {"sub": "me"}, "aud": AUD, "exp": now + 60}
        return signed(claims, secret, kid=show_id("sbk", key))

    async def member(self, role: str) -> str:
        sent = await self.ask("POST", "/org-members", {"email": "you@example.com", "role": role})
        code = sent.json()["invitation"]
        accepted = await self.ask("PUT", f"/invitations/{code}", token=None)
        return str(accepted.json()["accessToken"])


def told(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json().get("code")
