"""Which files are opened, upgraded, refused; every schema ever landed opens (dumps/)."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import apsw
import pytest

from smply.errors import DataDirectoryError
from smply.store import Owner, copies, migrate, needs_migration, open_store, schema, sqlite
from smply.store.sqlite import open_sqlite

from .support import NOW, find, furnish

DUMPS = Path(__file__).parent / "dumps"


def run_sql(path: Path, script: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(script)
    connection.close()


def read_sql(path: Path, query: str) -> list[tuple[object, ...]]:
    connection = apsw.Connection(str(path))
    rows: list[tuple[object, ...]] = connection.execute(query).fetchall()
    connection.close()
    return rows


def make(path: Path) -> Owner:
    async def make() -> Owner:
        store = await open_store(path, NOW)
        await furnish(store)
        await store.close()
        return store.owner()

    return asyncio.run(make())


def know_one_more(monkeypatch: pytest.MonkeyPatch, script: Path, text: str) -> None:
    """A newer smply, with one more migration."""
    script.write_text(text)
    known = [*schema.migrations(), script]
    monkeypatch.setattr(schema, "migrations", lambda: known)


def test_a_new_file_is_marked_and_private(path: Path) -> None:
    assert not needs_migration(path)
    assert not path.exists()
    make(path)
    assert not needs_migration(path)
    assert read_sql(path, "PRAGMA application_id") == [(0x736D706C,)]
    assert read_sql(path, "PRAGMA user_version") == [(len(schema.migrations()),)]
    assert path.stat().st_mode & 0o777 == 0o600


def test_migrations_are_numbered_without_gaps() -> None:
    numbers = [int(file.name[:3]) for file in schema.migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_an_empty_file_is_made_ours(path: Path) -> None:
    path.touch()
    assert not needs_migration(path)
    make(path)


def test_many_may_make_one_file_at_once(path: Path) -> None:
    owners: list[Owner] = []

    def make_too() -> None:
        async def make() -> None:
            store = await open_store(path, NOW)
            owners.append(store.owner())
            await store.close()

        asyncio.run(make())

    threads = [threading.Thread(target=make_too) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(owners) == 8
    assert len({owner.org for owner in owners}) == 1


def test_a_newer_database_is_refused_with_what_to_do(path: Path) -> None:
    make(path)
    run_sql(path, "PRAGMA user_version = 99")
    for attempt in (needs_migration, migrate, lambda path: open_sqlite(path, NOW)):
        with pytest.raises(DataDirectoryError, match="written by a newer smply") as caught:
            attempt(path)
        assert caught.value.hint is not None
        assert "pip install --upgrade smply" in caught.value.hint


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE theirs (x)",
        "PRAGMA application_id = 7; CREATE TABLE theirs (x)",
        "PRAGMA application_id = 7",
        "PRAGMA user_version = 1",
    ],
)
def test_a_database_of_others_is_refused_and_left_alone(path: Path, script: str) -> None:
    run_sql(path, script)
    before = path.read_bytes()
    with pytest.raises(DataDirectoryError, match="not a database of smply"):
        open_sqlite(path, NOW)
    assert path.read_bytes() == before


def test_what_is_no_database_is_refused(path: Path) -> None:
    path.write_text("Dear diary, this is not a database but more than 100 bytes long. " * 4)
    with pytest.raises(DataDirectoryError, match="not a database of smply"):
        open_sqlite(path, NOW)


def test_a_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryError, match="cannot be opened"):
        open_sqlite(tmp_path / "missing" / "smply.db", NOW)


def test_an_older_file_is_upgraded(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = make(path)
    know_one_more(monkeypatch, tmp_path / "999_more.sql", "CREATE TABLE more (x);")
    assert needs_migration(path)
    migrate(path)
    assert not needs_migration(path)
    migrate(path)
    assert read_sql(path, "SELECT count(*) FROM more") == [(0,)]
    assert asyncio.run(open_store(path, NOW)).owner() == owner


def test_a_failed_upgrade_leaves_the_old_file_usable(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = make(path)
    script = "CREATE TABLE more (x); DELETE FROM machines; INSERT INTO nowhere VALUES (1);"
    with monkeypatch.context() as newer:
        know_one_more(newer, tmp_path / "999_broken.sql", script)
        with pytest.raises(DataDirectoryError, match="is as it was"):
            migrate(path)
    assert not needs_migration(path)
    assert read_sql(path, "SELECT name FROM sqlite_schema WHERE name = 'more'") == []

    async def use() -> None:
        store = open_sqlite(path, NOW)
        assert store.owner() == owner
        assert store.get_machine(owner.org, "toggler") is not None
        await store.close()

    asyncio.run(use())


def test_every_schema_has_its_dump() -> None:
    assert [file.stem for file in sorted(DUMPS.glob("*.sql"))] == [
        f"v{number + 1}" for number in range(len(schema.migrations()))
    ]


def test_a_migration_that_has_landed_is_not_edited(path: Path, tmp_path: Path) -> None:
    make(path)
    dumped = tmp_path / "dumped.db"
    run_sql(dumped, (DUMPS / f"v{len(schema.migrations())}.sql").read_text())
    query = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"
    assert read_sql(dumped, query) == read_sql(path, query)


@pytest.mark.parametrize("dump", sorted(DUMPS.glob("*.sql")), ids=lambda dump: str(dump.stem))
def test_a_dump_of_each_schema_opens_and_reads(path: Path, dump: Path) -> None:
    run_sql(path, dump.read_text())
    number = int(dump.stem[1:])
    assert needs_migration(path) is (number < len(schema.migrations()))

    async def read() -> None:
        world = find(await open_store(path, NOW))
        store = world.store
        row = store.get_instance(world.org, "toggler", "session-1")
        assert row is not None
        assert (row.seq, row.value, row.context, row.done) == (3, '"s3"', '{"count":3}', False)
        history = store.list_transitions(row.id, 0, 9)
        assert [(t.seq, t.context, t.patch) for t in history] == [
            (1, '{"count":1}', None),
            (2, None, '{"count":2}'),
            (3, None, '{"count":3}'),
        ]
        assert history[2].cause == "timer"
        assert {t.version for t in history} == {row.version}
        owed = store.deliveries(row.id)
        assert [(d.key, d.attempts, d.parked) for d in owed] == [("t", 0, None), ("u", 1, "no")]
        version = store.get_version(world.org, row.version)
        assert version is not None
        assert store.get_code(world.org, version.code_sha256) == b"export default machine"
        assert await world.move(row.id, 3, took=owed[0].id)
        assert await world.create("session-2") > row.id
        await store.close()

    asyncio.run(read())


def test_every_query_has_a_sentence_and_is_used() -> None:
    text = (Path(schema.__file__).parent / "sql" / "sqlite" / "queries.sql").read_text()
    code = Path(sqlite.__file__).read_text() + Path(copies.__file__).read_text()
    for block in text.strip().split("\n\n"):
        name, sentence = block.split("\n")[:2]
        assert f'"{name.removeprefix("-- ")}"' in code
        assert sentence.startswith("-- ")
        assert sentence.endswith(".")
