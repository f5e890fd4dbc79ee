"""Anonymous sessions: what lets strangers into an org (S128-S133, x-anonymous-sessions)."""

from __future__ import annotations

import json
from collections.abc import Callable

from smply.contract import USES
from smply.identity.keys import Keys
from smply.identity.providers import sealed_key
from smply.identity.secrets import Sealer
from smply.ids import ORG, show_id
from smply.store import Anonymous, IdentityProviderRow, TokenProviderRow

SERVICE = "anonymous-statebacked-dev"

_FROM_SUBJECT = {"sid.$": "$.sid", "did.$": "$.did"}
_CONTEXT = {**_FROM_SUBJECT, "auth": "anonymous"}
"""Exactly these claims, whatever the subject token holds beside them (S132)."""


def anonymous_of(keys: Keys, sealer: Sealer) -> Callable[[bytes], Anonymous]:
    """Makes, for an org, the three rows that let strangers in; they are kept nowhere yet."""

    def make(org: bytes) -> Anonymous:
        shown = show_id(ORG, org)
        issuer = f"https://{shown}.anonymous.auth.statebacked.dev"
        key, _ = keys.make(org, "anonymous sessions", USES["production"])
        sealed = sealed_key(sealer, shown.encode(), org, issuer, issuer)
        identity = IdentityProviderRow(
            0, org, issuer, issuer, '["HS256"]', sealed, None, json.dumps(_FROM_SUBJECT)
        )
        return key, identity, TokenProviderRow(0, org, SERVICE, key.id, json.dumps(_CONTEXT))

    return make
