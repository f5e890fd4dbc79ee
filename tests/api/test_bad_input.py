"""What is wrong is a 4xx with a code, on every route, and leaves nothing behind (x-bodies)."""

from __future__ import annotations

import gzip
import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

from smply.api import Asked, Manners, around, routes
from smply.client import AsyncClient
from smply.identity.scopes import SCOPES
from smply.ids import ORG, show_id
from tests.api.support import Served, told
from tests.identity.support import packed

pytestmark = pytest.mark.anyio

CODE = b"""
import { createMachine } from "npm:xstate@5";
export const allowRead = () => true;
export const allowWrite = () => true;
export default createMachine({ context: ({ input }) => input, on: { go: {} } });
"""
BODIES = {
    "no JSON": b"nonsense",
    "cut off": b'{"slug": "a',
    "a list": b"[1]",
    "a number": b"3",
    "a text": b'"x"',
    "null": b"null",
    "UTF-16": '{"slug": "a"}'.encode("utf-16"),
    "no UTF-8": b'{"slug": "\xff", "name": "\xff"}',
    "half a character": b'{"slug": "\\ud800", "name": "\\ud800", "email": "\\ud800@x"}',
    "NUL": b"\0",
    "NaN": b'{"slug": NaN, "name": NaN}',
    "deep": b"[" * 100_000,
    "large": b'{"slug": "' + b"x" * 2_100_000 + b'"}',
    "another kind": json.dumps(
        {name: [] for name in (
            "slug", "event", "status", "id", "name", "use", "scopes", "aud", "keyId", "email",
            "role", "machineVersionId", "currentVersion", "makeCurrent", "expiresAt", "mapping",
        )}
    ).encode(),
}  # fmt: skip
TYPES = ("application/json", "text/plain", "application/x-www-form-urlencoded", "")
BODILESS = {"provision_version", "delete_key", "delete_token_provider"}


@pytest.fixture
async def furnished(served: Served) -> Served:
    """With a machine, an instance, a key, a provider and an invitation of the first org."""
    transport = httpx.ASGITransport(served.app)
    async with AsyncClient("http://test.smply", token=served.token, transport=transport) as client:
        await client.machines.create("mine")
        served.version = await client.versions.create("mine", CODE, make_current=True)
        await client.instances.create("mine", "one", context={"is": "hidden-context"}, act={})
    key = (await served.ask("POST", "/keys", {"name": "hidden-key", "use": "ci"})).json()["id"]
    provider = {"aud": "hidden-aud", "algs": ["HS256"], "key": packed(b"secret" * 6), "mapping": {}}
    await served.ask("POST", "/idps", provider)
    service = {"keyId": key, "service": "hidden-service", "mapping": {}}
    await served.ask("POST", "/token-providers", service)
    sent = await served.ask("POST", "/org-members", {"email": "hidden@x", "role": "read"})
    served.names = {
        "machineSlug": "mine", "instanceSlug": "one", "machineVersionId": served.version,
        "signedMachineVersionId": served.version, "keyId": key, "service": "hidden-service",
        "user": show_id("usr", served.owner), "id": sent.json()["id"],
    }  # fmt: skip
    return served


def rows(directory: Path) -> list[str]:
    """All that is kept, but for what is noted in passing."""
    database = sqlite3.connect(directory / "smply.db")
    kept = [line for line in database.iterdump() if '"audit"' not in line and "usage" not in line]
    database.close()
    return kept


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_body_that_is_wrong_makes_nothing(
    furnished: Served, tmp_path: Path, body: bytes
) -> None:
    before = rows(tmp_path)
    every: list[Any] = [*routes.OF_ENGINE, *routes.OF_ORG, *routes.OF_PERSON]
    for method, path, verb, *_ in every:
        if method not in ("POST", "PUT") or verb.__name__ in BODILESS:
            continue
        for kind in TYPES:
            answer = await furnished.http.request(
                method, path.format(**furnished.names), content=body,
                headers={"authorization": f"Bearer {furnished.token}", "content-type": kind},
            )  # fmt: skip
            assert 400 <= answer.status_code < 500, (method, path, answer.status_code, answer.text)
            assert answer.json()["code"]
    assert rows(tmp_path) == before


async def test_an_org_reaches_nothing_of_another_by_any_route(
    furnished: Served, tmp_path: Path
) -> None:
    """S105, S192: every operation with the token of another org's key, and with its owner's."""
    org = await furnished.access.orgs.create(furnished.owner, "other", allow_anonymous=False)
    foreign = await furnished.key_token(*SCOPES, org=org)
    bodies: list[Any] = [
        None, {"aud": "hidden-aud"}, {"status": "paused"}, {"event": "go"}, {"role": "none"},
        {"currentVersion": furnished.version}, {"slug": "one"},
        {"keyId": furnished.names["keyId"], "service": "s", "mapping": {}},
    ]  # fmt: skip
    hidden = ("hidden", furnished.version, show_id(ORG, furnished.org), furnished.names["keyId"])
    before = rows(tmp_path)
    for method, path, _, _ in [*routes.OF_ENGINE, *routes.OF_ORG]:
        for body in bodies:
            where = path.format(**furnished.names)
            # Who guesses the words of a confirmation is refused all the same.
            confirmation = {"dangerDataWillBeDeletedForever": "true"}
            answer = await furnished.http.request(
                method, where, json=body, params=confirmation if method == "DELETE" else {},
                headers={"authorization": f"Bearer {foreign}"},
            )  # fmt: skip
            assert answer.status_code < 500 or answer.status_code == 501
            asked = f"{where} {json.dumps(body)}"
            found = [word for word in hidden if word in answer.text and word not in asked]
            assert not found, (method, path, body, answer.text)
    theirs = show_id(ORG, org)
    assert [row for row in before if row not in set(rows(tmp_path))] == [], theirs


