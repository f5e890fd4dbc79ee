"""Ctrl-C where the event loop cannot hear it, or where half of the work would be left."""

from __future__ import annotations

import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio
    from types import FrameType

T = TypeVar("T")

_Handler = Callable[[int, "FrameType | None"], None] | signal.Handlers

_PATIENCE_SECONDS = 0.8


@contextmanager
def interruptible(handler: _Handler = signal.default_int_handler) -> Iterator[None]:
    """Let Ctrl-C end at once what holds up the event loop, which else would hear it afterwards."""
    before = signal.getsignal(signal.SIGINT)
    elsewhere = threading.current_thread() is not threading.main_thread()
    if elsewhere or before is signal.SIG_IGN or before is None:
        yield
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work in a loop of its own, and be told of Ctrl-C as KeyboardInterrupt.

    A loop that is interrupted while it is made complains when it is thrown away.
    """
    with _put_off() as heard:
        import asyncio

        runner, watched = asyncio.Runner(), _attended(work)
        runner.get_loop()
    try:
        if heard:
            raise KeyboardInterrupt
        return runner.run(watched)
    except KeyboardInterrupt:
        # It may not have begun yet, of which Python would warn.
        watched.close()
        work.close()
        raise
    finally:
        runner.close()


@contextmanager
def _put_off() -> Iterator[list[int]]:
    """Take note of Ctrl-C instead of being interrupted by it."""
    heard: list[int] = []
    with interruptible(lambda number, frame: heard.append(number)):
        yield heard


async def _attended(work: Awaitable[T]) -> T:
    """Run a command. What it had asked for when Ctrl-C came is then nobody's, and no error."""
    import asyncio

    interrupted = False
    command = asyncio.current_task()
    assert command is not None

    def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not interrupted and not command.cancelling():
            loop.default_exception_handler(context)

    asyncio.get_running_loop().set_exception_handler(report)
    try:
        return await work
    except (asyncio.CancelledError, KeyboardInterrupt):
        interrupted = True
        raise


async def to_its_end(
    work: Awaitable[T], told: Callable[[T], None], lost: Callable[[], None] = lambda: None
) -> T:
    """What should not be half-done: Ctrl-C gives it a moment, tells what it did, and stands.

    What takes longer is interrupted, and has to say itself what it leaves, or else `lost` does.
    """
    import asyncio

    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=_PATIENCE_SECONDS)
        if task.done() and not task.cancelled() and task.exception() is None:
            told(task.result())
        elif not task.done():
            task.cancel()
            await asyncio.wait([task])
            lost()
        raise
