"""The quickstart's own parts; the whole walk is an acceptance test."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from smply.cli.quickstart import _fresh, _shown, _typed
from smply.errors import SmplyError


def test_the_directory_is_emptied_and_holds_the_example(tmp_path: Path) -> None:
    directory = tmp_path / "data" / "quickstart"
    source = _fresh(directory)
    (directory / "smply.db").touch()
    assert _fresh(directory) == source == directory / "toggler.ts"
    assert sorted(path.name for path in directory.iterdir()) == [".smply-quickstart", "toggler.ts"]
    assert "createMachine" in source.read_text()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_directory_of_somebody_else_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(SmplyError, match="is no directory of a quickstart, so it is not emptied"):
        _fresh(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_a_directory_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    _fresh(target)
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(SmplyError, match="is a link"):
        _fresh(link)
    assert (target / "toggler.ts").exists()


def test_a_long_command_is_broken_before_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    args = ["instances", "create", "--machine", "toggler", "--instance", "session-123"]
    typed = _typed([*args, "--auth-context", '{"sid": "session-123"}', "--data-dir", "~/x"])
    assert (
        typed
        == """\
$ smply instances create --machine toggler --instance session-123 \\
      --auth-context '{"sid": "session-123"}' --data-dir ~/x"""
    )


def test_paths_below_the_home_are_typed_with_a_tilde(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _shown(tmp_path / "a") == "~/a"
    assert _shown(Path("/etc")) == "/etc"
