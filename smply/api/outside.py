"""Around the app of a server: request ids, who may ask from a browser, and what was asked."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smply.api._wire import error_answer
from smply.contract import ACT_HEADER, ORG_HEADER
from smply.errors import ApiError, InvalidParameter

REQUEST_ID = b"x-request-id"
_GIVEN = re.compile(rb"[A-Za-z0-9_-]{1,128}")
_numbers = itertools.count(1)
_PREFIX = os.urandom(6).hex()

EXPOSED = ("x-request-id", "etag", "retry-after")
"""Headers of answers that a page may read."""

# The code of an invitation, and the secret of an upload in the handle of its version.
_SECRET = re.compile(r"(sb(?:inv|at|sec)_|\b[0-9a-f]{32}\.)[A-Za-z0-9_-]+")

_PREFLIGHT_SECONDS = 7_200


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was answered: for the log of a server."""

    method: str
    path: str
    """Without the secrets that some paths hold."""
    status: int
    ms: float
    request_id: str
    route: str
    """The path with its names as in the document, or nothing where there is no such route."""
    error: BaseException | None = None


def request_id(given: bytes | None) -> bytes:
    """The id of a request: that which it brings, if it is one, or else a new one."""
    if given is not None and _GIVEN.fullmatch(given):
        return given
    return f"{_PREFIX}-{next(_numbers):x}".encode()


@dataclass(frozen=True, slots=True)
class Manners:
    """How a server meets the world: the origins whose pages may ask it, `*` being any (Q51), and
    who is told of what it was asked."""

    origins: tuple[str, ...] = ("*",)
    on_asked: Callable[[Asked], None] = lambda asked: None
    metrics: Callable[[], bytes] | None = None
    """What `GET /metrics` answers."""

    @property
    def admits_all(self) -> bool:
        return "*" in self.origins


def around(app: ASGIApp, manners: Manners) -> ASGIApp:
    """The app of a server."""
    cors = CORSMiddleware(
        _Faults(_Measured(app, manners.metrics)),
        allow_origins=manners.origins,
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["authorization", "content-type", ORG_HEADER, ACT_HEADER, "x-request-id"],
        expose_headers=EXPOSED,
        max_age=_PREFLIGHT_SECONDS,
    )
    return _Outside(cors, manners.on_asked)


class _Outside:
    def __init__(self, app: ASGIApp, on_asked: Callable[[Asked], None]) -> None:
        self._app = app
        self._on_asked = on_asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        since = asyncio.get_running_loop().time()
        own = request_id(dict(scope["headers"]).get(REQUEST_ID))
        scope.setdefault("state", {})["request_id"] = own.decode()
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID.decode()] = own.decode()
            await send(message)

        await self._app(scope, receive, answer)
        took = (asyncio.get_running_loop().time() - since) * 1000
        error = scope["state"].get("error")
        route = scope.get("route_path", "")
        path = _SECRET.sub(r"\1…", scope["path"])
        asked = Asked(scope["method"], path, status, took, own.decode(), route, error)
        self._on_asked(asked)


class _Measured:
    """The app, and beside it `/metrics`, which tells nothing of anybody and asks for no token."""

    def __init__(self, app: ASGIApp, text: Callable[[], bytes] | None) -> None:
        self._app = app
        self._text = text

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._text is None or (scope["method"], scope["path"]) != ("GET", "/metrics"):
            await self._app(scope, receive, send)
            return
        scope["route_path"] = "/metrics"
        answer = Response(self._text(), media_type="text/plain; version=0.0.4; charset=utf-8")
        await answer(scope, receive, send)


class _Faults:
    """What nobody has foreseen is an answer as well; its cause goes along in the scope's state."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except ClientDisconnect:
            # Nobody hears it, and it is no fault of ours.
            if not begun:
                await error_answer(_CUT_OFF)(scope, receive, send)
        except Exception as exc:
            scope["state"]["error"] = exc
            if not begun:
                await error_answer(INTERNAL)(scope, receive, send)


_CUT_OFF = InvalidParameter("the body was cut off", parameter="body")

INTERNAL = ApiError(
    "smply has a fault here; its log says more, under this x-request-id", code="internal"
)
