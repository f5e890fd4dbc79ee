"""The values on a line that Typer would take, and that nobody meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from smply.cli._argv import GLOBAL_SHORTS, HELP, CommandRow, Line, OptionRow, row_of
from smply.cli._options import JSON_OPTIONS, example_of
from smply.errors import UsageError


@dataclass(frozen=True)
class _Given:
    """An option as it stands on the line; `apart` when its value is a word of its own."""

    flag: str
    row: OptionRow
    value: str
    apart: bool


def refuse_values(line: Line, table: CommandRow) -> None:
    """Refuse an option whose value is empty or another option, or that has two values.

    An empty value is a shell variable that was not set. Hidden options are not built, which
    is said of them whatever their value.
    """
    if any(word in HELP for word in line.args):
        return
    command = row_of(line.words, table)
    seen: dict[str, _Given] = {}
    for given in _values(line.args[len(line.words) :], command):
        if given.row.hidden:
            continue
        _refuse_option_as_value(given, command)
        if not given.value:
            raise UsageError(f"{given.row.name} is empty", hint=_instead(given.row))
        first = seen.setdefault(given.row.name, given)
        if not given.row.many and given.value != first.value:
            raise UsageError(_twice(first, given), hint="leave one of them out")


def _values(args: Sequence[str], command: CommandRow) -> Iterator[_Given]:
    waiting = list(args)
    while waiting and (word := waiting.pop(0)) != "--":
        flag, value = _split(word, command)
        row = command.options.get(flag)
        if row is None or not row.takes_value:
            continue
        if value is not None:
            yield _Given(flag, row, value, apart=False)
        elif waiting:
            yield _Given(flag, row, waiting.pop(0), apart=True)


def _split(word: str, command: CommandRow) -> tuple[str, str | None]:
    """The option of a word, the last of short ones that stand together, and its value if any."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value if equals else None
    for at in range(1, len(word) if word.startswith("-") else 0):
        row = command.options.get(f"-{word[at]}")
        if row is None or row.takes_value:
            return f"-{word[at]}", word[at + 1 :] or None
    return word, None


def _refuse_option_as_value(given: _Given, command: CommandRow) -> None:
    other = given.value.partition("=")[0] if given.value.startswith("--") else given.value
    known = other in command.options or other in GLOBAL_SHORTS or other in HELP
    if given.apart and known:
        joined = f"{given.row.name}={given.value}"
        raise UsageError(
            f"{given.flag} needs a value, and {other} is an option",
            hint=f"{joined} if that is the value",
        )


def _instead(row: OptionRow) -> str:
    if row.name in JSON_OPTIONS:
        return example_of(row.name)
    example = f"{row.name} {row.metavar}"
    return example if row.required else f"{example}, or leave it out"


def _twice(first: _Given, second: _Given) -> str:
    if first.flag == second.flag:
        return f"{first.flag} is given twice, with different values"
    return f"{first.flag} and {second.flag} are one option, given different values"
