"""`kill -9` at each write: nothing acknowledged is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from smply.store import Store, open_store, rebuild
from tests.acceptance.life import PUBLISH, START, STEPS, Case, as_line
from tests.acceptance.transcript import Stage, run_piped

ROOT = Path(__file__).parents[2]
ACT = ["--auth-context", '{"sid": "one"}']
WHO = ["--machine", "toggler", "--instance", "one"]
CRASH = [sys.executable, "-m", "tests.acceptance.crash", "1", "after"]

PUBLISHING = ["create_machine", "create_upload", "put_upload_code", "create_version"]
LIVING = [
    "create_instance", "commit", "commit", "commit", "commit", "commit", "fail_delivery",
    "fail_delivery", "commit",
]  # fmt: skip
"""The writes of a life, in order."""


@dataclass
class Told:
    """What a process told before its end."""

    status: int
    done: int
    effects: list[int]
    writes: list[str]


Live = Callable[..., Told]


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    """Runs the steps of a life in a process of their own."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.acceptance.life"], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as parent:  # fmt: skip
        stdin, stdout = parent.stdin, parent.stdout
        assert stdin is not None
        assert stdout is not None

        def run(data: Path, first: int, last: int, at: int = 0, when: str = "after") -> Told:
            out = data.with_name(f"out-{at}")
            stdin.write(as_line(Case(str(data), str(out), first, last, at, when)))
            stdin.flush()
            status = int(stdout.readline())
            lines = [json.loads(line) for line in out.read_text().splitlines()]
            return Told(
                status,
                max((line["done"] for line in lines if "done" in line), default=first - 1),
                [line["effect"] for line in lines if "effect" in line],
                next((line["writes"] for line in lines if "writes" in line), []),
            )

        yield run
        stdin.close()


@pytest.fixture(scope="module")
def published(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the machine's version, to be copied."""
    data = tmp_path_factory.mktemp("published") / "smply.db"
    assert live(data, 0, len(PUBLISH)).writes == PUBLISHING
    return data


def look(data: Path, ask: Callable[[Store], Any]) -> Any:
    async def open_and_ask() -> Any:
        store = await open_store(data, START)
        try:
            return ask(store)
        finally:
            await store.close()

    return asyncio.run(open_and_ask())


def history(store: Store) -> list[str]:
    """The types of all events, each of which is in the context of its transition, too."""
    row = store.get_instance(store.owner().org, "life", "one")
    if row is None:
        return []
    steps = store.list_transitions(row.id, 0, 100)
    assert [step.seq for step in steps] == list(range(1, row.seq + 1))
    types: list[str] = [json.loads(step.event)["type"] for step in steps]
    for step in steps:
        whole = rebuild(store, row.id, step.seq)
        assert whole is not None
        assert whole.context is not None
        assert json.loads(whole.context)["public"]["seen"] == types[: step.seq]
    return types


def events_of(steps: range) -> list[str]:
    return [event for number in steps for event in STEPS[number].events]


def test_a_life_makes_these_writes(live: Live, tmp_path: Path, published: Path) -> None:
    """So that the tests below meet each of them."""
    data = shutil.copy(published, tmp_path / "smply.db")
    told = live(Path(data), len(PUBLISH), len(STEPS))
    assert (told.status, told.writes) == (0, LIVING)
    assert told.effects == list(range(1, 8))
    assert look(Path(data), history) == events_of(range(len(STEPS)))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(1, len(PUBLISHING) + 1))
def test_a_publication_killed_at_any_write_can_be_done_again(
    live: Live, tmp_path: Path, at: int, when: str
) -> None:
    """S7, S60: an acknowledged machine is there; a version is there whole or not at all."""
    data = tmp_path / "smply.db"
    killed = live(data, 0, len(PUBLISH), at, when)
    assert killed.status == -signal.SIGKILL

    def versions(store: Store) -> list[bytes]:
        org = store.owner().org
        machine = store.get_machine(org, "life")
        assert (machine is not None) or killed.done < 0
        if machine is None:
            return []
        made = store.list_versions(org, machine.id, 0, 9)
        assert all(store.get_code(org, version.code_sha256) for version in made)
        assert machine.current == (made[-1] if made else None)
        return [version.id for version in made]

    assert len(look(data, versions)) == ((at, when) == (len(PUBLISHING), "after"))
    assert live(data, killed.done + 1, len(STEPS)).status == 0
    assert look(data, versions)
    assert look(data, history) == events_of(range(len(STEPS)))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(1, len(LIVING) + 1))
