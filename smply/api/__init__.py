"""The State Backed HTTP API, and what smply adds to it, as an ASGI app."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smply.api import info, people, providers, routes, unbuilt, versions
from smply.api._wire import BODY_BYTES_MAX, error_answer, too_large
from smply.api.audit import Audit
from smply.api.outside import Asked, Manners, around
from smply.api.turnstile import Turnstile
from smply.contract import ORG_HEADER
from smply.engine import Engine
from smply.errors import ApiError, InvalidParameter, NotBuilt, NotFound
from smply.identity import Actor, Identity
from smply.ids import USER, show_id

__all__ = [
    "Asked",
    "Audit",
    "Manners",
    "Metrics",
    "Turnstile",
    "around",
    "create_app",
    "hot_protocol",
]

_Verb = Callable[..., Awaitable[Response]]
_Answer = Callable[[Request], Awaitable[Response]]
_CREDENTIAL = b"authorization"
_ORG = ORG_HEADER.encode()
_QUIET = Manners()
_UPLOAD = "/code-uploads/{uploadId}"


def create_app(
    engine: Engine, identity: Identity, audit: Audit, public_url: str,
    turnstile: Turnstile | None = None,
) -> ASGIApp:  # fmt: skip
    """The app that answers for this engine; `identity` tells who asks, and what they may.

    `audit` keeps who did what; `public_url` is where uploads go: never where a Host header says.
    """
    doors = _Doors(engine, identity, audit, public_url, turnstile or Turnstile())
    table: list[tuple[str, str, _Answer]] = [
        *((way, path, doors.engine(verb, scope)) for way, path, verb, scope in routes.OF_ENGINE),
        *((way, path, doors.org(verb, scope)) for way, path, verb, scope in routes.OF_ORG),
        *((way, path, doors.person(verb)) for way, path, verb in routes.OF_PERSON),
        ("GET", "/smply/info", doors.info),
        ("GET", "/openapi.json", info.get_openapi),
        ("GET", "/healthz", info.get_health),
        ("GET", "/readyz", doors.ready),
        ("POST", "/tokens", doors.exchange),
        ("PUT", routes.ACCEPT[0], doors.accept),
        *((way, path, _not_built) for way, path in unbuilt.ROUTES),
    ]
    made = [
        Route(path, _Endpoint(answer, path), methods=None if way == "*" else [way])
        for way, path, answer in table
    ]
    upload = _Endpoint(doors.upload, _UPLOAD, versions.FORM_BYTES_MAX)
    made.append(Route(_UPLOAD, upload, methods=["POST"]))
    made += [Route(path, _Endpoint(_wrong_method)) for path in dict.fromkeys(r.path for r in made)]
    made.append(Route(routes.ACCEPT[1], _Endpoint(doors.accept_at_root, routes.ACCEPT[1])))
    return Router(made, redirect_slashes=False, default=_Endpoint(_nothing_there))


def __getattr__(name: str) -> Any:
    if name != "Metrics":
        raise AttributeError(name)
    # Its library is for servers, and commands need none of it.
    from smply.api.metrics import Metrics

    return Metrics


def hot_protocol(
    engine: Engine, identity: Identity, manners: Manners = _QUIET,
    turnstile: Turnstile | None = None,
) -> type[asyncio.Protocol]:  # fmt: skip
    """What uvicorn takes as `http` beside the app, to answer the path of an event fast."""
    from smply.api._hot import protocol_of

    return protocol_of(engine, identity, manners, turnstile or Turnstile())


class _Doors:
    """Lets callers in: who they are, and whether they may, is asked before a verb is called."""

    def __init__(
        self, engine: Engine, identity: Identity, audit: Audit, public_url: str,
        turnstile: Turnstile,
    ) -> None:  # fmt: skip
        self._turnstile = turnstile
        self._public_url = public_url
        self._engine = engine
        self._identity = identity
        self._audit = audit

    def engine(self, verb: _Verb, scope: str) -> _Answer:
        async def answer(request: Request) -> Response:
            request.state.public_url = self._public_url
            return await self._let_in(request, verb, self._engine, scope)

        return answer

    def org(self, verb: _Verb, scope: str) -> _Answer:
        async def answer(request: Request) -> Response:
            return await self._let_in(request, verb, self._identity.access, scope)

        return answer

    def person(self, verb: _Verb) -> _Answer:
        async def answer(request: Request) -> Response:
            self._identity.person(_headers(request))
            await request.body()
            # Again, as in `_let_in`.
            user = self._identity.person(_headers(request))
            done = await verb(request, self._identity.access, user)
            await self._note_org(request, verb)
            return done

        return answer

    async def info(self, request: Request) -> Response:
        return await info.get_info(request, self._identity.access, self._anybody(request))

    async def ready(self, request: Request) -> Response:
        return await info.get_readiness(request, self._engine)

    async def exchange(self, request: Request) -> Response:
        return await providers.exchange_token(request, self._identity.access)

    async def accept(self, request: Request) -> Response:
        """An invitation is a credential of its own: a new person has no other."""
        headers = _headers(request)
        user = self._identity.person(headers) if _CREDENTIAL in headers else None
        done = await people.accept_invitation(request, self._identity.access, user)
        await self._note_org(request, people.accept_invitation)
        return done

    async def accept_at_root(self, request: Request) -> Response:
        """The npm tool's way to an invitation, which any path of one segment looks like."""
        return await (self.accept if request.method == "PUT" else _nothing_there)(request)

    async def upload(self, request: Request) -> Response:
        return await versions.upload_code(request, self._engine)

    async def _let_in(self, request: Request, verb: _Verb, room: Any, scope: str) -> Response:
        """Call a verb of a room for an actor; what it has written is noted in the audit."""
        self._actor(request, scope)
        await request.body()
        # Asked again: a body may come for hours, and rights have gone meanwhile. Nobody stands in
        # the turnstile for so long.
        actor = self._actor(request, scope)
        self._turnstile.enter(actor.org)
        try:
            done = await verb(request, room, actor)
            if request.method not in ("GET", "HEAD") and verb is not routes.EVENT:
                await self._audit.note(request, verb, actor)
            return done
        finally:
            self._turnstile.leave(actor.org)

    async def _note_org(self, request: Request, verb: _Verb) -> None:
        """Note in the audit of an org what somebody did to it who was not let in there."""
        if (actor := getattr(request.state, "noted", None)) is not None:
            await self._audit.note(request, verb, actor)

    def _anybody(self, request: Request) -> Actor:
        """The caller; of a person who means no certain org at least who it is."""
        headers = _headers(request)
        try:
            return self._identity.actor(headers)
        except ApiError as exc:
            if exc.code not in ("specify-org", "missing-org") or _ORG in headers:
                raise
            user = self._identity.person(headers)
            return Actor(b"", b"{}", frozenset(), show_id(USER, user), user)

    def _actor(self, request: Request, scope: str | None) -> Actor:
        actor = self._identity.actor(_headers(request))
        if scope is not None:
            actor.require(scope)
        return actor


