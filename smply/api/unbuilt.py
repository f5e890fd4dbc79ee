"""What the contract and its extensions have and smply has not yet: answered 501, never ignored."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from smply.errors import NotBuilt

ROUTES = (
    ("GET", "/machines/{machineSlug}/indexes/{index}/query"),
    ("PUT", "/machines/{machineSlug}/i/{instanceSlug}/v"),
    ("POST", "/machines/{machineSlug}/migrations"),
    ("PUT", "/machines/{machineSlug}/migrations/{signedMachineVersionMigrationId}"),
    ("GET", "/rt"),
    ("*", "/http-api/{orgId}/machines/{machineSlug}/{httpApiSlug}"),
    ("GET", "/smply/machines/{machineSlug}/migrations"),
    ("POST", "/smply/machines/{machineSlug}/migrations/try"),
    ("GET", "/smply/deliveries"),
    ("POST", "/smply/deliveries/{id}/retry"),
    ("DELETE", "/smply/deliveries/{id}"),
    ("GET", "/smply/machines/{machineSlug}/i"),
    ("GET", "/smply/machines/{machineSlug}/i/{instanceSlug}/events/{seq}"),
)
"""Method and path; `*` is every method."""

HEADERS = frozenset({b"if-match", b"idempotency-key"})
"""Headers that change what a request does (extensions.md, marked 2)."""


MEMBERS = frozenset({"dryRun", "ifState", "indexes", "indexSelectors"})
"""Members of bodies. Machines with services are refused when published: runtime/check.py."""


def refuse_members(**asked: object) -> None:
    """501 for a member of a body that is there and not built yet."""
    for name, value in asked.items():
        if value is not msgspec.UNSET:
            assert name in MEMBERS, name
            raise NotBuilt(f"{name} is not supported yet")


def refuse_headers(headers: Mapping[bytes, bytes]) -> None:
    """501 for a header that is asked for and not built yet."""
    for name in HEADERS & headers.keys():
        raise NotBuilt(f"the header {name.decode()} is not supported yet")
