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


def confirm(
    given: Given, warning: Sequence[str], name: str, *, question: str | None = None
) -> None:
    """Go on only if the answer is this name, or `--yes` was given. Raises NotConfirmed.

    A terminal is asked; what is piped in is taken as the answer. Where the npm tool asks a
    `question`, a yes will do, as hands and scripts answer that. Commands ask before they run an
    event loop, which would keep a Ctrl-C from them.
    """
    if given.yes:
        return
    typed = sys.stdin is not None and sys.stdin.isatty()
    if typed and not given.output.is_watched:
        raise _not_confirmed("nobody can see the question")
    answer = ask(given, warning, (question or f"Type {name} to confirm:") if typed else None)
    if not answer:
        raise _not_confirmed("there was no answer")
    if answer.strip() != name and not (question is not None and is_yes(answer)):
        raise _not_confirmed(f'"{answer.strip()[:128]}" is not {name}')


def is_yes(answer: str) -> bool:
    """Whether a question that ends in `[y/N]` was answered with a yes."""
    return answer.strip().lower() in ("y", "yes")


def ask(given: Given, warning: Sequence[str], prompt: str | None) -> str:
    """The line that is typed or piped in, with its end; nothing at the end of input."""
    answer = ""
    try:
        given.output.question(warning, prompt)
        answer = _answer()
    finally:
        if prompt is not None and not answer.endswith("\n"):
            given.output.end_line()
    return answer


def _answer() -> str:
    """A line of stdin; nothing at its end, or where there is none to read."""
    # Python allows it before the first line is read, and not again.
    if isinstance(sys.stdin, io.TextIOWrapper) and sys.stdin.errors != "backslashreplace":
        sys.stdin.reconfigure(errors="backslashreplace")
    if sys.stdin is None:
        return ""
    with suppress(OSError):
        return sys.stdin.readline(_ANSWER_MAX)
    return ""


def _not_confirmed(why: str) -> NotConfirmed:
    return NotConfirmed(
        f"not confirmed: {why}; nothing was done",
        hint="type or pipe in what is asked for, or use --yes",
    )
