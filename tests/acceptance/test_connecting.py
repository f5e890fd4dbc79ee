"""Commands against bad peers and real servers: exit status, one sentence, a code, a next step."""

from __future__ import annotations

import asyncio
import io
import json
import random
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from smply import Client
from smply.cli import _waiting, main
from smply.cli._connect import open_client
from smply.cli._output import Output, Wishes
from smply.client import _base, sign_token
from smply.config import load_config
from smply.connection import Flags, connect
from tests.acceptance.house import House, Server, until
from tests.acceptance.transcript import plain
from tests.cli.terminal import Terminal
from tests.peers import MACHINES, Authority, Between, Peer, alone, http, nobody, page


@dataclass
class Result:
    status: int
    stdout: str
    stderr: str


Run = Callable[..., Result]
LIST = ("machines", "list")


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A configuration of its own, a credential, and no pause between attempts."""
    alone(monkeypatch)
    for name in ("SMPLY_ORG", "SMPLY_PROFILE", "SMPLY_API_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SMPLY_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("SMPLY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SMPLY_ACCESS_TOKEN", "sbat_hush")
    monkeypatch.setattr(_base, "pause_before", lambda *_: 0.0)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*argv: str) -> Result:
        status = main(argv)
        captured = capsys.readouterr()
        assert "hush" not in captured.out + captured.err
        return Result(status, captured.out, captured.err)

    return run


def look(*argv: str) -> tuple[int, str, str]:
    """The status of a command on a terminal, all that went to stderr, and what stays of it."""
    stdout, stderr = Terminal(), Terminal()
    with redirect_stdout(stdout), redirect_stderr(stderr):
        status = main(argv)
    return status, stderr.getvalue(), plain(stderr.getvalue())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(tmp_path_factory.mktemp("ca"))


# Everything that may stand where a server should be.

_WHERE = "smply profile show says which server is asked"

BAD: dict[str, tuple[Callable[[Authority], AbstractContextManager[Any]], int, str, str, str, int]]
BAD = {
    "nobody": (
        lambda _: nobody(), 7, "no-answer", "{url} cannot be reached: nothing listens there",
        f"is the server running? ({_WHERE})", 0,
    ),
    "dead": (
        lambda _: Peer(answers=(None,)), 7, "no-answer", "{url} did not answer in time",
        "try again", 1,
    ),
    "closed": (
        lambda _: Peer(answers=(b"",)), 7, "no-answer",
        "{url} ended the connection without an answer",
        "try again; or does it speak TLS? https://{host}", 3,
    ),
    "cut": (
        lambda _: Peer(answers=(http(MACHINES)[:-3],)), 7, "no-answer",
        "{url} ended the connection without an answer",
        "try again; or does it speak TLS? https://{host}", 3,
    ),
    "page": (
        lambda _: Peer(answers=(page(),)), 1, "bad-answer",
        "the answer is a page of HTML (status 200), so that it comes from something else",
        "check the address, and whatever stands between: a proxy, a sign-in page", 1,
    ),
    "forbidden page": (
        lambda _: Peer(answers=(page(403),)), 1, "bad-answer",
        "the answer is a page of HTML (status 403), so that it comes from something else",
        "check the address, and whatever stands between: a proxy, a sign-in page", 1,
    ),
    "gateway": (
        lambda _: Peer(answers=(page(502),)), 1, "gateway",
        "a proxy answered 502: the server behind it did not answer", "try again in a moment", 3,
    ),
    "gateway in time": (
        lambda _: Peer(answers=(page(504),)), 7, "gateway",
        "a proxy answered 504: the server behind it did not answer", "try again in a moment", 3,
    ),
    "redirect": (
        lambda _: Peer(answers=(http(b"", 301, location="https://a.example/machines"),)), 1,
        "bad-answer", "the answer is 301: it is at https://a.example/machines",
        "use that address", 1,
    ),
    "junk": (
        lambda _: Peer(answers=(http(b"\x1b[31mhello"),)), 1, "bad-answer",
        "what was answered is not what smply answers: \\u001b[31mhello",
        "is this the address of a server of State Backed's API?", 1,
    ),
    "other error": (
        lambda _: Peer(answers=(http(b'{"error": {"code": 5}}', 500),)), 1, "machine-error",
        'the server answered 500: {{"error": {{"code": 5}}}}',
        "mend the machine, or give it another context", 1,
    ),
    "busy": (
        lambda _: Peer(answers=(http(b'{"error":"busy","code":"limit-exceeded"}', 429,
                                     retry_after="60"),)), 1,
        "limit-exceeded", "busy", "try again in 60 s", 1,
    ),
    "self-signed": (
        lambda authority: Peer(authority.serving()), 1, "certificate",
        "the certificate of {url} is not trusted: unable to get local issuer certificate",
        "for a private authority name its file: --ca of `smply profile set`, or SSL_CERT_FILE", 0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_server_is_told(
    run: Run, authority: Authority, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """`contract/cli.md`, "Ours"; and how often it was asked for each command."""
    make, status, code, sentence, hint, asked = BAD[what]
    monkeypatch.setattr("smply.client.TIMEOUT_SECONDS", 0.15)
    with make(authority) as peer:
        url = peer if isinstance(peer, str) else peer.url
        human = run(*LIST, "--api-url", url)
        program = run(*LIST, "--api-url", url, "--json")
    told = {"url": url, "host": url.partition("://")[2]}
    sentence, hint = sentence.format(**told), hint.format(**told)
    assert (human.status, human.stdout) == (status, "")
    assert human.stderr == f"error: {sentence}\nhint:  {hint}\n"
    assert (program.status, program.stdout) == (status, "")
    error = json.loads(program.stderr)["error"]
    # Programs are told the bytes as they came.
    assert error == {"code": code, "message": error["message"], "hint": hint}
    assert error["message"].replace("\x1b", "\\u001b") == sentence
    assert len(getattr(peer, "asked", [])) == 2 * asked


def test_an_event_whose_answer_is_lost_is_sent_once(run: Run) -> None:
    """It may have been taken."""
    with Peer(answers=(b"",)) as peer:
        done = run("instances", "send-event", "-m", "m", "-i", "one", "-e", "go",
                   "-a", "{}", "--api-url", peer.url)  # fmt: skip
    assert done.status == 7
    assert "hint:  it may have been done all the same: look before you try again" in done.stderr
    assert [asked.method for asked in peer.asked] == ["POST"]


def test_without_a_credential_nothing_is_sent(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMPLY_ACCESS_TOKEN")
    with Peer() as peer:
        done = run(*LIST, "--api-url", peer.url, "--json")
    assert (done.status, json.loads(done.stderr)["error"]["code"]) == (4, "missing-user")
    assert peer.asked == []


# Answers without an end.


def batches(*times: str) -> tuple[bytes, ...]:
    return tuple(http(f'{{"maxTimestamp":"{each}","logs":[]}}') for each in times)


ROUND = {
    "list": (LIST, (http(b'{"machines":[],"cursor":"c"}'),)),
    "api": (("api", "GET", "/x", "--paginate"), (http(b'{"x":[1],"cursor":"c"}'),)),
    "logs": (("logs", "get", "--from", "2026-01-01"), batches("a", "b", "a")),
}


@pytest.mark.parametrize("what", ROUND)
def test_who_gives_the_same_page_again_is_not_asked_for_ever(run: Run, what: str) -> None:
    command, answers = ROUND[what]
    with Peer(answers=answers) as peer:
        done = run(*command, "--api-url", peer.url, "--json")
    error = json.loads(done.stderr)["error"]
    assert (done.status, done.stdout, error["code"]) == (1, "", "bad-answer")
    assert error["message"] == "the server gives the same page again"
    assert len(peer.asked) == (3 if what == "logs" else 2)


def test_the_pages_of_a_list_are_joined_with_what_was_asked_of_it(run: Run) -> None:
    first, last = http(b'{"x":[1],"cursor":"c&d"}'), http(b'{"x":[2],"y":null}')
    with Peer(answers=(first, last)) as peer:
        done = run("api", "GET", "/x?a=1&a=2", "--paginate", "--api-url", peer.url)
    assert json.loads(done.stdout) == {"x": [1, 2], "y": None}
    assert [asked.path for asked in peer.asked] == ["/x?a=1&a=2", "/x?a=1&a=2&cursor=c%26d"]


@pytest.mark.parametrize("answer", [b"junk", b"[]", b'{"cursor":{}}', b"[" * 10_000])
def test_what_has_no_pages_is_told(run: Run, answer: bytes) -> None:
    with Peer(answers=(http(answer),)) as peer:
        done = run("api", "GET", "/x", "--paginate", "--api-url", peer.url)
    assert done.stderr == "error: /x has no pages\nhint:  leave --paginate out\n"
    assert (done.status, len(peer.asked)) == (1, 1)


# Whatever is asked, whatever is answered.


@pytest.mark.parametrize(
    "asked",
    [
        ("GET", "/\x7f"), ("GET", "//[x"), ("GET", "/\ud800"), ("GET", "/" + "x" * 70_000),
        ("GET", "/", "-H", "content-length: 5"), ("GET", "/", "-H", "Transfer-Encoding: x"),
        ("GET", "/", "-H", "x: \u00e9"), ("GET", "/", "-H", "x: a\r\nb: c"),
        ("GET", "/", "-H", "\u00e9: x"), ("GET", "/", "-H", "a b: x"),
    ],
    ids=lambda asked: ascii(asked)[:60],
)  # fmt: skip
def test_what_cannot_be_asked_is_a_mistake_in_the_command(run: Run, asked: tuple[str, ...]) -> None:
    with Peer() as peer:
        done = run("api", *asked, "--api-url", peer.url)
    assert (done.status, done.stdout, peer.asked) == (2, "", [])
    assert done.stderr.startswith("error: ")
    assert "fault" not in done.stderr


@pytest.mark.parametrize(
    "answer", [b'{"x": NaN}', b"[-Infinity]", b"1e999", b"[" * 10_000, b"1" * 5_000]
)
def test_what_is_no_json_comes_as_it_is(run: Run, answer: bytes) -> None:
    """Not as if it were."""
    with Peer(answers=(http(answer),)) as peer:
        done = run("api", "GET", "/x", "--api-url", peer.url)
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.encode() == answer


def test_json_of_any_depth_is_shown_or_refused(run: Run) -> None:
    said = set()
    for depth in (100, 400, 800, 950):
        with Peer(answers=(http(b"[" * depth + b"]" * depth),)) as peer:
            done = run("api", "GET", "/x", "--api-url", peer.url)
        said.add(done.stderr)
    assert said <= {"", "error: the answer is nested too deeply to be shown\n"}


@pytest.mark.parametrize("when", ["\x1b[31msoon", "", "9" * 30])
def test_what_is_no_time_is_shown_as_it_is(run: Run, when: str) -> None:
    """A code that is told this once is told whatever else is broken."""
    sent = {"id": "inv_1", "email": "a@b.c", "role": "write", "invitation": "sbinv_code"}
    row = {"id": "sbk_1", "name": "k", "scopes": [], "createdAt": when}
    sent |= {"createdAt": when, "expiresAt": when}
    with Peer(answers=(http(json.dumps(sent)), http(json.dumps({"keys": [row]})))) as peer:
        here = ("--api-url", peer.url, "--output")
        told = run("invitations", "send", "--email", "a@b.c", *here, "tree")
        listed = run("keys", "list", *here, "table")
    assert (told.status, listed.status) == (0, 0), told.stderr + listed.stderr
    assert "sbinv_code" in told.stdout
    assert when.replace("\x1b", "\\u001b") in listed.stdout


# Waiting.


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once a command has lost its patience, which it has none of."""
    event, progress = threading.Event(), Output.progress

    def noted(self: Output, text: str) -> Any:
        made = progress(self, text)
        event.set()
        return made

    monkeypatch.setattr(Output, "progress", noted)
    monkeypatch.setattr(Output, "PATIENCE_SECONDS", 0.0)
    return event


