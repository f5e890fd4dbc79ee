"""No more than so many requests of an org at once (design.md, bounds)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from smply.api import Turnstile, create_app
from smply.errors import LimitExceeded
from smply.identity import LocalIdentity
from tests.conftest import World, audit_of, no_access


def test_an_org_enters_as_often_as_it_may_and_harms_no_other() -> None:
    turnstile = Turnstile(2)
    for _ in range(2):
        turnstile.enter(b"one")
    with pytest.raises(LimitExceeded):
        turnstile.enter(b"one")
    turnstile.enter(b"two")
    turnstile.leave(b"one")
    turnstile.enter(b"one")


@pytest.mark.anyio
async def test_one_too_many_is_429_and_all_leave_again(world: World) -> None:
    identity = LocalIdentity(world.store.owner(), no_access)
    app = create_app(world.engine, identity, audit_of(world), "http://api.test", Turnstile(2))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://api.test"
    ) as http:
        for _ in range(3):
            asked = [http.post("/machines", json={"slug": "x"}) for _ in range(5)]
            statuses = sorted([answer.status_code for answer in await asyncio.gather(*asked)])
            assert statuses[-3:] == [429, 429, 429]
        answer = await http.get("/machines")
    assert answer.status_code == 200


@pytest.mark.anyio
async def test_bodies_that_do_not_come_keep_nobody_out(world: World) -> None:
    identity = LocalIdentity(world.store.owner(), no_access)
    app = create_app(world.engine, identity, audit_of(world), "http://api.test", Turnstile(2))
    whole = asyncio.Event()
    begun = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal begun
        begun += 1
        await whole.wait()
        yield b"{}"

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://api.test"
    ) as http:
        held = [asyncio.create_task(http.post("/machines", content=body())) for _ in range(2)]
        while begun < 2:
            await asyncio.sleep(0.001)
        assert (await http.get("/machines")).status_code == 200
        whole.set()
        assert {(await each).status_code for each in held} == {400}
