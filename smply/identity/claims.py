"""From the claims of one token to those of another (S125-S127, x-mapping-rules).

A member `name.$` becomes `name` with what its JSONPath finds (RFC 9535); every other member is
copied, and what is inside it mapped. A path that finds nothing yields no member; one that can find
many yields a list.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonpath_rfc9535 import JSONPathEnvironment, JSONPathError, JSONPathQuery
from jsonpath_rfc9535.function_extensions import Count, Length, Value
from jsonpath_rfc9535.lex import tokenize
from jsonpath_rfc9535.tokens import TokenType

from smply.errors import InvalidParameter

PATH_LENGTH_MAX = 500
FOUND_MAX = 1_000
"""Values that one path may find."""
ALTERNATIVES_MAX = 20
"""Values that the selectors of one path, as `[0,1]`, may find where one alone finds one."""
MAPPING_DEPTH_MAX = 20
MAPPING_MEMBERS_MAX = 200
SEARCH_WEIGHT = 20
"""As how many members a path counts that may look at each claim several times."""

_REFERENCE = ".$"


class _Paths(JSONPathEnvironment):
    """RFC 9535 without `match` and `search`, whose patterns can run for hours."""

    def setup_function_extensions(self) -> None:
        self.function_extensions["length"] = Length()
        self.function_extensions["count"] = Count()
        self.function_extensions["value"] = Value()


_PATHS = _Paths()


def check_mapping(mapping: Any) -> None:
    """Raise InvalidParameter for a mapping that could not be applied, or not in bounded time."""
    members = _members(mapping, 0)
    if members > MAPPING_MEMBERS_MAX:
        raise _bad(
            f"it has more than {MAPPING_MEMBERS_MAX} members"
            f" (a path with `..`, `?` or `[…,…]` counts for {SEARCH_WEIGHT})"
        )


def mapped(mapping: dict[str, Any], source: dict[str, Any]) -> dict[str, Any]:
    """What a checked mapping makes of claims."""
    made: dict[str, Any] = {}
    for name, value in mapping.items():
        if not name.endswith(_REFERENCE):
            made[name] = _mapped(value, source)
            continue
        found = _found(_query(value), source)
        if found:
            made[name.removesuffix(_REFERENCE)] = found[0]
    return made


def _mapped(value: Any, source: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        return mapped(value, source)
    if isinstance(value, list):
        return [_mapped(each, source) for each in value]
    return value


def _found(query: JSONPathQuery, source: dict[str, Any]) -> list[Any]:
    """Nothing, or one value: what the path has found, or the list of it."""
    nodes = islice(query.finditer(source), FOUND_MAX)
    values = [node.value for node in nodes]
    if query.singular_query() or not values:
        return values[:1]
    return [values]


def _members(mapping: Any, depth: int) -> int:
    if depth > MAPPING_DEPTH_MAX:
        raise _bad(f"it is more than {MAPPING_DEPTH_MAX} levels deep")
    if isinstance(mapping, list):
        return sum(_members(each, depth + 1) for each in mapping)
    if not isinstance(mapping, dict):
        return 1
    count = 0
    for name, value in mapping.items():
        if name.endswith(_REFERENCE):
            count += _weight_of(name, value)
        else:
            count += 1 + _members(value, depth + 1)
    return count


def _weight_of(name: str, path: Any) -> int:
    """As how many members a path counts, which is checked first."""
    if not isinstance(path, str):
        raise _bad(f"{name} is not a JSONPath in a text")
    if len(path) > PATH_LENGTH_MAX:
        raise _bad(f"the path of {name} has more than {PATH_LENGTH_MAX} characters")
    try:
        query = _query(path)
        kinds = Counter(token.type_ for token in tokenize(_rooted(path)))
    except JSONPathError as exc:
        raise _bad(f"the path of {name} is no JSONPath: {exc}") from exc
    # Two of either, one in the other, take the square of what one takes.
    if kinds[TokenType.DOUBLE_DOT] > 1 or kinds[TokenType.FILTER] > 1:
        raise _bad(f"the path of {name} has `..` or `?` more than once")
    if kinds[TokenType.ROOT] > 1:
        raise _bad(f"the path of {name} begins anew with `$` for each value that it looks at")
    # Each list of selectors multiplies what the next one looks at; one in a filter is not counted.
    several = [len(each.selectors) for each in query.segments if len(each.selectors) > 1]
    commas = sum(several) - len(several)
    if math.prod(several) > ALTERNATIVES_MAX or kinds[TokenType.COMMA] > commas:
        raise _bad(f"the path of {name} has more than {ALTERNATIVES_MAX} alternatives in `[…,…]`")
    return SEARCH_WEIGHT if several or kinds[TokenType.DOUBLE_DOT] or kinds[TokenType.FILTER] else 1


@lru_cache(maxsize=1_000)
def _query(path: str) -> JSONPathQuery:
    return _PATHS.compile(_rooted(path))


def _rooted(path: str) -> str:
    """A bare name stands for what is so named at the root (C14)."""
    return path if path.startswith("$") else f"$.{path}"


def _bad(why: str) -> InvalidParameter:
    return InvalidParameter(f"this mapping cannot be used: {why}", parameter="mapping")
