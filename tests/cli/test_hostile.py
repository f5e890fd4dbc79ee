"""Commands on servers that mean no good, or that fail at the wrong moment."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from smply.cli._answers import tell_once
from smply.cli._command import Given
from smply.cli._output import Output
from smply.config import load_config
from smply.errors import SmplyError
from tests.cli.conftest import Run
from tests.cli.test_completion import Complete, complete
from tests.peers import Peer, http

__all__ = ["complete"]

STATE = {"ts": 1, "state": "on", "tags": [], "done": False, "states": ["on"]}
ACT = ["-m", "m", "-i", "i", "--auth-context", "{}"]


def key(id: str) -> str:
    row = {"id": id, "name": "\x1b]0;title\x07", "scopes": [], "createdAt": "2027-01-15T08:00:00Z"}
    return json.dumps({"keys": [row]})


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Commands ask this peer."""

    def asking(peer: Peer) -> Peer:
        monkeypatch.setenv("SMPLY_API_URL", peer.url)
        monkeypatch.setenv("SMPLY_ACCESS_TOKEN", "sbat_x")
        return peer

    return asking


@pytest.mark.parametrize("word", ["sbk_\\$(touch pwned)", "$(touch pwned)", "a\nb", "a b", "`x`"])
def test_a_shell_is_offered_no_word_that_it_would_run(
    asking: Any, complete: Complete, word: str
) -> None:
    with Peer(answers=(http(key(word)),)) as peer:
        asking(peer)
        assert complete("smply keys delete --key ") == []


def test_what_a_terminal_would_obey_is_shown_and_not_done(asking: Any, run: Run, look: Run) -> None:
    with Peer(answers=(http(key("sbk_\x1b[2J\n\x9b31m\u202e")),)) as peer:
        asking(peer)
        shown = [
            look("keys", "list").stdout,
            run("keys", "list", "--quiet").stdout,
            run("keys", "list", "--json").stdout,
        ]
    assert len(shown[1].splitlines()) == 1
    assert json.loads(shown[2])[0]["id"] == "sbk_\x1b[2J\n\x9b31m\u202e"
    for text in shown:
        assert not set("\x1b\x07\x9b\u202e") & set(text)


def test_an_event_that_was_taken_is_no_failure_though_nobody_can_look(
    asking: Any, look: Run
) -> None:
    """Whoever sends it again because of an error sends it twice."""
    busy = http('{"error": "busy", "code": "unavailable"}', 503, retry_after="60")
    forbidden = http('{"error": "no", "code": "missing-scope"}', 403)
    for before in (http(json.dumps({**DETAIL})), forbidden):
        with Peer(answers=(before, http(json.dumps(STATE)), busy)) as peer:
            asking(peer)
            result = look("instances", "send-event", *ACT, "-e", "go")
        assert (result.status, result.stderr) == (0, "")
        assert "state     on" in result.stdout


DETAIL = {
    "state": "off", "context": {}, "status": "running", "tags": [], "done": False, "seq": 1,
    "machineVersion": {"id": "ver_x", "createdAt": "2027-01-15T08:00:00Z", "clientInfo": "1"},
    "createdAt": "2027-01-15T08:00:00Z", "ts": 1, "timers": [], "services": [], "deliveries": {},
}  # fmt: skip


def test_no_org_is_named_beside_a_key(asking: Any, run: Run, monkeypatch: Any) -> None:
    """S105: it is of one org, and the default of somebody else's need not be that."""
    monkeypatch.setenv("SMPLY_ORG", "org_aaaaaaaaaaaaaaaaaaaaaa")
    with Peer(answers=(http(json.dumps(STATE)), http('{"keys": []}'))) as peer:
        asking(peer)
        run("instances", "get", *ACT[:4], "--public", "--token", "t")
        run("keys", "list")
        run("keys", "list", "--org", "org_bbbbbbbbbbbbbbbbbbbbbb")
        orgs = [asked.headers.get("x-statebacked-org-id") for asked in peer.asked]
    assert orgs == [None, "org_aaaaaaaaaaaaaaaaaaaaaa", "org_bbbbbbbbbbbbbbbbbbbbbb"]


@pytest.mark.parametrize("token", ["@empty", "@/dev/null"])
def test_no_token_is_not_the_owner_s(
    version: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    """As a script leaves it whose secret is missing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").write_text("\n")
    result = run(
        "instances", "get", "-m", "checkout", "-i", "trial", "--public", f"--token={token}"
    )
    assert (result.status, result.stdout) == (2, "")
    assert "--token is empty" in result.stderr


@pytest.mark.anyio
async def test_ctrl_c_still_tells_what_is_told_once_or_that_nobody_knows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = Given(load_config(), Output())

    async def made_after(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "sbsec_x"

    for seconds in (0.05, 60):
        working = asyncio.create_task(tell_once(given, made_after(seconds), print, "it was made"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
    told = capsys.readouterr()
    assert told.out == "sbsec_x\n"
    assert told.err == (
        "remark: interrupted: it was made all the same, perhaps; look before you try again\n"
    )


@pytest.mark.anyio
async def test_what_cannot_be_written_was_made_all_the_same() -> None:
    given = Given(load_config(), Output())

    async def made() -> str:
        return "sbsec_x"

    def fail(secret: str) -> None:
        raise SmplyError("the answer cannot be written", code="not-written")

    with pytest.raises(SmplyError) as caught:
        await tell_once(given, made(), fail, "the key was made")
    assert (caught.value.hint or "").startswith("the key was made")


def test_an_event_is_read_from_a_file(version: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text('{"type": "add", "sku": "A-17"}\n')
    order = ["-m", "checkout", "-i", "trial"]
    act = ["-a", '{"sub": "u_12"}']
    assert run("instances", "send-event", *order, *act, "-e", f"@{tmp_path}/event.json").status == 0
    last = run("instances", "list-transitions", *order, "--jq", ".[-1].event").json
    assert last == {"type": "add", "sku": "A-17"}
    missing = run("instances", "send-event", *order, *act, "-e", "@nowhere")
    assert (missing.status, "nowhere cannot be read" in missing.stderr) == (2, True)


def test_a_default_org_is_one_that_you_are_in(version: str, run: Run) -> None:
    made = run("orgs", "create", "-n", "acme").json["orgId"]
    stranger = run("orgs", "default", "set", "--org", "org_aaaaaaaaaaaaaaaaaaaaaa")
    assert (stranger.status, run("orgs", "default", "get").stdout) == (5, "No default org\n")
    assert run("orgs", "default", "set", "--org", made).status == 0
    assert run("orgs", "default", "get").stdout == f"{made}\n"
