"""The README's container and unit: read by linters, and what they start is started.

Neither a container nor systemd runs them here, and the README says so.
"""

from __future__ import annotations

import configparser
import contextlib
import ctypes
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from smply import Client
from smply.serving import GRACE_SECONDS
from tests.acceptance.filtered import LIBRARY
from tests.acceptance.house import SECONDS, until
from tests.acceptance.proxies import BUNDLE, program
from tests.npm.test_manual import example, free_port

FILTERED = Path(__file__).with_name("filtered.py")
SMPLY = str(Path(sys.executable).with_name("smply"))
TOKEN = "sbat_" + "x" * 40


def instructions() -> dict[str, str]:
    """What the Containerfile says, by instruction; of several of one kind the last."""
    lines = [line.partition(" ") for line in example("Containerfile").splitlines()]
    return {name: told for name, _, told in lines}


def unit() -> configparser.SectionProxy:
    """What the unit says of its service."""
    read = configparser.ConfigParser(interpolation=None)
    read.optionxform = str  # type: ignore[method-assign,assignment]
    read.read_string(example("smply.service"))
    return read["Service"]


@dataclass
class Started:
    """A command that a recipe starts, with no environment but the recipe's."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def is_ready(self) -> bool:
        """What the HEALTHCHECK of the container says, run as it stands there."""
        how, _, check = instructions()["HEALTHCHECK"].partition(" ")
        assert how == "CMD"
        python, *words = json.loads(check.replace("8000", self.url.rpartition(":")[2]))
        assert python == "python"
        return (
            subprocess.run([sys.executable, *words], capture_output=True, check=False).returncode
            == 0
        )


@contextlib.contextmanager
def started(command: list[str], environment: dict[str, str], directory: Path) -> Iterator[Started]:
    """The command on a port of its own, which is then its public address, too."""
    port, log = free_port(), directory / "log"
    url = f"http://127.0.0.1:{port}"
    words = [word.replace("https://smply.example.com", url) for word in command]
    environment = {"HOME": "/", "PATH": os.defpath, "SMPLY_PORT": str(port), **environment}
    with log.open("wb") as said:
        process = subprocess.Popen(words, env=environment, cwd="/", stdout=said, stderr=said)
    try:
        it = Started(process, url, log)
        until(lambda: it.is_ready() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield it
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Started]:
    """What the container starts, but for its data directory, address and port."""
    told = dict(word.split("=") for word in instructions()["ENV"].split())
    assert told["SMPLY_DATA_DIR"] == instructions()["VOLUME"]
    told |= {"SMPLY_DATA_DIR": str(tmp_path / "data"), "SMPLY_HOST": "127.0.0.1"}
    name, *words = json.loads(instructions()["ENTRYPOINT"])
    assert name == "smply"
    with started([SMPLY, *words], told, tmp_path) as it:
        yield it


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Started]:
    """What the unit starts, with its specifiers in a directory of the test, but for the port."""
    places = {"%S/smply": str(tmp_path / "data"), "%d": str(tmp_path / "credentials")}
    told = re.sub("|".join(places), lambda found: places[found[0]], unit()["Environment"])
    name, _, _ = unit()["LoadCredential"].partition(":")
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / name).write_text(TOKEN)
    command, *words = shlex.split(unit()["ExecStart"])
    assert command == "/opt/smply/bin/smply"
    filtered = [sys.executable, str(FILTERED), ",".join(sorted(system_calls()))]
    environment = dict(word.split("=") for word in told.split())
    with started([*filtered, SMPLY, *words], environment, tmp_path) as it:
        yield it


def system_calls() -> set[str]:
    """The names that the unit's filter comes to, as this machine's systemd knows its sets."""
    if sys.platform != "linux":
        pytest.skip("this system has no filter for system calls")
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        pytest.skip(f"{LIBRARY} is not installed here")
    words = [program("systemd-analyze"), "syscall-filter"]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    sets: dict[str, list[str]] = {}
    for line in told.splitlines():
        if line.startswith("@"):
            members = sets[line] = []
        elif line.startswith("    ") and not line.lstrip().startswith("#"):
            members.append(line.strip())

    def known(name: str) -> set[str]:
        return set().union(*map(known, sets[name])) if name in sets else {name}

    return set().union(*map(known, unit()["SystemCallFilter"].split()))


def test_a_linter_finds_nothing_in_the_container(tmp_path: Path) -> None:
    file = tmp_path / "Containerfile"
    file.write_text(example("Containerfile"))
    done = subprocess.run(
        [program("hadolint"), str(file)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_what_the_container_starts_is_healthy_until_it_is_told_to_stop(container: Started) -> None:
    assert container.is_ready()
    container.process.send_signal(signal.SIGTERM)
    assert container.process.wait(SECONDS) == 0, container.log.read_text()
    assert not container.is_ready()


def test_the_container_serves_the_port_that_it_exposes() -> None:
    port = instructions()["EXPOSE"]
    assert f"'127.0.0.1', {port}" in instructions()["HEALTHCHECK"]
    # smply's own; it listens there for everybody.
    assert (port, "SMPLY_HOST=0.0.0.0" in instructions()["ENV"]) == ("8000", True)


def test_the_container_is_nobody_of_importance() -> None:
    assert f"--uid {instructions()['USER']} " in instructions()["RUN"]
    assert f" {instructions()['VOLUME']}" in instructions()["RUN"]


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    """It knows each setting, and finds what is to be started."""
    file = tmp_path / "smply.service"
    file.write_text(example("smply.service").replace("/opt/smply/bin/smply", SMPLY))
    words = [program("systemd-analyze"), "verify", "--man=no", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_the_unit_starts_runs_machines_for_its_owner(service: Started) -> None:
    """With the unit's system calls and no other: a machine's process needs some of its own."""
    with Client(service.url, token=TOKEN) as client:
        client.machines.create("light")
        client.versions.create("light", BUNDLE.encode(), make_current=True)
        client.instances.create("light", "one", act={"sid": "a"})
        assert client.instances.send("light", "one", "wake", act={"sid": "a"}).state == "on"
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(SECONDS) == 0, service.log.read_text()


def test_the_unit_lets_what_is_under_way_end() -> None:
    """The signal is for smply alone: its processes are what it ends with."""
    assert unit()["KillMode"] == "mixed"
    assert int(unit()["TimeoutStopSec"]) > 2 * GRACE_SECONDS
