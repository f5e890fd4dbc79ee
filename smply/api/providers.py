"""Routes of identity and token providers, and of the exchange between them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec
from msgspec import UNSET, UnsetType
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response

from smply.api._wire import body_of, json_answer, no_answer, page_in
from smply.errors import ExchangeRefused
from smply.identity import Actor
from smply.ids import KEY, parse_id, show_id

if TYPE_CHECKING:
    from smply.identity import Access

_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


class _PutIdentityProvider(msgspec.Struct, rename="camel"):
    algs: list[str]
    mapping: dict[str, Any]
    aud: str = ""
    iss: str = ""
    key: str | UnsetType = UNSET
    jwks_url: str | UnsetType = UNSET


class _DeleteIdentityProvider(msgspec.Struct):
    aud: str = ""
    iss: str = ""


class _PutTokenProvider(msgspec.Struct, rename="camel"):
    key_id: str
    service: str
    mapping: dict[str, Any]


async def list_identity_providers(request: Request, access: Access, actor: Actor) -> Response:
    """`GET /idps`: a page of `{"aud"?, "iss"?, "algs", "jwksUrl"?, "mapping"}`, never a key."""
    page = page_in(request)
    rows = access.providers.list_identity_providers(actor.org, page.after, page.one_more)
    return page.answer("idps", rows, _identity_provider, lambda row: row.row)


async def put_identity_provider(request: Request, access: Access, actor: Actor) -> Response:
    """`POST /idps`: 204; the same pair again changes it (S118)."""
    body = await body_of(request, _PutIdentityProvider)
    await access.providers.put_identity_provider(
        actor.org,
        aud=body.aud,
        iss=body.iss,
        algs=body.algs,
        key=None if isinstance(body.key, UnsetType) else body.key,
        jwks_url=None if isinstance(body.jwks_url, UnsetType) else body.jwks_url,
        mapping=body.mapping,
    )
    request.state.what = _pair(body.aud, body.iss)
    return no_answer()


async def delete_identity_provider(request: Request, access: Access, actor: Actor) -> Response:
    """`DELETE /idps` `{"aud"?, "iss"?}`: 204 (S124)."""
    body = await body_of(request, _DeleteIdentityProvider)
    await access.providers.delete_identity_provider(actor.org, body.aud, body.iss)
    request.state.what = _pair(body.aud, body.iss)
    return no_answer()


async def list_token_providers(request: Request, access: Access, actor: Actor) -> Response:
    """`GET /token-providers`: a page of `{"service", "keyId", "mapping"}`."""
    page = page_in(request)
    rows = access.providers.list_token_providers(actor.org, page.after, page.one_more)
    return page.answer("tokenProviders", rows, _token_provider, lambda row: row.row)


async def put_token_provider(request: Request, access: Access, actor: Actor) -> Response:
    """`POST /token-providers` `{"keyId", "service", "mapping"}`: 204 (S119)."""
    body = await body_of(request, _PutTokenProvider)
    key = parse_id(KEY, body.key_id, "keyId")
    await access.providers.put_token_provider(actor.org, body.service, key, body.mapping)
    request.state.what = f"/token-providers/{body.service}"
    return no_answer()


async def delete_token_provider(request: Request, access: Access, actor: Actor) -> Response:
    """`DELETE /token-providers/{service}`: 204 (S124)."""
    await access.providers.delete_token_provider(actor.org, request.path_params["service"])
    return no_answer()


async def exchange_token(request: Request, access: Access) -> Response:
    """`POST /tokens`, a form without a credential: a token of ours (S122, S123, C11, C12)."""
    try:
        form = await request.form(max_fields=20)
    except (MultiPartException, UnicodeError) as exc:
        raise ExchangeRefused("the body is no form", "invalid_request", "body") from exc
    fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    if len(fields) != len(form.multi_items()):
        raise ExchangeRefused("a field is given twice", "invalid_request", "body")
    for name in ("grant_type", "audience", "subject_token"):
        if not fields.get(name):
            raise ExchangeRefused(f"the form has no {name}", "invalid_request", name)
    if fields["grant_type"] != _GRANT:
        raise ExchangeRefused(f"the grant_type is {_GRANT}", "unsupported_grant_type", "grant_type")
    for name in ("requested_token_type", "requested_token-type"):
        if fields.get(name, _ACCESS_TOKEN) != _ACCESS_TOKEN:
            raise ExchangeRefused(f"the {name} is {_ACCESS_TOKEN}", "invalid_request", name)
    made = await access.exchange.exchange(fields["audience"], fields["subject_token"])
    return json_answer(
        {
            "access_token": made.token,
            "issued_token_type": _ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": made.expires_in,
        }
    )


def _pair(aud: str, iss: str) -> str:
    """An identity provider in the audit."""
    return f"/idps?{urlencode({'aud': aud, 'iss': iss})}"


def _identity_provider(row: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {"algs": json.loads(row.algs), "mapping": json.loads(row.mapping)}
    for name, value in (("aud", row.aud), ("iss", row.iss), ("jwksUrl", row.jwks_url)):
        if value:
            shown[name] = value
    return shown


def _token_provider(row: Any) -> dict[str, Any]:
    return {
        "service": row.service,
        "keyId": show_id(KEY, row.key),
        "mapping": json.loads(row.mapping),
    }
