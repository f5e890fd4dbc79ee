"""Full state and context at any transition, rebuilt from whole rows and merge patches."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smply.store import StepWrite, merge_patch, rebuild

from .support import World

pytestmark = pytest.mark.anyio

KEYS = st.sampled_from(["a", "b", "public", "é", "10", "9", "0", "01", "4294967295", "\u2028", ""])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.sampled_from([0.1, 1.5, -2.25])
    | st.text(st.characters(codec="utf-8"), max_size=4)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
CONTEXTS = st.dictionaries(KEYS, VALUES, max_size=5)


def in_js_order(value: Any) -> Any:
    """With the keys as an object of JavaScript has them: array indices first, by number."""
    if isinstance(value, list):
        return [in_js_order(item) for item in value]
    if not isinstance(value, dict):
        return value
    indices = [key for key in value if key in ("0", "9", "10")]
    order = sorted(indices, key=int) + [key for key in value if key not in indices]
    return {key: in_js_order(value[key]) for key in order}


def js_text(value: Any) -> str:
    return json.dumps(in_js_order(value), ensure_ascii=False, separators=(",", ":"))


def patch_between(old: Any, new: dict[str, Any]) -> dict[str, Any]:
    """The merge patch as the host makes it; it cannot say everything (a null, an order)."""
    if not isinstance(old, dict):
        return new
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        if key not in old or old[key] != value:
            patch[key] = patch_between(old.get(key), value) if isinstance(value, dict) else value
    return patch


def host_patch(old: str, new: str) -> str | None:
    """The patch if it leads to the very same text; else the row keeps the context whole."""
    patch = js_text(patch_between(json.loads(old), json.loads(new)))
    return patch if merge_patch(old, patch) == new else None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(contexts=st.lists(CONTEXTS, min_size=1, max_size=12))
async def test_every_state_can_be_rebuilt(world: World, contexts: list[dict[str, Any]]) -> None:
    texts = [js_text(context) for context in contexts]
    name = f"i{len(world.store.list_instances(world.org, world.machine, 0, 10_000))}"
    instance = await world.create(name, context=texts[0])
    steps = [
        world.step(instance, base, context=new, patch=host_patch(old, new))
        for base, (old, new) in enumerate(pairwise(texts), 1)
    ]
    if steps:
        assert await world.commit(steps)
    for seq, text in enumerate(texts, 1):
        row = rebuild(world.store, instance, seq)
        assert row is not None
        assert (row.seq, row.context, row.patch) == (seq, text, None)
        assert (row.value, row.rest) == (f'"s{seq}"', f'{{"rest":{seq}}}')


async def test_patches_are_mostly_possible(world: World) -> None:
    assert host_patch('{"a":1,"b":{"c":2}}', '{"a":1,"b":{"c":3}}') == '{"b":{"c":3}}'
    assert host_patch('{"a":1,"b":2}', '{"a":1}') == '{"b":null}'
    assert host_patch('{"a":1}', '{"a":null}') is None


async def test_rebuilding_begins_at_the_last_whole_row(world: World) -> None:
    instance = await world.create(context='{"n":1}')
    steps: list[StepWrite] = []
    for base in range(1, 200):
        patch = None if base % 64 == 0 else f'{{"n":{base + 1}}}'
        steps.append(world.step(instance, base, context=f'{{"n":{base + 1}}}', patch=patch))
    assert await world.commit(steps)
    for seq in (1, 2, 64, 65, 66, 200):
        row = rebuild(world.store, instance, seq)
        assert row is not None
        assert row.context == f'{{"n":{seq}}}'
    assert [row.seq for row in world.store.list_since_whole(instance, 67)] == [65, 66, 67]


async def test_what_has_not_happened_cannot_be_rebuilt(world: World) -> None:
    instance = await world.create()
    assert rebuild(world.store, instance, 2) is None
    assert rebuild(world.store, instance, 0) is None
    assert rebuild(world.store, 999, 1) is None


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'),
        ('{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'),
        ('{"a":"b"}', '{"a":null}', "{}"),
        ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
        ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'),
        ('{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'),
        ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
        ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'),
        ('["a","b"]', '["c","d"]', '["c","d"]'),
        ('{"a":"b"}', '["c"]', '["c"]'),
        ('{"a":"foo"}', "null", "null"),
        ('{"a":"foo"}', '"bar"', '"bar"'),
        ('{"e":null}', '{"a":1}', '{"e":null,"a":1}'),
        ("[1,2]", '{"a":"b","c":null}', '{"a":"b"}'),
        ("{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
    ],
)
async def test_merging_is_that_of_rfc_7396(target: str, patch: str, merged: str) -> None:
    assert merge_patch(target, patch) == merged


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        ('{"2":1,"a":1}', '{"10":1,"1":1,"01":1}', '{"1":1,"2":1,"10":1,"a":1,"01":1}'),
        ('{"a":1e-7,"b":1e+21,"c":123456789012345680000}', '{"d":5e-324}',
         '{"a":1e-7,"b":1e+21,"c":123456789012345680000,"d":5e-324}'),
        ('{"a":"\\ud800\\u0000\\n"}', '{"b":"\u2028é\U0001f600"}',
         '{"a":"\\ud800\\u0000\\n","b":"\u2028é\U0001f600"}'),
    ],
)  # fmt: skip
async def test_merged_texts_are_those_of_javascript(target: str, patch: str, merged: str) -> None:
    assert merge_patch(target, patch) == merged
