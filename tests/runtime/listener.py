"""A neighbour that machine code must not reach, over HTTP, WebSocket and server-sent events."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

_WEBSOCKET = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_PAGES = {
    "/events": ("text/event-stream", "data: hello\n\n"),
    "/module.js": ("text/javascript", "export default 1"),
}


@dataclass
class Listener:
    """Ports of this machine and a Unix socket, and every path that was asked for there.

    `/to/URL` redirects to it, `/events` is a stream of one event, `/module.js` a module, and an
    upgrade is granted.
    """

    port: int
    other_port: int
    path: Path
    heard: list[str] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard.append("a connection")
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heard[-1] = target = head.split()[1]
            writer.write(_response(head, target))
            await writer.drain()
        writer.close()


def _response(head: str, target: str) -> bytes:
    headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
    if "sec-websocket-key" in headers:
        key = next(
            line[19:] for line in head.split("\r\n") if line[:17].lower() == "sec-websocket-key"
        )
        accept = base64.b64encode(hashlib.sha1((key + _WEBSOCKET).encode()).digest()).decode()
        return (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
        ).encode()
    if target.startswith("/to/"):
        return f"HTTP/1.1 302 Found\r\nLocation: {unquote(target[4:])}\r\n\r\n".encode()
    kind, body = _PAGES.get(target, ("text/plain", "hello"))
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n{body}".encode()


@contextlib.asynccontextmanager
async def listen(directory: Path) -> AsyncIterator[Listener]:
    listener = Listener(0, 0, directory / "neighbour")
    first, second = _bound(), _bound()
    listener.port, listener.other_port = first[0].getsockname()[1], second[0].getsockname()[1]
    servers = [await asyncio.start_server(listener.answer, sock=each) for each in (*first, *second)]
    servers.append(await asyncio.start_unix_server(listener.answer, listener.path))
    try:
        yield listener
    finally:
        for server in servers:
            server.close()


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _bound() -> list[socket.socket]:
    """Sockets on every address of this machine, IPv6 too where there is one; one port."""
    family, address = (socket.AF_INET6, "::") if has_ipv6() else (socket.AF_INET, "0.0.0.0")
    return [socket.create_server((address, 0), family=family, dualstack_ipv6=has_ipv6())]
