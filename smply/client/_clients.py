"""The two clients side by side: asynchronous and not."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Generator, Mapping
from functools import cached_property
from importlib import metadata
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from smply.client import _base as base
from smply.client import _machines as machines
from smply.client import _orgs as orgs
from smply.client._credentials import Bearer, Credential, SigningKey
from smply.client._tls import no_tls, tls_context
from smply.client._unanswered import UNANSWERED, unanswered
from smply.client._uploads import is_own, watched
from smply.contract import ORG_HEADER, VERSION_HEADER
from smply.errors import BadAnswer, SmplyError, UsageError

T = TypeVar("T")
H = TypeVar("H", httpx.AsyncClient, httpx.Client)

CONNECT_SECONDS = 10.0
TIMEOUT_SECONDS = 100.0
"""Longer than the 90 s that settling may take (S50)."""
ANSWER_BYTES_MAX = 100_000_000
"""Once it is unpacked."""


class Watch:
    """Is told of the requests of a client as they go; says nothing itself."""

    def asking(self, method: str, url: str) -> None:
        """A request begins, perhaps for another time."""

    def sent(self, done: int, total: int) -> None:
        """So many bytes of an upload are on their way."""

    def answered(self, version: str | None) -> None:
        """An answer came, from a server of this version of smply, None if it does not say."""


class _Wires:
    """How connections are made: within which time, with which certificates, or by a transport."""

    def __init__(
        self, timeout: float, transport: Any, ca: str | None, certificate: tuple[str, str] | None
    ) -> None:
        connect = min(timeout, CONNECT_SECONDS)
        self._timeout = httpx.Timeout(timeout, connect=connect)
        self.patience = connect + timeout
        """Seconds for a whole request: httpx counts anew with each byte."""
        self._transport = transport
        self._files = ca, certificate

    def open(self, make: Callable[..., H], url: str, *, own: bool = True, **options: Any) -> H:
        """A client of httpx for an address; the certificates are for our `own` server alone.

        Raises SmplyError for an address, a certificate or a proxy that cannot be used.
        """
        try:
            scheme = httpx.URL(url).scheme
        except httpx.InvalidURL as exc:
            raise UsageError(f"{url} is no address of a server: {exc}", hint="check it") from exc
        # To load all the authorities of the world takes 30 ms.
        if scheme == "http" or self._transport is not None:
            verify = no_tls()
        else:
            verify = self._tls if own else tls_context(None, None)
        try:
            return make(timeout=self._timeout, transport=self._transport, verify=verify, **options)
        except (ValueError, ImportError, httpx.InvalidURL) as exc:
            raise SmplyError(
                f"the proxy that the environment names cannot be used: {exc}", code="proxy",
                hint="see HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY",
            ) from exc  # fmt: skip

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return tls_context(*self._files)


def _options(base_url: str, org: str | None) -> dict[str, Any]:
    """The arguments of an httpx client."""
    version = metadata.version("smply")
    headers = {
        "content-type": "application/json", "user-agent": f"smply/{version}",
        VERSION_HEADER: version, **({} if org is None else {ORG_HEADER: org}),
    }  # fmt: skip
    return {"base_url": base_url, "headers": headers}


def _credential(
    token: str | None, key: tuple[str, str] | None, now: Callable[[], float] | None
) -> Credential:
    return Bearer(token) if key is None else SigningKey(*key, now)


def _request(
    call: base.Call[Any], credential: Credential, on_sent: Callable[[int, int], None]
) -> dict[str, Any]:
    """The arguments of httpx's `stream` for a call."""
    options: dict[str, Any] = {
        "params": dict(call.params),
        "headers": {**call.headers, **credential.headers(call.act)},
        "content": call.content,
    }
    if call.file is not None:
        # The upload carries no authorization, and a content type of its own (S8).
        name, content, kind = call.file
        files = {"file": (name, watched(content, on_sent), kind)}
        options = {"data": dict(call.form), "files": files}
    return {name: value for name, value in options.items() if value}


