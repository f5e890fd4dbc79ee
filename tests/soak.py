"""Full load with kills: `python -m tests.soak [MINUTES] [SEED]`.

A server with 64 connections that send without pause, and beside it commands on the same data
directory. At random the machines' processes are killed, the server is stopped for a moment, and
every few seconds it is killed with -9. After each life of the server everything acknowledged must
be there, nothing twice, and the data whole. Prints its seed first; 15 minutes unless told.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import apsw

from tests.benchmarks import servers

INSTANCES = 200
CONNECTIONS = 64
_ACT = ["--auth-context", '{"sub":"bench"}']


class Soak:
    """What has been acknowledged so far, and what may have happened without an answer."""

    def __init__(self, directory: Path, random: Random) -> None:
        self.directory = directory
        self.random = random
        self.acknowledged: Counter[str] = Counter()
        self.unanswered = 0
        self.did: Counter[str] = Counter()

    def prepare(self) -> None:
        with (
            servers.smply(self.directory, {}) as server,
            server.client() as client,
        ):
            for number in range(INSTANCES):
                client.instances.create("bench", f"i{number}", act={"sub": "bench"})

    def one_life(self, seconds: float) -> None:
        """A server under load for so long, then killed; what it acknowledged is noted."""
        with servers.smply(self.directory, {}) as server:
            load = self._load(server)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                time.sleep(self.random.uniform(0.05, 1.0))
                deeds = [self._kill_machines, self._pause, self._command, self._rival]
                self.random.choice(deeds)(server)
            server.process.kill()
            told, _ = load.communicate(timeout=60)
        for path, count in json.loads(told).items():
            self.acknowledged[path.split("/")[4]] += count
        self.unanswered += CONNECTIONS
        self.did["lives"] += 1

    def _load(self, server: servers.Server) -> subprocess.Popen[str]:
        command = ["tests.benchmarks.generator", str(server.port), str(CONNECTIONS), "--cut-off"]
        load = subprocess.Popen(
            [sys.executable, "-m", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        assert load.stdin is not None
        for number in range(INSTANCES):
            load.stdin.write(server.event(f"i{number}") + "\n")
        load.stdin.close()
        load.stdin = None
        return load

    def _kill_machines(self, server: servers.Server) -> None:
        for pid in server.children():
            os.kill(pid, signal.SIGKILL)
        self.did["machines killed"] += 1
        # What its clients were told is an error, but the step may have been committed before.
        self.unanswered += CONNECTIONS

    def _pause(self, server: servers.Server) -> None:
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(self.random.uniform(0.01, 0.3))
        server.process.send_signal(signal.SIGCONT)
        self.did["pauses"] += 1

    def _command(self, server: servers.Server) -> None:
        """An event from a command, which asks the server."""
        name = f"i{self.random.randrange(INSTANCES)}"
        done = subprocess.run(
            [sys.executable, "-m", "smply", "instances", "send-event", "-m", "bench", "-i", name,
             "-e", "toggle", *_ACT, "--data-dir", str(self.directory)],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        if done.returncode == 0:
            self.acknowledged[name] += 1
            self.did["commands"] += 1
        else:
            self.unanswered += 1
            self.did[f"commands refused: {done.stderr.splitlines()[0][:80]}"] += 1

    def _rival(self, server: servers.Server) -> None:
        """Events from another engine on the same data directory, at the same time."""
        name = f"i{self.random.randrange(INSTANCES)}"
        done = subprocess.run(
            [sys.executable, "-m", "tests.acceptance.rival", str(self.directory), "bench", name,
             "toggle", "5", "1", '{"sub":"bench"}'],
            input="\n", capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        self.acknowledged[name] += json.loads(done.stdout.splitlines()[-1])["answers"]
        self.did["rivals"] += 1

    def check(self) -> None:
        """AssertionError when something acknowledged is missing, is there twice, or is torn."""
        database = apsw.Connection(str(self.directory / "smply.db"))
        assert database.pragma("integrity_check") == "ok"
        rows: list[Any] = database.execute(
            "SELECT name, seq, context, id FROM instances"
        ).fetchall()
        beyond = 0
        for name, seq, context, row in rows:
            events = seq - 1
            assert events >= self.acknowledged[name], f"{name} lost an acknowledged event"
            beyond += events - self.acknowledged[name]
            assert json.loads(context)["public"]["count"] == (events + 1) // 2, name
            history = database.execute(
                "SELECT count(*), max(seq) FROM transitions WHERE instance = ?", (row,)
            ).fetchall()
            assert history == [(seq, seq)], f"the history of {name} has a gap"
        assert beyond <= self.unanswered, f"{beyond} events are there that nobody sent"
        database.close()


def main(minutes: float, seed: int) -> None:
    print(f"soak: {minutes:g} minutes, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        soak = Soak(Path(name) / "data", Random(seed))
        soak.prepare()
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end:
            soak.one_life(soak.random.uniform(3, 20))
            soak.check()
    did = ", ".join(f"{count} {what}" for what, count in soak.did.items())
    print(f"{sum(soak.acknowledged.values()):,} acknowledged events are all there: {did}")


if __name__ == "__main__":
    words = sys.argv[1:]
    main(
        float(words[0]) if words else 15,
        int(words[1]) if len(words) > 1 else SystemRandom().randrange(1 << 32),
    )
