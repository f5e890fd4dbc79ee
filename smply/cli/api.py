"""`smply api`: whatever the server has, as it is."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import typer

from smply.cli._command import Given, command
from smply.cli._connect import pages
from smply.cli._options import read_file
from smply.errors import BadAnswer, UsageError

if TYPE_CHECKING:
    from smply.client import AsyncClient

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")

Query = list[tuple[str, str]]

_NONE = object()
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FRAMING = ("content-length", "transfer-encoding")
"""What says where a request ends."""

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
        place, query = _place(path)
        if paginate and way != "GET":
            raise UsageError("--paginate is for GET")
        body = None if data is None else _body(data)
        headers = dict(_header(each) for each in header or ())
        async with given.client() as client:
            ask = _all_pages if paginate else _one
            answer = await ask(client, way, place, body, query, headers)
        _show(given, answer)


def _body(data: str) -> bytes:
    return read_file("--data", data[1:]) if data.startswith("@") else data.encode()


def _place(path: str) -> tuple[str, Query]:
    """The path, and what is asked after it, in its order."""
    try:
        url = urlsplit(path)
    except ValueError:
        url = None
    if url is None or not path.isprintable():
        raise UsageError("that is no path", hint="PATH is below the server's address: /keys")
    if url.scheme or url.netloc:
        raise UsageError(f"{path} is a whole address", hint="--api-url names the server")
    return f"/{url.path.lstrip('/')}", parse_qsl(url.query, keep_blank_values=True)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not _HEADER_NAME.fullmatch(name):
        raise UsageError(f'--header "{text}" is no header', hint="--header 'NAME: VALUE'")
    if not value.isascii() or not value.replace("\t", " ").isprintable():
        raise UsageError(f"--header {name} is not one line of ASCII")
    if name.lower() in _FRAMING:
        raise UsageError(f"--header {name} is what smply itself says", hint="leave it out")
    return name, value


async def _one(
    client: AsyncClient, method: str, path: str, body: bytes | None, query: Query,
    headers: dict[str, str],
) -> bytes:  # fmt: skip
    # A name may be there twice, which no mapping says.
    whole = f"{path}?{urlencode(query)}" if query else path
    return await client.request(method, whole, content=body, headers=headers)


async def _all_pages(
    client: AsyncClient, method: str, path: str, body: bytes | None, query: Query,
    headers: dict[str, str],
) -> bytes:  # fmt: skip
    """The pages of a list joined: the member that is an array goes on until there is no cursor."""
    others = [each for each in query if each[0] != "cursor"]

    async def fetch(at: str | None) -> dict[str, Any]:
        asked = query if at is None else [*others, ("cursor", at)]
        return _page(path, await _one(client, method, path, body, asked, headers))

    whole: dict[str, Any] = {}
    async for page in pages(fetch, lambda page: page.get("cursor")):
        for name, value in page.items():
            joined = whole.get(name)
            if isinstance(joined, list) and isinstance(value, list):
                value = [*joined, *value]
            whole[name] = value
    whole.pop("cursor", None)
    return json.dumps(whole).encode()


def _page(path: str, answer: bytes) -> dict[str, Any]:
    value = _json(answer)
    if not isinstance(value, dict) or not isinstance(value.get("cursor"), str | None):
        raise BadAnswer(f"{path} has no pages", hint="leave --paginate out")
    return value


def _json(answer: bytes) -> Any:
    """What JSON says, `_NONE` for what is none: NaN and what is beyond all numbers is not."""
    try:
        value = json.loads(answer)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return _NONE
    return value


def _show(given: Given, answer: bytes) -> None:
    """JSON as other answers, anything else as it came; nothing where there is none."""
    if not answer:
        return
    value = _json(answer)
    if value is _NONE:
        given.output.bytes(answer)
        return
    try:
        given.output.json(value)
    except RecursionError:
        raise BadAnswer("the answer is nested too deeply to be shown") from None
