"""SMPLY_NETWORK, from the environment of a command to an action that asks a neighbour."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.acceptance.transcript import Stage

MACHINE = """
import {{ createMachine }} from "npm:xstate@5";
export const allowRead = () => true;
export const allowWrite = () => true;
const ask = async () => console.log(await (await fetch("http://127.0.0.1:{port}/")).text());
export default createMachine({{ on: {{ ask: {{ actions: ask }} }} }});
"""


class Neighbour(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Neighbour)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def smply(stage: Stage, network: str, *argv: str) -> subprocess.CompletedProcess[str]:
    env = {**stage.environment, "SMPLY_NETWORK": network}
    return subprocess.run(
        ["smply", *argv], cwd=stage.cwd, env=env, capture_output=True, text=True, check=False
    )


def test_an_action_reaches_what_the_setting_names(tmp_path: Path, port: int) -> None:
    stage = Stage(tmp_path)
    (stage.cwd / "m.js").write_text(MACHINE.format(port=port))
    who = ("-m", "m", "-i", "one", "-a", "{}")
    assert smply(stage, "", "machines", "create", "-m", "m", "--js", "m.js").returncode == 0
    assert smply(stage, "", "instances", "create", *who).returncode == 0
    event = ("instances", "send-event", *who, "-e", '{"type": "ask"}')

    refused = f"TypeError: fetch: the network policy does not allow 127.0.0.1:{port}"
    assert refused in smply(stage, "", *event).stderr
    assert "one action: hello" in smply(stage, f"127.0.0.1:{port}", *event).stderr


def test_a_policy_that_is_none_stops_every_command(tmp_path: Path) -> None:
    stage = Stage(tmp_path)

    listed = smply(stage, "public,foo bar", "machines", "list")

    assert (listed.returncode, listed.stdout) == (2, "")
    assert listed.stderr == (
        "error: public is a whole network policy, not a host in one\n"
        "hint:  SMPLY_NETWORK is none, public, all, or the hosts that machines may reach:"
        " api.example.com,10.0.0.5:8080\n"
    )
    assert not (tmp_path / "data").exists()
