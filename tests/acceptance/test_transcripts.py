"""The installed command, as a person or a script meets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.transcript import TRANSCRIPTS, Stage, play


@pytest.mark.parametrize("path", sorted(TRANSCRIPTS.glob("*.txt")), ids=lambda path: path.stem)
def test_transcript(path: Path, tmp_path: Path) -> None:
    kept = path.read_text()
    assert play(kept, Stage(tmp_path)) == kept
