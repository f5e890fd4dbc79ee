"""A host that says what it should not is not believed; it is stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from smply.errors import SmplyError, Unavailable
from smply.runtime import Code, Failed, Host, Runtime, RuntimeSettings, Stepped
from tests.runtime.support import OFF, event, pid_of

pytestmark = pytest.mark.anyio

CODE = Code(b"", "light", 5, "5.33.3")
BROKEN = Failed(
    "machine-error", "machine code broke the protocol of its process and was stopped", ""
)
STEPPED = '["stepped",null,{instance},{seq},{ts},"on",{{}},{{}},{{}},[],false,null,[],false]'
GOOD = STEPPED.format(instance=1, seq=2, ts=2_000)

# A host that greets, loads, and answers each step as the test says.
HOST = """
const socket = await Deno.connect({ transport: "unix", path: Deno.args[0] });
// A character is a byte, so that a test can say any.
const bytes = (text) => Uint8Array.from(text + "\\n", (character) => character.charCodeAt(0));
const write = (text) => socket.write(bytes(text));
const chunk = new Uint8Array(65536);
await write('[["hello",GREETING]]');
for (;;) {
  const count = await socket.read(chunk);
  if (count === null) break;
  for (const [name, call] of JSON.parse(new TextDecoder().decode(chunk.subarray(0, count)))) {
    if (name === "load") await write(`[["loaded",${call}]]`);
    if (name === "step") await write(`ANSWER`);
  }
}
"""


@pytest.fixture
def forge(tmp_path: Path) -> Callable[..., Runtime]:
    """A runtime whose host is a forged one."""

    def forged(answer: str = "", greeting: str = '1,"abc"') -> Runtime:
        manifest = {"protocol": 1, "host": "abc", "xstate": {}, "copies": {}, "builtins": ["fs"]}
        (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        host = HOST.replace("ANSWER", answer).replace("GREETING", greeting)
        (tmp_path / "host.js").write_text(host)
        return Runtime(RuntimeSettings(dist=tmp_path, step_seconds=5), lambda *_: None)

    return forged


async def ask(host: Host) -> object:
    [answer] = await host.step(1, "one", 1, lambda: OFF, [event("toggle")])
    return answer


@pytest.mark.parametrize("greeting", ['2,"abc"', '1,"def"'])
async def test_another_host_than_the_installed_one_means_a_restart(
    forge: Callable[..., Runtime], greeting: str
) -> None:
    runtime = forge(greeting=greeting)

    with pytest.raises(Unavailable) as refused:
        await runtime.host("key", lambda: CODE)

    assert refused.value.message == "smply was upgraded under a running server: restart it"
    await runtime.close()


async def test_an_honest_answer_of_the_forged_host_is_believed(
    forge: Callable[..., Runtime],
) -> None:
    runtime = forge(f'[["steps",${{call}},[{GOOD}]]]')

    assert not isinstance(await ask(await runtime.host("key", lambda: CODE)), Failed)

    await runtime.close()


@pytest.mark.parametrize(
    "answer",
    [
        "not JSON",
        '[["steps",${call},[' + "[" * 5_000 + "]" * 5_000 + "]]]",
        "{}",
        '[["shout",${call}]]',
        '[["steps",${call + 1},[]]]',
        '[["steps",${call},[]]]',
        f'[["steps",${{call}},[{GOOD},{GOOD}]]]',
        '[["steps",${call},[' + STEPPED.format(instance=2, seq=2, ts=2_000) + "]]]",
        '[["steps",${call},[' + STEPPED.format(instance=1, seq=3, ts=2_000) + "]]]",
        '[["steps",${call},[' + STEPPED.format(instance=1, seq=2, ts=9_000) + "]]]",
        '[["steps",${call},[' + GOOD.replace('"on",{}', '"on",[]') + "]]]",
        '[["steps",${call},[["failed",null,2,"no-such-kind","",""]]]]',
        '[["steps",${call},[["refused",null,"maybe","",""]]]]',
        '[["loaded",${call}]]',
        '[["hello",1,"abc"]]',
        '[["log",1,"one","nowhere","stdout","text"]]',
        '[["steps",${call},[["later","and more"]]]]',
        '[["miss",${call}]]',
        '[["steps",' + "9" * 400 + f",[{GOOD}]]]",
        '[["steps",${call},[' + STEPPED.format(instance=1, seq="9" * 40, ts=2_000) + "]]]",
        '[["steps",${call},[' + STEPPED.format(instance=1, seq="2.5", ts=2_000) + "]]]",
        *(
            '[["steps",${call},[' + GOOD.replace("null,[],false", f"null,[{owed}],false") + "]]]"
            for owed in (
                '["set",null,-1,{"type":"x"}]',
                '["set",null,9223372036854775807,{"type":"x"}]',
                '["set",null,1e300,{"type":"x"}]',
                '["set",null,1,17]',
                '["cancel",null]',
                '["clear",1]',
            )
        ),
        '[["steps",${call},[' + GOOD.replace("{},{},{},[]", "{},[],{},[]") + "]]]",
        '[["steps",${call},[' + GOOD.replace("{},{},{},[]", "{},{},17,[]") + "]]]",
        '[["steps",${call},[' + GOOD.replace("{},{},{},[]", "{},{},{},{}") + "]]]",
        '[["steps",${call},[' + GOOD.replace("false,null,[]", 'false,"x",[]') + "]]]",
        '[["steps",${call},[' + GOOD.replace('"on",{}', '"on",{"x":"\\xff"}') + "]]]",
        '[["steps",${call},[' + GOOD.replace('"on",{}', '"on",{"x":NaN}') + "]]]",
        '[["steps",${call},[' + GOOD.replace('"on",{}', '"on",{"x":"\\\\ud800"}') + "]]]",
        '[["log",1,"' + "x" * 129 + '","action","stdout","text"]]',
        '[["log",1,"\\\\u001b[2J","action","stdout","text"]]',
    ],
)
async def test_an_answer_that_breaks_the_protocol_ends_the_process(
    forge: Callable[..., Runtime], answer: str
) -> None:
    runtime = forge(answer)

    assert await ask(await runtime.host("key", lambda: CODE)) == BROKEN

    await runtime.close()


@pytest.mark.parametrize("more", [f'["steps",${{call}},[{GOOD}]]', '["finished",${call},[]]'])
async def test_what_it_says_after_its_answer_ends_it_and_the_answer_stands(
    forge: Callable[..., Runtime], more: str
) -> None:
    runtime = forge(f'[["steps",${{call}},[{GOOD}]],{more}]')
    host = await runtime.host("key", lambda: CODE)
    first = pid_of(host)

    assert isinstance(await ask(host), Stepped)
    assert isinstance(await ask(host), Stepped)

    assert pid_of(host) != first
    await runtime.close()


async def test_an_installation_without_its_host_says_so(tmp_path: Path) -> None:
    runtime = Runtime(RuntimeSettings(dist=tmp_path), lambda *_: None)

    with pytest.raises(SmplyError, match="installed without its JavaScript host"):
        await runtime.host("key", lambda: CODE)
