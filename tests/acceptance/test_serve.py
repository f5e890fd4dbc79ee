"""`smply serve` as a process: how it begins, is found, is reached, and ends."""

from __future__ import annotations

import base64
import json
import signal
import socket
import stat
import subprocess
import sys
import time

import httpx
import pytest

from tests.acceptance.house import SECONDS, House, until
from tests.identity.support import signed


def test_the_ready_file_says_all_that_a_program_needs(house: House) -> None:
    server = house.serve("--port", "0")
    assert set(server.told) == {"url", "orgId", "accessToken", "pid"}
    assert server.told["pid"] == server.process.pid
    for path in (server.ready, house.data / "access-token", house.data / "key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with server.http() as http:
        info = http.get("/smply/info").json()
    assert info["orgId"] == server.told["orgId"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_success_and_leaves_no_address(house: House, number: int) -> None:
    server = house.serve("--port", "0")
    server.stop(number)
    assert not server.ready.exists()
    assert not (house.data / "server.json").exists()
    again = house.serve("--port", "0")
    assert again.told["accessToken"] == server.told["accessToken"]


ACTION = """
import { createMachine } from "xstate";
export const allowRead = () => true;
export const allowWrite = () => true;
const slow = () => new Promise((done) => setTimeout(done, 3_000));
export default createMachine({
  initial: "off",
  states: { off: { on: { wake: { target: "on", actions: slow } } }, on: {} },
});
"""


def test_a_second_signal_does_not_cut_off_its_end(house: House) -> None:
    (house.path / "action.ts").write_text(ACTION)
    server = house.serve("--port", "0")
    house.run("machines", "create", "-m", "m", "--node", "action.ts")
    house.run("instances", "create", "-m", "m", "-i", "one", "--auth-context", "{}")
    house.run(
        "instances", "send-event", "-m", "m", "-i", "one", "--auth-context", "{}", "--event", "wake"
    )
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    server.stop()
    assert not server.ready.exists()


def test_requests_under_way_come_to_their_end(house: House) -> None:
    server = house.serve("--port", "0")
    house.run("machines", "create", "-m", "m", "--node", "m.ts")
    house.run("instances", "create", "-m", "m", "-i", "one", "--auth-context", "{}")
    body = b'{"event":"slow"}'
    head = (
        "POST /machines/m/i/one/events HTTP/1.1\r\nhost: x\r\nx-statebacked-act: {}\r\n"
        f"authorization: Bearer {server.told['accessToken']}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    port = int(server.told["url"].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as asking:
        asking.sendall(head.encode() + body)
        server.process.send_signal(signal.SIGTERM)
        assert asking.recv(4_096).startswith(b"HTTP/1.1 200")
    assert server.process.wait(SECONDS) == 0


def test_there_is_one_server_of_a_directory(house: House) -> None:
    server = house.serve("--port", "0")
    told = house.run("serve", "--port", "0", status=1)
    assert f"another smply serve has {house.data}" in told
    assert str(server.process.pid) in told
    with server.http() as http:
        assert http.get("/healthz").status_code == 200
    assert (house.data / "server.json").exists()


@pytest.mark.parametrize("way", [(), ("--detach",)])
def test_the_port_of_its_own_server_is_not_said_to_be_taken(
    house: House, way: tuple[str, ...]
) -> None:
    server = house.serve("--port", "0")
    port = server.told["url"].rpartition(":")[2]
    told = house.run("serve", "--port", port, *way, status=1)
    assert f"another smply serve has {house.data} (process {server.process.pid}, " in told
    assert "cannot listen" not in told


@pytest.mark.parametrize("public", [(), ("--public-url", "http://machines.example")])
def test_where_everybody_comes_in_uploads_need_an_address(
    house: House, public: tuple[str, ...]
) -> None:
    server = house.serve("--port", "0", "--host", "0.0.0.0", *public)
    server.stop()
    said = f"remark: uploads are sent to {server.told['url']}, where nobody else finds it"
    assert (said in server.log.read_text()) == (not public)


def test_a_port_that_is_taken_is_a_sentence(house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = house.run("serve", "--port", str(taken.getsockname()[1]), status=2)
    assert "cannot listen on 127.0.0.1:" in told
    assert "Traceback" not in told


def test_commands_ask_the_server_that_runs(house: House) -> None:
    house.run("machines", "create", "-m", "m", "--node", "m.ts")
    server = house.serve("--port", "0", "--log-requests")
    house.run("instances", "create", "-m", "m", "-i", "one", "--auth-context", "{}")
    house.run(
        "instances", "send-event", "-m", "m", "-i", "one", "--auth-context", "{}", "--event", "wake"
    )
    until(lambda: "POST /machines/m/i/one/events 200" in server.log.read_text())
    # Nobody asks, and its timer fires.
    with server.http() as http:
        until(lambda: len(http.get("/machines/m/i/one/events").json()["transitions"]) == 3)


def test_no_proxy_is_shown_the_owners_token(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.serve("--port", "0")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        # Nobody listens there.
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert json.loads(house.run("machines", "list", "--json")) == []


def test_commands_work_though_a_server_was_killed(house: House) -> None:
    server = house.serve("--port", "0")
    server.process.kill()
    server.process.wait()
    assert (house.data / "server.json").exists()
    assert json.loads(house.run("machines", "list", "--json")) == []
    assert house.serve("--port", "0").told["orgId"] == server.told["orgId"]


def test_a_unix_socket_is_a_way_in(house: House) -> None:
    path = house.path / "s"
    server = house.serve("--uds", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with server.http(transport=httpx.HTTPTransport(uds=str(path))) as http:
        assert http.get("/smply/info").status_code == 200
    assert json.loads(house.run("machines", "list", "--json")) == []
    (house.path / "other").mkdir()
    told = House(house.path / "other").run("serve", "--uds", str(path), status=2)
    assert "another process listens there" in told
    server.process.kill()
    server.process.wait()
    house.serve("--uds", str(path)).stop()
    assert not path.exists()


def test_a_file_is_not_removed_for_a_socket(house: House) -> None:
    path = house.path / "notes.txt"
    path.write_text("mine")
    assert "is no socket" in house.run("serve", "--uds", str(path), status=2)
    assert path.read_text() == "mine"


def test_a_server_that_ends_leaves_the_socket_of_the_next(house: House) -> None:
    path = house.path / "s"
    server = house.serve("--uds", str(path))
    path.unlink()
    with socket.socket(socket.AF_UNIX) as next_one:
        next_one.bind(str(path))
        server.stop()
        assert path.exists()


def test_an_operator_brings_the_token(house: House) -> None:
    file = house.path / "token"
    file.write_text("sbat_" + "x" * 40 + "\n")
    for _ in range(2):
        server = house.serve("--port", "0", "--owner-token-file", str(file))
        assert server.told["accessToken"] == "sbat_" + "x" * 40
        with server.http() as http:
            assert http.get("/smply/info").status_code == 200
        server.stop()
    assert not (house.data / "access-token").exists()
    file.write_text("short")
    told = house.run("serve", "--port", "0", "--owner-token-file", str(file), status=2)
    assert "32 characters" in told


def test_where_uploads_go_is_not_for_a_stranger_to_say(house: House) -> None:
    server = house.serve("--port", "0")
    forged = {
        "host": "evil.example", "x-forwarded-host": "evil.example",
        "forwarded": "host=evil.example",
        "x-forwarded-proto": "https",
    }  # fmt: skip
    with server.http() as http:
        http.post("/machines", json={"slug": "m"})
        begun = http.post("/machines/m/v", headers=forged).json()
        assert begun["codeUploadUrl"].startswith(f"{server.told['url']}/code-uploads/")
    server.stop()
    public = house.serve("--port", "0", "--public-url", "https://smply.example/base/")
    assert public.told["url"] == "https://smply.example/base"
    port_of = json.loads((house.data / "server.json").read_bytes())["url"]
    headers = {"authorization": f"Bearer {public.told['accessToken']}", **forged}
    begun = httpx.post(f"{port_of}/machines/m/v", headers=headers).json()
    assert begun["codeUploadUrl"].startswith("https://smply.example/base/code-uploads/")


def test_only_named_sites_may_ask_if_any_are_named(house: House) -> None:
    server = house.serve("--port", "0", "--allow-origin", "https://a.example")
    with server.http() as http:
        for origin, allowed in (("https://a.example", True), ("https://b.example", False)):
            for path in ("/smply/info", "/machines/m/i/one"):
                answer = http.get(path, headers={"origin": origin})
                assert (answer.headers.get("access-control-allow-origin") == origin) == allowed


def test_it_serves_in_the_background(house: House) -> None:
    assert "no server runs" in house.run("serve", "--status", status=1)
    told = json.loads(house.run("serve", "--port", "0", "--detach"))
    assert json.loads(house.run("serve", "--status"))["pid"] == told["pid"]
    assert httpx.get(f"{told['url']}/healthz").status_code == 200
    assert json.loads(house.run("serve", "--stop")) == {"pid": told["pid"]}
    assert "no server runs" in house.run("serve", "--stop", status=1)
    assert "smply serves" in (house.data / "serve.log").read_text()


def test_one_in_the_background_runs_no_code_of_where_it_was_started(house: House) -> None:
    (house.path / "apsw.py").write_text("raise SystemExit(1)")
    words = ["serve", "--port", "0", "--detach", "--data-dir", str(house.data)]
    start = f"import sys; sys.argv[1:] = {words!r}; from smply.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-P", "-c", start], cwd=house.path, capture_output=True, check=False,
        timeout=SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE((house.data / "serve.log").stat().st_mode) == 0o600
    house.run("serve", "--stop", "--data-dir", str(house.data))


def test_one_that_cannot_start_in_the_background_says_why(house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = house.run("serve", "--detach", "--port", str(taken.getsockname()[1]), status=1)
    assert "cannot listen on" in told


def test_a_key_of_a_lost_key_file_opens_nothing(house: House) -> None:
    server = house.serve("--port", "0")
    with server.http() as http:
        key = http.post("/keys", json={"name": "k", "use": "ci"}).json()
    claims = {"act": {}, "aud": "https://api.statebacked.dev/", "exp": time.time() + 600}
    token = signed(claims, key["key"], kid=key["id"])
    server.stop()
    (house.data / "key").unlink()
    told = house.run("serve", "--port", "0", status=1)
    assert "put back the `key` file" in told
    (house.data / "key").write_text(base64.b64encode(b"x" * 32).decode())
    server = house.serve("--port", "0")
    with server.http() as http:
        answer = http.get("/machines", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 503


def test_prometheus_reads_what_it_does(house: House) -> None:
    server = house.serve("--port", "0")
    house.run("machines", "create", "-m", "m", "--node", "m.ts")
    house.run("instances", "create", "-m", "m", "-i", "one", "--auth-context", "{}")
    house.run(
        "instances", "send-event", "-m", "m", "-i", "one", "--auth-context", "{}",
        "--event", "wake",
    )  # fmt: skip
    with server.http() as http:
        http.get("/none/such/path")
        told = http.get("/metrics", headers={"authorization": ""}).text
    event = 'method="POST",route="/machines/{machineSlug}/i/{instanceSlug}/events",status="200"'
    assert f"smply_requests_total{{{event}}} 1.0" in told
    assert "smply_steps_total 2.0" in told
    assert "smply_processes 1.0" in told
    assert "smply_deliveries_parked 0.0" in told
    assert 'route="",status="404"' in told


def test_what_is_refused_before_its_end_took_no_longer_than_it_did(house: House) -> None:
    server = house.serve("--port", "0")
    with server.http() as http:
        assert http.post("/machines/m/i/one/events", content=b"x" * 3_000_000).status_code == 413
        lines = http.get("/metrics").text.splitlines()
    (took,) = [line for line in lines if "seconds_total{" in line and "/events" in line]
    assert float(took.split()[-1]) < SECONDS


def test_its_log_is_json_whatever_strangers_send(house: House) -> None:
    server = house.serve("--port", "0", "--log-format", "json")
    port = int(server.told["url"].rpartition(":")[2])
    upgrade = "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    for sent in ("nonsense\r\n\r\n", upgrade):
        with socket.create_connection(("127.0.0.1", port)) as asking:
            asking.sendall(sent.encode())
            assert asking.recv(4_096).startswith(b"HTTP/1.1 4")
    server.stop()
    told = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert "Invalid HTTP request received." in [line.get("text") for line in told]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failed = house.run("serve", "--port", str(port), "--log-format", "json", status=2)
    assert json.loads(failed)["event"] == "failed"


def test_it_serves_though_its_log_cannot_be_written(house: House) -> None:
    ready = house.path / "ready.json"
    with open("/dev/full", "wb") as full:
        words = house.command("serve", "--port", "0", "--log-requests", "--ready-file", str(ready))
        process = subprocess.Popen(words, stderr=full)
    house.started.append(process)
    until(lambda: ready.exists() or process.poll() is not None)
    assert process.poll() is None
    url = json.loads(ready.read_text())["url"]
    for _ in range(2):
        assert httpx.get(f"{url}/healthz").status_code == 200


def test_a_path_forges_no_line_of_its_log(house: House) -> None:
    server = house.serve("--port", "0", "--log-requests")
    with server.http() as http:
        http.get("/x%0Asmply%1b[31m")
    server.stop()
    assert "\nsmply\x1b" not in server.log.read_text()
    assert "GET /x\\u000asmply\\u001b[31m 404" in server.log.read_text()


def test_a_client_that_goes_away_is_no_fault_of_the_server(house: House) -> None:
    server = house.serve("--port", "0")
    port = int(server.told["url"].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as asking:
        asking.sendall(
            b"POST /machines HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\nauthorization: Bearer "
            + server.told["accessToken"].encode()
            + b"\r\n\r\n{"
        )
        time.sleep(0.2)
    with server.http() as http:
        until(lambda: 'route="/machines"' in http.get("/metrics").text)
        assert 'route="/machines",status="400"' in http.get("/metrics").text


def test_a_file_tells_what_flags_and_the_environment_leave_open(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = house.path / "config.toml"
    monkeypatch.setenv("SMPLY_CONFIG", str(file))
    file.write_text('[serve]\nport = 1\nlog-format = "json"\n')
    monkeypatch.setenv("SMPLY_HOST", "localhost")
    server = house.serve("--port", "0")
    assert server.told["url"].startswith("http://127.0.0.1:")
    assert json.loads(server.log.read_text())["event"] == "ready"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("serve = 1", "serve is a table"),
        ("[serve]\ncolour = 1", "there is no setting serve.colour"),
        ("colour = 1", "there is no setting colour"),
        ("[serve]\nport = true", "port is a text or a number"),
        ("[serve]\nport = 70000", "--port is 0 to 65535, not 70000"),
        ('[serve]\nlog-format = "x"', "--log-format is human or json, not x"),
        ('[serve]\npublic-url = "x"', "--public-url is an address"),
        ("[serve", "cannot be read"),
        (None, "there is no"),
    ],
)
def test_a_file_that_is_wrong_is_a_sentence(
    house: House, monkeypatch: pytest.MonkeyPatch, text: str | None, why: str
) -> None:
    file = house.path / "config.toml"
    monkeypatch.setenv("SMPLY_CONFIG", str(file))
    if text is not None:
        file.write_text(text)
    told = house.run("serve", status=2)
    assert why in told
    assert "Traceback" not in told
