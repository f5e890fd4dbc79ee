"""A data directory in one file and back: whole, or refused with nothing left behind."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from subprocess import PIPE
from typing import Any

import apsw
import pytest

from smply import directory
from smply.backups import Manifest, back_up, restore
from smply.directory import DataDirectory
from smply.errors import DataDirectoryError, SmplyError, UsageError
from smply.identity import open_sealer, passphrases
from smply.store import KeyRow, open_store, schema
from tests.store.support import NOW, furnish

WORD = b"correct horse"
DUMPS = Path(__file__).parent / "store" / "dumps"


def never() -> bytes:
    raise AssertionError("somebody asks for a passphrase")


def word() -> bytes:
    return WORD


def now() -> int:
    return NOW


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes a guess dear is not what is tested here."""
    monkeypatch.setattr(passphrases, "_COST", {"n": 2, "r": 1, "p": 1})


async def _furnish(path: Path, *, keys: bool) -> None:
    store = await open_store(path / "smply.db", NOW)
    world = await furnish(store)
    instance = await world.create()
    for base in range(1, 6):
        await world.move(instance, base)
    if keys:
        open_sealer(path / "key")
        key = KeyRow(0, b"k" * 16, world.org, "k", "[]", b"sealed", NOW)
        await store.accounts.create_key(key)
    await store.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with an instance and a key."""
    data = tmp_path / "data"
    data.mkdir()
    asyncio.run(_furnish(data, keys=True))
    return data


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backup"


@pytest.fixture
def made(data: Path, file: Path) -> Manifest:
    """The backup of `data` in `file`."""
    return back_up(data, file, now, word)


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Where to restore to."""
    return tmp_path / "new"


def rows(data: Path) -> list[Any]:
    """All that a database holds."""
    connection = apsw.Connection(str(data / "smply.db"))
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")
    found = [(name, connection.execute(f"SELECT * FROM {name}").fetchall()) for (name,) in tables]
    connection.close()
    return found


def names(path: Path) -> list[str]:
    return sorted(each.name for each in path.iterdir()) if path.exists() else []


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# There and back.


def test_what_was_put_in_comes_out(data: Path, file: Path, made: Manifest, new: Path) -> None:
    before = rows(data)
    assert restore(file, new, word) == made
    assert names(new) == ["key", "lock", "smply.db"]
    assert rows(new) == before
    assert (new / "key").read_bytes() == (data / "key").read_bytes()
    assert (made.instances, made.sealed, made.schema) == (1, True, len(schema.migrations()))
    assert made.created_at == "2024-10-27T03:33:20.000Z"


def test_all_of_it_is_its_owner_s_alone(file: Path, made: Manifest, new: Path) -> None:
    restore(file, new, word)
    assert mode(file) == 0o600
    assert (mode(new), mode(new / "smply.db"), mode(new / "key")) == (0o700, 0o600, 0o600)


def test_nothing_but_the_file_is_made(
    data: Path, file: Path, made: Manifest, tmp_path: Path
) -> None:
    assert names(tmp_path) == ["backup", "data"]
    assert names(data) == ["key", "lock", "smply.db"]


def test_the_key_is_in_it_sealed_alone(data: Path, file: Path, made: Manifest) -> None:
    content = gzip.decompress(file.read_bytes())
    assert (data / "key").read_bytes().strip() not in content
    assert list(made.members) == ["smply.db", "key.json"]


def test_without_a_key_file_nobody_is_asked(tmp_path: Path, file: Path, new: Path) -> None:
    data = tmp_path / "bare"
    data.mkdir()
    asyncio.run(_furnish(data, keys=False))
    made = back_up(data, file, now, never)
    assert (made.sealed, list(made.members)) == (False, ["smply.db"])
    restore(file, new, never)
    assert names(new) == ["lock", "smply.db"]


