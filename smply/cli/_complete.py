"""The words that complete a line: names of machines and instances, ids of versions.

Whatever goes wrong, no word is offered: a shell's prompt is no place for errors.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from smply.client import AsyncClient


def views() -> list[str]:
    """What `--output` takes."""
    return ["json", "tree", "table"]


def shells() -> list[str]:
    """What `smply completion` takes."""
    return ["bash", "zsh", "fish"]


def statuses() -> list[str]:
    """What `--status` takes."""
    return ["running", "paused"]


def machines(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of machines."""

    async def names(client: AsyncClient) -> Iterable[str]:
        from smply.cli._connect import all_pages

        return [machine.name for machine in await all_pages(client.machines.list)]

    return _found(ctx, names)


def instances(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the instances of the machine on the line."""

    async def names(client: AsyncClient) -> Iterable[str]:
        from smply.cli._connect import all_pages

        machine = str(ctx.params.get("machine"))
        found = await all_pages(lambda cursor: client.instances.list(machine, cursor))
        return [instance.name for instance in found]

    return _found(ctx, names)


def versions(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of the versions of the machine on the line."""

    async def ids(client: AsyncClient) -> Iterable[str]:
        from smply.cli._connect import all_pages

        machine = str(ctx.params.get("machine"))
        found = await all_pages(lambda cursor: client.versions.list(machine, cursor))
        return [version.id for version in found]

    return _found(ctx, ids)


def _found(ctx: typer.Context, ask: Callable[[AsyncClient], Awaitable[Iterable[str]]]) -> list[str]:
    import asyncio

    with suppress(Exception):
        return list(asyncio.run(_asked(ctx.params.get("data_dir"), ask)))
    return []


async def _asked(
    data_dir: Any, ask: Callable[[AsyncClient], Awaitable[Iterable[str]]]
) -> Iterable[str]:
    from smply.cli._connect import open_client
    from smply.cli._output import Output, Wishes
    from smply.config import load_config

    config = load_config(data_dir=data_dir)
    # To look at what there is must not make a data directory.
    if not config.data_dir.is_dir():
        return []
    async with open_client(config, Output(Wishes(quiet=True))) as client:
        return await ask(client)
