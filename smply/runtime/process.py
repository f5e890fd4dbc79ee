"""One Deno process: what it was asked, what it owes, and whether it still breathes."""

from __future__ import annotations

import asyncio
import itertools
import re
from asyncio.subprocess import DEVNULL, PIPE
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from smply.errors import Unavailable
from smply.runtime import sandbox
from smply.runtime.children import Home, kill
from smply.runtime.logs import LogGate
from smply.runtime.protocol import (
    ANSWERS,
    PROTOCOL,
    SMALL_LINE_BYTES,
    Alive,
    Answer,
    Check,
    Finish,
    Hello,
    Log,
    LogWire,
    Order,
    Question,
    Read,
    Start,
    Step,
    decode_line,
    encode,
    is_small,
)

LINE_BYTES_MAX = 16 << 20
"""A line holds little beside its last message, and that one a run of steps at most."""
_CHECK_LINE_BYTES_MAX = 64 << 20
"""Of a process that holds a bundle, which it hands back with its imports rewritten."""
_STDERR_BYTES_KEPT = 16_384
_HELLO_SECONDS = 20.0
_ALIVES_MAX = 500
"""How often it may say that it lives before it is sent something again."""
# To load, and one thing, which may be asked a second time with its snapshot.
_CALLS_WHEN_FRESH = 3
_AT_ONCE = (Start, Step, Read)
"""Questions whose answers wait for nothing: while one is open, the process is at work."""
_Owed = tuple[asyncio.Future[Any], tuple[type[Answer], ...], bool]
"""Where the answer goes, what may be one, and whether it comes at once."""

_OUT_OF_MEMORY = re.compile(rb"out of memory|memory allocation of|OutOfMemory", re.IGNORECASE)


class Where(NamedTuple):
    """Whose actions: an instance and its name."""

    instance: int
    name: str


