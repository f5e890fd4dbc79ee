"""`--fields` and `--jq`: parts of an answer."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from typing import Any

from smply.cli._interrupt import interruptible
from smply.errors import SmplyError, UsageError

_END = object()


def pick(value: Any, names: Sequence[str]) -> tuple[Any, list[str]]:
    """The named members (`a`, `b.c`) of an object or of each in an array, and the names that
    none of them has."""
    items = value if isinstance(value, list) else [value]
    picked: list[dict[str, Any]] = [{} for _ in items]
    missing = []
    for name in names:
        found = [
            _copy(item, chosen, name.split(".")) for item, chosen in zip(items, picked, strict=True)
        ]
        if items and not any(found):
            missing.append(name)
    return (picked if isinstance(value, list) else picked[0]), missing


def _copy(item: Any, chosen: dict[str, Any], path: list[str]) -> bool:
    key, *rest = path
    if not isinstance(item, dict) or key not in item:
        return False
    if not rest:
        chosen[key] = item[key]
        return True
    inner: dict[str, Any] = chosen.get(key, {})
    found = _copy(item[key], inner, rest)
    if found:
        chosen[key] = inner
    return found


def check_jq(expression: str) -> None:
    """Refuse an expression that jq cannot read, before anything is sent."""
    import jq  # type: ignore[import-not-found]

    try:
        jq.compile(expression)
    except UnicodeEncodeError as exc:
        raise UsageError("--jq holds what is no Unicode text") from exc
    except ValueError as exc:
        raise UsageError(f"--jq cannot be read: {_first_line(exc)}") from exc


def run_jq(expression: str, value: Any) -> Iterator[Any]:
    """The results of a jq expression on a value, one by one: it may have no end of them."""
    import jq

    results = iter(jq.compile(expression).input_value(value))
    try:
        while True:
            # Python hears no signal while jq computes, and an expression may do so for ever.
            with interruptible(signal.SIG_DFL):
                result = next(results, _END)
            if result is _END:
                return
            yield result
    except ValueError as exc:
        raise SmplyError(f"--jq failed on the answer: {_first_line(exc)}", code="jq") from exc


def _first_line(exc: ValueError) -> str:
    return str(exc).strip().partition("\n")[0].removeprefix("jq: error: ").rstrip(":")
