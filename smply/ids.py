"""Ids as outsiders see them: a prefix and the 16 bytes of a UUID (x-id-formats)."""

from __future__ import annotations

import base64
import uuid

from smply.errors import InvalidParameter

ORG, USER, VERSION, KEY, TOKEN, INVITATION = "org", "usr", "ver", "sbk", "tok", "inv"
"""The prefixes; the last two are ours."""


def show_id(prefix: str, raw: bytes) -> str:
    """`ver_…`: the prefix and the 16 bytes in base64url without padding."""
    return f"{prefix}_{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}"


def parse_id(prefix: str, text: str, parameter: str) -> bytes:
    """The 16 bytes of an id. Raises InvalidParameter."""
    body = text.removeprefix(f"{prefix}_")
    try:
        raw = uuid.UUID(bytes=base64.b64decode(f"{body}==", altchars=b"-_", validate=True)).bytes
    except ValueError:
        raw = b""
    if show_id(prefix, raw) != text:
        raise InvalidParameter(f"{text[:100]} is no id like {prefix}_…", parameter=parameter)
    return raw