class Ended(Exception):
    """A process ended before it answered; `reason` completes "machine code …".

    `guilty`: this question alone can be to blame. `doubtful` are those whose actions it was told to
    run and perhaps did not end, `last` the one whose actions it was told to run last. `looped`: it
    gave no answer in time. `lost`: it went by itself, for a reason of its own or the world's.
    """

    def __init__(
        self,
        reason: str,
        *,
        guilty: bool = False,
        doubtful: Sequence[Where] = (),
        last: Where | None = None,
        looped: bool = False,
        lost: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.guilty = guilty
        self.doubtful = doubtful
        self.last = last
        self.looped = looped
        self.lost = lost


@dataclass(frozen=True, slots=True)
class Launch:
    """What every process of a pool is started with; times in seconds.

    `heap_megabytes` are the machine's own: the heap that V8 is allowed holds the cache as well.
    """

    home: Home
    dist: Path
    manifest: sandbox.Manifest
    step_seconds: float
    load_seconds: float
    heap_megabytes: int
    cache_bytes: int
    network: sandbox.Network
    action_seconds: float = 90.0
    pulse_seconds: float = 5.0


class Process(asyncio.Protocol):
    """A running host: `ask` a question, `tell` an order, `end` it.

    What is asked while a step is being made goes out as one line, in one write, when it is
    answered: the process would do nothing with it before, and few large lines cost a fraction of
    many small ones. A question that stays without any answer for `patience` seconds ends the
    process, and so does whatever it says unasked.
    """

    def __init__(self, launch: Launch) -> None:
        self.ended: str | None = None
        """Why it is over, a phrase that completes "machine code …"; None while it lives."""
        self.overran = False
        """Whether it was stopped since it took more time or memory than it may."""
        self.heard = 0.0
        """When it last answered, or was last asked after having answered everything."""
        self.used = 0.0
        """When it was last asked by anybody."""
        self.acted: Where | None = None
        """Whose actions it ran last; once it ran any, nobody is to blame for its end unheard."""
        self._acted_at = 0.0
        self._doubtful: deque[tuple[int, Where]] = deque()
        self.launch = launch
        self._gate = LogGate(lambda log: None)
        self._on_idle_end: Callable[[Ended], None] = lambda end: None
        self._loop = asyncio.get_running_loop()
        self._hello: asyncio.Future[Hello] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._child: asyncio.subprocess.Process | None = None
        self._attending: asyncio.Task[None] | None = None
        self._last_call = 0
        self._owed: dict[int, _Owed] = {}
        self._out: list[bytes] = []
        self._out_at_once = 0
        self._at_once = 0
        self._alives = 0
        self._begun: list[bytes] = []
        self._begun_bytes = 0
        self._line_bytes_max = LINE_BYTES_MAX
        self._patience = launch.step_seconds
        self._watch: asyncio.TimerHandle | None = None
        self._pulse: asyncio.TimerHandle | None = None

    # Starting.

    async def start(self) -> None:
        """Start Deno and wait for its greeting; Unavailable when it is not the host we know."""
        hello = None
        try:
            hello = await self._greeting()
        except TimeoutError:
            raise Unavailable("the process for machine code does not start") from None
        except (Ended, OSError) as exc:
            raise Unavailable(f"the process for machine code does not start: {exc}") from exc
        finally:
            if hello is None:
                self.end("did not start")
        manifest = self.launch.manifest
        if (hello.protocol, hello.host) != (PROTOCOL, manifest.host):
            self.end("is of another smply")
            raise Unavailable("smply was upgraded under a running server: restart it")

    async def _greeting(self) -> Hello:
        path = self.launch.home.path / f"s{next(_sockets)}"
        server = await self._loop.create_unix_server(lambda: self, path)
        try:
            await self._spawn(path)
            # A time-out must not cancel the future that the end of the process is told to.
            return await asyncio.wait_for(asyncio.shield(self._hello), _HELLO_SECONDS)
        finally:
            # Nobody else can connect: one process, one connection, and then no socket at all.
            server.close()
            path.unlink(missing_ok=True)

    async def _spawn(self, socket: Path) -> None:
        launch = self.launch
        home = launch.home.path
        command = sandbox.command(
            launch.dist,
            home / "import-map.json",
            socket,
            launch.heap_megabytes + (launch.cache_bytes >> 20),
            launch.cache_bytes,
            launch.network,
        )
        self._child = await asyncio.create_subprocess_exec(
            *sandbox.confined(command, network=launch.network),
            cwd=home,
            env=sandbox.environment(home),
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
            start_new_session=True,
        )
        self._attending = asyncio.create_task(self._attend(self._child))
        if self.ended is not None:
            self._kill()
        launch.home.add(self._child.pid)

    async def _attend(self, child: asyncio.subprocess.Process) -> None:
        """Keep the end of what it says on stderr, and find out why it ended."""
        assert child.stderr is not None
        said = b""
        while chunk := await child.stderr.read(_STDERR_BYTES_KEPT):
            said = (said + chunk)[-_STDERR_BYTES_KEPT:]
        status = await child.wait()
        self.launch.home.remove(child.pid)
        if _OUT_OF_MEMORY.search(said):
            size = f"{self.launch.heap_megabytes} MB beside the cache"
            reason = f"ran out of memory ({size}) and was stopped"
            self.overran = self.ended is None
            # What was asked before may have left little of it.
            self.end(reason, certain=self._last_call <= _CALLS_WHEN_FRESH)
        else:
            self.end(_lost(status), certain=False, lost=True)

    def serve(self, on_log: Callable[[Log], None], on_idle_end: Callable[[Ended], None]) -> None:
        """Tell somebody what it prints, and of its end if actions may have run: until then it
        works for nobody."""
        self._gate = LogGate(on_log)
        self._on_idle_end = on_idle_end
        self._feel_later()

    # Asking.

    @property
    def owes(self) -> int:
        """How many questions are open, other than what its actions do."""
        return sum(kinds is not ANSWERS[Finish] for _, kinds, _ in self._owed.values())

    def ask(
        self, question: type[Question], *fields: Any, patience: float | None = None
    ) -> asyncio.Future[Any]:
        """Ask; the future has an answer of the types in ANSWERS, or raises Ended."""
        if self.ended is not None:
            raise Ended(self.ended)
        call = self._last_call = self._last_call + 1
        future: asyncio.Future[Any] = self._loop.create_future()
        self.used = self._loop.time()
        if not self._owed:
            self._keep_watch(patience or self.launch.step_seconds)
        if question is Check:
            self._line_bytes_max = _CHECK_LINE_BYTES_MAX
        at_once = question in _AT_ONCE
        self._owed[call] = (future, ANSWERS[question], at_once)
        self._send(question(call, *fields))
        self._out_at_once += at_once
        return future

    def tell(self, order: Order) -> None:
        """Give an order; nothing comes back."""
        if self.ended is None:
            self._send(order)

    def act(self, who: Where) -> None:
        """Note that the next order makes it run actions: until it answers what is asked later,
        nobody knows whether they came to their end."""
        self.acted = who
        self._acted_at = self._loop.time()
        self._doubtful.append((self._last_call, who))

    @property
    def has_patience_with_actions(self) -> bool:
        """Whether those which it ran last may go on when its place is needed."""
        return self._loop.time() - self._acted_at < self.launch.action_seconds

    def _send(self, message: Question | Order) -> None:
        if not self._out and not self._at_once:
            self._loop.call_soon(self._flush)
        self._out.append(encode(message))

    def _flush(self) -> None:
        if self._transport is not None and self.ended is None:
            self._transport.write(b"[" + b",".join(self._out) + b"]\n")
        # It says so after a message that took its time, at most.
        self._alives = min(self._alives + len(self._out), _ALIVES_MAX)
        self._out.clear()
        self._at_once, self._out_at_once = self._out_at_once, 0

    def _keep_watch(self, patience: float) -> None:
        self.heard = self._loop.time()
        if self._watch is not None and patience != self._patience:
            self._watch.cancel()
            self._watch = None
        self._patience = patience
        if self._watch is None:
            self._watch = self._loop.call_later(patience, self._look)

    def _look(self) -> None:
        """The watchdog: one timer, armed again only when it fires, while anything is owed."""
        self._watch = None
        if not self._owed:
            return
        left = self.heard + self._patience - self._loop.time()
        if left > 0:
            self._watch = self._loop.call_later(left, self._look)
        else:
            self.overran = True
            self.end(f"ran longer than {self._patience:g} s and was stopped", looped=True)

    def _feel_later(self) -> None:
        self._pulse = self._loop.call_later(self.launch.pulse_seconds, self._feel)

    def _feel(self) -> None:
        """Ask a process that nobody asks anything: what it does of itself may loop for ever."""
        if self.ended is not None:
            return
        if not self._owed:
            used = self.used
            self.ask(Finish, 0).add_done_callback(asyncio.Future.exception)
            self.used = used
        self._feel_later()

    # Hearing.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._transport is not None or self.ended is not None:
            transport.abort()  # type: ignore[attr-defined]
            return
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        lines, newline, begun = data.rpartition(b"\n")
        if not newline:
            self._begin(begun)
            return
        if self._begun:
            lines = b"".join([*self._begun, lines])
            self._begun.clear()
            self._begun_bytes = 0
        if begun:
            self._begin(begun)
        for line in lines.split(b"\n"):
            if self.ended is None:
                self._read(line)

    def _begin(self, begun: bytes) -> None:
        self._begun.append(begun)
        self._begun_bytes += len(begun)
        if self._begun_bytes > self._line_bytes_max:
            self.violate()

    def _read(self, line: bytes) -> None:
        try:
            messages = decode_line(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self.violate()
        is_asked = False
        for message in messages:
            if isinstance(message, LogWire):
                self._log(message)
            elif isinstance(message, Alive):
                self._note_alive()
            elif isinstance(message, Hello):
                self._greet(message)
            elif len(line) <= SMALL_LINE_BYTES or is_small(message):
                is_asked = True
                self._answer(message)
            else:
                return self.violate()
        if not messages or not (is_asked or self._gate.bear_line(len(line))):
            self.violate()
        return None

    def _greet(self, hello: Hello) -> None:
        if self._hello.done():
            return self.violate()
        return self._hello.set_result(hello)

    def _answer(self, answer: Answer) -> None:
        self.heard = self._loop.time()
        owed = self._owed.pop(answer.call, None)  # type: ignore[arg-type]
        if owed is None or not isinstance(answer, owed[1]):
            return self.violate(owed)
        if owed[2]:
            self._at_once -= 1
            if not self._at_once and self._out:
                # After the callbacks of this turn, so that what they ask goes along.
                self._loop.call_soon(self._flush)
        while self._doubtful and self._doubtful[0][0] < answer.call:  # type: ignore[operator]
            self._doubtful.popleft()
        if not owed[0].done():
            owed[0].set_result(answer)
        return None

    def _note_alive(self) -> None:
        if self._alives:
            self._alives -= 1
            self.heard = self._loop.time()
        if not self._gate.bear_alive():
            self.violate()

    def _log(self, log: LogWire) -> None:
        if self.ended is None and not self._gate.pass_on(log):
            self.violate()

    def connection_lost(self, exc: Exception | None) -> None:
        # Without its socket it is of no use; why it let go is told by its exit.
        self._transport = None
        self._kill()

    # Ending.

    def violate(self, owed: _Owed | None = None) -> None:
        """It said what nobody asked for, or what is no answer: it cannot be trusted any more."""
        if owed is not None:
            self._owed[0] = owed
        self.end("broke the protocol of its process and was stopped")

    def stop(self, reason: str) -> None:
        """End it because nobody needs it any more."""
        self.acted = None
        self._doubtful.clear()
        self.end(reason)

    def end(
        self, reason: str, *, certain: bool = True, looped: bool = False, lost: bool = False
    ) -> None:
        """Kill it, and tell all who wait. The first reason stands.

        `certain`: what is asked now is to blame, not what was asked before, nor the world outside.
        """
        if self.ended is not None:
            return
        self.ended = reason
        self._kill()
        if self._transport is not None:
            self._transport.abort()
        for timer in (self._watch, self._pulse):
            if timer is not None:
                timer.cancel()
        doubtful = [who for _, who in self._doubtful]
        owes = self.owes
        guilty = owes == 1 and self.acted is None and certain
        owed, self._owed = self._owed, {}
        ended = partial(Ended, reason, doubtful=doubtful, last=self.acted, looped=looped, lost=lost)
        for future, *_ in owed.values():
            if not future.done():
                future.set_exception(ended(guilty=guilty))
        # Whoever asked for the actions alone has no answer to put off until they are told of.
        if self.acted is not None and not owes:
            self._on_idle_end(ended())
        if not self._hello.done():
            self._hello.set_exception(Ended(reason))
            # Nobody need wait for it: a process may be stopped before it was started.
            self._hello.exception()

    async def wait(self) -> None:
        """Return when the process is gone and reaped."""
        if self._attending is not None:
            await asyncio.shield(self._attending)

    def _kill(self) -> None:
        if self._child is not None:
            kill(self._child)


_sockets = itertools.count(1)


def _lost(status: int) -> str:
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    return f"lost its process ({how})"
