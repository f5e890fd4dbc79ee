"""What Typer says of a wrong command line, in our words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import typer

from smply.cli._argv import CommandRow
from smply.cli._errors import nearest
from smply.errors import UsageError


def usage_error(exc: typer.TyperException, words: tuple[str, ...], table: CommandRow) -> UsageError:
    """The error for a line whose command is named by `words`.

    Typer does not export the classes of its errors, so that they are told apart by name; one
    that is not known keeps Typer's own words.
    """
    unknown = _unknown_command(words, table)
    if unknown is not None:
        return unknown
    help_line = " ".join(["smply", *words, "--help"])
    say = _SENTENCES.get(type(exc).__name__, _own_words)
    sentence, near = say(exc, [*_row(words, table).options])
    return UsageError(sentence, hint=f"{near}?" if near else help_line)


def _unknown_command(words: tuple[str, ...], table: CommandRow) -> UsageError | None:
    known = _row(words[:-1], table).commands
    if not words or not known or words[-1] in known:
        return None
    before = ["smply", *words[:-1]]
    near = nearest(words[-1], list(known))
    hint = " ".join([*before, near]) + "?" if near else " ".join([*before, "--help"])
    return UsageError(f"there is no command {' '.join([*before, words[-1]])}", hint=hint)


def _row(words: Sequence[str], table: CommandRow) -> CommandRow:
    for word in words:
        table = table.commands.get(word, CommandRow())
    return table


def _no_such_option(exc: Any, options: list[str]) -> tuple[str, str | None]:
    return f"there is no option {exc.option_name}", nearest(exc.option_name, options)


def _missing(exc: Any, options: list[str]) -> tuple[str, str | None]:
    name = max(exc.param.opts, key=len)
    return f"{name if name.startswith('-') else name.upper()} is needed", None


def _bad_option(exc: Any, options: list[str]) -> tuple[str, str | None]:
    if "requires an argument" in exc.message:
        return f"{exc.option_name} needs a value", None
    return _own_words(exc, options)


def _own_words(exc: Any, options: list[str]) -> tuple[str, str | None]:
    message = exc.format_message().rstrip(".")
    if surplus := re.fullmatch(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", message):
        return f"unexpected: {surplus[1]}", None
    return message[:1].lower() + message[1:], None


_SENTENCES = {
    "NoSuchOption": _no_such_option,
    "MissingParameter": _missing,
    "BadOptionUsage": _bad_option,
}
