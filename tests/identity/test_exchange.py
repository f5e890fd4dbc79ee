"""The exchange of tokens, by a key and by a set of keys (S117-S127, S128-S133, Q36-Q38)."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from smply.errors import ExchangeRefused, InvalidParameter, NotFound
from smply.identity import jwks
from smply.identity.jwks import KeySets, public_only
from smply.ids import ORG, parse_id, show_id
from tests.identity.support import Desk, packed, signed

pytestmark = pytest.mark.anyio

SECRET = b"a secret that only the provider has"
RSA = rsa.generate_private_key(65537, 2048)
OTHER_RSA = rsa.generate_private_key(65537, 2048)
CURVES = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
}
EDWARDS = ed25519.Ed25519PrivateKey.generate()
PRIVATE: dict[str, Any] = {
    **{f"{kind}{bits}": RSA for kind in ("RS", "PS") for bits in (256, 384, 512)},
    **CURVES,
    "EdDSA": EDWARDS,
}
MAPPING = {"sub.$": "$.sub", "provider": "theirs"}
_PEM, _DER = serialization.Encoding.PEM, serialization.Encoding.DER


def public(key: Any, encoding: Any = _PEM) -> bytes:
    told: bytes = key.public_key().public_bytes(
        encoding, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return told


async def provide(desk: Desk, **changes: Any) -> None:
    """An identity provider, and a service `web`."""
    told: dict[str, Any] = {
        "aud": "theirs", "iss": "https://idp.example/", "algs": ["HS256"], "key": packed(SECRET),
        "jwks_url": None, "mapping": MAPPING, **changes,
    }  # fmt: skip
    await desk.access.providers.put_identity_provider(desk.org, **told)
    if not desk.access.providers.list_token_providers(desk.org, 0, 1):
        kid, _ = await desk.key()
        key = parse_id("sbk", kid, "keyId")
        await desk.access.providers.put_token_provider(
            desk.org, "web", key, {"sub.$": "$.sub", "from.$": "$.provider", "x": 1}
        )


def subject(desk: Desk, **changes: Any) -> dict[str, Any]:
    return {
        "sub": "me", "aud": "theirs", "iss": "https://idp.example/", "exp": desk.now + 600,
        "secret": "kept", **changes,
    }  # fmt: skip


def audience(desk: Desk, service: str = "web") -> str:
    return f"https://tokens.statebacked.dev/{show_id(ORG, desk.org)}/{service}"


async def exchange(desk: Desk, token: str, service: str = "web") -> dict[str, Any]:
    """The auth context that the new token carries."""
    made = await desk.access.exchange.exchange(audience(desk, service), token)
    context: dict[str, Any] = json.loads(desk.actor(made.token).auth)
    return context


async def refused(desk: Desk, token: str, why: str, service: str = "web") -> None:
    with pytest.raises(ExchangeRefused) as caught:
        await desk.access.exchange.exchange(audience(desk, service), token)
    assert why in caught.value.message
    assert caught.value.status == 400


async def test_only_what_both_mappings_name_comes_through(desk: Desk) -> None:
    """S120, S121, S127."""
    await provide(desk)
    context = await exchange(desk, signed(subject(desk), SECRET))
    assert context == {"sub": "me", "from": "theirs", "x": 1}


async def test_a_new_token_lives_as_long_as_the_old_and_a_day_at_most(desk: Desk) -> None:
    """Q37."""
    await provide(desk)
    for seconds, lives in ((600, 600), (10_000_000, 86_400)):
        token = signed(subject(desk, exp=desk.now + seconds), SECRET)
        made = await desk.access.exchange.exchange(audience(desk), token)
        assert made.expires_in == lives
        assert (
            jwt.decode(made.token, options={"verify_signature": False})["exp"] == desk.now + lives
        )


async def test_the_client_can_read_a_new_token_with_atob(desk: Desk) -> None:
    """client-facts 27: neither - nor _ in the claims."""
    await provide(desk, mapping={"sub.$": "$.sub"})
    for sub in ("~~~???>>>", "aaa?", "aa~", "a\x7f\x7f\x7f", "ÿÿÿ", "\U0001f600" * 9):
        token = signed(subject(desk, sub=sub), SECRET)
        made = await desk.access.exchange.exchange(audience(desk), token)
        claims = made.token.split(".")[1]
        assert not set("-_") & set(claims)
        assert json.loads(desk.actor(made.token).auth)["sub"] == sub


@pytest.mark.parametrize("algorithm", sorted(PRIVATE))
@pytest.mark.parametrize("encoding", [_PEM, _DER], ids=["pem", "der"])
async def test_every_algorithm_verifies_by_key(desk: Desk, algorithm: str, encoding: Any) -> None:
    key = PRIVATE[algorithm]
    await provide(desk, algs=[algorithm], key=packed(public(key, encoding)))
    token = jwt.encode(subject(desk), key, algorithm)
    assert (await exchange(desk, token))["sub"] == "me"


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_every_hmac_verifies(desk: Desk, algorithm: str) -> None:
    await provide(desk, algs=["HS256", "HS384", "HS512"])
    assert (await exchange(desk, signed(subject(desk), SECRET, algorithm)))["sub"] == "me"


async def test_the_public_key_is_no_secret(desk: Desk) -> None:
    """The oldest trick: HS256 with the RSA public key as its secret."""
    pem = public(RSA)
    await provide(desk, algs=["RS256"], key=packed(pem))
    for secret in (pem, pem.strip(), public(RSA, _DER)):
        await refused(desk, signed(subject(desk), secret), "algorithm")
    for secret in (pem, public(RSA, _DER)):
        with pytest.raises(InvalidParameter) as caught:
            await provide(desk, algs=["HS256"], key=packed(secret))
        assert caught.value.parameter == "key"


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"aud": "", "iss": ""}, "aud"),
        ({"jwks_url": "https://idp.example/keys"}, "key"),
        ({"key": None}, "key"),
        ({"key": "?"}, "key"),
        ({"key": ""}, "key"),
        ({"algs": []}, "algs"),
        ({"algs": ["none"]}, "algs"),
        ({"algs": ["HS256", "RS256"]}, "algs"),
        ({"algs": ["RS256"]}, "key"),
        ({"algs": ["ES384"], "key": packed(public(CURVES["ES256"]))}, "key"),
        ({"algs": ["ES256"], "key": packed(public(RSA))}, "key"),
        ({"algs": ["HS256"], "key": None, "jwks_url": "https://idp.example/keys"}, "algs"),
        ({"algs": ["RS256"], "key": None, "jwks_url": "file:///etc/passwd"}, "jwksUrl"),
        ({"algs": ["RS256"], "key": None, "jwks_url": "/keys"}, "jwksUrl"),
        ({"algs": ["RS256"], "key": None, "jwks_url": "https://a:b@idp.example/"}, "jwksUrl"),
        ({"algs": ["RS256"], "key": None, "jwks_url": "https://idp.example:0x/"}, "jwksUrl"),
        ({"aud": "x" * 3_000}, "aud"),
        ({"mapping": {"a.$": "$["}}, "mapping"),
        ({"mapping": {"a": "x" * 30_000}}, "mapping"),
    ],
)
async def test_a_provider_that_proves_nothing_is_refused(
    desk: Desk, changes: dict[str, Any], parameter: str
) -> None:
    with pytest.raises(InvalidParameter) as caught:
        await provide(desk, **changes)
    assert caught.value.parameter == parameter
    assert desk.access.providers.list_identity_providers(desk.org, 0, 9) == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"aud": "others"}, "no identity provider"),
        ({"iss": "https://evil.example/"}, "no identity provider"),
        ({"aud": None, "iss": None}, "not as it should be"),
        ({"exp": 1}, "expired"),
        ({"nbf": 9_999_999_999}, "not valid yet"),
        ({"exp": None}, "not as it should be"),
    ],
)
async def test_a_subject_token_may_be_no_good(
    desk: Desk, changes: dict[str, Any], why: str
) -> None:
    await provide(desk)
    await refused(desk, signed(subject(desk, **changes), SECRET), why)


async def test_a_subject_token_is_signed_by_its_provider(desk: Desk) -> None:
    await provide(desk)
    await refused(desk, signed(subject(desk), b"other"), "signature")
    await refused(desk, signed(subject(desk), SECRET, "HS512"), "algorithm")
    await refused(desk, f"{packed({'alg': 'none'})}.{packed(subject(desk))}.", "algorithm")
    await refused(desk, signed(subject(desk), SECRET, crit=["x"]), "crit")
    await refused(desk, "", "no JSON Web Token")


async def test_tokens_of_one_kind_are_none_of_another(desk: Desk) -> None:
    await provide(desk)
    made = await desk.access.exchange.exchange(audience(desk), signed(subject(desk), SECRET))
    await refused(desk, made.token, "no identity provider")
    _, secret = await desk.access.tokens.create(desk.owner, "laptop")
    await refused(desk, secret, "no JSON Web Token")
    with pytest.raises(Exception, match="names no key"):
        desk.actor(signed(subject(desk, act={}), SECRET))


async def test_a_pair_stands_before_either_of_its_parts(desk: Desk) -> None:
    """S117, Q38."""
    await provide(desk, aud="", mapping={"sub": "by iss"})
    await provide(desk, iss="", mapping={"sub": "by aud"})
    token = signed(subject(desk, aud=["unknown", "theirs"]), SECRET)
    assert (await exchange(desk, token))["sub"] == "by aud"
    await provide(desk, mapping={"sub": "by both"})
    assert (await exchange(desk, token))["sub"] == "by both"
    token = signed(subject(desk, aud="unknown"), SECRET)
    assert (await exchange(desk, token))["sub"] == "by iss"
    token = signed(subject(desk, iss="unknown"), SECRET)
    assert (await exchange(desk, token))["sub"] == "by aud"


async def test_posting_again_changes_a_provider(desk: Desk) -> None:
    """S118, S119."""
    await provide(desk)
    await provide(desk, key=packed(b"another secret of the provider's"))
    await refused(desk, signed(subject(desk), SECRET), "signature")
    assert len(desk.access.providers.list_identity_providers(desk.org, 0, 9)) == 1


async def test_what_is_deleted_exchanges_nothing(desk: Desk) -> None:
    """S124, Q36."""
    providers = desk.access.providers
    token = signed(subject(desk), SECRET)
    await provide(desk)
    [service] = providers.list_token_providers(desk.org, 0, 9)
    await desk.access.keys.delete(desk.org, service.key)
    await refused(desk, token, "no token provider that can sign")
    await providers.delete_token_provider(desk.org, "web")
    await refused(desk, token, "no token provider")
    await provide(desk)
    assert (await exchange(desk, token))["sub"] == "me"
    await providers.delete_identity_provider(desk.org, "theirs", "https://idp.example/")
    await refused(desk, token, "no identity provider")
    with pytest.raises(NotFound):
        await providers.delete_identity_provider(desk.org, "theirs", "https://idp.example/")
    with pytest.raises(NotFound):
        await providers.delete_token_provider(desk.org, "none")


@pytest.mark.parametrize(
    "target",
    [
        "https://tokens.statebacked.dev/org_x/web", "https://evil.example/{org}/web", "", "web",
        "https://tokens.statebacked.dev/{org}/web/more", "https://tokens.statebacked.dev/{org}/",
        "https://tokens.statebacked.dev/{org}/none",
    ],
)  # fmt: skip
async def test_the_audience_names_org_and_service(desk: Desk, target: str) -> None:
    """S122."""
    await provide(desk)
    told = target.replace("{org}", show_id(ORG, desk.org))
    with pytest.raises(ExchangeRefused) as caught:
        await desk.access.exchange.exchange(told, signed(subject(desk), SECRET))
    assert (caught.value.error, caught.value.parameter) == ("invalid_target", "audience")


async def test_a_key_of_another_org_signs_nothing(desk: Desk) -> None:
    other = await desk.access.orgs.create(desk.owner, "other")
    kid, _ = await desk.key(org=other)
    with pytest.raises(InvalidParameter) as caught:
        await desk.access.providers.put_token_provider(
            desk.org, "web", parse_id("sbk", kid, "keyId"), {}
        )
    assert caught.value.parameter == "keyId"


# By a set of keys.


@dataclass
class Site:
    """A web site with a key set, which counts who asks."""

    port: int = 0
    asked: int = 0
    status: str = "200 OK"
    headers: str = ""
    body: bytes = b""
    keys: list[dict[str, Any]] = field(default_factory=list)
    hold: asyncio.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/keys"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        if self.hold is not None:
            await self.hold.wait()
        body = self.body or json.dumps({"keys": self.keys}).encode()
        head = f"HTTP/1.1 {self.status}\r\ncontent-length: {len(body)}\r\n{self.headers}\r\n"
        writer.write(head.encode() + body)
        writer.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    server = await asyncio.start_server(site.answer, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    async with server:
        yield site


@pytest.fixture
async def reaching(desk: Desk) -> Desk:
    """A server whose operator lets it ask its own machine."""
    desk.access.exchange._key_sets = KeySets(desk.clock, lambda *_: True)
    return desk


def jwk(private: Any, kid: str | None = "one", **more: Any) -> dict[str, Any]:
    kinds = {
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
    }
    kind = next(kind for base, kind in kinds.items() if isinstance(private, base))
    told = json.loads(kind.to_jwk(private.public_key()))  # type: ignore[attr-defined]
    return {**told, **({"kid": kid} if kid else {}), **more}


def by(desk: Desk, key: Any, algorithm: str = "RS256", kid: str | None = "one") -> str:
    return jwt.encode(subject(desk), key, algorithm, {"kid": kid} if kid else None)


async def provide_site(desk: Desk, site: Site, *algs: str) -> None:
    await provide(desk, algs=[*algs] or ["RS256"], key=None, jwks_url=site.url)


@pytest.mark.parametrize("algorithm", sorted(PRIVATE))
async def test_every_algorithm_verifies_by_address(
    reaching: Desk, site: Site, algorithm: str
) -> None:
    site.keys = [jwk(OTHER_RSA, "none"), jwk(PRIVATE[algorithm])]
    await provide_site(reaching, site, algorithm)
    assert (await exchange(reaching, by(reaching, PRIVATE[algorithm], algorithm)))["sub"] == "me"


async def test_a_token_without_kid_is_tried_with_all_keys(reaching: Desk, site: Site) -> None:
    site.keys = [jwk(OTHER_RSA, "a"), jwk(CURVES["ES256"], "b"), jwk(RSA, None)]
    await provide_site(reaching, site)
    assert (await exchange(reaching, by(reaching, RSA, kid=None)))["sub"] == "me"
    assert site.asked == 1


@pytest.mark.parametrize(
    "keys",
    [
        [jwk(OTHER_RSA)],
        [jwk(RSA, "two")],
        [jwk(RSA, use="enc")],
        [jwk(RSA, alg="RS512")],
        [jwk(CURVES["ES256"])],
        [{"kty": "oct", "k": base64.urlsafe_b64encode(SECRET).decode(), "kid": "one"}],
        [{"kty": "RSA", "kid": "one", "n": "AQAB", "e": "AQAB"}],
        [{"kty": "RSA", "kid": "one"}],
        [{"kty": 3}],
        [],
    ],
)
async def test_a_set_without_the_key_verifies_nothing(
    reaching: Desk, site: Site, keys: list[dict[str, Any]]
) -> None:
    site.keys = keys
    await provide_site(reaching, site)
    for token in (by(reaching, RSA), signed(subject(reaching), SECRET, kid="one")):
        with pytest.raises(ExchangeRefused):
            await exchange(reaching, token)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"body": b"<html>"}, "no key set"), ({"body": b"[]"}, "no key set"),
        ({"body": b'{"keys":{}}'}, "no key set"), ({"body": b'{"keys":[1]}'}, "no public key"),
        ({"body": b"[" * 100_000}, "no key set"), ({"body": b" " * 300_000}, "more than 200,000"),
        ({"status": "500 No"}, "answered 500"), ({"status": "404 No"}, "answered 404"),
        ({"status": "302 Found", "headers": "location: /keys\r\n"}, "answered 302"),
        ({"status": "nonsense"}, "cannot be reached"),
    ],
)  # fmt: skip
async def test_an_address_may_give_no_set(
    reaching: Desk, site: Site, told: dict[str, Any], why: str
) -> None:
    for name, value in told.items():
        setattr(site, name, value)
    await provide_site(reaching, site)
    await refused(reaching, by(reaching, RSA), why)


async def test_an_address_that_does_not_answer_costs_its_time(
    reaching: Desk, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks, "FETCH_SECONDS", 0.1)
    site.hold = asyncio.Event()
    await provide_site(reaching, site)
    await refused(reaching, by(reaching, RSA), "no answer within 0.1 s")
    site.hold.set()


@pytest.mark.parametrize("count", [1, 1_000])
async def test_an_unknown_key_is_asked_for_once(reaching: Desk, site: Site, count: int) -> None:
    site.keys = [jwk(RSA)]
    await provide_site(reaching, site)
    unknown = by(reaching, RSA, kid="unknown")
    answers = await asyncio.gather(
        *(exchange(reaching, unknown) for _ in range(count)), return_exceptions=True
    )
    assert all(isinstance(each, ExchangeRefused) for each in answers)
    assert site.asked == 1
    assert (await exchange(reaching, by(reaching, RSA)))["sub"] == "me"
    assert site.asked == 1


async def test_a_key_that_is_new_at_the_address_is_found(reaching: Desk, site: Site) -> None:
    site.keys = [jwk(OTHER_RSA, "old")]
    await provide_site(reaching, site)
    await refused(reaching, by(reaching, RSA), "no key for this token")
    site.keys = [jwk(RSA)]
    await refused(reaching, by(reaching, RSA), "no key for this token")
    reaching.clock.time += int(jwks.REFETCH_SECONDS * 1000)
    assert (await exchange(reaching, by(reaching, RSA)))["sub"] == "me"
    assert site.asked == 2


async def test_old_keys_serve_while_the_address_is_away(reaching: Desk, site: Site) -> None:
    site.keys = [jwk(RSA)]
    await provide_site(reaching, site)
    await exchange(reaching, by(reaching, RSA))
    site.status = "500 No"
    reaching.clock.time += int(jwks.KEPT_SECONDS * 1000) + 1
    token = by(reaching, RSA)
    assert (await exchange(reaching, token))["sub"] == "me"
    assert site.asked == 2


async def test_private_addresses_are_not_asked(desk: Desk, site: Site) -> None:
    site.keys = [jwk(RSA)]
    for url in (site.url, site.url.replace("127.0.0.1", "localhost")):
        await provide(desk, algs=["RS256"], key=None, jwks_url=url)
        await refused(desk, by(desk, RSA), "private network")
    assert site.asked == 0


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "10.1.2.3", "100.64.0.1", "169.254.169.254", "172.16.0.1",
        "192.168.1.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "192.0.0.1",
        "::", "::1", "fc00::1", "fe80::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "ff02::1",
        "64:ff9b::7f00:1", "2002:7f00:1::", "fec0::1", "::127.0.0.1", "::ffff:0:127.0.0.1",
    ],
)  # fmt: skip
def test_a_private_address_is_known_in_all_spellings(address: str) -> None:
    assert not public_only("name", 443, address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_a_public_address_is_asked(address: str) -> None:
    assert public_only("name", 443, address)


async def test_mappings_of_great_depth_take_no_time(desk: Desk) -> None:
    deep: Any = "end"
    for _ in range(120):
        deep = {"a": deep}
    await provide(desk, mapping={"x.$": "$..end"})
    await refused(desk, signed(subject(desk, deep=deep), SECRET), "recursion")


@pytest.mark.parametrize("name", ["a..b", "a" * 64 + ".example"])
async def test_an_address_may_be_no_name(desk: Desk, name: str) -> None:
    await provide(desk, algs=["RS256"], key=None, jwks_url=f"http://{name}/keys")
    await refused(desk, by(desk, RSA), "cannot be reached")


async def test_a_provider_that_goes_while_its_keys_come_exchanges_nothing(
    reaching: Desk, site: Site
) -> None:
    """S124."""
    site.keys = [jwk(RSA)]
    site.hold = asyncio.Event()
    await provide_site(reaching, site)
    claims = subject(reaching)
    under_way = asyncio.create_task(exchange(reaching, by(reaching, RSA)))
    while not site.asked:
        await asyncio.sleep(0.001)
    await reaching.access.providers.delete_identity_provider(
        reaching.org, claims.get("aud", ""), claims.get("iss", "")
    )
    site.hold.set()
    with pytest.raises(ExchangeRefused):
        await under_way
