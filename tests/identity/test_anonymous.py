"""Anonymous sessions (S128-S133)."""

from __future__ import annotations

import json

import pytest

from smply.contract import USES
from smply.errors import ExchangeRefused
from smply.ids import ORG, show_id
from tests.identity.support import Desk, signed

pytestmark = pytest.mark.anyio


def subject(desk: Desk, org: bytes, **more: object) -> str:
    """What the client signs by itself (S131, S133)."""
    issuer = f"https://{show_id(ORG, org)}.anonymous.auth.statebacked.dev"
    claims = {
        "sid": "s", "did": "d", "aud": issuer, "iss": issuer, "iat": desk.now,
        "exp": desk.now + 86_400, **more,
    }  # fmt: skip
    return signed(claims, show_id(ORG, org))


def audience(org: bytes) -> str:
    return f"https://tokens.statebacked.dev/{show_id(ORG, org)}/anonymous-statebacked-dev"


async def test_a_stranger_comes_in_as_just_that(desk: Desk) -> None:
    org = await desk.access.orgs.create(desk.owner, "mine")
    token = subject(desk, org, sub="root", act={"sub": "root"}, auth="admin", scope="org.write")
    made = await desk.access.exchange.exchange(audience(org), token)
    actor = desk.actor(made.token)
    assert (actor.org, actor.scopes) == (org, USES["production"])
    assert json.loads(actor.auth) == {"sid": "s", "did": "d", "auth": "anonymous"}


async def test_an_org_need_not_let_strangers_in(desk: Desk) -> None:
    org = await desk.access.orgs.create(desk.owner, "mine", allow_anonymous=False)
    assert desk.access.keys.list(org, 0, 9) == []
    with pytest.raises(ExchangeRefused):
        await desk.access.exchange.exchange(audience(org), subject(desk, org))


async def test_a_local_org_lets_strangers_in_when_it_is_first_served(desk: Desk) -> None:
    assert await desk.access.orgs.begin_serving(desk.org)
    await desk.access.exchange.exchange(audience(desk.org), subject(desk, desk.org))
    await desk.access.providers.delete_token_provider(desk.org, "anonymous-statebacked-dev")
    assert not await desk.access.orgs.begin_serving(desk.org)
    with pytest.raises(ExchangeRefused):
        await desk.access.exchange.exchange(audience(desk.org), subject(desk, desk.org))


async def test_a_stranger_of_one_org_is_none_of_another(desk: Desk) -> None:
    one = await desk.access.orgs.create(desk.owner, "one")
    two = await desk.access.orgs.create(desk.owner, "two")
    for token in (subject(desk, one), signed({"sid": "s"}, show_id(ORG, one))):
        with pytest.raises(ExchangeRefused):
            await desk.access.exchange.exchange(audience(two), token)
