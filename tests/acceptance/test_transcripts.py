"""The installed command, as a person or a script meets it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path

import pytest

from tests.acceptance.transcript import ALIKE, HERE, TRANSCRIPTS, Stage, plain, play

ACCOUNTS = sorted(ALIKE.glob("*.txt"))


def changes(kept: str, now: str) -> str:
    """What differs; a whole transcript is too much to read twice."""
    return "\n".join(unified_diff(kept.splitlines(), now.splitlines(), "kept", "now", lineterm=""))


@pytest.mark.parametrize("path", sorted(TRANSCRIPTS.glob("*.txt")), ids=lambda path: path.stem)
def test_transcript(path: Path, tmp_path: Path) -> None:
    kept = path.read_text()
    with Stage(tmp_path) as stage:
        told = changes(kept, play(kept, stage))
        assert not told, told


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that a server has been on."""
    with Stage(tmp_path_factory.mktemp("served")) as stage:
        stage.serve()
        stage.stop()
        return stage.served


@pytest.fixture
def stage(served: Path, tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as stage:
        shutil.copytree(served, stage.served)
        yield stage


@pytest.mark.parametrize("path", ACCOUNTS, ids=lambda path: path.stem)
def test_the_local_profile_answers(path: Path, stage: Stage) -> None:
    kept = path.read_text()
    stage.move_in()
    told = changes(kept, play(kept, stage, HERE))
    assert not told, told


@pytest.mark.parametrize("path", ACCOUNTS, ids=lambda path: path.stem)
def test_a_server_answers_alike(path: Path, stage: Stage) -> None:
    """F28: each command that works here works there, to the letter."""
    kept = path.read_text()
    stage.serve()
    stage.set(f"SMPLY_API_URL={stage.address}")
    stage.set(f"SMPLY_ACCESS_TOKEN={stage.known('sbat_owner')}")
    told = changes(kept, play(kept, stage, HERE))
    assert not told, told


def test_a_spinner_leaves_nothing_behind() -> None:
    shown = "\x1b[?25l⠋ Building\r\x1b[2K⠙ Building\n\x1b[?25h\r\x1b[1A\x1b[2Kerror: no\n"
    assert plain(f"before\n{shown}") == "before\nerror: no\n"
