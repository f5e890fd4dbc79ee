"""`kill -9` of the command between the commit and the answer."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

from tests.acceptance.transcript import Stage, run_piped

ACT = ["--auth-context", '{"sid": "one"}']
WHO = ["--machine", "toggler", "--instance", "one"]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A stage with the toggler and its instance `one`."""
    stage = Stage(tmp_path)
    stage.copy("toggler.ts")
    for args in (
        ["machines", "create", "--machine", "toggler", "--node", "toggler.ts"],
        ["instances", "create", *WHO, *ACT],
    ):
        assert run_piped(stage, ["smply", *args], None).status == 0
    return stage


def _events(stage: Stage) -> list[str]:
    done = run_piped(stage, ["smply", "instances", "list-transitions", *WHO], None)
    return [step["event"]["type"] for step in json.loads(done.stdout)]


def test_an_event_whose_command_was_killed_is_there_once(stage: Stage) -> None:
    """S60; failure table, first row."""
    crash = [sys.executable, "-m", "tests.acceptance.crash", "instances", "send-event"]
    stage.cwd = Path(__file__).parents[2]
    done = run_piped(stage, [*crash, *WHO, *ACT, "--event", "toggle"], None)
    assert (done.status, done.stdout) == (-signal.SIGKILL, "")
    assert _events(stage) == ["xstate.init", "toggle"]


def test_a_timer_whose_command_was_killed_is_made_once(stage: Stage) -> None:
    """S64."""
    send = ["smply", "instances", "send-event", *WHO, *ACT, "--event", "toggle"]
    assert run_piped(stage, send, None).status == 0
    stage.move("+5s")
    stage.cwd = Path(__file__).parents[2]
    crash = [sys.executable, "-m", "tests.acceptance.crash", "instances", "get"]
    assert run_piped(stage, [*crash, *WHO], None).status == -signal.SIGKILL
    assert _events(stage) == ["xstate.init", "toggle", "xstate.after.3000.toggler.on"]
