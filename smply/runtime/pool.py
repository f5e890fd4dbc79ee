"""Processes lent, watched and retired: one for each key, started when it is needed.

A process that runs too long, eats its memory or breaks the protocol is killed and replaced;
`trial.py` finds out who is to blame.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from typing import Any
from weakref import WeakValueDictionary

from smply.errors import MachineError, Unavailable
from smply.runtime.closing import last_actions, unfinished
from smply.runtime.process import Ended, Launch, Process, Where
from smply.runtime.protocol import (
    Allowed,
    Code,
    Commit,
    Drop,
    Failed,
    FailedWire,
    Later,
    LaterWire,
    Load,
    Log,
    Miss,
    Read,
    Refused,
    RefusedWire,
    Snapshot,
    Start,
    Step,
    StepEvent,
    Stepped,
    SteppedWire,
    Steps,
    failed,
    is_shaped,
    raw,
    raw_events,
    raw_snapshot,
    refused,
    stepped,
)
from smply.runtime.trial import Run, StepAnswer, Trial

_ROOM_SECONDS = 1.0
_ROOM_LOOK_SECONDS = 0.02

_FALLS_FREE = 2
_PAUSE_SECONDS, _PAUSE_SECONDS_MAX = 0.25, 1.0
_CALM_SECONDS = 10.0
"""After so many processes of a key that were stopped in a row, each one within 10 s of the last,
the next starts after a pause, twice as long each time: what starts, fills its memory and dies again
and again is felt by everybody else."""


class Pool:
    """All processes of a runtime, `processes_max` at most, of them `spares` that wait blank."""

    def __init__(
        self,
        launch: Launch,
        processes_max: int,
        spares: int,
        on_log: Callable[[Hashable, Log], None],
    ) -> None:
        self.launch = launch
        self.on_log = on_log
        self._processes_max = processes_max
        self._spares_kept = spares
        self._hosts: WeakValueDictionary[Hashable, Host] = WeakValueDictionary()
        self._lent: dict[Process, Host] = {}
        self._spares: dict[Process, asyncio.Task[None]] = {}
        self._starts: set[asyncio.Task[None]] = set()
        self._closing = False
        self._refill()

    async def host(self, key: Hashable, load: Callable[[], Code]) -> Host:
        host = self._hosts.get(key)
        if host is None:
            host = self._hosts[key] = Host(self, key, load)
        await host.ready()
        return host

    async def start(self, host: Host) -> Process:
        """A blank process: a spare, or else a new one, for which idle ones are retired.

        Unavailable if there is none.
        """
        if self._closing:
            raise Unavailable("smply is stopping")
        await self._make_room()

        def tell(end: Ended) -> None:
            # At the close, its answer tells.
            if not self._closing:
                host.tell_of_actions(end)

        process, start = self._take()
        process.serve(lambda log: self.on_log(host.key, log), tell)
        self._lent[process] = host
        await start
        self._refill()
        return process

    def _take(self) -> tuple[Process, asyncio.Task[None]]:
        """The spare that has waited longest, which may still be starting, or a new process."""
        for process in self._spares:
            return process, self._spares.pop(process)
        return self._begin()

    def _begin(self) -> tuple[Process, asyncio.Task[None]]:
        process = Process(self.launch)
        start = asyncio.create_task(process.start())
        start.add_done_callback(_heed)
        self._starts.add(start)
        start.add_done_callback(self._starts.discard)
        return process, start

    def _refill(self) -> None:
        """Let spares start in the room that nobody needs."""
        while not self._full() and len(self._spares) < self._spares_kept and not self._closing:
            process, start = self._begin()
            self._spares[process] = start

    async def _make_room(self) -> None:
        """Return once there is a spare, or room for a process."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _ROOM_SECONDS
        while self._full() and not self._spares:
            idle = [process for process, host in self._lent.items() if host.is_idle(process)]
            idle.sort(key=lambda process: process.used)
            for process in idle:
                if not self._full() or await self._retire(process) or loop.time() > deadline:
                    break
            else:
                await asyncio.sleep(_ROOM_LOOK_SECONDS)
            if self._full() and not self._spares and loop.time() > deadline:
                raise Unavailable("every process for machine code is at work")

    @property
    def living(self) -> int:
        """How many processes there are, blank ones too."""
        return sum(each.ended is None for each in (*self._lent, *self._spares))

    def _full(self) -> bool:
        for held in (self._lent, self._spares):
            for process in [each for each in held if each.ended is not None]:
                del held[process]
        return len(self._lent) + len(self._spares) >= self._processes_max

    async def _retire(self, process: Process) -> bool:
        """End an idle process, unless an action of it has begun and may go on; True when it is
        gone."""
        host = self._lent[process]
        try:
            running = await unfinished(process, 0) if process.acted is not None else []
        except Ended:
            return True
        if not host.is_idle(process) or (running and process.has_patience_with_actions):
            return False
        for each in running:
            host.tell_of_action(each)
        process.stop("was retired")
        await process.wait()
        return True

    async def close(self, wait_seconds: float) -> list[str]:
        """Let begun actions end, then end every process; a clause for each that did not end."""
        self._closing = True
        every = [*self._lent, *self._spares]
        try:
            asked = (last_actions(process, wait_seconds) for process in every)
            clauses = await asyncio.gather(*asked)
        finally:
            # Also when whoever closes cannot wait for actions any longer.
            for process in every:
                process.stop("was stopped")
            # One that was only just starting can be waited for when its start has come to an end.
            await asyncio.gather(*self._starts, return_exceptions=True)
            await asyncio.gather(*(process.wait() for process in every))
        return [clause for each in clauses for clause in each]


