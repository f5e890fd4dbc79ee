"""History made whole again: full context at any transition, out of merge patches (RFC 7396)."""

from __future__ import annotations

import json
import re
from typing import Any, Protocol

from msgspec.structs import replace

from smply.store.rows import TransitionRow


class History(Protocol):
    """The one question that `rebuild` asks of a store."""

    def list_since_whole(self, instance: int, seq: int) -> list[TransitionRow]:
        """The transitions up to `seq`, from the last one that keeps its whole context."""


def rebuild(store: History, instance: int, seq: int) -> TransitionRow | None:
    """The transition with its context whole, to the letter; None if there is no such one."""
    rows = store.list_since_whole(instance, seq)
    if not rows or rows[-1].seq != seq:
        return None
    context = _parse(rows[0].context or "null")
    for row in rows[1:]:
        context = _merged(context, _parse(row.patch or "{}"))
    return replace(rows[-1], context=_text(context), patch=None)


def merge_patch(target: str, patch: str) -> str:
    """The text that JavaScript makes of `target` after an RFC 7396 merge patch.

    Both are texts of `JSON.stringify`; the order of keys is that of JavaScript's objects.
    """
    return _text(_merged(_parse(target), _parse(patch)))


class _Number(str):
    """A number as it was written: Python would write 1e-7 as 1e-07."""

    __slots__ = ()


def _parse(text: str) -> Any:
    return json.loads(text, parse_int=_Number, parse_float=_Number)


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged


def _text(value: Any) -> str:
    if isinstance(value, _Number):
        return value
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(k)}:{_text(value[k])}" for k in _keys(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, str):
        return _quoted(value)
    return json.dumps(value)


def _keys(value: dict[str, Any]) -> list[str]:
    """JavaScript puts keys that are array indices first, in the order of their numbers."""
    indices = sorted((key for key in value if _is_index(key)), key=int)
    return indices + [key for key in value if not _is_index(key)]


def _is_index(key: str) -> bool:
    return re.fullmatch("0|[1-9][0-9]{0,9}", key) is not None and int(key) < 2**32 - 1


def _quoted(text: str) -> str:
    """As `JSON.stringify` does it: only a lone surrogate is escaped beyond what JSON asks for."""
    quoted = json.dumps(text, ensure_ascii=False)
    return re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", quoted)