def test_a_key_that_is_made_meanwhile_is_in_it(tmp_path: Path, file: Path, new: Path) -> None:
    data = tmp_path / "bare"
    data.mkdir()

    def make_key_now() -> int:
        asyncio.run(_furnish(data, keys=True))
        return NOW

    asyncio.run(open_store(data / "smply.db", NOW))
    assert back_up(data, file, make_key_now, word).sealed
    restore(file, new, word)
    assert (new / "key").read_bytes() == (data / "key").read_bytes()


@pytest.mark.parametrize("dump", sorted(DUMPS.glob("*.sql")), ids=lambda dump: str(dump.stem))
def test_data_of_an_older_smply_is_copied_as_it_is(
    tmp_path: Path, file: Path, new: Path, dump: Path
) -> None:
    old = tmp_path / "old"
    old.mkdir()
    connection = apsw.Connection(str(old / "smply.db"))
    connection.execute(dump.read_text())
    connection.close()
    before = rows(old)
    assert back_up(old, file, now, never).schema == int(dump.stem[1:])
    restore(file, new, never)
    assert rows(new) == rows(old) == before


# What is not backed up.


def refused(kind: type[SmplyError], code: str, sentence: str, work: Callable[[], Any]) -> None:
    with pytest.raises(kind) as caught:
        work()
    assert caught.value.code == code
    assert sentence in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


def spoil(data: Path, statement: str) -> None:
    connection = apsw.Connection(str(data / "smply.db"))
    connection.execute(statement)
    connection.close()


def zero_last_page(data: Path) -> None:
    database = data / "smply.db"
    with database.open("r+b") as opened:
        opened.seek(-4096, os.SEEK_END)
        opened.write(bytes(4096))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda data: spoil(data, "PRAGMA user_version = 99"), "was written by a newer smply"),
        (lambda data: spoil(data, "PRAGMA application_id = 7"), "is not a database of smply"),
        (lambda data: (data / "smply.db").write_text("Dear diary" * 99), "is not a database"),
        (lambda data: os.truncate(data / "smply.db", 0), "smply.db is empty"),
        (zero_last_page, "smply.db is damaged: "),
        (lambda data: (data / "key").write_text("x"), "key holds no key"),
        (lambda data: (data / "key").unlink(), "key is gone, and without it no key"),
        (lambda data: (data / "smply.db").unlink(), "there is no smply.db in "),
        (shutil.rmtree, "there is no smply.db in "),
    ],
)
def test_what_cannot_be_backed_up_is_said_and_an_older_backup_stays(
    data: Path, file: Path, tmp_path: Path, change: Callable[[Path], Any], sentence: str
) -> None:
    file.write_text("an older backup")
    change(data)
    there = names(data)
    refused(DataDirectoryError, "data-directory", sentence, lambda: back_up(data, file, now, word))
    assert file.read_text() == "an older backup"
    assert set(names(data)) - set(there) <= {"lock"}
    assert set(names(tmp_path)) <= {"backup", "data"}


def test_a_backup_into_the_data_directory_is_refused(data: Path) -> None:
    for name in ("smply.db", "key", "backup"):
        refused(UsageError, "usage", "lies in the data directory",
                partial(back_up, data, data / name, now, word))  # fmt: skip


