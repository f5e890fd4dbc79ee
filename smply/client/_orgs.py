"""Orgs, people, keys and providers: the verbs of both clients, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smply.client import _accounts as calls
from smply.client._asking import Asking, AsyncAsking
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


class AsyncOrgs:
    """`client.orgs`: those that a person is a member of."""

    def __init__(self, client: AsyncAsking) -> None:
        self._client = client

    async def list(self, cursor: str | None = None) -> Page[Org]:
        """One page of them."""
        return await self._client.ask(calls.list_orgs(cursor))

    async def create(self, name: str, *, allow_anonymous_access: bool = True) -> str:
        """Create an org; returns its id. Who makes it is its admin (S128)."""
        return await self._client.ask(calls.create_org(name, allow_anonymous_access))


class AsyncMembers:
    """`client.members`: the people in an org."""

    def __init__(self, client: AsyncAsking) -> None:
        self._client = client

    async def list(self, cursor: str | None = None) -> Page[Member]:
        """One page of members."""
        return await self._client.ask(calls.list_members(cursor))

    async def set_role(self, user: str, role: str) -> None:
        """`admin`, `write` or `read` (S193). Raises NotFound, Conflict if no admin were left."""
        await self._client.ask(calls.set_role(user, role))

    async def remove(self, user: str) -> None:
        """Raises NotFound, Conflict if no admin were left."""
        await self._client.ask(calls.remove_member(user))


class AsyncInvitations:
    """`client.invitations`: codes that make whoever brings one a member; there is no mail."""

    def __init__(self, client: AsyncAsking) -> None:
        self._client = client

    async def send(self, email: str, role: str = "write") -> Invitation:
        """A new invitation, with its code this once (Q49). Raises InvalidParameter."""
        return await self._client.ask(calls.send_invitation(email, role))

    async def list(self, cursor: str | None = None) -> Page[Invitation]:
        """One page of those that still stand."""
        return await self._client.ask(calls.list_invitations(cursor))

    async def revoke(self, invitation: str) -> None:
        """Take one back. Raises NotFound."""
        await self._client.ask(calls.revoke_invitation(invitation))

    async def accept(self, code: str) -> Welcome | None:
        """Join an org. Without a token, a new person does, and gets one; else it is None.

        Raises NotFound for a code that is used, taken back or too old, Conflict for a member.
        """
        return await self._client.ask(calls.accept_invitation(code))


class AsyncKeys:
    """`client.keys`: what signs the tokens of an org's own servers (S105-S110)."""

    def __init__(self, client: AsyncAsking) -> None:
        self._client = client

    async def list(self, cursor: str | None = None) -> Page[Key]:
        """One page of keys, without their secrets."""
        return await self._client.ask(calls.list_keys(cursor))

    async def create(
        self, name: str, *, use: str | None = None, scopes: Sequence[str] | None = None
    ) -> NewKey:
        """A new key, with its secret this once (S109); `use` is `production` or `ci` (S107, S108).

        Raises InvalidParameter.
        """
        return await self._client.ask(calls.create_key(name, use, scopes))

    async def delete(self, key: str) -> None:
        """What it has signed is refused from now on. Raises NotFound."""
        await self._client.ask(calls.delete_key(key))


class AsyncTokens:
    """`client.tokens`: a person's own access tokens."""

    def __init__(self, client: AsyncAsking) -> None:
        self._client = client

    async def list(self, cursor: str | None = None) -> Page[AccessToken]:
        """One page of them, without their secrets."""
        return await self._client.ask(calls.list_tokens(cursor))

    async def create(self, name: str, *, expires_at: str | None = None) -> AccessToken:
        """A new one, with `access_token` this once; `expires_at` is ISO 8601.

        Raises InvalidParameter.
        """
        return await self._client.ask(calls.create_token(name, expires_at))

    async def delete(self, token: str) -> None:
        """It is refused from now on. Raises NotFound."""
        await self._client.ask(calls.delete_token(token))


