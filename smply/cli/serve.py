"""`smply serve`: the local profile as a server that others can reach."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from smply import config
from smply.cli._command import Given, command
from smply.cli._errors import report
from smply.cli._voice import Records, Voice
from smply.directory import ServerLock
from smply.errors import SmplyError, UsageError

_ADDRESS = re.compile(r"https?://[^\s/?#]+[^\s?#]*")
_ORIGIN = re.compile(r"https?://[^\s/?#]+")
_PATIENCE_SECONDS = 20.0
"""What a server has to come to its end."""


def declare(app: typer.Typer) -> None:
    """Add the command to the app."""

    @command(app, "serve", view=None)
    def serve(
        given: Given,
        host: Annotated[str | None, _option(config.HOST)] = None,
        port: Annotated[str | None, _option(config.PORT)] = None,
        uds: Annotated[str | None, _option(config.UDS)] = None,
        allow_origin: Annotated[str | None, _option(config.ALLOW_ORIGIN)] = None,
        public_url: Annotated[str | None, _option(config.PUBLIC_URL)] = None,
        trusted_proxy: Annotated[str | None, _option(config.TRUSTED_PROXY)] = None,
        network: Annotated[str | None, _option(config.NETWORK, "--network")] = None,
        ready_file: Annotated[str | None, _option(config.READY_FILE)] = None,
        owner_token_file: Annotated[str | None, _option(config.OWNER_TOKEN_FILE)] = None,
        log_format: Annotated[str | None, _option(config.LOG_FORMAT)] = None,
        log_days: Annotated[str | None, _option(config.LOG_DAYS)] = None,
        log_requests: Annotated[
            bool, typer.Option("--log-requests", help="Tell of every request.")
        ] = False,
        detach: Annotated[bool, typer.Option("--detach", help="Serve in the background.")] = False,
        status: Annotated[
            bool, typer.Option("--status", help="Tell whether a server runs, and where.")
        ] = False,
        stop: Annotated[bool, typer.Option("--stop", help="Stop the server that runs.")] = False,
    ) -> None:
        """Serve machines over HTTP, until Ctrl-C or SIGTERM."""
        given.stay_here("a server serves the data directory of this machine")
        if detach + status + stop > 1:
            raise UsageError("--detach, --status and --stop are three different things")
        flags = (
            host, port, uds, allow_origin, public_url, trusted_proxy, ready_file,
            owner_token_file, log_format, log_days,
        )  # fmt: skip
        told = {
            setting: config.serving_value(setting, flag)
            for setting, flag in zip(config.SERVING, flags, strict=True)
        }
        _choose_where(told, uds, host or port)
        way = _tell if status else _stop if stop else _detach if detach else None
        if way is not None:
            way(given)
            return
        _serve(given, told, network or given.config.network, log_requests)


def _option(setting: config.Setting, flag: str | None = None) -> Any:
    told = f"{setting.description} [{setting.variable}]"
    return typer.Option(setting.flag or flag, metavar=setting.takes, help=told)


def _choose_where(
    told: dict[config.Setting, str | None], socket: str | None, address: str | None
) -> None:
    """A socket or an address: what a flag names goes before the environment and the file."""
    if socket is None and address is not None:
        told[config.UDS] = None
    elif socket is not None and address is None:
        told[config.HOST] = told[config.PORT] = None
    if told[config.UDS] is not None and (told[config.HOST] or told[config.PORT]):
        raise UsageError("--uds is instead of --host and --port")


def _serve(
    given: Given, told: dict[config.Setting, str | None], network: str, log_requests: bool
) -> None:
    from smply.serving import Heard, Serving
    from smply.serving import serve as run

    form = told[config.LOG_FORMAT] or "human"
    if form not in ("human", "json"):
        raise UsageError(f"--log-format is human or json, not {form}")
    public = told[config.PUBLIC_URL]
    if public is not None and not _ADDRESS.fullmatch(public):
        raise UsageError(f"--public-url is an address with http(s)://, not {public}")
    serving = Serving(
        host=told[config.HOST] or "127.0.0.1",
        port=_number(told[config.PORT], 8000, config.PORT, 65_535),
        uds=_path(told[config.UDS]),
        public_url=None if public is None else public.rstrip("/"),
        trusted_proxy=_proxies(told[config.TRUSTED_PROXY]),
        origins=_origins(told[config.ALLOW_ORIGIN] or "*"),
        network=network,
        ready_file=_path(told[config.READY_FILE]),
        owner_token_file=_path(told[config.OWNER_TOKEN_FILE]),
        log_days=_number(told[config.LOG_DAYS], 30, config.LOG_DAYS, 36_500),
    )
    voice = Voice(form == "json", log_requests, given)
    heard = Heard(voice.ready, voice.asked, voice.log, voice.notice)
    logging.getLogger().addHandler(Records(voice))
    logging.captureWarnings(True)
    try:
        run(given.config.data_dir, given.clock, serving, heard)
    except Exception as exc:
        if form != "json":
            raise
        told_of = report(exc)
        voice.failed(told_of.code, told_of.message)
        raise typer.Exit(told_of.exit_status) from exc


def _number(text: str | None, default: int, setting: config.Setting, most: int) -> int:
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or int(text) > most:
        raise UsageError(f"{setting.flag} is 0 to {most}, not {text}")
    return int(text)


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(each.strip() for each in text.split(","))
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise UsageError(
                f"--allow-origin is * or a site such as https://example.com, not {origin}"
            )
    return origins


def _proxies(text: str | None) -> str | None:
    from ipaddress import ip_network

    for proxy in () if text is None else text.split(","):
        try:
            ip_network(proxy.strip())
        except ValueError:
            raise UsageError(
                f"--trusted-proxy is addresses such as 10.0.0.5 or 10.0.0.0/8, not {proxy.strip()}"
            ) from None
    return text


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text).expanduser()


def _tell(given: Given) -> None:
    running = ServerLock(given.config.data_dir).running()
    if running is None:
        raise _no_server(given)
    told = {"url": running.url, "orgId": running.org, "pid": running.pid, "uds": running.uds}
    _answer(given, told, f"smply serves {running.uds or running.url} (process {running.pid})")


def _stop(given: Given) -> None:
    lock = ServerLock(given.config.data_dir)
    running = lock.running()
    if running is None:
        raise _no_server(given)
    os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    # Whoever watches over it may have started another.
    while (found := lock.running()) is not None and found.pid == running.pid:
        if time.monotonic() > deadline:
            raise SmplyError(f"process {running.pid} has not ended yet", code="not-stopped")
        time.sleep(0.02)
    _answer(given, {"pid": running.pid}, f"Stopped process {running.pid}")


def _no_server(given: Given) -> SmplyError:
    return SmplyError(
        f"no server runs on {given.config.data_dir}", code="not-running", hint="smply serve"
    )


def _answer(given: Given, value: dict[str, object], line: str) -> None:
    if given.output.for_people:
        given.output.text(line)
    else:
        given.output.json(value)


def _detach(given: Given) -> None:
    """Start the same command without --detach, on its own, and wait until it serves."""
    import subprocess

    words = [word for word in sys.argv[1:] if word != "--detach"]
    log = given.config.data_dir / "serve.log"
    given.config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as said:
        before = said.tell()
        child = subprocess.Popen(
            [sys.executable, "-c", _start(), *words], stdin=subprocess.DEVNULL, stdout=said,
            stderr=said, start_new_session=True,
        )  # fmt: skip
    lock = ServerLock(given.config.data_dir)
    while (running := lock.running()) is None or running.pid != child.pid:
        if child.poll() is not None:
            last = log.read_bytes()[before:].decode(errors="replace").strip().splitlines()[-3:]
            raise SmplyError("\n".join(["the server has not started:", *last]), code="not-running")
        time.sleep(0.02)
    _tell(given)


def _start() -> str:
    """What runs smply from where this process has it: `-m` would look where it stands first."""
    return f"import sys; sys.path[:] = {sys.path!r}; from smply.__main__ import main; main()"
