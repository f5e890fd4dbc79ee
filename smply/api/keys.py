"""Routes of keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from smply.api._wire import body_of, json_answer, no_answer, page_in
from smply.contract import show_time
from smply.identity import Actor
from smply.ids import KEY, parse_id, show_id

if TYPE_CHECKING:
    from smply.identity import Access


class _Create(msgspec.Struct):
    name: str
    scopes: list[str] | UnsetType = UNSET
    use: str | UnsetType = UNSET


async def list_keys(request: Request, access: Access, actor: Actor) -> Response:
    """`GET /keys`: a page of `{"id", "name", "scopes", "createdAt"}`, never a secret."""
    page = page_in(request)
    rows = access.keys.list(actor.org, page.after, page.one_more)
    return page.answer("keys", rows, _shown, lambda row: row.row)


async def create_key(request: Request, access: Access, actor: Actor) -> Response:
    """`POST /keys` `{"name", "scopes" | "use"}`: `{"id", "key"}`, the secret this once (S109)."""
    body = await body_of(request, _Create)
    scopes = None if isinstance(body.scopes, UnsetType) else body.scopes
    use = None if isinstance(body.use, UnsetType) else body.use
    key, secret = await access.keys.create(actor.org, body.name, scopes, use)
    request.state.what = show_id(KEY, key)
    return json_answer({"id": show_id(KEY, key), "key": secret})


async def delete_key(request: Request, access: Access, actor: Actor) -> Response:
    """`DELETE /keys/{keyId}`: 204; what it signed is refused at once."""
    await access.keys.delete(actor.org, parse_id(KEY, request.path_params["keyId"], "keyId"))
    return no_answer()


def _shown(row: Any) -> dict[str, Any]:
    return {
        "id": show_id(KEY, row.id),
        "name": row.name,
        "scopes": json.loads(row.scopes),
        "createdAt": show_time(row.created_at),
    }
