"""Who calls, and what they may do: people, orgs, keys, tokens and their exchange.

The engine knows an org and an auth context, and nothing of what is here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from smply.identity.actors import Actor, Identity, LocalIdentity
from smply.store import AuditRow

if TYPE_CHECKING:
    from smply.identity.access import Access
    from smply.identity.callers import TokenIdentity
    from smply.identity.jwks import KeySets, public_only
    from smply.identity.passphrases import open_by_passphrase, seal_by_passphrase
    from smply.identity.secrets import Sealer, open_sealer

__all__ = [
    "Access",
    "Actor",
    "AuditRow",
    "Identity",
    "KeySets",
    "LocalIdentity",
    "Sealer",
    "TokenIdentity",
    "open_by_passphrase",
    "open_sealer",
    "public_only",
    "seal_by_passphrase",
]

_LATE = {
    "Access": "access",
    "KeySets": "jwks",
    "Sealer": "secrets",
    "TokenIdentity": "callers",
    "open_by_passphrase": "passphrases",
    "open_sealer": "secrets",
    "public_only": "jwks",
    "seal_by_passphrase": "passphrases",
}
"""What needs large libraries, and so is imported by whoever asks for it first."""


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"smply.identity.{_LATE[name]}"), name)
