"""Data directories that cannot be used: a sentence, a code and a hint each, and nothing lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from smply.store import schema
from tests.acceptance.transcript import Result, Stage, run_piped

ACT = ["--auth-context", '{"sid": "one"}']
WHO = ["--machine", "toggler", "--instance", "one"]
SEND = ["instances", "send-event", *WHO, *ACT, "--event"]
COMMANDS = [
    ["machines", "list"],
    ["instances", "get", *WHO],
    [*SEND, "toggle"],
]
PAGE = 4096


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the toggler and its instance `one`, to be copied."""
    stage = Stage(tmp_path_factory.mktemp("prepared"))
    stage.copy("toggler.ts")
    succeed(stage, "machines", "create", "--machine", "toggler", "--node", "toggler.ts")
    succeed(stage, "instances", "create", *WHO, *ACT)
    return stage.path / "data"


@pytest.fixture
def stage(tmp_path: Path, prepared: Path) -> Stage:
    stage = Stage(tmp_path)
    shutil.copytree(prepared, tmp_path / "data")
    return stage


@pytest.fixture
def database(stage: Stage) -> Path:
    return stage.path / "data" / "smply.db"


def run(stage: Stage, *args: str) -> Result:
    return run_piped(stage, ["smply", *args, "--json"], None)


def succeed(stage: Stage, *args: str) -> Any:
    done = run(stage, *args)
    assert done.status == 0, done.stderr
    return json.loads(done.stdout)


def events(stage: Stage) -> list[str]:
    return [s["event"]["type"] for s in succeed(stage, "instances", "list-transitions", *WHO)]


def refused(done: Result) -> dict[str, Any]:
    """What a command said instead of doing anything: one sentence, a code and a hint."""
    assert (done.status != 0, done.stdout) == (True, "")
    error: dict[str, Any] = json.loads(done.stderr)["error"]
    assert "\n" not in error["message"]
    assert error["hint"]
    return error


def in_process(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    from smply.cli import main

    for name, value in stage.environment.items():
        monkeypatch.setenv(name, value)

    def run(*args: str) -> Result:
        status = main([*args, "--json"])
        return Result(status, *capsys.readouterr())

    return run


def replace_by_text(database: Path) -> None:
    database.write_text("Dear diary, this is not a database, but it is long enough. " * 9)


def replace_by_directory(database: Path) -> None:
    database.unlink()
    database.mkdir()


def point_nowhere(database: Path) -> None:
    database.unlink()
    database.symlink_to("nowhere/smply.db")


def cut_last_page(database: Path) -> None:
    os.truncate(database, database.stat().st_size - PAGE)


def make_newer(database: Path) -> None:
    execute(database, "PRAGMA user_version = 99")


def lock_is_a_directory(database: Path) -> None:
    database.with_name("lock").unlink()
    database.with_name("lock").mkdir()


def execute(database: Path, statement: str) -> None:
    connection = apsw.Connection(str(database))
    connection.execute(statement)
    connection.close()


def zero_page(database: Path, query: str) -> None:
    """As a disk leaves it that has lost a write: the page that the query names."""
    connection = apsw.Connection(str(database))
    page = connection.execute(query).get
    connection.close()
    with database.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(bytes(PAGE))


def zero_instances(database: Path) -> None:
    zero_page(database, "SELECT rootpage FROM sqlite_schema WHERE name = 'instances'")


def zero_orgs(database: Path) -> None:
    zero_page(database, "SELECT rootpage FROM sqlite_schema WHERE name = 'orgs'")


SPOILT = [
    (replace_by_text, "smply.db is not a database of smply"),
    (replace_by_directory, "smply.db cannot be opened: it is a directory"),
    (point_nowhere, "smply.db cannot be opened: unable to open database file"),
    (cut_last_page, "smply.db is damaged: database disk image is malformed"),
    (zero_orgs, "smply.db is damaged: database disk image is malformed"),
    (
        make_newer,
        "smply.db was written by a newer smply (its schema is 99, this smply knows"
        f" {len(schema.migrations())})",
    ),
    (lock_is_a_directory, "data cannot be used: Is a directory"),
]


@pytest.mark.parametrize(("spoil", "sentence"), SPOILT)
def test_a_directory_that_cannot_be_used_is_said_and_left_as_it_is(
    stage: Stage, database: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None], sentence: str,
) -> None:  # fmt: skip
    spoil(database)
    before = database.read_bytes() if database.is_file() else b""
    command = in_process(stage, monkeypatch, capsys)
    for args in COMMANDS:
        error = refused(command(*args))
        assert (error["code"], error["message"].endswith(sentence)) == ("data-directory", True)
    assert not before or database.read_bytes() == before


