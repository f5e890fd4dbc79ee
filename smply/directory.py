"""The data directory: made, held for life by whoever opens it, and its files."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from smply.errors import DataDirectoryError

_WAIT_SECONDS = 5.0


class DataDirectory:
    """A data directory that this process holds: shared, or for itself alone to change its form.

    Raises DataDirectoryError where it cannot be made or written.
    """

    def __init__(self, path: Path) -> None:
        _refuse_windows()
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise DataDirectoryError(
                f"the data directory {path} cannot be used: {exc.strerror}",
                hint="--data-dir names another",
            ) from exc

    @property
    def database(self) -> Path:
        return self.path / "smply.db"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._lock)

    def hold(self, needs_change: Callable[[Path], bool], change: Callable[[Path], None]) -> None:
        """Hold the directory until it is closed; change the database first if it needs that.

        A change is made alone: it waits 5 s for those who hold the directory, then names them.
        """
        import fcntl

        deadline = time.monotonic() + _WAIT_SECONDS
        # Another process may make the change while this one waits, and hold the directory then.
        while needs_change(self.database):
            if self._is_taken_alone():
                if needs_change(self.database):
                    change(self.database)
                break
            if time.monotonic() > deadline:
                raise DataDirectoryError(
                    f"the data in {self.path} must be brought up to date, but"
                    f" {self._holders()} is using it",
                    hint="stop it and try again",
                )
            time.sleep(0.02)
        fcntl.flock(self._lock, fcntl.LOCK_SH)

    def _is_taken_alone(self) -> bool:
        import fcntl

        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _holders(self) -> str:
        inode = os.fstat(self._lock).st_ino
        try:
            lines = Path("/proc/locks").read_text().splitlines()
        except OSError:
            return "another process"
        # A line is `1: FLOCK ADVISORY READ 1234 08:01:5678 0 EOF`.
        pids = [line.split()[4] for line in lines if f":{inode} " in line and "->" not in line]
        return f"process {', '.join(pids)}" if pids else "another process"


def _refuse_windows() -> None:
    if sys.platform == "win32":
        raise DataDirectoryError("the local profile does not run on Windows itself", hint="use WSL")
