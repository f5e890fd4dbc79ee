"""Transcripts: what a person types and sees, kept as text, made again and compared whole.

A transcript is a file of directives and of what came of them:

    # a comment
    copy toggler.ts                 a file of tests/acceptance/files into the working directory
    clock +3s                       moves the clock that the commands read
    columns 20                      how wide terminals are from here on, 80 before
    set HOME=/nonexistent           a variable of the commands from here on; `unset HOME`
    until two                       the next command is repeated until it prints that
    serve                           a server on a data directory of its own; `stop`
    $ smply machines list           a command, its output piped
    sh$ smply machines list >&-     a line of a shell, its output piped
    tty$ smply machines list        a command with terminals as stdout and stderr
    < a line of stdin
    exit 0                          its exit status …
    > a line of stdout              … and what it wrote
    ! a line of stderr

What was hidden has a name, and can be typed by it: `smply keys delete --key sbk_1`. The address of
the server is `http://127.0.0.1:PORT`, the access token of its owner `sbat_owner`.

`python -m tests.acceptance.transcript [NAME …]` writes them anew, to be read like code in review.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from unittest import mock

from smply.cli import main as smply_main
from tests.cli.terminal import Terminal

_HERE = Path(__file__).parent
TRANSCRIPTS = _HERE / "transcripts"
ALIKE = TRANSCRIPTS / "alike"
"""Those that come out the same in the local profile and against a server."""
FILES = _HERE / "files"
EXAMPLE = _HERE.parents[1] / "smply" / "cli" / "examples" / "toggler.ts"
START = 1_800_000_000_000
"""15 January 2027, 08:00 UTC: when every transcript begins."""

SECONDS = 30
"""What a server has to begin and to end."""

_ID = r"\b(org|usr|sbk|tok|inv)_[A-Za-z0-9_-]{22}|\b(sbsec|sbat|sbinv)_[A-Za-z0-9_-]{43}"
_ID += r"|\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"
"""Ids that are made anew each time, secrets, and signed tokens."""

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
    server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __post_init__(self) -> None:
        self.cwd = self.path / "here"
        self.cwd.mkdir(parents=True)
        self.address = "http://127.0.0.1:PORT"
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
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
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

    @property
    def served(self) -> Path:
        """The data directory of the server."""
        return self.path / "server"

    def serve(self) -> None:
        """Start a server with this clock, and wait until it is ready."""
        ready, log = self.path / "ready.json", self.path / "server.log"
        environment = {**self.environment, "SMPLY_DATA_DIR": str(self.served)}
        with log.open("wb") as said:
            self.server = subprocess.Popen(
                ["smply", "serve", "--port", "0", "--ready-file", str(ready)], cwd=self.cwd,
                env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            )  # fmt: skip
        deadline = time.monotonic() + SECONDS
        while not ready.exists():
            assert self.server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)
        told = json.loads(ready.read_text())
        self.names[told["accessToken"]] = "sbat_owner"
        self.address = told["url"]

    def move_in(self) -> None:
        """Let commands have the server's data directory as their own, without it."""
        self.stop()
        self.set(f"SMPLY_DATA_DIR={self.served}")

    def stop(self) -> None:
        """Stop the server, if there is one."""
        if self.server is None:
            return
        self.server.terminate()
        try:
            self.server.wait(SECONDS)
        finally:
            self.server.kill()
            self.server = None

    def known(self, text: str) -> str:
        """A text whose names stand for what `hide` has hidden behind them."""
        text = text.replace("http://127.0.0.1:PORT", self.address)
        for real, name in self.names.items():
            text = re.sub(rf"\b{name}\b", real, text)
        return text

    def _tell(self) -> None:
        # Whoever reads it meanwhile, such as a server, finds a time there.
        written = self.path / ".clock"
        written.write_text(str(self.now))
        written.replace(self.path / "clock")

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
        text = re.sub(_ID, self._number, text)
        text = re.sub(r"\b(usr|sbk)_()[A-Za-z0-9_-]{8}(?![A-Za-z0-9_-])", self._number, text)
        text = re.sub(r"(127\.0\.0\.1|localhost):\d{4,5}\b", r"\1:PORT", text)
        text = re.sub(r'(\bprocess |"pid": )\d+', r"\1N", text)
        text = re.sub(r'("requestId": ")[0-9a-f]{12}-[0-9a-f]+', r"\1REQUEST", text)
        return re.sub(r"\b\d+(\.\d+)? (ms|kB|B)\b", r"N \2", text)

    def _number(self, found: re.Match[str]) -> str:
        """`usr_1`, `sbsec_2`, `jwt_1`: each kind counts for itself."""
        kind = found[1] or found[2] or "jwt"
        for known, name in self.names.items():
            if known.startswith(found[0]):
                return name
        count = sum(bool(re.match(rf"{kind}_\d", name)) for name in self.names.values())
        return self.names.setdefault(found[0], f"{kind}_{count + 1}")

    def _name(self, found: re.Match[str]) -> str:
        shown = found[0]
        for known, name in self.names.items():
            if known.startswith(shown) or shown.startswith(known):
                return name
        count = sum(name.startswith("ver_") for name in self.names.values())
        return self.names.setdefault(shown, f"ver_{count + 1}")


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


