"""The document of the API and its routes say the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from smply import api
from smply.api import routes, unbuilt
from tests.api.support import Served

pytestmark = pytest.mark.anyio

DOCUMENT: dict[str, Any] = json.loads(Path(api.__file__).with_name("openapi.json").read_text())
WAYS = ("get", "post", "put", "delete", "patch", "head", "options")
OPERATIONS = {
    (way.upper(), path): operation
    for path, item in DOCUMENT["paths"].items()
    for way, operation in item.items()
    if way in WAYS
}
LATER = {"/metrics"}
"""Extensions of later issues, which are not in the document yet; and what a server alone has."""


def _is_unbuilt(way: str, path: str) -> bool:
    return (way, path) in unbuilt.ROUTES or ("*", path) in unbuilt.ROUTES


def test_every_operation_is_a_route_or_says_that_it_is_not_built() -> None:
    built = {(way, path) for way, path, *_ in [*routes.OF_ENGINE, *routes.OF_ORG]}
    built |= {(way, path) for way, path, _ in routes.OF_PERSON}
    built |= {("PUT", path) for path in routes.ACCEPT}
    built |= {("POST", "/tokens"), ("POST", "/code-uploads/{uploadId}"), ("GET", "/smply/info")}
    built |= {("GET", path) for path in ("/openapi.json", "/healthz", "/readyz")}
    for (way, path), operation in OPERATIONS.items():
        if path in LATER:
            continue
        assert ((way, path) in built) != _is_unbuilt(way, path), (way, path)
        assert _is_unbuilt(way, path) == operation.get("x-not-built", False), (way, path)
    assert built <= OPERATIONS.keys()


def test_every_route_needs_the_scope_that_the_document_says() -> None:
    for way, path, _, scope in [*routes.OF_ENGINE, *routes.OF_ORG]:
        assert OPERATIONS[way, path]["x-required-scope"] == scope, (way, path)
    for way, path, _ in routes.OF_PERSON:
        assert OPERATIONS[way, path]["x-required-scope"] == "user", (way, path)


def test_every_reference_leads_somewhere() -> None:
    for found in set(re.findall(r'"#/([^"]*)"', json.dumps(DOCUMENT))):
        place: Any = DOCUMENT
        for part in found.split("/"):
            place = place[part]


def test_an_operation_has_an_id_of_its_own() -> None:
    ids = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(ids) == len(set(ids))


async def test_the_document_is_served(served: Served) -> None:
    answer: httpx.Response = await served.http.get("/openapi.json")
    assert answer.json() == DOCUMENT


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_whether_it_lives_needs_no_token(served: Served, path: str) -> None:
    assert (await served.http.get(path)).status_code == 200
