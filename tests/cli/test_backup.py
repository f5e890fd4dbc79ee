"""Where `smply backup` and `smply restore` take a passphrase from, and what they refuse."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest

from smply.identity import open_sealer, passphrases
from tests.cli.conftest import Run

WORD = "correct horse"


@pytest.fixture(autouse=True)
def stdin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> io.BytesIO:
    """What is piped in: nothing yet; commands run in a directory of their own."""
    piped = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(piped))
    monkeypatch.chdir(tmp_path)
    # What makes a guess dear is not what is tested here.
    monkeypatch.setattr(passphrases, "_COST", {"n": 2, "r": 1, "p": 1})
    return piped


@pytest.fixture
def data(data_dir: Path, run: Run) -> Path:
    """A data directory with a key."""
    assert run("machines", "create", "-m", "empty").status == 0
    open_sealer(data_dir / "key")
    return data_dir


def pipe(stdin: io.BytesIO, content: bytes) -> None:
    stdin.seek(0)
    stdin.truncate()
    stdin.write(content)
    stdin.seek(0)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["backup"], "FILE is needed"),
        (["restore"], "FILE is needed"),
        (["backup", ""], "FILE is empty"),
        (["backup", "."], ". is no file"),
        (["backup", os.devnull], f"{os.devnull} is no file"),
        (["backup", "-"], "a backup goes into a file, not to stdout"),
        (["restore", "."], ". cannot be read: Is a directory"),
        (["restore", "none"], "none cannot be read: No such file or directory"),
        (
            ["backup", "b", "--passphrase-stdin", "--passphrase-file", "word"],
            "--passphrase-file and --passphrase-stdin exclude each other",
        ),
        (["backup", "b", "--passphrase-stdin"], "--passphrase-stdin: the passphrase is empty"),
        (["restore", "b", "--passphrase-file", os.devnull],
         "--passphrase-file: the passphrase is empty"),
        (["backup", "b", "--passphrase-file", "none"],
         "--passphrase-file: none cannot be read: No such file or directory"),
        (["backup", "b", "--passphrase-file", "/dev/zero"],
         "--passphrase-file: the passphrase has more than 4096 bytes"),
        (["backup", "b", "--output", "table"], "this command has no table"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_before_anything_is_made(
    data_dir: Path, run: Run, argv: list[str], message: str
) -> None:
    result = run(*argv)
    assert result.stderr.splitlines()[0] == f"error: {message}"
    assert (result.status, result.stdout) == (2, "")
    assert not data_dir.exists()


def test_a_directory_without_data_is_not_made(data_dir: Path, run: Run) -> None:
    result = run("backup", "b")
    assert result.status == 1
    assert result.stderr.splitlines()[0] == f"error: there is no smply.db in {data_dir}"
    assert not data_dir.exists()


def test_without_a_terminal_nobody_is_asked(data: Path, run: Run) -> None:
    for argv in (["backup", "b"], ["backup", "b", "--yes"]):
        result = run(*argv)
        assert (result.status, result.stdout) == (2, "")
        assert "there is no terminal to ask on\nhint:  --passphrase-file FILE" in result.stderr
    assert not Path("b").exists()


@pytest.mark.parametrize("content", [b"correct horse", b"correct horse\n", b"correct horse\r\n"])
def test_the_passphrase_is_the_line_without_its_end(
    data: Path, run: Run, stdin: io.BytesIO, content: bytes
) -> None:
    pipe(stdin, b"correct horse\nand more")
    assert run("backup", "b", "--passphrase-stdin").json["sealed"]
    Path("word").write_bytes(content)
    assert run("restore", "b", "--data-dir", "new", "--passphrase-file", "word").status == 0
    assert Path("new", "key").read_bytes() == (data / "key").read_bytes()


def test_a_passphrase_file_of_several_lines_is_refused(data: Path, run: Run) -> None:
    """Random bytes would end at the first line end among them, and be a poor passphrase."""
    Path("word").write_text(f"{WORD}\nbattery\n")
    result = run("backup", "b", "--passphrase-file", "word")
    assert result.status == 2
    assert "word has more than one line" in result.stderr


@pytest.mark.parametrize(
    ("answer", "status", "kept"), [("", 3, "older"), ("no\n", 3, "older"), ("b\n", 0, None)]
)
def test_a_passphrase_is_never_taken_for_an_answer(
    data: Path, run: Run, stdin: io.BytesIO, answer: str, status: int, kept: str | None
) -> None:
    """The answer comes after it."""
    Path("b").write_text("older")
    pipe(stdin, f"{WORD}\n{answer}".encode())
    result = run("backup", "b", "--passphrase-stdin")
    assert result.status == status
    assert WORD not in result.stderr
    assert (Path("b").read_bytes() == b"older") is (kept is not None)


def test_a_wrong_passphrase_has_a_code(data: Path, run: Run) -> None:
    Path("word").write_text(WORD)
    Path("other").write_text("incorrect horse")
    run("backup", "b", "--passphrase-file", "word")
    result = run("restore", "b", "--data-dir", "new", "--passphrase-file", "other", "--json")
    assert result.status == 1
    assert json.loads(result.stderr)["error"]["code"] == "wrong-passphrase"


def test_a_link_is_followed(data: Path, run: Run) -> None:
    Path("word").write_text(WORD)
    Path("target").mkdir()
    Path("b").symlink_to("target/file")
    assert run("backup", "b", "--passphrase-file", "word").status == 0
    assert Path("b").is_symlink()
    assert Path("target", "file").stat().st_mode & 0o777 == 0o600
