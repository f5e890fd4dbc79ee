"""What can be no version, and the words for it (S14, S16, S22, C16)."""

from __future__ import annotations

import gzip
import random
import threading
import time

import pytest

from smply.errors import BuildError, NotBuilt
from smply.runtime import Stepped
from smply.runtime.check import _sentence
from smply.runtime.protocol import FailedWire
from tests.runtime.support import AUTH, FORGE, Lab, machine

pytestmark = pytest.mark.anyio

AUTHORIZERS = "export const allowRead = () => true; export const allowWrite = () => true;\n"
CREATE = 'import { createMachine } from "npm:xstate@5";\n'


async def refusal(lab: Lab, source: str) -> tuple[str, str | None]:
    with pytest.raises((BuildError, NotBuilt)) as refused:
        await lab.runtime.check(source.encode(), "light")
    return refused.value.message, refused.value.hint


async def test_a_version_keeps_the_exact_copy_it_was_checked_with(lab: Lab) -> None:
    checked = await lab.runtime.check(machine().encode(), "light")

    assert checked.adapter == 5
    assert f'from "npm:xstate@{checked.xstate}"' in checked.code.decode()
    assert sorted(checked.exports) == ["allowRead", "allowWrite", "default"]
    assert (checked.states, checked.transitions) == (2, 2)
    assert checked.definition.startswith(b'{"id":"light"')


@pytest.mark.parametrize("place", ["99999:3", "0:3", "1:" + "9" * 5_000])
async def test_what_code_throws_may_look_like_a_place_that_is_not_there(
    lab: Lab, place: str
) -> None:
    source = machine(top=f'throw new Error("SyntaxError: odd\\n at light:{place}");')

    message, _ = await refusal(lab, source)

    assert message.startswith("odd\n at light:")


def test_no_message_takes_long_to_read() -> None:
    """The event loop that reads it serves everybody: to look for a place took eight seconds."""
    message = "odd" + "\n" * 16_000 + ":1" * 8_000 + "!"
    begun = time.process_time()

    said = _sentence(FailedWire(1, None, "syntax", message, ""), "code", "light")

    assert said == message
    assert time.process_time() - begun < 0.5


@pytest.mark.parametrize(
    "lie",
    [
        '"code":"${"x".repeat(4000)}"', '"xstate":"newest"', '"definition":[]',
        '"exports":[${Array(10001).fill(`"x"`)}]', '"exports":["${"x".repeat(1e6 + 1)}"]',
    ],
)  # fmt: skip
async def test_what_a_check_cannot_have_found_makes_no_version(lab: Lab, lie: str) -> None:
    """The code that is checked may write the answer itself: it is kept, and shown to others."""
    honest = (
        '"code":null,"xstate":"bundled","adapter":5,"exports":[],"definition":{},"states":1,'
        '"transitions":1,"services":[]'
    )
    told = f'[["checked",1,{{{honest},{lie}}}]]'
    top = f"{FORGE} forged = `{told}\\n`; speak(); await new Promise(() => {{}});"

    message, _ = await refusal(lab, machine(top=top))

    assert message == "the code of light broke the protocol of its process"


async def test_the_description_of_a_machine_has_a_size(lab: Lab) -> None:
    """It is kept with the version, whose bundle may be small."""
    states = "Object.fromEntries(Array(101).keys().map((n) => [n, { description }]))"
    top = f'const description = "x".repeat(100_000); const states = {states};'

    message, hint = await refusal(
        lab, machine(top=top).replace("states: {", "states: { ...states,")
    )

    assert message.startswith("the states of the machine take 10,1")
    assert hint == "keep what there are many of in the context"


async def test_an_import_without_a_major_is_xstate_4(lab: Lab) -> None:
    source = machine().replace("npm:xstate@5", "npm:xstate")

    checked = await lab.runtime.check(source.encode(), "light")

    assert (checked.adapter, checked.xstate[:2]) == (4, "4.")


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        (
            AUTHORIZERS,
            "the bundle has no default export: export the machine as default",
            "export default createMachine(…)",
        ),
        (
            f"{AUTHORIZERS}export default {{ id: 'light' }};",
            "the default export is not an XState machine",
            "export default createMachine(…)",
        ),
        (
            f"{CREATE}export const allowRead = () => true;\nexport default createMachine({{}});",
            "a machine must export the functions allowRead and allowWrite: allowWrite is missing",
            "export const allowWrite = ({ authContext }) => authContext.sub === …",
        ),
        (
            f'import "lodash";\n{CREATE}{AUTHORIZERS}export default createMachine({{}});',
            'cannot import "lodash": a bundle can import nothing but npm:xstate',
            "build it with --node, which bundles what it imports",
        ),
        (
            f'import "npm:xstate@3";\n{AUTHORIZERS}',
            'cannot import "npm:xstate@3": only xstate 4 and 5 are supported',
            None,
        ),
        (
            f"{CREATE}import 'npm:xstate@4';\n{AUTHORIZERS}export default createMachine({{}});",
            "the bundle imports xstate 4 and 5: a machine is made by one of them",
            None,
        ),
    ],
)
async def test_a_bundle_that_is_no_machine(
    lab: Lab, source: str, message: str, hint: str | None
) -> None:
    assert await refusal(lab, source) == (message, hint)


