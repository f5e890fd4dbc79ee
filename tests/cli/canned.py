"""A server of canned answers, so that a command can be run without an engine."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

from smply.client import AsyncClient
from tests.cli.checkout import CHECKOUT, VERSION, detail

INFO = {"id": VERSION.id, "createdAt": VERSION.created_at, "clientInfo": VERSION.client_info}
ADMIN = {
    "state": "cart",
    "context": {"public": {"total": 0}, "approver": "u_81"},
    "status": "running",
    "tags": [],
    "done": False,
    "machineVersion": INFO,
    "createdAt": "2026-11-01T10:00:00.000Z",
}
STATE = {
    "ts": 1_794_000_000_000,
    "state": "cart",
    "publicContext": {"total": 0},
    "tags": [],
    "done": False,
    "states": ["cart"],
}
DESCRIBED = {
    **INFO,
    "xstate": "5.33.3",
    "bundle": {},
    "indexSelectors": {},
    "exports": [],
    "definition": CHECKOUT,
}


@dataclass
class CannedServer:
    """Answers by `METHOD path`; an answer is JSON, or (status, JSON). Keeps what it was asked."""

    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        order = "checkout/i/order-1042"
        self.answers |= {
            "POST /machines/checkout": STATE,
            f"POST /machines/{order}/events": STATE,
            f"GET /machines/{order}": STATE,
            f"GET /machines/{order}/admin": ADMIN,
            f"GET /smply/machines/{order}": msgspec.to_builtins(detail()),
            f"GET /smply/machines/checkout/v/{VERSION.id}": DESCRIBED,
            "GET /machines/checkout": {
                "machine": {"createdAt": INFO["createdAt"], "currentVersion": INFO, "indexes": []}
            },
        }

    def answer(self, request: httpx.Request) -> httpx.Response:
        query = f"?{request.url.query.decode()}" if request.url.query else ""
        line = f"{request.method} {request.url.path}{query}"
        self.asked.append((line, json.loads(request.content) if request.content else None))
        found = self.answers.get(line, (404, {"code": "not-found", "error": f"nothing at {line}"}))
        status, body = found if isinstance(found, tuple) else (200, found)
        return httpx.Response(status, json=body)

    @asynccontextmanager
    async def open(self, *_: object) -> AsyncIterator[AsyncClient]:
        transport = httpx.MockTransport(self.answer)
        async with AsyncClient("http://canned", transport=transport) as client:
            yield client


def error(
    status: int, code: str, message: str, parameter: str | None = None
) -> tuple[int, Mapping[str, str | None]]:
    """An answer that refuses."""
    return status, {"code": code, "error": message, "parameter": parameter}