class _Endpoint:
    """A verb as an ASGI app: its answer, or the error that it raises, in one shape.

    It reads no more of a body than `body_bytes_max`.
    """

    def __init__(
        self, answer: _Answer, path: str = "", body_bytes_max: int = BODY_BYTES_MAX
    ) -> None:
        self._answer = answer
        self._path = path
        self._body_bytes_max = body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route_path"] = self._path
        try:
            unbuilt.refuse_headers(dict(scope["headers"]))
            _refuse_escaped_slash(scope)
            response = await self._answer(Request(scope, _bounded(receive, self._body_bytes_max)))
        except ApiError as exc:
            response = error_answer(exc)
        except ClientDisconnect:
            # Nobody hears this, but it is no fault of ours in the log.
            response = error_answer(InvalidParameter("the body is cut off", parameter="body"))
        await response(scope, receive, send)


def _headers(request: Request) -> dict[bytes, bytes]:
    return dict(request.scope["headers"])


def _bounded(receive: Receive, bytes_max: int) -> Receive:
    """The same messages, until their bodies are more than so many bytes: then TooLarge."""
    left = bytes_max

    async def receive_bounded() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise too_large(bytes_max)
        return message

    return receive_bounded


def _refuse_escaped_slash(scope: Scope) -> None:
    # A decoded slash in a name would be taken for the path of another route (F33).
    if b"%2f" in (scope.get("raw_path") or b"").lower():
        raise InvalidParameter("a name in the path holds an escaped slash", parameter="path")


async def _not_built(request: Request) -> Response:
    raise NotBuilt(f"{request.method} {request.url.path} is not built yet")


async def _wrong_method(request: Request) -> Response:
    raise ApiError(
        f"{request.url.path} does not take {request.method}", code="not-allowed", status=405
    )


async def _nothing_there(request: Request) -> Response:
    raise NotFound(f"there is nothing at {request.method} {request.url.path}")