def test_a_torn_page_is_met_by_those_who_need_it(
    stage: Stage, database: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    zero_instances(database)
    command = in_process(stage, monkeypatch, capsys)
    assert command(*COMMANDS[0]).status == 0
    for args in COMMANDS[1:]:
        assert refused(command(*args))["message"].startswith("the database is damaged: ")


def test_code_that_is_not_what_was_uploaded_is_never_run(
    stage: Stage, database: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """SQLite has no checksum for the pages of a long text."""
    execute(database, "UPDATE codes SET code = substr(code, 2)")
    command = in_process(stage, monkeypatch, capsys)
    assert command(*COMMANDS[1]).status == 0
    error = refused(command(*COMMANDS[2]))
    assert error["message"].endswith("the code of a version is not what was uploaded")


def test_an_empty_file_is_a_new_database(stage: Stage, database: Path) -> None:
    os.truncate(database, 0)
    assert succeed(stage, "machines", "list") == []
    assert refused(run(stage, *COMMANDS[1]))["message"] == "there is no machine toggler"


def test_a_symbolic_link_is_followed(stage: Stage, database: Path) -> None:
    database.rename(database.with_name("elsewhere.db"))
    database.symlink_to("elsewhere.db")
    assert succeed(stage, *SEND, "toggle")["state"] == "on"
    assert events(stage) == ["xstate.init", "toggle"]
    assert database.is_symlink()


def namespace(stage: Stage, script: str) -> Result:
    """Run a script where it may mount: as root of a namespace of its own."""
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    done = run_piped(stage, [*alone, "true"], None)
    if done.status != 0:
        pytest.skip(f"no namespace can be made here: {done.stderr}")
    (stage.path / "script").write_text(script)
    return run_piped(stage, [*alone, "sh", "-eu", str(stage.path / "script")], None)


def quoted(*args: str) -> str:
    import shlex

    return shlex.join(["smply", *args, "--json"])


@pytest.mark.parametrize(
    ("what", "sentence"),
    [("data", "data cannot be used: Read-only file system"),
     ("data/smply.db", "smply.db may only be read, but smply must write it")],
)  # fmt: skip
def test_what_may_only_be_read_is_said(stage: Stage, what: str, sentence: str) -> None:
    path = stage.path / what
    mount = f"mount --bind {path} {path}; mount -o remount,ro,bind {path}"
    for args in COMMANDS:
        error = refused(namespace(stage, f"{mount}; {quoted(*args)}"))
        assert (error["code"], error["message"].endswith(sentence)) == ("data-directory", True)
    assert events(stage) == ["xstate.init"]


FULL = """
cp -r {data} {data}.copy
mount -t tmpfs -o size=600k tmpfs {data}
cp {data}.copy/* {data}
{send} > /dev/null
dd if=/dev/zero of={data}/ballast bs=1k 2> /dev/null || true
{list} 2> list || true
{get} 2> get || true
{send} 2> send || true
# Room to open the database, but not for so large an event.
truncate -s -60k {data}/ballast
{large} 2> large || true
cp {data}/smply.db* .
rm {data}/ballast
{large} > /dev/null
{history}
"""


def test_a_full_disk_refuses_and_recovers(stage: Stage) -> None:
    """Failure table: nothing half-written, and service returns by itself."""
    large = json.dumps({"type": "nothing", "ballast": "x" * 70_000})
    script = FULL.format(
        data=stage.path / "data", list=quoted("machines", "list"),
        get=quoted("instances", "get", *WHO), send=quoted(*SEND, "toggle"),
        large=quoted(*SEND, large), history=quoted("instances", "list-transitions", *WHO),
    )  # fmt: skip
    done = namespace(stage, script)
    assert done.status == 0, done.stderr
    said = {name: (stage.cwd / name).read_text() for name in ("list", "get", "send", "large")}
    for name in ("list", "get", "send"):
        error = refused(Result(1, "", said[name]))
        assert error["message"].endswith("smply.db cannot be opened: the disk is full")
    error = refused(Result(1, "", said["large"]))
    assert (error["code"], error["message"]) == (
        "unavailable", "The disk that holds the database is full.",
    )  # fmt: skip
    history = [step["event"]["type"] for step in json.loads(done.stdout)]
    assert history == ["xstate.init", "toggle", "nothing"]
    assert check(stage.cwd / "smply.db") == [1, 2]


def check(database: Path) -> list[int]:
    """The whole file is sound; the numbers of its only instance's transitions."""
    connection = apsw.Connection(str(database))
    assert connection.pragma("integrity_check") == "ok"
    seqs: str = connection.execute("SELECT json_group_array(seq) FROM transitions").get
    connection.close()
    return sorted(json.loads(seqs))


WRITER = """
import asyncio, os, sys
from pathlib import Path
from smply.store import open_store
from tests.store.support import World

async def write():
    store = await open_store(Path(sys.argv[1]), 0)
    org = store.owner().org
    machine = store.get_machine(org, "toggler")
    row = store.get_instance(org, "toggler", "one")
    world = World(store, org, machine.id, row.version)
    for base in range(1, 31):
        assert await world.move(row.id, base, value='"off"', context='{"public":{"count":0}}')
        print(base + 1, os.stat(sys.argv[1] + "-wal").st_size, flush=True)
    os.kill(os.getpid(), 9)

asyncio.run(write())
"""


@pytest.fixture
def written(stage: Stage, database: Path) -> list[tuple[int, int]]:
    """A WAL that `kill -9` has left: each acknowledged seq with its length then."""
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(database)], cwd=Path(__file__).parents[2],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    return [(int(seq), int(size)) for seq, size in map(str.split, done.stdout.splitlines())]


def test_a_wal_left_by_kill_9_is_taken_over(
    stage: Stage, database: Path, written: list[tuple[int, int]]
) -> None:
    assert len(events(stage)) == written[-1][0] == 31
    assert check(database) == list(range(1, 32))
    assert [file.name for file in sorted(database.parent.iterdir())] == ["lock", "smply.db"]


@pytest.mark.parametrize("torn", ["cut", "zeroed", "scrambled"])
def test_a_torn_wal_keeps_every_transaction_before_the_tear(
    database: Path, written: list[tuple[int, int]], torn: str
) -> None:
    wal = database.with_name("smply.db-wal")
    whole = wal.read_bytes()
    for at in range(len(whole) - 100, 32, -7_919):
        tail = {"cut": b"", "zeroed": bytes(len(whole) - at), "scrambled": whole[at:][::-1]}[torn]
        copy = database.with_name("copy.db")
        shutil.copy(database, copy)
        copy.with_name("copy.db-wal").write_bytes(whole[:at] + tail)
        kept = max((seq for seq, size in written if size <= at), default=1)
        assert check(copy) == list(range(1, kept + 1))


def test_a_page_that_a_checkpoint_has_torn_is_in_the_wal(
    stage: Stage, database: Path, written: list[tuple[int, int]]
) -> None:
    """The power went while the WAL was copied into the database."""
    whole = database.with_name("smply.db-wal").read_bytes()
    frame = 24 + PAGE
    pages = {int.from_bytes(whole[at : at + 4]) for at in range(32, len(whole), frame)}
    torn = database.read_bytes()
    for page in pages:
        torn = torn[: (page - 1) * PAGE + 512] + b"\xff" * (PAGE - 512) + torn[page * PAGE :]
    database.write_bytes(torn)
    shutil.copy(database, stage.cwd / "without_wal.db")
    with pytest.raises(AssertionError, match="malformed"):
        check(stage.cwd / "without_wal.db")
    assert len(events(stage)) == 31
    assert check(database) == list(range(1, 32))
