"""What is easily got wrong when a machine is driven from outside, each with a test by its name."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from smply.errors import InvalidParameter, NotBuilt
from smply.runtime import Failed, Snapshot, StepEvent, Stepped
from tests.conftest import World
from tests.differential.bench import Bench, Mishap, Plan
from tests.differential.driver import script
from tests.differential.modes import MACHINES, MODES, Mode
from tests.runtime.support import AUTH, OFF, OFF_4, Lab, event, machine, machine4, step

MODE = pytest.mark.parametrize("mode", MODES, ids=str)
ASYNC = pytest.mark.anyio
AUTHORIZERS = "export const allowRead = () => true; export const allowWrite = () => true;"
FORBIDDEN = """xstate. done.invoke. done.state. error.platform. error.execution
error.communication statebacked."""
MISHAPS = (Mishap.NONE, Mishap.KILL, Mishap.DISCARD)


def source_of(mode: Mode, config: str) -> str:
    """A machine in the words of the random ones; GUARD is the mode's name for a guard."""
    words = (MACHINES / f"words{mode.major}.js").read_text()
    predictable = f"predictableActionArguments: {json.dumps(mode.predictable)}"
    config = config.replace("GUARD", "cond" if mode.major == 4 else "guard")
    return (
        f"{words}\nexport default createMachine({{ {predictable},\n"
        f"context: {{ n: 0, trail: [], public: {{}} }},\n{config} }}, implementations);\n"
        f"{AUTHORIZERS}"
    )


def plan_of(text: str, mishaps: Sequence[Mishap] = MISHAPS) -> Plan:
    """Steps written as words, with a mishap for each in turn."""
    return [(mishaps[n % len(mishaps)], step) for n, step in enumerate(script(text))]


def require_same(bench: Bench, mode: Mode, config: str, text: str) -> None:
    difference = bench.difference(source_of(mode, config), plan_of(text))
    assert difference is None, difference


# Steps that end before their time, or that are made for nothing.


@ASYNC
@pytest.mark.parametrize("predictable", [True, False])
async def test_a_spawn_after_a_throwing_step_finds_no_service_of_that_step(
    lab: Lab, predictable: bool
) -> None:
    """xstate-facts 1: XState's `provide` has no `finally`."""
    boom = 'boom: { actions: assign(() => { throw new Error("boom"); }) }'
    go = "go: { actions: () => console.log(spawn(Promise.resolve(1)).deferred) }"
    top = 'import { spawn } from "npm:xstate@4";'
    host = await lab.host(machine4(f"{boom}, {go}", top=top, predictable=predictable))
    [failed, went] = await host.step(1, "a", 1, lambda: OFF_4, [event("boom"), event("go")])
    assert (type(failed), type(went)) == (Failed, Stepped)
    host.commit(1, 2)
    await host.read(1, "a", 2, lambda: OFF_4, AUTH)
    assert [log.text for log in lab.logs] == ["true"]


@ASYNC
@MODE
async def test_a_context_that_is_mutated_by_a_discarded_step_is_as_it_was(
    mode: Mode, lab: Lab
) -> None:
    push = "(c) => (c.deep.list.push(c.deep.list.length), c)"
    if mode.major == 4:
        off = f"go: {{ actions: assign({push}) }}"
        source, rest = machine4(off, predictable=mode.predictable), OFF_4.rest
    else:
        off = f"go: {{ actions: assign(({{ context }}) => ({push})(context)) }}"
        source, rest = machine(off), '{"status":"active"}'
    host = await lab.host(source)
    snapshot = Snapshot('"off"', '{"deep":{"list":[]}}', rest)
    contexts = []
    for _ in range(3):
        [answer] = await host.step(1, "a", 1, lambda: snapshot, [event("go")])
        assert isinstance(answer, Stepped), answer
        contexts.append(answer.context)
        host.drop(1, 2)
    assert contexts == ['{"deep":{"list":[0]}}'] * 3


