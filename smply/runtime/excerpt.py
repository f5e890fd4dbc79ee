"""A place in a source as a person reads it: file, line, column, and the line with a caret."""

from __future__ import annotations

_WIDTH = 64


def excerpt(name: str, line: int, column: int, text: str, content: str) -> str:
    """`src/a.ts:14:22: text`, and below it the line `content` with a caret.

    `line` and `column` count from 1, the column in characters.
    """
    shown, caret = _window(content, column - 1)
    return f"{name}:{line}:{column}: {text}\n\n{line:>5} │ {shown}\n{'':>5} │ {' ' * caret}^"


def _window(content: str, column: int) -> tuple[str, int]:
    """The part of a line around a column, and where the column is in it; a tab is one blank."""
    content = content.replace("\t", " ").rstrip()
    if len(content) <= _WIDTH:
        return content, column
    start = max(0, min(column - _WIDTH // 2, len(content) - _WIDTH))
    before, after = "… " if start else "", " …" if start + _WIDTH < len(content) else ""
    return f"{before}{content[start : start + _WIDTH]}{after}", column - start + len(before)
