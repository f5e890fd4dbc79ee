"""Commands run in this process, on a real data directory with real Deno."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pytest

from smply.cli import main
from tests.cli.checkout import DAY, NOW, SECOND
from tests.cli.terminal import Terminal

SOURCE = Path(__file__).parent / "checkout.js"


@dataclass
class Result:
    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


Run = Callable[..., Result]


@dataclass
class Template:
    """A data directory to be copied; `version` is the id of the version of checkout in it."""

    path: Path
    version: str


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Three days ago checkout and three instances were made; 12 s ago order-1042 was paid for."""
    here = tmp_path_factory.mktemp("cli")
    clock, data, said = here / "clock", here / "data", io.StringIO()
    act = ["-m", "checkout", "-a", '{"sub": "u_12"}']
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(said):
        patch.setenv("SMPLY_CLOCK", f"file:{clock}")
        patch.setenv("SMPLY_DATA_DIR", str(data))
        patch.setenv("SMPLY_CONFIG_DIR", str(here / "config"))
        clock.write_text(str(NOW - 3 * DAY))
        assert main(["machines", "create", "-m", "checkout", "--js", str(SOURCE)]) == 0
        for name in ("order-1042", "order-1043", "trial"):
            assert main(["instances", "create", *act, "-i", name]) == 0
        clock.write_text(str(NOW - 12 * SECOND))
        assert main(["instances", "send-event", *act, "-i", "order-1042", "-e", "pay"]) == 0
        said.seek(said.truncate(0))
        assert main(["machines", "get", "-m", "checkout"]) == 0
    return Template(data, json.loads(said.getvalue())["currentVersion"]["id"])


@pytest.fixture(autouse=True)
def data_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where commands keep their data, at the time of the examples; nothing is there yet."""
    clock, directory = tmp_path / "clock", tmp_path / "data"
    clock.write_text(str(NOW))
    monkeypatch.setenv("SMPLY_CLOCK", f"file:{clock}")
    monkeypatch.setenv("SMPLY_DATA_DIR", str(directory))
    monkeypatch.setenv("SMPLY_CONFIG_DIR", str(tmp_path / "config"))
    return directory


@pytest.fixture
def version(template: Template, data_dir: Path) -> str:
    """The machine checkout and its three instances are there; its version's id."""
    shutil.copytree(template.path, data_dir)
    return template.version


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*argv: str) -> Result:
        status = main(argv)
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return run


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on a terminal."""
    monkeypatch.setenv("COLUMNS", "80")

    def look(*argv: str) -> Result:
        stdout, stderr = Terminal(), Terminal()
        with redirect_stdout(stdout), redirect_stderr(stderr):
            status = main(argv)
        return Result(status, stdout.plain, stderr.plain)

    return look


@pytest.fixture
def gone() -> Iterator[TextIO]:
    """A pipe whose reader has closed it."""
    reader, writer = os.pipe()
    os.close(reader)
    # Closing tries once more to write what could not be written.
    with suppress(BrokenPipeError), open(writer, "w") as pipe:
        yield pipe