@ASYNC
@pytest.mark.parametrize("major", [4, 5])
async def test_a_context_that_is_mutated_at_the_start_is_new_for_the_next_instance(
    major: int, lab: Lab
) -> None:
    source = f"""import {{ assign, createMachine }} from "npm:xstate@{major}";
const push = (c) => (c.deep.list.push(1), c);
export default createMachine({{
  predictableActionArguments: true,
  context: {{ deep: {{ list: [] }} }},
  entry: assign({"push" if major == 4 else "({ context }) => push(context)"}),
}});
{AUTHORIZERS}"""
    host = await lab.host(source)
    for _ in range(3):
        answer = await host.start("a", 1_000, b"{}", AUTH)
        assert isinstance(answer, Stepped), answer
        assert answer.context == '{"deep":{"list":[1]}}'
        host.drop(answer.instance, answer.seq)


# Timers.


@MODE
def test_timers_of_the_same_id_are_each_made_and_a_cancel_takes_the_newest(
    mode: Mode, bench: Bench
) -> None:
    """Q65."""
    config = """on: {
      go: { actions: later("T0", 20_000, "x") },
      stop: { actions: cancel("x") },
      T0: { actions: say("made") },
    }"""
    moments = bench.moments(source_of(mode, config), plan_of("go 6s go stop 15s go 6s go 32s"))
    assert [len(moment.actions) for moment in moments] == [0, 0, 0, 0, 0, 1, 0, 0, 0, 2]


@MODE
def test_a_timer_of_no_time_comes_after_what_is_sent_at_once(mode: Mode, bench: Bench) -> None:
    """The queue goes first, be it one behind the other."""
    config = """on: {
      go: { actions: [later("T0", 0), later("T1", -5), toSelf("S0"), say("go")] },
      S0: { actions: [toSelf("S1"), say("S0")] }, S1: { actions: say("S1") },
      T0: { actions: say("T0") }, T1: { actions: say("T1") },
    }"""
    require_same(bench, mode, config, "go go go")


@ASYNC
@MODE
async def test_a_timer_of_no_time_set_at_the_start_is_made_before_the_answer(
    mode: Mode, world: World
) -> None:
    """S28."""
    source = source_of(mode, 'initial: "a", states: { a: { after: { 0: "b" } }, b: {} }')
    await world.client.machines.create("m")
    await world.client.versions.create("m", source.encode(), make_current=True)
    assert (await world.client.instances.create("m", "one")).state == "b"


# Order.


@MODE
def test_parallel_regions_keep_their_order_whatever_they_are_called(
    mode: Mode, bench: Bench
) -> None:
    """xstate-facts 4: `resolveState` sorts them, and their order is that of actions and assigns."""
    region = 'initial: "z", states: { z: { on: { go: "a" } }, a: { on: { go: "z" } } }'
    config = f"""type: "parallel", states: {{
      c: {{ on: {{ go: {{ actions: [bump(1), say("c")] }} }} }},
      a: {{ {region}, on: {{ other: {{ actions: [bump(2), say("a")] }} }} }},
      b: {{ on: {{ go: {{ actions: [bump(3), say("b")] }}, other: {{ actions: bump(4) }} }} }},
    }}"""
    require_same(bench, mode, config, "go go other go other go")


@MODE
def test_actions_of_raised_microsteps_are_given_the_event_that_xstate_gives_them(
    mode: Mode, bench: Bench
) -> None:
    """Which is the raised one, but in XState 4 with unpredictable arguments."""
    config = """initial: "a", states: {
      a: { on: { go: { target: "b", actions: [raise("R0"), say("go")] } }, exit: say("leave a") },
      b: { entry: [say("enter b"), raise("R1")], on: { R0: { actions: [bump(1), say("R0")] },
           R1: { target: "c", actions: say("R1") } } },
      c: { entry: say("enter c"), always: { GUARD: "even", actions: [bump(1), say("always")] },
           on: { go: "a" } },
    }"""
    require_same(bench, mode, config, "go go go go")


