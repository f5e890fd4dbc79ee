"""Times that people write: ISO 8601, or a span from now."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from smply.contract import show_time
from smply.errors import UsageError

if TYPE_CHECKING:
    from smply.cli._command import Given

_SPAN = re.compile(r"(-?\d+|\d+\.\d+) ?([a-z]+)", re.IGNORECASE | re.ASCII)
_WITHOUT_DAY = re.compile(r"\d{4}(-\d\d)?", re.ASCII)
_UNITS = {
    1: "s sec secs second seconds", 60: "m min mins minute minutes", 3_600: "h hr hrs hour hours",
    86_400: "d day days", 604_800: "w week weeks", 31_557_600: "y yr yrs year years",
}  # fmt: skip
_SECONDS = {name: seconds for seconds, names in _UNITS.items() for name in names.split()}
_YEARS_MS = 253_402_300_799_999
"""The end of the year 9999."""


def moment(option: str, text: str, start: int) -> int:
    """A time in milliseconds of the epoch: ISO 8601 (UTC unless it says), or a span from `start`.

    A span is `-15m`, `2 hours`, `1.5h` (cli.md, "logs").
    """
    span = _span(text)
    at = _iso(option, text) if span is None else start + round(span * 1000)
    if not 0 <= at <= _YEARS_MS:
        raise UsageError(f"{option} {text} is beyond the years that there are")
    return at


def seconds_of(option: str, text: str) -> int:
    """A span that is still to come, in whole seconds."""
    span = _span(text)
    if span is None or not 1 <= span <= _YEARS_MS / 1000:
        raise UsageError(f"{option} {text} is no span of time", hint=f"{option} 15m, 24h or 30d")
    return round(span)


def expiry(given: Given, option: str, text: str | None) -> str | None:
    """When a span from now is over, as ISO 8601; None for ever."""
    return None if text is None else show_time(given.clock.now() + seconds_of(option, text) * 1000)


def _span(text: str) -> float | None:
    found = _SPAN.fullmatch(text.strip())
    unit = _SECONDS.get(found[2].lower()) if found else None
    if found is None or unit is None or len(found[1]) > 15:
        return None
    return float(found[1]) * unit


def _iso(option: str, text: str) -> int:
    whole = text.strip()
    if _WITHOUT_DAY.fullmatch(whole):
        # Which Python does not read.
        whole += "-01-01"[len(whole) - 4 :]
    try:
        at = datetime.fromisoformat(whole)
        return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError, OSError) as exc:
        raise UsageError(
            f'{option} "{text}" is no time', hint=f"{option}=-15m, or {option} 2027-01-15T08:00:00Z"
        ) from exc
