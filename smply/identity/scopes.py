"""What a caller may do: scopes, and the uses and roles that stand for sets of them."""

from __future__ import annotations

from collections.abc import Iterable

from smply.contract import USES
from smply.errors import InvalidParameter

SCOPES = frozenset({
    "events.write", "events.read", "state.read",
    "instances.read", "instances.write", "instances.admin", "indexes.read",
    "machines.read", "machines.write", "machines.admin",
    "machine-versions.read", "machine-versions.write",
    "analytics.read", "org.read", "org.write", "org.keys.write",
    "org-members.read", "org-members.write", "logs.read", "tokens.admin",
})  # fmt: skip
"""Every scope there is (C5); `org-members.read` is ours (extensions.md)."""

_READ = frozenset(scope for scope in SCOPES if scope.endswith(".read"))
_WRITE = {"events.write", "instances.write", "machines.write", "machine-versions.write"}
ROLES = {"read": _READ, "write": _READ | _WRITE, "admin": SCOPES}
"""What a member of an org may do (Q27)."""

IMPERSONATES = "org.keys.write"
"""Who may make keys may speak for anybody (S115)."""

_ALIASES = {"org-keys.write": "org.keys.write"}


def scopes_of_key(scopes: Iterable[str] | None, use: str | None) -> frozenset[str]:
    """The scopes of a new key: those that are named, or else those of its use (C6, S109).

    Raises InvalidParameter for what is neither.
    """
    if scopes is not None:
        named = frozenset(_ALIASES.get(scope, scope) for scope in scopes)
        unknown = named - SCOPES
        if unknown or not named:
            told = f"{min(unknown)} is no scope" if unknown else "a key has at least one scope"
            raise InvalidParameter(told, parameter="scopes")
        return named
    if use is None:
        raise InvalidParameter("a key has scopes, or a use", parameter="scopes")
    if use not in USES:
        raise InvalidParameter(f"a key's use is one of {', '.join(USES)}", parameter="use")
    return USES[use]