# The end.


@MODE
def test_an_event_after_the_end_changes_nothing_and_no_timer_outlives_it(
    mode: Mode, bench: Bench
) -> None:
    """Q10."""
    config = """initial: "a", on: { T0: { actions: say("late") }, go: { actions: bump(1) } },
    states: {
      a: { entry: later("T0", 3_000), after: { 7_000: { actions: bump(5) } }, on: { end: "z" } },
      z: { type: "final", entry: [say("end"), toSelf("go"), later("T0", 3_000)],
           exit: say("leave"), on: { go: "a" } },
    }"""
    require_same(bench, mode, config, "go end go 10s go end 30s go")


@ASYNC
@MODE
async def test_the_end_of_a_machine_drops_its_timers(mode: Mode, lab: Lab) -> None:
    """xstate-facts 5: XState does so without a word; what the last step sets is dropped as well."""
    config = """initial: "a", states: {
      a: { entry: later("T0", 3_000), on: { end: "z" } },
      z: { type: "final", entry: later("T0", 3_000) },
    }"""
    host = await lab.host(source_of(mode, config))
    started = await host.start("a", 1_000, b"{}", AUTH)
    assert isinstance(started, Stepped), started
    host.commit(started.instance, 1, 1)
    [ended] = await host.step(1, "a", 1, lambda: OFF, [event("end")])
    assert isinstance(ended, Stepped), ended
    assert (len(started.deliveries), ended.deliveries) == (1, [("clear",)])


@ASYNC
@pytest.mark.parametrize("handled", [True, False])
@pytest.mark.parametrize("major", [4, 5])
async def test_an_error_event_that_nobody_handles_ends_a_machine_of_xstate_5_alone(
    major: int, handled: bool, lab: Lab
) -> None:
    """Q63: such events come with services, which are not built; what they will do is known."""
    lost = "xstate.error.actor.x" if major == 5 else "error.platform.x"
    off = f'"{lost}": "on"' if handled else ""
    source, rest = (machine4(off), OFF_4.rest) if major == 4 else (machine(off), None)
    host = await lab.host(source)
    snapshot = Snapshot('"off"', "{}", rest or '{"status":"active"}')
    told = StepEvent(2_000, json.dumps({"type": lost, "error": 1}).encode(), None, "self")
    [answer] = await host.step(1, "a", 1, lambda: snapshot, [told])
    assert isinstance(answer, Stepped), answer
    assert answer.value == ('"on"' if handled else '"off"')
    ended = json.loads(answer.rest).get("status") == "error"
    assert ended == (major == 5 and not handled)


# Events that are not what they seem.


@ASYNC
@pytest.mark.parametrize("kind", FORBIDDEN.split())
async def test_no_client_can_forge_an_event_of_the_platform(kind: str, world: World) -> None:
    """Q64: in XState 5 `xstate.stop` stops, `xstate.error.actor` fails an instance for good."""
    await world.client.machines.create("m")
    await world.client.versions.create("m", machine().encode(), make_current=True)
    await world.client.instances.create("m", "one", act={"sub": "a"})
    for type in (kind, f"{kind}x", f"{kind}stop", f"{kind}error.actor.x"):
        with pytest.raises(InvalidParameter) as caught:
            await world.client.instances.send("m", "one", type, act={"sub": "a"})
        assert caught.value.parameter == "event"
    assert (await world.client.instances.inspect("m", "one")).seq == 1


@ASYNC
@pytest.mark.parametrize("predictable", [True, False])
async def test_an_event_that_looks_like_an_envelope_of_xstate_4_is_taken_by_its_own_type(
    predictable: bool, lab: Lab
) -> None:
    """XState itself would open it: an event that `allowWrite` permits would become another one."""
    host = await lab.host(machine4('go: "on", admin: "off"', predictable=predictable))
    forged = {"type": "go", "$$type": "scxml", "name": "admin", "data": {"type": "admin"}}
    told = StepEvent(2_000, json.dumps(forged).encode(), AUTH, "client")
    [answer] = await host.step(1, "a", 1, lambda: OFF_4, [told])
    assert isinstance(answer, Stepped), answer
    assert answer.value == '"on"'


