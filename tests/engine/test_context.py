"""The context that an instance begins with (S29, Q60), and what survives a step (S56)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import World

pytestmark = pytest.mark.anyio

GIVEN = {"public": {"mine": True}, "more": [1, None]}

MACHINES = {
    "xstate 4": (
        'import { createMachine } from "npm:xstate";'
        'export default createMachine({ context: { public: { own: 1 }, kept: "k" } });'
    ),
    "xstate 5, an object": (
        'import { createMachine } from "npm:xstate@5";'
        'export default createMachine({ context: { public: { own: 1 }, kept: "k" } });'
    ),
    "xstate 5, a function": (
        'import { createMachine } from "npm:xstate@5";'
        "export default createMachine({ context: ({ input }) => ({ asked: input, kept: 'k' }) });"
    ),
}
AUTHORIZERS = "export const allowRead = () => true; export const allowWrite = () => true;"


async def created(world: World, source: str, context: dict[str, Any] | None) -> dict[str, Any]:
    await world.client.machines.create("m")
    code = f"{source}{AUTHORIZERS}".encode()
    await world.client.versions.create("m", code, make_current=True)
    await world.client.instances.create("m", "one", context=context, act={})
    return (await world.client.instances.get_admin("m", "one")).context


@pytest.mark.parametrize("kind", ["xstate 4", "xstate 5, an object"])
async def test_given_keys_replace_the_machine_s_own(world: World, kind: str) -> None:
    """S29."""
    assert await created(world, MACHINES[kind], GIVEN) == {
        "public": {"mine": True},
        "kept": "k",
        "more": [1, None],
    }


async def test_a_function_is_given_it_as_input_and_its_result_stands(world: World) -> None:
    """Q60."""
    context = await created(world, MACHINES["xstate 5, a function"], GIVEN)
    assert context == {"asked": GIVEN, "kept": "k"}


@pytest.mark.parametrize("kind", ["xstate 4", "xstate 5, an object"])
async def test_without_a_context_the_machine_s_own_stands(world: World, kind: str) -> None:
    """S30."""
    assert await created(world, MACHINES[kind], None) == {"public": {"own": 1}, "kept": "k"}


async def test_an_assign_that_spoils_its_context_in_place_reaches_nobody_else(world: World) -> None:
    """xstate-facts 1: the machine's default context is an object that all instances share."""
    source = """
import { assign, createMachine } from "npm:xstate@5";
export default createMachine({
  context: { public: { list: [] } },
  on: { add: { actions: assign(({ context }) => (context.public.list.push(1), context)) } },
});
"""
    await created(world, source, None)
    await world.client.instances.send("m", "one", "add", act={})
    await world.client.instances.create("m", "two", act={})
    one = await world.client.instances.get_admin("m", "one")
    two = await world.client.instances.get_admin("m", "two")
    assert (one.context, two.context) == ({"public": {"list": [1]}}, {"public": {"list": []}})


async def test_what_json_cannot_hold_fails_its_event(world: World) -> None:
    """S56."""
    source = """
import { assign, createMachine } from "npm:xstate@5";
export default createMachine({
  context: { at: new Date(0) },
  on: { big: { actions: assign({ n: () => 1n }) }, ok: {} },
});
"""
    assert await created(world, source, None) == {"at": "1970-01-01T00:00:00.000Z"}
    with pytest.raises(Exception, match="cannot be written as JSON"):
        await world.client.instances.send("m", "one", "big", act={})
    assert (await world.client.instances.inspect("m", "one")).seq == 1
