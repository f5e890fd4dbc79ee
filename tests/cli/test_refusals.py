"""What is refused before anything is made, in one sentence each; and help."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

ORDER = ["-m", "checkout", "-i", "order-1042"]
ACT = ["--auth-context", '{"sub": "u_12"}']
NOTHING = "expecting value at column 1"
HALF = "holds what is no Unicode text"
HERE = "a server serves the data directory of this machine"
NO_NAME = "expecting property name enclosed in double quotes at column 2"


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (["instances", "get", "-m", "a b", "-i", "x"], 2, '--machine "a b" is no name'),
        (["instances", "get", "-m", "a", "-i", "../x"], 2, '--instance "../x" is no name'),
        (["instances", "get", "-m", "a"], 2, "--instance is needed"),
        (
            ["instances", "get", "-m", "a", "-i", "b", "--nothing"],
            2,
            "there is no option --nothing",
        ),
        (["instances", "get", "-m"], 2, "-m needs a value"),
        (["machines", "list", "x"], 2, "unexpected: x"),
        (["instances", "send-event", *ORDER, *ACT, "-e", "\udcff"], 2, f"--event {HALF}"),
        (["instances", "create", *ORDER, "-a", '{"a": "\\ud800"}'], 2, f"--auth-context {HALF}"),
        (["instances", "gett"], 2, "there is no command smply instances gett"),
        (["instances", "create", *ORDER], 2, "--auth-context is needed, or --token"),
        (
            ["instances", "create", *ORDER, "-a", "[1]"],
            2,
            "--auth-context must be a JSON object, not an array",
        ),
        (["instances", "create", *ORDER, "-a", "sid"], 2, f"--auth-context is not JSON: {NOTHING}"),
        (
            ["instances", "create", *ORDER, *ACT, "-c", "7"],
            2,
            "--context must be a JSON object, not a number",
        ),
        (
            ["instances", "create", *ORDER, *ACT, "-c", '{"a": NaN}'],
            2,
            "--context is not JSON: it holds NaN",
        ),
        (
            ["instances", "create", *ORDER, *ACT, "-v", "0.0.1"],
            2,
            '--version "0.0.1" is no version id',
        ),
        (["instances", "send-event", *ORDER, *ACT, "-e", ""], 2, "--event is empty"),
        (["instances", "send-event", *ORDER, *ACT, "-e", '{"a": 1}'], 2, '--event has no "type"'),
        (
            ["instances", "send-event", *ORDER, *ACT, "-e", "{bad"],
            2,
            f"--event is not JSON: {NO_NAME}",
        ),
        (["instances", "get", *ORDER, *ACT], 2, "--auth-context is for --public"),
        (["instances", "get", *ORDER, "--public"], 2, "--auth-context is needed, or --token"),
        (
            ["instances", "create", *ORDER, "-t", "x", *ACT],
            2,
            "--auth-context and --token exclude each other",
        ),
        (["instances", "get", *ORDER, "-t", "x"], 2, "--token is for --public"),
        (["machines", "create", "-m", "a", "-i", "x", "y"], 1, "indexes are not supported yet"),
        (["machines", "create", "-m", "a", "-d", "{}"], 1, "indexes are not supported yet"),
        (
            ["machines", "create", "-m", "a", "--js", "a", "--node", "b"],
            2,
            "--js and --node exclude each other",
        ),
        (
            ["machines", "create", "-m", "a", "--deno", "nowhere.ts"],
            2,
            "--node: nowhere.ts does not exist",
        ),
        (["machines", "create", "-m", "a", "--file", "."], 2, "--js: . is a directory"),
        (["machine-versions", "create", "-m", "a", "-r", "1"], 2, "a version needs a file"),
        (["machines", "list", "--profile", "prod"], 2, "there is no profile prod"),
        (["machines", "list", "--output", "tree"], 2, "this command has no tree"),
        (["machines", "list", "--output", "xml"], 2, "--output xml is not known"),
        (
            ["machines", "list", "-u", "ftp://x"],
            2,
            "--api-url is no address of a server: ftp://x",
        ),
        (["machines", "list", "-u", "http://x"], 4, "there is no credential for http://x"),
        (
            ["machines", "list", "--access-token", "x"],
            2,
            "--access-token is for a server, and none is named",
        ),
        (["logs", "watch", "--from", "-5m"], 1, "smply logs watch is not built yet"),
        (["migrations", "create"], 1, "smply migrations is not built yet"),
        (["machines", "delete", "--yes"], 2, "--machine is needed"),
        (["machines", "set-current", "-m", "a", "-v", "1"], 2, '--version "1" is no version id'),
        (["instances", "set-status", *ORDER, "-s", "off"], 2, '--status "off" is not known'),
        (["machine-versions", "validate-bundle"], 2, "--js is needed"),
        (
            ["instances", "delete", *ORDER, "--yes", "--output", "tree"],
            2,
            "this command has no tree",
        ),
        (["serve", "-u", "http://x"], 2, f"--api-url names a server, and {HERE}"),
        (["completion", "tcsh"], 2, "there is no completion for tcsh"),
        (["completion"], 2, "SHELL is needed"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_made(
    data_dir: Path, run: Run, argv: list[str], status: int, message: str
) -> None:
    result = run(*argv)
    assert result.stderr.splitlines()[0] == f"error: {message}"
    assert (result.status, result.stdout) == (status, "")
    assert not data_dir.exists()


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_backup_is_not_of_another_machine_than_the_one_that_is_asked(
    monkeypatch: pytest.MonkeyPatch, run: Run, command: str
) -> None:
    monkeypatch.setenv("SMPLY_API_URL", "https://smply.example.com")
    result = run(command, "file")
    assert result.status == 2
    assert "SMPLY_API_URL names https://smply.example.com, and a backup is" in result.stderr
    assert "no smply.db in" in run("backup", "file", "--profile", "local").stderr


def test_a_wrong_jq_expression_is_refused_before_anything_is_made(data_dir: Path, run: Run) -> None:
    result = run("machines", "list", "--jq", ".[")
    assert result.status == 2
    assert not data_dir.exists()
    assert json.loads(result.stderr)["error"]["message"].startswith("--jq cannot be read: ")


def test_broken_json_is_shown_with_its_place(run: Run) -> None:
    assert (
        run("instances", "create", *ORDER, *ACT, "-c", '{"a": }').stderr
        == """\