def play(text: str, stage: Stage, runners: Runners | None = None) -> str:
    """Run the directives of a transcript; returns it with what came of them now."""
    lines = [line for line in text.splitlines() if not line.startswith(_RESULT)]
    return "\n".join(_played(lines, stage, runners or PROCESSES)) + "\n"


def _played(lines: list[str], stage: Stage, runners: Runners) -> Iterator[str]:
    waiting, wanted = list(lines), ""
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
            stage.set(stage.known(rest))
        elif verb == "until":
            wanted = rest
        elif verb == "serve":
            stage.serve()
        elif verb == "stop":
            stage.stop()
        elif verb == "unset":
            stage.variables[rest] = None
        elif verb in runners:
            typed = []
            while waiting and waiting[0].startswith("< "):
                typed.append(waiting.pop(0))
            yield from typed
            stdin = stage.known("".join(f"{line[2:]}\n" for line in typed))
            argv = [rest] if verb == "sh$" else shlex.split(rest)
            argv = [stage.known(word) for word in argv]
            deadline = time.monotonic() + SECONDS
            result = runners[verb](stage, argv, stdin)
            while wanted not in result.stdout and time.monotonic() < deadline:
                result = runners[verb](stage, argv, stdin)
            wanted = ""
            yield f"exit {result.status}"
            yield from _marked(">", stage.hide(result.stdout))
            yield from _marked("!", stage.hide(result.stderr))


def _marked(mark: str, text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield f"{mark} {line}".rstrip()


def run_here(stage: Stage, argv: list[str], stdin: str | None) -> Result:
    """Run a command in this process as with pipes: there it takes a tenth of the time."""
    return _run_here(stage, argv, stdin, io.StringIO(), io.StringIO())


def run_here_in_terminal(stage: Stage, argv: list[str], stdin: str | None) -> Result:
    """Run a command in this process as with terminals."""
    return _run_here(stage, argv, stdin, Terminal(), Terminal())


def _run_here(
    stage: Stage, argv: list[str], stdin: str | None, out: io.StringIO, err: io.StringIO
) -> Result:
    typed = io.TextIOWrapper(io.BytesIO((stdin or "").encode()), "utf-8")
    with (
        mock.patch.dict(os.environ, stage.environment, clear=True),
        mock.patch.object(sys, "stdin", typed),
        contextlib.chdir(stage.cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        status = smply_main(argv[1:])
    return Result(status, plain(out.getvalue()), plain(err.getvalue()))


Runner = Callable[[Stage, list[str], str | None], Result]
Runners = dict[str, Runner]

PROCESSES: Runners = {"$": run_piped, "sh$": run_shell, "tty$": run_in_terminal}
HERE: Runners = {"$": run_here, "tty$": run_here_in_terminal}


def main(names: list[str]) -> None:
    """Write transcripts anew: those named, or all."""
    for path in [*sorted(TRANSCRIPTS.glob("*.txt")), *sorted(ALIKE.glob("*.txt"))]:
        if not names or path.stem in names:
            with tempfile.TemporaryDirectory() as directory, Stage(Path(directory)) as stage:
                if path.parent == ALIKE:
                    stage.serve()
                    stage.move_in()
                runners = HERE if path.parent == ALIKE else PROCESSES
                path.write_text(play(path.read_text(), stage, runners))
            print(f"wrote {path.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
