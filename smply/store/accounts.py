"""What the store keeps of people, orgs, keys and providers, behind one protocol."""

from __future__ import annotations

from typing import Protocol

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

Anonymous = tuple[KeyRow, IdentityProviderRow, TokenProviderRow]
"""What lets strangers in, all of one org (S129)."""


class Accounts(Protocol):
    """Who may come in. It decides nothing; secrets come here sealed, or as a SHA-256.

    Writes, reads and lists are as those of `Store`. Rows that are given need no `row`.
    """

    def revision(self) -> int:
        """Rises with whatever takes rights away or changes them, in whichever process."""

    def has_secrets(self) -> bool:
        """Whether anything is kept that only its key opens."""

    # Orgs and people.

    async def create_org(
        self, org: bytes, name: str, owner: bytes, now: int, anonymous: Anonymous | None
    ) -> None:
        """Keep an org whose owner is its first admin (S192), with what lets strangers in."""

    async def begin_serving(self, anonymous: Anonymous) -> bool:
        """Let strangers in (S129), if this org was never served; False if it was."""

    def list_orgs(self, user: bytes, after: int, limit: int) -> list[OrgRow]:
        """The orgs that a person is a member of."""

    def get_email(self, user: bytes) -> str | None:
        """That of the invitation by which a person came; None for who made the data directory."""

    def get_role(self, org: bytes, user: bytes) -> str | None:
        """`admin`, `write` or `read` (S193); None if they are no member."""

    def list_members(self, org: bytes, after: int, limit: int) -> list[MemberRow]: ...

    async def set_role(self, org: bytes, user: bytes, role: str) -> bool | None:
        """False if there is no such member; None, and nothing is changed, if no admin were left."""

    async def delete_member(self, org: bytes, user: bytes) -> bool | None:
        """False if there is no such member; None, and nothing is changed, if no admin were left."""

    # Access tokens and invitations.

    async def create_access_token(self, token: AccessTokenRow, sha256: bytes) -> None: ...

    def find_access_token(self, sha256: bytes) -> AccessTokenRow | None: ...

    def list_access_tokens(self, user: bytes, after: int, limit: int) -> list[AccessTokenRow]: ...

    async def touch_access_token(self, token: bytes, now: int) -> None:
        """Note that it was used."""

    async def delete_access_token(self, user: bytes, token: bytes) -> bool: ...

    async def create_invitation(self, invitation: InvitationRow, sha256: bytes) -> None: ...

    def find_invitation(self, sha256: bytes) -> InvitationRow | None: ...

    def list_invitations(self, org: bytes, now: int, after: int, limit: int) -> list[InvitationRow]:
        """Those that have not expired by `now`."""

    async def delete_invitation(self, org: bytes, invitation: bytes) -> bool: ...

    async def accept_invitation(
        self, invitation: InvitationRow, user: bytes, now: int,
        new_token: tuple[AccessTokenRow, bytes] | None = None,
    ) -> bool | None:  # fmt: skip
        """Make somebody a member, and their invitation go: all or nothing.

        With `new_token` (and its SHA-256) they are a new person, who is made with it. False if they
        are a member already; None if the invitation is gone.
        """

    # Keys and providers.

    async def create_key(self, key: KeyRow) -> None: ...

    def get_key(self, key: bytes) -> KeyRow | None: ...

    def list_keys(self, org: bytes, after: int, limit: int) -> list[KeyRow]: ...

    async def delete_key(self, org: bytes, key: bytes) -> bool: ...

    async def put_identity_provider(self, provider: IdentityProviderRow) -> None:
        """Keep one, or change the one of that pair (S118)."""

    def find_identity_provider(self, org: bytes, aud: str, iss: str) -> IdentityProviderRow | None:
        """The one of exactly this pair; a blank is a blank."""

    def list_identity_providers(
        self, org: bytes, after: int, limit: int
    ) -> list[IdentityProviderRow]: ...

    async def delete_identity_provider(self, org: bytes, aud: str, iss: str) -> bool: ...

    async def put_token_provider(self, provider: TokenProviderRow) -> bool:
        """Keep one, or change the one of that service (S119); False if the org has no such key."""

    def find_token_provider(self, org: bytes, service: str) -> TokenProviderRow | None: ...

    def list_token_providers(
        self, org: bytes, after: int, limit: int
    ) -> list[TokenProviderRow]: ...

    async def delete_token_provider(self, org: bytes, service: str) -> bool: ...

    # What was done.

    async def add_audit(self, entry: AuditRow) -> None: ...

    def list_audit(self, org: bytes, after: int, limit: int) -> list[AuditRow]: ...