def after(event: threading.Event, answer: bytes) -> Callable[[], bytes]:
    def wait() -> bytes:
        assert event.wait(30)
        return answer

    return wait


def test_a_slow_server_is_waited_for_aloud(shown: threading.Event) -> None:
    """On a terminal, one line, which is gone afterwards."""
    with Peer(answers=(after(shown, http(MACHINES)),)) as peer:
        status, said, stays = look(*LIST, "--api-url", peer.url, "--output", "table")
    assert status == 0
    assert f"waiting for {peer.url}: GET /machines" in plain_words(said)
    assert "waiting" not in stays


def plain_words(text: str) -> str:
    import re

    return " ".join(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).split())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("/x[/b]y", "waiting for http://a: GET /x[ "), ("/invitations/hush", "GET /invitations "),
        ("/smply/tokens/hush?hush", "GET /tokens "), ("/keys?hush", "GET /keys "),
        ("http://me:hush@b:1\x9b2J/x?hush", "uploading to b:1\\u009b2J "),
    ],
)  # fmt: skip
def test_a_wait_says_nothing_that_nobody_may_see(
    shown: threading.Event, url: str, said: str
) -> None:
    """Nor what a terminal obeys, or Rich."""
    stderr = Terminal()

    async def ask() -> None:
        waiting = _waiting.Waiting(Output(Wishes(), stderr=stderr), "http://a")
        waiting.asking("GET", url)
        await timer_of(waiting)
        # A signal may end it here, and the cursor must be there.
        assert stderr.getvalue().rpartition("\x1b[?25")[2].startswith("h")
        waiting.stop()

    asyncio.run(ask())
    assert said in f"{plain_words(stderr.getvalue())} "
    assert "hush" not in stderr.getvalue()
    assert "\x9b" not in stderr.getvalue()


