"""Several processes on one data directory: commands beside commands, engines beside engines."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.acceptance.transcript import Result, Stage, run_piped

ACT = ["--auth-context", '{"sid": "one"}']
WHO = ["--machine", "counter", "--instance", "one"]
CREATE = ["instances", "create", *ACT, "--machine", "counter", "--instance"]
SEND = ["instances", "send-event", *WHO, *ACT, "--event"]
ROOT = Path(__file__).parents[2]
DUMPS = ROOT / "tests" / "store" / "dumps"

COUNTER = """
import { assign, createMachine, sendTo } from "npm:xstate@5";
const count = assign({ public: ({ context }) => ({ n: context.public.n + 1 }) });
const again = sendTo(({ self }) => self, { type: "count" });
const think = () => {
  for (const end = Date.now() + 30; Date.now() < end;);
  return true;
};
export const allowRead = () => true;
export const allowWrite = () => true;
export default createMachine({
  context: { public: { n: 0 } },
  on: {
    count: { actions: count },
    twice: { actions: [count, again] },
    slow: { guard: think, actions: count },
  },
});
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the counter and its instance `one`, to be copied."""
    stage = Stage(tmp_path_factory.mktemp("prepared"))
    (stage.cwd / "counter.js").write_text(COUNTER)
    succeed(run(stage, "machines", "create", "--machine", "counter", "--js", "counter.js"))
    succeed(run(stage, *CREATE, "one"))
    return stage.path


@pytest.fixture
def stage(tmp_path: Path, prepared: Path) -> Stage:
    stage = Stage(tmp_path)
    shutil.copytree(prepared / "data", tmp_path / "data")
    shutil.copy(prepared / "here" / "counter.js", stage.cwd)
    return stage


def run(stage: Stage, *args: str) -> Result:
    return run_piped(stage, ["smply", *args, "--json"], None)


def succeed(done: Result) -> Any:
    assert done.status == 0, done.stderr
    return json.loads(done.stdout)


def begin(stage: Stage, argv: Sequence[str], cwd: Path | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        argv, cwd=cwd or stage.cwd, env=stage.environment, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def end(process: subprocess.Popen[str]) -> Result:
    stdout, stderr = process.communicate(timeout=60)
    return Result(process.returncode, stdout, stderr)


def together(stage: Stage, *commands: Sequence[str]) -> list[Result]:
    """Commands that run at the same time."""
    return [end(each) for each in [begin(stage, ["smply", *args, "--json"]) for args in commands]]


def history(stage: Stage) -> list[tuple[int, str]]:
    """Seq and type of each transition of the counter's instance, as they are stored."""
    connection = apsw.Connection(str(stage.path / "data" / "smply.db"))
    rows = connection.execute(
        "SELECT seq, event ->> 'type' FROM transitions WHERE instance = 1 ORDER BY seq"
    ).fetchall()
    connection.close()
    return [(int(str(seq)), str(kind)) for seq, kind in rows]


def assert_counted(stage: Stage, count: int) -> None:
    """So many events were applied, each once, on the one before."""
    assert [seq for seq, _ in history(stage)] == list(range(1, count + 2))
    state = succeed(run(stage, "instances", "get", *WHO))
    assert state["context"] == {"public": {"n": count}}


def test_commands_beside_commands_are_applied_one_after_the_other(stage: Stage) -> None:
    """S45; failure table: two commands, one event each for one instance."""
    answers = [succeed(done) for done in together(stage, *[[*SEND, "count"]] * 4)]
    assert sorted(answer["publicContext"]["n"] for answer in answers) == [1, 2, 3, 4]
    assert_counted(stage, 4)


def test_of_commands_that_create_one_instance_exactly_one_wins(stage: Stage) -> None:
    """S26, Q9."""
    done = together(stage, *[[*CREATE, "same"]] * 3)
    assert sorted(each.status for each in done) == [0, 6, 6]
    for each in done:
        if each.status:
            error = json.loads(each.stderr)["error"]
            assert (error["code"], error["message"]) == (
                "invalid-state", "counter has an instance named same already",
            )  # fmt: skip
    assert len(succeed(run(stage, "instances", "list", "--machine", "counter"))) == 2


