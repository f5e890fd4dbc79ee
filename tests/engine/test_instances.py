"""What an instance lives through, in a real process and a real store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from smply.errors import (
    AuthorizerRefused,
    Conflict,
    InvalidParameter,
    MachineError,
    NotFound,
)
from tests.conftest import World

pytestmark = pytest.mark.anyio

Publish = Callable[[str, str], Awaitable[str]]
ACT = {"sid": "one"}


@pytest.fixture
async def lit(world: World, publish: Publish) -> World:
    """A world with the machine `light` and its instance `one`."""
    await publish("light", "light.ts")
    await world.client.instances.create("light", "one", act=ACT)
    return world


async def test_an_event_moves_the_instance_and_is_on_record(lit: World) -> None:
    state = await lit.client.instances.send("light", "one", "toggle", act=ACT)
    assert (state.state, state.tags, state.done) == ("on", ["lit"], False)
    assert state.public_context == {"count": 1}
    page = await lit.client.instances.transitions("light", "one")
    assert [step.event for step in page.items] == [{"type": "xstate.init"}, {"type": "toggle"}]


async def test_ts_rises_even_when_the_clock_stands_still(lit: World) -> None:
    """Q13."""
    stamps = [
        (await lit.client.instances.send("light", "one", "toggle", act=ACT)).ts for _ in "abc"
    ]
    assert stamps == sorted(set(stamps))


async def test_a_timer_is_made_by_the_next_command_that_names_the_instance(lit: World) -> None:
    """S64: late, but not never, and once."""
    await lit.client.instances.send("light", "one", "toggle", act=ACT)
    lit.clock.time += 2_999
    assert (await lit.client.instances.get_admin("light", "one")).state == "on"
    lit.clock.time += 1
    assert (await lit.client.instances.get_admin("light", "one")).state == "off"
    page = await lit.client.instances.transitions("light", "one")
    assert [step.event["type"] for step in page.items] == [
        "xstate.init", "toggle", "xstate.after.3000.light.on",
    ]  # fmt: skip


async def test_leaving_the_state_cancels_its_timer(lit: World) -> None:
    """S69."""
    await lit.client.instances.send("light", "one", "toggle", act=ACT)
    await lit.client.instances.send("light", "one", "toggle", act=ACT)
    lit.clock.time += 10_000
    assert len((await lit.client.instances.transitions("light", "one")).items) == 3


async def test_an_unhandled_event_is_recorded_and_changes_nothing(lit: World) -> None:
    """Q10."""
    state = await lit.client.instances.send("light", "one", "nothing", act=ACT)
    assert state.state == "off"
    assert len((await lit.client.instances.transitions("light", "one")).items) == 2


async def test_an_event_to_a_finished_machine_is_recorded(lit: World) -> None:
    """Q10."""
    await lit.client.instances.send("light", "one", "end", act=ACT)
    state = await lit.client.instances.send("light", "one", "toggle", act=ACT)
    assert (state.state, state.done) == ("gone", True)


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        ("guarded", 'guard broken threw while one handled "guarded"; nothing was changed'),
        ("spoil", 'machine code threw while one handled "spoil"; nothing was changed'),
    ],
)
async def test_machine_code_that_throws_changes_nothing(
    lit: World, event: str, sentence: str
) -> None:
    """Q4; an assign that spoiled its context before it threw spoils nobody's."""
    with pytest.raises(MachineError) as caught:
        await lit.client.instances.send("light", "one", event, act=ACT)
    assert caught.value.message.splitlines()[0] == sentence
    assert (await lit.client.instances.get_admin("light", "one")).context == {
        "public": {"count": 0},
        "secret": "s",
    }
    assert len((await lit.client.instances.transitions("light", "one")).items) == 1


async def test_a_context_too_large_fails_its_event(lit: World) -> None:
    """S57, Q7."""
    with pytest.raises(InvalidParameter) as caught:
        await lit.client.instances.send("light", "one", "grow", act=ACT)
    assert caught.value.parameter == "context"
    assert len((await lit.client.instances.transitions("light", "one")).items) == 1


async def test_an_action_that_throws_takes_nothing_back(lit: World) -> None:
    """client-facts 54."""
    state = await lit.client.instances.send("light", "one", "shout", act=ACT)
    assert state.state == "off"
    while not lit.logs:
        await asyncio.sleep(0.001)
    assert [(log.name, log.phase, log.stream) for log in lit.logs] == [("one", "action", "stderr")]
    assert lit.logs[0].text.startswith("Error: an action threw")


