"""The life of one transition: ask the machine, commit what it says, let the effects run.

A step is pure: no effect has run when it is committed, so that one which loses the race has done
nothing and is made again (S59-S61).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from smply.clock import Clock
from smply.engine.faults import deleted_meanwhile, fault_of
from smply.engine.meter import Meter
from smply.errors import ApiError, NotFound, SmplyError
from smply.runtime import (
    Code,
    Delivery,
    Host,
    Later,
    Runtime,
    Snapshot,
    StepAnswer,
    StepEvent,
    Stepped,
)
from smply.store import (
    CLAIM_MS_MAX,
    Cancel,
    Clear,
    DeliveryRow,
    NewInstance,
    Set,
    StepWrite,
    Store,
)

_INIT = b'{"type":"xstate.init"}'
"""The event of the first transition (Q11)."""

AT_ONCE = 0
"""When an undelayed send to itself is due: before every timer, however late that one is."""


class LostRace(Exception):
    """Somebody else moved the instance on, or claims it: look again and make the step anew."""


@dataclass(slots=True)
class Live:
    """What is kept of an instance between its steps; true as long as nobody else moved it.

    `claimed_by` is who claims it, and `claimed_until` when that lapses (0: nobody does).
    """

    id: int
    org: bytes
    machine: str
    name: str
    version: bytes
    status: str
    seq: int
    ts: int
    next_due: int | None
    claimed_by: bytes | None
    claimed_until: int
    host: Host | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """An event that an instance shall take. `auth` is None where no authorizer is asked (Q58)."""

    event: bytes
    auth: bytes | None
    cause: str
    delivery: DeliveryRow | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """A new instance: its row, its public answer, and whether it sent itself something at once."""

    instance: int
    answer: str
    goes_on: bool


Outcome = Stepped | ApiError


class Stepper:
    """Makes steps of instances: the only place where runtime and store meet."""

    def __init__(self, store: Store, runtime: Runtime, clock: Clock, meter: Meter) -> None:
        self._meter = meter
        self.on_owed: Callable[[], None] = lambda: None
        """Called when a step that stands has set something for later."""
        self._store = store
        self._runtime = runtime
        self._clock = clock
        self._claimant = os.urandom(16)

    async def host(self, org: bytes, version: bytes, machine: str, instance: str) -> Host:
        """The process that runs the instance of this name, of a version of the machine."""
        key = (org, version, machine, self._runtime.shard(instance))
        return await self._runtime.host(key, lambda: self._code(org, version, machine))

    async def start(
        self, new: NewInstance, machine: str, context: bytes, auth: bytes
    ) -> Started | None:
        """Make an instance and its first transition; None when its name is taken (S26).

        Raises AuthorizerRefused (S92), MachineError, NotBuilt, InvalidParameter (S57), NotFound
        when its machine goes meanwhile.
        """
        host = await self.host(new.org, new.version, machine, new.name)
        answer = await host.start(new.name, new.created_at, context, auth)
        if not isinstance(answer, Stepped):
            raise fault_of(answer, machine, new.name, None, auth)
        row = None
        try:
            first = write_of(0, new.version, answer, Ask(_INIT, auth, "client"), self._clock.now())
            row = await self._store.create_instance(new, first)
        except LookupError as exc:
            raise deleted_meanwhile(machine) from exc
        finally:
            if row is None:
                host.drop(answer.instance, answer.seq)
        if row is None:
            return None
        host.commit(answer.instance, answer.seq, row)
        self._meter.transition(new.org, first.context)
        if first.deliveries:
            self.on_owed()
        return Started(row, answer.answer, _goes_on(first))

    async def advance(self, live: Live, asks: Sequence[Ask], more: bool = True) -> list[Outcome]:
        """Make one step per ask, each on the one before, and commit them together.

        Their times rise strictly (Q13). A claim on the instance is released with them, unless
        there is `more` to come.

        Returns outcomes in order: fewer than asks when one had effects, since what it sends must
        come before the next event. Raises LostRace when the instance had moved on: what was
        refused or failed then was judged on a state that is no more.
        """
        first = max(self._clock.now(), live.ts + 1)
        events = [
            StepEvent(ts, ask.event, ask.auth, ask.cause) for ts, ask in enumerate(asks, first)
        ]
        host, answers = await self._made(live, events)
        outcomes: list[Outcome] = []
        for ask, answer in zip(asks, answers, strict=True):
            if isinstance(answer, Later):
                break
            if isinstance(answer, Stepped):
                outcomes.append(answer)
            else:
                outcomes.append(fault_of(answer, live.machine, live.name, ask.event, ask.auth))
        await self._commit(host, live, asks, outcomes, more)
        return outcomes

    def is_claimed_elsewhere(self, live: Live) -> bool:
        """Whether nobody but another engine may move the instance just now."""
        left_ms = live.claimed_until - self._clock.now()
        return 0 < left_ms <= CLAIM_MS_MAX and live.claimed_by != self._claimant

    async def claim(self, live: Live, claim_ms: int) -> bool:
        """Keep others from moving the instance for so long; 0 releases it.

        False when another was quicker. Its newest state is to be looked up after that.
        """
        now = self._clock.now()
        live.claimed_until = 0
        return await self._store.claim(live.id, self._claimant, now, now + claim_ms)

    def holds(self, live: Live) -> bool:
        """Whether this engine has claimed the instance."""
        return live.claimed_until > self._clock.now() and live.claimed_by == self._claimant

    async def _commit(
        self, host: Host, live: Live, asks: Sequence[Ask], outcomes: list[Outcome], more: bool
    ) -> None:
        steps = [
            (ask, answer)
            for ask, answer in zip(asks, outcomes, strict=False)
            if isinstance(answer, Stepped)
        ]
        if not steps:
            if not self._store.stands(live.id, live.seq):
                raise LostRace
            return
        committed = False
        try:
            now = self._clock.now()
            chain = [write_of(live.id, live.version, answer, ask, now) for ask, answer in steps]
            goes_on = more or len(outcomes) < len(asks) or any(map(_goes_on, chain))
            hold_until = live.claimed_until if goes_on and self.holds(live) else None
            committed = await self._store.commit(chain, self._claimant, now, hold_until)
        finally:
            if not committed:
                host.drop(live.id, live.seq + 1)
        if not committed:
            raise LostRace
        last = chain[-1]
        live.seq, live.ts, live.claimed_until = last.base + 1, last.ts, hold_until or 0
        # The steps stand: what cannot be read from here on keeps neither effects nor answers away.
        host.commit(live.id, live.seq)
        for write in chain:
            self._meter.transition(live.org, write.context)
        for write in chain:
            if write.deliveries or write.took:
                live.next_due = AT_ONCE
                self.on_owed()
                with contextlib.suppress(SmplyError):
                    live.next_due = self._store.next_due(live.id)
                break

    def _snapshot(self, live: Live) -> Snapshot:
        row = self._store.get_instance(live.org, live.machine, live.name)
        if row is None or (row.id, row.seq) != (live.id, live.seq):
            raise LostRace
        return Snapshot(row.value, row.context, row.rest)

    async def _made(self, live: Live, events: list[StepEvent]) -> tuple[Host, Sequence[StepAnswer]]:
        """The steps that a host makes of events, and the host."""
        try:
            host = live.host
            if host is None:
                host = live.host = await self.host(live.org, live.version, live.machine, live.name)
            return host, await host.step(
                live.id, live.name, live.seq, lambda: self._snapshot(live), events
            )
        except NotFound as exc:
            # Instance and machine are deleted; there may be others of these names by now.
            raise LostRace from exc

    def _code(self, org: bytes, version: bytes, machine: str) -> Code:
        row = self._store.get_version(org, version)
        if row is None:
            raise deleted_meanwhile(machine)
        try:
            code = self._store.get_code(org, row.code_sha256)
        except LookupError as exc:
            raise deleted_meanwhile(machine) from exc
        return Code(code, machine, row.adapter, row.xstate)


def write_of(instance: int, version: bytes, step: Stepped, ask: Ask, now: int) -> StepWrite:
    """What the store keeps of a step.

    Its timers count from its `ts`, but from `now` where that is ahead of the clock: by far,
    perhaps, if the clock was set back.
    """
    return StepWrite(
        instance=instance,
        base=step.seq - 1,
        ts=step.ts,
        value=step.value,
        context=step.context,
        rest=step.rest,
        answer=step.answer,
        tags=step.tags,
        done=step.done,
        version=version,
        event=ask.event.decode(),
        auth=None if ask.auth is None else ask.auth.decode(),
        cause=ask.cause,
        cause_id=None if ask.delivery is None else ask.delivery.id,
        patch=step.patch,
        deliveries=[_delivery(change, min(step.ts, now)) for change in step.deliveries],
        took=None if ask.delivery is None else ask.delivery.id,
    )


def _goes_on(step: StepWrite) -> bool:
    return any(type(owed) is Set and owed.due <= step.ts for owed in step.deliveries)


def _delivery(change: Delivery, now: int) -> Set | Cancel | Clear:
    match change:
        case ("set", key, delay_ms, event):
            if delay_ms is None:
                return Set(key, AT_ONCE, event, "message")
            return Set(key, now + delay_ms, event, "timer")
        case ("cancel", key):
            return Cancel(key)
        case _:
            return Clear()