async def test_a_cursor_that_was_made_up_is_refused(furnished: Served) -> None:
    lists = [
        row[1] for row in [*routes.OF_ENGINE, *routes.OF_ORG] if row[2].__name__[:5] == "list_"
    ]
    assert len(lists) > 8
    for path in lists:
        for cursor in ("x", "-1", "9" * 30, "", "\u0663", "1 OR 1=1"):
            answer = await furnished.http.get(
                path.format(**furnished.names), params={"cursor": cursor},
                headers={"authorization": f"Bearer {furnished.token}"},
            )  # fmt: skip
            assert (*told(answer), answer.json()["parameter"]) == (
                400, "invalid-parameter", "cursor",
            ), path  # fmt: skip


@pytest.mark.parametrize("name", ["keyId", "machineVersionId", "user", "id"])
async def test_an_id_of_another_kind_is_named(furnished: Served, name: str) -> None:
    names = {**furnished.names, name: show_id("wrong", furnished.org)}
    tried = 0
    for method, path, _, _ in [*routes.OF_ENGINE, *routes.OF_ORG]:
        if "{" + name + "}" in path and method != "PUT":
            answer = await furnished.ask(method, path.format(**names))
            assert (*told(answer), answer.json()["parameter"]) == (400, "invalid-parameter", name)
            tried += 1
    assert tried


@pytest.mark.parametrize(
    ("form", "status", "parameter"),
    [
        ([("file", b"1"), ("file", b"2")], 400, "file"),
        ([("key", None), ("key", None), ("file", b"1")], 400, "key"),
        ([("key", None)], 400, "file"),
        ([("key", None), ("content-encoding", b"gzip"), ("file", b"plain")], 400, "file"),
        ([("key", None), ("content-encoding", b"gzip"),
          ("file", gzip.compress(b" " * 300_000_000))], 413, None),
        ([("key", None), ("content-encoding", b"br"), ("file", b"1")], 400, "content-encoding"),
    ],
)  # fmt: skip
async def test_an_upload_that_is_wrong_is_refused(
    furnished: Served, form: list[tuple[str, bytes | None]], status: int, parameter: str | None
) -> None:
    """S8."""
    begun = (await furnished.ask("POST", "/machines/mine/v")).json()
    secret = begun["codeUploadFields"]["key"].encode()
    parts = [
        (name, (None if name != "file" else "m.js", secret if value is None else value))
        for name, value in form
    ]
    answer = await furnished.http.post(begun["codeUploadUrl"], files=parts)
    assert (answer.status_code, answer.json().get("parameter")) == (status, parameter), answer.text


@pytest.mark.parametrize("path", ["/tokens", "/code-uploads/00"])
async def test_a_form_in_no_encoding_is_refused(served: Served, path: str) -> None:
    """Python knows an encoding named `undefined`, which cannot be decoded."""
    form = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n'
    kind = "multipart/form-data; boundary=x; charset=undefined"
    answer = await served.http.post(path, content=form, headers={"content-type": kind})
    assert (*told(answer), answer.json()["parameter"]) == (400, "invalid-parameter", "body")


@pytest.mark.parametrize("path", ["/keys", "/smply/tokens", "/tokens", "/code-uploads/00"])
async def test_a_body_that_is_cut_off_is_no_fault(served: Served, path: str) -> None:
    asked: list[Asked] = []
    came = iter([{"type": "http.request", "body": b"{", "more_body": True}])

    async def receive() -> Any:
        return next(came, {"type": "http.disconnect"})

    async def send(message: Any) -> None: ...

    kind = b"multipart/form-data; boundary=x"
    headers = [(b"authorization", b"Bearer " + served.token.encode()), (b"content-type", kind)]
    scope = {
        "type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b"",
    }  # fmt: skip
    await around(served.app, Manners(on_asked=asked.append))(scope, receive, send)

    assert [(each.status, each.error) for each in asked] == [(400, None)]


SECRET_PATHS = {
    "/invitations/sbinv_" + "x" * 43: "/invitations/sbinv_…",
    "/sbinv_" + "x" * 43: "/sbinv_…",
    "/machines/m/v/" + "0f" * 16 + "." + "x" * 43: "/machines/m/v/" + "0f" * 16 + ".…",
    "/machines/sbinv/i/one": "/machines/sbinv/i/one",
}


@pytest.mark.parametrize("path", SECRET_PATHS)
async def test_the_log_of_a_server_holds_no_secret(served: Served, path: str) -> None:
    """A code or an upload whose request failed is good still."""
    asked: list[Asked] = []
    app = around(served.app, Manners(on_asked=asked.append))
    async with httpx.AsyncClient(
        base_url="http://test.smply", transport=httpx.ASGITransport(app)
    ) as http:
        await http.put(path, json={}, headers={"authorization": "Bearer none"})

    assert [each.path for each in asked] == [SECRET_PATHS[path]]