# What JSON cannot hold.


@MODE
def test_an_error_in_the_context_is_an_empty_object_from_the_next_step_on(
    mode: Mode, bench: Bench
) -> None:
    """S56: whether or not a process was lost in between."""
    given = "context" if mode.major == 4 else "{ context }"
    keep = '{ e: new Error("boom"), m: new Map([[1, 2]]), d: new Date(0), u: undefined, n: 0 / 0 }'
    shown = "[context.e?.message, context.m?.size, typeof context.d, 'u' in context, context.n]"
    look = f"({given}) => console.log(JSON.stringify({shown}))"
    kept = f"[assign(() => ({keep})), {look}]"
    config = f"on: {{ keep: {{ actions: {kept} }}, look: {{ actions: {look} }} }}"
    for mishap in (Mishap.NONE, Mishap.KILL):
        moments = bench.moments(source_of(mode, config), plan_of("keep look", [mishap]))
        assert moments[1].actions == ['["boom",1,"object",true,null]']
        assert moments[2].actions == ['[null,null,"string",false,null]']
        assert moments[1].context == moments[2].context
        assert moments[2].context == {
            "n": None, "trail": [], "public": {}, "e": {}, "m": {}, "d": "1970-01-01T00:00:00.000Z",
        }  # fmt: skip


@MODE
def test_an_instance_keeps_the_uuid_that_was_drawn_when_its_code_was_loaded(
    mode: Mode, bench: Bench
) -> None:
    """C31: the next process draws another, which is that of instances begun in it."""
    source = source_of(mode, 'initial: "a", states: { a: { on: { go: { actions: bump(1) } } } }')
    source = "const id = crypto.randomUUID();\n" + source.replace("n: 0,", "n: 0, id,")
    moments = bench.moments(source, plan_of("go go go", [Mishap.KILL]))
    assert len({moment.context["id"] for moment in moments}) == 1
    assert [moment.context["n"] for moment in moments] == [0, 1, 2, 3]


# What belongs to services is refused by name until they are built.


@ASYNC
@pytest.mark.parametrize(
    ("major", "states", "told"),
    [
        (4, 'a: { invoke: { src: "s" }, always: "b" }, b: {}', "it invokes s in m.a"),
        (5, 'a: { invoke: { src: "s" }, always: "b" }, b: {}', "it invokes s in m.a"),
        (5, 'a: { invoke: { src: "s", systemId: "one" } }', "it invokes s in m.a"),
    ],
    ids=["invoke left at once, 4", "invoke left at once, 5", "systemId"],
)
async def test_an_invoke_is_refused_at_publication(
    major: int, states: str, told: str, lab: Lab
) -> None:
    source = f"""import {{ createMachine }} from "npm:xstate@{major}";
export default createMachine({{ id: "m", initial: "a", states: {{ {states} }} }});
{AUTHORIZERS}"""
    with pytest.raises(NotBuilt) as caught:
        await lab.runtime.check(source.encode(), "m")
    assert caught.value.message == f"services are not supported yet: {told}"


@ASYNC
async def test_a_spawn_with_a_system_id_is_refused_however_often_it_is_entered(lab: Lab) -> None:
    top = 'import { fromPromise } from "npm:xstate@5"; const once = fromPromise(async () => 1);'
    spawn = 'assign(({ spawn }) => ({ child: spawn(once, { systemId: "one" }) }))'
    host = await lab.host(machine(f"go: {{ actions: {spawn} }}", top=top))
    answers = await step(host, 1, "go", "go", "toggle")
    assert [type(answer) for answer in answers] == [Failed, Failed, Stepped]
    assert [a.kind for a in answers if isinstance(a, Failed)] == ["not-implemented"] * 2
