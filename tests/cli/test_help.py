"""What `--help` says of each command: whole, within the screen, and true."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from smply.cli import build_app
from smply.identity.scopes import SCOPES
from tests.cli.conftest import SOURCE, Run

HOUSE_NUMBER = re.compile(r"\b[FGSQWC]\d+\b")
ID = "FsrMf_baSJG53SBNSUszzw"


def commands(tree: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that lead to it."""
    below = getattr(tree, "commands", None)
    if below is None:
        yield words, tree
    for name, command in (below or {}).items():
        if not command.hidden:
            yield from commands(command, (*words, name))


TREE = list(commands(get_command(build_app())))


def examples(command: Any) -> list[str]:
    """The examples of its docstring, some of several lines."""
    return re.findall(r"^smply (?:.+\\\n)*.+", command.help or "", re.MULTILINE)


EXAMPLES = [
    example
    for _, command in TREE
    for example in examples(command)
    # They need a server, and a backup.
    if not example.startswith(("smply login ", "smply restore "))
]


@pytest.mark.parametrize(("words", "command"), TREE, ids=[" ".join(words) for words, _ in TREE])
def test_the_help_of_a_command_fits_the_screen(
    words: tuple[str, ...], command: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    command.main(args=["--help"], prog_name=" ".join(("smply", *words)), standalone_mode=False)
    told = capsys.readouterr().out
    assert told.startswith("Usage: smply ")
    assert [line for line in told.splitlines() if len(line) > 80] == []
    assert HOUSE_NUMBER.search(told) is None
    # As one line, or as the lines that it is written in: it is there to be copied.
    assert all(example.replace("\n", "\n  ") in told for example in examples(command))


def test_every_option_is_explained() -> None:
    bare = [
        (words, param.name)
        for words, command in TREE
        for param in command.params
        if not param.hidden and not param.help
    ]
    assert bare == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_a_command_that_is_understood(
    run: Run, example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2 is what a command ends with that was wrong; what it names need not be there."""
    monkeypatch.chdir(tmp_path)
    for name in ("src/checkout.ts", "dist/checkout.js"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(SOURCE.read_bytes())
    for name in ("secret.txt", "jwt.txt", "code.txt"):
        (tmp_path / name).write_text(f"sbsec_{'s' * 43}\n")
    for name in re.findall(r"smply profile (?:use|delete) (.+)", example):
        assert run("profile", "set", name, "--url", "https://smply.example.com").status == 0
    # A build takes seconds, and is tested elsewhere.
    words = example.replace("\\\n", " ").replace("--node", "--js").partition(" < ")[0]
    monkeypatch.setattr("sys.stdin", io.StringIO("a-token\n"))
    done = run(*shlex.split(words)[1:])
    assert done.status != 2, done.stderr


def test_every_scope_is_named_where_one_is_chosen(run: Run) -> None:
    told = run("keys", "create", "--help").stdout
    assert set(re.findall(r"[a-z-]+(?:\.[a-z-]+)+", told)) == SCOPES
