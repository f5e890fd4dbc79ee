"""Routes of accounts, as a server answers them to who may and who may not (S105-S133, S193)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from smply.api import routes
from smply.client import AsyncClient
from smply.identity.scopes import ROLES, SCOPES
from smply.ids import ORG, show_id
from tests.api.support import Served, told
from tests.identity.support import packed, signed

pytestmark = pytest.mark.anyio

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
FORM = {"grant_type": GRANT, "audience": "x", "subject_token": "x"}


async def test_who_brings_no_token_gets_nothing_anywhere(served: Served) -> None:
    """Q1."""
    every: list[Any] = [*routes.OF_ENGINE, *routes.OF_ORG, *routes.OF_PERSON]
    ways: list[tuple[str, str]] = [(row[0], row[1]) for row in every]
    for method, path in [*ways, ("GET", "/smply/info")]:
        for token in (None, "nonsense", "sbat_nonsense"):
            answer = await served.ask(method, path, {}, token)
            assert told(answer) == (403, "missing-user"), (method, path, answer.text)
            assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("route", [*routes.OF_ENGINE, *routes.OF_ORG], ids=lambda r: r[2].__name__)
async def test_each_route_needs_its_scope_and_no_other(
    served: Served, route: tuple[str, str, Any, str]
) -> None:
    """S106."""
    method, path, _, scope = route
    without = await served.key_token(*(SCOPES - {scope}))
    assert told(await served.ask(method, path, {}, without)) == (403, "missing-scope")
    alone = await served.key_token(scope)
    answer = await served.ask(method, path, {}, alone)
    assert answer.status_code in (200, 400, 404), answer.text


@pytest.mark.parametrize("role", sorted(ROLES))
async def test_a_member_may_what_their_role_says_and_no_more(served: Served, role: str) -> None:
    """S193, Q27."""
    token = await served.member(role)
    for method, path, _, scope in [*routes.OF_ENGINE, *routes.OF_ORG]:
        answer = await served.ask(method, path, {}, token)
        refused = told(answer) == (403, "missing-scope")
        assert refused == (scope not in ROLES[role]), (method, path, answer.text)


@pytest.mark.parametrize("route", routes.OF_PERSON, ids=lambda route: route[2].__name__)
async def test_a_key_is_no_person(served: Served, route: tuple[str, str, Any]) -> None:
    method, path, _ = route
    answer = await served.ask(method, path, {}, await served.key_token(*SCOPES))
    assert told(answer) == (403, "missing-user")


async def test_an_org_sees_nothing_of_another(served: Served) -> None:
    """S105, S192."""
    assert (await served.ask("POST", "/machines", {"slug": "mine"})).status_code == 201
    made = (await served.ask("POST", "/keys", {"name": "k", "use": "ci"})).json()
    provider = {"aud": "a", "algs": ["HS256"], "key": packed(b"secret" * 6), "mapping": {}}
    await served.ask("POST", "/idps", provider)
    service = {"keyId": made["id"], "service": "s", "mapping": {}}
    assert (await served.ask("POST", "/token-providers", service)).status_code == 204
    sent = await served.ask("POST", "/org-members", {"email": "a@b", "role": "read"})
    org = await served.access.orgs.create(served.owner, "other", allow_anonymous=False)
    foreign = await served.key_token(*SCOPES, org=org)
    for path, member in (
        ("/machines", "machines"), ("/idps", "idps"), ("/token-providers", "tokenProviders"),
        ("/smply/invitations", "invitations"), ("/smply/audit", "audit"),
    ):  # fmt: skip
        assert (await served.ask("GET", path, token=foreign)).json()[member] == []
    keys = (await served.ask("GET", "/keys", token=foreign)).json()["keys"]
    assert [key["name"] for key in keys] == ["test"]
    for method, path, body in (
        ("GET", "/machines/mine", None), ("GET", "/machines/mine/v", None),
        ("POST", "/machines/mine", {"slug": "i"}), ("GET", "/machines/mine/i", None),
        ("DELETE", f"/keys/{made['id']}", None), ("DELETE", "/idps", {"aud": "a"}),
        ("DELETE", "/token-providers/s", None),
        ("DELETE", f"/smply/invitations/{sent.json()['id']}", None),
    ):  # fmt: skip
        answer = await served.ask(method, path, body, foreign)
        assert told(answer) == (404, "not-found"), (path, answer.text)
    stolen = await served.ask("POST", "/token-providers", service, foreign)
    assert told(stolen) == (400, "invalid-parameter")


async def test_a_key_is_made_shown_once_and_deleted(served: Served) -> None:
    """S109."""
    made = (await served.ask("POST", "/keys", {"name": "web", "use": "production"})).json()
    assert made["key"].startswith("sbsec_")
    listed = (await served.ask("GET", "/keys")).json()
    assert [(key["id"], key["name"]) for key in listed["keys"]] == [(made["id"], "web")]
    assert made["key"] not in json.dumps(listed)
    assert (await served.ask("DELETE", f"/keys/{made['id']}")).status_code == 204
    assert told(await served.ask("DELETE", f"/keys/{made['id']}")) == (404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "body", "parameter"),
    [
        ("POST", "/keys", {}, "name"),
        ("POST", "/keys", {"name": "x"}, "scopes"),
        ("POST", "/keys", {"name": "", "use": "ci"}, "name"),
        ("POST", "/keys", {"name": "a\nb", "use": "ci"}, "name"),
        ("POST", "/keys", {"name": 3, "use": "ci"}, "name"),
        ("POST", "/keys", {"name": "x", "scopes": "events.write"}, "scopes"),
        ("POST", "/keys", {"name": "x", "scopes": [1]}, "scopes"),
        ("POST", "/keys", {"name": "x", "use": None}, "use"),
        ("DELETE", "/keys/usr_AAAAAAAAAAAAAAAAAAAAAA", None, "keyId"),
        ("POST", "/idps", {"algs": ["HS256"], "mapping": {}}, "aud"),
        ("POST", "/idps", {"aud": "a", "algs": "HS256", "mapping": {}}, "algs"),
        ("POST", "/idps", {"aud": "a", "algs": ["HS256"], "mapping": []}, "mapping"),
        ("POST", "/idps", {"aud": "a", "algs": ["HS256"], "mapping": {}}, "key"),
        ("DELETE", "/idps", {}, "aud"),
        ("POST", "/token-providers", {"keyId": "x", "service": "s", "mapping": {}}, "keyId"),
        ("POST", "/orgs", {"name": " "}, "name"),
        ("POST", "/orgs", {"name": "x", "allowAnonymousAccess": "no"}, "allowAnonymousAccess"),
        ("POST", "/org-members", {"email": "nobody", "role": "read"}, "email"),
        ("POST", "/org-members", {"email": "a@b", "role": "root"}, "role"),
        ("PUT", "/smply/members/x", {"role": "read"}, "user"),
        ("POST", "/smply/tokens", {"name": "x", "expiresAt": "soon"}, "expiresAt"),
        ("POST", "/smply/tokens", {"name": "x", "expiresAt": "2001-01-01T00:00:00Z"}, "expiresAt"),
        ("POST", "/smply/tokens", {"name": "x", "expiresAt": "9999-01-01T00:00:00"}, "expiresAt"),
        ("DELETE", "/smply/tokens/x", None, "id"),
        ("DELETE", "/smply/invitations/x", None, "id"),
    ],
)
async def test_what_is_wrong_is_named(
    served: Served, method: str, path: str, body: Any, parameter: str
) -> None:
    answer = await served.ask(method, path, body)
    assert told(answer) == (400, "invalid-parameter"), answer.text
    assert answer.json()["parameter"] == parameter


async def test_orgs_are_listed_with_what_one_is_there(served: Served) -> None:
    made = (await served.ask("POST", "/orgs", {"name": "second"})).json()
    orgs = (await served.ask("GET", "/orgs")).json()["orgs"]
    assert [(org["name"], org["role"]) for org in orgs] == [("local", "admin"), ("second", "admin")]
    assert orgs[1]["id"] == made["id"]
    assert set(orgs[0]["limits"]) == {"monthlyEventsLimit", "monthlyReadsLimit"}
    answer = await served.ask("GET", "/keys")
    assert told(answer) == (400, "specify-org")
    answer = await served.ask("GET", "/keys", x_statebacked_org_id=made["id"])
    assert [key["name"] for key in answer.json()["keys"]] == ["anonymous sessions"]


async def test_members_come_change_and_go(served: Served) -> None:
    """Q49."""
    token = await served.member("read")
    members = (await served.ask("GET", "/smply/members")).json()["members"]
    assert [member["role"] for member in members] == ["admin", "read"]
    assert members[1]["email"] == "you@example.com"
    path = f"/smply/members/{members[1]['userId']}"
    assert (await served.ask("PUT", path, {"role": "write"})).status_code == 204
    assert (await served.ask("GET", "/smply/info", token=token)).json()["scopes"] == sorted(
        ROLES["write"]
    )
    assert (await served.ask("DELETE", path)).status_code == 204
    assert told(await served.ask("DELETE", path)) == (404, "not-found")
    info = (await served.ask("GET", "/smply/info", token=token)).json()
    assert ("orgId" in info, info["scopes"], info["email"]) == (False, [], "you@example.com")
    assert told(await served.ask("GET", "/machines", token=token)) == (403, "missing-org")
    owner = f"/smply/members/{members[0]['userId']}"
    assert told(await served.ask("DELETE", owner)) == (409, "invalid-state")


async def test_an_invitation_is_accepted_at_both_addresses(served: Served) -> None:
    """F27: the npm tool puts the code under the root."""
    newcomer = await served.member("read")
    other = (await served.ask("POST", "/orgs", {"name": "other"})).json()["id"]
    sent = await served.ask(
        "POST", "/org-members", {"email": "a@b", "role": "admin"}, x_statebacked_org_id=other
    )
    assert sent.status_code == 201
    code = sent.json()["invitation"]
    assert (await served.ask("PUT", f"/{code}", token=newcomer)).status_code == 204
    assert told(await served.ask("PUT", f"/{code}", token=newcomer)) == (404, "not-found")
    orgs = (await served.ask("GET", "/orgs", token=newcomer)).json()["orgs"]
    assert [org["role"] for org in orgs] == ["read", "admin"]
    assert told(await served.ask("PUT", "/invitations/x", token="sbat_bad")) == (
        403, "missing-user",
    )  # fmt: skip


async def test_access_tokens_are_ones_own(served: Served) -> None:
    other = await served.member("admin")
    made = (await served.ask("POST", "/smply/tokens", {"name": "ci"})).json()
    assert made["accessToken"].startswith("sbat_")
    names = [token["name"] for token in (await served.ask("GET", "/smply/tokens")).json()["tokens"]]
    assert names == ["owner", "ci"]
    path = f"/smply/tokens/{made['id']}"
    assert told(await served.ask("DELETE", path, token=other)) == (404, "not-found")
    assert (await served.ask("DELETE", path)).status_code == 204
    assert told(await served.ask("GET", "/orgs", token=made["accessToken"]))[0] == 403


async def test_a_token_is_exchanged_by_a_form_without_a_credential(served: Served) -> None:
    """S122, S123, C11, C12."""
    provider = {
        "aud": "a", "algs": ["HS256"], "key": packed(b"secret" * 6), "mapping": {"sub.$": "$.sub"},
    }  # fmt: skip
    await served.ask("POST", "/idps", provider)
    key = (await served.ask("POST", "/keys", {"name": "k", "use": "production"})).json()["id"]
    service = {"keyId": key, "service": "s", "mapping": {"sub.$": "$.sub"}}
    await served.ask("POST", "/token-providers", service)
    claims = {"sub": "me", "aud": "a", "exp": served.clock.now() // 1000 + 60}
    form = {
        "grant_type": GRANT,
        "audience": f"https://tokens.statebacked.dev/{show_id(ORG, served.org)}/s",
        "subject_token": signed(claims, b"secret" * 6),
    }
    more = [
        {},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:access_token"},
        {"requested_token-type": "urn:ietf:params:oauth:token-type:access_token"},
        {"subject_token_type": "urn:ietf:params:oauth:token-type:jwt"},
    ]
    for each in more:
        answer = await served.http.post("/tokens", data={**form, **each})
        assert answer.status_code == 200, answer.text
        assert answer.json()["token_type"] == "Bearer"
        info = await served.ask("GET", "/smply/info", token=answer.json()["access_token"])
        assert info.json()["act"] == {"sub": "me"}


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "invalid_request"),
        ({**FORM, "grant_type": "password"}, "unsupported_grant_type"),
        (FORM, "invalid_target"),
        ({**FORM, "requested_token_type": "saml2"}, "invalid_request"),
    ],
)  # fmt: skip
async def test_an_exchange_is_refused_as_oauth_says(
    served: Served, form: dict[str, str], error: str
) -> None:
    answer = await served.http.post("/tokens", data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.json()["error_description"]


async def test_an_exchange_is_no_json(served: Served) -> None:
    for headers, body in (
        ({"content-type": "application/json"}, b'{"grant_type":"x"}'),
        ({"content-type": "multipart/form-data; boundary=x"}, b"--x\r\nnonsense"),
        ({"content-type": "application/x-www-form-urlencoded"}, b"grant_type=a&grant_type=b"),
        ({"content-type": "application/x-www-form-urlencoded"}, b"a=1&" * 100),
        ({}, b"\xff\xfe"),
    ):
        answer = await served.http.post("/tokens", content=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), body


async def test_the_server_tells_who_asks(served: Served) -> None:
    info = (await served.ask("GET", "/smply/info")).json()
    assert info["scopes"] == sorted(SCOPES)
    assert info["orgId"] == show_id(ORG, served.org)
    assert info["userId"].startswith("usr_")
    key = (await served.ask("GET", "/smply/info", token=await served.key_token("org.read"))).json()
    assert key["keyId"].startswith("sbk_")
    assert key["act"] == {"sub": "me"}


async def test_every_write_that_is_no_event_is_in_the_audit(served: Served) -> None:
    key = (await served.ask("POST", "/keys", {"name": "web", "use": "ci"})).json()["id"]
    await served.ask("POST", "/machines", {"slug": "mine"}, x_request_id="abc")
    await served.ask("POST", "/machines", {"slug": "mine"})
    await served.ask("GET", "/machines")
    await served.ask("DELETE", f"/keys/{key}")
    audit = (await served.ask("GET", "/smply/audit")).json()["audit"]
    assert [(each["action"], each["what"]) for each in audit] == [
        ("createKey", key),
        ("createMachine", "/machines/mine"),
        ("deleteKey", f"/keys/{key}"),
    ]
    assert {each["who"] for each in audit} == {show_id("usr", served.owner)}


async def test_the_audit_says_what_was_written_and_who_came(served: Served) -> None:
    key = (await served.ask("POST", "/keys", {"name": "web", "use": "ci"})).json()["id"]
    pair = {"aud": "a b", "iss": "i"}
    provider = {**pair, "algs": ["HS256"], "key": packed(b"secret" * 6), "mapping": {}}
    await served.ask("POST", "/idps", provider)
    await served.ask("DELETE", "/idps", pair)
    await served.ask("POST", "/token-providers", {"keyId": key, "service": "s", "mapping": {}})
    await served.member("admin")
    audit = (await served.ask("GET", "/smply/audit")).json()["audit"]
    who = next(each["who"] for each in audit if each["action"] == "acceptInvitation")
    assert [(each["action"], each["what"]) for each in audit if each["who"] == who] == [
        ("acceptInvitation", who)
    ]
    assert [each["what"] for each in audit][1:4] == [
        "/idps?aud=a+b&iss=i", "/idps?aud=a+b&iss=i", "/token-providers/s",
    ]  # fmt: skip
    org = (await served.ask("POST", "/orgs", {"name": "new"})).json()["id"]
    made = await served.ask("GET", "/smply/audit", x_statebacked_org_id=org)
    assert [(each["action"], each["what"]) for each in made.json()["audit"]] == [("createOrg", org)]


async def test_the_audit_holds_no_secret_of_an_upload(served: Served) -> None:
    code = (
        'import { createMachine } from "npm:xstate@5";\n'
        "export const allowRead = () => true;\nexport const allowWrite = () => true;\n"
        "export default createMachine({});"
    )
    async with AsyncClient(
        "http://test.smply", token=served.token, transport=httpx.ASGITransport(served.app)
    ) as client:
        await client.machines.create("m")
        version = await client.versions.create("m", code.encode(), make_current=True)
        await client.instances.create("m", "one")
    audit = (await served.ask("GET", "/smply/audit")).json()["audit"]
    assert [each["what"] for each in audit] == [
        "/machines/m", "/machines/m/v", f"/machines/m/v/{version}", "/machines/m/i/one",
    ]  # fmt: skip


async def test_what_an_org_uses_is_counted_per_month(served: Served) -> None:
    """S194: a transition's own answer is no read."""
    code = (
        'import { createMachine } from "npm:xstate@5";\n'
        "export const allowRead = () => true;\nexport const allowWrite = () => true;\n"
        "export default createMachine({ context: ({ input }) => input, on: { go: {} } });"
    )
    token = served.token
    async with AsyncClient(
        "http://test.smply", token=token, transport=httpx.ASGITransport(served.app)
    ) as client:
        await client.machines.create("m")
        await client.versions.create("m", code.encode(), make_current=True)
        await client.instances.create("m", "small", act={})
        await client.instances.create("m", "large", context={"x": "y" * 150_000}, act={})
        await client.instances.send("m", "small", "go", act={})
        await client.instances.get("m", "small", act={})
    usage = (await served.ask("GET", "/smply/usage")).json()["usage"]
    assert usage == [{"month": "2027-01", "transitions": 4, "indexWrites": 0, "reads": 1}]


