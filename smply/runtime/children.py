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
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

# macOS allows 104 bytes for the path of a socket, Linux 108; the name takes up to 12.
_PATH_BYTES_MAX = 90

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
    """A directory of this process alone (0700), and the record of its children."""

    def __init__(self, directory: Path | None) -> None:
        self._shared = directory or _own_directory()
        pid = os.getpid()
        self._name = f"{pid}-{start_time(pid)}-{next(_pools)}"
        self._children: dict[int, str | None] = {}
        if self._shared is not None:
            self._shared.mkdir(mode=0o700, parents=True, exist_ok=True)
            reap(self._shared)
            self.path = self._shared / self._name
        if self._shared is None or len(os.fsencode(self.path)) > _PATH_BYTES_MAX:
            self.path = Path(tempfile.mkdtemp(prefix="smply-"))
        else:
            self.path.mkdir(mode=0o700)

    def add(self, pid: int) -> None:
        self._children[pid] = start_time(pid)
        self._record()

    def remove(self, pid: int) -> None:
        self._children.pop(pid, None)
        self._record()

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        if self._shared is not None:
            (self._shared / "children" / f"{self._name}.json").unlink(missing_ok=True)

    def _record(self) -> None:
        if self._shared is None:
            return
        folder = self._shared / "children"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        record = {
            "machine": platform.node(),
            "path": str(self.path),
            "children": [{"pid": pid, "start": start} for pid, start in self._children.items()],
        }
        written = folder / f".{self._name}"
        written.write_text(json.dumps(record))
        written.replace(folder / f"{self._name}.json")


def _own_directory() -> Path | None:
    """A directory that only this user can have made; None if somebody else was there first."""
    directory = Path(tempfile.gettempdir()) / f"smply-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    return directory if ours and not found.st_mode & 0o077 else None


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
        pid, start, _ = file.stem.split("-")
        if start_time(int(pid)) == start:
            continue
        try:
            record = json.loads(file.read_text())
            if record["machine"] != platform.node():
                # Another container shares the directory, and knows its processes by other numbers.
                continue
            for child in record["children"]:
                _end(child["pid"], child["start"])
            shutil.rmtree(record["path"], ignore_errors=True)
        except (OSError, ValueError, KeyError, TypeError):
            # Another smply was here first, or the record is torn: then there is nothing to trust.
            pass
        file.unlink(missing_ok=True)


def _end(pid: int, start: str) -> None:
    if start is not None and start_time(pid) == start:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
