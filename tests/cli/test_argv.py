"""argv to Typer's grammar, on the table of the real commands."""

from __future__ import annotations

import shlex

import pytest
from typer.main import get_command

from smply.cli import build_app
from smply.cli._argv import CommandRow, OptionRow, asks_for_json, command_table, rewrite

TABLE = command_table(get_command(build_app()))
MANY = CommandRow(
    {"--org": OptionRow(takes_value=True)},
    {
        "make": CommandRow(
            {
                "--index": OptionRow(takes_value=True, many=True),
                "-i": OptionRow(takes_value=True, many=True),
                "--name": OptionRow(takes_value=True),
                "-n": OptionRow(takes_value=True),
                "-s": OptionRow(takes_value=False),
            }
        )
    },
)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("machines list", "machines list"),
        ("machines list --json", "machines list --json"),
        ("--json machines list", "machines list --json"),
        ("machines --json list", "machines list --json"),
        ("--data-dir d machines list", "machines list --data-dir=d"),
        ("--data-dir=d machines list", "machines list --data-dir=d"),
        ("-V", "-V"),
        ("--version", "--version"),
        ("machines list -V", "machines list -V"),
        ("instances create --version ver_1", "instances create --version ver_1"),
        ("--help", "--help"),
        ("-h machines", "machines --help"),
        ("help", "--help"),
        ("help machines create", "machines create --help"),
        ("machines help create", "machines create --help"),
        ("-o org_1 machines list", "machines list --org=org_1"),
        ("machines list -o org_1", "machines list --org org_1"),
        ("machines list -oorg_1", "machines list --org=org_1"),
        ("machines list -u http://x", "machines list --api-url http://x"),
        ("machines get -t tok -m a", "machines get --access-token tok -m a"),
        ("instances create -t tok", "instances create -t tok"),
        ("-t tok instances create", "instances create --access-token=tok"),
        ("machines create -m a -i x y -n f", "machines create -m a -i x -i y -n f"),
        ("instances get -m -o -i x", "instances get -m -o -i x"),
        ("instances send-event -e '-5' -m a", "instances send-event -e -5 -m a"),
        ("machines list --nothing", "machines list --nothing"),
        ("--nothing machines list", "machines list --nothing"),
        ("logs get --from -5m", "logs get --from -5m"),
    ],
)
def test_a_line_is_rewritten(typed: str, meant: str) -> None:
    assert rewrite(shlex.split(typed), TABLE).args == shlex.split(meant)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("make -i a b", "make -i a -i b"),
        ("make --index a b c -n x", "make --index a --index b --index c -n x"),
        ("make -i a -i b c", "make -i a -i b -i c"),
        ("make -ia b", "make -ia b"),
        ("make --index=a b", "make --index=a b"),
        ("make -si a b", "make -si a -si b"),
        ("make -n a b", "make -n a b"),
        ("make -i -- a", "make -i -- -i a"),
        ("make -- -i a b", "make -- -i a b"),
        ("make -i", "make -i"),
    ],
)
def test_a_repeatable_option_takes_several_values(typed: str, meant: str) -> None:
    assert rewrite(typed.split(), MANY).args == meant.split()


@pytest.mark.parametrize(
    ("typed", "words", "is_group"),
    [
        ("machines create -m x", ("machines", "create"), False),
        ("machines", ("machines",), True),
        ("", (), True),
        ("--json", (), True),
        ("machines delete -m x", ("machines", "delete"), False),
        ("migrations create", ("migrations",), False),
        ("orgs default get", ("orgs", "default", "get"), False),
    ],
)
def test_the_words_of_a_line_name_its_command(
    typed: str, words: tuple[str, ...], is_group: bool
) -> None:
    line = rewrite(typed.split(), TABLE)
    assert (line.words, line.is_group) == (words, is_group)


@pytest.mark.parametrize(
    "typed", ["--json", "--output json", "--output=json", "--jq .", "--fields=a"]
)
def test_a_wrong_line_may_still_ask_for_json(typed: str) -> None:
    assert asks_for_json(["machines", *typed.split()])
    assert not asks_for_json(["machines", "--output", "table", "json"])


def _leaves(row: CommandRow) -> list[CommandRow]:
    below = [leaf for each in row.commands.values() for leaf in _leaves(each)]
    return below if row.commands else [row]


def test_every_command_takes_the_global_options() -> None:
    commands = _leaves(TABLE)
    assert len(commands) > 40
    for command in commands:
        assert {"--json", "--data-dir", "--yes", "-V", "--access-token"} <= set(command.options)


def test_the_options_are_those_of_the_npm_tool() -> None:
    """cli.md, with G1 and G2."""
    machines = TABLE.commands["machines"].commands
    assert {
        "-m", "-i", "-d", "-r", "-j", "-n", "-s", "--machine", "--index", "--index-selectors",
        "--version-reference", "--js", "--file", "--node", "--deno", "--skip-validation",
    } <= set(machines["create"].options)  # fmt: skip
    versions = TABLE.commands["machine-versions"].commands
    assert {"-m", "-r", "-j", "-n", "-d", "-c", "-s", "--make-current"} <= set(
        versions["create"].options
    )
    instances = TABLE.commands["instances"].commands
    assert {"-m", "-i", "-t", "-a", "-c", "-v", "--version"} <= set(instances["create"].options)
    assert {"-m", "-i", "-e", "-t", "-a"} <= set(instances["send-event"].options)
    assert {"--public", "--all"} <= set(instances["get"].options)
    assert "list-transitions" in TABLE.commands["machine-instances"].commands
    assert "list" in TABLE.commands["versions"].commands
