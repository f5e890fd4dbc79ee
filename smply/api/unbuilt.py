"""What the contract and its extensions have and smply has not yet: answered 501, never ignored."""

from __future__ import annotations

from collections.abc import Mapping

from smply.errors import NotBuilt

ROUTES = (
    ("GET", "/machines/{machineSlug}/indexes/{index}/query"),
    ("PUT", "/machines/{machineSlug}/i/{instanceSlug}/v"),
    ("POST", "/machines/{machineSlug}/migrations"),
    ("PUT", "/machines/{machineSlug}/migrations/{signedMachineVersionMigrationId}"),
    ("GET", "/logs"),
    ("GET", "/rt"),
    ("GET", "/idps"),
    ("POST", "/idps"),
    ("DELETE", "/idps"),
    ("GET", "/token-providers"),
    ("POST", "/token-providers"),
    ("DELETE", "/token-providers/{service}"),
    ("POST", "/tokens"),
    ("GET", "/orgs"),
    ("POST", "/orgs"),
    ("POST", "/org-members"),
    ("PUT", "/invitations/{invitation}"),
    ("GET", "/keys"),
    ("POST", "/keys"),
    ("DELETE", "/keys/{keyId}"),
    ("*", "/http-api/{orgId}/machines/{machineSlug}/{httpApiSlug}"),
    ("GET", "/openapi.json"),
    ("GET", "/smply/info"),
    ("GET", "/smply/machines/{machineSlug}/v/{machineVersionId}/code"),
    ("GET", "/smply/tokens"),
    ("POST", "/smply/tokens"),
    ("DELETE", "/smply/tokens/{id}"),
    ("GET", "/smply/members"),
    ("PUT", "/smply/members/{user}"),
    ("DELETE", "/smply/members/{user}"),
    ("GET", "/smply/invitations"),
    ("DELETE", "/smply/invitations/{id}"),
    ("GET", "/smply/usage"),
    ("GET", "/smply/audit"),
    ("GET", "/smply/machines/{machineSlug}/migrations"),
    ("POST", "/smply/machines/{machineSlug}/migrations/try"),
    ("GET", "/smply/deliveries"),
    ("POST", "/smply/deliveries/{id}/retry"),
    ("DELETE", "/smply/deliveries/{id}"),
    ("GET", "/smply/machines/{machineSlug}/i"),
    ("GET", "/smply/machines/{machineSlug}/i/{instanceSlug}/events/{seq}"),
)
"""Method and path; `*` is every method."""

INVITATION = "/{invitation}"
"""Where the npm tool accepts an invitation, with PUT (F27)."""

HEADERS = frozenset({b"if-match", b"idempotency-key"})
"""Headers that change what a request does (extensions.md, marked 2)."""


def refuse_headers(headers: Mapping[bytes, bytes]) -> None:
    """501 for a header that is asked for and not built yet."""
    for name in HEADERS & headers.keys():
        raise NotBuilt(f"the header {name.decode()} is not supported yet")
