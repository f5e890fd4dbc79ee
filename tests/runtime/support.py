"""Machines made of a few words, and a runtime that hears what they say."""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from smply.runtime import (
    Code,
    Host,
    Log,
    Runtime,
    RuntimeSettings,
    Snapshot,
    StepAnswer,
    StepEvent,
    Stepped,
)

AUTH = b'{"sub":"a"}'
OFF = Snapshot('"off"', "{}", '{"status":"active"}')
OFF_4 = Snapshot(
    '"off"',
    "{}",
    '{"_event":{"name":"x","data":{"type":"x"},"$$type":"scxml","type":"external"}}',
)

_keys = itertools.count()


def machine(off: str = "", *, top: str = "", allow_read: str = "true", context: str = "{}") -> str:
    """A light in XState 5; `off` are more transitions of the state off, `top` code above it."""
    return f"""
import {{ createMachine, assign }} from "npm:xstate@5";
{top}
export const allowRead = ({{ authContext }}) => {allow_read};
export const allowWrite = () => true;
export default createMachine({{
  id: "light",
  context: {context},
  initial: "off",
  states: {{ off: {{ on: {{ toggle: "on", {off} }} }}, on: {{ on: {{ toggle: "off" }} }} }},
}});
"""


def machine4(off: str, *, top: str = "", predictable: bool = True) -> str:
    """A light in XState 4; `off` are more transitions of the state off."""
    return f"""
import {{ createMachine, assign, actions, send }} from "npm:xstate@4";
const {{ raise }} = actions;
{top}
export const allowRead = () => true;
export const allowWrite = () => true;
export default createMachine({{
  predictableActionArguments: {str(predictable).lower()},
  id: "light", context: {{}}, initial: "off",
  states: {{ off: {{ on: {{ {off} }} }}, on: {{}} }},
}});
"""


FORGE = """
// Writes to Python in place of the host: what `forged` makes of each line, or that very line.
let forged = null;
const { encode } = TextEncoder.prototype;
TextEncoder.prototype.encode = function (line) {
  return encode.call(this, typeof forged === "function" ? forged(line) : forged ?? line);
};
const speak = () => console.log("x");
"""


def event(type: str, ts: int = 2_000, **fields: str) -> StepEvent:
    return StepEvent(ts, f'{{"type":"{type}"}}'.encode(), AUTH, "client")


def unknown() -> Snapshot:
    raise AssertionError("the process should have known the state")


@dataclass
class Lab:
    """A runtime, what its machines logged, and how often it loaded one into a process."""

    settings: RuntimeSettings
    logs: list[Log] = field(default_factory=list)
    loads: int = 0

    def __post_init__(self) -> None:
        self.runtime = Runtime(self.settings, self._hear)

    def _hear(self, _key: Hashable, log: Log) -> None:
        self.logs.append(log)

    async def code(self, source: str) -> Code:
        checked = await self.runtime.check(source.encode(), "light")
        return Code(checked.code, "light", checked.adapter, checked.xstate)

    async def host(self, source: str) -> Host:
        code = await self.code(source)

        def load() -> Code:
            self.loads += 1
            return code

        return await self.runtime.host(next(_keys), load)

    async def context_of(self, source: str) -> str:
        """The context that a machine starts with, as JSON."""
        host = await self.host(source)
        started = await host.start("i", 1_000, b"{}", AUTH)
        assert isinstance(started, Stepped), started
        host.drop(started.instance, started.seq)
        return started.context


async def step(host: Host, instance: int, *types: str, base: int = 1) -> list[StepAnswer]:
    """Events to an instance that is off, each a millisecond after the one before."""
    events = [event(type, 2_000 + n) for n, type in enumerate(types)]
    return await host.step(instance, f"light-{instance}", base, lambda: OFF, events)


def values(answers: list[StepAnswer]) -> list[Any]:
    """What became of each event: the state's value, or the kind of answer."""
    return [
        each.value.strip('"') if isinstance(each, Stepped) else type(each).__name__.lower()
        for each in answers
    ]


def pid_of(host: Host) -> int:
    """The process behind a host: which one it is shows whether it was replaced."""
    process = host._process
    assert process is not None
    assert process._child is not None
    return process._child.pid
