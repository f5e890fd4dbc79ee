"""Signals to a command in the middle of its work, and a reader that has gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smply.runtime.children import reap, start_time
from tests.acceptance.transcript import Stage, run_piped

ACT = ["--auth-context", "{}"]
WHO = ["--machine", "looper", "--instance", "one"]
LOOPER = """
import { createMachine } from "xstate";
export const allowRead = () => true;
export const allowWrite = () => true;
export default createMachine({
  on: { turn: {}, loop: { guard: () => { for (;;); } } },
});
"""
LOOPS_CPU_SECONDS = 0.15
"""A process that has used so much loops: to start takes it a third. After 2 s it is stopped."""


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where commands tell of their processes, so that no other smply here ends them."""
    # Not below tmp_path, which is too long for a socket on some systems.
    with tempfile.TemporaryDirectory() as directory:
        monkeypatch.setenv("TMPDIR", directory)
        shared = Path(directory) / f"smply-{os.getuid()}"
        yield shared / "children"
        reap(shared)


@pytest.fixture
def stage(tmp_path: Path, children: Path) -> Stage:
    """A stage with the machine looper and its instance `one`."""
    stage = Stage(tmp_path)
    (stage.cwd / "looper.ts").write_text(LOOPER)
    _run(stage, "machines", "create", "--machine", "looper", "--node", "looper.ts")
    _run(stage, "instances", "create", *WHO, *ACT)
    return stage


def _run(stage: Stage, *args: str) -> Any:
    done = run_piped(stage, ["smply", *args], None)
    assert done.status == 0, done.stderr
    return json.loads(done.stdout)


def _events(stage: Stage) -> list[str]:
    return [step["event"]["type"] for step in _run(stage, "instances", "list-transitions", *WHO)]


@pytest.fixture
def looping(stage: Stage) -> Iterator[subprocess.Popen[str]]:
    """A command in the middle of an event whose guard loops, with a process group of its own."""
    command = subprocess.Popen(
        ["smply", "instances", "send-event", *WHO, *ACT, "--event", "loop"],
        cwd=stage.cwd, env=stage.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    with command:
        yield command
        command.kill()


def _deno(command: subprocess.Popen[str], children: Path) -> tuple[int, str]:
    """The process that loops for a command: its id and when it began."""
    found: list[tuple[int, str]] = []

    def loops() -> bool:
        assert command.poll() is None, "the command ended before its machine looped"
        for record in children.glob(f"{command.pid}-*.json"):
            found[:] = [
                (child["pid"], child["start"])
                for child in json.loads(record.read_text())["children"]
            ]
        return any(_cpu_seconds(pid) > LOOPS_CPU_SECONDS for pid, _ in found)

    _wait(loops, 20)
    [deno] = found
    return deno


def _wait(until: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.01)


def _cpu_seconds(pid: int) -> float:
    if sys.platform == "linux":
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    told = subprocess.run(["ps", "-o", "time=", "-p", str(pid)], capture_output=True, text=True)
    minutes, _, seconds = told.stdout.strip().rpartition(":")
    return int(minutes) * 60 + float(seconds)


def test_ctrl_c_ends_a_command_whose_machine_loops(
    stage: Stage, children: Path, looping: subprocess.Popen[str]
) -> None:
    deno, start = _deno(looping, children)
    os.killpg(looping.pid, signal.SIGINT)
    assert looping.communicate(timeout=10) == ("", "")
    assert looping.returncode == 130
    assert start_time(deno) != start
    assert _events(stage) == ["xstate.init"]


def test_a_command_that_is_terminated_leaves_no_process_behind(
    stage: Stage, children: Path, looping: subprocess.Popen[str]
) -> None:
    deno, start = _deno(looping, children)
    looping.terminate()
    assert looping.communicate(timeout=10) == ("", "")
    assert looping.returncode == -signal.SIGTERM
    _wait(lambda: start_time(deno) != start, 2)
    assert _events(stage) == ["xstate.init"]


def _run_unread(stage: Stage, *args: str) -> tuple[int, str]:
    """The exit status and stderr of a command whose reader closed the pipe before it wrote."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        ["smply", *args], cwd=stage.cwd, env=stage.environment, stdout=writer,
        stderr=subprocess.PIPE, text=True, timeout=60,
    )  # fmt: skip
    os.close(writer)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "args",
    [["machines", "list"], ["machines", "create", "-m", "a"], ["--help"], ["--version"]],
    ids=" ".join,
)
def test_a_reader_that_has_gone_is_no_error(tmp_path: Path, args: list[str]) -> None:
    assert _run_unread(Stage(tmp_path), *args) == (0, "")


def test_an_event_whose_answer_nobody_reads_is_there_once(stage: Stage) -> None:
    assert _run_unread(stage, "instances", "send-event", *WHO, *ACT, "--event", "turn") == (0, "")
    assert _events(stage) == ["xstate.init", "turn"]
