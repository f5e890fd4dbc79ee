"""What a machine may not do yet is refused in the step that meets it, and nothing is recorded."""

from __future__ import annotations

import pytest

from smply.errors import NotBuilt
from tests.conftest import World

pytestmark = pytest.mark.anyio

HEAD_5 = (
    'import { assign, createMachine, emit, fromPromise, sendParent, sendTo } from "npm:xstate@5";'
)
HEAD_4 = 'import { actions, assign, createMachine, send, sendParent, spawn } from "npm:xstate@4";'
AUTHORIZERS = "export const allowRead = () => true; export const allowWrite = () => true;"

PERSISTENT = (
    'assign(() => ({ child: globalThis.NAME.spawn({ type: "statebacked.instance" }, {}) }))'
)

ACTIONS = [
    (HEAD_5, "assign(({ spawn }) => ({ child: spawn(fromPromise(async () => 1)) }))"),
    (HEAD_5, "assign(({ spawn }) => { try { spawn(fromPromise(async () => 1)); } catch {} })"),
    (HEAD_5, 'sendTo("somebody", { type: "hello" })'),
    (HEAD_5, "sendParent({ type: 'hello' })"),
    (HEAD_5, "emit({ type: 'hello' })"),
    (HEAD_5, PERSISTENT.replace("NAME", "__statebacked_rt")),
    (HEAD_5, PERSISTENT.replace("NAME", "__statebaked_rt")),
    (HEAD_4, "assign(() => ({ child: spawn(Promise.resolve(1)) }))"),
    (HEAD_4, "assign(() => { try { spawn(Promise.resolve(1)); } catch {} return {}; })"),
    (HEAD_4, 'send("hello", { to: "somebody" })'),
    (HEAD_4, "sendParent('hello')"),
    (HEAD_4, PERSISTENT.replace("NAME", "__statebacked_rt")),
    (HEAD_4, PERSISTENT.replace("NAME", "__statebaked_rt")),
]


@pytest.mark.parametrize(("head", "action"), ACTIONS)
@pytest.mark.parametrize("predictable", ["true", "false"])
async def test_a_step_that_reaches_beyond_its_instance_fails_whole(
    world: World, head: str, action: str, predictable: str
) -> None:
    """S58; client-facts 42: both names of the global function."""
    source = f"""{head}
{AUTHORIZERS}
export default createMachine({{
  predictableActionArguments: {predictable},
  context: {{ public: {{}} }},
  initial: "a",
  states: {{ a: {{ on: {{ go: {{ target: "b", actions: {action} }} }} }}, b: {{}} }},
}});"""
    await world.client.machines.create("m")
    await world.client.versions.create("m", source.encode(), make_current=True)
    await world.client.instances.create("m", "one", act={})
    with pytest.raises(NotBuilt, match="nothing was changed"):
        await world.client.instances.send("m", "one", "go", act={})
    found = await world.client.instances.inspect("m", "one")
    assert (found.state, found.seq, found.context) == ("a", 1, {"public": {}})