@pytest.mark.parametrize("mood", ["throws", "promise", "truthy"])
async def test_only_true_permits(lit: World, mood: str) -> None:
    """S99, Q5."""
    with pytest.raises(AuthorizerRefused):
        await lit.client.instances.send("light", "one", "toggle", act={"sid": "one", "mood": mood})
    assert (await lit.client.instances.get_admin("light", "one")).state == "off"


async def test_the_refusal_names_event_and_auth_context(lit: World) -> None:
    """S100, S101."""
    with pytest.raises(AuthorizerRefused) as caught:
        await lit.client.instances.send("light", "one", "toggle", act={"sid": "nobody"})
    assert caught.value.message == (
        'allowWrite of light refused event "toggle" on one\n'
        'it was given authContext {"sid":"nobody"}'
    )


async def test_allow_read_is_asked_for_the_public_state_alone(lit: World) -> None:
    """S91, S103."""
    assert (await lit.client.instances.get("light", "one", act=ACT)).state == "off"
    with pytest.raises(AuthorizerRefused):
        await lit.client.instances.get("light", "one", act={"sid": "two"})
    assert (await lit.client.instances.get_admin("light", "one")).context["secret"] == "s"


async def test_a_refused_initialization_creates_nothing(lit: World) -> None:
    """S101."""
    with pytest.raises(AuthorizerRefused):
        await lit.client.instances.create("light", "two", act={"sid": "nobody"})
    with pytest.raises(NotFound):
        await lit.client.instances.get_admin("light", "two")


async def test_of_many_creations_exactly_one_wins(lit: World) -> None:
    """S26."""
    tries = [lit.client.instances.create("light", "many", act=ACT) for _ in range(8)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Conflict"] * 7 + ["State"]


async def test_events_at_once_form_one_history(lit: World) -> None:
    """S45, S46."""
    tries = [lit.client.instances.send("light", "one", "toggle", act=ACT) for _ in range(50)]
    states = await asyncio.gather(*tries)
    assert len({state.ts for state in states}) == 50
    detail = await lit.client.instances.inspect("light", "one")
    assert (detail.seq, detail.context["public"]) == (51, {"count": 25})


async def test_given_context_replaces_top_level_keys(lit: World) -> None:
    """S29."""
    await lit.client.instances.create(
        "light", "two", context={"secret": "mine", "more": 1}, act=ACT
    )
    admin = await lit.client.instances.get_admin("light", "two")
    assert admin.context == {"public": {"count": 0}, "secret": "mine", "more": 1}


@pytest.mark.parametrize(
    "event", ["xstate.after.3000.light.on", "done.state.light", "statebacked.upgrade"]
)
async def test_events_of_the_platform_cannot_be_forged(lit: World, event: str) -> None:
    """Q64."""
    with pytest.raises(InvalidParameter) as caught:
        await lit.client.instances.send("light", "one", event, act=ACT)
    assert caught.value.parameter == "event"


async def test_an_instance_keeps_its_version(
    lit: World, bundle: Callable[[str], Awaitable[bytes]]
) -> None:
    """S4, S6."""
    before = (await lit.client.instances.get_admin("light", "one")).machine_version.id
    code = await bundle("light.ts")
    newer = await lit.client.versions.create("light", code, client_info="2", make_current=True)
    await lit.client.instances.create("light", "two", act=ACT)
    assert (await lit.client.instances.get_admin("light", "one")).machine_version.id == before
    assert (await lit.client.instances.get_admin("light", "two")).machine_version.id == newer


async def test_without_a_version_no_instance(world: World) -> None:
    """S3, Q33."""
    await world.client.machines.create("empty")
    with pytest.raises(InvalidParameter) as caught:
        await world.client.instances.create("empty", "one", act=ACT)
    assert caught.value.parameter == "machineVersionId"


async def test_a_taken_machine_name_is_a_conflict(world: World) -> None:
    """Q9."""
    await world.client.machines.create("taken")
    with pytest.raises(Conflict):
        await world.client.machines.create("taken")


async def test_a_failing_timer_is_tried_again_and_told(world: World, publish: Publish) -> None:
    """S66, S67: five attempts, 30 s apart; then parked, and nothing is lost."""
    await publish("failing", "failing_timer.ts")
    await world.client.instances.create("failing", "one", act=ACT)
    for attempt in range(1, 6):
        world.clock.time += 30_000
        detail = await world.client.instances.inspect("failing", "one")
        assert len(world.notices) == attempt
    assert detail.deliveries == {"waiting": 0, "parked": 1}
    assert "parked" in world.notices[-1]