async def test_code_that_throws_while_it_loads(lab: Lab) -> None:
    message, _ = await refusal(lab, machine(top="null.nothing;"))

    first, _, stack = message.partition("\n")
    assert first.endswith("TypeError: Cannot read properties of null (reading 'nothing')")
    assert "light:" in stack


async def test_code_that_is_no_javascript(lab: Lab) -> None:
    message, _ = await refusal(lab, "const a = 1;\n\texport default ( 2 3;\n")

    assert message == (
        "light:2:21: Expected ',', got 'numeric literal (3, 3)'\n\n"
        "    2 │  export default ( 2 3;\n"
        "      │                     ^"
    )


async def test_services_are_not_supported_yet(lab: Lab) -> None:
    source = f"""{CREATE}{AUTHORIZERS}
export default createMachine({{
  id: "checkout", initial: "payment",
  states: {{ payment: {{ invoke: {{ src: "fetchUser" }} }} }},
}});"""

    with pytest.raises(NotBuilt) as refused:
        await lab.runtime.check(source.encode(), "light")

    assert refused.value.message == (
        "services are not supported yet: it invokes fetchUser in checkout.payment"
    )


@pytest.mark.parametrize(
    "states",
    [
        'a: { entry: spawnChild("x") }',
        'a: { on: { go: { actions: spawnChild("x") } } }',
        'a: { after: { 5: { actions: ["go"] } } }',
        'a: { states: { b: { exit: "go" } }, initial: "b" }',
    ],
)
async def test_a_definition_that_spawns_is_refused(lab: Lab, states: str) -> None:
    source = f"""import {{ setup, spawnChild }} from "npm:xstate@5";
{AUTHORIZERS}
export default setup({{ actions: {{ go: spawnChild("x") }} }}).createMachine({{
  id: "m", initial: "a", states: {{ {states} }},
}});"""

    message, _ = await refusal(lab, source)

    assert message.startswith("services are not supported yet: it spawns in m.a")


@pytest.mark.parametrize("levels", [101, 500, 1_000, 20_000])
@pytest.mark.parametrize("major", [4, 5])
async def test_a_machine_that_nests_its_states_too_deeply(
    lab: Lab, major: int, levels: int
) -> None:
    source = f"""import {{ createMachine }} from "npm:xstate@{major}";
{AUTHORIZERS}
let deepest = {{}};
for (let n = 0; n < {levels}; n++) deepest = {{ initial: "a", states: {{ a: deepest }} }};
export default createMachine({{ id: "m", ...deepest }});"""

    assert await refusal(lab, source) == (
        "the machine nests its states deeper than 100 levels",
        None,
    )


@pytest.mark.parametrize("major", [4, 5])
async def test_a_machine_of_a_hundred_levels_is_a_version(lab: Lab, major: int) -> None:
    source = f"""import {{ createMachine }} from "npm:xstate@{major}";
{AUTHORIZERS}
let deepest = {{}};
for (let n = 0; n < 100; n++) deepest = {{ initial: "a", states: {{ a: deepest }} }};
export default createMachine({{ id: "m", predictableActionArguments: true, ...deepest }});"""

    assert (await lab.runtime.check(source.encode(), "light")).states == 100
    host = await lab.host(source)
    started = await host.start("i", 1_000, b"{}", AUTH)
    assert isinstance(started, Stepped)
    host.drop(started.instance, started.seq)


async def test_a_large_bundle_is_compressed_beside_the_loop(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def compress(code: bytes) -> bytes:
        threads.append(threading.get_ident())
        return b""

    monkeypatch.setattr(gzip, "compress", compress)

    await lab.runtime.check((machine() + "/" * 600_000).encode(), "light")

    assert threads
    assert threading.get_ident() not in threads


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (10_000_001, "the bundle has 10,000,001 bytes; the limit is 10,000,000"),
        (1_400_000, "the bundle has .* bytes gzipped; the limit is 1,000,000"),
    ],
)
async def test_a_bundle_that_is_too_large(lab: Lab, size: int, message: str) -> None:
    noise = bytes(random.Random(1).choices(range(33, 127), k=size))

    with pytest.raises(BuildError, match=message) as refused:
        await lab.runtime.check(noise, "light")

    assert refused.value.code == "too-large"


async def test_a_bundle_of_ten_million_bytes_is_a_version(lab: Lab) -> None:
    source = machine()
    padded = source + "/" * (10_000_000 - len(source))

    checked = await lab.runtime.check(padded.encode(), "light")

    assert checked.adapter == 5
