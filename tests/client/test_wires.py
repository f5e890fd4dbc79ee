"""Both clients against real peers: silent, slow, broken, in between, not what they seem."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import itertools
import json
import random
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import trustme
from hypothesis import strategies as st

from smply import AsyncClient, Client
from smply.client import Watch, _base
from smply.client._base import error_from, is_worth_another_try, pause_before
from smply.errors import ApiError, BadAnswer, NoAnswer, SmplyError, UsageError
from tests.peers import (
    MACHINES,
    Answer,
    Authority,
    Between,
    Peer,
    alone,
    dripping,
    http,
    nobody,
    page,
)

Ask = Callable[..., Any]


def with_client(url: str, verb: str = "list", **options: Any) -> Any:
    """Lists machines, creates one, or uploads a version of it."""
    with Client(url, **{"token": "t", **options}) as client:
        if verb == "upload":
            return client.versions.create("m", b"export default 1")
        return client.machines.list() if verb == "list" else client.machines.create("m")


def with_async_client(url: str, verb: str = "list", **options: Any) -> Any:
    async def ask() -> Any:
        async with AsyncClient(url, **{"token": "t", **options}) as client:
            if verb == "list":
                return await client.machines.list()
            if verb == "upload":
                return await client.versions.create("m", b"export default 1")
            return await client.machines.create("m")

    return asyncio.run(ask())


@pytest.fixture(params=[with_client, with_async_client], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    asking: Ask = request.param
    return asking


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, in seconds, which nobody waits for."""
    alone(monkeypatch)
    told: list[float] = []

    def pause(attempt: int, error: BaseException | None) -> float:
        told.append(pause_before(attempt, error))
        return 0.0

    monkeypatch.setattr(_base, "pause_before", pause)
    return told


def failing(ask: Ask, url: str, verb: str = "list", **options: Any) -> SmplyError:
    with pytest.raises(SmplyError) as told:
        ask(url, verb, **options)
    return told.value


# Nobody, or nobody who speaks.


def test_where_nothing_listens_it_is_tried_again(ask: Ask, pauses: list[float]) -> None:
    """It never got there, so that no verb can have been done."""
    for verb in ("list", "create"):
        with nobody() as url:
            error = failing(ask, url, verb)
        assert isinstance(error, NoAnswer)
        assert error.message == f"{url} cannot be reached: nothing listens there"
        assert (error.was_sent, error.hint) == (False, "is the server running?")
    # The last is asked for, and not waited for.
    assert pauses == [0.4, 0.8, 1.6] * 2


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_a_host_that_cannot_be_is_told(ask: Ask, host: str) -> None:
    error = failing(ask, f"http://{host}.example", attempts=1)
    assert error.message.endswith(
        f"{host}.example cannot be reached: there is no host of that name"
    )


@pytest.mark.parametrize("verb", ["list", "create"])
def test_a_dead_server_is_given_up(ask: Ask, verb: str) -> None:
    """It accepts and says nothing. To ask it again would take as long again."""
    with Peer(answers=(None,)) as peer:
        error = failing(ask, peer.url, verb, timeout=0.2)
    assert isinstance(error, NoAnswer)
    assert error.message == f"{peer.url} did not answer in time"
    assert error.was_sent
    assert ("look before you try again" in str(error.hint)) == (verb == "create")
    assert len(peer.asked) == 1


HEAD = b"HTTP/1.1 200 So\r\n"

