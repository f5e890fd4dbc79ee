"""`smply backup` beside a server under load, and what `smply restore` makes of it."""

from __future__ import annotations

import asyncio
import fcntl
import json
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import apsw
import httpx
import pytest

from smply.identity import open_sealer
from smply.store import Store, open_store, rebuild
from tests.acceptance.house import SECONDS, House, Server, until
from tests.acceptance.session import Session
from tests.acceptance.test_data_directory import namespace
from tests.acceptance.transcript import START, Stage, run_piped
from tests.identity.support import AUD, signed

MACHINE = """
import { assign, createMachine } from "xstate";
export const allowRead = () => true;
export const allowWrite = () => true;
const count = assign({ public: ({ context }) => ({ count: context.public.count + 1 }) });
export default createMachine({
  context: { public: { count: 0 } },
  initial: "off",
  states: { off: { on: { wake: "on" } }, on: { after: { 3600000: "late" } }, late: {} },
  on: { tick: { actions: count } },
});
"""
CLIENTS = 6


@pytest.fixture
def clock(house: House, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The time of all commands."""
    clock = house.path / "clock"
    clock.write_text(str(START))
    monkeypatch.setenv("SMPLY_CLOCK", f"file:{clock}")
    return clock


@pytest.fixture
def server(house: House, clock: Path) -> Server:
    """A server with an instance for each client."""
    (house.path / "counter.ts").write_text(MACHINE)
    (house.path / "word").write_text("correct horse\n")
    server = house.serve("--port", "0")
    house.run("machines", "create", "-m", "m", "--node", "counter.ts")
    with acting(server) as http:
        for number in range(CLIENTS):
            http.post("/machines/m", json={"slug": f"i{number}"}).raise_for_status()
    return server


def acting(server: Server) -> httpx.Client:
    """A client that acts as nobody in particular."""
    http = server.http()
    http.headers["x-statebacked-act"] = "{}"
    return http


def back_up(house: House, file: str = "backup") -> Any:
    return json.loads(house.run("backup", file, "--passphrase-file", "word"))


def restored(house: House, path: Path, file: str = "backup") -> House:
    """Another house, with the data of the backup."""
    other = House(path)
    path.mkdir()
    (path / "word").write_text("correct horse\n")
    other.run("restore", str(house.path / file), "--passphrase-file", "word")
    return other


@contextmanager
def under_load(server: Server) -> Iterator[Counter[str]]:
    """Clients that send without a pause; how many events of each instance were answered."""
    answered: Counter[str] = Counter()
    ended = threading.Event()

    def send(name: str) -> None:
        with acting(server) as http:
            while not ended.is_set():
                answer = http.post(f"/machines/m/i/{name}/events", json={"event": "tick"})
                assert answer.raise_for_status().json()["publicContext"]["count"]
                answered[name] += 1

    threads = [threading.Thread(target=send, args=(f"i{n}",)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield answered
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def swell(database: Path) -> None:
    """So large that many events are written while it is copied."""
    connection = apsw.Connection(str(database))
    connection.set_busy_timeout(5000)
    connection.execute(
        "INSERT INTO codes (org, sha256, code) SELECT id, x'00', zeroblob(100000000) FROM orgs"
    )
    connection.close()


def check_histories(store: Store) -> dict[str, int]:
    """How often each instance has counted; its history is whole, and it is what its last says."""
    counts = {}
    for number in range(CLIENTS):
        row = store.get_instance(store.owner().org, "m", f"i{number}")
        assert row is not None
        steps = store.list_transitions(row.id, 0, 1_000_000)
        assert [step.seq for step in steps] == list(range(1, row.seq + 1))
        last = rebuild(store, row.id, row.seq)
        assert last is not None
        assert last.context == row.context
        assert (steps[-1].value, steps[-1].ts) == (row.value, row.ts)
        counts[f"i{number}"] = json.loads(row.context)["public"]["count"]
        assert counts[f"i{number}"] == row.seq - 1
    return counts


def test_a_backup_under_full_load_restores_to_a_state_that_was(
    house: House, server: Server, tmp_path: Path
) -> None:
    """All that was answered before it began is there, and every history is whole."""
    swell(house.data / "smply.db")
    with under_load(server) as answered:
        until(lambda: len(answered) == CLIENTS and min(answered.values()) > 20)
        before = Counter(answered)
        told = back_up(house)
        after = Counter(answered)
    assert all(after[name] > before[name] for name in before)
    assert (told["instances"], told["sealed"]) == (CLIENTS, True)
    other = restored(house, tmp_path / "other")

    async def counts() -> dict[str, int]:
        store = await open_store(other.data / "smply.db", START)
        try:
            return check_histories(store)
        finally:
            await store.close()

    for name, count in asyncio.run(counts()).items():
        assert before[name] <= count <= after[name] + 1


def test_a_restored_directory_is_served_as_if_nothing_had_been(
    house: House, server: Server, clock: Path, tmp_path: Path
) -> None:
    """Old keys sign in, instances answer, and a timer that has become overdue fires once (S64)."""
    with acting(server) as http:
        http.post("/machines/m/i/i0/events", json={"event": "wake"}).raise_for_status()
        key = http.post("/keys", json={"name": "k", "use": "production"}).json()
    back_up(house)
    server.stop()
    other = restored(house, tmp_path / "other")
    now = START + 2 * 3_600_000
    clock.write_text(str(now))
    claims = {"act": {}, "aud": AUD, "exp": now / 1000 + 600}
    token = signed(claims, key["key"], kid=key["id"])
    again = other.serve("--port", "0")
    house.started += other.started
    with again.http() as http:
        http.headers["authorization"] = f"Bearer {token}"
        until(lambda: http.get("/machines/m/i/i0").json()["state"] == "late")
        answer = http.post("/machines/m/i/i0/events", json={"event": "tick"}).json()
    assert answer["publicContext"] == {"count": 1}
    again.stop()
    listed = json.loads(other.run("instances", "list-transitions", "-m", "m", "-i", "i0"))
    kinds = [step["event"]["type"] for step in listed]
    assert (kinds[:2], kinds[3:]) == (["xstate.init", "wake"], ["tick"])
    assert kinds[2].startswith("xstate.after")


Begin = Callable[..., tuple[subprocess.Popen[bytes], IO[str]]]


@pytest.fixture
def backing_up(house: House) -> Iterator[Begin]:
    """A backup in the midst of its work, and the lock of the directory that it waits for."""
    house.run("machines", "create", "-m", "m")
    with ExitStack() as stack:

        def begin(*before: str) -> tuple[subprocess.Popen[bytes], IO[str]]:
            lock = stack.enter_context((house.data / "lock").open())
            fcntl.flock(lock, fcntl.LOCK_EX)
            argv = [*before, *house.command("backup", "backup")]
            command = subprocess.Popen(argv, cwd=house.path, stdout=subprocess.DEVNULL)
            house.started.append(command)
            until(lambda: list(house.path.glob(".backup-*")))
            return command, lock

        yield begin


def test_a_backup_that_is_told_to_end_leaves_nothing(house: House, backing_up: Begin) -> None:
    there = sorted(house.path.iterdir())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        command, lock = backing_up()
        command.send_signal(number)
        assert command.wait(SECONDS) == 130
        assert sorted(house.path.iterdir()) == there
        lock.close()


def test_a_backup_goes_on_when_its_terminal_goes_and_nohup_began_it(
    house: House, backing_up: Begin
) -> None:
    command, lock = backing_up("nohup")
    command.send_signal(signal.SIGHUP)
    lock.close()
    assert command.wait(SECONDS) == 0
    assert (house.path / "backup").exists()


FULL = """
mkdir full
mount -t tmpfs -o size=64k tmpfs full
smply backup full/backup --json 2> backup.txt || true
smply restore whole --data-dir full/data --json 2> restore.txt || true
ls -A full full/data > left
"""


def test_a_full_disk_is_one_sentence_and_nothing_is_left(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    run_piped(stage, ["smply", "machines", "create", "-m", "empty"], None)
    run_piped(stage, ["smply", "backup", "whole"], None)
    done = namespace(stage, FULL)
    assert done.status == 0, done.stderr
    for name, what in (("backup.txt", "full/backup"), ("restore.txt", "full/data")):
        error = json.loads((stage.cwd / name).read_text())["error"]
        assert error["code"] == "not-written"
        assert error["message"].endswith(f"{what} cannot be written: No space left on device")
    assert (stage.cwd / "left").read_text() == "full:\ndata\n\nfull/data:\nlock\n"


# The prompt.

ONE, AGAIN = "Passphrase for the key file: ", "The same again: "


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A stage with a key."""
    stage = Stage(tmp_path)
    assert run_piped(stage, ["smply", "machines", "create", "-m", "empty"], None).status == 0
    open_sealer(tmp_path / "data" / "key")
    return stage


@contextmanager
def asked(stage: Stage, *argv: str) -> Iterator[Session]:
    """A command that waits for the passphrase."""
    session = Session(stage, ["smply", *argv])
    try:
        session.read_until(ONE)
        session.wait_until_it_reads()
        yield session
    finally:
        session.close()


def test_a_passphrase_is_typed_twice_and_never_shown(stage: Stage) -> None:
    with asked(stage, "backup", "b") as session:
        session.type_on("correct horse\n", AGAIN)
        assert session.type("correct horse\n") == 0
        assert session.screen.startswith(f"{ONE}\n{AGAIN}\nBacked up  smply.db, ")
    with asked(stage, "restore", "b", "--data-dir", "new") as session:
        assert session.type("correct horse\n") == 0
        assert session.screen.startswith(f"{ONE}\nRestored   smply.db, ")
    key = stage.cwd / "new" / "key"
    assert key.read_bytes() == (stage.path / "data" / "key").read_bytes()


def test_passphrases_that_differ_seal_nothing(stage: Stage) -> None:
    with asked(stage, "backup", "b") as session:
        session.type_on("correct horse\n", AGAIN)
        assert session.type("correct hrose\n") == 2
        told = "error: the passphrases differ; nothing was done\n"
        assert session.screen == f"{ONE}\n{AGAIN}\n{told}"
    assert not (stage.cwd / "b").exists()


@pytest.mark.parametrize(
    ("keys", "status", "shown"),
    [
        ("\x03", 130, "\n"),
        ("\x04", 3, "\nerror: no passphrase was given; nothing was done\n"),
        ("\n", 2, "\nerror: the prompt: the passphrase is empty\n"),
    ],
)
def test_a_prompt_without_an_answer_ends_it(
    stage: Stage, keys: str, status: int, shown: str
) -> None:
    with asked(stage, "backup", "b") as session:
        assert session.type(keys) == status
        assert session.screen == f"{ONE}{shown}"
    assert not (stage.cwd / "b").exists()
