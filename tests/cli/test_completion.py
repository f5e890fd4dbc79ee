"""Completion: the scripts as they lie in `completions/`, and the words that answer them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from smply.cli import _complete, main
from tests.cli.conftest import Run
from tests.peers import Peer, http

SCRIPTS = Path(__file__).parents[2] / "completions"

Complete = Callable[[str], list[str]]


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Complete:
    """The words that bash is offered for the last word of a line."""

    def complete(line: str) -> list[str]:
        monkeypatch.setenv("_SMPLY_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        assert main([]) == 0
        return capsys.readouterr().out.split()

    return complete


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_scripts_are_what_the_command_prints(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    assert capsys.readouterr().out == (SCRIPTS / f"smply.{shell}").read_text()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("smply mach", ["machines", "machine-versions"]),
        ("smply instances s", ["send-event", "set-status"]),
        ("smply instances set-status -m checkout -i trial --status p", ["paused"]),
        ("smply instances delete -m checkout -i tr", ["trial"]),
        ("smply instances get -m ", ["checkout"]),
        ("smply instances get -m checkout -i order", ["order-1042", "order-1043"]),
        ("smply instances get -m checkout -i zzz", []),
        ("smply instances get --publ", ["--public"]),
        ("smply instances get --jso", ["--json"]),
        ("smply instances create --tok", ["--token"]),
        ("smply instances get --output t", ["tree", "table"]),
        ("smply machines list --output js", ["json", "jsonl"]),
        ("smply machines list --profile l", ["local"]),
        ("smply keys create --use p", ["production"]),
        ("smply completion z", ["zsh"]),
        ("smply instances get -i x -m unknown -i ", []),
    ],
)
def test_a_word_is_completed(version: str, complete: Complete, line: str, words: list[str]) -> None:
    assert complete(line) == words


def test_the_id_of_a_version_is_completed(version: str, complete: Complete) -> None:
    for command in ("instances create", "machines set-current", "machine-versions get"):
        assert complete(f"smply {command} -m checkout --version ver") == [version]


def test_ids_of_keys_orgs_and_members_are_completed(
    version: str, complete: Complete, run: Run
) -> None:
    key = run("keys", "create", "-n", "web", "--quiet").stdout.split()[0]
    me = run("whoami").json
    assert complete("smply keys delete --key sbk") == [key]
    assert complete("smply keys list --org org") == [me["defaultOrg"]]
    assert complete("smply members remove --user usr") == [me["userId"]]


@pytest.mark.parametrize(
    ("shell", "answer"),
    [
        ("zsh", '_arguments \'*: :(("list-transitions":"List an instance'),
        ("fish", "list-transitions\tList an instance"),
    ],
)
def test_other_shells_are_answered_in_their_way(
    shell: str,
    answer: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("_SMPLY_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "smply instances list-")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    assert main([]) == 0
    assert capsys.readouterr().out.startswith(answer)


def test_who_never_ends_is_not_waited_for(
    complete: Complete, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its pages comes in time, and each names another."""
    monkeypatch.setattr(_complete, "_PATIENCE_SECONDS", 0.3)
    count = itertools.count()
    endless = Peer(answers=(lambda: http(f'{{"machines":[],"cursor":"{next(count)}"}}'),))
    with endless as peer:
        assert complete(f"smply machines get --api-url {peer.url} --access-token t -m ") == []
    assert len(peer.asked) > 1


def test_completion_makes_no_data_directory(complete: Complete, data_dir: Path) -> None:
    assert complete("smply machines get -m ") == []
    assert not data_dir.exists()
