"""What Typer says of a wrong command line, in our words."""

from __future__ import annotations

import re
from typing import Any

import typer

from smply.cli._argv import CommandRow, row_of
from smply.cli._errors import nearest
from smply.errors import UsageError

_OWNERS_SHOWN = 3


def usage_error(exc: typer.TyperException, words: tuple[str, ...], table: CommandRow) -> UsageError:
    """The error for a line whose command is named by `words`.

    Typer does not export the classes of its errors, so that they are told apart by name; one
    that is not known keeps Typer's own words.
    """
    unknown = _unknown_command(words, table)
    if unknown is not None:
        return unknown
    help_line = " ".join(["smply", *words, "--help"])
    if type(exc).__name__ == "NoSuchOption":
        option = str(exc.option_name)  # type: ignore[attr-defined]
        hint = _place_of(option, words, table) or help_line
        return UsageError(f"there is no option {option}", hint=hint)
    say = _SENTENCES.get(type(exc).__name__, _own_words)
    return UsageError(say(exc), hint=help_line)


def _unknown_command(words: tuple[str, ...], table: CommandRow) -> UsageError | None:
    known = row_of(words[:-1], table).commands
    if not words or not known or words[-1] in known:
        return None
    before = ["smply", *words[:-1]]
    if not words[-1]:
        return UsageError("the name of a command is empty", hint=" ".join([*before, "--help"]))
    near = nearest(words[-1], list(known))
    hint = " ".join([*before, near]) + "?" if near else " ".join([*before, "--help"])
    return UsageError(f"there is no command {' '.join([*before, words[-1]])}", hint=hint)


def _place_of(option: str, words: tuple[str, ...], table: CommandRow) -> str | None:
    """Where an option belongs that this command has not: in its group, elsewhere, or misspelt."""
    here = [group for group in (words[:1], *((name,) for name in table.commands)) if group]
    for group in here:
        commands = row_of(group, table).commands
        owners = [name for name, row in commands.items() if _shows(row, option)]
        if owners:
            some = ", ".join([*owners[:_OWNERS_SHOWN], *(["…"] if owners[_OWNERS_SHOWN:] else [])])
            return f"{option} is an option of smply {group[0]} {some}"
    command = row_of(words, table)
    options = table.options if command.commands else command.options
    shown = [flag for flag, row in options.items() if not row.hidden]
    near = next((flag for flag in shown if flag.startswith(option)), nearest(option, shown))
    return f"{near}?" if near else None


def _shows(command: CommandRow, option: str) -> bool:
    row = command.options.get(option)
    return row is not None and not row.hidden


def _missing(exc: Any) -> str:
    name = max(exc.param.opts, key=len)
    return f"{name if name.startswith('-') else name.upper()} is needed"


def _bad_option(exc: Any) -> str:
    if "requires an argument" in exc.message:
        return f"{exc.option_name} needs a value"
    if "does not take a value" in exc.message:
        return f"{exc.option_name} takes no value"
    return _own_words(exc)


def _own_words(exc: Any) -> str:
    message: str = exc.format_message().rstrip(".")
    if surplus := re.fullmatch(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", message):
        return f"unexpected: {surplus[1]}"
    return message[:1].lower() + message[1:]


_SENTENCES = {
    "MissingParameter": _missing,
    "BadOptionUsage": _bad_option,
}
