"""Load over keep-alive connections, cheap enough not to be what is measured.

    python -m tests.benchmarks.generator PORT CONNECTIONS [--cut-off | --pause MS] < requests

Reads requests from stdin, one JSON `[method, path, headers, body]` a line, sends each once, and
prints `{"seconds", "p50", "p99", "errors", "cpu"}`: times in milliseconds, CPU in seconds. With
`--cut-off` it repeats them until the server has gone, and prints how often each path was answered
with success. With `--pause` each connection rests so long after an answer.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import cast

import uvloop


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as the answer to the last one is whole."""

    def __init__(
        self, requests: Iterator[bytes], pause: float, times: list[float], done: asyncio.Event
    ) -> None:
        self._requests = requests
        self._pause = pause
        self._times = times
        self._done = done
        self._left = b""
        self.errors = 0
        self.answered: Counter[bytes] = Counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def begin(self) -> None:
        request = self._request = next(self._requests, b"")
        if not request:
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        data = self._left + data if self._left else data
        head = data.find(b"\r\n\r\n")
        if head < 0 or len(data) < head + 4 + _length(data[:head]):
            self._left = data
            return
        self._left = b""
        self._times.append(time.perf_counter() - self._sent)
        if data.startswith(b"HTTP/1.1 20"):
            self.answered[self._request] += 1
        else:
            self.errors += 1
        if self._pause:
            asyncio.get_running_loop().call_later(self._pause, self.begin)
        else:
            self.begin()

    def connection_lost(self, exc: Exception | None) -> None:
        self._done.set()


def _length(head: bytes) -> int:
    place = head.lower().find(b"content-length:")
    return int(head[place + 15 :].split(b"\r\n", 1)[0])


def _encoded(line: str) -> bytes:
    method, path, headers, body = cast(tuple[str, str, dict[str, str], str], json.loads(line))
    content = body.encode()
    lines = [f"{method} {path} HTTP/1.1", "host: bench", f"content-length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + content


async def _opened(
    port: int, connections: int, requests: Iterator[bytes], pause: float, times: list[float]
) -> list[tuple[_Connection, asyncio.Event]]:
    loop = asyncio.get_running_loop()
    opened = []
    for _ in range(connections):
        done = asyncio.Event()
        connection = partial(_Connection, requests, pause, times, done)
        _, protocol = await loop.create_connection(connection, "127.0.0.1", port)
        opened.append((protocol, done))
    return opened


async def run(
    port: int, connections: int, requests: list[bytes], pause: float = 0.0
) -> dict[str, float]:
    times: list[float] = []
    opened = await _opened(port, connections, iter(requests), pause, times)
    cpu, start = time.process_time(), time.perf_counter()
    for protocol, _ in opened:
        protocol.begin()
    for _, done in opened:
        await done.wait()
    seconds = time.perf_counter() - start
    times.sort()
    return {
        "seconds": seconds,
        "p50": 1000 * times[len(times) // 2],
        "p99": 1000 * times[len(times) * 99 // 100],
        "errors": sum(protocol.errors for protocol, _ in opened),
        "cpu": time.process_time() - cpu,
    }


async def run_until_cut_off(port: int, connections: int, requests: list[bytes]) -> dict[str, int]:
    opened = await _opened(port, connections, itertools.cycle(requests), 0.0, [])
    for protocol, _ in opened:
        protocol.begin()
    for _, done in opened:
        await done.wait()
    answered = sum((protocol.answered for protocol, _ in opened), Counter())
    return {request.split(b" ", 2)[1].decode(): count for request, count in answered.items()}


if __name__ == "__main__":
    todo = [_encoded(line) for line in sys.stdin]
    where = int(sys.argv[1]), int(sys.argv[2])
    if "--cut-off" in sys.argv:
        print(json.dumps(uvloop.run(run_until_cut_off(*where, todo))))
    else:
        pause = float(sys.argv[4]) / 1000 if "--pause" in sys.argv else 0.0
        print(json.dumps(uvloop.run(run(*where, todo, pause))))
