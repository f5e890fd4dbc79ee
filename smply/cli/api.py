"""`smply api`: whatever the server has, as it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qsl, urlsplit

import typer

from smply.cli._command import Given, command
from smply.cli._options import read_file
from smply.errors import UsageError

if TYPE_CHECKING:
    from smply.client import AsyncClient

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")

Method = Annotated[
    str, typer.Argument(metavar="METHOD", help="GET, POST …", autocompletion=lambda: list(METHODS))
]
Path = Annotated[str, typer.Argument(metavar="PATH", help="Below the server's address: /keys.")]
Data = Annotated[
    str | None, typer.Option("--data", "-d", metavar="TEXT", help="The body; @FILE, @- (stdin).")
]
Header = Annotated[
    list[str] | None, typer.Option("--header", "-H", metavar="NAME: VALUE", help="Once or several.")
]
Paginate = Annotated[bool, typer.Option("--paginate", help="Every page of a list, as one answer.")]


def declare(app: typer.Typer) -> None:
    """Add the command to the app."""

    @command(app, "api", view=None)
    async def api(
        given: Given,
        method: Method,
        path: Path,
        data: Data = None,
        header: Header = None,
        paginate: Paginate = False,
    ) -> None:
        """Ask the server whatever it answers, with the credential in use: the way around a command.

        smply api GET /smply/audit --jq '.audit[].action'
        """
        way = method.upper()
        if way not in METHODS:
            raise UsageError(f"{method} is no method", hint=", ".join(METHODS))
        url = urlsplit(path)
        if url.scheme or url.netloc:
            raise UsageError(f"{path} is a whole address", hint="--api-url names the server")
        if paginate and way != "GET":
            raise UsageError("--paginate is for GET")
        body = None if data is None else _body(data)
        headers = dict(_header(each) for each in header or ())
        params = dict(parse_qsl(url.query, keep_blank_values=True))
        async with given.client() as client:
            ask = _all_pages if paginate else _one
            answer = await ask(client, way, f"/{url.path.lstrip('/')}", body, params, headers)
        _show(given, answer)


def _body(data: str) -> bytes:
    return read_file("--data", data[1:]) if data.startswith("@") else data.encode()


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise UsageError(f'--header "{text}" is no header', hint="--header 'NAME: VALUE'")
    return name.strip(), value.strip()


async def _one(
    client: AsyncClient, method: str, path: str, body: bytes | None, params: dict[str, str],
    headers: dict[str, str],
) -> bytes:  # fmt: skip
    return await client.request(method, path, content=body, params=params, headers=headers)


async def _all_pages(
    client: AsyncClient, method: str, path: str, body: bytes | None, params: dict[str, str],
    headers: dict[str, str],
) -> bytes:  # fmt: skip
    """The pages of a list joined: the member that is an array goes on until there is no cursor."""
    whole: dict[str, Any] = {}
    while True:
        page = json.loads(await _one(client, method, path, body, params, headers))
        if not isinstance(page, dict):
            raise UsageError(f"{path} has no pages", hint="leave --paginate out")
        cursor = page.pop("cursor", None)
        for name, value in page.items():
            joined = whole.get(name)
            whole[name] = [*joined, *value] if isinstance(joined, list) else value
        if cursor is None:
            return json.dumps(whole).encode()
        params = {**params, "cursor": cursor}


def _show(given: Given, answer: bytes) -> None:
    """JSON as other answers, anything else as it came; nothing where there is none."""
    if not answer:
        return
    try:
        value = json.loads(answer)
    except ValueError:
        given.output.bytes(answer)
    else:
        given.output.json(value)
