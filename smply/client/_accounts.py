"""Calls about orgs, people, keys and providers, and about the server: see `_base`."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from smply.client._base import (
    Call,
    cursor_of,
    json_of,
    member,
    nothing,
    one,
    page_of,
    path_of,
)  # fmt: skip
from smply.models import (
    AccessToken,
    AuditEntry,
    IdentityProvider,
    Info,
    Invitation,
    Key,
    LogBatch,
    Member,
    NewKey,
    Org,
    Page,
    TokenProvider,
    Usage,
    Welcome,
)

# Orgs, members, invitations.


def list_orgs(cursor: str | None) -> Call[Page[Org]]:
    return Call("GET", "/orgs", page_of("orgs", Org), params=cursor_of(cursor))


def create_org(name: str, allow_anonymous_access: bool) -> Call[str]:
    body = {"name": name, "allowAnonymousAccess": allow_anonymous_access}
    return Call("POST", "/orgs", member("id", str), content=json_of(body))


def list_members(cursor: str | None) -> Call[Page[Member]]:
    return Call("GET", "/smply/members", page_of("members", Member), params=cursor_of(cursor))


def set_role(user: str, role: str) -> Call[None]:
    path = path_of("/smply/members/{}", user)
    return Call("PUT", path, nothing, content=json_of({"role": role}))


def remove_member(user: str) -> Call[None]:
    return Call("DELETE", path_of("/smply/members/{}", user), nothing)


def send_invitation(email: str, role: str) -> Call[Invitation]:
    body = {"email": email, "role": role}
    return Call("POST", "/org-members", one(Invitation), content=json_of(body))


def list_invitations(cursor: str | None) -> Call[Page[Invitation]]:
    read = page_of("invitations", Invitation)
    return Call("GET", "/smply/invitations", read, params=cursor_of(cursor))


def revoke_invitation(invitation: str) -> Call[None]:
    return Call("DELETE", path_of("/smply/invitations/{}", invitation), nothing)


def accept_invitation(code: str) -> Call[Welcome | None]:
    def read(body: bytes) -> Welcome | None:
        return msgspec.json.decode(body, type=Welcome) if body else None

    return Call("PUT", path_of("/invitations/{}", code), read)


# Keys and access tokens.


def list_keys(cursor: str | None) -> Call[Page[Key]]:
    return Call("GET", "/keys", page_of("keys", Key), params=cursor_of(cursor))


def create_key(name: str, use: str | None, scopes: Sequence[str] | None) -> Call[NewKey]:
    told: dict[str, Any] = (
        {"use": use or "production"} if scopes is None else {"scopes": list(scopes)}
    )
    return Call("POST", "/keys", one(NewKey), content=json_of({"name": name, **told}))


def delete_key(key: str) -> Call[None]:
    return Call("DELETE", path_of("/keys/{}", key), nothing)


def list_tokens(cursor: str | None) -> Call[Page[AccessToken]]:
    return Call("GET", "/smply/tokens", page_of("tokens", AccessToken), params=cursor_of(cursor))


def create_token(name: str, expires_at: str | None) -> Call[AccessToken]:
    body = {"name": name, **({} if expires_at is None else {"expiresAt": expires_at})}
    return Call("POST", "/smply/tokens", one(AccessToken), content=json_of(body))


def delete_token(token: str) -> Call[None]:
    return Call("DELETE", path_of("/smply/tokens/{}", token), nothing)


# Providers.


def list_identity_providers(cursor: str | None) -> Call[Page[IdentityProvider]]:
    return Call("GET", "/idps", page_of("idps", IdentityProvider), params=cursor_of(cursor))


def upsert_identity_provider(
    audience: str | None, issuer: str | None, algorithms: Sequence[str],
    mapping: Mapping[str, Any], key: bytes | None, jwks_url: str | None,
) -> Call[None]:  # fmt: skip
    body = {
        **_pair(audience, issuer), "algs": list(algorithms), "mapping": dict(mapping),
        **({} if key is None else {"key": base64.urlsafe_b64encode(key).rstrip(b"=").decode()}),
        **({} if jwks_url is None else {"jwksUrl": jwks_url}),
    }  # fmt: skip
    return Call("POST", "/idps", nothing, content=json_of(body))


def delete_identity_provider(audience: str | None, issuer: str | None) -> Call[None]:
    return Call("DELETE", "/idps", nothing, content=json_of(_pair(audience, issuer)))


def _pair(audience: str | None, issuer: str | None) -> dict[str, str]:
    told = {"aud": audience, "iss": issuer}
    return {name: value for name, value in told.items() if value is not None}


def list_token_providers(cursor: str | None) -> Call[Page[TokenProvider]]:
    read = page_of("tokenProviders", TokenProvider)
    return Call("GET", "/token-providers", read, params=cursor_of(cursor))


def upsert_token_provider(service: str, key: str, mapping: Mapping[str, Any]) -> Call[None]:
    body = {"service": service, "keyId": key, "mapping": dict(mapping)}
    return Call("POST", "/token-providers", nothing, content=json_of(body))


def delete_token_provider(service: str) -> Call[None]:
    return Call("DELETE", path_of("/token-providers/{}", service), nothing)


# The server and its org.


def get_info() -> Call[Info]:
    return Call("GET", "/smply/info", one(Info))


def get_billing() -> Call[str]:
    return Call("GET", "/billing", member("url", str))


def get_usage() -> Call[list[Usage]]:
    return Call("GET", "/smply/usage", member("usage", list[Usage]))


def list_audit(cursor: str | None) -> Call[Page[AuditEntry]]:
    return Call("GET", "/smply/audit", page_of("audit", AuditEntry), params=cursor_of(cursor))


def get_logs(
    since: str, until: str | None, machine: str | None, instance: str | None, version: str | None
) -> Call[LogBatch]:
    told = {
        "from": since, "to": until, "machine": machine, "instance": instance, "version": version
    }  # fmt: skip
    params = {name: value for name, value in told.items() if value is not None}
    return Call("GET", "/logs", one(LogBatch), params=params)
