"""The API over HTTP: one shape of errors, what is not built is said, bodies are checked."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from smply.api import create_app, unbuilt
from smply.identity import LocalIdentity
from tests.conftest import World, audit_of, no_access

pytestmark = pytest.mark.anyio

ACT = {"x-statebacked-act": json.dumps({"sid": "one"})}
Publish = Callable[[str, str], Awaitable[str]]


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(
        world.engine,
        LocalIdentity(world.store.owner(), no_access),
        audit_of(world),
        "http://api.test",
    )
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as http:
        yield http


@pytest.mark.parametrize(("method", "path"), unbuilt.ROUTES)
async def test_what_is_not_built_says_so(http: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await http.request(
        "GET" if method == "*" else method, path.replace("{", "").replace("}", "")
    )
    assert answer.status_code == 501
    assert answer.json()["code"] == "not-implemented"


@pytest.mark.parametrize("header", ["If-Match", "Idempotency-Key"])
async def test_headers_not_built_are_refused(http: httpx.AsyncClient, header: str) -> None:
    """extensions.md, marked (2)."""
    answer = await http.post("/machines", json={"slug": "m"}, headers={header: "1"})
    assert (answer.status_code, answer.json()["code"]) == (501, "not-implemented")
    assert (await http.get("/machines")).json() == {"machines": []}


@pytest.mark.parametrize("member", [{"ifState": "on"}, {"dryRun": True}])
async def test_members_not_built_are_refused_and_nothing_is_done(
    http: httpx.AsyncClient, publish: Publish, member: dict[str, object]
) -> None:
    await publish("light", "light.ts")
    await http.post("/machines/light", json={"slug": "one"}, headers=ACT)
    answer = await http.post(
        "/machines/light/i/one/events", json={"event": "toggle", **member}, headers=ACT
    )
    assert (answer.status_code, answer.json()["code"]) == (501, "not-implemented")
    history = (await http.get("/machines/light/i/one/events")).json()["transitions"]
    assert len(history) == 1


async def test_a_machine_is_shown_as_the_contract_says(
    http: httpx.AsyncClient, publish: Publish
) -> None:
    version = await publish("light", "light.ts")
    shown = (await http.get("/machines/light")).json()["machine"]
    assert sorted(shown) == ["createdAt", "currentVersion", "indexes"]
    assert shown["currentVersion"]["id"] == version
    assert shown["createdAt"] == "2027-01-15T08:00:00.000Z"


async def test_the_public_state_is_the_contract_s(
    http: httpx.AsyncClient, publish: Publish
) -> None:
    """S31-S36, C8."""
    await publish("light", "light.ts")
    answer = await http.post("/machines/light", json={"slug": "one"}, headers=ACT)
    assert answer.status_code == 200
    assert answer.json() == {
        "ts": 1_800_000_000_000,
        "state": "off",
        "publicContext": {"count": 0},
        "tags": [],
        "done": False,
        "states": ["off"],
    }


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        (b"{", "body"),
        (b"[]", "body"),
        (b"{}", "event"),
        (b'{"event": 7}', "event"),
        (b'{"event": ""}', "event"),
        (b'{"event": {"kind": "x"}}', "event"),
        (b'{"event": {"type": 1}}', "event"),
        (b'{"event": "xstate.stop"}', "event"),
        (b'{"event": "\\ud800"}', "body"),
        (b"\xff\xfe", "body"),
        (b'{"event": {"type": "a", "x": "\xff"}}', "event"),
        (b'{"event": {"type": "a", "x": 1e999}}', "event"),
    ],
)
async def test_a_wrong_body_names_what_is_wrong(
    http: httpx.AsyncClient, body: bytes, parameter: str
) -> None:
    answer = await http.post("/machines/m/i/one/events", content=body, headers=ACT)
    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["parameter"]) == ("invalid-parameter", parameter)


async def test_a_body_nested_without_end_is_refused(http: httpx.AsyncClient) -> None:
    """How deep is too deep depends on the Python: that it is refused does not."""
    deep = b"[" * 100_000 + b"]" * 100_000
    answer = await http.post(
        "/machines/m/i/one/events", content=b'{"event": {"type": "a", "x": ' + deep + b"}}"
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")


@pytest.mark.parametrize("act", [b"7", b"{", b'{"a": "\xff"}', b'{"a": ' + b"[" * 5_000])
async def test_a_wrong_auth_context_is_refused(http: httpx.AsyncClient, act: bytes) -> None:
    """S114."""
    answer = await http.get("/machines", headers={b"x-statebacked-act": act})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "x-statebacked-act")


@pytest.mark.parametrize("name", ["a b", "ä", "x" * 129, "a.b"])
async def test_a_wrong_name_is_refused(http: httpx.AsyncClient, name: str) -> None:
    """C4."""
    answer = await http.post("/machines", json={"slug": name})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "slug")


async def test_an_event_too_large_is_413(http: httpx.AsyncClient) -> None:
    """Q46."""
    event = {"type": "x", "data": "x" * 400_000}
    answer = await http.post("/machines/m/i/one/events", json={"event": event}, headers=ACT)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


@pytest.mark.parametrize(
    "path", ["/machines/m", "/machines/m/i", "/machines/m/i/one", "/machines/m/v"]
)
async def test_unknown_things_are_404(http: httpx.AsyncClient, path: str) -> None:
    """Q2."""
    answer = await http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_lists_have_pages(http: httpx.AsyncClient) -> None:
    """Q32: 100 rows a page; the cursor is absent on the last one."""
    for number in range(101):
        await http.post("/machines", json={"slug": f"m{number}"})
    first = (await http.get("/machines")).json()
    rest = (await http.get("/machines", params={"cursor": first["cursor"]})).json()
    assert (len(first["machines"]), len(rest["machines"])) == (100, 1)
    assert "cursor" not in rest


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "1.5", "", "\u0663"])
async def test_a_limit_is_1_to_1000(http: httpx.AsyncClient, limit: str) -> None:
    """Q32."""
    answer = await http.get("/machines", params={"limit": limit})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "limit")


async def test_pages_go_on_where_they_end(http: httpx.AsyncClient) -> None:
    for number in range(5):
        await http.post("/machines", json={"slug": f"m{number}"})
    seen: list[str] = []
    params: dict[str, str] = {"limit": "2"}
    for _ in range(3):
        page = (await http.get("/machines", params=params)).json()
        seen += [machine["slug"] for machine in page["machines"]]
        params["cursor"] = page.get("cursor", "")
    assert seen == [f"m{number}" for number in range(5)]
    assert "cursor" not in page


async def test_indexes_are_not_built_and_said_so(http: httpx.AsyncClient) -> None:
    answer = await http.post("/machines", json={"slug": "m", "indexes": ["a"]})
    assert answer.status_code == 501


async def test_finalizing_twice_gives_the_same_answer(
    http: httpx.AsyncClient, bundle: Callable[[str], Awaitable[bytes]]
) -> None:
    """Q34, S7."""
    await http.post("/machines", json={"slug": "light"})
    begun = (await http.post("/machines/light/v")).json()
    early = await http.put(f"/machines/light/v/{begun['machineVersionId']}", json={})
    assert (early.status_code, early.json()["parameter"]) == (400, "code")
    sent = await http.post(
        begun["codeUploadUrl"],
        data={**begun["codeUploadFields"], "content-type": "application/javascript"},
        files={"file": ("light.js", await bundle("light.ts"), "application/javascript")},
    )
    assert sent.status_code == 204
    answers = [
        (await http.put(f"/machines/light/v/{begun['machineVersionId']}", json={})).json()
        for _ in "ab"
    ]
    assert answers[0] == answers[1]
    assert len((await http.get("/machines/light/v")).json()["versions"]) == 1


async def test_an_upload_is_whole_and_comes_before_the_finalization(
    http: httpx.AsyncClient, bundle: Callable[[str], Awaitable[bytes]]
) -> None:
    """S7, S8."""
    await http.post("/machines", json={"slug": "light"})
    begun = (await http.post("/machines/light/v")).json()
    fields = {**begun["codeUploadFields"], "content-encoding": "gzip"}
    zipped = gzip.compress(await bundle("light.ts"))

    async def upload(code: bytes) -> int:
        files = {"file": ("light.js", code, "application/javascript")}
        return (await http.post(begun["codeUploadUrl"], data=fields, files=files)).status_code

    assert await upload(zipped[:-20]) == 400
    assert await upload(zipped) == 204
    await http.put(f"/machines/light/v/{begun['machineVersionId']}", json={})
    assert await upload(zipped) == 403


async def test_an_upload_needs_its_secret(http: httpx.AsyncClient) -> None:
    """S8."""
    await http.post("/machines", json={"slug": "light"})
    begun = (await http.post("/machines/light/v")).json()
    answer = await http.post(
        begun["codeUploadUrl"], data={"key": "guess"}, files={"file": ("x.js", b"x", "text/plain")}
    )
    assert answer.status_code == 403


async def test_a_wrong_method_is_said(http: httpx.AsyncClient) -> None:
    answer = await http.patch("/machines")
    assert (answer.status_code, answer.json()["code"]) == (405, "not-allowed")


@pytest.mark.parametrize("path", ["/machines/m%2Fi", "/machines/m/i/a%2fadmin"])
async def test_an_escaped_slash_reaches_no_other_route(http: httpx.AsyncClient, path: str) -> None:
    """F33."""
    answer = await http.get(path)
    assert (answer.status_code, answer.json()["parameter"]) == (400, "path")


async def test_no_more_of_a_body_is_read_than_is_allowed(http: httpx.AsyncClient) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b" " * 100_000

    answer = await http.post("/machines", content=endless())
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    assert read < 30


async def test_an_unknown_path_is_404(http: httpx.AsyncClient) -> None:
    assert (await http.get("/nowhere")).status_code == 404
    answer = await http.get("/nowhere/at/all")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
