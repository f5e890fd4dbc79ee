"""Which server a command talks to; the only place that opens a client."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from smply.errors import NotSignedIn

if TYPE_CHECKING:
    from smply.cli._output import Output
    from smply.client import AsyncClient
    from smply.clock import Clock as Clock
    from smply.config import Config
    from smply.connection import Connection
    from smply.models import Page

T = TypeVar("T")

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
    import httpx

    from smply.cli._waiting import Waiting
    from smply.client import AsyncClient
    from smply.directory import ServerLock
    from smply.server import LOCAL_URL, open_local

    org = connection.org.value if connection.org else None
    running = ServerLock(config.data_dir).running()
    if running is not None:
        # One of our own: a proxy that the environment names is not shown the owner's token.
        # It speaks no TLS, and certificates take 30 ms to load.
        transport = httpx.AsyncHTTPTransport(uds=running.uds, verify=False)
        own = org or (running.org if token is None else None)
        waiting = Waiting(output, running.url)
        try:
            async with AsyncClient(
                running.url, token=token or running.token, org=own, transport=transport,
                watch=waiting,
            ) as client:  # fmt: skip
                yield client
        finally:
            waiting.stop()
        return

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
            hint="smply login, or SMPLY_ACCESS_TOKEN, or SMPLY_KEY_ID with SMPLY_SECRET_KEY",
        )
    if token is None:
        connection = unlocked(connection, config)
    key = None
    if token is None and connection.key_id is not None:
        key = (connection.key_id.value, connection.secret.value if connection.secret else "")
    elif token is None and connection.token is not None:
        token = connection.token.value
    # An org is said beside a person's token; others know their own.
    org = connection.org.value if connection.org else None
    clock = clock_of(config)
    cert = settings.client_cert
    waiting = Waiting(output, url)
    try:
        async with AsyncClient(
            url, token=token, key=key, org=org, ca=settings.ca,
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


def clock_of(config: Config) -> Clock:
    """The clock of the settings, by which ages are told."""
    from smply.clock import open_clock

    return open_clock(config.clock)


async def all_pages(fetch: Callable[[str | None], Awaitable[Page[T]]]) -> list[T]:
    """Everything that a list has, whatever the number of its pages."""
    page = await fetch(None)
    items = list(page.items)
    while page.cursor is not None:
        page = await fetch(page.cursor)
        items += page.items
    return items
