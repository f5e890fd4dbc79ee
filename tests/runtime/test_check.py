"""What can be no version, and the words for it (S14, S16, S22, C16)."""

from __future__ import annotations

import random

import pytest

from smply.errors import BuildError, NotBuilt
from tests.runtime.support import Lab, machine

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
