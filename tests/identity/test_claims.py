"""Mappings of claims (S125-S127, C13, C14, x-mapping-rules)."""

from __future__ import annotations

from typing import Any

import pytest

from smply.errors import InvalidParameter
from smply.identity.claims import FOUND_MAX, check_mapping, mapped

CLAIMS: dict[str, Any] = {
    "sub": "auth0|me",
    "auth": {"roles": ["a", "b"], "level": 3},
    "orgs": [{"id": 1, "on": True}, {"id": 2, "on": False}],
    "nothing": None,
}


@pytest.mark.parametrize(
    ("mapping", "made"),
    [
        ({"sub.$": "$.sub", "provider": "auth0"}, {"sub": "auth0|me", "provider": "auth0"}),
        ({"sub.$": "sub"}, {"sub": "auth0|me"}),
        ({"roles": "$.auth.roles"}, {"roles": "$.auth.roles"}),
        ({"in": {"deep": {"level.$": "$.auth.level"}}}, {"in": {"deep": {"level": 3}}}),
        ({"list": [{"sub.$": "$.sub"}, 1]}, {"list": [{"sub": "auth0|me"}, 1]}),
        ({"no.$": "$.none", "none.$": "$.orgs[*].none"}, {}),
        ({"ids.$": "$.orgs[*].id"}, {"ids": [1, 2]}),
        ({"ids.$": "$.orgs[?@.on == true].id"}, {"ids": [1]}),
        ({"ids.$": "$..id"}, {"ids": [1, 2]}),
        ({"roles.$": "$.auth.roles"}, {"roles": ["a", "b"]}),
        ({"null.$": "$.nothing"}, {"null": None}),
        ({"all.$": "$"}, {"all": CLAIMS}),
        ({}, {}),
    ],
)
def test_a_mapping_makes_claims(mapping: dict[str, Any], made: dict[str, Any]) -> None:
    check_mapping(mapping)
    assert mapped(mapping, CLAIMS) == made


@pytest.mark.parametrize(
    ("mapping", "why"),
    [
        ({"a.$": 1}, "a.$ is not a JSONPath in a text"),
        ({"a.$": "$["}, "no JSONPath"),
        ({"a.$": ""}, "no JSONPath"),
        ({"a": {"b": [{"c.$": "$.x["}]}}, "no JSONPath"),
        ({"a.$": "$..x..y"}, "more than once"),
        ({"a.$": "$[?@[?@.x]]"}, "more than once"),
        ({"a.$": "$.a[?count($.a.*) > 9]"}, "begins anew"),
        ({"a.$": "$" + "[*,*]" * 5}, "more than 20 alternatives"),
        ({"a.$": "$[0]" + "['a','a','a']" * 3}, "more than 20 alternatives"),
        ({"a.$": "$.a[?@[*,*][*,*]]"}, "alternatives"),
        ({"a.$": "$[?match(@.x, '(a+)+b')]"}, "no JSONPath"),
        ({"a.$": "$" + ".a" * 300}, "more than 500 characters"),
        ({"a": [[]] * 3, **{str(n): n for n in range(300)}}, "more than 200 members"),
        ({f"{n}.$": "$..[?count(@.*) < 0]" for n in range(11)}, "more than 200 members"),
        ({"a.$": "$[99999999999999999999]"}, "no JSONPath"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_refused(mapping: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidParameter, match="this mapping cannot be used") as caught:
        check_mapping(mapping)
    assert why in str(caught.value)
    assert caught.value.parameter == "mapping"


def test_a_path_may_name_some_alternatives() -> None:
    mapping = {"a.$": "$['list','sub'][0,1]", "b.$": "$..['x','y','sub']", "c.$": "$.list[?@ > 1]"}
    check_mapping(mapping)
    found = mapped(mapping, {"list": [1, 2], "sub": "me"})
    assert found == {"a": [1, 2], "b": ["me"], "c": [2]}


def test_a_mapping_has_a_depth() -> None:
    deep: Any = {}
    for _ in range(30):
        deep = {"a": deep}
    with pytest.raises(InvalidParameter, match="levels deep"):
        check_mapping(deep)


def test_a_path_finds_no_more_than_it_may() -> None:
    found = mapped({"a.$": "$.list[*]"}, {"list": [0] * 5_000})
    assert len(found["a"]) == FOUND_MAX


def test_what_strings_and_lists_look_like_paths_stays() -> None:
    assert mapped({"x": ["$.sub", {"y": "$.sub"}]}, CLAIMS) == {"x": ["$.sub", {"y": "$.sub"}]}
