"""Commands run in this process, against a server of canned answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from smply.cli import _connect, main
from tests.cli.canned import CannedServer
from tests.cli.checkout import NOW
from tests.cli.terminal import Terminal


@dataclass
class Result:
    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


Run = Callable[..., Result]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> CannedServer:
    canned = CannedServer()
    monkeypatch.setattr(_connect, "open_client", canned.open)
    return canned


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*argv: str) -> Result:
        status = main(argv)
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return run


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs a command on a terminal, at the time of the examples."""
    clock = tmp_path / "clock"
    clock.write_text(str(NOW))
    monkeypatch.setenv("SMPLY_CLOCK", f"file:{clock}")
    monkeypatch.setenv("COLUMNS", "80")

    def look(*argv: str) -> Result:
        stdout, stderr = Terminal(), Terminal()
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdout", stdout)
            patch.setattr("sys.stderr", stderr)
            status = main(argv)
        return Result(status, stdout.plain, stderr.plain)

    return look
