"""Deleting, pausing, going back: what is asked first, and what is printed."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from smply.cli import _lists as lists
from tests.cli.checkout import CHECKOUT
from tests.cli.conftest import SOURCE, Run

ORDER = ["-m", "checkout", "-i", "order-1042"]
ACT = ["--auth-context", '{"sub": "u_12"}']
ASKING = [
    (["machines", "delete", "-m", "checkout"], "checkout"),
    (["instances", "delete", *ORDER], "order-1042"),
    (["instances", "set-status", *ORDER, "-s", "paused"], "order-1042"),
]


class Typed(io.StringIO):
    """A terminal that somebody types into."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("argv", "name"), ASKING)
@pytest.mark.parametrize(
    ("stdin", "why"),
    [
        (None, "there was no answer"),
        (io.StringIO(""), "there was no answer"),
        (io.StringIO("\n"), '"" is not {}'),
        (io.StringIO("y\n"), '"y" is not {}'),
        (io.TextIOWrapper(io.BytesIO(b"\xff\xfe\n"), "utf-8"), '"\\xff\\xfe" is not {}'),
        (io.StringIO("\x1b[2J\n"), '"\\u001b[2J" is not {}'),
    ],
    ids=["none", "end", "empty", "y", "no text", "control"],
)
def test_what_is_not_confirmed_is_3_and_nothing_is_done(
    data_dir: Path, run: Run, monkeypatch: pytest.MonkeyPatch, argv: list[str], name: str,
    stdin: io.TextIOBase | None, why: str,
) -> None:  # fmt: skip
    """F6, F11."""
    if stdin is not None:
        stdin.seek(0)
    monkeypatch.setattr(sys, "stdin", stdin)
    result = run(*argv)
    assert (result.status, result.stdout) == (3, "")
    assert f"error: not confirmed: {why.format(name)}; nothing was done\n" in result.stderr
    assert not data_dir.exists()


def test_no_more_of_an_answer_is_read_than_a_name_can_be(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line without an end would fill the memory."""
    stdin = io.StringIO("x" * 1_000_000)
    monkeypatch.setattr(sys, "stdin", stdin)
    result = run("machines", "delete", "-m", "checkout", "--quiet")
    assert result.stderr.startswith(f'error: not confirmed: "{"x" * 128}" is not checkout; ')
    assert (result.status, stdin.tell()) == (3, 1_000)


@pytest.mark.parametrize("answer", ["order-1042\n", "order-1042", " order-1042 \r\n"])
def test_an_answer_piped_in_is_taken(
    version: str, run: Run, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """F11."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    result = run("instances", "delete", *ORDER)
    assert (result.status, result.json) == (0, {"name": "order-1042", "deleted": True})
    assert run("instances", "get", *ORDER).status == 5


@pytest.mark.parametrize(("argv", "name"), ASKING)
def test_yes_asks_nothing_and_reads_nothing(
    version: str, run: Run, monkeypatch: pytest.MonkeyPatch, argv: list[str], name: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("no\n"))
    result = run("--yes", *argv)
    assert "not confirmed" not in result.stderr
    assert result.status == (6 if argv[0] == "machines" else 0)
    assert sys.stdin.read() == "no\n"


def test_to_run_again_needs_no_answer(
    version: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    result = run("instances", "set-status", *ORDER, "-s", "running")
    assert (result.status, result.stderr) == (0, "")
    assert result.json == {"name": "order-1042", "status": "running"}


def test_a_terminal_is_asked(
    version: str, look: Run, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Typed("order-1042\n"))
    paused = look("instances", "set-status", *ORDER, "-s", "paused", "--quiet")
    assert paused.stderr.startswith("While order-1042 of checkout is paused, ")
    assert paused.stderr.endswith("\nType order-1042 to confirm: ")
    assert run("instances", "get", *ORDER).json["status"] == "paused"


def test_a_question_without_an_answer_ends_its_line(
    look: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Typed(""))
    result = look("machines", "delete", "-m", "checkout")
    assert "\nType checkout to confirm: \nerror: not confirmed: " in result.stderr


def test_a_question_that_nobody_sees_is_not_asked(
    data_dir: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal to type into, but stderr is a file: to wait would look like hanging."""
    stdin = Typed("checkout\n")
    monkeypatch.setattr(sys, "stdin", stdin)
    result = run("machines", "delete", "-m", "checkout")
    assert result.status == 3
    assert "nobody can see the question" in result.stderr
    assert stdin.tell() == 0


def test_where_json_was_asked_for_only_the_error_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("no\n"))
    result = run("machines", "delete", "-m", "checkout", "--json")
    assert json.loads(result.stderr)["error"]["code"] == "not-confirmed"


def test_a_version_is_shown_whole(version: str, run: Run) -> None:
    shown = run("machine-versions", "get", "-m", "checkout", "-v", version).json
    assert (shown["id"], shown["current"], shown["xstate"]) == (version, True, "5.33.3")
    assert shown["bundle"]["bytes"] == SOURCE.stat().st_size
    assert shown["definition"] == CHECKOUT
    assert run("versions", "get", "-m", "checkout").json == shown


def test_without_a_current_version_there_is_none_to_show(version: str, run: Run) -> None:
    assert run("machines", "create", "-m", "new").status == 0
    result = run("machine-versions", "get", "-m", "new")
    assert result.status == 5
    assert result.stderr == (
        "error: new has no current version\nhint:  smply machine-versions list -m new\n"
    )


def test_an_older_version_is_made_current(version: str, run: Run, look: Run) -> None:
    again = ["-m", "checkout", "-r", "2", "-c", "--js", str(SOURCE)]
    later = run("machine-versions", "create", *again).json["machineVersionId"]
    assert run("machine-versions", "get", "-m", "checkout", "-v", version).json["current"] is False
    result = run("machines", "set-current", "-m", "checkout", "-v", version)
    assert result.json["currentVersion"]["machineVersionId"] == version
    assert run("machines", "get", "-m", "checkout").json["currentVersion"]["id"] == version
    shown = look("machines", "set-current", "-m", "checkout", "-v", later)
    assert shown.stderr.startswith(f"Switched   checkout, {later} is current\n\nNext ")


def test_a_bundle_is_validated_without_a_data_directory(data_dir: Path, run: Run) -> None:
    """F22, F23."""
    result = run("machine-versions", "validate-bundle", "--js", str(SOURCE))
    assert (result.status, result.stdout) == (0, "Valid bundle\n")
    facts = run("machine-versions", "validate-bundle", "--js", str(SOURCE), "--json").json
    assert (facts["states"], facts["transitions"]) == lists._extent(CHECKOUT)
    assert not data_dir.exists()
