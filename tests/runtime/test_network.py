"""Whom machine code may talk to: the network policy, in flags, in the kernel and in words (Q62)."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from smply.errors import BuildError, UsageError
from smply.runtime import Failed, Network, Refused, RuntimeSettings, sandbox
from tests.runtime.listener import Listener, has_ipv6, listen
from tests.runtime.support import AUTH, OFF, Lab, machine, step

pytestmark = pytest.mark.anyio

ASK = """
const said = async (url) => (await fetch(url, { signal: AbortSignal.timeout(500) })).text();
const opened = (source) => new Promise((resolve, reject) => {
  source.onopen = () => (source.close(), resolve("opened"));
  source.onerror = (event) => reject(new Error(event.message ?? "an error event"));
});
const tell = async (asked) => {
  const told = asked.map((ask) => ask().catch((error) => error.message));
  console.log(JSON.stringify(await Promise.all(told)));
};
"""


@pytest.fixture
async def listener(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Listener]:
    async with listen(tmp_path) as listener:
        yield listener


@asynccontextmanager
async def lab_with(policy: str) -> AsyncIterator[Lab]:
    lab = Lab(RuntimeSettings(processes_max=2, network=Network.parse(policy)))
    try:
        yield lab
    finally:
        await lab.runtime.close(0)


async def told_by_action(policy: str, *asked: str) -> list[str]:
    """What an action under a policy logs of each thing that it asks, after the commit."""
    action = f"() => tell([{', '.join(f'async () => {each}' for each in asked)}])"
    async with lab_with(policy) as lab:
        host = await lab.host(machine(f"go: {{ actions: {action} }}", top=ASK))
        await step(host, 1, "go")
        assert lab.logs == []
        host.commit(1, 2)
        await lab.runtime.close(20)
        [log] = lab.logs
        assert log.phase == "action"
        told: list[str] = json.loads(log.text)
        return told


def asking(base: str) -> list[str]:
    """All three ways to ask an address."""
    return [
        f'said("{base}/")',
        f'opened(new WebSocket("{base.replace("http", "ws")}/"))',
        f'opened(new EventSource("{base}/events"))',
    ]


ALL_ANSWER = ["hello", "opened", "opened"]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_an_action_talks_to_a_host_that_the_policy_names(
    listener: Listener, name: str
) -> None:
    policy = f"api.example.com, {name}:{listener.port}"

    told = await told_by_action(policy, *asking(f"http://{name}:{listener.port}"))

    assert told == ALL_ANSWER


async def test_all_is_all(listener: Listener) -> None:
    hosts = ["127.0.0.1", "localhost", *(["[::1]"] if has_ipv6() else [])]
    asked = [each for host in hosts for each in asking(f"http://{host}:{listener.port}")]

    assert await told_by_action("all", *asked) == ALL_ANSWER * len(hosts)


async def test_what_the_policy_does_not_name_is_refused_by_name(listener: Listener) -> None:
    here, there = f"127.0.0.1:{listener.port}", f"127.0.0.1:{listener.other_port}"
    named = f"http://localhost:{listener.port}"

    told = await told_by_action(here, *asking(f"http://{there}"), f'said("{named}")')

    no = "the network policy does not allow"
    assert told[0] == f"fetch: {no} {there}"
    assert told[1] == f"WebSocket: {no} {there}"
    assert "opened" not in told
    assert told[3] == f"fetch: {no} localhost:{listener.port}"
    assert listener.heard == []


async def test_a_redirect_leads_nowhere_that_the_policy_does_not_name(listener: Listener) -> None:
    here = f"http://127.0.0.1:{listener.port}"
    targets = [
        f"http://{host}:{listener.other_port}/"
        for host in ("127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]")
    ]

    told = await told_by_action(
        f"127.0.0.1:{listener.port}",
        *(f'said("{here}/to/{target}")' for target in [*targets, f"{here}/"]),
        *(f'opened(new EventSource("{here}/to/{target}events"))' for target in targets),
    )

    refused = [each.startswith("fetch: the network policy does not allow ") for each in told]
    assert refused[:5] == [True] * 5, told
    assert told[5] == "hello"
    assert "opened" not in told[6:]
    assert "/events" not in listener.heard


PRIVATE = [
    "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255",
    "127.0.0.1", "127.255.255.255", "169.254.0.0", "169.254.169.254", "169.254.255.255",
    "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255", "198.18.0.0",
    "198.19.255.255", "224.0.0.0", "239.255.255.255", "240.0.0.0", "255.255.255.255",
]  # fmt: skip
IPV6 = [
    "::", "::1", "fc00::1", "fdff:ffff::1", "fe80::1", "febf::1", "64:ff9b::7f00:1",
    "2002:7f00:1::", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "2001:db8::1",
]  # fmt: skip
# Kept for documentation: nobody answers there.
PUBLIC = ["192.0.2.1", "198.51.100.1", "203.0.113.1"]


async def test_public_is_every_ipv4_address_but_private_ones() -> None:
    hosts = [*PRIVATE, *(f"[{each}]" for each in IPV6)]
    asked = [f'said("http://{host}:8080/")' for host in [*hosts, *PUBLIC]]

    told = await told_by_action("public", *asked)

    no = "fetch: the network policy does not allow "
    assert [host for host, each in zip(hosts, told, strict=False) if not each.startswith(no)] == []
    assert [each for each in told[len(hosts) :] if each.startswith(no)] == []


async def test_none_is_none(listener: Listener) -> None:
    told = await told_by_action("none", *asking(f"http://127.0.0.1:{listener.port}"))

    no = "machine code has no network here"
    assert told == [f"fetch: {no}", f"WebSocket: {no}", f"EventSource: {no}"]


async def test_a_bundle_has_no_network_while_it_is_checked(listener: Listener) -> None:
    top = f'await fetch("http://127.0.0.1:{listener.port}/");'

    async with lab_with("all") as lab:
        with pytest.raises(BuildError, match="fetch: machine code has no network here"):
            await lab.host(machine(top=top))

    assert listener.heard == []


async def test_what_decides_a_step_fails_if_it_asks_the_network(listener: Listener) -> None:
    """Q62. Nor is there a way around it by the class of a WebSocket."""
    url = f"http://127.0.0.1:{listener.port}"
    asked = {
        "fetch": f"fetch('{url}')",
        "WebSocket": f"new WebSocket('{url}')",
        "EventSource": f"new EventSource('{url}')",
        "by class": f"new WebSocket.prototype.constructor('{url}')",
    }
    off = ", ".join(
        f"'guard {name}': {{ guard: () => {ask}, target: 'on' }},"
        f"'assign {name}': {{ actions: assign({{ x: () => {ask} }}) }}"
        for name, ask in asked.items()
    )
    async with lab_with("all") as lab:
        host = await lab.host(machine(off, allow_read=asked["fetch"]))

        for name in asked:
            answers = await step(host, 1, f"guard {name}", f"assign {name}")
            refused = f"{name.replace('by class', 'WebSocket')} is for actions"
            assert [refused in str(answer) for answer in answers] == [True, True], answers
            assert [type(answer) for answer in answers] == [Failed, Failed]
        read = await host.read(1, "light-1", 1, lambda: OFF, AUTH)
        assert isinstance(read, Refused)
        assert "fetch is for actions" in read.detail

    assert listener.heard == []


@pytest.mark.skipif(sys.platform != "linux", reason="a filter of Linux")
@pytest.mark.parametrize(
    ("policy", "families"),
    [
        ("none", ["AF_UNIX"]),
        ("public", ["AF_UNIX", "AF_INET"]),
        ("10.0.0.1", ["AF_UNIX", "AF_INET"]),
        ("all", ["AF_UNIX", "AF_INET", "AF_INET6", "AF_PACKET"]),
    ],
)
async def test_the_kernel_gives_a_process_no_other_sockets(
    policy: str, families: list[str]
) -> None:
    """A name may resolve to a private IPv6 address, and no flag of Deno denies a range of them."""
    script = """if True:
        import socket
        for name in ("AF_UNIX", "AF_INET", "AF_INET6", "AF_PACKET"):
            try:
                socket.socket(getattr(socket, name), socket.SOCK_DGRAM).close()
                print(name)
            except PermissionError:
                print(name)
            except OSError:
                pass
    """
    child = await asyncio.create_subprocess_exec(
        *sandbox.confined([sys.executable, "-c", script], None, Network.parse(policy)),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await child.communicate()

    assert said.decode().split() == families


def denied(policy: str) -> list[str]:
    flag = Network.parse(policy).flags("s")[-1]
    return flag.removeprefix("--deny-net=").split(",") if "deny" in flag else []


def test_a_policy_opens_no_more_of_a_private_range_than_it_names() -> None:
    assert "10.0.0.0/8" in denied("api.example.com")
    assert "10.0.0.5/32" not in denied("10.0.0.5:80")
    assert "10.0.0.4/32" in denied("10.0.0.5:80")
    assert not any(each.startswith("10.") for each in denied("x.example, 10.0.0.0/8"))
    assert [each for each in denied("172.0.0.0/8") if each.startswith("172.")] == []
    assert {"[::]", "[::1]", "127.0.0.0/32", "127.0.0.2/31"} <= set(denied("127.0.0.1:1"))
    assert {"[::]", "127.0.0.0/32", "127.0.0.2/31"} <= set(denied("localhost:1"))
    # Where `localhost` is an address of IPv6 first, as on most machines.
    assert "[::1]" not in denied("localhost:1")


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        (" Public ", "--allow-net"),
        ("ALL", "--allow-net"),
        ("none", "--allow-net=unix:s"),
        ("API.example.com", "--allow-net=unix:s,api.example.com"),
        ("*.example.com:443 , 10.1.2.3", "--allow-net=unix:s,*.example.com:443,10.1.2.3"),
        ("10.0.0.0/8:80", "--allow-net=unix:s,10.0.0.0/8:80"),
        ("db_1.internal:65535", "--allow-net=unix:s,db_1.internal:65535"),
    ],
)
def test_a_policy_is_read_as_it_is_written(text: str, flag: str) -> None:
    assert Network.parse(text).flags("s")[0] == flag


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("public,foo bar", "public is a whole network policy, not a host in one"),
        ("foo bar", 'the network policy names "foo bar", which is no host'),
        ("a.example,,b.example", 'the network policy names "", which is no host'),
        ("http://a.example/", 'the network policy names "http://a.example/", which is no host'),
        ("a.example:0", 'the network policy names "a.example:0", which is no host'),
        ("a.example:65536", 'the network policy names "a.example:65536", which is no host'),
        ("a.example:", 'the network policy names "a.example:", which is no host'),
        ("unix:/run/x.sock", 'the network policy names "unix:/run/x.sock", which is no host'),
        ("127.1", 'the network policy names "127.1", which is no host'),
        ("2130706433", 'the network policy names "2130706433", which is no host'),
        ("10.0.0.0/33", 'the network policy names "10.0.0.0/33", which is no host'),
        ("a=b --allow-run", 'the network policy names "a=b --allow-run", which is no host'),
        (
            "[::1]:80",
            'a network policy cannot name "[::1]:80": machine code speaks IPv4 unless it is all',
        ),
        (
            "fd00::1",
            'a network policy cannot name "fd00::1": machine code speaks IPv4 unless it is all',
        ),
    ],
)
def test_what_is_no_policy_is_refused_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        Network.parse(text)

    assert refused.value.message == message
    assert refused.value.hint
