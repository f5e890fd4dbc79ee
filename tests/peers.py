"""Peers on loopback, as bad as those outside: dead, slow, of another protocol, in between."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest
import trustme

Answer = bytes | Callable[[], bytes | Iterator[bytes]]
"""The bytes of an answer, after which the connection is closed, or what makes them in its time, at
once or in parts."""

MACHINES = b'{"machines":[]}'


def http(
    body: bytes | str = b"", status: int = 200, kind: str = "application/json", **headers: str
) -> bytes:
    """An answer; `_` in the name of a header is a hyphen."""
    body = body if isinstance(body, bytes) else body.encode()
    told = {"content-type": kind, "content-length": str(len(body)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in told.items())
    return f"HTTP/1.1 {status} So\r\n{lines}connection: close\r\n\r\n".encode() + body


def dripping(head: bytes, drop: bytes) -> Callable[[], Iterator[bytes]]:
    """An answer that begins so and goes on for ever, a drop at a time."""

    def drip() -> Iterator[bytes]:
        yield head
        while True:
            time.sleep(0.02)
            yield drop

    return drip


def page(status: int = 200) -> bytes:
    """What a proxy or a sign-in page answers."""
    return http("<html><h1>Sign in</h1></html>", status, "text/html; charset=utf-8")


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class _Listener:
    """Listens on loopback until it is closed; each connection has a thread."""

    tls: ssl.SSLContext | None = None
    _open: list[socket.socket] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.scheme = "http" if self.tls is None else "https"
        self.url = f"{self.scheme}://127.0.0.1:{self.port}"
        self.closed = threading.Event()

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: Any) -> None:
        self.closed.set()
        # Closing alone does not wake who accepts or reads.
        for each in [self._socket, *self._open]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in [self._socket, *self._open]:
            each.close()

    def serve(self, connection: socket.socket) -> None:
        """A connection, until this returns."""

    def _start(self, run: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=run, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self.closed.is_set():
                self._start(self._serve, self._socket.accept()[0])

    def _serve(self, connection: socket.socket) -> None:
        self._open.append(connection)
        with contextlib.suppress(OSError):
            if self.closed.is_set():
                return
            if self.tls is not None:
                connection = self._secured(connection, self.tls)
            self.serve(connection)
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()

    def _secured(self, connection: socket.socket, tls: ssl.SSLContext) -> ssl.SSLSocket:
        wrapped = tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self._open.append(wrapped)
        try:
            wrapped.do_handshake()
        except ssl.SSLError:
            # What was not read when a connection is closed takes the alert along.
            wrapped.shutdown(socket.SHUT_WR)
            while wrapped.recv(65_536):
                pass
            raise
        return wrapped


@dataclass
class Peer(_Listener):
    """Answers what it was told, one after the other and then the last again; None is silence."""

    answers: tuple[Answer | None, ...] = (http(MACHINES),)
    asked: list[Asked] = field(default_factory=list)
    chunk: int = 65_536
    on_chunk: Callable[[], object] = lambda: None
    """Called before each part of a request that is read."""

    def serve(self, connection: socket.socket) -> None:
        self.asked.append(self._read(connection))
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if answer is None:
            self.closed.wait()
        else:
            made = answer if isinstance(answer, bytes) else answer()
            for part in [made] if isinstance(made, bytes) else made:
                connection.sendall(part)

    def _read(self, connection: socket.socket) -> Asked:
        head, _, body = self._until(connection, b"", lambda got: b"\r\n\r\n" in got).partition(
            b"\r\n\r\n"
        )
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = int(headers.get("content-length", "0"))
        body = self._until(connection, body, lambda got: len(got) >= length)
        method, path, _ = first.split(" ")
        return Asked(method, path, headers, body)

    def _until(
        self, connection: socket.socket, got: bytes, is_all: Callable[[bytes], bool]
    ) -> bytes:
        while not is_all(got):
            self.on_chunk()
            part = connection.recv(self.chunk)
            if not part:
                raise ConnectionResetError
            got += part
            if got.startswith(b"\x16"):
                # As HTTP servers meet the first word of TLS.
                connection.sendall(http("this is HTTP", 400, "text/plain"))
                raise ConnectionResetError
        return got


@dataclass
class Between(_Listener):
    """Passes on what it gets: a proxy that is asked to CONNECT, or one that ends TLS before `to`.

    `change` is what it makes of the answers.
    """

    to: tuple[str, int] | None = None
    refusal: bytes | None = None
    change: Callable[[bytes], bytes] = lambda part: part
    connected: list[str] = field(default_factory=list)

    def serve(self, connection: socket.socket) -> None:
        to = self.to
        if to is None:
            target = self._asked_for(connection)
            self.connected.append(target)
            if self.refusal is not None:
                connection.sendall(self.refusal)
                return
            host, _, port = target.rpartition(":")
            to = host, int(port)
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        there = socket.create_connection(to)
        self._open.append(there)
        self._start(self._pump, there, connection, self.change)
        self._pump(connection, there, lambda part: part)

    def _asked_for(self, connection: socket.socket) -> str:
        head = b""
        while b"\r\n\r\n" not in head:
            part = connection.recv(65_536)
            if not part:
                raise ConnectionResetError
            head += part
        return head.split(b" ")[1].decode()

    def _pump(
        self, source: socket.socket, sink: socket.socket, change: Callable[[bytes], bytes]
    ) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(65_536):
                sink.sendall(change(part))
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """An address where nothing listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the proxies and authorities of whoever runs the tests."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


@dataclass(frozen=True)
class Authority:
    """A private authority: its file, and servers with certificates of it."""

    path: Path
    ca: trustme.CA

    @property
    def file(self) -> str:
        return str(self.path / "ca.pem")

    @property
    def shown(self) -> tuple[str, str]:
        """The files of a certificate of it, and of its key."""
        return str(self.path / "cert.pem"), str(self.path / "key.pem")

    def serving(self, *names: str, asks: bool = False, **times: Any) -> ssl.SSLContext:
        """TLS of a server of these names; `asks` for a certificate of the authority's."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*(names or ("127.0.0.1",)), **times).configure_cert(context)
        if asks:
            context.verify_mode = ssl.CERT_REQUIRED
            self.ca.configure_trust(context)
        return context

    @classmethod
    def made(cls, path: Path) -> Authority:
        """In a directory: `ca.pem`, and a certificate to show, alone and with its key."""
        made = cls(path, trustme.CA())
        made.ca.cert_pem.write_to_path(made.file)
        shown = made.ca.issue_cert("me@example.com")
        shown.private_key_pem.write_to_path(str(path / "key.pem"))
        shown.private_key_and_cert_chain_pem.write_to_path(str(path / "both.pem"))
        for number, cert in enumerate(shown.cert_chain_pems):
            cert.write_to_path(str(path / "cert.pem"), append=number > 0)
        return made