error: --context is not JSON: expecting value at column 7
       {"a": }
             ^
hint:  --context '{"key": "value"}'
"""
    )


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["machines", "list", "--output", "table"], "--json and --output table exclude each other"),
        (["quickstart"], "the quickstart is for people and has no JSON"),
        (["machines", "get", "-m", "a b"], '--machine "a b" is no name'),
    ],
)
def test_a_refusal_is_json_where_json_was_asked_for(
    run: Run, argv: list[str], message: str
) -> None:
    result = run(*argv, "--json")
    assert (result.status, result.stdout) == (2, "")
    assert json.loads(result.stderr)["error"]["message"] == message


def test_usage_errors_are_json_where_json_was_asked_for(run: Run) -> None:
    result = run("machines", "get", "--json")
    assert json.loads(result.stderr) == {
        "error": {
            "code": "usage",
            "message": "--machine is needed",
            "hint": "smply machines get --help",
        }
    }


def test_a_group_without_a_command_shows_its_help_on_stderr(run: Run) -> None:
    for argv in ([], ["machines"], ["--json", "instances"]):
        result = run(*argv)
        assert (result.status, result.stdout) == (2, "")
        assert result.stderr.startswith("Usage: smply")


@pytest.mark.parametrize(
    "argv", [["--help"], ["-h"], ["help"], ["machines", "-h"], ["help", "machines", "list"]]
)
def test_help_is_no_error(run: Run, argv: list[str]) -> None:
    result = run(*argv)
    assert (result.status, result.stderr) == (0, "")
    assert result.stdout.startswith("Usage: smply")


def test_hidden_options_are_not_in_the_help(run: Run) -> None:
    shown = run("instances", "create", "--help").stdout
    assert "--auth-context" in shown
    assert "--token" in shown
    assert "--index" not in run("machines", "create", "--help").stdout


@pytest.mark.parametrize(
    "argv", [["--version"], ["-V"], ["--smply-version"], ["machines", "list", "-V"]]
)
def test_the_version_is_the_package_s(
    run: Run, monkeypatch: pytest.MonkeyPatch, argv: list[str]
) -> None:
    """F24."""
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"{name} 9")
    result = run(*argv)
    assert (result.status, result.stdout) == (0, "smply 9\n")
