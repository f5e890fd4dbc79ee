"""The State Backed HTTP API, and what smply adds to it, as an ASGI app."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smply.api import instances, machines, unbuilt, versions
from smply.api._wire import BODY_BYTES_MAX, error_answer, show_id, too_large
from smply.engine import Engine
from smply.errors import ApiError, InvalidParameter, NotBuilt, NotFound
from smply.identity import Actor, Identity

__all__ = ["create_app", "hot_protocol", "show_user"]

_Verb = Callable[[Request, Engine, Actor], Awaitable[Response]]

_ROUTES: tuple[tuple[str, str, _Verb], ...] = (
    # Routes are tried in this order: the path of an event comes first.
    ("POST", "/machines/{machineSlug}/i/{instanceSlug}/events", instances.send_event),
    ("GET", "/machines/{machineSlug}/i/{instanceSlug}", instances.get_instance),
    ("POST", "/machines/{machineSlug}", instances.create_instance),
    ("GET", "/machines/{machineSlug}/i", instances.list_instances),
    ("GET", "/machines/{machineSlug}/i/{instanceSlug}/admin", instances.get_instance_admin),
    ("GET", "/machines/{machineSlug}/i/{instanceSlug}/events", instances.list_transitions),
    ("PUT", "/machines/{machineSlug}/i/{instanceSlug}/status", instances.set_status),
    ("DELETE", "/machines/{machineSlug}/i/{instanceSlug}", instances.delete_instance),
    ("GET", "/machines", machines.list_machines),
    ("POST", "/machines", machines.create_machine),
    ("GET", "/machines/{machineSlug}", machines.get_machine),
    ("DELETE", "/machines/{machineSlug}", machines.delete_machine),
    ("PUT", "/smply/machines/{machineSlug}/current-version", machines.set_current),
    ("GET", "/machines/{machineSlug}/v", versions.list_versions),
    ("POST", "/machines/{machineSlug}/v", versions.provision_version),
    ("PUT", "/machines/{machineSlug}/v/{signedMachineVersionId}", versions.finalize_version),
    ("GET", "/smply/machines/{machineSlug}/v/{machineVersionId}", versions.get_version),
    ("GET", "/smply/machines/{machineSlug}/i/{instanceSlug}", instances.inspect_instance),
)
"""Every route that is built, but the upload; what is not is in `unbuilt.ROUTES`."""

_UPLOAD = "/code-uploads/{uploadId}"


def create_app(engine: Engine, identity: Identity) -> ASGIApp:
    """The app that answers for this engine; `identity` tells who asks."""

    def answered(verb: _Verb) -> ASGIApp:
        async def answer(request: Request) -> Response:
            headers = dict(request.scope["headers"])
            unbuilt.refuse_headers(headers)
            _refuse_escaped_slash(request.scope)
            return await verb(request, engine, identity.actor(headers))

        return _Endpoint(answer)

    async def upload(request: Request) -> Response:
        return await versions.upload_code(request, engine)

    routes = [Route(path, answered(verb), methods=[method]) for method, path, verb in _ROUTES]
    routes.append(Route(_UPLOAD, _Endpoint(upload, versions.FORM_BYTES_MAX), methods=["POST"]))
    routes += [
        Route(path, _Endpoint(_not_built), methods=None if method == "*" else [method])
        for method, path in unbuilt.ROUTES
    ]
    paths = dict.fromkeys(route.path for route in routes)
    routes += [Route(path, _Endpoint(_wrong_method)) for path in paths]
    routes.append(Route(unbuilt.INVITATION, _Endpoint(_invitation)))
    return Router(routes, redirect_slashes=False, default=_Endpoint(_nothing_there))


def hot_protocol(engine: Engine, identity: Identity) -> type[asyncio.Protocol]:
    """What uvicorn takes as `http` beside the app, to answer the path of an event fast."""
    from smply.api._hot import protocol_of

    return protocol_of(engine, identity)


def show_user(user: bytes) -> str:
    """`usr_…`, as a person's id is shown."""
    return show_id("usr", user)


class _Endpoint:
    """A verb as an ASGI app: its answer, or the error that it raises, in one shape.

    It reads no more of a body than `body_bytes_max`.
    """

    def __init__(
        self,
        verb: Callable[[Request], Awaitable[Response]],
        body_bytes_max: int = BODY_BYTES_MAX,
    ) -> None:
        self._verb = verb
        self._body_bytes_max = body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._verb(Request(scope, _bounded(receive, self._body_bytes_max)))
        except ApiError as exc:
            response = error_answer(exc)
        await response(scope, receive, send)


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


async def _invitation(request: Request) -> Response:
    """The npm tool's way to an invitation, which any path of one segment looks like."""
    return await (_not_built if request.method == "PUT" else _nothing_there)(request)


async def _wrong_method(request: Request) -> Response:
    raise ApiError(
        f"{request.url.path} does not take {request.method}", code="not-allowed", status=405
    )


async def _nothing_there(request: Request) -> Response:
    raise NotFound(f"there is nothing at {request.method} {request.url.path}")
