"""The servers that are measured: smply, and what somebody would write by hand in Node."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from smply.client import Client

_HERE = Path(__file__).parent
MACHINE = _HERE / "toggler.js"
_PEERS = _HERE / "peers"


@dataclass(frozen=True)
class Cpu:
    """Seconds of CPU that a server has used so far: of its first thread, the others, Deno."""

    loop: float
    writer: float
    deno: float

    def since(self, before: Cpu) -> Cpu:
        return Cpu(self.loop - before.loop, self.writer - before.writer, self.deno - before.deno)

    @property
    def total(self) -> float:
        return self.loop + self.writer + self.deno


@dataclass(frozen=True)
class Server:
    """A server that takes a State Backed server's path of an event."""

    name: str
    port: int
    process: subprocess.Popen[str]

    def used(self) -> Cpu:
        tasks = list(Path(f"/proc/{self.process.pid}/task").iterdir())
        threads = {int(task.name): _thread_seconds(task) for task in tasks}
        loop = threads.pop(self.process.pid)
        deno = sum(_process_seconds(child) for child in self.children())
        return Cpu(loop, sum(threads.values()), deno)

    def children(self) -> list[int]:
        """Its processes of Deno."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return [int(child) for task in tasks for child in _words(task / "children")]


def _thread_seconds(task: Path) -> float:
    return int(_words(task / "schedstat")[0]) / 1e9


def _process_seconds(pid: int) -> float:
    return sum(_thread_seconds(task) for task in Path(f"/proc/{pid}/task").iterdir())


def _words(path: Path) -> list[str]:
    return path.read_text().split()


@contextmanager
def smply(directory: Path, environment: dict[str, str]) -> Iterator[Server]:
    """smply on this data directory, with the machine `bench` published."""
    command = [sys.executable, "-m", "tests.benchmarks.server", str(directory)]
    with _running("smply", command, environment) as server:
        with Client(f"http://127.0.0.1:{server.port}") as client:
            if not client.machines.list().items:
                client.machines.create("bench")
                client.versions.create("bench", MACHINE.read_bytes(), make_current=True)
        yield server


@contextmanager
def peer(mode: str, directory: Path, environment: dict[str, str]) -> Iterator[Server]:
    """The Node service: `sqlite` commits each event by itself, `group` many at a time."""
    command = ["node", str(_installed_peers() / "peer.js"), mode, str(directory / f"{mode}.db")]
    with _running(f"node-{mode}", command, environment) as server:
        yield server


@contextmanager
def _running(name: str, command: list[str], environment: dict[str, str]) -> Iterator[Server]:
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    try:
        assert process.stdout is not None
        yield Server(name, int(process.stdout.readline()), process)
    finally:
        process.terminate()
        process.communicate(timeout=20)


def _installed_peers() -> Path:
    """The Node service with its packages, installed once for each lock file."""
    lock = hashlib.sha256((_PEERS / "package-lock.json").read_bytes()).hexdigest()[:12]
    directory = Path(tempfile.gettempdir()) / f"smply-peers-{os.getuid()}-{lock}"
    shutil.copytree(_PEERS, directory, dirs_exist_ok=True)
    if not (directory / "node_modules").exists():
        headers = Path(shutil.which("node") or "").resolve().parent.parent
        subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--build-from-source",
             f"--nodedir={headers}", "--prefix", str(directory)],
            check=True, stdout=sys.stderr,
        )  # fmt: skip
    return directory


def slow_disk(directory: Path) -> dict[str, str]:
    """The environment in which each sync of a server's files takes 3 ms more."""
    library = directory / "slow_sync.so"
    source = str(_HERE / "slow_sync.c")
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O2", "-o", str(library), source, "-ldl"], check=True
    )
    return {"LD_PRELOAD": str(library)}
