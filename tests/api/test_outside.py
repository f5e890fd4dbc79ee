"""What surrounds a server's app: what is told of a request, and to whom."""

from __future__ import annotations

import httpx
import pytest

from smply.api import Asked, Manners, around
from tests.api.support import Served

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("path", ["/invitations/{}", "/{}"])
async def test_an_invitation_is_a_secret_and_not_told(served: Served, path: str) -> None:
    sent = await served.ask("POST", "/org-members", {"email": "a@b", "role": "read"})
    code = sent.json()["invitation"]
    told: list[Asked] = []
    app = around(served.app, Manners(on_asked=told.append))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(base_url="http://test.smply", transport=transport) as http:
        assert (await http.put(path.format(code))).status_code == 200
        assert (await http.put(path.format("guessed"))).status_code == 404
    assert [each.status for each in told] == [200, 404]
    assert {each.path for each in told} == {path.format("sbinv_…"), path.format("guessed")}
