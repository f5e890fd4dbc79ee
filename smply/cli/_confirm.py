"""The question before what cannot be undone: the name again (F6, F11)."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from contextlib import suppress

from smply.cli._command import Given
from smply.errors import NotConfirmed

_ANSWER_MAX = 1_000
"""Letters of an answer that are looked at; an endless line would fill the memory."""


def confirm(given: Given, warning: Sequence[str], name: str) -> None:
    """Go on only if the answer is this name, or `--yes` was given. Raises NotConfirmed.

    A terminal is asked; what is piped in is taken as the answer. Commands ask before they run an
    event loop, which would keep a Ctrl-C from them.
    """
    if given.yes:
        return
    typed = sys.stdin is not None and sys.stdin.isatty()
    if typed and not given.output.is_watched:
        raise _not_confirmed("nobody can see the question")
    answer = ""
    try:
        given.output.question(warning, f"Type {name} to confirm:" if typed else None)
        answer = _answer()
    finally:
        if typed and not answer.endswith("\n"):
            given.output.end_line()
    if not answer:
        raise _not_confirmed("there was no answer")
    if answer.strip() != name:
        raise _not_confirmed(f'"{answer.strip()[:128]}" is not {name}')


def _answer() -> str:
    """A line of stdin; nothing at its end, or where there is none to read."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="backslashreplace")
    if sys.stdin is None:
        return ""
    with suppress(OSError):
        return sys.stdin.readline(_ANSWER_MAX)
    return ""


def _not_confirmed(why: str) -> NotConfirmed:
    return NotConfirmed(
        f"not confirmed: {why}; nothing was done", hint="type or pipe in the name, or use --yes"
    )
