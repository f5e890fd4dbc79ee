"""A question on a real terminal: the answer typed in, Ctrl-C, Ctrl-D; and no terminal at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.session import Session
from tests.acceptance.transcript import Stage, run_piped

DELETE = ["smply", "machines", "delete", "-m", "empty"]
PROMPT = "Type empty to confirm: "
QUESTION = """\
empty will be deleted for ever, with all its versions and their code.
If it has instances, they are to be deleted first.
Nothing can bring it back.
"""


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A stage with the machine `empty`."""
    stage = Stage(tmp_path)
    assert run_piped(stage, ["smply", "machines", "create", "-m", "empty"], None).status == 0
    return stage


def machines(stage: Stage) -> str:
    return run_piped(stage, ["smply", "machines", "list", "--jq", ".[].name"], None).stdout


@pytest.fixture
def asked(stage: Stage) -> Iterator[Session]:
    """A command that waits for its answer."""
    session = Session(stage, DELETE)
    session.read_until(PROMPT)
    session.wait_until_it_reads()
    yield session
    session.close()


def test_the_name_typed_in_confirms(stage: Stage, asked: Session) -> None:
    assert asked.type("empty\n") == 0
    done = "Deleted    empty, with its versions\n"
    assert asked.screen == f"{QUESTION}{PROMPT}empty\n{done}"
    assert machines(stage) == ""


def test_ctrl_c_at_a_question_is_130_at_once(stage: Stage, asked: Session) -> None:
    assert asked.type("\x03") == 130
    assert asked.screen == f"{QUESTION}{PROMPT}^C\n"
    assert machines(stage) == "empty\n"


def test_the_end_of_input_declines(stage: Stage, asked: Session) -> None:
    """F6."""
    assert asked.type("\x04") == 3
    assert asked.screen.startswith(f"{QUESTION}{PROMPT}\nerror: not confirmed: ")
    assert machines(stage) == "empty\n"


@pytest.mark.parametrize("stdin", ["</dev/null", "<&-", "0>/dev/null"])
def test_where_there_is_nobody_it_is_declined_at_once(stage: Stage, stdin: str) -> None:
    """F11; nor does a stdin that is closed, or cannot be read, say yes."""
    done = run_piped(stage, ["bash", "-c", f"{' '.join(DELETE)} {stdin}"], None)
    assert (done.status, done.stdout) == (3, "")
    assert "error: not confirmed: there was no answer; nothing was done\n" in done.stderr
    assert machines(stage) == "empty\n"


@pytest.mark.parametrize("answer", ["y", "yes", "Y", "https://id.example.com/"])
def test_where_the_npm_tool_asks_for_a_yes_a_yes_will_do(stage: Stage, answer: str) -> None:
    """F11: there is no name that one could mistake for another."""
    identity = ["smply", "identity-providers"]
    issuer = ["--issuer", "https://id.example.com/"]
    keys = ["-l", "RS256", "--jwks-url", "https://id.example.com/j", "-m", '{"sub.$": "$.sub"}']
    assert run_piped(stage, [*identity, "upsert", *issuer, *keys], None).status == 0
    session = Session(stage, [*identity, "delete", *issuer])
    session.read_until("Delete it? [y/N] ")
    assert session.type(f"{answer}\n") == 0
    session.close()
    assert run_piped(stage, [*identity, "list", "--jq", "length"], None).stdout == "0\n"
