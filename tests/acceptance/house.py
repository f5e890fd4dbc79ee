"""A data directory with commands and servers on it, as processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

SECONDS = 30
MACHINE = """
import { createMachine } from "xstate";
export const allowRead = () => true;
export const allowWrite = () => true;
export default createMachine({
  initial: "off",
  states: { off: { on: { wake: "on", slow: "slow" } }, on: { after: { 300: "off" } },
    slow: { entry: () => new Promise((done) => setTimeout(done, 300)) } },
});
"""


def until(is_so: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + SECONDS
    while not (found := is_so()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)
    return found


@dataclass
class House:
    """A data directory, and commands on it."""

    path: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.path / "data"

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-m", "smply", *args, "--data-dir", str(self.data)]

    def run(self, *args: str, status: int = 0) -> str:
        done = subprocess.run(
            self.command(*args), cwd=self.path, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL, timeout=SECONDS,
        )  # fmt: skip
        assert done.returncode == status, done.stderr + done.stdout
        return done.stdout if status == 0 else done.stderr

    def serve(self, *args: str) -> Server:
        ready = self.path / f"ready{len(self.started)}.json"
        log = self.path / f"log{len(self.started)}"
        with log.open("wb") as said:
            process = subprocess.Popen(
                self.command("serve", "--ready-file", str(ready), *args), stderr=said, stdout=said
            )
        self.started.append(process)
        until(lambda: ready.exists() or process.poll() is not None)
        assert ready.exists(), log.read_text()
        return Server(process, ready, log, json.loads(ready.read_text()))


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    ready: Path
    log: Path
    told: dict[str, Any]

    def http(self, **options: Any) -> httpx.Client:
        headers = {"authorization": f"Bearer {self.told['accessToken']}"}
        return httpx.Client(base_url=self.told["url"], headers=headers, **options)

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        assert self.process.wait(SECONDS) == 0, self.log.read_text()