async def test_rights_that_went_while_a_body_came_are_gone(served: Served) -> None:
    token = await served.member("admin")
    members = (await served.ask("GET", "/smply/members")).json()["members"]
    user = next(each["userId"] for each in members if each["email"])

    async def body() -> AsyncIterator[bytes]:
        yield b'{"name":"mine",'
        assert (await served.ask("DELETE", f"/smply/members/{user}")).status_code == 204
        yield b'"use":"production"}'

    headers = {"authorization": f"Bearer {token}"}
    answer = await served.http.post("/keys", content=body(), headers=headers)

    assert told(answer) == (403, "missing-org")
    assert (await served.ask("GET", "/keys")).json()["keys"] == []


async def test_a_token_that_went_while_a_body_came_makes_no_other(served: Served) -> None:
    made = (await served.ask("POST", "/smply/tokens", {"name": "lost"})).json()

    async def body() -> AsyncIterator[bytes]:
        yield b'{"name":'
        await served.ask("DELETE", f"/smply/tokens/{made['id']}")
        yield b'"kept"}'

    headers = {"authorization": f"Bearer {made['accessToken']}"}
    answer = await served.http.post("/smply/tokens", content=body(), headers=headers)

    assert told(answer) == (403, "missing-user")


@pytest.mark.parametrize(
    "time",
    [
        "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-20:00", "0001-01-01T00:00:00+20:00",
        "2027-01-31T12:00:00", "soon", "",
    ],
)  # fmt: skip
async def test_a_time_beyond_all_years_is_refused(served: Served, time: str) -> None:
    body = {"name": "t", "expiresAt": time}
    for answer in (
        await served.ask("POST", "/smply/tokens", body),
        await served.http.get(
            "/logs", params={"from": time}, headers={"authorization": f"Bearer {served.token}"}
        ),
    ):
        assert told(answer) == (400, "invalid-parameter")
    assert len((await served.ask("GET", "/smply/tokens")).json()["tokens"]) == 1


