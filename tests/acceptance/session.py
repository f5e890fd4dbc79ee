"""A command on a terminal of its own, with somebody who types."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

from tests.acceptance.transcript import Stage

# A terminal sends its signals to the session that it controls.
AS_LEADER = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Session:
    """A command that has a terminal of its own."""

    def __init__(self, stage: Stage, argv: list[str]) -> None:
        self._outer, inner = pty.openpty()
        self._child = subprocess.Popen(
            [sys.executable, "-c", AS_LEADER, *argv], cwd=stage.cwd, env=stage.environment,
            stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
        )  # fmt: skip
        os.close(inner)
        self.screen = ""

    def read_until(self, end: str) -> None:
        while not self.screen.endswith(end):
            assert self._read(), self.screen

    def wait_until_it_reads(self) -> None:
        """A Ctrl-C in the instant before a read begins is heard by Python only after it."""
        while (state := _state(self._child.pid)) != "S":
            assert state != "Z", f"it has ended: {self.screen}"
            time.sleep(0.001)

    def type(self, keys: str) -> int:
        """Type something, read what comes of it to the end; returns the exit status."""
        os.write(self._outer, keys.encode())
        while self._read():
            pass
        return self._child.wait(timeout=20)

    def type_on(self, keys: str, end: str) -> None:
        """Type something, and read up to the next question."""
        os.write(self._outer, keys.encode())
        self.read_until(end)
        self.wait_until_it_reads()

    def close(self) -> None:
        self._child.kill()
        self._child.wait()
        os.close(self._outer)

    def _read(self) -> bool:
        try:
            chunk = os.read(self._outer, 65536)
        except OSError:
            # Linux says EIO when the last writer has gone.
            return False
        self.screen += chunk.decode().replace("\r\n", "\n")
        return bool(chunk)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
