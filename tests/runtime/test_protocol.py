"""A host that says what it should not is not believed; it is stopped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smply.errors import SmplyError, Unavailable
from smply.runtime import Code, Failed, Host, Log, Runtime, RuntimeSettings, Stepped, sandbox
from smply.runtime.children import Home
from smply.runtime.pool import Pool
from smply.runtime.process import Ended, Launch, Process
from smply.runtime.trial import Run, StepAnswer
from tests.conftest import TIMES
from tests.runtime.support import OFF, event, pid_of

pytestmark = pytest.mark.anyio

CODE = Code(b"", "light", 5, "5.33.3")
BROKEN = Failed(
    "machine-error", "machine code broke the protocol of its process and was stopped", ""
)
STEPPED = '["stepped",null,{instance},{seq},{ts},"on",{{}},{{}},{{}},[],false,null,[],false]'
GOOD = STEPPED.format(instance=1, seq=2, ts=2_000)
LARGE = '${"x".repeat(400_000)}'


def bad(good: str, bad: str) -> str:
    """A step with something else in it than there should be."""
    assert good in GOOD
    return f'[["steps",${{call}},[{GOOD.replace(good, bad, 1)}]]]'


# A host that greets, loads, and answers each step as the test says.
HOST = """
const socket = await Deno.connect({ transport: "unix", path: Deno.args[0] });
// A character is a byte, so that a test can say any.
const write = async (text) => {
  let bytes = Uint8Array.from(text + "\\n", (character) => character.charCodeAt(0));
  while (bytes.length) bytes = bytes.subarray(await socket.write(bytes));
};
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

    def forged(answer: str = "", greeting: str = '1,"abc"', step_seconds: float = 5) -> Runtime:
        manifest = {"protocol": 1, "host": "abc", "xstate": {}, "copies": {}, "builtins": ["fs"]}
        (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        host = HOST.replace("ANSWER", answer).replace("GREETING", greeting)
        (tmp_path / "host.js").write_text(host)
        return Runtime(RuntimeSettings(dist=tmp_path, step_seconds=step_seconds), lambda *_: None)

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
        '[["steps",${call},[["later"]]]]',
        "[]",
        # Beyond what a line may have.
        f'[["steps",${{call}},[${{" ".repeat(17 << 20)}}{GOOD}]]]',
        # Sizes, kinds and numbers that the host lets no machine bring about.
        bad('"on",{}', f'"on",{{"text":"{LARGE}"}}'),
        bad('"on"', f'"{LARGE}"'),
        bad("null,[]", f'null,[["set",null,1,{{"type":"{LARGE}"}}]]'),
        bad("null,[]", 'null,[${Array(1001).fill(`["clear"]`)}]'),
        bad("null,[]", 'null,[["set",null,1e20,{"type":"x"}]]'),
        bad("null,[]", f'null,[["set",null,{10**20},{{"type":"x"}}]]'),
        bad("null,[]", 'null,[["set",null,-1,{"type":"x"}]]'),
        bad("null,[]", 'null,[["set",null,1,"x"]]'),
        bad('"on"', "7"),
        bad("{},{},{}", "{},7,{}"),
        bad("[],false,null", '["a"],false,"patch"'),
        # A flood that the host would have held back.
        '[${Array(1 << 18).fill(`["log",1,"one","guard","stdout",""]`)}]',
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


async def test_what_only_says_that_it_lives_does_not_live_on(
    forge: Callable[..., Runtime],
) -> None:
    """Q61: the host says so once for a message, and whoever holds a process holds a place."""
    more = "${setInterval(() => write('[[\"alive\"]]'), 100) && ''}"
    runtime = forge(f'[["alive"]]{more}', step_seconds=0.4)

    answer = await asyncio.wait_for(ask(await runtime.host("key", lambda: CODE)), 5)

    assert answer == Failed(
        "machine-error", "machine code ran longer than 0.4 s and was stopped", ""
    )
    await runtime.close()


async def test_an_installation_without_its_host_says_so(tmp_path: Path) -> None:
    runtime = Runtime(RuntimeSettings(dist=tmp_path), lambda *_: None)

    with pytest.raises(SmplyError, match="installed without its JavaScript host"):
        await runtime.host("key", lambda: CODE)


@pytest.mark.parametrize(
    "flood",
    [b'[["alive"]]\n' * 2_000, (b'[["alive"]' + b" " * (1 << 20) + b"]\n") * 26, b"[]\n"],
)
def test_a_flood_that_says_nothing_ends_the_process_that_sends_it(
    launch: Launch, flood: bytes
) -> None:
    """To read it takes the event loop that serves everybody."""
    process, _ = asyncio.run(hear(launch, flood))

    assert process.ended == "broke the protocol of its process and was stopped"


# Real lines, as the host writes them, with something wrong in them.

REST = '{"status":"active"}'
ANSWER = '{"ts":2000,"state":"on","tags":["é"],"done":false,"states":["on"]}'
SAID = [
    f'[["steps",1,[["stepped",null,1,2,2000,"on",{{"n":1}},{REST},{ANSWER},["é"],false,null,'
    f'[["set","a",9,{{"type":"x"}}],["cancel","b"],["clear"]],true],["later"]]]]',
    f'[["alive"],["steps",1,[["refused",null,"threw","Error: é",""],["stepped",null,1,2,2001,'
    f'{{"a":"b"}},{{"n":1}},{REST},{ANSWER},[],false,{{"n":1}},[],false]]]]',
    '[["log",1,"one","guard","stdout","é"],["steps",1,[["failed",null,2,"machine-error","é",""],'
    '["failed",null,2,"context-too-large","",""]]]]',
    '[["miss",1]]',
]
PIECES = st.sampled_from(
    [
        b"null", b"-1", b"2", b"9" * 400, b"1e400", b"{", b"}", b"[", b"]", b'"', b",", b"\xff",
        b"\xc3", b'"\\ud83d"', b"true", b"\n", b'["later"]', b'["alive"],', b'["miss",1],',
        b"[" * 2000,
        b'["log",null,null,"load","stderr",""],', b'["set",null,1,{}],', b"\x00", b"NaN",
    ]
)  # fmt: skip


VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        1,
        2,
        3,
        10**20,
        1.5,
        "",
        "on",
        "é",
        "\ud83d",
        {},
        {"a": 1},
        [],
        [[]],
        ["later"],
    ]
)


