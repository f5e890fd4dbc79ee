"""Tokens of keys and of people: what is believed, and what is not (S105-S116, Q1, Q3, Q26, Q27)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from smply.contract import USES
from smply.errors import ApiError, InvalidParameter
from smply.identity.scopes import ROLES, SCOPES
from smply.ids import ORG, USER, show_id
from tests.identity.support import AUD, Desk, packed, signed

pytestmark = pytest.mark.anyio

OWN = {"kty": "oct", "k": "bWluZQ"}


def refusal(call: Callable[[], Any]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        call()
    return caught.value


async def test_a_key_speaks_for_its_org_and_may_what_its_scopes_say(desk: Desk) -> None:
    kid, secret = await desk.key()
    actor = desk.actor(signed(desk.claims(), secret, kid=kid))
    assert (actor.org, actor.scopes, actor.who) == (desk.org, USES["production"], kid)
    assert json.loads(actor.auth) == {"sub": "me"}
    actor.require("events.write")
    assert refusal(lambda: actor.require("machines.read")).code == "missing-scope"


@pytest.mark.parametrize(
    ("changes", "auth"),
    [
        ({"act": {"sid": "s"}, "sub": "top"}, {"sid": "s", "sub": "top"}),
        ({"act": {"sub": "own"}, "sub": "top"}, {"sub": "own"}),
        ({"act": {}}, {}),
        ({"act": {"z": 1, "a": ["ü", "\u2028"]}}, {"z": 1, "a": ["ü", "\u2028"]}),
        ({"aud": ["https://other.example", AUD]}, {"sub": "me"}),
        ({"iss": "whoever"}, {"sub": "me"}),
    ],
)
async def test_the_auth_context_is_what_the_token_says_for_whom(
    desk: Desk, changes: dict[str, Any], auth: dict[str, Any]
) -> None:
    """S102, S112."""
    assert json.loads(desk.actor(await desk.token(**changes)).auth) == auth


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"exp": 0}, "expired"),
        ({"exp": "never"}, "not as it should be"),
        ({"exp": None}, "not as it should be"),
        ({"nbf": 9_999_999_999}, "not valid yet"),
        ({"iat": 9_999_999_999}, "not valid yet"),
        ({"aud": "https://other.example/"}, "not for this server"),
        ({"aud": []}, "not for this server"),
        ({"aud": 3}, "not as it should be"),
        ({"act": None}, "no `act`"),
        ({"act": ["sub"]}, "no `act`"),
    ],
)
async def test_a_token_of_a_key_may_be_no_good(
    desk: Desk, changes: dict[str, Any], why: str
) -> None:
    token = await desk.token(**changes)
    error = refusal(lambda: desk.actor(token))
    assert (error.status, error.code) == (403, "missing-user")
    assert why in error.message


async def test_a_token_is_good_some_seconds_longer_and_no_more(desk: Desk) -> None:
    """client-facts 27; also what is remembered of it."""
    token = await desk.token(exp=desk.now + 60)
    desk.clock.time += 64_000
    assert desk.actor(token).org == desk.org
    desk.clock.time += 2_000
    assert "expired" in refusal(lambda: desk.actor(token)).message


SPOILT: dict[str, Callable[[str, str, dict[str, Any]], str]] = {
    "another secret": lambda k, s, c: signed(c, "other", kid=k),
    "no prefix of the secret": lambda k, s, c: signed(c, s.removeprefix("sbsec_"), kid=k),
    "cut signature": lambda k, s, c: signed(c, s, kid=k)[:-2] + "AA",
    "no kid": lambda k, s, c: signed(c, s),
    "kid a number": lambda k, s, c: signed(c, s, kid=7),
    "unknown kid": lambda k, s, c: signed(c, s, kid="sbk_" + "A" * 22),
    "kid a path": lambda k, s, c: signed(c, s, kid="../../etc/passwd"),
    "kid SQL": lambda k, s, c: signed(c, s, kid="x' OR 1=1 --"),
    "kid control characters": lambda k, s, c: signed(c, s, kid="sbk_\x00\n\x1b"),
    "unknown crit": lambda k, s, c: signed(c, s, kid=k, crit=["exp"], exp=1),
    "crit null": lambda k, s, c: signed(c, s, kid=k, crit=None),
    "detached payload (b64)": lambda k, s, c: signed(c, s, kid=k, b64=False),
    "another HMAC than the key's": lambda k, s, c: signed(c, s, "HS512", kid=k),
    "alg none, signed": lambda k, s, c: signed(c, s, "none", kid=k),
    "alg none, unsigned": lambda k, s, c: f"{packed({'alg': 'none', 'kid': k})}.{packed(c)}.",
    "key in the header (jwk)": lambda k, s, c: signed(c, "mine", kid=k, jwk=OWN),
    "key at an address (jku)": lambda k, s, c: signed(c, "mine", kid=k, jku="https://evil.example/"),
    "key at another (x5u)": lambda k, s, c: signed(c, "mine", kid=k, x5u="https://evil.example/"),
    "claims a list": lambda k, s, c: signed([c], s, kid=k),
    "claims no UTF-8": lambda k, s, c: signed(b"\xff\xfe", s, kid=k),
    "claims with NaN": lambda k, s, c: signed(b'{"exp":NaN}', s, kid=k),
    "claims too deep": lambda k, s, c: signed(b"[" * 100_000, s, kid=k),
    "three words": lambda k, s, c: "a.b.c",
    "no dots": lambda k, s, c: "nothing",
    "the secret itself": lambda k, s, c: s,
    "the key's id": lambda k, s, c: k,
    "too long": lambda k, s, c: "x" * 20_000,
    "four parts": lambda k, s, c: signed(c, s, kid=k) + ".more",
    "no ASCII": lambda k, s, c: "ü.ü.ü",
}  # fmt: skip
"""What is no token of a key, by what is wrong with it."""


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
async def test_what_is_no_token_of_a_key_is_refused(
    desk: Desk, spoil: Callable[[str, str, dict[str, Any]], str]
) -> None:
    kid, secret = await desk.key()
    assert desk.actor(signed(desk.claims(), secret, kid=kid)).who == kid
    error = refusal(lambda: desk.actor(spoil(kid, secret, desk.claims())))
    assert (error.status, error.code) == (403, "missing-user")
    assert secret not in error.message


@pytest.mark.parametrize("credential", ["", "Bearer", "Bearer ", "Basic YTpi", "bearer\t", "\xff"])
async def test_who_brings_no_token_is_nobody(desk: Desk, credential: str) -> None:
    headers = {b"authorization": credential.encode("latin-1")} if credential else {}
    error = refusal(lambda: desk.identity.actor(headers))
    assert (error.status, error.code) == (403, "missing-user")


async def test_a_deleted_key_is_refused_at_once(desk: Desk) -> None:
    kid, secret = await desk.key()
    token = signed(desk.claims(), secret, kid=kid)
    actor = desk.actor(token)
    [row] = desk.access.keys.list(actor.org, 0, 9)
    await desk.access.keys.delete(actor.org, row.id)
    assert "deleted" in refusal(lambda: desk.actor(token)).message


async def test_another_process_forgets_a_deleted_key_within_a_second(
    desk: Desk, open_desk: Callable[[], Awaitable[Desk]]
) -> None:
    """S113."""
    elsewhere = await open_desk()
    kid, secret = await desk.key()
    token = signed(desk.claims(), secret, kid=kid)
    assert elsewhere.actor(token).org == desk.org
    [row] = desk.access.keys.list(desk.org, 0, 9)
    await desk.access.keys.delete(desk.org, row.id)
    desk.clock.time += 1_000
    assert "deleted" in refusal(lambda: elsewhere.actor(token)).message


async def test_a_key_acts_in_no_other_org(desk: Desk) -> None:
    """S105, Q3."""
    other = await desk.access.orgs.create(desk.owner, "other")
    token = await desk.token()
    assert desk.actor(token, x_statebacked_org_id=show_id(ORG, desk.org)).org == desk.org
    for named in (show_id(ORG, other), "org_nonsense", "x"):
        error = refusal(lambda named=named: desk.actor(token, x_statebacked_org_id=named))  # type: ignore[misc]
        assert (error.status, error.code) == (403, "missing-org")


async def test_only_who_may_make_keys_may_speak_for_others(desk: Desk) -> None:
    """S114, S115, Q67."""
    token = await desk.token("org.keys.write", sub="top")
    assert desk.actor(token, x_statebacked_act='{"any": 1}').auth == b'{"any": 1}'
    for act in ("[]", "x", '"me"', "{", '{"a":' * 5_000):
        error = refusal(lambda act=act: desk.actor(token, x_statebacked_act=act))  # type: ignore[misc]
        assert (error.status, error.parameter) == (400, "x-statebacked-act")
    lesser = await desk.token()
    error = refusal(lambda: desk.actor(lesser, x_statebacked_act="{}"))
    assert (error.status, error.code) == (403, "missing-scope")


async def test_a_person_comes_with_an_access_token(desk: Desk) -> None:
    _, secret = await desk.access.tokens.create(desk.owner, "laptop")
    actor = desk.actor(secret)
    who = show_id(USER, desk.owner)
    assert (actor.org, actor.scopes, actor.who, actor.user) == (desk.org, SCOPES, who, desk.owner)
    assert json.loads(actor.auth) == {"sub": who}
    assert desk.identity.person({b"authorization": b"bearer " + secret.encode()}) == desk.owner
    key = await desk.token()
    person = {b"authorization": f"Bearer {key}".encode()}
    assert refusal(lambda: desk.identity.person(person)).code == "missing-user"


async def test_an_access_token_expires_and_can_be_deleted(desk: Desk) -> None:
    brief, secret = await desk.access.tokens.create(desk.owner, "brief", desk.clock.now() + 1_000)
    _, other = await desk.access.tokens.create(desk.owner, "other")
    assert desk.actor(secret).org == desk.org
    desk.clock.time += 1_000
    assert "expired" in refusal(lambda: desk.actor(secret)).message
    assert desk.actor(other).org == desk.org
    last = desk.access.tokens.list(desk.owner, brief.row, 9)[-1]
    await desk.access.tokens.delete(desk.owner, last.id)
    assert refusal(lambda: desk.actor(other)).code == "missing-user"


async def test_the_use_of_a_token_is_noted(desk: Desk) -> None:
    _, secret = await desk.access.tokens.create(desk.owner, "laptop")
    desk.actor(secret)
    await desk.access.tokens.flush()
    [row] = desk.access.tokens.list(desk.owner, 0, 9)
    assert row.used_at == desk.clock.now()


async def test_a_person_of_several_orgs_names_one(desk: Desk) -> None:
    """S113."""
    _, secret = await desk.access.tokens.create(desk.owner, "laptop")
    assert desk.actor(secret).org == desk.org
    other = await desk.access.orgs.create(desk.owner, "other")
    error = refusal(lambda: desk.actor(secret))
    assert (error.status, error.code) == (400, "specify-org")
    assert desk.actor(secret, x_statebacked_org_id=show_id(ORG, other)).org == other
    foreign = show_id(ORG, b"\x00" * 16)
    error = refusal(lambda: desk.actor(secret, x_statebacked_org_id=foreign))
    assert (error.status, error.code) == (403, "missing-org")


async def test_a_member_may_what_their_role_says(desk: Desk) -> None:
    """S193, Q27, Q49."""
    _, code = await desk.access.invitations.send(desk.org, "you@example.com", "read")
    welcome = await desk.access.invitations.accept(code, None)
    assert welcome.secret is not None
    assert desk.actor(welcome.secret).scopes == ROLES["read"]
    await desk.access.members.set_role(desk.org, welcome.user, "write")
    assert desk.actor(welcome.secret).scopes == ROLES["write"]
    await desk.access.members.remove(desk.org, welcome.user)
    error = refusal(lambda: desk.actor(welcome.secret or ""))
    assert (error.status, error.code) == (403, "missing-org")


async def test_an_org_keeps_an_admin(desk: Desk) -> None:
    for call in (
        desk.access.members.remove(desk.org, desk.owner),
        desk.access.members.set_role(desk.org, desk.owner, "write"),
    ):
        with pytest.raises(ApiError) as caught:
            await call
        assert caught.value.status == 409
    assert [row.role for row in desk.access.members.list(desk.org, 0, 9)] == ["admin"]


async def test_an_invitation_is_good_once_and_for_a_week(desk: Desk) -> None:
    access = desk.access
    _, code = await access.invitations.send(desk.org, "you@example.com", "read")
    _, late = await access.invitations.send(desk.org, "late@example.com", "read")
    taken_back, gone = await access.invitations.send(desk.org, "gone@example.com", "read")
    await access.invitations.accept(code, None)
    [standing, last] = access.invitations.list(desk.org, 0, 9)
    assert (standing.email, last.email) == ("late@example.com", "gone@example.com")
    await access.invitations.revoke(desk.org, taken_back.id)
    desk.clock.time += 7 * 86_400_000
    assert access.invitations.list(desk.org, 0, 9) == []
    for bad in (code, late, gone, "sbinv_x", ""):
        with pytest.raises(ApiError) as caught:
            await access.invitations.accept(bad, None)
        assert caught.value.status == 404


async def test_a_member_needs_no_invitation(desk: Desk) -> None:
    _, code = await desk.access.invitations.send(desk.org, "you@example.com", "read")
    with pytest.raises(ApiError) as caught:
        await desk.access.invitations.accept(code, desk.owner)
    assert caught.value.status == 409
    assert len(desk.access.invitations.list(desk.org, 0, 9)) == 1


@pytest.mark.parametrize(
    ("scopes", "use", "parameter"),
    [
        (["nonsense"], None, "scopes"), ([], None, "scopes"), (None, None, "scopes"),
        (None, "evil", "use"), (["events.write", ""], "production", "scopes"),
    ],
)  # fmt: skip
async def test_a_key_has_scopes_that_exist(
    desk: Desk, scopes: list[str] | None, use: str | None, parameter: str
) -> None:
    with pytest.raises(InvalidParameter) as caught:
        await desk.access.keys.create(desk.org, "x", scopes, use)
    assert caught.value.parameter == parameter


async def test_named_scopes_stand_before_a_use(desk: Desk) -> None:
    """C5, C6."""
    await desk.access.keys.create(desk.org, "x", ["org-keys.write"], "production")
    [row] = desk.access.keys.list(desk.org, 0, 9)
    assert json.loads(row.scopes) == ["org.keys.write"]


async def test_no_secret_stands_in_the_file(desk: Desk) -> None:
    _, secret = await desk.key()
    _, token = await desk.access.tokens.create(desk.owner, "laptop")
    _, code = await desk.access.invitations.send(desk.org, "you@example.com", "read")
    [row] = desk.access.keys.list(desk.org, 0, 9)
    assert secret.encode() not in row.secret
    told = repr((row, desk.access.tokens.list(desk.owner, 0, 9)))
    told += repr(desk.access.invitations.list(desk.org, 0, 9))
    assert not any(each in told for each in (secret, token, code))


async def test_a_long_header_is_not_remembered(desk: Desk) -> None:
    """What strangers may send fills no memory: 10,000 heads of 64 kB are 640 MB."""
    token = await desk.token("state.read")
    for spaces in range(50_000, 50_100):
        desk.actor(" " * spaces + token)
    kept = desk.identity._memory._kept
    assert sum(len(credential) for credential, _ in kept) < 10_000
    desk.actor(token)
    assert len(kept) == 1
