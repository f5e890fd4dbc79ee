"""The data directory: made, held for life by whoever opens it, and its files."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from smply.errors import DataDirectoryError

DEFAULT_ORG = "default-org"
"""The file of a data directory that names the org its commands mean."""

_WAIT_SECONDS = 5.0
_LOOKS = 20
_LOOK_SECONDS = 0.005


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
            reason = "it is a file" if isinstance(exc, FileExistsError) else exc.strerror
            raise DataDirectoryError(
                f"the data directory {path} cannot be used: {reason}",
                hint="--data-dir names another",
            ) from exc

    @property
    def database(self) -> Path:
        return self.path / "smply.db"

    @property
    def key(self) -> Path:
        """What seals the secrets in the database."""
        return self.path / "key"

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
            if self._is_taken_alone(deadline, "must be brought up to date"):
                if needs_change(self.database):
                    change(self.database)
                break
        fcntl.flock(self._lock, fcntl.LOCK_SH)

    def hold_alone(self, purpose: str) -> None:
        """Keep all others away until it is closed; waits 5 s for those who hold it.

        `purpose` ends the sentence "the data in PATH …" of the error that then names them.
        """
        deadline = time.monotonic() + _WAIT_SECONDS
        while not self._is_taken_alone(deadline, purpose):
            pass

    def _is_taken_alone(self, deadline: float, purpose: str) -> bool:
        """Whether nobody else holds it now; if not, after a moment, until the deadline."""
        import fcntl

        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise DataDirectoryError(
                    f"the data in {self.path} {purpose}, but {self._holders()} is using it",
                    hint="stop it and try again",
                ) from None
            time.sleep(0.02)
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


@dataclass(frozen=True, slots=True)
class ServerMark:
    """What a running server leaves in its data directory, so that commands find it."""

    url: str
    org: str
    token: str
    pid: int
    uds: str | None = None


class ServerLock:
    """Held by the server of a data directory as long as it lives; there is one at a time.

    The mark (`server.json`, 0600) means nothing unless the lock is held: what a killed server has
    left is nobody's address.
    """

    def __init__(self, data_dir: Path) -> None:
        self._mark = data_dir / "server.json"
        self._path = data_dir / "server.lock"
        self._held: int | None = None

    def take(self) -> None:
        """Raises DataDirectoryError if another server has it."""
        lock = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if self._is_got(lock):
            self._held = lock
            # What a killed server left would name another process as soon as the lock is held.
            self._mark.unlink(missing_ok=True)
        else:
            os.close(lock)
            raise self._taken(self.running())

    def refuse_another(self) -> None:
        """Raises DataDirectoryError if another server has it and accepts requests."""
        if (other := self.running()) is not None:
            raise self._taken(other)

    def _taken(self, other: ServerMark | None) -> DataDirectoryError:
        where = f" (process {other.pid}, {other.uds or other.url})" if other else ""
        return DataDirectoryError(
            f"another smply serve has {self._path.parent}{where}",
            hint="use that one, stop it with `smply serve --stop`, or name another --data-dir",
        )

    def _is_got(self, lock: int) -> bool:
        """Whether the lock was got; who only looks whether a server runs holds it for a moment."""
        import fcntl

        for _ in range(_LOOKS):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_LOOK_SECONDS)
            else:
                return True
        return False

    def mark(self, mark: ServerMark) -> None:
        """Tell where the server is, once it accepts requests."""
        write_private(self._mark, json.dumps(asdict(mark)).encode())

    @property
    def held(self) -> bool:
        return self._held is not None

    def release(self) -> None:
        """Let it go, and take the mark away first."""
        if self._held is not None:
            self._mark.unlink(missing_ok=True)
            os.close(self._held)
            self._held = None

    def running(self) -> ServerMark | None:
        """The server that holds the lock, if there is one and it accepts requests."""
        import fcntl

        try:
            looked = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(looked, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            with contextlib.suppress(OSError, ValueError, TypeError):
                return ServerMark(**json.loads(self._mark.read_bytes()))
        finally:
            os.close(looked)
        return None


def write_private(path: Path, content: bytes) -> None:
    """Put a file there that nobody else may read (0600): whole, or not at all."""
    # Imported here, since every command reads this file and few write one.
    import tempfile

    # Never a file that another user of the directory has laid there to read it.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    made = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        made.replace(path)
    except BaseException:
        made.unlink(missing_ok=True)
        raise


def _refuse_windows() -> None:
    if sys.platform == "win32":
        raise DataDirectoryError("the local profile does not run on Windows itself", hint="use WSL")
