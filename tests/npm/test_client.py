"""`@statebacked/client` and `@statebacked/token` as they are on npm (client-facts)."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.npm.conftest import NODE

_READY_SECONDS = 30


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A server in a process of its own: its ready file, and its log."""
    ready, log = tmp_path / "ready.json", tmp_path / "log"
    with log.open("wb") as said:
        server = subprocess.Popen(
            [
                sys.executable, "-m", "smply", "serve", "--data-dir", str(tmp_path / "data"),
                "--port", "0", "--ready-file", str(ready), "--log-requests", "--log-format", "json",
            ],
            stderr=said,
        )  # fmt: skip
    try:
        deadline = _READY_SECONDS / 0.02
        while not ready.exists():
            assert server.poll() is None, log.read_text()
            deadline -= 1
            assert deadline, "the server is not ready"
            time.sleep(0.02)
        yield ready, log
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0
        assert not ready.exists()
    finally:
        server.kill()
        server.wait()


def test_every_method_of_the_published_client_works(
    installed: Path, served: tuple[Path, Path]
) -> None:
    ready, log = served
    done = subprocess.run(
        [NODE / "node", "suite.mjs", str(ready)], cwd=installed, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["failures"] == []
    assert told["missing"] == []
    asked = _asked(log)
    assert not [each for each in asked if each[2] >= 500]
    # Each route that the client knows was answered well, and was refused.
    for way, path in {(way, path) for way, path, _ in asked}:
        statuses = {status for how, where, status in asked if (how, where) == (way, path)}
        assert path == "/billing" or any(status < 300 for status in statuses), (way, path, statuses)


def _asked(log: Path) -> Counter[tuple[str, str, int]]:
    """How often each route was answered with each status, by the server's own log."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return Counter(
        (line["method"], _route(line["path"]), line["status"])
        for line in lines
        if line["event"] == "request"
    )


def _route(path: str) -> str:
    path = re.sub(r"^/machines/[^/]+", "/machines/{m}", path)
    path = re.sub(r"/i/[^/]+", "/i/{i}", path)
    path = re.sub(r"/v/[^/]+", "/v/{v}", path)
    path = re.sub(r"^/keys/[^/]+", "/keys/{k}", path)
    path = re.sub(r"^/code-uploads/[^/]+", "/code-uploads/{u}", path)
    return re.sub(r"^/token-providers/[^/]+", "/token-providers/{s}", path)
