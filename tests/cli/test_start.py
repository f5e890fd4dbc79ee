"""What must not be waited for: `--help`, importing the command line, what is not needed."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
import typer

from smply import cli
from smply.cli import build_app
from tests.peers import Peer

HEAVY = (
    "httpx", "rich", "pydantic", "msgspec", "apsw", "starlette", "asyncio", "jq", "keyring",
    "tenacity", "ssl",
)  # fmt: skip
NOT_FOR_A_SERVER = (
    "httpx._main", "pygments", "click", "keyring", "apsw", "starlette", "smply.server",
    "smply.runtime",
)  # fmt: skip
"""Not even where a server is asked: httpx's own command line, rooms of the server."""


def test_help_waits_for_nothing_heavy() -> None:
    code = (
        "import sys; from smply.cli import main; status = main(['instances', 'get', '--help']);"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr); exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert done.stdout.startswith("Usage: smply instances get")


def test_a_command_on_a_server_waits_for_nothing_else() -> None:
    code = (
        "import sys; from smply.cli import main; status = main(sys.argv[1:]);"
        f"print([name for name in {NOT_FOR_A_SERVER} if sys.modules.get(name)], file=sys.stderr);"
        "exit(status)"
    )
    with Peer() as peer:
        done = subprocess.run(
            [sys.executable, "-c", code, "machines", "list", "--api-url", peer.url],
            env={**os.environ, "SMPLY_ACCESS_TOKEN": "t", "NO_PROXY": "127.0.0.1"},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    assert (done.stdout, done.stderr) == ("[]\n", "[]\n")


def test_only_the_groups_that_a_line_names_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """All options of all commands take 50 ms to read."""
    asked: list[Any] = []

    def noted(words: Any = None) -> typer.Typer:
        asked.append(words)
        return build_app(words)

    monkeypatch.setattr(cli, "build_app", noted)
    assert cli.main(["keys", "list", "--help"]) == 0
    assert asked == [["keys", "list", "--help"]]
    some, everything = commands_of(build_app(["keys", "list", "m"])), commands_of(build_app())
    assert {name for name, number in some.items() if number} == {"keys"}
    assert some.keys() == everything.keys()
    assert all(everything.values())


def commands_of(app: typer.Typer) -> dict[str | None, int]:
    """How many commands each of its groups has."""
    return {
        group.name: len(group.typer_instance.registered_commands)
        for group in app.registered_groups
        if group.typer_instance is not None
    }