@st.composite
def cut_up(draw: st.DrawFn) -> bytes:
    """A line with other bytes somewhere in it."""
    line = draw(st.sampled_from(SAID)).encode()
    start = draw(st.integers(0, len(line)))
    end = min(len(line), start + draw(st.integers(0, 12)))
    other = draw(PIECES | st.binary(max_size=2) | st.just(line[start:end] * 2))
    return line[:start] + other + line[end:] + b"\n"


@st.composite
def twisted(draw: st.DrawFn) -> bytes:
    """A line that is JSON still, with another value in one place, or one more, or one less."""
    messages = json.loads(draw(st.sampled_from(SAID)))
    place = draw(st.sampled_from(list(lists_in(messages))))
    at = draw(st.integers(0, len(place) - 1))
    place[at : at + draw(st.integers(0, 1))] = draw(st.lists(VALUES, max_size=1))
    return json.dumps(messages).encode() + b"\n"


def lists_in(value: Any) -> Iterator[list[Any]]:
    if isinstance(value, list) and value:
        yield value
        for item in value:
            yield from lists_in(item)


@pytest.fixture(scope="module")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Launch:
    home = Home(tmp_path_factory.mktemp("run"))
    manifest = sandbox.read_manifest(sandbox.DIST)
    return Launch(home, sandbox.DIST, manifest, 9, 9, 128, 1 << 20, sandbox.PUBLIC)


async def hear(launch: Launch, line: bytes) -> tuple[Process, list[StepAnswer] | BaseException]:
    """The process, and what two steps that it was asked for come to when it says that line."""
    logs: list[Log] = []
    process = Process(launch)
    process.serve(logs.append, lambda _: None)
    host = Host(Pool(launch, 1, 0, lambda *_: None), "key", lambda: CODE)
    run = Run(1, "one", 1, lambda: OFF, [event("toggle", 2_000), event("toggle", 2_001)])
    asked: asyncio.Task[Any] = asyncio.ensure_future(host._step(process, run))
    await asyncio.sleep(0)
    process.data_received(line)
    for _ in range(3):
        await asyncio.sleep(0)
    process.stop("was stopped")
    return process, (await asyncio.gather(asked, return_exceptions=True))[0]


@given(cut_up() | twisted())
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=500 * TIMES)
def test_whatever_a_process_says_is_an_answer_or_its_end(launch: Launch, line: bytes) -> None:
    process, heard = asyncio.run(hear(launch, line))

    assert process.ended is not None
    if isinstance(heard, Ended):
        assert heard.reason in ("broke the protocol of its process and was stopped", "was stopped")
        return
    assert isinstance(heard, list), heard
    assert len(heard) == 2
    for step in heard:
        if isinstance(step, Stepped):
            assert (step.instance, step.seq) in {(1, 2), (1, 3)}
            assert isinstance(json.loads(step.context), dict)
            assert json.loads(step.answer) is not None


@pytest.mark.parametrize("part", [b'"on"', b'"n"', b'"active"', "é".encode()])
def test_text_that_is_no_utf_8_ends_the_process_wherever_it_stands(
    launch: Launch, part: bytes
) -> None:
    spoiled = SAID[0].encode().replace(part, part[:-1] + b"\xff" + part[-1:], 1)

    process, heard = asyncio.run(hear(launch, spoiled + b"\n"))

    assert isinstance(heard, Ended), heard
    assert process.ended == "broke the protocol of its process and was stopped"


@pytest.mark.parametrize("line", SAID[:3])
def test_what_is_not_spoiled_is_believed(launch: Launch, line: str) -> None:
    _, heard = asyncio.run(hear(launch, line.encode() + b"\n"))

    assert isinstance(heard, list), heard


@pytest.mark.parametrize(
    "again", ['["steps",1,[["later"],["later"]]]', '["miss",2]', '["loaded",1]', '["later"]']
)
def test_an_answer_given_twice_or_unasked_ends_the_process(launch: Launch, again: str) -> None:
    line = f"{SAID[0][:-1]},{again}]\n"

    process, _ = asyncio.run(hear(launch, line.encode()))

    assert process.ended == "broke the protocol of its process and was stopped"
