"""The README's examples of a server and its clients, word for word but for the port."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.transcript import EXAMPLE
from tests.npm.conftest import NODE
from tests.test_readme import MANUAL

_SECONDS = 60


def example(name: str) -> str:
    """What stands below its marker."""
    found = re.search(
        rf"<!-- example: {re.escape(name)} -->\n```\w+\n(.*?)```", MANUAL.read_text(), re.DOTALL
    )
    assert found, f"the manual has no example {name}"
    return found[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.fixture
def play(installed: Path) -> Callable[[str], str]:
    """Runs an example where the packages are; returns what it prints."""
    port = str(free_port())
    commands = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}
    environment["SMPLY_CONFIG_DIR"] = str(installed / "config")
    runners = {".sh": ["bash", "-eu"], ".py": [sys.executable], ".mjs": [str(NODE / "node")]}

    def run(name: str) -> str:
        file = installed / name
        file.write_text(example(name).replace("8000", port))
        done = subprocess.run(
            [*runners[file.suffix], str(file)], cwd=installed, env=environment,
            capture_output=True, text=True, check=False, timeout=_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_a_server_a_key_a_token_and_three_clients(
    installed: Path, play: Callable[[str], str]
) -> None:
    shutil.copy(EXAMPLE, installed)
    play("server.sh")
    try:
        assert json.loads((installed / "key.json").read_text())["id"].startswith("sbk_")
        assert play("client.py") == "on\n"
        # It goes off by itself after three seconds.
        assert play("client.mjs") in ("on\n", "off\n")
        state, _ = json.JSONDecoder().raw_decode(play("client.sh"))
        assert state["publicContext"]["count"] >= 1
    finally:
        stop = [sys.executable, "-m", "smply", "serve", "--data-dir", "data", "--stop"]
        subprocess.run(stop, cwd=installed, capture_output=True, check=False)


def test_a_script_sets_up_a_server_on_a_bare_machine(tmp_path: Path) -> None:
    """All but its first command, which is the first of the manual and which `.ci/run` runs."""
    script, port = example("setup.sh"), str(free_port())
    install = "python3 -m venv .venv && .venv/bin/pip install --quiet .\n"
    assert install in script
    assert install.strip() in MANUAL.read_text().partition("```sh\n")[2]
    shutil.copy(EXAMPLE, tmp_path)
    (tmp_path / "setup.sh").write_text(script.replace(install, "").replace("8000", port))
    environment = {
        name: os.environ[name] for name in ("HOME", "PATH", "TMPDIR") if name in os.environ
    }
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    try:
        done = subprocess.run(
            ["sh", "setup.sh"], cwd=tmp_path, env=environment, capture_output=True, text=True,
            check=False, timeout=_SECONDS, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "on"
        assert (tmp_path / "web.env").stat().st_mode & 0o077 == 0
    finally:
        stop = [sys.executable, "-m", "smply", "serve", "--data-dir", "data", "--stop"]
        subprocess.run(stop, cwd=tmp_path, capture_output=True, check=False)