def test_a_quick_server_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with Peer() as peer:
        _, said, _ = look(*LIST, "--api-url", peer.url, "--output", "table")
    assert "waiting" not in said


def test_a_pause_between_attempts_is_waited_for_aloud(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the server says in how many seconds it may be asked again; it answers at once."""
    monkeypatch.setattr(Output, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(_base, "pause_before", lambda *_: 0.2)
    busy = http(b'{"error":"busy","code":"limit-exceeded"}', 429)
    with Peer(answers=(busy, http(MACHINES))) as peer:
        status, said, stays = look(*LIST, "--api-url", peer.url, "--output", "table")
    assert (status, len(peer.asked)) == (0, 2)
    assert "waiting for" in said
    assert "waiting" not in stays


def test_what_is_asked_again_is_one_wait(shown: threading.Event) -> None:
    """Three attempts of 0.9 s are worth a line."""

    async def ask() -> Any:
        waiting = _waiting.Waiting(Output(Wishes(), stderr=Terminal()), "http://a")
        waiting.asking("GET", "/machines")
        first = await timer_of(waiting)
        waiting.asking("GET", "/machines")
        assert waiting._shown is first is not None
        waiting.asking("GET", "/orgs")
        assert waiting._shown is None
        waiting.stop()

    asyncio.run(ask())


def test_a_bar_begins_with_what_was_sent_before_it(shown: threading.Event) -> None:
    stderr = Terminal()

    async def ask() -> None:
        waiting = _waiting.Waiting(Output(Wishes(), stderr=stderr), "http://a")
        waiting.asking("POST", "/upload")
        waiting.sent(5, 10)
        await timer_of(waiting)
        waiting.stop()

    asyncio.run(ask())
    assert "5/10 bytes" in plain_words(stderr.getvalue())


async def timer_of(waiting: _waiting.Waiting) -> Any:
    """What is shown once the timer has run, which is due at once."""
    while waiting._shown is None:
        await asyncio.sleep(0)
    return waiting._shown


@pytest.mark.parametrize("flags", [("--json",), ("--quiet",), ()])
def test_nobody_who_does_not_look_is_told_of_waiting(
    run: Run, shown: threading.Event, flags: tuple[str, ...]
) -> None:
    with Peer(answers=(after(shown, http(MACHINES)),)) as peer:
        done = run(*LIST, "--api-url", peer.url, *flags)
    assert (done.status, done.stderr) == (0, "")


def uploading(url: str, stderr: io.StringIO) -> None:
    """A version's way to a server, with words to a stream."""

    async def upload() -> None:
        config = load_config()
        output = Output(Wishes(), stdout=io.StringIO(), stderr=stderr)
        connection = connect(Flags(api_url=url), config)
        async with open_client(config, connection, output) as client:
            await client.versions.create("m", random.Random(0).randbytes(900_000))

    asyncio.run(upload())


def taking(reading: Callable[[], object]) -> Peer:
    """A server that calls back before each part that it reads."""
    peer = Peer(on_chunk=reading)

    def begun() -> bytes:
        told = f'{{"machineVersionId":"v","codeUploadUrl":"{peer.url}/upload","codeUploadFields":'
        return http(told + "{}}")

    peer.answers = (begun, http(b"", 204), http(b'{"machineVersionId":"ver_1"}'))
    return peer


def test_an_upload_shows_how_far_it_is(shown: threading.Event) -> None:
    """On a terminal, to a reader that waits until it is seen."""
    stderr = Terminal()

    def reading() -> None:
        if len(peer.asked) == 1:
            assert shown.wait(30)
            until(lambda: "kB" in stderr.getvalue())

    with taking(reading) as peer:
        uploading(peer.url, stderr)
    words = plain_words(stderr.getvalue())
    assert f"uploading to 127.0.0.1:{peer.port}" in words
    assert "900.3/900.3 kB" in words
    assert plain(stderr.getvalue()).strip() == ""


def test_an_upload_to_a_pipe_shows_nothing(shown: threading.Event) -> None:
    stderr = io.StringIO()
    with taking(lambda: None) as peer:
        uploading(peer.url, stderr)
    assert stderr.getvalue() == ""


# Versions.


@pytest.mark.parametrize(
    ("theirs", "side"),
    [("0.0.1", "the server"), ("999.0", "this side"), ("\xb2.\x1b[31m", "the server")],
)
def test_another_version_is_told_once(run: Run, theirs: str, side: str) -> None:
    """And which side to upgrade. What is answered is shown all the same."""
    first = http(b'{"machines":[],"cursor":"c"}', smply_version=theirs)
    with Peer(answers=(first, http(MACHINES, smply_version=theirs))) as peer:
        done = run(*LIST, "--api-url", peer.url)
        quiet = run(*LIST, "--api-url", peer.url, "--quiet")
    assert (done.status, json.loads(done.stdout)) == (0, [])
    assert done.stderr.count("remark: ") == 1
    assert done.stderr.endswith(f"what they do not share fails, upgrade {side}\n")
    assert "\x1b" not in done.stderr
    assert quiet.stderr == ""


@pytest.mark.parametrize(
    ("theirs", "ours", "differ"),
    [
        ("0.2.0", "0.2.9", False), ("0.2", "0.2.1.dev3", False), ("0.3.0", "0.2.9", True),
        ("1.2.0", "0.2.0", True), ("9" * 5_000, "0.2.0", True), ("", "0.2.0", True),
    ],
)  # fmt: skip
def test_what_differs_is_the_number_before_the_last(theirs: str, ours: str, differ: bool) -> None:
    assert (_waiting._series(theirs) != _waiting._series(ours)) == differ


# Real servers.


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Serving]:
    """A real server, and one that ends TLS before it and wants a certificate."""
    house = House(tmp_path_factory.mktemp("house"))
    with Between(authority.serving(asks=True)) as outside:
        inside = house.serve("--port", "0", "--public-url", outside.url)
        port = json.loads((house.data / "server.json").read_text())["url"].rpartition(":")[2]
        outside.to = "127.0.0.1", int(port)
        yield Serving(inside, f"http://127.0.0.1:{port}", outside, authority)
        inside.stop()


