"""The accounts of a SQLite file: people, orgs, keys and providers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import apsw

from smply.store.accounts import Anonymous
from smply.store.queries import SQL, Row, changed, is_true
from smply.store.rows import (
    AccessTokenRow,
    AuditRow,
    IdentityProviderRow,
    InvitationRow,
    KeyRow,
    MemberRow,
    OrgRow,
    TokenProviderRow,
)

_Rows = Callable[[str, Sequence[Any]], list[Row]]
_Write = Callable[[Callable[[apsw.Cursor], Any]], Awaitable[Any]]


class SqliteAccounts:
    """See `Accounts`. It reads and writes with the connections of the store."""

    def __init__(self, rows: _Rows, write: _Write) -> None:
        self._rows = rows
        self._write = write

    def _row(self, query: str, values: Sequence[Any]) -> Row | None:
        rows = self._rows(query, values)
        return rows[0] if rows else None

    async def _change(self, query: str, *values: Any) -> bool:
        return bool(await self._write(lambda cursor: changed(cursor, query, values)))

    def revision(self) -> int:
        row = self._row("get_revision", ())
        assert row is not None
        return int(row[0])

    def has_secrets(self) -> bool:
        row = self._row("has_secrets", ())
        return bool(row and row[0])

    # Orgs and people.

    async def create_org(
        self, org: bytes, name: str, owner: bytes, now: int, anonymous: Anonymous | None
    ) -> None:
        def write(cursor: apsw.Cursor) -> None:
            cursor.execute(SQL["insert_org"], (org, owner, name, now))
            cursor.execute(SQL["insert_member"], (org, owner, "admin", now))
            cursor.execute(SQL["set_served"], (org,))
            if anonymous is not None:
                _allow(cursor, anonymous)

        await self._write(write)

    async def begin_serving(self, anonymous: Anonymous) -> bool:
        def write(cursor: apsw.Cursor) -> bool:
            if not changed(cursor, "set_served", (anonymous[0].org,)):
                return False
            _allow(cursor, anonymous)
            return True

        return bool(await self._write(write))

    def list_orgs(self, user: bytes, after: int, limit: int) -> list[OrgRow]:
        return [OrgRow(*row) for row in self._rows("list_orgs", (user, after, limit))]

    def get_email(self, user: bytes) -> str | None:
        row = self._row("get_email", (user,))
        return None if row is None else row[0]

    def get_role(self, org: bytes, user: bytes) -> str | None:
        row = self._row("get_role", (org, user))
        return None if row is None else str(row[0])

    def list_members(self, org: bytes, after: int, limit: int) -> list[MemberRow]:
        return [MemberRow(*row) for row in self._rows("list_members", (org, after, limit))]

    async def set_role(self, org: bytes, user: bytes, role: str) -> bool | None:
        return await self._keep_an_admin(org, "set_role", (org, user, role))

    async def delete_member(self, org: bytes, user: bytes) -> bool | None:
        return await self._keep_an_admin(org, "delete_member", (org, user))

    async def _keep_an_admin(self, org: bytes, query: str, values: Sequence[Any]) -> bool | None:
        def write(cursor: apsw.Cursor) -> bool | None:
            cursor.execute("SAVEPOINT change")
            found = changed(cursor, query, values)
            kept = is_true(cursor, "has_admin", (org,))
            if not kept:
                cursor.execute("ROLLBACK TO change")
            cursor.execute("RELEASE change")
            return found if kept else None

        result: bool | None = await self._write(write)
        return result

    # Access tokens and invitations.

    async def create_access_token(self, token: AccessTokenRow, sha256: bytes) -> None:
        values = (token.id, token.user, token.name, sha256, token.created_at, token.expires_at)
        await self._change("insert_access_token", *values)

    def find_access_token(self, sha256: bytes) -> AccessTokenRow | None:
        row = self._row("find_access_token", (sha256,))
        return None if row is None else AccessTokenRow(*row)

    def list_access_tokens(self, user: bytes, after: int, limit: int) -> list[AccessTokenRow]:
        rows = self._rows("list_access_tokens", (user, after, limit))
        return [AccessTokenRow(*row) for row in rows]

    async def touch_access_token(self, token: bytes, now: int) -> None:
        await self._change("touch_access_token", token, now)

    async def delete_access_token(self, user: bytes, token: bytes) -> bool:
        return await self._change("delete_access_token", user, token)

    async def create_invitation(self, invitation: InvitationRow, sha256: bytes) -> None:
        values = (
            invitation.id, invitation.org, invitation.email, invitation.role, sha256,
            invitation.created_at, invitation.expires_at,
        )  # fmt: skip
        await self._change("insert_invitation", *values)

    def find_invitation(self, sha256: bytes) -> InvitationRow | None:
        row = self._row("find_invitation", (sha256,))
        return None if row is None else InvitationRow(*row)

    def list_invitations(self, org: bytes, now: int, after: int, limit: int) -> list[InvitationRow]:
        rows = self._rows("list_invitations", (org, now, after, limit))
        return [InvitationRow(*row) for row in rows]

    async def delete_invitation(self, org: bytes, invitation: bytes) -> bool:
        return await self._change("delete_invitation", org, invitation)

    async def accept_invitation(
        self, invitation: InvitationRow, user: bytes, now: int,
        new_token: tuple[AccessTokenRow, bytes] | None = None,
    ) -> bool | None:  # fmt: skip
        def write(cursor: apsw.Cursor) -> bool | None:
            if not changed(cursor, "delete_invitation", (invitation.org, invitation.id)):
                return None
            if new_token is None:
                cursor.execute(SQL["set_email"], (user, invitation.email))
            else:
                token, sha256 = new_token
                cursor.execute(SQL["insert_user"], (user, invitation.email, now))
                values = (token.id, user, token.name, sha256, now, token.expires_at)
                cursor.execute(SQL["insert_access_token"], values)
            member = (invitation.org, user, invitation.role, now)
            return changed(cursor, "insert_member", member)

        result: bool | None = await self._write(write)
        return result

    # Keys and providers.

    async def create_key(self, key: KeyRow) -> None:
        await self._change("insert_key", *_key(key))

    def get_key(self, key: bytes) -> KeyRow | None:
        row = self._row("get_key", (key,))
        return None if row is None else KeyRow(*row)

    def list_keys(self, org: bytes, after: int, limit: int) -> list[KeyRow]:
        return [KeyRow(*row) for row in self._rows("list_keys", (org, after, limit))]

    async def delete_key(self, org: bytes, key: bytes) -> bool:
        return await self._change("delete_key", org, key)

    async def put_identity_provider(self, provider: IdentityProviderRow) -> None:
        await self._change("put_identity_provider", *_identity_provider(provider))

    def find_identity_provider(self, org: bytes, aud: str, iss: str) -> IdentityProviderRow | None:
        row = self._row("find_identity_provider", (org, aud, iss))
        return None if row is None else IdentityProviderRow(*row)

    def list_identity_providers(
        self, org: bytes, after: int, limit: int
    ) -> list[IdentityProviderRow]:
        rows = self._rows("list_identity_providers", (org, after, limit))
        return [IdentityProviderRow(*row) for row in rows]

    async def delete_identity_provider(self, org: bytes, aud: str, iss: str) -> bool:
        return await self._change("delete_identity_provider", org, aud, iss)

    async def put_token_provider(self, provider: TokenProviderRow) -> bool:
        return await self._change("put_token_provider", *_token_provider(provider))

    def find_token_provider(self, org: bytes, service: str) -> TokenProviderRow | None:
        row = self._row("find_token_provider", (org, service))
        return None if row is None else TokenProviderRow(*row)

    def list_token_providers(self, org: bytes, after: int, limit: int) -> list[TokenProviderRow]:
        rows = self._rows("list_token_providers", (org, after, limit))
        return [TokenProviderRow(*row) for row in rows]

    async def delete_token_provider(self, org: bytes, service: str) -> bool:
        return await self._change("delete_token_provider", org, service)

    # What was done.

    async def add_audit(self, entry: AuditRow) -> None:
        values = (
            entry.org, entry.ts, entry.who, entry.action, entry.what, entry.address, entry.request,
        )  # fmt: skip
        await self._change("insert_audit", *values)

    def list_audit(self, org: bytes, after: int, limit: int) -> list[AuditRow]:
        return [AuditRow(*row) for row in self._rows("list_audit", (org, after, limit))]


def _allow(cursor: apsw.Cursor, anonymous: Anonymous) -> None:
    key, identity, token = anonymous
    cursor.execute(SQL["insert_key"], _key(key))
    cursor.execute(SQL["put_identity_provider"], _identity_provider(identity))
    cursor.execute(SQL["put_token_provider"], _token_provider(token))


def _key(row: KeyRow) -> tuple[Any, ...]:
    return (row.id, row.org, row.name, row.scopes, row.secret, row.created_at)


def _identity_provider(row: IdentityProviderRow) -> tuple[Any, ...]:
    return (row.org, row.aud, row.iss, row.algs, row.key, row.jwks_url, row.mapping)


def _token_provider(row: TokenProviderRow) -> tuple[Any, ...]:
    return (row.org, row.service, row.key, row.mapping)
