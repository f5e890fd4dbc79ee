"""What machine code cannot do (S19, S20, Q62, Q66)."""

from __future__ import annotations

import asyncio
import json
import subprocess
from typing import Any

import pytest

from smply.runtime import Failed, sandbox
from tests.runtime.support import Lab, machine, step, values

pytestmark = pytest.mark.anyio

# The check refuses an `import(…)` that it sees, so these tests hide theirs.
HIDDEN = 'const load = new Function("u", "o", "return import(u, o)");'


async def evaluate(lab: Lab, expression: str) -> Any:
    """What an expression gives while the module loads, or the text of what it throws."""
    top = f"""{HIDDEN}
let found;
try {{ found = await ({expression}); }} catch (error) {{ found = `threw ${{error}}`; }}
"""
    context = await lab.context_of(machine(top=top, context="{ found: found ?? null }"))
    return json.loads(context)["found"]


@pytest.mark.parametrize(
    "expression",
    [
        'fetch("file:///etc/passwd").then((r) => r.text())',
        'load("file:///etc/passwd", { with: { type: "text" } }).then((m) => m.default)',
        'load("/etc/passwd", { with: { type: "bytes" } })',
        'WebAssembly.compileStreaming(fetch("file:///etc/passwd"))',
        'new EventSource("file:///etc/passwd").readyState || Promise.reject("closed")',
        'new Function("return Deno.readTextFileSync")()',
        "Deno.env.toObject()",
        'load("ext:core/ops")',
        'load("ext:runtime/90_deno_ns.js")',
        'load("npm:lodash")',
        'load("jsr:@std/path")',
        'load("https://deno.land/std/version.ts")',
        'load("node:process").then((p) => p.env)',
        'load("NODE:fs")',
        'load("fs")',
        'new Worker("data:text/javascript,0")',
        "localStorage.length",
        "caches.open('x')",
        "process.exit(1)",
        "process.env.constructor.constructor('return Deno')()",
        "Buffer.from('x')",
    ],
)
async def test_machine_code_reaches_nothing_outside_its_process(lab: Lab, expression: str) -> None:
    found = await evaluate(lab, expression)

    assert str(found).startswith("threw "), found


@pytest.mark.parametrize(
    ("url", "flag"),
    [
        ("https://deno.land/x/a.ts", "--no-remote"),
        ("jsr:@std/path", "--no-remote"),
        ("npm:lodash", "--no-npm"),
    ],
)
async def test_remote_code_is_refused_by_a_flag_and_not_for_want_of_a_network(
    lab: Lab, url: str, flag: str
) -> None:
    assert f"{flag} is specified" in await evaluate(lab, f'load("{url}")')


async def test_no_module_of_node_loads_under_any_of_its_names(lab: Lab) -> None:
    script = "console.log(JSON.stringify((await import('node:module')).builtinModules))"
    asked = subprocess.run([sandbox.find_deno(), "eval", script], capture_output=True, check=True)
    names = [name.removeprefix("node:") for name in json.loads(asked.stdout)]
    urls = [prefix + name for name in names for prefix in ("", "node:")]

    loaded = await evaluate(
        lab,
        f"""Promise.all({urls}.map((url) => load(url).then(() => url, () => null)))
            .then((all) => all.filter((url) => url !== null))""",
    )

    assert len(names) > 60
    assert loaded == []


async def test_an_address_that_listens_hears_nothing(lab: Lab) -> None:
    heard: list[str] = []

    def hear(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append("a connection")
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    urls = [f"http://{host}:{port}" for host in ("127.0.0.1", "localhost", "0.0.0.0")]

    found = await evaluate(
        lab,
        f"""Promise.all({urls}.map((url) => Promise.any([
              fetch(url),
              new Promise((open, fail) => {{
                const socket = new WebSocket(url.replace("http", "ws"));
                socket.onopen = open;
                socket.onerror = fail;
              }}),
            ]).then(() => url, () => "refused")))""",
    )
    server.close()

    assert found == ["refused"] * 3
    assert heard == []


async def test_the_environment_holds_what_q66_says(lab: Lab) -> None:
    assert await evaluate(lab, "JSON.stringify(process)") == '{"env":{"NODE_ENV":"production"}}'


async def test_no_global_name_leads_back_to_deno(lab: Lab) -> None:
    found = await evaluate(
        lab,
        """Object.getOwnPropertyNames(globalThis).filter((name) =>
             /deno|bootstrap|worker|storage|require/i.test(name))""",
    )

    assert found == []


async def test_the_web_platform_of_s19_is_there(lab: Lab) -> None:
    found = await evaluate(
        lab,
        """["fetch", "Promise", "TextEncoder", "TextDecoder", "URL", "URLSearchParams",
            "crypto", "FormData", "CompressionStream", "Blob", "WebAssembly", "structuredClone",
            "AbortController"]
             .filter((name) => typeof globalThis[name] === "undefined")""",
    )

    assert found == []


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
