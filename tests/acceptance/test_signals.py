"""Signals to a command in the middle of its work, and a reader that has gone."""

from __future__ import annotations

import fcntl
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
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


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A stage with the machine looper and its instance `one`, to be copied."""
    stage = Stage(tmp_path_factory.mktemp("prepared"))
    (stage.cwd / "looper.ts").write_text(LOOPER)
    _run(stage, "machines", "create", "--machine", "looper", "--node", "looper.ts")
    _run(stage, "instances", "create", *WHO, *ACT)
    return stage


@pytest.fixture
def stage(tmp_path: Path, prepared: Stage, children: Path) -> Stage:
    """A stage with the machine looper and its instance `one`."""
    stage = Stage(tmp_path)
    shutil.copytree(prepared.path, tmp_path, dirs_exist_ok=True)
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


def test_a_reader_that_has_gone_is_no_error(stage: Stage) -> None:
    unread = [
        _run_unread(stage, *args.split())[0]
        for args in (
            "--help",
            "--version",
            "completion bash",
            "quickstart",
            "machines create -m a --quiet",
            "machines list --output table",
            "machines get -m looper",
            "machine-versions create -m looper -r 2 --node looper.ts",
            "machine-versions list -m looper",
            "instances create -m looper -i two -a {}",
            "instances list -m looper",
            "instances get -m looper -i two --output tree",
            "instances list-transitions -m looper -i two --jq repeat(.)",
        )
    ]
    assert unread == [0] * len(unread)
    # Nobody watched the walk beyond its first line.
    assert not (stage.path / "data" / "quickstart" / "smply.db").exists()


def test_an_event_whose_answer_nobody_reads_is_there_once(stage: Stage) -> None:
    assert _run_unread(stage, "instances", "send-event", *WHO, *ACT, "--event", "turn") == (0, "")
    assert _events(stage) == ["xstate.init", "turn"]


# Interrupted at any instant.

SEED = 10
SECONDS_MAX = 3.0
"""What an interrupted command may take to end on a machine that has other things to do."""

_BEGIN = "import os; from smply.__main__ import main; os.close({}); main()"


@dataclass
class Ending:
    """How a command ended that got a signal; `at` in seconds since it began."""

    at: float
    status: int
    stdout: str
    stderr: str
    seconds: float


@contextmanager
def _begun(stage: Stage, args: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A command that has come to its first line: what Python does before is not ours."""
    reader, writer = os.pipe()
    command = subprocess.Popen(
        [sys.executable, "-c", _BEGIN.format(writer), *args], cwd=stage.cwd,
        env=stage.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, pass_fds=[writer],
    )  # fmt: skip
    os.close(writer)
    os.read(reader, 1)
    os.close(reader)
    with command:
        try:
            yield command
        finally:
            command.kill()


def _end(stage: Stage, args: list[str], number: signal.Signals, at: float) -> Ending:
    """Run a command and send it a signal at an instant of its life."""
    with _begun(stage, args) as command:
        with suppress(subprocess.TimeoutExpired):
            command.wait(at)
        command.send_signal(number)
        sent = time.monotonic()
        stdout, stderr = command.communicate(timeout=20)
        return Ending(at, command.returncode, stdout, stderr, time.monotonic() - sent)


def _swept(
    stage: Stage, number: signal.Signals, count: int, args: Callable[[str], list[str]]
) -> dict[str, Ending]:
    """A command for each of several names, interrupted at instants all over its life.

    The first one, `whole`, is left alone, which tells how long that life is.
    """
    begun = time.monotonic()
    with _begun(stage, args("whole")) as whole:
        whole.communicate(timeout=60)
    life = time.monotonic() - begun
    chance = random.Random(SEED)
    instants = [life * (n + chance.random()) / count for n in range(count)]
    return {f"n{n}": _end(stage, args(f"n{n}"), number, at) for n, at in enumerate(instants)}


def _assert_interrupted(endings: dict[str, Ending], children: Path) -> None:
    """They ended with 130, or had done all there was to do; at once, without a word of Python's."""
    for ending in endings.values():
        assert ending.status in (130, 0), ending
        assert ending.seconds < SECONDS_MAX, ending
        assert not re.search("Traceback|Warning|File ", ending.stderr), ending.stderr
    assert 130 in {ending.status for ending in endings.values()}
    assert list(children.glob("*.json")) == []
    assert _deno_processes(children) == []


