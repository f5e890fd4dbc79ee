"""The npm tool's grammar to Typer's: a pure function of argv and a table of the commands.

Options that belong to every command may stand before it; a repeatable option takes several
values after one flag; `help` asks for help at every level.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

GLOBAL_SHORTS = {"-t": "--access-token", "-u": "--api-url", "-o": "--org"}
"""Short flags that are taken anywhere on the line, unless the subcommand has its own."""

HELP = ("-h", "--help")


@dataclass(frozen=True)
class OptionRow:
    """An option: whether it takes a value, and whether it may be given several.

    `name` is the first of its long names, `metavar` what its value is called in the help.
    """

    takes_value: bool
    many: bool = False
    name: str = ""
    metavar: str = ""
    required: bool = False
    hidden: bool = False


@dataclass(frozen=True)
class CommandRow:
    """A command's options by flag, and the commands below it."""

    options: Mapping[str, OptionRow] = field(default_factory=dict)
    commands: Mapping[str, CommandRow] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """A command line as Typer wants it. `words` name the command, whether it exists or not."""

    words: tuple[str, ...]
    args: list[str]
    is_group: bool


def command_table(command: Any) -> CommandRow:
    """The table of a command tree, as `typer.main.get_command` gives it."""
    below = getattr(command, "commands", {})
    return CommandRow(
        options={
            flag: row
            for param in command.params
            for row in [_option_row(param)]
            for flag in param.opts
            if flag.startswith("-")
        },
        commands={name: command_table(inner) for name, inner in below.items()},
    )


def _option_row(param: Any) -> OptionRow:
    return OptionRow(
        takes_value=not getattr(param, "is_flag", False),
        many=getattr(param, "multiple", False),
        name=next((flag for flag in param.opts if flag.startswith("--")), ""),
        metavar=param.metavar or "",
        required=param.required,
        hidden=getattr(param, "hidden", False),
    )


def row_of(words: Sequence[str], table: CommandRow) -> CommandRow:
    """The row of the command that words name; an empty one where there is none."""
    for word in words:
        table = table.commands.get(word, CommandRow())
    return table


def rewrite(argv: Sequence[str], table: CommandRow) -> Line:
    """The same line in the grammar of Typer."""
    words: list[str] = []
    before: list[str] = []
    rest = list(argv)
    here = table
    while here.commands and rest:
        if rest[0].startswith("-") and len(rest[0]) > 1:
            before += _option(rest, table)
        elif rest[0] == "help" and "help" not in here.commands:
            before.append("--help")
            rest.pop(0)
        else:
            word = rest.pop(0)
            words.append(word)
            if word not in here.commands:
                return Line(tuple(words), [*words, *rest], is_group=False)
            here = here.commands[word]
    if here.commands or "--help" in before or "--version" in before:
        return Line(tuple(words), [*words, *before], is_group=bool(here.commands))
    return Line(tuple(words), [*words, *before, *_spread(rest, here)], is_group=False)


def asks_for_json(argv: Sequence[str]) -> bool:
    """Whether a line that may be wrong in other ways wants JSON, errors included."""
    argv = list(itertools.takewhile(lambda word: word != "--", argv))
    words = [f"{word}={value}" for word, value in zip(argv, [*argv[1:], ""], strict=True)]
    return any(
        word in ("--json", "--fields", "--jq") or word.startswith(("--fields=", "--jq="))
        for word in argv
    ) or any(word.startswith(("--output=json", "--output=yaml")) for word in [*argv, *words])


def _option(rest: list[str], table: CommandRow) -> list[str]:
    """Take an option that stands before its command off the line, under its long name."""
    word = rest.pop(0)
    if word in HELP:
        return ["--help"]
    name, value = _long(word, table)
    row = table.options.get(name)
    if row is None or not row.takes_value:
        return [word]
    if value is None and rest:
        value = rest.pop(0)
    return [name] if value is None else [f"{name}={value}"]


def _long(word: str, table: CommandRow) -> tuple[str, str | None]:
    """An option's long name, and the value that is written onto it."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value if equals else None
    if word[:2] in GLOBAL_SHORTS:
        return GLOBAL_SHORTS[word[:2]], word[2:] or None
    return word, None


def _spread(rest: list[str], command: CommandRow) -> list[str]:
    """A subcommand's own line: `-i a b` becomes `-i a -i b`, global short flags become long."""
    spread: list[str] = []
    waiting = list(rest)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            return [*spread, word, *waiting]
        if word[:2] in GLOBAL_SHORTS and word[:2] not in command.options:
            name, value = GLOBAL_SHORTS[word[:2]], word[2:]
            spread += [f"{name}={value}"] if value else [name, *_take_value(waiting)]
            continue
        spread.append(word)
        row = _waits_for_value(word, command)
        if row is None:
            continue
        spread += _take_value(waiting)
        while row.many and waiting and not _is_option(waiting[0]):
            spread += [word, waiting.pop(0)]
    return spread


def _take_value(waiting: list[str]) -> list[str]:
    return [waiting.pop(0)] if waiting else []


def _waits_for_value(word: str, command: CommandRow) -> OptionRow | None:
    """The option whose value is the next word, None if it has one already or takes none."""
    if word.startswith("--"):
        row = command.options.get(word)
        return row if row is not None and row.takes_value else None
    if not _is_option(word):
        return None
    # Flags may stand together (`-cs`); only the last of them can wait for a value.
    for at, letter in enumerate(word[1:], start=1):
        row = command.options.get(f"-{letter}")
        if row is None:
            return None
        if row.takes_value:
            return row if at == len(word) - 1 else None
    return None


def _is_option(word: str) -> bool:
    return len(word) > 1 and word.startswith("-")
