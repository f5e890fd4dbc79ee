"""The two routes of an event, answered below the framework: a protocol for uvicorn.

Sending an event and reading a state are answered where the parser hands a request over, without
the scope, the task, the router and the response of ASGI, which cost more than the event itself
[57 us against 11]; head and body leave in one write. Whatever is unusual about a request (a query,
an escape, `Expect`, an upgrade, HTTP/1.0, a request pipelined behind another) goes uvicorn's own
way to the app, which gives the same answers.

It leans on inner methods of uvicorn's protocol, so that uvicorn is pinned.
"""

from __future__ import annotations

import asyncio
import re
from functools import partial

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from smply.api._wire import BODY_BYTES_MAX, error_answer, etag_of, too_large
from smply.api.instances import event_in
from smply.api.outside import EXPOSED, INTERNAL, REQUEST_ID, Asked, Manners, request_id
from smply.api.turnstile import Turnstile
from smply.api.unbuilt import refuse_headers
from smply.engine import Engine
from smply.errors import ApiError
from smply.identity import Identity

_HOT = re.compile(rb"/machines/([A-Za-z0-9_-]{1,128})/i/([A-Za-z0-9_-]{1,128})(/events)?", re.ASCII)
_ROUTE = {
    True: "/machines/{machineSlug}/i/{instanceSlug}/events",
    False: "/machines/{machineSlug}/i/{instanceSlug}",
}
_METHOD = {True: b"POST", False: b"GET"}

_HEAD_BYTES_MAX = 65_536
_THIS_MACHINE = ("127.0.0.1", 0)

_Headers = list[tuple[bytes, bytes]]


def protocol_of(
    engine: Engine, identity: Identity, manners: Manners, turnstile: Turnstile
) -> type[HttpToolsProtocol]:
    """The class that uvicorn takes as `http`, beside the app of the same engine."""
    own = {
        "engine": engine, "identity": identity, "manners": manners, "turnstile": turnstile
    }  # fmt: skip
    return type("HotProtocol", (_HotProtocol,), own)


class _Request:
    """A hot request under way; uvicorn takes it for one of its own whose answer is not complete."""

    __slots__ = (
        "body", "disconnected", "headers", "instance", "keep_alive", "machine",
        "response_complete", "sends", "since",
    )  # fmt: skip

    def __init__(
        self, headers: _Headers, machine: str, instance: str, sends: bool, keep_alive: bool,
        since: float,
    ) -> None:  # fmt: skip
        self.headers = dict(headers)
        self.machine = machine
        self.instance = instance
        self.sends = sends
        # Grown in place: a body may come in as many pieces as it has bytes.
        self.body = bytearray()
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False
        self.since = since

    @property
    def path(self) -> str:
        return f"/machines/{self.machine}/i/{self.instance}"

    @property
    def message_event(self) -> _Request:
        """What uvicorn wakes a waiting app with; nobody waits here."""
        return self

    def set(self) -> None:
        """Nobody waits here."""


