"""Who holds a data directory, and who waits for whom."""

from __future__ import annotations

import fcntl
import os
import stat
import threading
from pathlib import Path

import pytest

from smply import directory
from smply.directory import DataDirectory, ServerLock, ServerMark, write_private
from smply.errors import DataDirectoryError


def unneeded(_: Path) -> None:
    pytest.fail("nothing had to be changed")


def test_many_may_hold_a_directory_at_once(tmp_path: Path) -> None:
    with DataDirectory(tmp_path) as one, DataDirectory(tmp_path) as other:
        one.hold(lambda _: False, unneeded)
        other.hold(lambda _: False, unneeded)


def test_a_change_is_made_alone_and_only_if_it_is_still_needed(tmp_path: Path) -> None:
    changed: list[Path] = []
    with DataDirectory(tmp_path) as mine:
        mine.hold(lambda _: not changed, changed.append)
        mine.hold(lambda _: not changed, changed.append)
    assert changed == [tmp_path / "smply.db"]


def test_a_change_names_who_holds_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "_WAIT_SECONDS", 0.0)
    with DataDirectory(tmp_path) as holder, DataDirectory(tmp_path) as mine:
        holder.hold(lambda _: False, unneeded)
        with pytest.raises(DataDirectoryError, match=f"process {os.getpid()} is using it"):
            mine.hold(lambda _: True, unneeded)


def test_of_two_that_bring_it_up_to_date_the_second_need_not_wait_for_the_first_to_end(
    tmp_path: Path,
) -> None:
    """The first holds the directory for as long as it runs, and so must not the other wait."""
    changed: list[Path] = []
    with DataDirectory(tmp_path) as one, DataDirectory(tmp_path) as other:
        old = DataDirectory(tmp_path)
        old.hold(lambda _: False, unneeded)

        def is_needed(_: Path) -> bool:
            return True

        def is_done_by_one_meanwhile(_: Path) -> bool:
            with old:
                pass
            one.hold(lambda _: not changed, changed.append)
            return False

        looks = iter([is_needed, is_done_by_one_meanwhile])
        other.hold(lambda path: next(looks)(path), unneeded)
    assert changed == [tmp_path / "smply.db"]


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataDirectoryError, match="cannot be used"):
        DataDirectory(tmp_path / "file" / "data")


def test_a_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    with DataDirectory(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_what_a_killed_server_left_is_not_taken_for_one_that_starts(tmp_path: Path) -> None:
    killed, starting = ServerLock(tmp_path), ServerLock(tmp_path)
    killed.mark(ServerMark("http://127.0.0.1:1", "org", "token", os.getpid()))
    starting.take()
    assert ServerLock(tmp_path).running() is None
    starting.release()


def test_a_server_starts_though_somebody_looks_whether_one_runs(tmp_path: Path) -> None:
    looked = os.open(tmp_path / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(looked, fcntl.LOCK_SH)
    ends = threading.Timer(0.02, os.close, [looked])
    ends.start()
    lock = ServerLock(tmp_path)
    lock.take()
    ends.join()
    assert lock.held
    lock.release()


def test_what_is_private_is_put_into_no_file_that_lies_there(tmp_path: Path) -> None:
    laid = tmp_path / f".ready.json-{os.getpid()}"
    laid.touch()
    laid.chmod(0o666)
    write_private(tmp_path / "ready.json", b"secret")
    assert laid.read_bytes() == b""
    assert stat.S_IMODE((tmp_path / "ready.json").stat().st_mode) == 0o600
