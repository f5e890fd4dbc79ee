"""Which server a command talks to; the only place that opens a client."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from smply.config import ORG
from smply.errors import BadAnswer, NotSignedIn

if TYPE_CHECKING:
    from smply.cli._output import Output
    from smply.client import AsyncClient
    from smply.clock import Clock as Clock
    from smply.config import Config
    from smply.connection import Connection
    from smply.directory import ServerMark
    from smply.models import Page

T = TypeVar("T")
P = TypeVar("P")

# The command line of httpx itself, which takes 40 ms to import and which nobody calls here: httpx
# can do without it.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]


@asynccontextmanager
async def open_client(
    config: Config,
    connection: Connection,
    output: Output,
    *,
    token: str | None = None,
    as_nobody: bool = False,
    patience: float | None = None,
) -> AsyncIterator[AsyncClient]:
    """A client of the connection's server, or of the local profile.

    `token` asks in place of the connection's credential; `as_nobody` needs none. `patience` is in
    seconds, and then nothing is asked twice. Raises NotSignedIn, DataDirectoryError when the data
    directory cannot be opened, UsageError for a setting that is not understood.
    """
    opened = (
        _local(config, connection, output, token)
        if connection.is_local
        else _remote(config, connection, output, token, as_nobody, patience)
    )
    async with opened as client:
        yield client


@asynccontextmanager
async def _local(
    config: Config, connection: Connection, output: Output, token: str | None
) -> AsyncIterator[AsyncClient]:
    """The data directory: by the server that runs on it, or else in this process.

    What machines print and the engine remarks goes to `output`, or else to the server's log.
    """
    from smply.directory import ServerLock

    org = _org(connection, of_key=token is not None)
    running = ServerLock(config.data_dir).running()
    opened = (
        _in_process(config, output, token, org)
        if running is None
        else _by_server(running, output, token, org)
    )
    async with opened as client:
        yield client


@asynccontextmanager
async def _by_server(
    running: ServerMark, output: Output, token: str | None, org: str | None
) -> AsyncIterator[AsyncClient]:
    import httpx

    from smply.cli._waiting import Waiting
    from smply.client import AsyncClient

    if token is None:
        token, org = running.token, org or running.org
    # One of our own: a proxy that the environment names is not shown the owner's token.
    # It speaks no TLS, and certificates take 30 ms to load.
    transport = httpx.AsyncHTTPTransport(uds=running.uds, verify=False)
    waiting = Waiting(output, running.url)
    try:
        async with AsyncClient(
            running.url, token=token, org=org, transport=transport, watch=waiting
        ) as client:
            yield client
    finally:
        waiting.stop()


@asynccontextmanager
async def _in_process(
    config: Config, output: Output, token: str | None, org: str | None
) -> AsyncIterator[AsyncClient]:
    import httpx

    from smply.client import AsyncClient
    from smply.server import LOCAL_URL, open_local

    async with (
        open_local(
            config.data_dir, clock_of(config), output.log, output.notice, config.network,
            asks_for_tokens=token is not None,
        ) as app,
        AsyncClient(
            LOCAL_URL, token=token, org=org, transport=httpx.ASGITransport(app), attempts=1
        ) as client,
    ):  # fmt: skip
        yield client


@asynccontextmanager
async def _remote(
    config: Config, connection: Connection, output: Output, token: str | None, as_nobody: bool,
    patience: float | None,
) -> AsyncIterator[AsyncClient]:  # fmt: skip
    from smply.cli._waiting import Waiting
    from smply.client import ATTEMPTS, TIMEOUT_SECONDS, AsyncClient
    from smply.connection import unlocked

    assert connection.url is not None
    url, settings = connection.url.value, connection.settings
    if connection.credential is None and token is None and not as_nobody:
        raise NotSignedIn(
            f"there is no credential for {url}{_set_aside(url)}",
            hint=f"smply login --api-url {url}, or SMPLY_ACCESS_TOKEN, or SMPLY_KEY_ID with"
            " SMPLY_SECRET_KEY",
        )
    org = _org(connection, of_key=token is not None or connection.key_id is not None)
    key = None
    if token is None:
        token, key = _credential(unlocked(connection, config))
    clock = clock_of(config)
    # The certificates of a profile are for its own server alone.
    ca, cert = (settings.ca, settings.client_cert) if connection.at_home else (None, None)
    waiting = Waiting(output, url)
    try:
        async with AsyncClient(
            url, token=token, key=key, org=org, ca=ca,
            certificate=None if cert is None else (cert, settings.client_key or cert),
            watch=waiting, now=lambda: clock.now() / 1000,
            timeout=patience or TIMEOUT_SECONDS, attempts=ATTEMPTS if patience is None else 1,
        ) as client:  # fmt: skip
            yield client
    finally:
        waiting.stop()


def _set_aside(url: str) -> str:
    """What the environment has for another server, which this one is not shown."""
    from smply.connection import from_environment

    told = from_environment()
    if told.keys() & {"token", "key_id"} and "url" in told and told["url"].value != url:
        return f": what the environment has is for {told['url'].value}"
    return ""


def _credential(connection: Connection) -> tuple[str | None, tuple[str, str] | None]:
    """The token, or the id and the secret of the key."""
    if connection.key_id is None:
        return connection.token.value if connection.token else None, None
    return None, (connection.key_id.value, connection.secret.value if connection.secret else "")


def _org(connection: Connection, *, of_key: bool) -> str | None:
    """The org to name: a key is of one org, and what it signs, so that none is named beside it
    unless this command line does."""
    org = connection.org
    return None if org is None or (of_key and org.by != ORG.flag) else org.value


def clock_of(config: Config) -> Clock:
    """The clock of the settings, by which ages are told."""
    from smply.clock import open_clock

    return open_clock(config.clock)


async def pages(
    fetch: Callable[[str | None], Awaitable[P]], next_of: Callable[[P], str | None]
) -> AsyncIterator[P]:
    """What `fetch` gives for None, and then for what each page says comes next, until it is None.

    Raises BadAnswer where what comes next has been already: there would be no end of it.
    """
    at, been = None, set[str | None]()
    while at not in been:
        been.add(at)
        page = await fetch(at)
        yield page
        at = next_of(page)
        if at is None:
            return
    raise BadAnswer(
        "the server gives the same page again", hint="is it a server of State Backed's API?"
    )


async def all_pages(fetch: Callable[[str | None], Awaitable[Page[T]]]) -> list[T]:
    """Everything that a list has, whatever the number of its pages."""
    return [item async for page in pages(fetch, lambda page: page.cursor) for item in page.items]
