"""The app of the local profile under uvicorn on loopback; prints its port, then serves.

python -m tests.benchmarks.server DATA_DIRECTORY
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvicorn

from smply.api import create_app, hot_protocol
from smply.clock import SystemClock
from smply.server import open_rooms


async def serve(data_dir: Path) -> None:
    async with open_rooms(data_dir, SystemClock(), print, print) as rooms:
        config = uvicorn.Config(
            create_app(rooms.engine, rooms.identity),
            http=hot_protocol(rooms.engine, rooms.identity),
            host="127.0.0.1", port=0, access_log=False,
            log_level="warning", lifespan="off", proxy_headers=False,
        )  # fmt: skip
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        print(server.servers[0].sockets[0].getsockname()[1], flush=True)
        await task


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(Path(sys.argv[1])))
