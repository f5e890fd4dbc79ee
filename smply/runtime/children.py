"""Who the children of a living smply are, so that the next one can end those of a dead one.

A directory that several processes share (`smply-<uid>` below the temporary directory, unless
another is given) holds, for each pool of each of them,
`children/<pid>-<start>-<n>.json` (its Deno processes) and a folder of that name (sockets, caches).
The start time tells a process from another that has come by its number.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import platform
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from smply.errors import Unavailable

# macOS allows 104 bytes for the path of a socket, Linux 108; the name takes up to 12.
_PATH_BYTES_MAX = 90
_SHORT_ROOTS = ("/tmp", "/var/tmp")

_RECORD = re.compile(r"(?P<pid>[0-9]{1,18})-(?P<start>\w+)-[0-9]+")

_pools = itertools.count(1)


def start_time(pid: int) -> str | None:
    """When a process began, as its system tells it; None when there is no such process."""
    if sys.platform == "linux":
        try:
            told = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        state, *fields = told.rpartition(")")[2].split()
        return None if state in "ZX" else fields[18]
    told = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return "".join(character for character in told if character.isalnum()) or None


class Home:
    """A directory of this process alone (0700), and the record of its children.

    Unavailable when there is no place for it.
    """

    def __init__(self, directory: Path | None) -> None:
        pid = os.getpid()
        self._name = f"{pid}-{start_time(pid)}-{next(_pools)}"
        self._children: dict[int, str | None] = {}
        with _telling_of_tmpdir():
            root = _root(self._name)
            self._shared = directory or _own_directory(root)
            if self._shared is not None:
                (self._shared / "children").mkdir(mode=0o700, parents=True, exist_ok=True)
                reap(self._shared)
            self.path = self._make(root)

    def _make(self, root: Path) -> Path:
        if self._shared is None or not _carries(self._shared / self._name):
            return Path(tempfile.mkdtemp(prefix="smply-", dir=root))
        path = self._shared / self._name
        path.mkdir(mode=0o700)
        return path

    def write(self, name: str, content: bytes) -> None:
        """Put a file there that every process reads."""
        with _telling_of_tmpdir():
            (self.path / name).write_bytes(content)

    def add(self, pid: int) -> None:
        self._children[pid] = start_time(pid)
        self._record()

    def remove(self, pid: int) -> None:
        self._children.pop(pid, None)
        # A record that names too many is harmless: a start time is no other process's.
        with contextlib.suppress(OSError):
            self._record()

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        if self._shared is not None:
            (self._shared / "children" / f"{self._name}.json").unlink(missing_ok=True)
            # Who is born after this, asked for before an interrupt, is killed at once.
            self._shared = None

    def _record(self) -> None:
        if self._shared is None:
            return
        folder = self._shared / "children"
        record = {
            "machine": platform.node(),
            "path": str(self.path),
            "children": [{"pid": pid, "start": start} for pid, start in self._children.items()],
        }
        written = folder / f".{self._name}"
        written.write_text(json.dumps(record))
        written.replace(folder / f"{self._name}.json")


@contextlib.contextmanager
def _telling_of_tmpdir() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        where = f" ({exc.filename})" if exc.filename else ""
        raise Unavailable(
            f"the directory that TMPDIR names takes no files for the processes of machine code:"
            f" {exc.strerror or exc}{where}",
            hint="set TMPDIR to a directory of yours that has room",
        ) from exc


def _root(name: str) -> Path:
    """The temporary directory, or another one where that cannot hold sockets of Deno's."""
    roots = [Path(tempfile.gettempdir())]
    roots += [Path(each) for each in _SHORT_ROOTS if os.access(each, os.W_OK | os.X_OK)]
    able = (each for each in roots if _carries(each / _own_name() / name))
    return next(able, roots[0])


def _carries(path: Path) -> bool:
    """Whether a socket's path can be so long, and Deno's lists of permissions hold it."""
    told = os.fsencode(path)
    return len(told) <= _PATH_BYTES_MAX and b"," not in told and _is_text(told)


def _is_text(told: bytes) -> bool:
    try:
        told.decode()
    except UnicodeDecodeError:
        return False
    return True


def _own_name() -> str:
    return f"smply-{os.getuid()}"


def _own_directory(root: Path) -> Path | None:
    """A directory that only this user can have made; None if something else was there first."""
    directory = root / _own_name()
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.lstat()
        ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
        if not ours or found.st_mode & 0o077:
            return None
        (directory / "children").mkdir(mode=0o700, exist_ok=True)
    except FileExistsError:
        return None
    return directory


def kill(child: asyncio.subprocess.Process) -> None:
    """Kill a child that has not been waited for.

    Its own `kill` looks whether it still lives, and so takes its exit status from asyncio.
    """
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)


def reap(directory: Path) -> None:
    """End the children of dead parents, and throw away what those had here."""
    for file in sorted((directory / "children").glob("*.json")):
        parent = _RECORD.fullmatch(file.stem)
        if parent is None or start_time(int(parent["pid"])) == parent["start"]:
            continue
        try:
            record = json.loads(file.read_bytes())
            if record["machine"] != platform.node():
                # Another container shares the directory, and knows its processes by other numbers.
                continue
            for child in record["children"]:
                _end(child["pid"], child["start"])
            shutil.rmtree(record["path"], ignore_errors=True)
        except (OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
            # Another smply was here first, or the record is torn: then there is nothing to trust.
            pass
        with contextlib.suppress(OSError):
            file.unlink()


def _end(pid: int, start: str) -> None:
    if start is not None and start_time(pid) == start:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