class _HotProtocol(HttpToolsProtocol):
    engine: Engine
    identity: Identity
    manners: Manners
    turnstile: Turnstile
    _request: _Request | None = None
    _head_bytes: int | None = None
    _common_of: _Headers | None = None
    _common_text = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # A Unix socket tells no address; a proxy that comes by it can be trusted like any other.
        self.client = self.client or _THIS_MACHINE

    def _unsupported_upgrade_warning(self) -> None:
        """The answer tells whoever asked; uvicorn would tell the operator to install a library."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head_bytes is not None and not self.transport.is_closing():
            # uvicorn keeps a head that never ends.
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_BYTES_MAX:
                self.send_400_response(f"The head has more than {_HEAD_BYTES_MAX:,} bytes.")

    # Parser callbacks.

    def on_message_begin(self) -> None:
        self._head_bytes = 0
        # The scope is made only for a request that turns out to be uvicorn's.
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._request = None

    def on_headers_complete(self) -> None:
        self._head_bytes = None
        request = self._request = self._hot_request()
        if request is not None:
            self.cycle = request  # type: ignore[assignment]
            return
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expect
        self.headers.extend(headers)
        super().on_headers_complete()
        if not self.parser.should_upgrade():
            # What follows the body is no header of the request.
            self.headers = []

    def on_body(self, body: bytes) -> None:
        request = self._request
        if request is None:
            super().on_body(body)
        elif not request.response_complete:
            request.body += body
            if len(request.body) > BODY_BYTES_MAX:
                self._refuse(request, too_large(BODY_BYTES_MAX))

    def on_message_complete(self) -> None:
        request = self._request
        if request is None:
            super().on_message_complete()
        elif not request.response_complete:
            self._begin(request)

    # Answering.

    def _hot_request(self) -> _Request | None:
        found = _HOT.fullmatch(self.url)
        if found is None or self.expect_100_continue or self.config.access_log:
            return None
        sends = found[3] is not None
        parser = self.parser
        if parser.get_method() != _METHOD[sends] or parser.get_http_version() != "1.1":
            return None
        if parser.should_upgrade() or not (self.cycle is None or self.cycle.response_complete):
            return None
        if self.flow.write_paused:
            # A client that does not read its answers: uvicorn waits for it.
            return None
        machine, instance = found[1].decode(), found[2].decode()
        request = _Request(
            self.headers, machine, instance, sends, parser.should_keep_alive(), self.loop.time()
        )
        if b"origin" in request.headers and not self.manners.admits_all:
            return None
        return request

    def _begin(self, request: _Request) -> None:
        try:
            refuse_headers(request.headers)
            actor = self.identity.actor(request.headers)
            actor.require("events.write" if request.sends else "state.read")
            where = actor.org, request.machine, request.instance
            event = event_in(bytes(request.body)) if request.sends else b""
            self.turnstile.enter(actor.org)
        except ApiError as exc:
            self._refuse(request, exc)
            return
        instances = self.engine.instances
        try:
            if request.sends:
                answer = instances.send(*where, event, actor.auth)
            else:
                answer = self.loop.create_task(instances.read(*where, actor.auth))
        except ApiError as exc:
            self.turnstile.leave(actor.org)
            self._refuse(request, exc)
        else:
            answer.add_done_callback(partial(self._finish, request, actor.org))

    def _finish(self, request: _Request, org: bytes, answer: asyncio.Future[str]) -> None:
        self.turnstile.leave(org)
        error = answer.exception()
        if error is None:
            state = answer.result()
            headers = b"etag: %b\r\n%b" % (etag_of(state).encode(), _JSON)
            self._write(request, 200, headers, state.encode())
        elif isinstance(error, ApiError):
            self._refuse(request, error)
        else:
            self._refuse(request, INTERNAL, error)

    def _refuse(
        self, request: _Request, error: ApiError, cause: BaseException | None = None
    ) -> None:
        answer = error_answer(error)
        headers = _lines(_own_headers(answer))
        self._write(request, answer.status_code, headers, bytes(answer.body), cause)

    def _write(
        self, request: _Request, status: int, headers: bytes, body: bytes,
        cause: BaseException | None = None,
    ) -> None:  # fmt: skip
        if request.disconnected:
            return
        end = b"\r\n" if request.keep_alive else b"connection: close\r\n\r\n"
        common = self._common(self.server_state.default_headers)
        own = request_id(request.headers.get(REQUEST_ID))
        told = b"vary: Origin\r\nx-request-id: %b\r\ncontent-length: %d\r\n" % (own, len(body))
        origin = _ANY_ORIGIN if b"origin" in request.headers else b""
        head = (STATUS_LINE[status], common, headers, origin, told, end)
        self.transport.write(b"".join((*head, body)))
        request.response_complete = True
        took = (self.loop.time() - request.since) * 1000
        way, path = ("POST", f"{request.path}/events") if request.sends else ("GET", request.path)
        self.manners.on_asked(
            Asked(way, path, status, took, own.decode(), _ROUTE[request.sends], cause)
        )
        if not request.keep_alive:
            self.transport.close()
        self.on_response_complete()

    @classmethod
    def _common(cls, headers: _Headers) -> bytes:
        """The headers of every answer as text; uvicorn makes new ones each second, for the date."""
        if headers is not cls._common_of:
            cls._common_of, cls._common_text = headers, _lines(headers)
        return cls._common_text


_JSON = b"content-type: application/json\r\n"
_ANY_ORIGIN = (
    b"access-control-allow-origin: *\r\n"
    b"access-control-expose-headers: " + ", ".join(EXPOSED).encode() + b"\r\n"
)


def _lines(headers: _Headers) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def _own_headers(answer: Response) -> _Headers:
    return [header for header in answer.raw_headers if header[0] != b"content-length"]
