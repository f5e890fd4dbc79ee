"""Routes about the server and its caller: who asks, and what was done."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from smply.api._wire import json_answer, page_in
from smply.contract import show_time
from smply.engine import Engine
from smply.errors import NotFound
from smply.identity import Actor
from smply.ids import ORG, show_id

if TYPE_CHECKING:
    from smply.identity import Access


@cache
def _version() -> str:
    return metadata.version("smply")


@cache
def _document() -> bytes:
    return (Path(__file__).with_name("openapi.json")).read_bytes()


async def get_openapi(request: Request) -> Response:
    """`GET /openapi.json`: what the server answers, as OpenAPI 3.1."""
    return Response(_document(), media_type="application/json")


async def get_health(request: Request) -> Response:
    """`GET /healthz`: 200 as long as the process lives."""
    return json_answer({"status": "ok"})


async def get_readiness(request: Request, engine: Engine) -> Response:
    """`GET /readyz`: 200 if it can answer, and 503 if its store cannot be read."""
    engine.check()
    return json_answer({"status": "ready"})


async def get_info(request: Request, access: Access, actor: Actor) -> Response:
    """`GET /smply/info`: `{"version", "orgId"?, "userId", "email" | "keyId", "scopes", "act"}`.

    The org is missing where a person is in several and means no certain one, or in none.
    """
    told: dict[str, Any] = {"version": _version()}
    if actor.org:
        told["orgId"] = show_id(ORG, actor.org)
    if actor.user is not None:
        told |= {"userId": actor.who, "email": access.accounts.get_email(actor.user)}
    else:
        told["keyId"] = actor.who
    told |= {"scopes": sorted(actor.scopes), "act": msgspec.Raw(actor.auth)}
    return json_answer(told)


async def get_usage(request: Request, engine: Engine, actor: Actor) -> Response:
    """`GET /smply/usage`: `{"usage": [{"month", "transitions", "indexWrites", "reads"}]}`."""
    rows = await engine.meter.usage(actor.org)
    shown = [
        {"month": row.month, "transitions": row.transitions, "indexWrites": 0, "reads": row.reads}
        for row in rows
    ]
    return json_answer({"usage": shown})


async def get_billing(request: Request, access: Access, actor: Actor) -> Response:
    """`GET /billing`: 404 on a server of one's own (Q50)."""
    raise NotFound("a server of your own has no billing: GET /smply/usage says what was used")


async def list_audit(request: Request, access: Access, actor: Actor) -> Response:
    """`GET /smply/audit`: a page of `{"at", "who", "action", "what", "address", "requestId"}`."""
    page = page_in(request)
    rows = access.accounts.list_audit(actor.org, page.after, page.one_more)
    return page.answer("audit", rows, _entry, lambda row: row.row)


def _entry(row: Any) -> dict[str, Any]:
    return {
        "at": show_time(row.ts),
        "who": row.who,
        "action": row.action,
        "what": row.what,
        "address": row.address,
        "requestId": row.request,
    }
