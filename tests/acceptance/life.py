"""The life of a machine and an instance, in a process that may be killed at each of its writes.

    python -m tests.acceptance.life

reads cases, one JSON object a line, and runs each in a forked child; it answers with its status.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

import httpx

from smply.api import Audit, create_app
from smply.client import AsyncClient
from smply.engine import Engine, EngineSettings
from smply.errors import Conflict
from smply.identity import LocalIdentity
from smply.runtime import Runtime, RuntimeSettings
from tests.acceptance.crash import open_dying
from tests.conftest import ManualClock, no_access

START = 1_800_000_000_000
RETRY = 30_000

CODE = b"""
import { assign, createMachine, sendTo } from "npm:xstate@5";
const remember = assign({
  public: ({ context, event }) => ({ seen: [...context.public.seen, event.type] }),
});
const say = ({ context }) => console.log(context.public.seen.length);
const greet = sendTo(({ self }) => self, { type: "hello" });
const never = () => { throw new Error("never"); };
export const allowRead = () => true;
export const allowWrite = () => true;
export default createMachine({
  id: "life",
  context: { public: { seen: [] } },
  initial: "waiting",
  entry: [remember, say, greet],
  on: {
    hello: { actions: [remember, say] },
    poke: { actions: [remember, say] },
    echo: { actions: [remember, say, greet] },
  },
  states: {
    waiting: { after: { 10000: { target: "rung", actions: [remember, say] } } },
    rung: { after: { 10000: { guard: never, target: "waiting" } } },
  },
});"""


@dataclass(frozen=True)
class Step:
    """Something a client does at a time; the events that it brings about, in order.

    `sends`: doing it again brings them about again.
    """

    at: int
    do: Callable[[AsyncClient], Awaitable[object]]
    events: tuple[str, ...] = ()
    sends: bool = False


def _event(at: int, kind: str, *more: str) -> Step:
    return Step(
        at, lambda client: client.instances.send("life", "one", kind, act={}), (kind, *more), True
    )


def _look(at: int, *events: str) -> Step:
    return Step(at, lambda client: client.instances.get_admin("life", "one"), events)


PUBLISH = (
    Step(0, lambda client: client.machines.create("life")),
    Step(0, lambda client: client.versions.create("life", CODE, make_current=True)),
)
LIVE = (
    Step(
        0,
        lambda client: client.instances.create("life", "one", act={}),
        ("xstate.init", "hello"),
    ),
    _event(1_000, "poke"),
    _event(2_000, "echo", "hello"),
    _look(10_500, "xstate.after.10000.life.waiting"),
    _look(21_000),
    _look(21_000 + RETRY),
    _event(22_000 + RETRY, "poke"),
)
STEPS = (*PUBLISH, *LIVE)
"""The timer of `rung` fails twice and is parked then."""


@dataclass(frozen=True)
class Case:
    """Do the steps from `first` on, until write number `at`, or (0) to the end."""

    data: str
    out: str
    first: int
    last: int
    at: int = 0
    when: str = "after"


async def live(case: Case, out: TextIO) -> None:
    def tell(**what: object) -> None:
        print(json.dumps(what), file=out, flush=True)

    clock = ManualClock(START)
    store = await open_dying(Path(case.data), START, case.at, case.when)
    runtime = Runtime(RuntimeSettings(), lambda _key, log: tell(effect=int(log.text)))
    settings = EngineSettings(deliver_on_read=True, delivery_attempts_max=2)
    engine = Engine(store, runtime, clock, settings, lambda _: None)
    app = create_app(
        engine,
        LocalIdentity(store.owner(), no_access),
        Audit(store.accounts.add_audit, clock),
        "http://test.smply",
    )
    transport = httpx.ASGITransport(app=app)
    async with AsyncClient("http://test.smply", transport=transport) as client:
        for number in range(case.first, case.last):
            step = STEPS[number]
            clock.time = START + step.at
            # Only a creation that had been made before it was killed conflicts.
            with suppress(*[Conflict] if number == case.first else []):
                await step.do(client)
            tell(done=number)
    await runtime.close()
    await store.close()
    tell(writes=store.writes)


def main() -> None:
    for line in sys.stdin:
        case = Case(**json.loads(line))
        child = os.fork()
        if child == 0:
            # One that never ends is a failure, and outlives nobody.
            signal.alarm(20)
            with open(case.out, "a") as out:
                asyncio.run(live(case, out))
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def as_line(case: Case) -> str:
    return json.dumps(asdict(case)) + "\n"


if __name__ == "__main__":
    main()
