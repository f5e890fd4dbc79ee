"""A server: the rooms behind a socket, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import uvicorn
import uvloop

from smply.api import Asked, Manners, Metrics, Turnstile, around, create_app, hot_protocol
from smply.clock import Clock
from smply.contract import VERSION_HEADER
from smply.directory import ServerLock, ServerMark, write_private
from smply.engine import EngineSettings
from smply.errors import InvalidParameter, UsageError
from smply.identity import Access, TokenIdentity
from smply.ids import ORG, show_id
from smply.models import LogEntry, Notice
from smply.server import Opened, open_directory

__all__ = ["Asked", "Heard", "Serving", "serve"]

GRACE_SECONDS = 10
"""What requests have to come to their end when the server stops."""
_FLUSH_SECONDS = 60
_EVERYWHERE = ("0.0.0.0", "::")
"""Hosts that stand for every address of this machine, and are no address for others."""
_IDLE_SECONDS = 150
"""Longer than proxies keep a connection, or they would send a request where nobody listens."""


@dataclass(frozen=True, slots=True)
class Serving:
    """How a server is reached, and by whom.

    `port` 0 picks one; `uds` is a Unix socket instead of a port. `public_url` is where others reach
    it, by default where it listens. `trusted_proxy` are addresses whose forwarded headers are
    believed, as uvicorn takes them. `origins` are those whose pages may ask it, `*` being any.
    What machines print is kept for `log_days` (0: for ever).
    """

    host: str = "127.0.0.1"
    port: int = 8000
    uds: Path | None = None
    public_url: str | None = None
    trusted_proxy: str | None = None
    origins: tuple[str, ...] = ("*",)
    network: str = "public"
    ready_file: Path | None = None
    owner_token_file: Path | None = None
    log_days: int = 30


@dataclass(frozen=True, slots=True)
class Heard:
    """Whom a server tells what: each is called from its event loop."""

    ready: Callable[[str], None]
    asked: Callable[[Asked], None]
    log: Callable[[LogEntry], None]
    notice: Callable[[Notice], None]


def serve(data_dir: Path, clock: Clock, serving: Serving, heard: Heard) -> None:
    """Serve the data directory until SIGTERM or SIGINT; then finish what is under way.

    Raises DataDirectoryError, also if it is served already, and UsageError for what it cannot
    listen on.
    """
    # Its loop takes two thirds of the CPU of Python's own.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_told(data_dir, clock, serving, heard))


async def _until_told(data_dir: Path, clock: Clock, serving: Serving, heard: Heard) -> None:
    with _stopping() as stop:
        await _serve(data_dir, clock, serving, heard, stop)


async def _serve(data_dir: Path, clock: Clock, serving: Serving, heard: Heard, stop: _Stop) -> None:
    lock = ServerLock(data_dir)
    try:
        listening = _listen(serving)
    except UsageError:
        # It is perhaps this directory's own server that listens there.
        lock.refuse_another()
        raise
    # One that starts while this one ends has its own socket there by then.
    bound = None if serving.uds is None else _inode(serving.uds)
    settings = EngineSettings(log_days=serving.log_days)
    try:
        async with open_directory(
            data_dir, clock, heard.log, heard.notice, serving.network, settings
        ) as opened:
            lock.take()
            # That of a killed server.
            _forget(serving.ready_file)
            access = opened.access()
            url = serving.public_url or _url(serving, listening)
            mark = await _mark(opened, access, serving, listening, data_dir)
            server = _server(opened, access, url, serving, heard)
            async with _on_time(opened, access):
                await _run(server, listening, stop, lambda: _ready(lock, mark, url, serving, heard))
    finally:
        listening.close()
        if serving.uds is not None and _inode(serving.uds) == bound:
            _forget(serving.uds)
        if lock.held:
            _forget(serving.ready_file)
            lock.release()


def _forget(path: Path | None) -> None:
    if path is not None:
        path.unlink(missing_ok=True)


async def _mark(
    opened: Opened, access: Access, serving: Serving, listening: socket.socket, data_dir: Path
) -> ServerMark:
    """What the commands of this machine are told, once the org has what it needs to be served."""
    secret = await _owner_token(opened, access, serving, data_dir)
    await access.orgs.begin_serving(opened.owner.org)
    uds = None if serving.uds is None else str(serving.uds.absolute())
    org = show_id(ORG, opened.owner.org)
    return ServerMark(_url(serving, listening), org, secret, os.getpid(), uds)


def _ready(lock: ServerLock, mark: ServerMark, url: str, serving: Serving, heard: Heard) -> None:
    """Tell that requests are accepted: `{"url", "orgId", "accessToken", "pid"}` (0600)."""
    lock.mark(mark)
    if serving.ready_file is not None:
        told = {"url": url, "orgId": mark.org, "accessToken": mark.token, "pid": mark.pid}
        write_private(serving.ready_file, json.dumps(told).encode() + b"\n")
    heard.ready(url)
    if serving.uds is None and serving.public_url is None and serving.host in _EVERYWHERE:
        heard.notice(
            Notice(f"uploads are sent to {url}, where nobody else finds it: give --public-url URL")
        )


def _server(opened: Opened, access: Access, url: str, serving: Serving, heard: Heard) -> _Server:
    """uvicorn with the app, and with the protocol that answers the path of an event."""
    engine, turnstile, metrics = opened.engine, Turnstile(), Metrics(opened.engine.facts)
    identity = TokenIdentity(access, frozenset({url, f"{url}/"}))

    def asked(request: Asked) -> None:
        metrics.count(request)
        heard.asked(request)

    manners = Manners(serving.origins, asked, metrics.text)
    config = uvicorn.Config(
        around(create_app(engine, identity, opened.audit, url, turnstile), manners),
        http=hot_protocol(engine, identity, manners, turnstile),
        # Whatever library for them is there: `/rt` is not built yet.
        ws="none",
        timeout_keep_alive=_IDLE_SECONDS,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        headers=[(VERSION_HEADER, metadata.version("smply"))],
        proxy_headers=serving.trusted_proxy is not None,
        forwarded_allow_ips=serving.trusted_proxy or "",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return _Server(config)


async def _run(
    server: _Server, listening: socket.socket, stop: _Stop, on_ready: Callable[[], None]
) -> None:
    """Answer until a signal, then until what is under way is answered."""
    if stop.asked:
        return
    stop.server = server
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started and not task.done():
        await asyncio.sleep(0.005)
    if server.started and not stop.asked:
        on_ready()
    await task


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ours stop it, and end in success; uvicorn's would raise them again."""
        yield