class _Body:
    """What is read of an answer, which has an end. Raises BadAnswer where it has none."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._room = ANSWER_BYTES_MAX

    def add(self, part: bytes) -> None:
        self._parts.append(part)
        self._room -= len(part)
        if self._room < 0:
            raise BadAnswer(
                f"the answer is longer than {ANSWER_BYTES_MAX // 1_000_000} MB",
                hint="is this the address of a server of State Backed's API?",
            )

    def whole(self) -> bytes:
        return b"".join(self._parts)


def _result(call: base.Call[T], response: httpx.Response, body: bytes, watch: Watch) -> T:
    watch.answered(response.headers.get(VERSION_HEADER))
    if not response.is_success:
        raise base.error_from(response.status_code, body, response.headers, call.method)
    if call.read is base.nothing and base.is_page(response.headers):
        raise base.bad_answer(body, response.headers)
    try:
        return call.read(body)
    except (ValueError, KeyError, RecursionError) as exc:
        # msgspec raises ValueErrors.
        raise base.bad_answer(body, response.headers) from exc


def _raw(
    method: str, path: str, content: bytes | None, params: Mapping[str, str] | None,
    headers: Mapping[str, str] | None,
) -> base.Call[bytes]:  # fmt: skip
    return base.Call(method, path, bytes, content, params or {}, headers=headers or {})


def _retries(call: base.Call[Any], attempts: int, watch: Watch) -> dict[str, Any]:
    """The arguments of tenacity's loop."""
    import tenacity

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        return base.pause_before(state.attempt_number, error)

    return {
        "stop": tenacity.stop_after_attempt(attempts),
        "retry": tenacity.retry_if_exception(lambda exc: base.is_worth_another_try(call, exc)),
        "wait": wait,
        # The pause is waited for as the answer is.
        "before_sleep": lambda _state: watch.asking(call.method, call.url),
        "reraise": True,
    }


