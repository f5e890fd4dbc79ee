"""No Deno process outlives its parent by long (the failure table's first row)."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from smply.errors import Unavailable
from smply.runtime.children import Home, reap, start_time

LOOPING_PARENT = """
import asyncio, sys
from pathlib import Path
from smply.runtime import RuntimeSettings
from tests.runtime.support import Lab, machine, pid_of, step

async def main():
    lab = Lab(RuntimeSettings(directory=Path(sys.argv[1]), step_seconds=60))
    host = await lab.host(machine('loop: { guard: () => { for (;;); } }'))
    asyncio.get_running_loop().call_later(0.2, lambda: print(pid_of(host), flush=True))
    await step(host, 1, "loop")

asyncio.run(main())
"""


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """A directory whose path leaves room for a socket's name, which `tmp_path` may not."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        yield Path(directory)


def is_over(pid: int, seconds: float) -> bool:
    """Whether a process is gone, or nothing but a name, within so many seconds."""
    deadline = time.monotonic() + seconds
    while start_time(pid) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"], start_new_session=True)


def record(directory: Path, parent: str, child: int) -> Path:
    """What a parent called `<pid>-<start>-<n>` would have written of a child."""
    folder = directory / "children"
    folder.mkdir(parents=True)
    (directory / parent).mkdir()
    file = folder / f"{parent}.json"
    children = [{"pid": child, "start": start_time(child)}]
    told = {"machine": platform.node(), "path": str(directory / parent), "children": children}
    file.write_text(json.dumps(told))
    return file


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows a parent-death signal")
def test_a_looping_child_of_a_killed_parent_is_gone_within_two_seconds(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", LOOPING_PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert start_time(child) is not None

    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()

    assert is_over(child, 2.0)


def test_a_new_start_ends_the_children_of_a_dead_parent(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    child = sleeper()
    file = record(tmp_path, f"{dead.pid}-1-1", child.pid)

    Home(tmp_path)

    assert child.wait(2) == -signal.SIGKILL
    assert not file.exists()
    assert not (tmp_path / f"{dead.pid}-1-1").exists()


def test_a_new_start_leaves_the_children_of_the_living_alone(tmp_path: Path) -> None:
    child = sleeper()
    file = record(tmp_path, f"{os.getpid()}-{start_time(os.getpid())}-99", child.pid)

    reap(tmp_path)

    assert child.poll() is None
    assert file.exists()
    child.kill()
    child.wait()


def test_another_process_that_came_by_the_number_of_a_child_is_left_alone(tmp_path: Path) -> None:
    child = sleeper()
    file = record(tmp_path, "999999999-1-1", child.pid)
    file.write_text(file.read_text().replace(str(start_time(child.pid)), "1"))

    reap(tmp_path)

    assert child.poll() is None
    child.kill()
    child.wait()


def test_the_record_of_another_container_is_left_alone(tmp_path: Path) -> None:
    child = sleeper()
    file = record(tmp_path, "999999999-1-1", child.pid)
    file.write_text(file.read_text().replace(platform.node(), "elsewhere"))

    reap(tmp_path)

    assert child.poll() is None
    assert file.exists()
    child.kill()
    child.wait()


def test_a_directory_that_others_can_read_is_not_used(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(short_tmp))
    squatted = short_tmp / f"smply-{os.getuid()}"
    squatted.mkdir(mode=0o755)

    home = Home(None)

    assert home.path.parent == short_tmp
    home.close()


@pytest.mark.parametrize("name", ["long" * 25, "comma,", os.fsdecode(b"\xff")])
def test_a_temporary_directory_that_cannot_hold_sockets_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / name))

    for directory in (None, tmp_path / name):
        home = Home(directory)

        assert tmp_path not in home.path.parents
        assert len(os.fsencode(home.path)) < 91
        home.close()


def test_what_else_has_the_name_of_the_directory_is_left_alone(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(short_tmp))
    squatted = short_tmp / f"smply-{os.getuid()}"
    squatted.write_text("a file")

    home = Home(None)

    assert home.path.is_dir()
    assert home.path.parent == short_tmp
    home.close()
    assert squatted.read_text() == "a file"


@pytest.mark.parametrize("content", ["", "[]", '{"machine": 1', '"text"', "[" * 100_000])
def test_records_that_nobody_can_read_are_ignored(content: str) -> None:
    # Where paths are too long for sockets the home is elsewhere.
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name) / "children"
        (folder / "1-1-1.json").mkdir(parents=True)
        for record in ("999999999-1-1", "stray", "a-b-c", "1-2-3-4", "-1-1-1"):
            (folder / f"{record}.json").write_text(content)

        home = Home(Path(name))
        home.add(os.getpid())

        record = f"{home.path.name}.json"
        assert json.loads((folder / record).read_bytes())["path"] == str(home.path)
        home.close()


def test_a_directory_that_cannot_be_made_is_told_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/dev/null")

    with pytest.raises(Unavailable, match=r"that TMPDIR names .*: Not a directory \(/dev/null"):
        Home(None)


def test_a_directory_is_for_its_owner_alone_and_its_sockets_have_short_names(
    tmp_path: Path,
) -> None:
    long = tmp_path / ("long" * 30)

    home, elsewhere = Home(tmp_path / "run"), Home(long)

    for each in (home, elsewhere):
        assert each.path.stat().st_mode & 0o777 == 0o700
        assert len(os.fsencode(each.path / "s12345")) < 104
        each.close()
        assert not each.path.exists()


def test_a_home_that_is_closed_records_no_more_children(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.add(os.getpid())
    home.close()
    home.add(os.getpid())
    home.remove(os.getpid())
    assert [*(tmp_path / "children").iterdir()] == []