@dataclass
class Serving:
    server: Server
    url: str
    outside: Between
    authority: Authority

    @property
    def token(self) -> str:
        return str(self.server.told["accessToken"])

    @property
    def org(self) -> str:
        return str(self.server.told["orgId"])

    def client(self) -> Client:
        return Client(
            self.url, token=self.token, org=self.org, ca=self.authority.file,
            certificate=self.authority.shown,
        )  # fmt: skip


def test_a_profile_with_an_authority_and_a_certificate_works(
    run: Run, server: Serving, authority: Authority, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uploads too (S8), and only so."""
    monkeypatch.delenv("SMPLY_ACCESS_TOKEN")
    refused = run("profile", "set", "tls", "--url", server.outside.url, "--ca", authority.file)
    assert refused.status == 0
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{server.token}\n"))
    cert, key = authority.shown
    shown = ("--client-cert", cert, "--client-key", key)
    done = run("profile", "set", "tls", "--token-stdin", *shown)
    assert done.status == 0, done.stderr
    machine = Path(__file__).parents[1] / "benchmarks" / "toggler.js"
    made = run("machines", "create", "-m", "wired", "--js", str(machine), "--profile", "tls")
    assert made.status == 0, made.stderr
    assert run("whoami", "--profile", "tls").status == 0
    assert run("profile", "set", "bare", "--url", server.outside.url).status == 0
    monkeypatch.setenv("SMPLY_ACCESS_TOKEN", server.token)
    stranger = run(*LIST, "--profile", "bare")
    assert (stranger.status, "is not trusted" in stranger.stderr) == (1, True)
    monkeypatch.setenv("SSL_CERT_FILE", authority.file)
    shows_none = run(*LIST, "--profile", "bare", "--json")
    error = json.loads(shows_none.stderr)["error"]
    assert (shows_none.status, error["code"]) == (1, "certificate")
    assert "--client-cert" in error["hint"]


def test_the_certificates_of_a_profile_are_for_its_own_server(
    run: Run, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for another that --api-url names."""
    cert, key = authority.shown
    files = ("--ca", authority.file, "--client-cert", cert, "--client-key", key)
    with Peer(authority.serving(asks=True)) as own, Peer(authority.serving(asks=True)) as other:
        assert run("profile", "set", "tls", "--url", own.url, *files).status == 0
        home = (*LIST, "--profile", "tls", "--access-token", "t")
        assert run(*home).status == 0
        distrusts = run(*home, "--api-url", other.url)
        monkeypatch.setenv("SSL_CERT_FILE", authority.file)
        shows_none = run(*home, "--api-url", other.url)
    assert "is not trusted" in distrusts.stderr
    assert "does the server want a certificate?" in shows_none.stderr
    assert other.asked == []


def test_a_proxy_leads_to_a_real_server(
    run: Run, server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP_PROXY too is asked only where NO_PROXY does not say otherwise."""
    monkeypatch.setenv("SMPLY_ACCESS_TOKEN", server.token)
    with nobody() as gone:
        monkeypatch.setenv("HTTP_PROXY", gone)
        refused = run(*LIST, "--api-url", server.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        done = run(*LIST, "--api-url", server.url)
    assert (refused.status, f"the proxy {gone} cannot be reached" in refused.stderr) == (7, True)
    assert done.status == 0


def test_a_real_server_of_another_version_is_told(
    run: Run, server: Serving, monkeypatch: Any
) -> None:
    ours = version("smply")
    theirs = f"9{ours[1:]}"

    def change(part: bytes) -> bytes:
        return part.replace(f"smply-version: {ours}".encode(), f"smply-version: {theirs}".encode())

    monkeypatch.setenv("SMPLY_ACCESS_TOKEN", server.token)
    to = "127.0.0.1", int(server.url.rpartition(":")[2])
    with Between(to=to, change=change) as between:
        done = run("whoami", "--api-url", between.url)
    assert done.status == 0
    assert done.stderr == (
        f"remark: {between.url} is smply {theirs}, this is {ours}: what they do not share fails,"
        " upgrade this side\n"
    )


def test_credentials_that_are_no_good_any_more_are_told(
    run: Run, server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S110-S113: exit status 4, and never the secret."""
    with server.client() as client:
        key = client.keys.create("short", scopes=["machines.read"])
        expired = sign_token(key.id, key.key, {}, now=1_600_000_000)
        asked = {"SMPLY_KEY_ID": key.id, "SMPLY_SECRET_KEY": key.key}
        told = [
            refused(run, server, monkeypatch, SMPLY_ACCESS_TOKEN=expired),
            refused(run, server, monkeypatch, SMPLY_ACCESS_TOKEN="sbat_" + "x" * 43),
            refused(run, server, monkeypatch, **{**asked, "SMPLY_SECRET_KEY": "sbsec_" + "x" * 43}),
        ]
        with monkeypatch.context() as patch:
            patch.delenv("SMPLY_ACCESS_TOKEN")
            for name, value in asked.items():
                patch.setenv(name, value)
            assert run(*LIST, "--api-url", server.url).status == 0
        client.keys.delete(key.id)
        told.append(refused(run, server, monkeypatch, **asked))
    assert [error["message"].partition(",")[0] for error in told] == [
        "the token has expired",
        "there is no such access token",
        "the token's signature is wrong",
        "there is no such key",
    ]
    assert {error["code"] for error in told} == {"missing-user"}
    assert all("smply login" in error["hint"] for error in told)


def refused(
    run: Run, server: Serving, monkeypatch: pytest.MonkeyPatch, **variables: str
) -> dict[str, str]:
    """What is said to a credential of the environment, with the exit status of it."""
    with monkeypatch.context() as patch:
        patch.delenv("SMPLY_ACCESS_TOKEN")
        for name, value in variables.items():
            patch.setenv(name, value)
        done = run(*LIST, "--api-url", server.url, "--json")
    assert (done.status, done.stdout) == (4, "")
    assert not any(secret in done.stderr for secret in variables.values() if len(secret) > 40)
    error: dict[str, str] = json.loads(done.stderr)["error"]
    return error


def test_a_person_in_several_orgs_must_name_one(
    run: Run, server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S113."""
    with server.client() as client:
        other = client.orgs.create("other")
    monkeypatch.setenv("SMPLY_ACCESS_TOKEN", server.token)
    here = ("--api-url", server.url)
    unsaid = run(*LIST, *here)
    assert unsaid.status == 1
    assert "hint:  smply orgs list, then --org ID" in unsaid.stderr
    wrong = run(*LIST, *here, "--org", "org_AAAAAAAAAAAAAAAAAAAAAA", "--json")
    error = json.loads(wrong.stderr)["error"]
    assert (wrong.status, error["code"]) == (4, "missing-org")
    assert "smply orgs list shows yours" in error["hint"]
    assert json.loads(run(*LIST, *here, "--org", other).stdout) == []
    assert run(*LIST, *here, "--org", server.org).status == 0


def test_no_secret_stands_among_the_processes(server: Serving) -> None:
    """F7: neither of the server, nor of the Deno that it starts for an instance."""
    code = (Path(__file__).parents[1] / "benchmarks" / "toggler.js").read_bytes()
    with server.client() as client:
        key = client.keys.create("seen")
        client.machines.create("seen")
        client.versions.create("seen", code, make_current=True)
        client.instances.create("seen", "one", act={"sub": "bench"})
        listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert "--ready-file" in listed.stdout
    assert "deno" in listed.stdout
    for secret in (server.token, key.key):
        assert secret not in listed.stdout


def test_who_cannot_be_signed_in_is_not_half_signed_in(run: Run, place: Path) -> None:
    """Nothing is kept before the server has said who it is."""
    with nobody() as url:
        assert run("login", "--api-url", url).status == 7
    with Peer(answers=(http(b'{"error":"no","code":"missing-user"}', 401),)) as peer:
        assert run("login", "--api-url", peer.url).status == 4
    assert not (place / "config").exists()
    assert not (place / "data").exists()