DRIPS = {
    "body": dripping(HEAD + b"\r\n", b" "),
    "headers": dripping(HEAD, b"a: b\r\n"),
    "hints": dripping(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
}


@pytest.mark.parametrize("what", DRIPS)
def test_a_server_that_drips_is_given_up(what: str) -> None:
    """httpx counts anew with each byte. What the other client reads of headers it cannot bound."""
    for ask in [with_async_client] + [with_client] * (what == "body"):
        with Peer(answers=(DRIPS[what],)) as peer:
            error = failing(ask, peer.url, timeout=0.2)
        assert isinstance(error, NoAnswer)
        assert error.message == f"{peer.url} did not answer in time"
        assert (error.was_sent, len(peer.asked)) == (True, 1)


def test_an_upload_may_take_as_long_as_it_goes_on() -> None:
    """Its parts take longer than all the patience there is for an answer."""

    class Slow(Watch):
        def sent(self, done: int, total: int) -> None:
            time.sleep(0.05)

    file = ("x.js", bytes(1_500_000), "application/javascript")

    async def upload(url: str) -> float:
        began = time.monotonic()
        async with AsyncClient(url, token="t", timeout=0.4, watch=Slow()) as client:
            await client.ask(_base.Call("POST", f"{url}/upload", _base.nothing, file=file))
        return time.monotonic() - began

    with Peer(answers=(http(b"", 204),)) as peer:
        assert asyncio.run(upload(peer.url)) > 1.0


@pytest.mark.parametrize("answer", [b"", http(MACHINES)[:-3], b"HTTP/1.1 200 OK\r\ncontent-"])
def test_a_connection_that_breaks_is_tried_again_where_it_only_reads(
    ask: Ask, answer: bytes
) -> None:
    with Peer(answers=(answer,)) as peer:
        error = failing(ask, peer.url)
        assert len(peer.asked) == 3
        unsure = failing(ask, peer.url, "create")
        assert len(peer.asked) == 4
    assert error.message == f"{peer.url} ended the connection without an answer"
    assert str(error.hint).startswith("try again")
    assert unsure.hint == "it may have been done all the same: look before you try again"


def test_a_second_answer_is_taken(ask: Ask) -> None:
    with Peer(answers=(b"", http(MACHINES))) as peer:
        assert ask(peer.url).items == []
    assert [asked.path for asked in peer.asked] == ["/machines"] * 2


# Something in between.


@pytest.mark.parametrize("status", [200, 403, 404, 500])
def test_a_page_of_html_is_no_answer_of_ours(ask: Ask, status: int) -> None:
    """Nor does a verb whose answer says nothing take it for a success."""
    for verb in ("list", "create"):
        with Peer(answers=(page(status),)) as peer:
            error = failing(ask, peer.url, verb)
        assert (type(error), error.code) == (BadAnswer, "bad-answer")
        assert error.message.startswith(f"the answer is a page of HTML (status {status})")
        assert len(peer.asked) == 1


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize("answer", [page, lambda status: http(b"upstream", status, "text/plain")])
def test_a_proxy_without_its_server_is_asked_again_where_it_only_reads(
    ask: Ask, status: int, answer: Callable[[int], bytes]
) -> None:
    with Peer(answers=(answer(status),)) as peer:
        error = failing(ask, peer.url)
        assert len(peer.asked) == 3
        unsure = failing(ask, peer.url, "create")
        assert len(peer.asked) == 4
    assert isinstance(error, ApiError)
    assert (error.status, error.code) == (status, "gateway")
    assert error.message == f"a proxy answered {status}: the server behind it did not answer"
    assert error.hint == "try again in a moment"
    assert "look before you try again" in str(unsure.hint)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_told_and_not_followed(ask: Ask, status: int) -> None:
    """A credential goes where it was sent."""
    with Peer(answers=(http("{}", status, location="https://a.example/machines"),)) as peer:
        error = failing(ask, peer.url)
    assert error.message == f"the answer is {status}: it is at https://a.example/machines"
    assert error.hint == "use that address"


@pytest.mark.parametrize(
    "answer",
    [
        http(b"junk"), http(b"[]"), http(b"{}"), http(b'{"machines": 5}'), http(b""),
        http(b'{"machines": [{"name": 5}]}'), http(b'{"machines": [], "cursor": {}}'),
        http(b"\xff\xfe"), http(b"[" * 10_000), http(b'{"machines":' + b"[" * 100_000),
    ],
)  # fmt: skip
def test_an_answer_of_something_else_is_told(ask: Ask, answer: bytes) -> None:
    with Peer(answers=(answer,)) as peer:
        error = failing(ask, peer.url)
    assert isinstance(error, BadAnswer)
    assert error.message.startswith("what was answered is not what smply answers")
    assert error.hint is not None


def test_an_answer_that_cannot_be_unpacked_is_told(ask: Ask) -> None:
    with Peer(answers=(http(b"junk", content_encoding="gzip"),)) as peer:
        error = failing(ask, peer.url)
    assert isinstance(error, BadAnswer)
    assert "cannot be read" in error.message


@pytest.mark.parametrize("packed", [True, False])
def test_no_more_is_read_than_has_room(ask: Ask, packed: bool) -> None:
    """What takes 1 MB may unpack to 1 GB."""
    part = bytes(1_000_000)
    answer: Answer = lambda: itertools.chain([HEAD + b"\r\n"], itertools.repeat(part))  # noqa: E731
    if packed:
        answer = http(gzip.compress(bytes(101_000_000), 1), content_encoding="gzip")
    with Peer(answers=(answer,)) as peer:
        error = failing(ask, peer.url)
    assert isinstance(error, BadAnswer)
    assert (error.message, len(peer.asked)) == ("the answer is longer than 100 MB", 1)


@hypothesis.given(
    st.integers(300, 599),
    st.binary(max_size=30)
    | st.dictionaries(
        st.sampled_from(["error", "code", "parameter"]),
        st.none() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=1),
    ).map(lambda fields: json.dumps(fields).encode()),
    st.dictionaries(
        st.sampled_from(["content-type", "location", "retry-after", "x-request-id"]),
        st.sampled_from(["text/html", "nan", "-1", "inf", "9" * 400, "Wed, 21 Oct 2026", "", "2"]),
    ),
)
def test_no_answer_is_a_fault_of_ours(status: int, body: bytes, headers: dict[str, str]) -> None:
    """Whatever a proxy, or another kind of server, says of an error."""
    error = error_from(status, body, headers)
    assert isinstance(error.message, str)
    assert isinstance(error.code, str)
    assert 0 <= pause_before(1, error) < 10**7
    if isinstance(error, ApiError):
        assert error.status == status