def _deno_processes(children: Path) -> list[str]:
    """The processes whose command line names the directory of these commands (on Linux)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.fsencode(children.parent) in (process / "cmdline").read_bytes():
                found.append(process.name)
    return found


def _whole(stage: Stage) -> sqlite3.Connection:
    """The database, whose pages and rows are as they should be: a row for each transition."""
    database = sqlite3.connect(stage.path / "data" / "smply.db")
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    wrong = """
        SELECT id FROM instances
        WHERE seq <> (SELECT count(*) FROM transitions WHERE instance = instances.id)
    """
    assert database.execute(wrong).fetchall() == []
    return database


def _machines(stage: Stage) -> dict[str, bool]:
    """The machines that are there, and whether each has a current version."""
    return {each["name"]: "currentVersion" in each for each in _run(stage, "machines", "list")}


def test_ctrl_c_leaves_a_machine_with_its_version_or_none(stage: Stage, children: Path) -> None:
    def create(name: str) -> list[str]:
        return ["machines", "create", "-m", name, "--node", "looper.ts"]

    endings = _swept(stage, signal.SIGINT, 10, create)
    _assert_interrupted(endings, children)
    made = _machines(stage)
    for name, ending in endings.items():
        assert made.get(name) in (None, True), ending
        told = f"Created    {name}, ver_" in ending.stderr or f'"name": "{name}"' in ending.stdout
        assert told == (name in made), ending


def test_ctrl_c_does_not_wait_for_a_version_that_takes_long(stage: Stage, children: Path) -> None:
    (stage.cwd / "endless.js").write_text("for (;;);")
    create = ["machines", "create", "-m", "m", "--js", "endless.js", "--skip-validation"]
    with _begun(stage, create) as command:
        _deno(command, children)
        command.send_signal(signal.SIGINT)
        sent = time.monotonic()
        _, stderr = command.communicate(timeout=20)
        assert (command.returncode, time.monotonic() - sent < SECONDS_MAX) == (130, True)
    assert stderr.splitlines()[1:] == ["Created    m, without a version"]
    assert _machines(stage)["m"] is False


def test_ctrl_c_leaves_an_instance_whole_or_none(stage: Stage, children: Path) -> None:
    endings = _swept(
        stage,
        signal.SIGINT,
        6,
        lambda name: ["instances", "create", "-m", "looper", "-i", name, *ACT],
    )
    _assert_interrupted(endings, children)
    with closing(_whole(stage)) as database:
        there = {name for (name,) in database.execute("SELECT name FROM instances")}
    assert {name for name, ending in endings.items() if ending.status == 0} <= there


def test_ctrl_c_leaves_an_event_once_or_not_at_all(stage: Stage, children: Path) -> None:
    def send(name: str) -> list[str]:
        event = json.dumps({"type": "turn", "name": name})
        return ["instances", "send-event", *WHO, *ACT, "--event", event, "--output", "tree"]

    endings = _swept(stage, signal.SIGINT, 8, send)
    _assert_interrupted(endings, children)
    with closing(_whole(stage)) as database:
        rows = database.execute("SELECT event FROM transitions WHERE seq > 1")
        taken = [json.loads(event)["name"] for (event,) in rows]
    assert len(taken) == len(set(taken))
    assert {name for name, ending in endings.items() if ending.status == 0} <= set(taken)


def test_ctrl_c_ends_the_quickstart(stage: Stage, children: Path) -> None:
    chance = random.Random(SEED)
    instants = [chance.uniform(0, 1), chance.uniform(1, 2)]
    endings = {str(at): _end(stage, ["quickstart"], signal.SIGINT, at) for at in instants}
    _assert_interrupted(endings, children)
    assert {ending.status for ending in endings.values()} == {130}


def test_a_terminated_command_ends_at_once_and_leaves_the_data_whole(
    stage: Stage, children: Path
) -> None:
    """As with kill -9: its processes end with it, and the next command clears what it had."""
    endings = _swept(
        stage,
        signal.SIGTERM,
        4,
        lambda name: ["machines", "create", "-m", name, "--node", "looper.ts"],
    )
    assert {ending.status for ending in endings.values()} <= {-signal.SIGTERM, 0}
    assert not any(ending.stderr.count("Traceback") for ending in endings.values())
    _run(stage, "instances", "send-event", *WHO, *ACT, "--event", "turn")
    _whole(stage).close()
    _wait(lambda: not _deno_processes(children), 2)
    assert list(children.glob("*.json")) == []


def test_ctrl_c_ends_a_jq_expression_without_end(stage: Stage) -> None:
    """Python hears of no signal while jq computes, so that the system ends the command."""
    with _begun(stage, ["machines", "list", "--jq", "def again: again; again"]) as command:
        _wait(lambda: _cpu_seconds(command.pid) > 1, 20)
        command.send_signal(signal.SIGINT)
        assert command.communicate(timeout=SECONDS_MAX) == ("", "")
        assert command.returncode in (-signal.SIGINT, 130)


def test_ctrl_c_ends_a_command_whose_answer_is_not_read(stage: Stage) -> None:
    with _begun(stage, ["machines", "list", "--jq", "range(infinite)"]) as command:
        assert command.stdout is not None
        unread = _unread(command.stdout.fileno())
        _wait(lambda: 0 < next(unread) == next(unread), 20)
        command.send_signal(signal.SIGINT)
        assert command.wait(SECONDS_MAX) in (130, -signal.SIGINT)


def _unread(pipe: int) -> Iterator[int]:
    """How many bytes wait in a pipe, again and again; no more come once it is full."""
    while True:
        time.sleep(0.02)
        told: tuple[int] = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))
        yield told[0]


_LOST = """
import os, signal, sys, weakref

class Finder:
    def find_spec(self, name, path, target=None):
        if name == "smply.cli":
            imported = Finder()
            kept = weakref.ref(imported, lambda _: (os.kill(os.getpid(), signal.SIGINT), len("")))
            del imported

sys.meta_path.insert(0, Finder())
sys.argv = ["smply", "--version"]
from smply.__main__ import main
main()
"""
"""An interrupt in a callback of the kind that Python's imports have: what it raises is ignored."""


def test_an_interrupt_in_the_middle_of_an_import_is_not_lost() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOST], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
