"""Which server a command talks to; the only place that opens a client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from smply.cli._output import Output
    from smply.client import AsyncClient
    from smply.clock import Clock as Clock
    from smply.config import Config
    from smply.models import Page

T = TypeVar("T")


@asynccontextmanager
async def open_client(config: Config, output: Output) -> AsyncIterator[AsyncClient]:
    """A client of the local profile, or of the server that runs on its data directory.

    What machines print and the engine remarks goes to `output`, or else to the server's log.
    Raises DataDirectoryError when the data directory cannot be opened, UsageError for a setting
    that is not understood.
    """
    import httpx

    from smply.client import AsyncClient
    from smply.directory import ServerLock
    from smply.server import LOCAL_URL, open_local

    running = ServerLock(config.data_dir).running()
    if running is not None:
        # One of our own: a proxy that the environment names is not shown the owner's token.
        transport = httpx.AsyncHTTPTransport(uds=running.uds)
        async with AsyncClient(
            running.url, token=running.token, org=running.org, transport=transport
        ) as client:
            yield client
        return

    async with (
        open_local(
            config.data_dir, clock_of(config), output.log, output.notice, config.network
        ) as app,
        AsyncClient(LOCAL_URL, transport=httpx.ASGITransport(app)) as client,
    ):
        yield client


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
