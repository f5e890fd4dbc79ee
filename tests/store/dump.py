"""Prints a dump of the newest schema with a few rows: what `dumps/` keeps for ever.

    python -m tests.store.dump > tests/store/dumps/v1.sql

is run once, by whoever adds migration 1 (2, 3 …), and never again for that number.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from smply.store import Set, open_store, schema

from .support import NOW, furnish, upload


async def furnish_file(path: Path) -> None:
    store = await open_store(path, NOW)
    world = await furnish(store)
    await store.create_upload(upload(world, 2))
    await store.put_upload_code(upload(world, 2).id, b"export default uploaded")
    owed = [Set("taken", NOW, "{}"), Set("t", NOW + 60_000, "{}"), Set("u", NOW + 70_000, "{}")]
    instance = await world.create(deliveries=owed)
    taken, _, parked = (row.id for row in store.deliveries(instance))
    await world.move(instance, 1, patch='{"count":2}')
    cause = {"auth": None, "cause": "timer", "cause_id": taken, "took": taken}
    await world.move(instance, 2, patch='{"count":3}', **cause)
    await store.fail_delivery(parked, 0, "no", NOW, parked=True)
    await store.close()


def main() -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory, "smply.db")
        asyncio.run(furnish_file(path))
        with closing(sqlite3.connect(path)) as connection:
            print(f"PRAGMA application_id = {schema.APPLICATION_ID};")
            print(f"PRAGMA user_version = {len(schema.migrations())};")
            print("\n".join(connection.iterdump()))


if __name__ == "__main__":
    main()
