"""The installed command, as a person or a script meets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.transcript import TRANSCRIPTS, Stage, plain, play


@pytest.mark.parametrize("path", sorted(TRANSCRIPTS.glob("*.txt")), ids=lambda path: path.stem)
def test_transcript(path: Path, tmp_path: Path) -> None:
    kept = path.read_text()
    assert play(kept, Stage(tmp_path)) == kept


def test_a_spinner_leaves_nothing_behind() -> None:
    shown = "\x1b[?25l⠋ Building\r\x1b[2K⠙ Building\n\x1b[?25h\r\x1b[1A\x1b[2Kerror: no\n"
    assert plain(f"before\n{shown}") == "before\nerror: no\n"