class AsyncIdentityProviders:
    """`client.identity_providers`: whose tokens may be exchanged (S117, S118)."""

    def __init__(self, client: AsyncAsking) -> None:
        self._client = client

    async def list(self, cursor: str | None = None) -> Page[IdentityProvider]:
        """One page of them, without their keys."""
        return await self._client.ask(calls.list_identity_providers(cursor))

    async def upsert(
        self, *, audience: str | None = None, issuer: str | None = None,
        algorithms: Sequence[str], mapping: Mapping[str, Any], key: bytes | None = None,
        jwks_url: str | None = None,
    ) -> None:  # fmt: skip
        """Make the one of a pair of audience and issuer, or change it; `key` or `jwks_url`.

        Raises InvalidParameter.
        """
        await self._client.ask(
            calls.upsert_identity_provider(audience, issuer, algorithms, mapping, key, jwks_url)
        )

    async def delete(self, *, audience: str | None = None, issuer: str | None = None) -> None:
        """Its tokens are exchanged no more (S124). Raises NotFound."""
        await self._client.ask(calls.delete_identity_provider(audience, issuer))


class AsyncTokenProviders:
    """`client.token_providers`: what tokens are exchanged for (S119)."""

    def __init__(self, client: AsyncAsking) -> None:
        self._client = client

    async def list(self, cursor: str | None = None) -> Page[TokenProvider]:
        """One page of them."""
        return await self._client.ask(calls.list_token_providers(cursor))

    async def upsert(self, service: str, *, key: str, mapping: Mapping[str, Any]) -> None:
        """Make that of a service, or change it. Raises InvalidParameter."""
        await self._client.ask(calls.upsert_token_provider(service, key, mapping))

    async def delete(self, service: str) -> None:
        """No token is given out there any more (S124). Raises NotFound."""
        await self._client.ask(calls.delete_token_provider(service))


class AsyncServer:
    """`client.server`: who asks, and what an org's server has noted."""

    def __init__(self, client: AsyncAsking) -> None:
        self._client = client

    async def info(self) -> Info:
        """Who asks, and what they may do. Raises Forbidden for a token that is none."""
        return await self._client.ask(calls.get_info())

    async def billing(self) -> str:
        """The address of a billing portal. Raises NotFound on a server of one's own (Q50)."""
        return await self._client.ask(calls.get_billing())

    async def usage(self) -> list[Usage]:
        """What the org has used, by month (S194)."""
        return await self._client.ask(calls.get_usage())

    async def audit(self, cursor: str | None = None) -> Page[AuditEntry]:
        """One page of who did what, oldest first."""
        return await self._client.ask(calls.list_audit(cursor))

    async def logs(
        self, since: str, *, until: str | None = None, machine: str | None = None,
        instance: str | None = None, version: str | None = None,
    ) -> LogBatch:  # fmt: skip
        """What machine code has printed after a time, both ISO 8601, at most 100 entries (S176)."""
        return await self._client.ask(calls.get_logs(since, until, machine, instance, version))


class Orgs:
    """`client.orgs` of a `Client`; see `AsyncOrgs`."""

    def __init__(self, client: Asking) -> None:
        self._client = client

    def list(self, cursor: str | None = None) -> Page[Org]:
        return self._client.ask(calls.list_orgs(cursor))

    def create(self, name: str, *, allow_anonymous_access: bool = True) -> str:
        return self._client.ask(calls.create_org(name, allow_anonymous_access))


class Members:
    """`client.members` of a `Client`; see `AsyncMembers`."""

    def __init__(self, client: Asking) -> None:
        self._client = client

    def list(self, cursor: str | None = None) -> Page[Member]:
        return self._client.ask(calls.list_members(cursor))

    def set_role(self, user: str, role: str) -> None:
        self._client.ask(calls.set_role(user, role))

    def remove(self, user: str) -> None:
        self._client.ask(calls.remove_member(user))


