"""Transcripts: what a person types and sees, kept as text, made again and compared whole.

A transcript is a file of directives and of what came of them:

    # a comment
    copy toggler.ts                 a file of tests/acceptance/files into the working directory
    clock +3s                       moves the clock that the commands read
    columns 20                      how wide terminals are from here on, 80 before
    set HOME=/nonexistent           a variable of the commands from here on; `unset HOME`
    $ smply machines list           a command, its output piped
    sh$ smply machines list >&-     a line of a shell, its output piped
    tty$ smply machines list        a command with terminals as stdout and stderr
    < a line of stdin
    exit 0                          its exit status …
    > a line of stdout              … and what it wrote
    ! a line of stderr

`python -m tests.acceptance.transcript [NAME …]` writes them anew, to be read like code in review.
"""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
TRANSCRIPTS = HERE / "transcripts"
FILES = HERE / "files"
EXAMPLE = HERE.parents[1] / "smply" / "cli" / "examples" / "toggler.ts"
START = 1_800_000_000_000
"""15 January 2027, 08:00 UTC: when every transcript begins."""

_MILLISECONDS = {"m": 60_000, "h": 3_600_000}

_RESULT = ("exit ", "> ", "! ", ">", "!")


@dataclass
class Stage:
    """A working directory with a data directory and a clock of its own."""

    path: Path
    now: int = START
    names: dict[str, str] = field(default_factory=dict)
    columns: int = 80
    variables: dict[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cwd = self.path / "here"
        self.cwd.mkdir(parents=True)
        self._tell()

    @property
    def environment(self) -> dict[str, str]:
        given = {**self._ordinary, **self.variables}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def _ordinary(self) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(self.path),
            "SMPLY_DATA_DIR": str(self.path / "data"),
            "SMPLY_CLOCK": f"file:{self.path / 'clock'}",
            "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
            "COLUMNS": str(self.columns),
            "LINES": "50",
            "TERM": "xterm-256color",
            "NO_COLOR": "1",
            "LANG": "C.UTF-8",
        }

    def move(self, span: str) -> None:
        """Let a span of time pass: `+3s`, `13m`, `2h`, or bare seconds."""
        number = float(span.removeprefix("+").rstrip("smh"))
        self.now += int(number * _MILLISECONDS.get(span[-1], 1_000))
        self._tell()

    def set(self, assignment: str) -> None:
        """Give the commands a variable, `NAME=VALUE`."""
        name, _, value = assignment.partition("=")
        self.variables[name] = value

    def _tell(self) -> None:
        (self.path / "clock").write_text(str(self.now))

    def copy(self, name: str) -> None:
        source = EXAMPLE if name == "toggler.ts" else FILES / name
        if source.is_dir():
            shutil.copytree(source, self.cwd / name)
        else:
            shutil.copy(source, self.cwd / name)

    def hide(self, text: str) -> str:
        """Ids, times that machines take, sizes and paths, by names; nothing else."""
        text = text.replace(str(self.path), "HOME")
        text = re.sub(r"\bver_[A-Za-z0-9_-]{22}", self._name, text)
        text = re.sub(r"\bver_[A-Za-z0-9_-]{8}(?![A-Za-z0-9_-])", self._name, text)
        text = re.sub(r"\bver_[A-Za-z0-9_-]+(?=…)", self._name, text)
        text = re.sub(r"(\btransitions?, )\d+(\.\d+)? (ms|s)\b", r"\1N ms", text)
        text = re.sub(r"\borg_[A-Za-z0-9_-]{22}", "org_N", text)
        text = re.sub(r'(\bprocess |"pid": )\d+', r"\1N", text)
        return re.sub(r"\b\d+(\.\d+)? (ms|kB|B)\b", r"N \2", text)

    def _name(self, found: re.Match[str]) -> str:
        shown = found[0]
        for known, name in self.names.items():
            if known.startswith(shown) or shown.startswith(known):
                return name
        return self.names.setdefault(shown, f"ver_{len(self.names) + 1}")


@dataclass
class Result:
    status: int
    stdout: str
    stderr: str


