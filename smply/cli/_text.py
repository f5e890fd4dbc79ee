"""Words for people: ages, sizes, state values, and foreign text made harmless."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from smply.cli._frame import ASCII, Marks

if TYPE_CHECKING:
    from smply.models import Json, StateValue


_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)

_SECOND, _MINUTE, _HOUR, _DAY, _YEAR = 1000, 60_000, 3_600_000, 86_400_000, 31_557_600_000
_UNITS = ((_YEAR, "y"), (_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (_SECOND, "s"))


def harmless(text: str) -> str:
    """Foreign text without what a terminal would obey: control and bidirectional signs."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def span(milliseconds: int) -> str:
    """`12 s`, `1 h 47 min`, `3 d`: one unit from a day on, at most two below."""
    if milliseconds < _SECOND:
        return f"{max(milliseconds, 0)} ms"
    seconds = round(milliseconds / _SECOND) * _SECOND
    at = next(i for i, (unit, _) in enumerate(_UNITS) if seconds >= unit)
    size, name = _UNITS[at]
    if size >= _DAY:
        return f"{round(seconds / size)} {name}"
    whole, rest = divmod(seconds, size)
    if at + 1 == len(_UNITS) or rest < _UNITS[at + 1][0]:
        return f"{whole} {name}"
    lower, lower_name = _UNITS[at + 1]
    return f"{whole} {name} {rest // lower} {lower_name}"


def ago(then: int, now: int) -> str:
    """How long ago a time was, both in milliseconds of the epoch."""
    return "just now" if now - then < _SECOND else f"{span(now - then)} ago"


def ahead(then: int, now: int) -> str:
    """How far ahead a time lies, both in milliseconds of the epoch."""
    return "now" if then <= now else f"in {span(then - now)}"


def since(iso: str, now: int) -> str:
    """How long ago a time of ISO 8601 was; what is no time is shown as it is."""
    return _told(ago, iso, now)


def until(iso: str, now: int) -> str:
    """How far ahead a time of ISO 8601 lies; what is no time is shown as it is."""
    return _told(ahead, iso, now)


def _told(words: Callable[[int, int], str], iso: str, now: int) -> str:
    try:
        return words(milliseconds(iso), now)
    except (ValueError, OverflowError):
        return harmless(iso)


def milliseconds(iso: str) -> int:
    """ISO 8601 to milliseconds of the epoch."""
    moment = datetime.fromisoformat(iso)
    return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)


def size(count: int) -> str:
    """`412 B`, `18.4 kB`, `1.2 MB`."""
    if count < 1000:
        return f"{count} B"
    if count < 1_000_000:
        return f"{count / 1000:.1f} kB"
    return f"{count / 1_000_000:.1f} MB"


def plural(count: int, noun: str) -> str:
    """`1 state`, `9 states`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def short_id(version: str) -> str:
    """The first characters of a version id: enough to tell versions apart by eye."""
    return version[:12]


def state_words(value: StateValue) -> str:
    """`payment.(method.invoice, fraud.checking)` for a state value (S31, S32)."""
    if isinstance(value, str):
        return harmless(value)
    parts = [_region_words(key, inner) for key, inner in value.items()]
    return ", ".join(parts)


def _region_words(key: str, inner: StateValue) -> str:
    words = state_words(inner)
    if not words:
        return harmless(key)
    several = isinstance(inner, dict) and len(inner) > 1
    return f"{harmless(key)}.({words})" if several else f"{harmless(key)}.{words}"


def compact(value: Json, marks: Marks) -> str:
    """A value as JSON in one line."""
    return harmless(
        json.dumps(value, ensure_ascii=marks is ASCII, separators=(", ", ": "), default=str)
    )


def cut(value: Json, width: int, marks: Marks) -> str:
    """A value in one line of at most `width` characters, saying what is left out."""
    whole = compact(value, marks)
    if len(whole) <= width:
        return whole
    if isinstance(value, list):
        return f"[{plural(len(value), 'item')}]"
    if isinstance(value, dict):
        return f"{{{plural(len(value), 'key')}}}"
    left = f'{marks.ellipsis} {size(len(whole.encode()))}"' if isinstance(value, str) else ""
    if len(left) + 2 > width:
        left = marks.ellipsis
    return f"{whole[: max(width - len(left), 2)]}{left}"