def test_an_instance_killed_at_any_write_loses_nothing_and_does_nothing_twice(
    live: Live, published: Path, tmp_path: Path, at: int, when: str
) -> None:
    """S60, S64, S66; failure table, first row."""
    data = Path(shutil.copy(published, tmp_path / "smply.db"))
    killed = live(data, len(PUBLISH), len(STEPS), at, when)
    assert killed.status == -signal.SIGKILL

    found = look(data, history)
    acknowledged = events_of(range(killed.done + 1))
    under_way = events_of(range(killed.done + 1, killed.done + 2))
    assert found[: len(acknowledged)] == acknowledged
    rest = found[len(acknowledged) :]
    assert rest == under_way[: len(rest)]
    # An effect tells the number of its transition.
    assert killed.effects == sorted(set(killed.effects) & set(range(1, len(found) + 1)))

    again = live(data, killed.done + 1, len(STEPS))
    assert again.status == 0
    assert not set(again.effects) & set(killed.effects)
    twice = under_way if rest and STEPS[killed.done + 1].sends else []
    later = events_of(range(killed.done + 1, len(STEPS)))
    assert look(data, history) == acknowledged + twice + later
    assert look(data, owed) == [(2, "parked")]


def owed(store: Store) -> list[tuple[int, str]]:
    """What is owed at the end: the timer that failed twice."""
    row = store.get_instance(store.owner().org, "life", "one")
    assert row is not None
    return [(d.attempts, "parked" if d.parked else "waiting") for d in store.deliveries(row.id)]


@pytest.mark.parametrize("seed", range(3))
def test_an_engine_killed_at_full_load_has_kept_every_acknowledged_event_once(
    published: Path, tmp_path: Path, seed: int
) -> None:
    """Failure table, first row; fifty instances, some of whose events send them another."""
    data = Path(shutil.copy(published, tmp_path / "smply.db"))
    acknowledged = Counter(load_until_killed(data, random.Random(seed)))
    assert len(acknowledged) > 20

    def judge(store: Store) -> None:
        org = store.owner().org
        for number in range(50):
            row = store.get_instance(org, "life", f"i{number}")
            assert row is not None
            steps = store.list_transitions(row.id, 0, 10_000)
            assert [step.seq for step in steps] == list(range(1, row.seq + 1))
            events = [json.loads(step.event) for step in steps]
            sent = [event["number"] for event in events if "number" in event]
            # At most the one that was under way is there without having been acknowledged.
            assert sent == list(range(1, len(sent) + 1))
            assert acknowledged[row.name] <= len(sent) <= acknowledged[row.name] + 1
            types = Counter(event["type"] for event in events)
            waiting = [d for d in store.deliveries(row.id) if "hello" in d.event]
            assert types["hello"] + len(waiting) == 1 + types["echo"]

    look(data, judge)


def load_until_killed(data: Path, chance: random.Random) -> list[str]:
    """Load an engine and kill it; the instances of the acknowledged events."""
    argv = [sys.executable, "-m", "tests.acceptance.load", str(data), "50"]
    with subprocess.Popen(argv, cwd=ROOT, text=True, stdout=subprocess.PIPE) as process:
        stdout = process.stdout
        assert stdout is not None
        assert stdout.readline() == "ready\n"
        lines = [stdout.readline() for _ in range(chance.randrange(100, 1_000))]
        killing = threading.Timer(chance.random() / 50, process.kill)
        killing.start()
        lines += stdout.readlines()
        killing.join()
    assert process.returncode == -signal.SIGKILL
    return [line.split()[0] for line in lines if line.endswith("\n")]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A stage with the toggler, and the command that is killed."""
    stage = Stage(tmp_path)
    stage.copy("toggler.ts")
    _run(stage, "machines", "create", "--machine", "toggler", "--node", "toggler.ts")
    stage.cwd = ROOT
    return stage


def _run(stage: Stage, *args: str) -> Any:
    done = run_piped(stage, ["smply", *args], None)
    assert done.status == 0, done.stderr
    return json.loads(done.stdout)


def _crash(stage: Stage, *args: str) -> None:
    done = run_piped(stage, [*CRASH, *args], None)
    assert (done.status, done.stdout) == (-signal.SIGKILL, "")


def _events(stage: Stage) -> list[str]:
    return [step["event"]["type"] for step in _run(stage, "instances", "list-transitions", *WHO)]


def test_an_instance_whose_command_was_killed_is_there_once(stage: Stage) -> None:
    """S60; failure table, first row."""
    _crash(stage, "instances", "create", *WHO, *ACT)
    listed = _run(stage, "instances", "list", "--machine", "toggler")
    assert [instance["name"] for instance in listed] == ["one"]
    assert _events(stage) == ["xstate.init"]
    again = run_piped(stage, ["smply", "instances", "create", *WHO, *ACT], None)
    assert (again.status, again.stdout) == (6, "")
    assert _events(stage) == ["xstate.init"]


def test_an_event_whose_command_was_killed_is_there_once(stage: Stage) -> None:
    """S60; failure table, first row."""
    _run(stage, "instances", "create", *WHO, *ACT)
    _crash(stage, "instances", "send-event", *WHO, *ACT, "--event", "toggle")
    assert _events(stage) == ["xstate.init", "toggle"]


def test_a_timer_whose_command_was_killed_is_made_once(stage: Stage) -> None:
    """S64."""
    _run(stage, "instances", "create", *WHO, *ACT)
    _run(stage, "instances", "send-event", *WHO, *ACT, "--event", "toggle")
    stage.move("+5s")
    _crash(stage, "instances", "get", *WHO)
    assert _events(stage) == ["xstate.init", "toggle", "xstate.after.3000.toggler.on"]