class Host:
    """The process of one key, now this one and now another. Nobody sees it change."""

    def __init__(self, pool: Pool, key: Hashable, load: Callable[[], Code]) -> None:
        self.key = key
        self._pool = pool
        self._load = load
        self._process: Process | None = None
        self._starting: asyncio.Task[Process] | None = None
        self._falls = Falls()
        self._births: dict[int, tuple[Process, int]] = {}
        self._effects: dict[int, dict[int, tuple[Process, str]]] = {}
        self._born = 0
        self._trial = Trial(self._running, self.tell_of_actions)

    # Asking.

    async def start(
        self, name: str, ts: int, context: bytes, auth: bytes
    ) -> Stepped | Refused | Failed:
        """The initial state (`xstate.init`); its instance is a temporary negative number.

        allowWrite is asked with type `initialization`. Name it in `commit` and `drop`.
        """

        async def ask(process: Process) -> Stepped | Refused | Failed:
            answer = await process.ask(Start, name, ts, raw(context), raw(auth))
            if type(answer) is not SteppedWire:
                return _no(process, answer)
            if answer.instance >= 0 or answer.seq != 1 or answer.ts != ts:
                raise _violation(process)
            self._born -= 1
            self._births[self._born] = (process, answer.instance)
            return self._remember(process, name, stepped(answer, self._born))

        try:
            return await ask(self._now or await self.ready())
        except Ended as end:
            return await self._trial.again(end, ask)

    async def step(
        self,
        instance: int,
        name: str,
        base: int,
        snapshot: Callable[[], Snapshot],
        events: Sequence[StepEvent],
    ) -> list[StepAnswer]:
        """Step through events, each on the newest base, until one has something to do first.

        The answers are in the order of the events; those after one with effects are Later.
        allowWrite is asked for each event that has an auth context. `snapshot` is called only
        when the process does not know `base`.
        """
        run = Run(instance, name, base, snapshot, events)
        try:
            return await self._step(self._now or await self.ready(), run)
        except Ended as end:
            return await self._trial.step_again(end, run, self._step)

    async def _step(self, process: Process, run: Run) -> list[StepAnswer]:
        where, wire = (run.instance, run.name, run.base), raw_events(run.events)
        answer = await process.ask(Step, *where, None, wire)
        if type(answer) is Miss:
            answer = await process.ask(Step, *where, raw_snapshot(run.snapshot()), wire)
        if type(answer) is not Steps or len(answer.answers) != len(run.events):
            raise _violation(process)
        made: list[StepAnswer] = []
        seq = run.base
        for each, event in zip(answer.answers, run.events, strict=True):
            if type(each) is SteppedWire:
                seq += 1
                if each.instance != run.instance or each.seq != seq or each.ts != event.ts:
                    raise _violation(process)
                made.append(self._remember(process, run.name, stepped(each, run.instance)))
            elif type(each) is LaterWire and made:
                made.append(Later())
            else:
                made.append(_no(process, each))
        return made

    async def read(
        self,
        instance: int,
        name: str,
        base: int,
        snapshot: Callable[[], Snapshot],
        auth: bytes,
    ) -> Refused | Failed | None:
        """Ask allowRead; None when it returned true."""

        async def ask(process: Process) -> Refused | Failed | None:
            answer = await process.ask(Read, instance, name, base, None, raw(auth))
            if type(answer) is Miss:
                whole = raw_snapshot(snapshot())
                answer = await process.ask(Read, instance, name, base, whole, raw(auth))
            return None if type(answer) is Allowed else _no(process, answer)

        try:
            return await ask(self._now or await self.ready())
        except Ended as end:
            return await self._trial.again(end, ask)

    # Ordering.

    def commit(self, instance: int, seq: int, becomes: int | None = None) -> None:
        """The steps up to `seq` are stored: run their effects. `becomes`: the row of a birth."""
        waiting = self._effects.get(instance, {})
        effects = [waiting.pop(each) for each in sorted(waiting) if each <= seq]
        if not waiting:
            self._effects.pop(instance, None)
        row = instance if becomes is None else becomes
        for process, name in effects:
            if process.ended is None:
                process.act(Where(row, name))
            else:
                self._tell(row, name, f"its actions did not run: machine code {process.ended}")
        known, theirs = self._known_as(instance)
        if known is not None:
            known.tell(Commit(theirs, seq, becomes))

    def drop(self, instance: int, seq: int) -> None:
        """The step `seq` and all above it are not stored: forget them."""
        waiting = self._effects.get(instance, {})
        for each in [each for each in waiting if each >= seq]:
            del waiting[each]
        if not waiting:
            self._effects.pop(instance, None)
        known, theirs = self._known_as(instance)
        if known is not None:
            known.tell(Drop(theirs, seq))

    def _known_as(self, instance: int) -> tuple[Process | None, int]:
        """Which process knows an instance, and as what: a birth has a number of its own there."""
        if instance >= 0:
            return self._process, instance
        return self._births.pop(instance, (None, instance))

    def _remember(self, process: Process, name: str, step: Stepped) -> Stepped:
        if not is_shaped(step):
            raise _violation(process)
        if step.effects:
            self._effects.setdefault(step.instance, {})[step.seq] = (process, name)
        return step

    def tell_of_actions(self, end: Ended, to_blame: bool = True) -> None:
        """Log what became of actions that may have been running when their process ended.

        `to_blame`: one of them ended it, since nothing else can have.
        """
        suspects = end.doubtful or ([end.last] if end.last and to_blame else [])
        for who in suspects:
            if to_blame and len(suspects) == 1:
                self._tell(*who, f"an action {end.reason}")
            else:
                self._tell(*who, f"its actions may not have run: machine code {end.reason}")

    def tell_of_action(self, action: str) -> None:
        """Log that an action was stopped, since another version needed its process."""
        seconds = self._pool.launch.action_seconds
        text = f"{action} was still running after {seconds:g} s and was stopped to make room"
        self._tell(None, None, text)

    def _tell(self, instance: int | None, name: str | None, text: str) -> None:
        self._pool.on_log(self.key, Log(instance, name, "action", "stderr", text))

    # The process behind it.

    @property
    def _now(self) -> Process | None:
        """The process, if it can be asked at once."""
        process = self._process
        if process is None or process.ended is not None or self._trial.is_on:
            return None
        return process

    async def ready(self) -> Process:
        """The process, once it has loaded its code and nobody is on trial.

        MachineError when the code does not load; Unavailable when there is no process to be had.
        """
        while True:
            process = await self._running()
            if not self._trial.is_on:
                return process
            await self._trial.over()

    async def _running(self) -> Process:
        if self._process is not None and self._process.ended is None:
            return self._process
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
            self._starting.add_done_callback(_heed)
        # Whoever waits may be cancelled; the start goes on for the others.
        return await asyncio.shield(self._starting)

    async def _start(self) -> Process:
        try:
            code = self._load()
            if self._process is not None and self._process.overran:
                await asyncio.sleep(self._falls.pause(asyncio.get_running_loop().time()))
            process = await self._pool.start(self)
            try:
                answer = await process.ask(
                    Load, code.text.decode(), code.label, code.adapter,
                    patience=self._pool.launch.load_seconds,
                )  # fmt: skip
            except Ended as end:
                raise MachineError(f"the code of the machine {end.reason}") from end
            if type(answer) is FailedWire:
                process.end("did not load")
                raise MachineError(answer.message + _below(answer.stack))
            self._process = process
            return process
        finally:
            self._starting = None

    def is_idle(self, process: Process) -> bool:
        """Nothing is asked of it, and no effect of it waits for its commit."""
        return (
            process is self._process
            and process.ended is None
            and not process.owes
            and not self._trial.is_on
            and not any(process is born_in for born_in, _ in self._births.values())
            and not any(
                process is stepped_in
                for steps in self._effects.values()
                for stepped_in, _ in steps.values()
            )
        )


class Falls:
    """How long to wait before a process is started in the place of one that was stopped."""

    def __init__(self) -> None:
        self._count = 0
        self._last = float("-inf")

    def pause(self, now: float) -> float:
        """Count one more, at `now`; the pause in seconds."""
        self._count = self._count + 1 if now - self._last < _CALM_SECONDS else 1
        self._last = now
        doubled = min(self._count - _FALLS_FREE - 1, 10)
        return 0.0 if doubled < 0 else min(_PAUSE_SECONDS * 2**doubled, _PAUSE_SECONDS_MAX)


def _heed(start: asyncio.Task[Any]) -> None:
    """Take note of how a start ended, should all who waited for it be gone."""
    if not start.cancelled():
        start.exception()


def _no(process: Process, answer: Any) -> Refused | Failed:
    if type(answer) is RefusedWire:
        return refused(answer)
    if type(answer) is FailedWire:
        return failed(answer)
    raise _violation(process)


def _violation(process: Process) -> Ended:
    process.violate()
    assert process.ended is not None
    return Ended(process.ended, guilty=False)


def _below(stack: str) -> str:
    return f"\n{stack}" if stack else ""
