"""Who holds a data directory, and who waits for whom."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from smply import directory
from smply.directory import DataDirectory
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


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataDirectoryError, match="cannot be used"):
        DataDirectory(tmp_path / "file" / "data")


def test_a_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    with DataDirectory(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