# Not now.


def test_who_is_told_to_wait_waits_as_long(ask: Ask, pauses: list[float]) -> None:
    """429 says that it was not done, whatever it was."""
    busy = http(b'{"error":"busy","code":"limit-exceeded"}', 429, retry_after="2")
    for verb in ("list", "create"):
        with Peer(answers=(busy, busy, http(MACHINES))) as peer:
            ask(peer.url, verb)
        assert len(peer.asked) == 3
    assert pauses == [2.0] * 4


def test_who_is_told_to_wait_long_gives_up_at_once(ask: Ask, pauses: list[float]) -> None:
    busy = http(b'{"error":"busy","code":"limit-exceeded"}', 429, retry_after="60")
    with Peer(answers=(busy,)) as peer:
        error = failing(ask, peer.url)
    assert (error.code, error.hint, pauses) == ("limit-exceeded", "try again in 60 s", [])
    assert len(peer.asked) == 1


def test_what_a_server_refused_once_is_not_asked_again(ask: Ask) -> None:
    for status in (400, 401, 403, 404, 409, 500, 501):
        with Peer(answers=(http(b'{"error":"no","code":"no"}', status),)) as peer:
            assert failing(ask, peer.url).message == "no"
        assert len(peer.asked) == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_that_may_have_been_done_is_done_again(method: str) -> None:
    call = _base.Call(method, "/x", _base.nothing)
    broken, unavailable = NoAnswer("x"), ApiError("x", status=503)
    assert not is_worth_another_try(call, broken)
    assert not is_worth_another_try(call, unavailable)


# Certificates.


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(tmp_path_factory.mktemp("ca"))


YESTERDAY = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
LAST_WEEK = YESTERDAY - datetime.timedelta(days=7)


@pytest.mark.parametrize(
    ("served", "trusted", "why", "hint"),
    [
        ({}, False, "unable to get local issuer", "--ca of `smply profile set`, or SSL_CERT_FILE"),
        ({"not_before": LAST_WEEK, "not_after": YESTERDAY}, True, "has expired", "renew it"),
        ({"not_before": YESTERDAY + datetime.timedelta(days=2)}, True, "not yet valid", "clock"),
        ({"names": ["other.example"]}, True, "not valid for '127.0.0.1'", "a name that the cert"),
    ],
)
def test_a_certificate_that_proves_nothing_is_told(
    ask: Ask, authority: Authority, served: dict[str, Any], trusted: bool, why: str, hint: str
) -> None:
    """Nothing is sent, and nothing is asked again."""
    names = served.pop("names", []) if (served := dict(served)) else []
    with Peer(authority.serving(*names, **served)) as peer:
        error = failing(ask, peer.url, ca=authority.file if trusted else None)
    assert (type(error), error.code) == (BadAnswer, "certificate")
    assert error.message.startswith(f"the certificate of {peer.url} is not trusted: ")
    assert why in error.message
    assert hint in str(error.hint)
    assert peer.asked == []


