"""Ways out of the sandbox: each succeeds in a Deno with all permissions, and none in ours.

S20, Q62, Q66. What they are stands in `probes.js`.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from smply.runtime import Code, Failed, Host, RuntimeSettings, Stepped, sandbox
from tests.runtime.listener import Listener, has_ipv6, listen
from tests.runtime.support import AUTH, Lab, machine, pid_of, step, values

pytestmark = pytest.mark.anyio

PROBES = (Path(__file__).parent / "probes.js").read_text()
XSTATE = sandbox.read_manifest(sandbox.DIST).xstate
SPELLINGS = (
    "127.0.0.1", "127.1", "127.0.1", "127.0.0.1.", "2130706433", "0x7f000001", "0x7f.0.0.1",
    "0177.0.0.1", "017700000001", "127.255.255.254", "127.9.9.9", "0", "0x0", "0.0.0.0",
    "localhost", "LOCALHOST", "\uff11\uff12\uff17.0.0.1", "127\u30020\u30020\u30021",
)  # fmt: skip
SPELLINGS_6 = (
    "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[::ffff:7f09:909]",
)  # fmt: skip
INTERNALS = (
    "ext:deno_node/internal_binding/mod.ts", "ext:deno_net/03_quic.js",
    "ext:deno_websocket/02_websocketstream.js", "ext:deno_node/_fs/_fs_copy.ts",
)  # fmt: skip


@dataclass
class Range:
    """What is to be reached, and who listens there."""

    at: dict[str, Any]
    listener: Listener

    @property
    def script(self) -> str:
        return (
            re.sub("^export ", "", PROBES, flags=re.MULTILINE)
            + f"const at = {json.dumps(self.at)};\n"
        )


@pytest.fixture(scope="module")
async def around(
    anyio_backend: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Range]:
    directory = tmp_path_factory.mktemp("escape")
    (directory / "secret.json").write_text('{"secret":1}')
    (directory / "secret.js").write_text("export default 1;")
    script = "console.log(JSON.stringify((await import('node:module')).builtinModules))"
    asked = subprocess.run([sandbox.find_deno(), "eval", script], capture_output=True, check=True)
    names = [name.removeprefix("node:") for name in json.loads(asked.stdout)]
    async with listen(directory) as listener:
        yield Range(
            {
                "builtins": [f"node:{name}" for name in names],
                "internals": INTERNALS,
                "secret": str(directory / "secret.json"),
                "directory": str(directory),
                "library": _library(),
                "port": listener.port,
                "socket": str(listener.path),
                "hosts": [*SPELLINGS, *(SPELLINGS_6 if has_ipv6() else ())],
            },
            listener,
        )


def _library() -> str:
    maps = Path("/proc/self/maps")
    lines = maps.read_text().split("\n") if maps.exists() else []
    return next((line.split()[-1] for line in lines if "libc.so" in line), "libSystem.dylib")


async def in_bare_deno(around: Range, directory: Path) -> dict[str, Any]:
    script = directory / "bare.js"
    tail = "console.log(JSON.stringify(await attemptAll(probesOf(at)))); Deno.exit(0);"
    script.write_text(around.script + tail)
    child = await asyncio.create_subprocess_exec(
        sandbox.find_deno(), "run", "-A", "--quiet", "--no-config", "--no-lock",
        "--unstable-kv", "--unstable-raw-imports", "--location=http://smply.example/", str(script),
        stdout=subprocess.PIPE,
    )  # fmt: skip
    said, _ = await child.communicate()
    results: dict[str, Any] = json.loads(said.splitlines()[-1])
    return results


async def test_each_way_leads_out_of_a_bare_deno(around: Range, tmp_path: Path) -> None:
    results = await in_bare_deno(around, tmp_path)

    assert len(results) > 400
    assert {name: told for name, told in results.items() if told is not True} == {}


@pytest.fixture
async def patient(anyio_backend: str) -> AsyncIterator[Lab]:
    """A runtime that lets a module take its time."""
    lab = Lab(RuntimeSettings(step_seconds=20.0, load_seconds=30.0, processes_max=2))
    yield lab
    await lab.runtime.close(0)


async def host_of(lab: Lab, source: str) -> Host:
    """The process of a machine that nobody has checked."""
    text = source.replace("npm:xstate@5", f"npm:xstate@{XSTATE['5']}").encode()
    return await lab.runtime.host(object(), lambda: Code(text, "light", 5, XSTATE["5"]))


def got_out(results: dict[str, Any]) -> list[str]:
    assert len(results) > 400
    return [name for name, told in results.items() if told is True]


async def test_none_leads_out_of_a_module_that_is_being_loaded(around: Range, patient: Lab) -> None:
    around.listener.heard.clear()
    top = f"{around.script} const found = await attemptAll(probesOf(at));"
    host = await host_of(patient, machine(top=top, context="{ found }"))

    started = await host.start("i", 1_000, b"{}", AUTH)

    assert isinstance(started, Stepped), started
    assert got_out(json.loads(started.context)["found"]) == []
    assert around.listener.heard == []


async def test_none_leads_out_of_an_action(around: Range, patient: Lab) -> None:
    around.listener.heard.clear()
    action = """async () => {
      const found = await attemptAll(probesOf(at));
      const out = Object.keys(found).filter((name) => found[name] === true);
      console.log("out of", Object.keys(found).length, JSON.stringify(out));
    }"""
    source = machine(f"go: {{ target: 'on', actions: {action} }}", top=around.script)
    host = await host_of(patient, source)

    await step(host, 1, "go")
    host.commit(1, 2)
    await patient.runtime.close(30)

    told = [log.text for log in patient.logs if log.text.startswith("out of")]
    assert [re.sub(r"\d{3,}", "all", each) for each in told] == ["out of all []"]
    assert around.listener.heard == []


async def test_nobody_listens_where_deno_keeps_the_guard_of_imports(patient: Lab) -> None:
    """Deno pushes it to an array for each import, where an accessor would take its place."""
    top = """
    const told = [];
    const mine = { set() {}, get: () => (url) => ({ url, shortCircuit: true }) };
    for (const every of [Array.prototype, Object.prototype]) {
      for (const change of [
        () => Object.defineProperty(every, 0, mine), () => Object.setPrototypeOf(every, {}),
        () => Reflect.defineProperty(every, "0", mine) || null.refused,
        () => every.__defineGetter__("0", mine.get), () => { every.more = 1; },
      ]) {
        try { change(); told.push(`${change}`); } catch {}
      }
    }
    """
    host = await host_of(patient, machine(top=top, context="{ told }"))

    started = await host.start("i", 1_000, b"{}", AUTH)

    assert isinstance(started, Stepped)
    assert started.context == '{"told":[]}'


SPY = """
const seen = new Set();
const spy = (on, name) => {
  const own = on[name];
  let busy = false;
  on[name] = function (...given) {
    if (busy) return Reflect.apply(own, this, given);
    busy = true;
    for (let n = -1; n < given.length; n++) {
      const value = n < 0 ? this : given[n];
      if (typeof value?.closeWrite === "function") seen.add(name);
    }
    try { return Reflect.apply(own, this, given); } finally { busy = false; }
  };
};
const spyOnAll = () => {
  const methods = [
    [Array.prototype, ["join", "push", "map", "filter", "splice", "at", Symbol.iterator]],
    [Object.getPrototypeOf([].values()), ["next"]], [Promise.prototype, ["then"]],
    [Promise, ["resolve"]],
    [JSON, ["parse", "stringify"]], [TextEncoder.prototype, ["encode"]],
    [TextDecoder.prototype, ["decode"]], [Map.prototype, ["get", "set", "delete"]],
    [Object.getPrototypeOf(Uint8Array.prototype), ["subarray"]], [RegExp.prototype, ["exec"]],
    [String.prototype, ["split"]], [Function.prototype, ["bind"]],
  ];
  for (const [on, names] of methods) for (const name of names) spy(on, name);
};
"""


async def test_the_connection_is_never_shown_to_what_took_the_place_of_the_language(
    around: Range, patient: Lab, tmp_path: Path
) -> None:
    """A machine may break its own host: it is its own process, and it cannot leave it."""
    bare = tmp_path / "spy.js"
    bare.write_text(
        SPY
        + f"""spyOnAll();
    const connection = await Deno.connect({{ transport: "unix", path: "{around.listener.path}" }});
    new Map().set(1, connection);
    console.log([...seen].length);
    """
    )
    command = [sandbox.find_deno(), "run", "-A", str(bare)]
    asked = subprocess.run(command, capture_output=True, check=True)
    assert asked.stdout == b"1\n"

    off = "go: { target: 'on', actions: () => console.log([...seen].length) }"
    host = await host_of(patient, machine(off, top=f"{SPY} spyOnAll();"))
    await step(host, 1, "go")
    host.commit(1, 2)
    await patient.runtime.close(5)

    assert [log.text for log in patient.logs] == ["0"]


async def test_a_line_that_a_machine_forges_ends_its_own_process_alone(patient: Lab) -> None:
    line = '["steps",1,[["stepped",null,2,2,2000,"on",{},{},{},[],false,null,[],false]]]'
    guard = f"() => {{ Array.prototype.join = () => '{line}'; return true; }}"
    forger = await host_of(patient, machine(f"go: {{ target: 'on', guard: {guard} }}"))
    neighbour = await host_of(patient, machine())
    before = pid_of(neighbour)

    [failed] = await step(forger, 1, "go")

    assert isinstance(failed, Failed)
    assert failed.message == "machine code broke the protocol of its process and was stopped"
    assert values(await step(neighbour, 2, "toggle")) == ["on"]
    assert pid_of(neighbour) == before
