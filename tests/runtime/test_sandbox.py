"""What machine code finds in its process, and how much of it (S19, S20, Q66).

`test_escape.py` tries the ways out, `test_network.py` whom it may talk to.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import pytest

from smply.runtime import Failed
from tests.runtime.support import Lab, machine, pid_of, step, values

pytestmark = pytest.mark.anyio


async def evaluate(lab: Lab, expression: str) -> Any:
    """What an expression gives while the module loads, or the text of what it throws."""
    top = f"""
let found;
try {{ found = await ({expression}); }} catch (error) {{ found = `threw ${{error}}`; }}
"""
    context = await lab.context_of(machine(top=top, context="{ found: found ?? null }"))
    return json.loads(context)["found"]


async def test_the_environment_holds_what_q66_says(lab: Lab) -> None:
    assert await evaluate(lab, "JSON.stringify(process)") == '{"env":{"NODE_ENV":"production"}}'


async def test_no_global_name_leads_back_to_deno(lab: Lab) -> None:
    found = await evaluate(
        lab,
        """Object.getOwnPropertyNames(globalThis).filter((name) =>
             /deno|bootstrap|worker|storage|require|gpu|performance.|immediate/i.test(name))""",
    )

    assert found == ["PerformanceEntry"]


async def test_the_web_platform_of_s19_is_there(lab: Lab) -> None:
    found = await evaluate(
        lab,
        """["fetch", "Promise", "TextEncoder", "TextDecoder", "URL", "URLSearchParams",
            "crypto", "FormData", "CompressionStream", "Blob", "WebAssembly", "structuredClone",
            "AbortController", "WebSocket", "EventSource", "queueMicrotask", "setTimeout"]
             .filter((name) => typeof globalThis[name] === "undefined")""",
    )

    assert found == []


async def test_code_from_strings_works_and_imports_our_copies_alone(lab: Lab) -> None:
    """ECMAScript has it (S19), and validators that compile their schemas need it."""
    found = await evaluate(
        lab,
        """Promise.all([
             new Function("a", "return a + 1")(1), (0, eval)("1 + 1"),
             eval('import("npm:xstate@5.33.3")').then((m) => typeof m.createMachine),
             eval('import("npm:xstate@4.38.3/lib/actions")').then((m) => typeof m.assign),
             eval('import("data:text/javascript,0")').catch((error) => error.message.slice(0, 44)),
           ])""",
    )

    no = 'Unsupported scheme "machines-cannot-import" '
    assert found == [2, 2, "function", "function", no]


async def test_timers_are_numbers_that_can_be_cleared(lab: Lab) -> None:
    found = await evaluate(
        lab,
        """new Promise((resolve) => {
             const told = [];
             const kept = setTimeout(() => told.push("kept"), 1);
             const cleared = setTimeout(() => told.push("cleared"), 1);
             const again = setInterval(() => told.push("again") && clearInterval(again), 1);
             clearTimeout(cleared);
             const ids = [kept, cleared, again].map((id) => typeof id);
             setTimeout(() => resolve([...new Set(ids), ...told.sort()]), 20);
           })""",
    )

    assert found == ["number", "again", "kept"]


async def test_array_buffers_end_where_the_heap_limit_does_not_reach(lab: Lab) -> None:
    hoard = 'fill: { target: "on", guard: () => hoard() }'
    top = """
const kept = [];
function hoard() { for (let n = 0; n < 40; n++) kept.push(new Uint8Array(50_000_000).fill(1)); }
"""
    host = await lab.host(machine(hoard, top=top))

    [answer] = await step(host, 1, "fill")

    assert isinstance(answer, Failed)
    assert answer.kind == "machine-error"
    assert values(await step(host, 2, "toggle")) == ["on"]


async def test_a_stopwatch_of_the_console_shows_whole_milliseconds(lab: Lab) -> None:
    """S20: whoever takes the place of the language sees what it prints."""
    found = await evaluate(
        lab,
        """(() => {
             const seen = [];
             const { replace } = String.prototype;
             String.prototype.replace = function (...given) {
               seen.push(`${this}`);
               return replace.apply(this, given);
             };
             console.time("a");
             for (let n = 0; n < 100_000; n++);
             console.timeLog("a", "so far");
             console.timeEnd("a");
             console.timeEnd("a");
             String.prototype.replace = replace;
             return [...new Set(seen.map((text) => text.replace(/\\d+/, "n").trim()))];
           })()""",
    )

    assert found == ["a: nms so far", "a: nms", "Timer 'a' does not exist"]


async def test_cryptography_takes_one_thread_at_most(lab: Lab) -> None:
    """No watchdog sees what a thread does, and many would take the CPU of all others."""
    hoard = """hoard: { target: "on", actions: async () => {
      const name = "PBKDF2", salt = new Uint8Array(8);
      const key = await crypto.subtle.importKey("raw", salt, name, false, ["deriveBits"]);
      const how = { name, salt, hash: "SHA-512", iterations: 2 ** 32 - 1 };
      for (let n = 0; n < 20; n++) void crypto.subtle.deriveBits(how, key, 256);
      console.log("begun");
    } }"""
    host = await lab.host(machine(hoard))
    process = host._process
    assert process is not None
    before = threads_of(pid_of(host))
    await step(host, 1, "hoard")
    host.commit(1, 2)

    async with asyncio.timeout(5):
        while not lab.logs:
            await asyncio.sleep(0.02)

    assert threads_of(pid_of(host)) < before + 10
    process.stop("was stopped")


async def test_cryptography_goes_on_after_what_failed(lab: Lab) -> None:
    found = await evaluate(
        lab,
        """Promise.all(
             ["SHA-1", "odd", "SHA-256"].map((name) =>
               crypto.subtle.digest(name, new Uint8Array(9)).then((it) => it.byteLength, String)
             ),
           )""",
    )

    assert found == [20, "NotSupportedError: Algorithm 'odd' is not supported", 32]


def threads_of(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task")) if sys.platform == "linux" else 0
