"""Sets of public keys at addresses (RFC 7517): fetched with care, kept for a while.

The address comes from an org's admin, and the server stands where strangers do not: a name is
resolved here and connected to by the address that was checked, redirects are not followed, and
size and time are bounded.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

import httpcore
import jwt
import msgspec
from jwt.algorithms import get_default_algorithms

from smply.clock import Clock
from smply.identity.signatures import BadToken

KEPT_SECONDS = 600.0
"""How long a set is used before it is fetched again."""
REFETCH_SECONDS = 30.0
"""How long an address is left alone, though a token names a key that its set lacks."""
FETCH_SECONDS = 5.0
SET_BYTES_MAX = 200_000
KEYS_MAX = 100
SETS_MAX = 1_000

# What stands for an IPv4 address, which may be a private one: NAT64, 6to4, Teredo, and older ways;
# and the private addresses that IPv6 once had, which Python takes for any.
_GATEWAYS = tuple(
    map(
        IPv6Network,
        (
            "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "::ffff:0:0:0/96",
            "fec0::/10",
        ),
    )
)  # fmt: skip

MayFetch = Callable[[str, int, str], bool]
"""Whether machines of this server may be asked: a name, a port, and an address of it."""


def public_only(name: str, port: int, address: str) -> bool:
    """Any address of the world, and none of a private network."""
    found: IPv4Address | IPv6Address = ip_address(address)
    if isinstance(found, IPv6Address):
        if any(found in block for block in _GATEWAYS):
            return False
        found = found.ipv4_mapped or found
    return found.is_global and not found.is_multicast


class Jwk(msgspec.Struct):
    """A key of a set, as far as it says what it is for."""

    kid: str | None
    alg: str | None
    key: Any


@dataclass(slots=True)
class _Set:
    keys: list[Jwk] = field(default_factory=list)
    fetched: float = float("-inf")
    tried: float = float("-inf")
    fetching: asyncio.Task[None] | None = None
    why: str = "its keys were never fetched"


class KeySets:
    """The key sets that providers name. A set is fetched by one at a time, whoever waits for it."""

    def __init__(self, clock: Clock, may_fetch: MayFetch = public_only) -> None:
        self._clock = clock
        self._network = _Checked(may_fetch)
        self._sets: dict[str, _Set] = {}

    async def candidates(self, url: str, kid: str | None, algorithm: str) -> list[Any]:
        """The public keys at an address that may have signed a token of this header.

        Raises BadToken if there is none, or the address gives no keys.
        """
        known = self._sets.get(url)
        if known is None:
            if len(self._sets) >= SETS_MAX:
                self._sets.pop(next(iter(self._sets)))
            known = self._sets[url] = _Set()
        now = self._clock.monotonic()
        found = _matching(known.keys, kid, algorithm)
        if not found or now - known.fetched > KEPT_SECONDS:
            if now - known.tried >= REFETCH_SECONDS or known.fetching is not None:
                await self._fetched(url, known)
            found = _matching(known.keys, kid, algorithm)
        if not found:
            raise BadToken(
                f"the identity provider has no key for this token: {known.why}"
                if not known.keys
                else "the identity provider has no key for this token"
            )
        return found

    async def _fetched(self, url: str, known: _Set) -> None:
        if known.fetching is None:
            known.tried = self._clock.monotonic()
            known.fetching = asyncio.create_task(self._fetch(url, known))
        await asyncio.shield(known.fetching)

    async def _fetch(self, url: str, known: _Set) -> None:
        """Replace the keys by those that are there now; if that fails the old ones stand."""
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                known.keys = _keys_of(await self._body(url))
            known.fetched = self._clock.monotonic()
        except TimeoutError:
            known.why = f"its address gave no answer within {FETCH_SECONDS:g} s"
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as exc:
            known.why = f"its address cannot be reached ({type(exc).__name__})"
        except _NoSet as exc:
            known.why = str(exc)
        finally:
            known.fetching = None

    async def _body(self, url: str) -> bytes:
        body = b""
        async with (
            httpcore.AsyncConnectionPool(network_backend=self._network) as pool,
            pool.stream("GET", url, headers={"accept": "application/json"}) as response,
        ):
            if response.status != 200:
                raise _NoSet(f"its address answered {response.status}")
            async for chunk in response.aiter_stream():
                body += chunk
                if len(body) > SET_BYTES_MAX:
                    raise _NoSet(f"its key set has more than {SET_BYTES_MAX:,} bytes")
        return body


class _NoSet(Exception):
    """What is at an address is no key set; the text says why."""


class _Checked(httpcore.AsyncNetworkBackend):
    """Connects to an address that may be asked, and to that very address."""

    def __init__(self, may_fetch: MayFetch) -> None:
        self._may_fetch = may_fetch
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None,
        local_address: str | None = None, socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:  # fmt: skip
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
        except (OSError, UnicodeError) as exc:
            # The latter for a label that is empty or too long.
            raise httpcore.ConnectError(f"{host} is no name") from exc
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        # One private address among them is reason enough.
        if not addresses or not all(self._may_fetch(host, port, each) for each in addresses):
            raise _NoSet("its address is in a private network, which this server does not ask")
        return await self._inner.connect_tcp(
            addresses[0], port, timeout, local_address, socket_options
        )

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise _NoSet("its address is a socket")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _matching(keys: list[Jwk], kid: str | None, algorithm: str) -> list[Any]:
    return [
        each.key
        for each in keys
        if (kid is None or each.kid == kid) and each.alg in (None, algorithm)
    ]


def _keys_of(body: bytes) -> list[Jwk]:
    try:
        told = msgspec.json.decode(body)
        every = told["keys"]
        keys = [key for each in every[:KEYS_MAX] if (key := _key_of(each)) is not None]
    except (msgspec.MsgspecError, KeyError, TypeError, RecursionError, UnicodeDecodeError) as exc:
        raise _NoSet("its address has no key set") from exc
    if not keys:
        raise _NoSet("its key set holds no public key that signs")
    return keys


_KINDS = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}


def _key_of(told: Any) -> Jwk | None:
    """A public key for signatures; None for what is another kind of key, or broken."""
    kind = _KINDS.get(str(told.get("kty"))) if isinstance(told, dict) else None
    if kind is None or told.get("use", "sig") != "sig" or "d" in told:
        return None
    kid, alg = told.get("kid"), told.get("alg")
    try:
        key = get_default_algorithms()[kind].from_jwk(told)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    return Jwk(kid if isinstance(kid, str) else None, alg if isinstance(alg, str) else None, key)