class _Stop:
    """What signals ask for: the first to stop, a second not to wait for requests. What follows
    their end is short, and not to be cut off: it keeps what machines printed and used."""

    def __init__(self) -> None:
        self.asked = False
        self.server: _Server | None = None

    def ask(self) -> None:
        if self.server is not None:
            self.server.force_exit = self.asked
            self.server.should_exit = True
        self.asked = True


@contextlib.contextmanager
def _stopping() -> Iterator[_Stop]:
    loop = asyncio.get_running_loop()
    stop = _Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.ask)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def _on_time(opened: Opened, access: Access) -> AsyncIterator[None]:
    """Deliver when it is due, and keep when tokens were used."""

    async def flush() -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await access.tokens.flush()

    tasks = [
        asyncio.create_task(opened.engine.deliver_on_time()),
        asyncio.create_task(opened.engine.logs.run()),
        asyncio.create_task(opened.engine.meter.run()),
        asyncio.create_task(flush()),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await access.tokens.flush()


# Where it listens.


def _listen(serving: Serving) -> socket.socket:
    where = str(serving.uds) if serving.uds else f"{serving.host}:{serving.port}"
    try:
        if serving.uds is not None:
            return _listen_at(serving.uds)
        family = socket.AF_INET6 if ":" in serving.host else socket.AF_INET
        return socket.create_server((serving.host, serving.port), family=family, backlog=2048)
    except OSError as exc:
        hint = "choose another with --port; --port 0 takes any that is free"
        raise UsageError(
            f"smply cannot listen on {where}: {_reason(exc)}",
            hint=None if serving.uds else hint,
        ) from exc


def _listen_at(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.exists() and not path.is_socket():
            # To connect to it is refused as well.
            raise FileExistsError(0, "what is there is no socket")
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            # Somebody who still listens there keeps it; what a dead one left is in the way.
            listening.connect(str(path))
            raise FileExistsError(0, "another process listens there")
        path.unlink(missing_ok=True)
        listening.close()
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(str(path))
        path.chmod(0o600)
        listening.listen(2048)
    except BaseException:
        listening.close()
        raise
    return listening


def _inode(path: Path) -> int | None:
    with contextlib.suppress(OSError):
        return path.stat().st_ino
    return None


def _url(serving: Serving, listening: socket.socket) -> str:
    if serving.uds is not None:
        return "http://localhost"
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


# Its owner's token.


async def _owner_token(opened: Opened, access: Access, serving: Serving, data_dir: Path) -> str:
    """The token that an operator brings, or else the one that the directory keeps."""
    owner = opened.owner.user
    if serving.owner_token_file is not None:
        secret = _read(serving.owner_token_file)
        try:
            await access.tokens.bring(owner, "operator", secret)
        except InvalidParameter as exc:
            raise UsageError(f"{serving.owner_token_file}: {exc.message}") from exc
        return secret
    kept = data_dir / "access-token"
    if kept.exists() and access.tokens.is_known(secret := _read(kept)):
        return secret
    _, secret = await access.tokens.create(owner, "smply serve")
    write_private(kept, secret.encode() + b"\n")
    return secret


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError) as exc:
        raise UsageError(f"{path} holds no access token: {_reason(exc)}") from exc


def _reason(exc: OSError | ValueError) -> str:
    reason = exc.strerror if isinstance(exc, OSError) else None
    # Python appends what it was about to do.
    return (reason or str(exc)).split(" (while")[0]