def run_piped(stage: Stage, argv: list[str], stdin: str | None) -> Result:
    """Run a command with pipes at all ends."""
    done = subprocess.run(
        argv, cwd=stage.cwd, env=stage.environment, input=stdin or "", capture_output=True,
        text=True, errors="backslashreplace", timeout=60, check=False,
    )  # fmt: skip
    return Result(done.returncode, done.stdout, done.stderr)


def run_shell(stage: Stage, argv: list[str], stdin: str | None) -> Result:
    """Run a line of a shell with pipes at all ends."""
    return run_piped(stage, ["sh", "-c", *argv], stdin)


def run_in_terminal(stage: Stage, argv: list[str], stdin: str | None) -> Result:
    """Run a command whose stdout and stderr are terminals, one each."""
    out, err = _Terminal(stage.columns), _Terminal(stage.columns)
    child = subprocess.Popen(
        argv, cwd=stage.cwd, env=stage.environment, stdin=subprocess.PIPE, stdout=out.inner,
        stderr=err.inner, text=True,
    )  # fmt: skip
    readers = [out.read_in_thread(), err.read_in_thread()]
    child.communicate(stdin or "", timeout=60)
    for reader in readers:
        reader.join()
    return Result(child.returncode, out.text, err.text)


class _Terminal:
    def __init__(self, columns: int) -> None:
        self._outer, self.inner = pty.openpty()
        _resize(self.inner, columns)
        self.text = ""

    def read_in_thread(self) -> threading.Thread:
        os.close(self.inner)
        thread = threading.Thread(target=self._read)
        thread.start()
        return thread

    def _read(self) -> None:
        chunks = []
        # Linux says EIO when the last writer has gone.
        while chunk := _read_or_end(self._outer):
            chunks.append(chunk)
        os.close(self._outer)
        self.text = plain(b"".join(chunks).decode().replace("\r\n", "\n"))


def _read_or_end(handle: int) -> bytes:
    try:
        return os.read(handle, 65536)
    except OSError:
        return b""


def _resize(handle: int, columns: int) -> None:
    import fcntl
    import struct
    import termios

    fcntl.ioctl(handle, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))


def plain(text: str) -> str:
    """What stays on the screen: without styles, spinners and lines that were wiped."""
    # A spinner that a slow machine shows goes up again to the line that it leaves empty.
    text = re.sub(r"[^\n]*\n(\x1b\[\?25h)?\r\x1b\[1A\x1b\[2K", "", text)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    return "\n".join(line.rsplit("\r", 1)[-1] for line in text.split("\n"))


def play(text: str, stage: Stage) -> str:
    """Run the directives of a transcript; returns it with what came of them now."""
    lines = [line for line in text.splitlines() if not line.startswith(_RESULT)]
    return "\n".join(_played(lines, stage)) + "\n"


def _played(lines: list[str], stage: Stage) -> Iterator[str]:
    waiting = list(lines)
    while waiting:
        line = waiting.pop(0)
        yield line
        verb, _, rest = line.partition(" ")
        if verb == "copy":
            stage.copy(rest)
        elif verb == "clock":
            stage.move(rest)
        elif verb == "columns":
            stage.columns = int(rest)
        elif verb == "set":
            stage.set(rest)
        elif verb == "unset":
            stage.variables[rest] = None
        elif verb in _RUNNERS:
            typed = []
            while waiting and waiting[0].startswith("< "):
                typed.append(waiting.pop(0))
            yield from typed
            stdin = "".join(f"{line[2:]}\n" for line in typed)
            result = _RUNNERS[verb](stage, [rest] if verb == "sh$" else shlex.split(rest), stdin)
            yield f"exit {result.status}"
            yield from _marked(">", stage.hide(result.stdout))
            yield from _marked("!", stage.hide(result.stderr))


def _marked(mark: str, text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield f"{mark} {line}".rstrip()


_RUNNERS: dict[str, Callable[[Stage, list[str], str | None], Result]] = {
    "$": run_piped,
    "sh$": run_shell,
    "tty$": run_in_terminal,
}


def main(names: list[str]) -> None:
    """Write transcripts anew: those named, or all."""
    for path in sorted(TRANSCRIPTS.glob("*.txt")):
        if not names or path.stem in names:
            with tempfile.TemporaryDirectory() as directory:
                path.write_text(play(path.read_text(), Stage(Path(directory))))
            print(f"wrote {path.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
