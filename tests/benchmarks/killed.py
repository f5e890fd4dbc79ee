"""A server killed with -9 under full load: what it acknowledged is there, and nothing twice."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

from tests.benchmarks import servers

_INSTANCES = 200
_CONNECTIONS = 64
_SECONDS = 2.0


def under_load(directory: Path) -> str:
    """Kill smply while 64 connections send, and count; a sentence that tells of it.

    AssertionError when an acknowledged event is missing, or one is there twice.
    """
    with servers.smply(directory, {}) as server:
        with server.client() as client:
            for number in range(_INSTANCES):
                client.instances.create("bench", f"i{number}", act={"sub": "bench"})
        acknowledged = _send_until_killed(server)
    with servers.smply(directory, {}) as again, again.client() as client:
        found = {name: client.instances.inspect("bench", name).seq - 1 for name in acknowledged}
    sent = sum(acknowledged.values())
    missing = {name for name, count in acknowledged.items() if found[name] < count}
    assert not missing, f"acknowledged events of {sorted(missing)} are missing"
    beyond = sum(found.values()) - sent
    assert beyond <= _CONNECTIONS, f"{beyond} events are there that nobody sent"
    return (
        f"Killed with -9 under full load: all {sent:,} acknowledged events are there,"
        f" and {beyond} whose answer was cut off."
    )


def _send_until_killed(server: servers.Server) -> Counter[str]:
    lines = [server.event(f"i{number}") for number in range(_INSTANCES)]
    command = ["-m", "tests.benchmarks.generator", str(server.port), str(_CONNECTIONS), "--cut-off"]
    timer = threading.Timer(_SECONDS, server.process.kill)
    generator = subprocess.Popen(
        [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    timer.start()
    told, _ = generator.communicate("\n".join(lines))
    timer.join()
    return Counter({path.split("/")[4]: count for path, count in json.loads(told).items()})
