"""Names, limits, headers and proofs of the contract that several rooms must agree on."""

from __future__ import annotations

import re
from datetime import UTC, datetime

NAME = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
"""A name of a machine or an instance (C4)."""

USES = {
    "production": frozenset({"events.write", "state.read", "instances.write", "indexes.read"}),
    "ci": frozenset({
        "machines.read", "machines.write", "machine-versions.read", "machine-versions.write",
    }),
}  # fmt: skip
"""What a key is made for (S107, S108)."""

BUNDLE_BYTES_MAX = 10_000_000
BUNDLE_GZIPPED_BYTES_MAX = 1_000_000
"""Of the code of a version, as it is and gzipped (S22)."""

CONTEXT_BYTES_MAX = 400_000
"""Of a context as UTF-8 JSON (S57)."""

EVENT_BYTES_MAX = 400_000
"""Of an event as UTF-8 JSON (Q46)."""

STATE_BYTES_MAX = 400_000
"""Of a state's value, and of its tags, as UTF-8 JSON."""

REST_BYTES_MAX = 1_000_000
"""Of what else the next step needs: XState 4 keeps its event, XState 5 its output."""

ANSWER_BYTES_MAX = 2_000_000
"""Of what outsiders see of a state: its value twice, tags and public context."""

DELIVERIES_MAX = 1_000
DELIVERIES_BYTES_MAX = 2_000_000
"""Of the events that one step sends to itself or cancels: how many, and their size together."""

PLATFORM_EVENTS = (
    "xstate.", "done.invoke.", "done.state.", "error.platform.",
    "error.execution", "error.communication", "statebacked.",
)  # fmt: skip
"""Beginnings of event types that nobody outside may send (Q64)."""

ACT_HEADER = "x-statebacked-act"
"""The auth context that a request is made with, as JSON (S114)."""

ORG_HEADER = "x-statebacked-org-id"
"""The org of a request, where its credential leaves it open (S113)."""


VERSION_HEADER = "smply-version"
"""The version of smply, in every request of our client and every answer of our server."""

AUDIENCE = "https://api.statebacked.dev/"
"""What every token library of State Backed writes as `aud`, whichever server it is for (S111)."""


def confirmation(machine: str, name: str) -> str:
    """What proves that a caller means to delete this machine, or this instance of it (S163)."""
    # Imported here, since every command reads this file and few of them delete.
    import base64
    import hashlib
    import hmac

    digest = hmac.digest(machine.encode(), name.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def show_time(ms: int) -> str:
    """ISO 8601 with milliseconds, as JavaScript's toISOString writes it."""
    # strftime does not pad a year.
    return f"{datetime.fromtimestamp(ms // 1000, UTC).isoformat()[:19]}.{ms % 1000:03}Z"
