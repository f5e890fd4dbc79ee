"""The words that complete a line: names of machines and instances, ids of versions.

Whatever goes wrong, no word is offered: a shell's prompt is no place for errors.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from smply.client import AsyncClient
    from smply.models import Page

_WORD = re.compile(r"[A-Za-z0-9_-]{1,160}", re.ASCII)

_PATIENCE_SECONDS = 2.0
"""What a shell's prompt may wait for a server."""


def views() -> list[str]:
    """What `--output` takes."""
    return ["json", "jsonl", "yaml", "tree", "table"]


def profiles() -> list[str]:
    """Names of profiles."""
    from smply.config import config_dir
    from smply.profiles import Profiles

    with suppress(Exception):
        return Profiles(config_dir()).names()
    return []


def shells() -> list[str]:
    """What `smply completion` takes."""
    return ["bash", "zsh", "fish"]


def statuses() -> list[str]:
    """What `--status` takes."""
    return ["running", "paused"]


def machines(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of machines."""
    return _listed(ctx, lambda client: client.machines.list, "name")


def instances(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the instances of the machine on the line."""
    machine = str(ctx.params.get("machine"))
    return _listed(ctx, lambda client: partial(client.instances.list, machine), "name")


def versions(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of the versions of the machine on the line."""
    machine = str(ctx.params.get("machine"))
    return _listed(ctx, lambda client: partial(client.versions.list, machine), "id")


def orgs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of the orgs that one is in."""
    return _listed(ctx, lambda client: client.orgs.list, "id")


def keys(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of the keys of the org."""
    return _listed(ctx, lambda client: client.keys.list, "id")


def tokens(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of one's access tokens."""
    return _listed(ctx, lambda client: client.tokens.list, "id")


def members(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of the members of the org."""
    return _listed(ctx, lambda client: client.members.list, "user_id")


def invitations(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of the invitations that wait."""
    return _listed(ctx, lambda client: client.invitations.list, "id")


def _listed(
    ctx: typer.Context,
    pages: Callable[[AsyncClient], Callable[[str | None], Awaitable[Page[Any]]]],
    name: str,
) -> list[str]:
    """A member of everything in a list."""

    async def names(client: AsyncClient) -> Iterable[str]:
        from smply.cli._connect import all_pages

        found = [str(getattr(item, name)) for item in await all_pages(pages(client))]
        # Shells take words for more than text, and a server may say what it likes.
        return [word for word in found if _WORD.fullmatch(word)]

    return _found(ctx, names)


def _found(ctx: typer.Context, ask: Callable[[AsyncClient], Awaitable[Iterable[str]]]) -> list[str]:
    import asyncio

    with suppress(Exception):
        # However little of an answer comes at a time, and however many pages of it.
        return list(asyncio.run(asyncio.wait_for(_asked(ctx.params, ask), _PATIENCE_SECONDS)))
    return []


async def _asked(
    params: dict[str, Any], ask: Callable[[AsyncClient], Awaitable[Iterable[str]]]
) -> Iterable[str]:
    from smply.cli._connect import open_client
    from smply.cli._output import Output, Wishes
    from smply.config import load_config
    from smply.connection import Flags, connect

    told = [params.get(name) for name in ("profile", "api_url", "access_token", "org", "data_dir")]
    config = load_config(data_dir=params.get("data_dir"))
    connection = connect(Flags(*told), config)
    # To look at what there is must not make a data directory.
    if connection.is_local and not config.data_dir.is_dir():
        return []
    quiet = Output(Wishes(quiet=True))
    async with open_client(config, connection, quiet, patience=_PATIENCE_SECONDS) as client:
        return await ask(client)
