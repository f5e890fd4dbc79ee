"""A command killed with -9 leaves no process behind (the failure table's first row)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.transcript import Stage, run_piped

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

WHO = ["--machine", "looper", "--instance", "one", "--auth-context", "{}"]
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
MORTAL = ["smply"]
IMMORTAL = [
    sys.executable, "-c",
    "import sys; from smply.runtime import sandbox; from smply import cli;"
    "sandbox.confined = lambda command, *_, **__: command; cli.main(sys.argv[1:])",
]  # fmt: skip
"""The command on a system that knows no parent-death signal."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A stage with the machine looper and its instance `one`, which no test moves far."""
    stage = Stage(tmp_path_factory.mktemp("orphans"))
    (stage.cwd / "looper.ts").write_text(LOOPER)
    _run(stage, "machines", "create", "--machine", "looper", "--node", "looper.ts")
    _run(stage, "instances", "create", *WHO)
    return stage


@pytest.fixture
def directory(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The temporary directory of a test's commands: all their processes have it in their
    environment. Not below tmp_path, which is too long for a socket on some systems."""
    with tempfile.TemporaryDirectory() as name:
        monkeypatch.setenv("TMPDIR", name)
        yield Path(name)
        for left in _living(Path(name)):
            os.kill(int(left.name), signal.SIGKILL)


def _run(stage: Stage, *args: str) -> None:
    done = run_piped(stage, ["smply", *args], None)
    assert done.status == 0, done.stderr


def _kill_when(stage: Stage, directory: Path, command: list[str], moment: Moment) -> None:
    """Send the event that loops, and kill the command at this moment of its Deno process."""
    with subprocess.Popen(
        [*command, "instances", "send-event", *WHO, "--event", "loop"],
        cwd=stage.cwd, env=stage.environment,
    ) as running:  # fmt: skip
        try:
            deadline = time.monotonic() + 20
            while not any(moment(child, directory) for child in _children(running.pid)):
                assert running.poll() is None, "the command ended before its moment"
                assert time.monotonic() < deadline, "the moment did not come"
        finally:
            running.kill()


def _children(pid: int) -> list[Path]:
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [Path("/proc", child) for each in lists for child in _read(each).split()]


def _read(path: Path) -> str:
    """A file of /proc, empty when its process has gone."""
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _is_forked(child: Path, directory: Path) -> bool:
    return child.exists()


def _is_deno(child: Path, directory: Path) -> bool:
    return Path(_read(child / "cmdline").split("\0")[0]).name == "deno"


def _has_connected(child: Path, directory: Path) -> bool:
    """Its socket has been taken away, as soon as it had greeted."""
    return _is_deno(child, directory) and not list(directory.glob("smply-*/*/s[0-9]*"))


def _loops(child: Path, directory: Path) -> bool:
    fields = _read(child / "stat").rpartition(")")[2].split()
    used = sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    return _is_deno(child, directory) and used > LOOPS_CPU_SECONDS


Moment = Callable[[Path, Path], bool]


def _living(directory: Path) -> list[Path]:
    """All processes that commands here started, whoever their parent is by now."""
    return [
        process
        for process in Path("/proc").glob("[0-9]*")
        if str(directory) in _read(process / "environ")
    ]


def _are_gone(directory: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while _living(directory):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("moment", [_is_forked, _is_deno, _has_connected, _loops])
def test_two_seconds_after_a_command_was_killed_no_process_of_it_lives(
    stage: Stage, directory: Path, moment: Moment
) -> None:
    _kill_when(stage, directory, MORTAL, moment)

    assert _are_gone(directory, 2.0), _living(directory)


def test_where_no_signal_tells_of_the_death_the_next_command_ends_what_still_loops(
    stage: Stage, directory: Path
) -> None:
    _kill_when(stage, directory, IMMORTAL, _loops)
    assert len(_living(directory)) == 1

    _run(stage, "instances", "send-event", *WHO, "--event", "turn")

    assert _are_gone(directory, 2.0), _living(directory)