@pytest.mark.parametrize("how", ["ca", "SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_a_private_authority_is_trusted_when_it_is_named(
    ask: Ask, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    options = {"ca": authority.file} if how == "ca" else {}
    if how == "SSL_CERT_FILE":
        monkeypatch.setenv(how, authority.file)
    elif how == "SSL_CERT_DIR":
        der = ssl.PEM_cert_to_DER_cert(Path(authority.file).read_text())
        (tmp_path / f"{subject_hash(der)}.0").write_bytes(Path(authority.file).read_bytes())
        monkeypatch.setenv(how, str(tmp_path))
    with Peer(authority.serving()) as peer:
        assert ask(peer.url, **options).items == []


def subject_hash(der: bytes) -> str:
    """The name that OpenSSL looks for in a directory."""
    import subprocess

    told = ["openssl", "x509", "-inform", "DER", "-noout", "-subject_hash"]
    return subprocess.run(told, input=der, capture_output=True, check=True).stdout.decode().strip()


def test_a_private_authority_is_trusted_beside_the_usual_ones(authority: Authority) -> None:
    from smply.client._tls import tls_context

    usual, more = tls_context(None, None), tls_context(authority.file, None)
    assert len(more.get_ca_certs()) == len(usual.get_ca_certs()) + 1


@pytest.mark.parametrize("files", [("cert.pem", "key.pem"), ("both.pem", "both.pem")])
def test_a_certificate_is_shown_to_who_asks(
    ask: Ask, authority: Authority, files: tuple[str, str]
) -> None:
    cert, key = (str(authority.path / name) for name in files)
    with Peer(authority.serving(asks=True)) as peer:
        assert ask(peer.url, ca=authority.file, certificate=(cert, key)).items == []


def test_who_wants_a_certificate_and_gets_none_is_told_of(ask: Ask, authority: Authority) -> None:
    with Peer(authority.serving(asks=True)) as peer:
        error = failing(ask, peer.url, "create", ca=authority.file)
    assert error.code == "certificate"
    assert error.message.startswith(f"{peer.url} ended the connection: ")
    assert error.hint == "does the server want a certificate? --client-cert of `smply profile set`"
    assert peer.asked == []


@pytest.mark.parametrize(
    ("file", "why"),
    [("missing", "No such file or directory"), ("empty", "no certificate"), ("key.pem", "no ")],
)
def test_a_file_that_is_no_certificate_is_told(
    ask: Ask, authority: Authority, monkeypatch: pytest.MonkeyPatch, file: str, why: str
) -> None:
    (authority.path / "empty").touch()
    named = str(authority.path / file)
    told = [failing(ask, "https://127.0.0.1:9", ca=named)]
    monkeypatch.setenv("SSL_CERT_FILE", named)
    told.append(failing(ask, "https://127.0.0.1:9"))
    assert [error.code for error in told] == ["certificate"] * 2
    assert all(why in error.message and error.hint for error in told)
    assert named in told[0].message
    assert "SSL_CERT_FILE" in told[1].message


def test_plain_http_waits_for_no_authorities(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """To load them all takes 30 ms."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    with Peer() as peer:
        assert ask(peer.url).items == []


def test_a_key_with_a_password_is_told_and_nobody_is_asked_for_it(
    ask: Ask, authority: Authority
) -> None:
    from cryptography.hazmat.primitives import serialization

    plain = serialization.load_pem_private_key((authority.path / "key.pem").read_bytes(), None)
    sealed = plain.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hush"),
    )  # fmt: skip
    (authority.path / "sealed.pem").write_bytes(sealed)
    files = str(authority.path / "cert.pem"), str(authority.path / "sealed.pem")
    error = failing(ask, "https://127.0.0.1:9", certificate=files)
    assert error.message.endswith("sealed.pem cannot be used: its key is encrypted")
    assert "openssl pkey" in str(error.hint)


def test_a_key_of_another_certificate_is_told(ask: Ask, authority: Authority) -> None:
    other = trustme.CA().issue_cert("other.example").private_key_pem
    other.write_to_path(str(authority.path / "other.pem"))
    files = str(authority.path / "cert.pem"), str(authority.path / "other.pem")
    error = failing(ask, "https://127.0.0.1:9", certificate=files)
    assert error.message.endswith("other.pem cannot be used: key values mismatch")


def test_tls_to_plain_http_is_told(ask: Ask) -> None:
    with Peer() as peer:
        error = failing(ask, peer.url.replace("http", "https"))
    assert error.message == f"https://127.0.0.1:{peer.port} speaks no TLS"
    assert error.hint == f"{peer.url}?"
    assert peer.asked == []


def test_plain_http_to_tls_is_told(ask: Ask, authority: Authority) -> None:
    with Peer(authority.serving()) as peer:
        error = failing(ask, peer.url.replace("https", "http"))
    assert peer.url in str(error.hint)
    assert peer.asked == []


def test_an_alert_of_tls_is_told(ask: Ask) -> None:
    """As servers answer plain HTTP that say so in TLS."""
    with Peer(answers=(b"\x15\x03\x03\x00\x02\x02\x46",)) as peer:
        error = failing(ask, peer.url)
    assert error.message == f"{peer.url} speaks TLS, and this address does not"
    assert error.hint == f"https://127.0.0.1:{peer.port}?"


# Proxies of the environment.


def test_a_proxy_is_asked_to_connect(
    ask: Ask, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sees no more than the name of the server."""
    with Peer(authority.serving()) as peer, Between() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert ask(peer.url, ca=authority.file).items == []
        assert proxy.connected == [f"127.0.0.1:{peer.port}"]
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert ask(peer.url, ca=authority.file).items == []
    assert (len(proxy.connected), len(peer.asked)) == (1, 2)


def test_a_proxy_that_refuses_is_told(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    with Between(refusal=http("no", 403, proxy_agent="x")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//me:hush@"))
        error = failing(ask, "https://a.example", "create")
    assert (error.code, len(proxy.connected)) == ("proxy", 1)
    assert error.message == "the proxy does not lead to https://a.example: 403 So"
    assert error.hint == "see HTTPS_PROXY, HTTP_PROXY and NO_PROXY"


def test_a_proxy_that_is_not_there_is_told(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    with nobody() as url:
        monkeypatch.setenv("HTTPS_PROXY", url.replace("//", "//me:hush@"))
        error = failing(ask, "https://a.example")
    assert error.message.endswith("cannot be reached: nothing listens there")
    assert error.message.startswith("the proxy 127.0.0.1:")
    assert "hush" not in error.message


def test_a_port_that_cannot_be_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop says it in its own way; where there is none, the system cuts the number."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:99999")
    error = failing(with_async_client, "http://a.example", "create")
    assert isinstance(error, NoAnswer)
    assert error.message == (
        "the proxy http://127.0.0.1:99999 cannot be reached: there is no port of that number"
    )
    assert not error.was_sent


@pytest.mark.parametrize("proxy", ["ftp://me:hush@a.example", "socks5://me:hush@a.example"])
def test_a_proxy_of_an_unknown_kind_is_told(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    error = failing(ask, "https://a.example")
    assert error.code == "proxy"
    assert error.message.startswith("the proxy that the environment names cannot be used: ")
    assert "hush" not in error.message


# What goes along.


@pytest.mark.parametrize("url", ["http://[:::1]", "http://a:x"])
def test_what_is_no_address_is_refused(ask: Ask, url: str) -> None:
    with pytest.raises(UsageError, match="is no address of a server"):
        ask(url)


def test_a_path_before_the_api_is_kept(ask: Ask) -> None:
    with Peer() as peer:
        ask(f"{peer.url}/base/")
    assert [asked.path for asked in peer.asked] == ["/base/machines"]


def test_each_request_says_its_version(ask: Ask) -> None:
    from importlib.metadata import version

    with Peer() as peer:
        ask(peer.url)
    assert peer.asked[0].headers["smply-version"] == version("smply")


def test_a_key_is_for_production_unless_something_else_is_said() -> None:
    """As `keys create` of the npm tool does; the server wants a use or scopes."""
    key = http(b'{"id": "sbk_1", "key": "sbsec_1", "name": "k", "use": "production"}')
    with Peer(answers=(key,)) as peer, Client(peer.url, token="t") as client:
        client.keys.create("k")
        client.keys.create("k", scopes=["events.write"])
    assert [json.loads(asked.body) for asked in peer.asked] == [
        {"name": "k", "use": "production"},
        {"name": "k", "scopes": ["events.write"]},
    ]


PEM = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----"


@pytest.mark.parametrize("secret", ["", "x" * 31, PEM])
def test_what_is_no_secret_signs_nothing(ask: Ask, secret: str) -> None:
    with Peer() as peer, pytest.raises(UsageError, match="the secret of sbk_1 is") as told:
        ask(peer.url, key=("sbk_1", secret))
    assert not secret or secret not in str(told.value)
    assert peer.asked == []


class Noted(Watch):
    """What a client told it, in order."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def asking(self, method: str, url: str) -> None:
        self.told.append(f"{method} {url}")

    def sent(self, done: int, total: int) -> None:
        self.told.append((done, total))

    def answered(self, version: str | None) -> None:
        self.told.append(version)


def test_who_watches_is_told_of_each_attempt_and_pause(ask: Ask) -> None:
    busy = http(b'{"error":"busy","code":"limit-exceeded"}', 429)
    watch = Noted()
    with Peer(answers=(busy, http(MACHINES, smply_version="9.9"))) as peer:
        ask(peer.url, watch=watch)
    once = "GET /machines"
    assert watch.told == [once, None, once, once, "9.9"]


def begun(peer: Peer) -> bytes:
    """The first answer of S7."""
    told = f'{{"machineVersionId":"signed","codeUploadUrl":"{peer.url}/upload"'
    return http(f'{told},"codeUploadFields":{{"key":"k"}}}}')


def test_an_upload_is_told_as_it_goes_and_bears_no_credential() -> None:
    """S8. Nothing of it is compressible, so that it takes several parts."""
    code = random.Random(0).randbytes(300_000)
    peer = Peer()
    peer.answers = (lambda: begun(peer), http(b"", 204), http(b'{"machineVersionId":"ver_1"}'))
    watch = Noted()
    with peer, Client(peer.url, token="t", watch=watch) as client:
        assert client.versions.create("m", code) == "ver_1"
    told = [each for each in watch.told if isinstance(each, tuple)]
    assert len(told) > 4
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] >= 300_000
    assert [asked.method for asked in peer.asked] == ["POST", "POST", "PUT"]
    assert "authorization" not in peer.asked[1].headers
    assert "authorization" in peer.asked[2].headers


@pytest.mark.parametrize("to", ["", "/upload", "ftp://a.example/x", "http://[bad", "http://"])
def test_an_upload_to_nowhere_is_told(ask: Ask, to: str) -> None:
    """Of the query, which is a signature, nothing is said."""
    told = {"machineVersionId": "v", "codeUploadUrl": f"{to}?hush", "codeUploadFields": {}}
    with Peer(answers=(http(json.dumps(told)),)) as peer:
        error = failing(ask, peer.url, "upload")
    assert isinstance(error, BadAnswer)
    assert error.message == f'the server names no address for the code: "{to}"'
    assert len(peer.asked) == 1


def test_no_code_goes_from_tls_to_plain_http(ask: Ask, authority: Authority) -> None:
    with Peer() as plain, Peer(authority.serving()) as peer:
        peer.answers = (begun(plain),)
        error = failing(ask, peer.url, "upload", ca=authority.file)
    assert isinstance(error, BadAnswer)
    assert error.message.endswith(f"wants the code without it: {plain.url}/upload")
    assert plain.asked == []


def test_another_host_is_shown_no_certificate_and_not_trusted_by_ours(
    ask: Ask, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are for the server itself."""
    options = {"ca": authority.file, "certificate": authority.shown}
    with Peer(authority.serving("localhost", asks=True)) as other:
        other.url = f"https://localhost:{other.port}"
        with Peer(authority.serving(asks=True), answers=(begun(other),)) as peer:
            untrusted = failing(ask, peer.url, "upload", **options)
            monkeypatch.setenv("SSL_CERT_FILE", authority.file)
            unknown = failing(ask, peer.url, "upload", **options)
    assert "not trusted" in untrusted.message
    assert (
        unknown.hint == "does the server want a certificate? --client-cert of `smply profile set`"
    )
    assert other.asked == []


@pytest.mark.parametrize("at", [0, 1, 2])
def test_an_upload_that_breaks_is_not_done_again(at: int) -> None:
    """S7: each of its three steps may have been taken."""
    peer = Peer()
    answers: list[Answer] = [lambda: begun(peer), http(b"", 204), http(b"{}")]
    answers[at] = b""
    peer.answers = tuple(answers)
    with peer, Client(peer.url, token="t") as client, pytest.raises(NoAnswer) as told:
        client.versions.create("m", b"export default 1")
    assert len(peer.asked) == at + 1
    assert told.value.was_sent


@pytest.mark.parametrize(
    "answer", [b"{}", b"[]", b'{"machineVersionId":"v","codeUploadUrl":5,"codeUploadFields":{}}']
)
def test_a_version_that_cannot_be_begun_is_told(answer: bytes) -> None:
    with (
        Peer(answers=(http(answer),)) as peer,
        Client(peer.url, token="t") as client,
        pytest.raises(BadAnswer, match="is not what smply answers"),
    ):
        client.versions.create("m", b"export default 1")
    assert len(peer.asked) == 1