class Invitations:
    """`client.invitations` of a `Client`; see `AsyncInvitations`."""

    def __init__(self, client: Asking) -> None:
        self._client = client

    def send(self, email: str, role: str = "write") -> Invitation:
        return self._client.ask(calls.send_invitation(email, role))

    def list(self, cursor: str | None = None) -> Page[Invitation]:
        return self._client.ask(calls.list_invitations(cursor))

    def revoke(self, invitation: str) -> None:
        self._client.ask(calls.revoke_invitation(invitation))

    def accept(self, code: str) -> Welcome | None:
        return self._client.ask(calls.accept_invitation(code))


class Keys:
    """`client.keys` of a `Client`; see `AsyncKeys`."""

    def __init__(self, client: Asking) -> None:
        self._client = client

    def list(self, cursor: str | None = None) -> Page[Key]:
        return self._client.ask(calls.list_keys(cursor))

    def create(
        self, name: str, *, use: str | None = None, scopes: Sequence[str] | None = None
    ) -> NewKey:
        return self._client.ask(calls.create_key(name, use, scopes))

    def delete(self, key: str) -> None:
        self._client.ask(calls.delete_key(key))


class Tokens:
    """`client.tokens` of a `Client`; see `AsyncTokens`."""

    def __init__(self, client: Asking) -> None:
        self._client = client

    def list(self, cursor: str | None = None) -> Page[AccessToken]:
        return self._client.ask(calls.list_tokens(cursor))

    def create(self, name: str, *, expires_at: str | None = None) -> AccessToken:
        return self._client.ask(calls.create_token(name, expires_at))

    def delete(self, token: str) -> None:
        self._client.ask(calls.delete_token(token))


class IdentityProviders:
    """`client.identity_providers` of a `Client`; see `AsyncIdentityProviders`."""

    def __init__(self, client: Asking) -> None:
        self._client = client

    def list(self, cursor: str | None = None) -> Page[IdentityProvider]:
        return self._client.ask(calls.list_identity_providers(cursor))

    def upsert(
        self, *, audience: str | None = None, issuer: str | None = None,
        algorithms: Sequence[str], mapping: Mapping[str, Any], key: bytes | None = None,
        jwks_url: str | None = None,
    ) -> None:  # fmt: skip
        self._client.ask(
            calls.upsert_identity_provider(audience, issuer, algorithms, mapping, key, jwks_url)
        )

    def delete(self, *, audience: str | None = None, issuer: str | None = None) -> None:
        self._client.ask(calls.delete_identity_provider(audience, issuer))


class TokenProviders:
    """`client.token_providers` of a `Client`; see `AsyncTokenProviders`."""

    def __init__(self, client: Asking) -> None:
        self._client = client

    def list(self, cursor: str | None = None) -> Page[TokenProvider]:
        return self._client.ask(calls.list_token_providers(cursor))

    def upsert(self, service: str, *, key: str, mapping: Mapping[str, Any]) -> None:
        self._client.ask(calls.upsert_token_provider(service, key, mapping))

    def delete(self, service: str) -> None:
        self._client.ask(calls.delete_token_provider(service))


class Server:
    """`client.server` of a `Client`; see `AsyncServer`."""

    def __init__(self, client: Asking) -> None:
        self._client = client

    def info(self) -> Info:
        return self._client.ask(calls.get_info())

    def billing(self) -> str:
        return self._client.ask(calls.get_billing())

    def usage(self) -> list[Usage]:
        return self._client.ask(calls.get_usage())

    def audit(self, cursor: str | None = None) -> Page[AuditEntry]:
        return self._client.ask(calls.list_audit(cursor))

    def logs(
        self, since: str, *, until: str | None = None, machine: str | None = None,
        instance: str | None = None, version: str | None = None,
    ) -> LogBatch:  # fmt: skip
        return self._client.ask(calls.get_logs(since, until, machine, instance, version))
