"""Values that nobody meant, on every option of every command."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from typer.main import get_command

from smply.cli import build_app
from smply.cli._argv import CommandRow, OptionRow, command_table, rewrite
from smply.cli._values import refuse_values
from smply.errors import UsageError
from tests.cli.conftest import Run

TABLE = command_table(get_command(build_app()))


def _commands(table: CommandRow, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, row in table.commands.items():
        yield from _commands(row, (*words, name)) if row.commands else [(*words, name)]


def _options() -> Iterator[tuple[list[str], str, OptionRow]]:
    """Every flag of every command that takes a value and is built."""
    for words in _commands(TABLE):
        row = TABLE
        for word in words:
            row = row.commands[word]
        for flag, option in row.options.items():
            if option.takes_value and not option.hidden:
                yield [*words], flag, option


OPTIONS = [pytest.param(*each, id=" ".join([*each[0], each[1]])) for each in _options()]


def _refused(argv: list[str]) -> str:
    with pytest.raises(UsageError) as refused:
        refuse_values(rewrite(argv, TABLE), TABLE)
    return refused.value.message


@pytest.mark.parametrize(("words", "flag", "option"), OPTIONS)
def test_an_option_is_given_one_value_that_is_no_option(
    words: list[str], flag: str, option: OptionRow
) -> None:
    assert _refused([*words, flag, ""]) == f"{option.name} is empty"
    assert _refused([*words, f"{option.name}="]) == f"{option.name} is empty"
    assert _refused([*words, flag, "--json"]) == f"{flag} needs a value, and --json is an option"
    if not option.many:
        twice = f"{flag} is given twice, with different values"
        assert _refused([*words, flag, "a", "--json", flag, "b"]) == twice
        refuse_values(rewrite([*words, flag, "a", flag, "a"], TABLE), TABLE)


@pytest.mark.parametrize(
    "argv",
    [
        ["machines", "get", "-ma"],
        ["machines", "get", "--machine=--json"],
        ["machines", "get", "-m", "-5"],
        ["machines", "get", "-m", "a", "--", "-m", "b"],
        ["machines", "get", "-m", "--json", "--help"],
        ["machines", "create", "-m", "a", "-i", "x", "-i", ""],
        ["machine-versions", "create", "-csm", "a"],
    ],
    ids=" ".join,
)
def test_what_is_meant_is_left_alone(argv: list[str]) -> None:
    refuse_values(rewrite(argv, TABLE), TABLE)


def test_short_options_that_stand_together_have_their_values() -> None:
    argv = ["machine-versions", "create", "-cm", "a", "-mb"]
    assert _refused(argv) == "-m is given twice, with different values"


ORDER = ["-m", "checkout", "-i", "order-1042"]


@pytest.mark.parametrize(
    "argv",
    [
        ["instances", "get", *ORDER, "--fields"],
        ["instances", "get", *ORDER, "--jq"],
        ["instances", "get", *ORDER, "--output"],
        ["instances", "get", *ORDER, "--profile"],
        ["instances", "get", *ORDER, "--data-dir"],
        ["instances", "get", "-m", "checkout", "--instance"],
        ["instances", "create", *ORDER, "-a", "{}", "--version"],
        ["instances", "create", *ORDER, "--auth-context"],
        ["instances", "create", *ORDER, "-a", "{}", "--context"],
        ["instances", "send-event", *ORDER, "-a", "{}", "--event"],
        ["machines", "create", "-m", "m", "--js"],
        ["machines", "create", "-m", "m", "--node"],
        ["machines", "create", "-m", "m", "--version-reference"],
        ["machines", "list"],
        ["completion"],
        [],
    ],
    ids=" ".join,
)
def test_bytes_that_are_no_text_are_no_fault_of_ours(
    version: str, run: Run, argv: list[str]
) -> None:
    result = run(*argv, "\udcff")
    assert (result.status, result.stderr.count("error")) == (2, 1) or "--fields" in argv
    assert "fault" not in result.stderr