def test_a_place_that_cannot_be_written_is_said(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "backup"
    refused(SmplyError, "not-written", "backup cannot be written: No such file or directory",
            lambda: back_up(data, file, now, word))  # fmt: skip


# What is not restored.


@pytest.mark.parametrize("name", ["smply.db", "smply.db-wal", "smply.db-journal", "key"])
def test_data_that_is_there_is_never_touched(
    file: Path, made: Manifest, new: Path, name: str
) -> None:
    new.mkdir()
    (new / name).write_text("mine")
    refused(DataDirectoryError, "not-empty", f"new holds {name} already",
            lambda: restore(file, new, never))  # fmt: skip
    assert names(new) == [name]
    assert (new / name).read_text() == "mine"


def test_a_directory_that_somebody_uses_is_left_to_them(
    file: Path, made: Manifest, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "_WAIT_SECONDS", 0.0)
    with DataDirectory(new) as holder:
        holder.hold(lambda _: False, lambda _: None)
        sentence = f"is to be restored, but process {os.getpid()} is using it"
        refused(DataDirectoryError, "data-directory", sentence, lambda: restore(file, new, word))
    assert names(new) == ["lock"]


def test_data_that_came_while_it_waited_is_never_touched(
    file: Path, made: Manifest, new: Path
) -> None:
    def come() -> bytes:
        new.mkdir()
        (new / "smply.db").write_text("mine")
        return WORD

    refused(DataDirectoryError, "not-empty", "already", lambda: restore(file, new, come))
    assert (new / "smply.db").read_text() == "mine"


def test_a_wrong_passphrase_opens_nothing(file: Path, made: Manifest, new: Path) -> None:
    refused(SmplyError, "wrong-passphrase", "the passphrase is wrong",
            lambda: restore(file, new, lambda: WORD + b" "))  # fmt: skip
    assert not new.exists()


def test_a_file_that_cannot_be_read_is_the_caller_s_mistake(tmp_path: Path, new: Path) -> None:
    for path, why in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(UsageError, match=f"cannot be read: {why}"):
            restore(path, new, never)
    assert not new.exists()


Members = list[tuple[tarfile.TarInfo, bytes]]


def unpacked(file: Path) -> Members:
    with tarfile.open(file) as tar:
        return [(each, tar.extractfile(each).read()) for each in tar]  # type: ignore[union-attr]


def packed(file: Path, members: Members) -> None:
    with tarfile.open(file, "w:gz", format=tarfile.GNU_FORMAT) as tar:
        for header, content in members:
            header.size = len(content) if header.isreg() else 0
            tar.addfile(header, io.BytesIO(content))


def header(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def retold(parts: Members, **changes: Any) -> Members:
    told = json.loads(parts[0][1]) | changes
    return [(parts[0][0], json.dumps(told).encode()), *parts[1:]]


def with_other_database(members: Members) -> Members:
    """As somebody would who wants the old key to vouch for other data."""
    other = members[2][1].replace(b"toggler", b"tiggler")
    told = json.loads(members[0][1])
    told["members"]["smply.db"]["sha256"] = hashlib.sha256(other).hexdigest()
    return [*retold(members, members=told["members"])[:2], (members[2][0], other)]


def with_flipped_sum(members: Members) -> Members:
    """It is what the key was sealed for, too, but is no slip of anybody's fingers."""
    told = json.loads(members[0][1])
    told["members"]["smply.db"]["sha256"] = "0" * 64
    return retold(members, members=told["members"])


def with_other_cost(members: Members) -> Members:
    sealed = json.dumps(json.loads(members[1][1]) | {"n": 2**40}).encode()
    told = json.loads(members[0][1])
    told["members"]["key.json"] = {
        "bytes": len(sealed), "sha256": hashlib.sha256(sealed).hexdigest()
    }  # fmt: skip
    members = retold(members, members=told["members"])
    return [members[0], (members[1][0], sealed), members[2]]


SPOILT: list[tuple[Callable[[Members], Members], str, str]] = [
    (lambda m: [], "not-a-backup", "manifest.json is missing"),
    (lambda m: m[1:], "not-a-backup", "manifest.json is missing"),
    (lambda m: [m[1], m[0], m[2]], "not-a-backup", "manifest.json is missing"),
    (lambda m: [(m[0][0], b"{}"), *m[1:]], "backup-damaged", "manifest.json: "),
    (lambda m: [(m[0][0], b"{" * 99_999), *m[1:]], "not-a-backup", "it is too long"),
    (lambda m: [m[0], m[2]], "backup-damaged", "key.json is missing"),
    (lambda m: m[:2], "backup-damaged", "smply.db is missing"),
    (lambda m: [*m, m[2]], "backup-damaged", "it holds more than a backup does"),
    (lambda m: [*m, (header("../x"), b"x")], "backup-damaged", "it holds more"),
    (lambda m: [*m[:2], (header("../smply.db"), m[2][1])], "backup-damaged", "is missing"),
    (lambda m: [*m[:2], (header("smply.db", tarfile.SYMTYPE, "/etc/passwd"), b"")],
     "backup-damaged", "smply.db is missing"),
    (lambda m: [*m[:2], (m[2][0], m[2][1] + b"x")], "backup-damaged", "smply.db has "),
    (lambda m: [*m[:2], (m[2][0], m[2][1][::-1])], "backup-damaged", "is not what was put in"),
    (lambda m: retold(m, sealed=False), "backup-damaged", "it has other members"),
    (lambda m: retold(m, members={}), "backup-damaged", "it has other members"),
    (lambda m: retold(m, instances=2), "backup-damaged", "is not what manifest.json says"),
    (lambda m: retold(m, orgId="org_x"), "backup-damaged", "is not what manifest.json says"),
    (lambda m: retold(m, format=2, smply="9"), "newer-backup", "by a newer smply (9)"),
    (lambda m: retold(m, schema=99, smply="9"), "newer-backup", "by a newer smply (9)"),
    (with_other_database, "wrong-passphrase", "the passphrase is wrong"),
    (with_flipped_sum, "backup-damaged", "smply.db is not what was put in"),
    (with_other_cost, "backup-damaged", "in a way that this smply does not know"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code", "sentence"), SPOILT)
def test_what_is_no_whole_backup_is_refused(
    file: Path, made: Manifest, new: Path, tmp_path: Path,
    change: Callable[[Members], Members], code: str, sentence: str,
) -> None:  # fmt: skip
    packed(file, change(unpacked(file)))
    refused(SmplyError, code, sentence, lambda: restore(file, new, word))
    assert names(new) in ([], ["lock"])
    assert names(tmp_path) in (["backup", "data"], ["backup", "data", "new"])


@pytest.mark.parametrize(
    "content", [b"", b"Dear diary", b"\x1f\x8b", gzip.compress(b"Dear" * 999, mtime=0)]
)
def test_what_is_no_backup_at_all_is_refused(file: Path, new: Path, content: bytes) -> None:
    file.write_bytes(content)
    refused(SmplyError, "not-a-backup", "is no backup of smply", lambda: restore(file, new, never))
    assert not new.exists()


def test_a_database_that_is_damaged_inside_is_refused(
    file: Path, made: Manifest, new: Path
) -> None:
    """Its sums are right, as they are where a hand has packed it."""
    members = unpacked(file)
    broken = members[2][1][:-4096] + bytes(4096)
    told = json.loads(members[0][1])
    told["sealed"] = False
    told["members"] = {
        "smply.db": {"bytes": len(broken), "sha256": hashlib.sha256(broken).hexdigest()}
    }
    packed(file, [*retold(members, **told)[:1], (members[2][0], broken)])
    refused(SmplyError, "backup-damaged", "smply.db is damaged", lambda: restore(file, new, never))
    assert names(new) == ["lock"]


def attempts(whole: bytes) -> Iterator[bytes]:
    """A backup cut off, and with one bit flipped, in many places each."""
    for at in range(0, len(whole), max(1, len(whole) // 60)):
        yield whole[:at]
        yield whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :]
    yield whole[:-1]
    yield whole[:-1] + bytes([whole[-1] ^ 1])


def outcome(work: Callable[[], Any]) -> str | None:
    """The code of its refusal; None if it was done."""
    try:
        work()
    except SmplyError as exc:
        return exc.code
    return None


def test_a_backup_that_is_cut_off_or_flipped_is_refused_unless_it_says_the_same(
    data: Path, file: Path, made: Manifest, new: Path
) -> None:
    """There are bits that mean nothing: of gzip's header, and which of many zeros to repeat."""
    before, whole = rows(data), file.read_bytes()
    refusals = 0
    for spoilt in attempts(whole):
        file.write_bytes(spoilt)
        shutil.rmtree(new, ignore_errors=True)
        code = outcome(lambda: restore(file, new, word))
        if code is None:
            assert gzip.decompress(spoilt) == gzip.decompress(whole)
            assert rows(new) == before
        else:
            refusals += 1
            assert code in ("not-a-backup", "backup-damaged", "newer-backup")
            assert names(new) in ([], ["lock"])
    assert refusals > 100


def test_the_default_org_comes_along(data: Path, tmp_path: Path, new: Path) -> None:
    """Else the machines of a restored directory seem to be gone."""
    (data / "default-org").write_text("org_aaaaaaaaaaaaaaaaaaaaaa")
    back_up(data, tmp_path / "other", lambda: 0, word)
    restore(tmp_path / "other", new, word)
    assert (new / "default-org").read_text() == "org_aaaaaaaaaaaaaaaaaaaaaa"


# Killed in the middle.


DYING = """
import os, signal, sys
from pathlib import Path
from smply.backups import back_up, restore
from smply.identity import passphrases

passphrases._COST = {"n": 2, "r": 1, "p": 1}
TOUCHING = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "tempfile.mkdtemp"}
data, file, new = map(Path, sys.argv[2:])
ways = {
    "back_up": lambda: back_up(data, file, lambda: 0, lambda: b"correct horse"),
    "restore": lambda: restore(file, new, lambda: b"correct horse"),
}

def die(left):
    def count(event, _):
        left[0] -= event in TOUCHING
        if event in TOUCHING and not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(count)

for line in sys.stdin:
    child = os.fork()
    if not child:
        die([int(line)])
        ways[sys.argv[1]]()
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""

KillAt = Callable[[int], bool]


@pytest.fixture
def kill_at(request: pytest.FixtureRequest, data: Path, file: Path, new: Path) -> Iterator[KillAt]:
    """Does it in a child that is killed before it touches files for the nth time; whether it was.

    In a process of its own, since one with threads should not fork.
    """
    argv = [sys.executable, "-c", DYING, request.param, *map(str, (data, file, new))]
    with subprocess.Popen(argv, text=True, stdin=PIPE, stdout=PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def kill_at(event: int) -> bool:
            print(event, file=process.stdin, flush=True)
            assert process.stdout is not None
            status = int(process.stdout.readline())
            assert status in (0, signal.SIGKILL)
            return status != 0

        yield kill_at
        process.stdin.close()


@pytest.mark.parametrize("kill_at", ["restore"], indirect=True)
def test_a_restore_that_is_killed_leaves_no_database_or_a_whole_one(
    data: Path, file: Path, made: Manifest, new: Path, kill_at: KillAt
) -> None:
    before, whole = rows(data), []
    for event in count(1):
        shutil.rmtree(new, ignore_errors=True)
        killed = kill_at(event)
        whole.append((new / "smply.db").exists())
        if not whole[-1]:
            # What it left, a key too, does not matter to the next.
            restore(file, new, word)
            assert names(new) == ["key", "lock", "smply.db"]
        assert rows(new) == before
        assert (new / "key").read_bytes() == (data / "key").read_bytes()
        if not killed:
            break
    assert (whole[:10], whole[-1]) == ([False] * 10, True)


@pytest.mark.parametrize("kill_at", ["back_up"], indirect=True)
def test_a_backup_that_is_killed_leaves_the_older_one(
    data: Path, file: Path, made: Manifest, new: Path, kill_at: KillAt
) -> None:
    older = file.read_bytes()
    for event in count(1):
        killed = kill_at(event)
        replaced = file.read_bytes() != older
        shutil.rmtree(new, ignore_errors=True)
        restore(file, new, word)
        assert rows(new) == rows(data)
        if not killed:
            break
    assert replaced
    assert event > 10