def test_of_commands_that_create_one_machine_exactly_one_wins(stage: Stage) -> None:
    """Q9; the loser has made no version of the winner's machine either."""
    create = ["machines", "create", "--machine", "same", "--js", "counter.js"]
    done = together(stage, create, create)
    assert sorted(each.status for each in done) == [0, 6]
    (lost,) = (each for each in done if each.status)
    error = json.loads(lost.stderr)["error"]
    assert error["code"] == "invalid-state"
    assert "same" in error["message"]
    assert len(succeed(run(stage, "machine-versions", "list", "--machine", "same"))) == 1


def race(stage: Stage, *rivals: Sequence[object]) -> list[dict[str, Any]]:
    """Engines that begin together; each rival is an event's type, how many, how many at once."""
    module = [sys.executable, "-m", "tests.acceptance.rival", str(stage.path / "data")]
    begun = [begin(stage, [*module, "counter", "one", *map(str, r)], ROOT) for r in rivals]
    for process in begun:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in begun:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [succeed(end(process)) for process in begun]


def test_two_engines_that_race_on_one_instance_apply_every_event_once(stage: Stage) -> None:
    """S45; many events each, some of which send the instance another."""
    rounds = lost = 0
    while not lost:
        # On a busy machine one may have ended before the other began.
        rounds += 1
        assert rounds <= 10, "they never met"
        one, other = race(stage, ("count", 300, 16), ("twice", 100, 1))
        assert (one["answers"], other["answers"]) == (300, 100)
        lost = one["lost"] + other["lost"]
    assert_counted(stage, 500 * rounds)
    kinds = [kind for _, kind in history(stage)]
    assert [kinds.count(kind) for kind in ("count", "twice")] == [400 * rounds, 100 * rounds]


def test_an_engine_alone_gets_its_events_through_a_hammering_one(stage: Stage) -> None:
    """A claim after three lost races: nobody starves, however long its steps take."""
    hammering, alone = race(stage, ("count", 1_000, 4), ("slow", 8, 1))
    assert (hammering["answers"], alone["answers"]) == (1_000, 8)
    assert 0 < alone["in_a_row"] <= 3
    assert_counted(stage, 1_008)


@contextmanager
def write_lock(stage: Stage) -> Iterator[None]:
    """Another process that writes for long."""
    other = apsw.Connection(str(stage.path / "data" / "smply.db"))
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


def test_what_waits_too_long_for_another_says_so(stage: Stage, tmp_path: Path) -> None:
    """5 s for a lock of the database; and 5 s for those who hold a directory to be upgraded."""
    old = Stage(tmp_path / "old")
    make_old(old)
    lock = os.open(old.path / "data" / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_SH)
    with write_lock(stage):
        sending = begin(stage, ["smply", *SEND, "count", "--json"])
        upgrading = begin(old, ["smply", "machines", "list", "--json"])
        assert succeed(run(stage, "machines", "list"))
        assert succeed(run(stage, "instances", "get", *WHO))["context"]
        sent, upgraded = end(sending), end(upgrading)
    os.close(lock)
    assert json.loads(sent.stderr)["error"] == {
        "code": "unavailable",
        "message": "Another process kept the database locked for 5 seconds.",
        "hint": "try again in 1 s",
    }
    error = json.loads(upgraded.stderr)["error"]
    assert error["code"] == "data-directory"
    assert f"but process {os.getpid()} is using it" in error["message"]
    assert succeed(run(stage, *SEND, "count"))["publicContext"] == {"n": 1}
    assert succeed(run(old, "machines", "list"))


def make_old(stage: Stage) -> None:
    """A data directory as the first smply left it."""
    (stage.path / "data").mkdir()
    connection = apsw.Connection(str(stage.path / "data" / "smply.db"))
    connection.execute((DUMPS / "v1.sql").read_text())
    connection.close()


def test_commands_that_upgrade_one_directory_at_the_same_time_all_go_on(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    make_old(stage)
    for done in together(stage, *[["machines", "list"]] * 4):
        assert [machine["name"] for machine in succeed(done)] == ["toggler"]
