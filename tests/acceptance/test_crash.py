"""`kill -9` of the command between the commit and the answer."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.transcript import Stage, run_piped

ACT = ["--auth-context", '{"sid": "one"}']
WHO = ["--machine", "toggler", "--instance", "one"]
CRASH = [sys.executable, "-m", "tests.acceptance.crash"]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A stage with the toggler, and the command that is killed."""
    stage = Stage(tmp_path)
    stage.copy("toggler.ts")
    _run(stage, "machines", "create", "--machine", "toggler", "--node", "toggler.ts")
    stage.cwd = Path(__file__).parents[2]
    return stage


def _run(stage: Stage, *args: str) -> Any:
    done = run_piped(stage, ["smply", *args], None)
    assert done.status == 0, done.stderr
    return json.loads(done.stdout)


def _crash(stage: Stage, *args: str) -> None:
    done = run_piped(stage, [*CRASH, *args], None)
    assert (done.status, done.stdout) == (-signal.SIGKILL, "")


def _events(stage: Stage) -> list[str]:
    return [step["event"]["type"] for step in _run(stage, "instances", "list-transitions", *WHO)]


def test_an_instance_whose_command_was_killed_is_there_once(stage: Stage) -> None:
    """S60; failure table, first row."""
    _crash(stage, "instances", "create", *WHO, *ACT)
    listed = _run(stage, "instances", "list", "--machine", "toggler")
    assert [instance["name"] for instance in listed] == ["one"]
    assert _events(stage) == ["xstate.init"]
    again = run_piped(stage, ["smply", "instances", "create", *WHO, *ACT], None)
    assert (again.status, again.stdout) == (6, "")
    assert _events(stage) == ["xstate.init"]


def test_an_event_whose_command_was_killed_is_there_once(stage: Stage) -> None:
    """S60; failure table, first row."""
    _run(stage, "instances", "create", *WHO, *ACT)
    _crash(stage, "instances", "send-event", *WHO, *ACT, "--event", "toggle")
    assert _events(stage) == ["xstate.init", "toggle"]


def test_a_timer_whose_command_was_killed_is_made_once(stage: Stage) -> None:
    """S64."""
    _run(stage, "instances", "create", *WHO, *ACT)
    _run(stage, "instances", "send-event", *WHO, *ACT, "--event", "toggle")
    stage.move("+5s")
    _crash(stage, "instances", "get", *WHO)
    assert _events(stage) == ["xstate.init", "toggle", "xstate.after.3000.toggler.on"]
