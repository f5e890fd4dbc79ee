"""Every option of every command of the npm tool is one of ours, however it is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from typer.main import get_command

from smply.cli import build_app
from smply.cli._argv import CommandRow, command_table, rewrite, row_of
from smply.cli._not_built import refuse_command
from smply.errors import NotBuilt
from tests.cli.npm_tool import COMMANDS, GLOBAL_OPTIONS, NOT_BUILT, Option

TREE = get_command(build_app())
TABLE = command_table(TREE)
BUILT = sorted(COMMANDS.keys() - NOT_BUILT)

VALUES = {
    "--version": "ver_FsrMf_baSJG53SBNSUszzw", "--invitation": "inv", "--email": "ann@example.com",
    "--role": "read", "--status": "paused", "--from": "-1h", "--to": "5m",
    "--org": "org_FsrMf_baSJG53SBNSUszzw", "--key": "sbk_FsrMf_baSJG53SBNSUszzw",
    "--mapping": "{}", "--claims": "{}", "--api-url": "http://127.0.0.1:1",
}  # fmt: skip
MORE_LENIENT = {
    ("identity-providers upsert-supabase", "--secret"), ("tokens generate", "--secret"),
    ("identity-providers upsert-auth0", "--domain"),
}  # fmt: skip
"""What the npm tool requires and ours takes from elsewhere too (F7, G4)."""


def row(name: str) -> CommandRow:
    return row_of(name.split(), TABLE)


def test_the_npm_tool_has_41_commands() -> None:
    assert len(COMMANDS) == 41


@pytest.mark.parametrize("name", sorted(NOT_BUILT))
def test_what_is_not_built_is_refused(name: str) -> None:
    with pytest.raises(NotBuilt):
        refuse_command(rewrite(name.split(), TABLE).words)


@pytest.mark.parametrize("name", BUILT)
def test_its_options_are_ours(name: str) -> None:
    options = row(name).options
    for option in COMMANDS[name]:
        ours = options[option.long]
        assert (ours.takes_value, ours.many) == (option.takes_value, option.many), option
        assert ours.required <= option.required
        assert ours.required == option.required or (name, option.long) in MORE_LENIENT
        # `-o` is the global option, which a line is rewritten for.
        assert option.long == "--org" or options[option.short] == ours


@pytest.mark.parametrize("name", BUILT)
def test_we_demand_nothing_that_it_does_not(name: str) -> None:
    theirs = {option.long for option in COMMANDS[name]}
    assert {each.name for each in row(name).options.values() if each.required} <= theirs


@pytest.mark.parametrize("name", BUILT)
def test_every_way_to_write_an_option_means_the_same(name: str) -> None:
    """Long or short, its value apart or joined, global options before the command or after.

    A short flag that both have (`-t`) is the command's own behind it, the global one before (F2).
    """
    words = name.split()
    own = [option for option in COMMANDS[name] if option.long != "--org"]
    every = [option for option in GLOBAL_OPTIONS if option.takes_value]
    long, short, joined = (_written(own, how) for how in ("long", "short", "joined"))
    colliding = row(name).options.keys()
    after = [option for option in every if option.short not in colliding]
    before = [option for option in every if option.short in colliding]
    plain = parsed([*_written(every, "long"), *words, *long])
    for line in (
        [*_written(every, "short"), *words, *short],
        [*_written(every, "joined"), *words, *joined],
        [*words, *long, *_written(every, "long")],
        [*words, *_written(every, "joined"), *long],
        [*_written(before, "short"), *words, *short, *_written(after, "short")],
        [words[0], *_written(every, "short"), *words[1:], *short],
    ):
        assert parsed(line) == plain, line
    assert plain["access_token"] == "value"
    given = {option.long.removeprefix("--").replace("-", "_") for option in own}
    assert len([each for each in plain.values() if each not in (None, False)]) >= len(given) + 3


def _written(options: Sequence[Option], how: str) -> list[str]:
    line: list[str] = []
    for option in options:
        flag = option.short if how == "short" else option.long
        value = VALUES.get(option.long, "value")
        if not option.takes_value:
            line.append(flag)
        elif option.many:
            # Several values after one flag, or the flag again.
            apart = [flag, "HS256", "RS256"]
            line += apart if how != "joined" else [f"{flag}=HS256", f"{flag}=RS256"]
        else:
            line += [f"{flag}={value}"] if how == "joined" else [flag, value]
    return line


def parsed(line: Sequence[str]) -> dict[str, Any]:
    """What a command is given for a line."""
    rewritten = rewrite(line, TABLE)
    command: Any = TREE
    for word in rewritten.words:
        command = command.commands[word]
    context = command.make_context("smply", rewritten.args[len(rewritten.words) :])
    return dict(context.params)