async def test_an_old_time_has_four_digits_of_a_year(served: Served) -> None:
    """S178."""
    answer = await served.ask("GET", "/logs?from=0001-01-01T00:00:00.000Z")
    assert answer.json()["maxTimestamp"] == "0001-01-01T00:00:00.000Z"


async def test_only_writes_are_in_the_audit(served: Served) -> None:
    answer = await served.ask("HEAD", "/machines", token=await served.key_token("machines.read"))
    assert answer.status_code == 200
    assert (await served.ask("GET", "/smply/audit")).json()["audit"] == []


@pytest.mark.parametrize("route", routes.OF_PERSON, ids=lambda route: route[2].__name__)
async def test_who_may_not_speak_for_others_does_so_nowhere(
    served: Served, route: tuple[str, str, Any]
) -> None:
    """S115."""
    method, path, _ = route
    act = '{"sub":"somebody"}'
    token = await served.member("write")
    answer = await served.ask(method, path, {}, token, x_statebacked_act=act)
    assert told(answer) == (403, "missing-scope")
    answer = await served.ask(method, path, {}, x_statebacked_act="nonsense")
    assert (*told(answer), answer.json()["parameter"]) == (
        400, "invalid-parameter", "x-statebacked-act",
    )  # fmt: skip
    assert (await served.ask("GET", "/orgs", x_statebacked_act=act)).status_code == 200