class AsyncClient:
    """An asynchronous client of a State Backed server.

        async with AsyncClient("http://localhost:8000", token=token) as client:
            state = await client.instances.send("toggler", "session-1", "toggle")

    `token` is a bearer token; instead of one, `key` is the id and the secret of a key, which signs
    a token for each auth context. `org` is the org id where a token leaves it open. `ca` is a file
    of certificates to trust beside the usual ones, `certificate` the files of one to show and of
    its key. `timeout` is in seconds; what is safe to ask again is asked `attempts` times. `watch`
    is told what goes on, `now` gives seconds of the epoch.

    Raises `ApiError` (by status and code) for what the server refuses, `NoAnswer` for silence,
    `BadAnswer` for what comes from something else.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        key: tuple[str, str] | None = None,
        org: str | None = None,
        ca: str | None = None,
        certificate: tuple[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout: float = TIMEOUT_SECONDS,
        attempts: int = base.ATTEMPTS,
        watch: Watch | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._wires = _Wires(timeout, transport, ca, certificate)
        self._http = self._wires.open(httpx.AsyncClient, base_url, **_options(base_url, org))
        self._uploads: dict[bool, httpx.AsyncClient] = {}
        self._credential = _credential(token, key, now)
        self._attempts = attempts
        self._watch = watch or Watch()
        self.machines = machines.AsyncMachines(self)
        self.versions = machines.AsyncVersions(self)
        self.instances = machines.AsyncInstances(self)
        self.orgs = orgs.AsyncOrgs(self)
        self.members = orgs.AsyncMembers(self)
        self.invitations = orgs.AsyncInvitations(self)
        self.keys = orgs.AsyncKeys(self)
        self.tokens = orgs.AsyncTokens(self)
        self.identity_providers = orgs.AsyncIdentityProviders(self)
        self.token_providers = orgs.AsyncTokenProviders(self)
        self.server = orgs.AsyncServer(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        for http in (self._http, *self._uploads.values()):
            await http.aclose()

    async def request(
        self, method: str, path: str, *, content: bytes | None = None,
        params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None,
    ) -> bytes:  # fmt: skip
        """Whatever the server has: the body of its answer. Raises what every verb does."""
        return await self.ask(_raw(method, path, content, params, headers))

    async def ask(self, call: base.Call[T]) -> T:
        if self._attempts == 1:
            return await self._once(call)
        import tenacity

        retrying = tenacity.AsyncRetrying(**_retries(call, self._attempts, self._watch))
        return await retrying(self._once, call)

    async def _once(self, call: base.Call[T]) -> T:
        http = self._http if call.file is None else self._uploading(call.url)
        self._watch.asking(call.method, call.url)
        try:
            async with asyncio.timeout(self._wires.patience) as limit:
                response, body = await self._answer(http, call, limit)
        except UNANSWERED as exc:
            raise unanswered(call, str(self._http.base_url), exc) from exc
        except httpx.InvalidURL as exc:
            raise UsageError(f"that is no address: {exc}") from exc
        return _result(call, response, body, self._watch)

    async def _answer(
        self, http: httpx.AsyncClient, call: base.Call[Any], limit: asyncio.Timeout
    ) -> tuple[httpx.Response, bytes]:
        """An answer and what it holds; an upload may take as long as it goes on."""
        loop, body = asyncio.get_running_loop(), _Body()

        def on_sent(done: int, total: int) -> None:
            limit.reschedule(loop.time() + self._wires.patience)
            self._watch.sent(done, total)

        request = _request(call, self._credential, on_sent)
        async with http.stream(call.method, call.url, **request) as response:
            async for part in response.aiter_bytes():
                body.add(part)
        return response, body.whole()

    def _uploading(self, url: str) -> httpx.AsyncClient:
        """It sends no header of ours: an upload may go elsewhere (S8). Raises BadAnswer."""
        own = is_own(url, self._http.base_url)
        if own not in self._uploads:
            self._uploads[own] = self._wires.open(httpx.AsyncClient, url, own=own)
        return self._uploads[own]

    async def follow(self, flow: Generator[base.Call[Any], Any, T]) -> T:
        answer = None
        try:
            while True:
                answer = await self.ask(flow.send(answer))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


class Client:
    """`AsyncClient` without `await`.

    with Client("http://localhost:8000", token=token) as client:
        state = client.instances.send("toggler", "session-1", "toggle")
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        key: tuple[str, str] | None = None,
        org: str | None = None,
        ca: str | None = None,
        certificate: tuple[str, str] | None = None,
        transport: httpx.BaseTransport | None = None,
        timeout: float = TIMEOUT_SECONDS,
        attempts: int = base.ATTEMPTS,
        watch: Watch | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._wires = _Wires(timeout, transport, ca, certificate)
        self._http = self._wires.open(httpx.Client, base_url, **_options(base_url, org))
        self._uploads: dict[bool, httpx.Client] = {}
        self._credential = _credential(token, key, now)
        self._attempts = attempts
        self._watch = watch or Watch()
        self.machines = machines.Machines(self)
        self.versions = machines.Versions(self)
        self.instances = machines.Instances(self)
        self.orgs = orgs.Orgs(self)
        self.members = orgs.Members(self)
        self.invitations = orgs.Invitations(self)
        self.keys = orgs.Keys(self)
        self.tokens = orgs.Tokens(self)
        self.identity_providers = orgs.IdentityProviders(self)
        self.token_providers = orgs.TokenProviders(self)
        self.server = orgs.Server(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        for http in (self._http, *self._uploads.values()):
            http.close()

    def request(
        self, method: str, path: str, *, content: bytes | None = None,
        params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None,
    ) -> bytes:  # fmt: skip
        """Whatever the server has: the body of its answer. Raises what every verb does."""
        return self.ask(_raw(method, path, content, params, headers))

    def ask(self, call: base.Call[T]) -> T:
        if self._attempts == 1:
            return self._once(call)
        import tenacity

        retrying = tenacity.Retrying(**_retries(call, self._attempts, self._watch))
        answer: T = retrying(self._once, call)
        return answer

    def _once(self, call: base.Call[T]) -> T:
        http = self._http if call.file is None else self._uploading(call.url)
        self._watch.asking(call.method, call.url)
        try:
            response, body = self._answer(http, call)
        except UNANSWERED as exc:
            raise unanswered(call, str(self._http.base_url), exc) from exc
        except httpx.InvalidURL as exc:
            raise UsageError(f"that is no address: {exc}") from exc
        return _result(call, response, body, self._watch)

    def _answer(self, http: httpx.Client, call: base.Call[Any]) -> tuple[httpx.Response, bytes]:
        """An answer and what it holds; only what follows its headers is bounded as a whole."""
        request, body = _request(call, self._credential, self._watch.sent), _Body()
        with http.stream(call.method, call.url, **request) as response:
            until = time.monotonic() + self._wires.patience
            for part in response.iter_bytes():
                body.add(part)
                if time.monotonic() > until:
                    raise TimeoutError
        return response, body.whole()

    def _uploading(self, url: str) -> httpx.Client:
        """It sends no header of ours: an upload may go elsewhere (S8). Raises BadAnswer."""
        own = is_own(url, self._http.base_url)
        if own not in self._uploads:
            self._uploads[own] = self._wires.open(httpx.Client, url, own=own)
        return self._uploads[own]

    def follow(self, flow: Generator[base.Call[Any], Any, T]) -> T:
        answer = None
        try:
            while True:
                answer = self.ask(flow.send(answer))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
