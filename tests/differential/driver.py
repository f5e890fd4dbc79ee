"""Steps machines through smply and through XState, and tells where they part.

Through smply means over the API: a real store, real processes, a clock that is moved. All runs go
in lockstep, since they share that clock; between every two steps every process is killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import Struct, convert
from msgspec.structs import asdict, replace

from smply.runtime import Runtime, sandbox
from tests.conftest import World

Event = dict[str, Any]
Step = int | Event
"""An event, or milliseconds that pass."""

ANSWER_SECONDS = 20.0
_LINE_BYTES_MAX = 1 << 24


class Moment(Struct, frozen=True):
    """What is to be seen of an instance between two steps, and what its actions said since."""

    state: Any
    states: list[str]
    tags: list[str]
    done: bool
    context: dict[str, Any]
    actions: list[str]

    def __str__(self) -> str:
        """All of it as text: two objects of one content are equal whatever the order of their keys.

        Tags are a set. XState lists them in the order in which states were entered lately.
        """
        shown = {**asdict(self), "tags": sorted(self.tags)}
        return "\n".join(f"{name}: {json.dumps(value)}" for name, value in shown.items())


@dataclass(frozen=True, slots=True)
class Run:
    """A machine and what happens to each of its instances."""

    name: str
    source: str
    scripts: Sequence[Sequence[Step]]


def script(text: str) -> list[Step]:
    """Steps written as words: `power 5s play`."""
    return [
        int(word[:-1]) * 1000 if word[:-1].isdigit() else {"type": word} for word in text.split()
    ]


class Reference:
    """XState by itself: a process that runs `reference.ts`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    @classmethod
    async def start(cls, directory: Path) -> Reference:
        """`directory` is for what Deno leaves behind."""
        manifest = sandbox.read_manifest(sandbox.DIST)
        imports = {
            f"npm:xstate@{major}": (
                sandbox.DIST / manifest.copies[f"npm:xstate@{version}"]
            ).as_uri()
            for major, version in manifest.xstate.items()
        }
        names = directory / "imports.json"
        names.write_text(json.dumps({"imports": imports}))
        process = await asyncio.create_subprocess_exec(
            sandbox.find_deno(), "run", "--quiet", "--no-prompt", "--no-config", "--no-lock",
            "--no-remote", "--no-npm", f"--import-map={names}",
            f"--allow-read={sandbox.DIST}",
            str(Path(__file__).parent / "reference.ts"),
            env=sandbox.environment(directory),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES_MAX,
        )  # fmt: skip
        return cls(process)

    async def run(self, source: str, script: Sequence[Step]) -> list[Moment]:
        """What XState makes of a script: a moment for the start and for each step."""
        async with self._turn:
            stdin, stdout = self._process.stdin, self._process.stdout
            assert stdin is not None
            assert stdout is not None
            question = json.dumps({"source": source, "script": script})
            stdin.write(question.encode() + b"\n")
            answer = json.loads(await asyncio.wait_for(stdout.readline(), ANSWER_SECONDS))
        assert "error" not in answer, answer["error"]
        return convert(answer["moments"], list[Moment])

    async def stop(self) -> None:
        self._process.kill()
        await self._process.communicate()


async def through_smply(
    world: World, runtime: Runtime, runs: Sequence[Run]
) -> list[list[list[Moment]]]:
    """What smply makes of all scripts of all runs: of each run, of each script, its moments."""
    await asyncio.gather(*(publish(world, run) for run in runs))
    pairs = [(run, n) for run in runs for n in range(len(run.scripts))]
    await asyncio.gather(*(create(world, run.name, _name(run, n)) for run, n in pairs))
    moments = [[await look(world, run.name, _name(run, n))] for run, n in pairs]
    for steps in zip(*(run.scripts[n] for run, n in pairs), strict=True):
        assert await kill_processes(runtime, world.org) == len(runs)
        world.logs.clear()
        world.clock.time += _passing(steps)
        seen = await asyncio.gather(
            *(take(world, run.name, _name(run, n), step)
              for (run, n), step in zip(pairs, steps, strict=True))
        )  # fmt: skip
        for each, moment in zip(moments, seen, strict=True):
            each.append(moment)
    assert not world.notices
    of_scripts = iter(moments)
    return [[next(of_scripts) for _ in run.scripts] for run in runs]


async def kill_processes(runtime: Runtime, org: bytes) -> int:
    """Kill the processes of an org's machines, and see them gone; returns how many there were."""
    assert runtime._pool is not None
    living = [
        process
        for process, host in runtime._pool._lent.items()
        if process.ended is None and isinstance(host.key, tuple) and host.key[0] == org
    ]
    for process in living:
        assert process._child is not None
        os.kill(process._child.pid, signal.SIGKILL)
    for process in living:
        await process.wait()
    return len(living)


async def alone_through_smply(world: World, run: Run) -> list[Moment]:
    """What smply makes of the one script of a run whose processes are left alone."""
    [script] = run.scripts
    await publish(world, run)
    await create(world, run.name, run.name)
    moments = [await look(world, run.name, run.name)]
    for step in script:
        if isinstance(step, int):
            world.clock.time += step
        seen = await take(world, run.name, run.name, step)
        before = sum(len(moment.actions) for moment in moments)
        moments.append(replace(seen, actions=seen.actions[before:]))
    return moments


def _name(run: Run, n: int) -> str:
    return f"{run.name}-{n}"


def _passing(steps: Sequence[Step]) -> int:
    passing = {step if isinstance(step, int) else 0 for step in steps}
    assert len(passing) == 1, "time passes for all at once"
    return passing.pop()


async def publish(world: World, run: Run) -> None:
    await world.client.machines.create(run.name)
    await world.client.versions.create(run.name, run.source.encode(), make_current=True)


async def create(world: World, machine: str, name: str) -> None:
    await world.client.instances.create(machine, name)


async def take(world: World, machine: str, name: str, step: Step) -> Moment:
    if not isinstance(step, int):
        await world.client.instances.send(machine, name, step)
    return await look(world, machine, name)


async def look(world: World, machine: str, name: str) -> Moment:
    # The process answers this read after it has run all actions and told what they said.
    shown = await world.client.instances.get(machine, name)
    admin = await world.client.instances.get_admin(machine, name)
    assert (admin.state, admin.tags, admin.done) == (shown.state, shown.tags, shown.done)
    said = [log.text for log in world.logs if log.name == name]
    return Moment(shown.state, shown.states, shown.tags, shown.done, admin.context, said)


async def differences(
    world: World, runtime: Runtime, reference: Reference, runs: Sequence[Run], directory: Path
) -> list[str]:
    """Where smply and XState part in these runs; the machines of those are kept in `directory`."""
    all_ours = await through_smply(world, runtime, runs)
    found = []
    for run, ours in zip(runs, all_ours, strict=True):
        kept = directory / f"{run.name}.js"
        for n, script in enumerate(run.scripts):
            theirs = await reference.run(run.source, script)
            place = first_difference(ours[n], theirs)
            if place is None:
                continue
            kept.write_text(run.source)
            found.append(
                f"{kept} with {json.dumps(script)}, after step {place} of them\n"
                f"XState:\n{theirs[place]}\nsmply:\n{ours[n][place]}\n"
            )
    return found


def first_difference(ours: Sequence[Moment], theirs: Sequence[Moment]) -> int | None:
    """The step after which two runs part; 0 is the start, None means nowhere."""
    pairs = enumerate(zip(ours, theirs, strict=True))
    return next((at for at, (our, their) in pairs if str(our) != str(their)), None)
