"""Deleting, pausing, making current: statuses, bodies and the confirmation of a deletion."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from smply.api import create_app
from smply.contract import confirmation
from smply.identity import LocalIdentity
from tests.conftest import World, audit_of, no_access

pytestmark = pytest.mark.anyio

Publish = Callable[[str, str], Awaitable[str]]

DANGER = "dangerDataWillBeDeletedForever"
OF_MACHINE = "hmacSha256OfMachineNameWithMachineNameKey"
OF_INSTANCE = "hmacSha256OfMachineInstanceNameWithMachineNameKey"
PATHS = {OF_MACHINE: "/machines/light", OF_INSTANCE: "/machines/light/i/one"}


def proof(machine: str, name: str) -> str:
    """As client-js makes it (client-facts 11)."""
    digest = hmac.new(machine.encode(), name.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode()


def confirmed(parameter: str, **changes: Any) -> dict[str, Any]:
    """A right confirmation, padded, with changes; a member changed to None is left out."""
    right = proof("light", "light" if parameter == OF_MACHINE else "one")
    body = {DANGER: True, parameter: right, **changes}
    return {name: value for name, value in body.items() if value is not None}


@pytest.fixture
async def http(world: World, publish: Publish) -> AsyncIterator[httpx.AsyncClient]:
    """The machine `light` and its instance `one` are there."""
    await publish("light", "light.ts")
    await world.client.instances.create("light", "one", act={"sid": "one"})
    app = create_app(
        world.engine,
        LocalIdentity(world.store.owner(), no_access),
        audit_of(world),
        "http://api.test",
    )
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as http:
        yield http


async def delete(http: httpx.AsyncClient, path: str, body: object) -> httpx.Response:
    return await http.request("DELETE", path, content=json.dumps(body))


@pytest.mark.parametrize(
    ("machine", "name", "value"),
    [
        ("my-machine", "my-machine", "5PJp5mA34O_ktPyzfdXUAVrvcrh2qSWVpi_CU-3JMLk"),
        ("my-machine", "user-1234", "OMrbCLyRO_ngkHnzeEnEm-l0GpFV9KC9jiMZsgeQEWo"),
        ("m1", "m1", "aUJoR6L6HwMhrz0J1n4FbSxms3PjOWEO-D_7zgRIP9w"),
        ("m1", "i1", "0YXc3drjFKzrlXslHfznpobV-rAe9sM4a4lduUAOl2I"),
    ],
)
def test_a_confirmation_is_what_the_contract_shows(machine: str, name: str, value: str) -> None:
    """S163, x-hmac-confirmations."""
    assert confirmation(machine, name) == value


async def test_a_confirmed_deletion_is_204_and_done(http: httpx.AsyncClient) -> None:
    """S160, S161; members that nobody knows are ignored (x-bodies)."""
    early = await delete(http, "/machines/light", confirmed(OF_MACHINE))
    assert (early.status_code, early.json()["code"]) == (409, "invalid-state")
    for parameter in (OF_INSTANCE, OF_MACHINE):
        answer = await delete(http, PATHS[parameter], confirmed(parameter, other=1))
        assert (answer.status_code, answer.content) == (204, b"")
        again = await delete(http, PATHS[parameter], confirmed(parameter))
        assert (again.status_code, again.json()["code"]) == (404, "not-found")
    assert (await http.get("/machines")).json() == {"machines": []}


async def test_a_confirmation_needs_no_padding(http: httpx.AsyncClient) -> None:
    bare = confirmed(OF_INSTANCE)[OF_INSTANCE].rstrip("=")
    answer = await delete(http, PATHS[OF_INSTANCE], {DANGER: True, OF_INSTANCE: bare})
    assert answer.status_code == 204


@pytest.mark.parametrize("parameter", PATHS)
@pytest.mark.parametrize(
    ("named", "value"),
    [
        (None, None),
        (None, ""),
        (None, 7),
        (None, proof("light", "two")),
        (None, proof("one", "light")),
        (None, confirmation("light", "one") + "x"),
        (None, "ä"),
        (DANGER, None),
        (DANGER, False),
        (DANGER, "true"),
        (DANGER, 1),
    ],
)
async def test_a_wrong_confirmation_is_400_and_deletes_nothing(
    http: httpx.AsyncClient, parameter: str, named: str | None, value: object
) -> None:
    """S164."""
    named = named or parameter
    answer = await delete(http, PATHS[parameter], confirmed(parameter, **{named: value}))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")
    assert answer.json()["parameter"] == named
    assert (await http.get("/machines/light/i/one/admin")).status_code == 200


@pytest.mark.parametrize("path", PATHS.values())
async def test_a_deletion_without_a_body_is_400(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.delete(path)
    assert (answer.status_code, answer.json()["parameter"]) == (400, DANGER)


async def test_a_status_is_set_with_204_s158(http: httpx.AsyncClient) -> None:
    path = "/machines/light/i/one"
    for status in ("paused", "running"):
        answer = await http.put(f"{path}/status", json={"status": status, "other": 1})
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await http.get(f"{path}/admin")).json()["status"] == status
        assert (await http.get("/machines/light/i")).json()["instances"][0]["status"] == status
        sent = await http.post(f"{path}/events", json={"event": "toggle"})
        assert sent.status_code == (409 if status == "paused" else 200)
        assert sent.json().get("code") == ("invalid-state" if status == "paused" else None)


@pytest.mark.parametrize("status", [None, "", "Paused", "stopped", "error", 1, True, ["paused"]])
async def test_no_other_status_is_taken(http: httpx.AsyncClient, status: object) -> None:
    body = {} if status is None else {"status": status}
    answer = await http.put("/machines/light/i/one/status", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")
    assert answer.json()["parameter"] == "status"


@pytest.mark.parametrize("path", ["/machines/light/i/two", "/machines/dark/i/one"])
async def test_what_is_not_there_has_no_status_q2(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.put(f"{path}/status", json={"status": "running"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_a_version_is_made_current_with_204(
    http: httpx.AsyncClient, world: World, bundle: Callable[[str], Awaitable[bytes]]
) -> None:
    """extensions.md; S2."""
    later = await world.client.versions.create("light", await bundle("echo.ts"))
    body = {"machineVersionId": later, "other": 1}
    answer = await http.put("/smply/machines/light/current-version", json=body)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await http.get("/machines/light")).json()["machine"]["currentVersion"]["id"] == later


@pytest.mark.parametrize(
    ("version", "status"),
    [(None, 400), ("", 400), (7, 400), ("0.0.1", 400), ("ver_FsrMf_baSJG53SBNSUszzw", 404)],
)
async def test_what_is_no_version_is_not_made_current(
    http: httpx.AsyncClient, version: object, status: int
) -> None:
    before = (await http.get("/machines/light")).json()
    body = {} if version is None else {"machineVersionId": version}
    answer = await http.put("/smply/machines/light/current-version", json=body)
    assert (answer.status_code, answer.json()["parameter"]) == (status, "machineVersionId")
    assert (await http.get("/machines/light")).json() == before


async def test_a_machine_that_is_not_there_has_no_current_version(http: httpx.AsyncClient) -> None:
    body = {"machineVersionId": "ver_FsrMf_baSJG53SBNSUszzw"}
    answer = await http.put("/smply/machines/dark/current-version", json=body)
    assert (answer.status_code, answer.json()["parameter"]) == (404, "machineSlug")
