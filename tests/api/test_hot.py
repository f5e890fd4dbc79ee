"""The hot routes answer as the app does, to the letter, whatever a client makes of HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from smply.api import Manners, around, create_app, hot_protocol
from smply.api._hot import _HotProtocol, _Request
from smply.api._wire import BODY_BYTES_MAX
from smply.identity import LocalIdentity
from tests.conftest import World, audit_of, no_access

pytestmark = pytest.mark.anyio

ONE = "/machines/light/i/one"
EVENTS = f"{ONE}/events"
ACT = 'x-statebacked-act: {"sid": "one"}\r\n'
CLOSE = "connection: close\r\n"


def request(
    method: str, path: str, body: str = "", *, headers: str = ACT + CLOSE, version: str = "1.1"
) -> str:
    length = f"content-length: {len(body.encode())}\r\n" if body else ""
    return f"{method} {path} HTTP/{version}\r\nhost: x\r\n{length}{headers}\r\n{body}"


def say(*, headers: str = ACT + CLOSE, body: str = '{"event":"say"}') -> str:
    return request("POST", EVENTS, body, headers=headers)


@dataclass
class Servers:
    """Two servers of one engine, with the hot protocol and without; what went the hot way."""

    hot: uvicorn.Server
    plain: uvicorn.Server
    begun: list[_Request] = field(default_factory=list)

    @property
    def port(self) -> int:
        return _port(self.hot)

    async def answers(self, sent: str) -> tuple[str, str]:
        """What both say to these bytes until they close the connection."""
        return await _talk(_port(self.hot), sent), await _talk(_port(self.plain), sent)


def _port(server: uvicorn.Server) -> int:
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port


async def _talk(port: int, sent: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):
        writer.write(sent.encode())
        await writer.drain()
    said = await reader.read()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return _without_times(said.decode())


def _without_times(said: str) -> str:
    """Heads with their headers in order, without what differs from one answer to the next."""
    said = re.sub(r"date: [^\r]*\r\n", "", re.sub(r'"ts":\d+', '"ts":0', said))
    said = re.sub(r'etag: "\d+"', 'etag: "0"', said)
    said = re.sub(r"(x-request-id: )[0-9a-f]{12}-[0-9a-f]+\r", r"\1new\r", said)
    heads = re.compile(r"(HTTP/1\.1 [^\r]*\r\n)(.*?)\r\n\r\n", re.S)
    return heads.sub(
        lambda found: found[1] + "\n".join(sorted(found[2].split("\r\n"))) + "\n\n", said
    )


@contextlib.asynccontextmanager
async def _serving(app: Any, http: Any) -> AsyncIterator[uvicorn.Server]:
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, http=http, access_log=False, log_level="critical",
        lifespan="off",
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.capture_signals = _no_signals  # type: ignore[method-assign]
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0)
    yield server
    server.should_exit = True
    await running


@contextlib.contextmanager
def _no_signals() -> Iterator[None]:
    yield


@pytest.fixture
async def servers(
    world: World,
    publish: Callable[[str, str], Awaitable[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Servers]:
    await publish("light", "light.ts")
    await world.client.instances.create("light", "one", act={"sid": "one"})
    identity = LocalIdentity(world.store.owner(), no_access)
    app = around(create_app(world.engine, identity, audit_of(world), "http://api.test"), Manners())
    http = hot_protocol(world.engine, identity)
    async with _serving(app, http) as hot, _serving(app, "httptools") as plain:
        servers = Servers(hot, plain)
        begin = _HotProtocol._begin

        def note(self: _HotProtocol, request: _Request) -> None:
            servers.begun.append(request)
            begin(self, request)

        monkeypatch.setattr(_HotProtocol, "_begin", note)
        yield servers


NOBODY = 'x-statebacked-act: {"sid": "nobody"}\r\n'
HOT = {
    "an event": say(),
    "a read": request("GET", ONE),
    "an event in chunks": request(
        "POST", EVENTS, headers=ACT + CLOSE + "transfer-encoding: chunked\r\n"
    )
    + '8\r\n{"event"\r\n7\r\n:"say"}\r\n0\r\n\r\n',
    "no body": request("POST", EVENTS),
    "no json": say(body="{"),
    "no utf-8": say(body='{"event":"\ud83d"}'.encode("utf-16", "surrogatepass").hex()),
    "a member that is not built": say(body='{"event":"say","dryRun":true}'),
    "a header that is not built": say(headers=ACT + CLOSE + "If-Match: 1\r\n"),
    "claims that are none": say(headers=CLOSE + "x-statebacked-act: 7\r\n"),
    "a platform's event": say(body='{"event":"xstate.init"}'),
    "nobody's read": request("GET", ONE, headers=NOBODY + CLOSE),
    "nobody's event": say(headers=NOBODY + CLOSE),
    "a guard that throws": say(body='{"event":"guarded"}'),
    "an instance that is not there": request("GET", "/machines/light/i/two"),
    "a machine that is not there": request("POST", "/machines/dark/i/one/events", '{"event":"x"}'),
    "a page that asks": say(headers=ACT + CLOSE + "origin: https://page.example\r\n"),
    "an id of its own": say(headers=ACT + CLOSE + "x-request-id: mine_7-A\r\n"),
    "an id that is none": say(headers=ACT + CLOSE + "x-request-id: mine 7\r\n"),
    "a body with a read": request("GET", ONE, "{}"),
    "an event too large": say(body=json.dumps({"event": "x" * 500_000})),
    "a body too large": say(body="x" * (BODY_BYTES_MAX + 1)),
}


async def test_hot_requests_are_answered_as_the_app_answers_them(servers: Servers) -> None:
    answers = {what: await servers.answers(sent) for what, sent in HOT.items()}

    assert {what: hot for what, (hot, _) in answers.items()} == {
        what: plain for what, (_, plain) in answers.items()
    }
    assert all(hot.startswith("HTTP/1.1 ") for hot, _ in answers.values())
    # A body too large is refused before it is whole.
    assert len(servers.begun) == len(HOT) - 1


NOT_HOT = {
    "another method": request("PUT", EVENTS, "{}"),
    "a read of events": request("GET", EVENTS),
    "head": request("HEAD", ONE),
    "a query": request("GET", f"{ONE}?x=1"),
    "an escape": request("GET", "/machines/light/i/%6fne"),
    "an escaped slash": request("GET", "/machines/light/i/o%2Fne"),
    "a name too long": request("GET", "/machines/light/i/" + "o" * 129),
    "another path": request("GET", "/machines"),
    "an old version": request("GET", ONE, version="1.0", headers=ACT),
    "an upgrade": request("GET", ONE, headers=ACT + "connection: upgrade, close\r\nupgrade: x\r\n"),
    "no http": "say\r\n\r\n",
}


async def test_all_other_requests_are_left_to_the_app(servers: Servers) -> None:
    answers = {what: await servers.answers(sent) for what, sent in NOT_HOT.items()}

    assert {what: hot for what, (hot, _) in answers.items()} == {
        what: plain for what, (_, plain) in answers.items()
    }
    assert all(hot.startswith("HTTP/1.1 ") for hot, _ in answers.values())
    assert servers.begun == []


async def test_a_client_that_expects_100_is_told_to_go_on(servers: Servers) -> None:
    hot, plain = await servers.answers(say(headers=ACT + CLOSE + "expect: 100-continue\r\n"))

    assert hot.startswith("HTTP/1.1 100 Continue")
    assert hot == plain


AT_ONCE = [
    say(headers=ACT) + request("GET", ONE, headers=ACT) + say(),
    say(headers=ACT) + request("GET", "/machines", headers=ACT) + say(),
    request("GET", "/machines", headers=ACT) + say(headers=ACT) + request("GET", ONE),
]


async def test_requests_sent_at_once_are_answered_in_their_order(servers: Servers) -> None:
    for requests in AT_ONCE:
        hot, plain = await servers.answers(requests)

        assert hot.count("HTTP/1.1 200 OK") == 3
        assert hot == plain


async def test_a_connection_carries_one_event_after_the_other(servers: Servers) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", servers.port)
    for _ in range(3):
        writer.write(say(headers=ACT).encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        assert json.loads(await reader.readexactly(int(length[1])))["state"] == "off"
    assert servers.hot.server_state.total_requests == len(servers.begun) == 3
    writer.close()
    await writer.wait_closed()


async def test_an_event_is_taken_though_its_client_goes_away(
    servers: Servers, world: World
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", servers.port)
    writer.write(say(headers=ACT).encode())
    while not servers.begun:
        await asyncio.sleep(0)
    writer.transport.abort()

    # An event behind it is answered once both are taken.
    await world.client.instances.send("light", "one", "say", act={"sid": "one"})
    assert len((await world.client.instances.transitions("light", "one")).items) == 3
    assert servers.begun[0].disconnected or servers.begun[0].response_complete


async def test_a_connection_that_is_shut_down_is_answered_first(servers: Servers) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", servers.port)
    writer.write(say(headers=ACT).encode())
    while not servers.begun:
        await asyncio.sleep(0)
    (connection,) = servers.hot.server_state.connections
    connection.shutdown()

    said = await reader.read()

    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close\r\n" in said
    writer.close()
    await writer.wait_closed()


async def test_a_fault_of_our_own_is_500_and_names_the_request(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(self: object, ask: object) -> asyncio.Future[str]:
        broken: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        broken.set_exception(ZeroDivisionError("ours"))
        return broken

    monkeypatch.setattr("smply.engine.mailbox.Mailbox.send", fault)

    hot, plain = await servers.answers(say(headers=ACT + CLOSE))

    assert hot.startswith("HTTP/1.1 500 Internal Server Error")
    assert '"code":"internal"' in hot
    assert hot == plain


async def test_what_follows_a_body_is_no_header_of_the_request(servers: Servers) -> None:
    """A proxy that checks the headers does not look there."""
    chunked = ACT + CLOSE + "transfer-encoding: chunked\r\ntrailer: x-statebacked-act\r\n"
    body = '0f\r\n{"event":"say"}\r\n0\r\n' + NOBODY + "\r\n"
    for query in ("", "?x=1"):
        sent = request("POST", EVENTS + query, headers=chunked) + body
        assert (await _talk(servers.port, sent)).startswith("HTTP/1.1 200 OK")
    assert len(servers.begun) == 1


async def test_a_body_in_very_small_pieces_costs_what_it_weighs(servers: Servers) -> None:
    """Joined anew with each piece, this one takes many seconds, in which nobody is answered."""
    piece = "1\r\nx\r\n"
    sent = say(headers=ACT + CLOSE + "transfer-encoding: chunked\r\n", body="")
    begun = time.process_time()
    said = await _talk(servers.port, sent + piece * 1_200_000 + "0\r\n\r\n")
    assert said.startswith("HTTP/1.1 400 Bad Request")
    assert time.process_time() - begun < 3


async def test_a_body_too_large_does_not_end_its_connection(servers: Servers) -> None:
    """A proxy that still sends it would see a reset, and not the answer."""
    large = say(headers=ACT, body="x" * (2 * BODY_BYTES_MAX))
    hot, plain = await servers.answers(large + say())
    assert re.findall(r"HTTP/1\.1 (\d+)", hot) == ["413", "200"]
    assert hot == plain


async def test_a_client_that_reads_no_answers_is_waited_for(servers: Servers, world: World) -> None:
    """Nothing grows with what strangers send."""
    public = {"count": 0, "text": "x" * 390_000}
    act = {"sid": "big"}
    await world.client.instances.create("light", "big", context={"public": public}, act=act)
    with socket.socket() as client:
        # The kernel shall not keep for the client what the server must not.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.connect(("127.0.0.1", servers.port))
        while not servers.hot.server_state.connections:
            await asyncio.sleep(0.001)
        (connection,) = servers.hot.server_state.connections
        assert isinstance(connection, _HotProtocol)
        read = request("GET", "/machines/light/i/big", headers=NOBODY.replace("nobody", "big"))
        for number in range(1, 26):
            client.sendall(read.encode())
            # Once the client is to be waited for, uvicorn takes what it asks.
            while isinstance(connection.cycle, _Request | None) and not (
                len(servers.begun) == number and servers.begun[-1].response_complete
            ):
                await asyncio.sleep(0.001)
        assert connection.transport.get_write_buffer_size() < 2_000_000


async def test_a_head_that_never_ends_is_refused(servers: Servers) -> None:
    """Nothing grows with what strangers send."""
    reader, writer = await asyncio.open_connection("127.0.0.1", servers.port)
    writer.write(f"GET {ONE} HTTP/1.1\r\n".encode() + b"x: y\r\n" * 11_000)
    said = await asyncio.wait_for(reader.readline(), 5)
    assert said.startswith(b"HTTP/1.1 400 Bad Request")
    writer.transport.abort()
