"""The servers that are measured: smply, and what somebody would write by hand in Node."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import jwt

from smply.client import Client
from smply.contract import AUDIENCE

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
    headers: dict[str, str]
    """Of a user of the machine."""
    token: str = ""
    """Its owner's."""
    key: dict[str, str] = field(default_factory=dict)
    """What has signed the user's token, as `POST /keys` tells it."""

    def client(self) -> Client:
        """Its owner's client."""
        return Client(f"http://127.0.0.1:{self.port}", token=self.token)

    def request(self, method: str, path: str, body: object = "") -> str:
        """A line for the generator."""
        text = body if isinstance(body, str) else json.dumps(body)
        return json.dumps([method, path, self.headers, text])

    def birth(self, name: str) -> str:
        return self.request("POST", "/machines/bench", {"slug": name})

    def event(self, name: str) -> str:
        return self.request("POST", f"/machines/bench/i/{name}/events", {"event": "toggle"})

    def read(self, name: str) -> str:
        return self.request("GET", f"/machines/bench/i/{name}")

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
    """`smply serve` on this data directory, with the machine `bench` and a token of its user."""
    directory.mkdir(parents=True, exist_ok=True)
    ready = directory.with_name(f"{directory.name}-ready.json")
    ready.unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "smply", "serve", "--data-dir", str(directory), "--port", "0",
         "--network", "none", "--ready-file", str(ready)],
        env={**os.environ, **environment}, text=True,
    )  # fmt: skip
    with _ended(process):
        while not ready.exists():
            assert process.poll() is None, "the server did not start"
            time.sleep(0.01)
        told = json.loads(ready.read_text())
        port = int(told["url"].rsplit(":", 1)[1])
        key = _key_of(told)
        server = Server("smply", port, process, user(key), told["accessToken"], key)
        with server.client() as client:
            if not client.machines.list().items:
                client.machines.create("bench")
                client.versions.create("bench", MACHINE.read_bytes(), make_current=True)
        yield server


def _key_of(told: dict[str, str]) -> dict[str, str]:
    owner = {"authorization": f"Bearer {told['accessToken']}"}
    use = {"name": "bench", "use": "production"}
    made = httpx.post(f"{told['url']}/keys", headers=owner, json=use).raise_for_status()
    key: dict[str, str] = made.json()
    return key


def user(key: dict[str, str], **claims: object) -> dict[str, str]:
    """The headers of a user, with a token for a day that this key has signed."""
    now = int(time.time())
    told = {"act": {"sub": "bench"}, "aud": AUDIENCE, "iat": now, "exp": now + 86_400, **claims}
    token = jwt.encode(told, key["key"], headers={"kid": key["id"]})
    return {"authorization": f"Bearer {token}", "content-type": "application/json"}


@contextmanager
def peer(mode: str, directory: Path, environment: dict[str, str]) -> Iterator[Server]:
    """The Node service: `sqlite` commits each event by itself, `group` many at a time."""
    command = ["node", str(_installed_peers() / "peer.js"), mode, str(directory / f"{mode}.db")]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    with _ended(process):
        assert process.stdout is not None
        user = {"x-statebacked-act": '{"sub":"bench"}', "content-type": "application/json"}
        yield Server(f"node-{mode}", int(process.stdout.readline()), process, user)


@contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
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
