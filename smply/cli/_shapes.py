"""Answers as the npm tool's JSON: its names, its nesting, and what its callers look for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from smply.models import Machine, TokenProvider, Version, VersionDetail


def plain(value: Any) -> Any:
    """Models as JSON values; what is `slug` on the wire is `name` here."""
    if isinstance(value, msgspec.Struct):
        built = msgspec.to_builtins(value)
        return {("name" if key == "slug" else key): item for key, item in built.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def machine_json(name: str, machine: Machine) -> dict[str, Any]:
    """The answer under `machine`, and beside it what callers look for at the top (W1)."""
    facts = plain(machine)
    return {"machine": facts, "name": name, **facts}


def version_json(detail: VersionDetail, *, current: bool) -> dict[str, Any]:
    """The answer, and whether the version is the current one, before the long definition."""
    facts = plain(detail)
    definition = facts.pop("definition")
    return {**facts, "current": current, "definition": definition}


def created_machine_json(name: str, current: Version | None) -> dict[str, Any]:
    """`currentVersion` holds both the id and the version info (F15)."""
    if current is None:
        return {"name": name}
    return {"name": name, "currentVersion": {"machineVersionId": current.id, **plain(current)}}


def token_provider_json(provider: TokenProvider) -> dict[str, Any]:
    """As the API tells it; `name` is what some callers look for (W5)."""
    facts: dict[str, Any] = plain(provider)
    return {**facts, "name": provider.service}
