"""What one Deno process may do and use: the whole security boundary of machine code.

Machine code runs in a process of Deno that may read the shipped copies of XState, talk to one Unix
socket, and to the hosts that the network policy names; and nothing else: no file, no environment,
no npm, no remote code, no `node:` module. Its heap is limited by V8, its memory as a whole by the
kernel, its life by that of its parent (Linux). `host/globals.ts` takes away what a flag cannot:
`Deno`, `process`, `Worker`, fine clocks. `host/network.ts` says no in words.

The process is the boundary, and it belongs to one org and version. Its own code may break the host
in it and answer lies about its own instances; `protocol.py` and `process.py` take every byte of it
for hostile.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import importlib
import json
import os
import platform
import re
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from typing import Any, Literal

from smply.errors import SmplyError, UsageError

DIST = Path(__file__).parent / "host" / "dist"

_DATA_BYTES_MAX = 1 << 30
_PR_GET_SECCOMP = 21
# seccomp(2) and its programs: the kernel's numbers for this purpose.
_SYSCALLS = {"x86_64": (0xC000003E, 41, 317), "aarch64": (0xC00000B7, 198, 277)}
"""By machine: its AUDIT_ARCH, and the numbers of `socket` and `seccomp`."""
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_AT_NUMBER, _AT_ARCHITECTURE, _AT_FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_X32 = 0x40000000
_NO_NODE = "machines-have-no-node-modules"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the installed host is: its hash, protocol, and the files of our copies of XState."""

    protocol: int
    host: str
    xstate: Mapping[str, str]
    copies: Mapping[str, str]
    builtins: tuple[str, ...] = field(default=())


def read_manifest(dist: Path) -> Manifest:
    try:
        known: dict[str, Any] = json.loads((dist / "manifest.json").read_bytes())
    except OSError as exc:
        raise SmplyError(
            "this copy of smply was installed without its JavaScript host",
            code="broken-install",
            hint="pip install --force-reinstall smply, or in a checkout: pip install -e .",
        ) from exc
    return Manifest(
        known["protocol"],
        known["host"],
        known["xstate"],
        known["copies"],
        tuple(known.get("builtins", ())),
    )


@cache
def find_deno() -> str:
    """The path of the Deno that was installed with smply, else that on PATH."""
    beside = Path(sys.executable).parent / "deno"
    if beside.exists():
        return str(beside)
    with contextlib.suppress(ImportError, OSError):
        return str(importlib.import_module("deno").find_deno_bin())
    found = shutil.which("deno")
    if found is None:
        raise SmplyError(
            "Deno, which runs the machines, is not installed",
            code="broken-install",
            hint="pip install --force-reinstall smply",
        )
    return found


# The network.

_PRIVATE = tuple(map(IPv4Network, (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
)))  # fmt: skip
"""Where a network answers only its own: without the first, 0.0.0.0 is this very machine."""

_NAME = re.compile(r"(?:\*\.)?(?!-)[a-z0-9_-]+(?<!-)(?:\.(?!-)[a-z0-9_-]+(?<!-))*")
_Kind = Literal["none", "public", "hosts", "all"]
_WHOLE: dict[str, _Kind] = {"none": "none", "public": "public", "all": "all"}
_POLICY_HINT = (
    "SMPLY_NETWORK is none, public, all, or the hosts that machines may reach:"
    " api.example.com,10.0.0.5:8080"
)


@dataclass(frozen=True, slots=True)
class Network:
    """Whom machine code may talk to.

    `public` is every address but those of private networks, and of those `hosts` only: names,
    IPv4 addresses and ranges of them, each perhaps with a port. A name that resolves to a private
    address is refused unless that address, or a range that holds it, is among them; `localhost` is
    its addresses. But for that and for `all` it is IPv4 alone: no flag denies a range of IPv6, and
    every network has private ones.
    """

    kind: _Kind = "public"
    hosts: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Network:
        """A policy from its setting; UsageError for what is none."""
        word = text.strip().lower()
        if word in _WHOLE:
            return cls(_WHOLE[word])
        return cls("hosts", tuple(_host(each.strip()) for each in word.split(",")))

    def flags(self, own: str) -> list[str]:
        """What Deno is told; `own` is the path of the socket to Python, escaped."""
        if self.kind == "all":
            return ["--allow-net"]
        if self.kind == "none":
            return [f"--allow-net=unix:{own}"]
        # Deno asks again with the address that a name has come to.
        denied = ",".join([*map(str, self._denied()), "[::]", *self._denied_loopback()])
        allowed = "" if self.kind == "public" else "=" + ",".join([f"unix:{own}", *self.hosts])
        return [f"--allow-net{allowed}", f"--deny-net={denied}"]

    def _denied(self) -> Iterable[IPv4Network]:
        denied = list(_PRIVATE)
        for host in self.hosts:
            if (named := _range(host)) is not None:
                denied = [rest for block in denied for rest in _without(block, named)]
        return denied

    def _denied_loopback(self) -> Iterable[str]:
        # On many machines `localhost` is this before it is 127.0.0.1.
        return (
            () if any(host.partition(":")[0] == "localhost" for host in self.hosts) else ("[::1]",)
        )


PUBLIC = Network("public")
_ANYWHERE = Network("all")


def _host(text: str) -> str:
    """One host of a policy as Deno takes it; UsageError if it is none."""
    host, colon, port = text.rpartition(":") if text.count(":") == 1 else (text, "", "")
    if _is_ipv6(text):
        raise UsageError(
            f'a network policy cannot name "{text}": machine code speaks IPv4 unless it is all',
            hint="name an IPv4 address, or a name that has one",
        )
    is_port = re.fullmatch(r"\d{1,5}", port, re.ASCII) and 0 < int(port) < 1 << 16
    if host in _WHOLE:
        raise UsageError(f"{host} is a whole network policy, not a host in one", hint=_POLICY_HINT)
    if (_range(host) is None and not _is_name(host)) or (colon and not is_port):
        raise UsageError(f'the network policy names "{text}", which is no host', hint=_POLICY_HINT)
    return text


def _is_ipv6(text: str) -> bool:
    address = re.sub(r"^\[(.*)\](?::\d+)?$", r"\1", text).partition("/")[0]
    try:
        return ip_address(address).version == 6
    except ValueError:
        return text.startswith("[")


def _is_name(host: str) -> bool:
    """Whether it is a name; one that ends in a number is an address in an odd spelling."""
    last = host.rpartition(".")[2]
    return bool(_NAME.fullmatch(host)) and not re.fullmatch(r"\d+|0x[0-9a-f]*", last)


def _range(host: str) -> IPv4Network | None:
    """The addresses that a host of a policy names, if it is no other name."""
    address = host.partition(":")[0]
    try:
        return IPv4Network("127.0.0.1" if address == "localhost" else address)
    except ValueError:
        return None


def _without(block: IPv4Network, named: IPv4Network) -> Iterable[IPv4Network]:
    if not block.overlaps(named):
        return [block]
    return [] if block.subnet_of(named) else block.address_exclude(named)


# The command lines.


def command(
    dist: Path,
    import_map: Path,
    path: Path,
    heap_megabytes: int,
    cache_bytes: int,
    network: Network,
) -> list[str]:
    """The command line of a process: every permission it has is named here."""
    own = _escape(path)
    return [
        find_deno(), "run",
        "--quiet", "--no-prompt", "--no-config", "--no-lock", "--no-code-cache",
        "--no-remote", "--no-npm", "--cached-only",
        f"--import-map={import_map}",
        # Deno asks for all three before it connects to a Unix socket.
        f"--allow-read={own},{_escape(dist)}",
        f"--allow-write={own}",
        *network.flags(own),
        # One thread collects: several would take the CPU of all other machines from one's waste.
        f"--v8-flags=--max-old-space-size={heap_megabytes},--single-threaded-gc",
        str(dist / "host.js"), str(path), str(cache_bytes), network.kind,
    ]  # fmt: skip


_NO_FOREIGN_CODE = (
    "--quiet", "--no-prompt", "--no-config", "--no-lock", "--no-remote", "--no-npm",
)  # fmt: skip


def transpile_command(source: Path, target: Path) -> list[str]:
    """TypeScript to JavaScript, one file; it runs no code of anybody."""
    flags = [flag for flag in _NO_FOREIGN_CODE if flag != "--no-prompt"]
    return [find_deno(), "transpile", *flags, "--no-check", "-o", str(target), str(source)]


def imports_command(source: Path) -> list[str]:
    """What a file imports, as JSON; it runs no code of anybody."""
    flags = [flag for flag in _NO_FOREIGN_CODE if flag != "--no-prompt"]
    return [find_deno(), "info", "--json", *flags, str(source)]


def bundler_command(dist: Path, project: Path, work: Path, options: list[str]) -> list[str]:
    """esbuild, which may read the project and write to `work`, and that is all."""
    return [
        find_deno(), "run", *_NO_FOREIGN_CODE, "--cached-only", "--unstable-detect-cjs",
        f"--allow-read={_escape(project)},{_escape(work)},{_escape(dist.parent)}",
        f"--allow-write={_escape(work)}",
        # Only what `environment` holds is there to be read.
        "--allow-env",
        str(dist.parent / "bundler.ts"), *options,
    ]  # fmt: skip


def _escape(path: Path) -> str:
    """A path in Deno's lists, where a comma separates and two are one."""
    return str(path).replace(",", ",,")


def environment(directory: Path) -> dict[str, str]:
    """The whole environment of a Deno process; DENO_DIR is thrown away with `directory`.

    Python may need its LD_LIBRARY_PATH to begin at all; `launch.py` takes it away before Deno.
    """
    libraries = os.environ.get("LD_LIBRARY_PATH") if sys.platform == "linux" else None
    return {
        **({"LD_LIBRARY_PATH": libraries} if libraries else {}),
        "DENO_DIR": str(directory / "deno"),
        "DENO_NO_UPDATE_CHECK": "1",
        "NO_COLOR": "1",
    }


def import_map(dist: Path, manifest: Manifest) -> bytes:
    """Our copies of XState by their exact names, and every name of a Node module to nothing.

    This is the second wall; `host/imports.ts` is the first. A module that throws would not do in
    the place of `url`, `util`, `zlib` and `worker_threads`: Deno 2.9.8 links a static import to the
    real one, and worker_threads gives a Deno back. There is no exception for our host: if `eval` is
    a callback, what it imports is imported in the name of whoever calls it.
    """
    copies = {name: (dist / path).as_uri() for name, path in manifest.copies.items()}
    names = {name.removeprefix("node:") for name in manifest.builtins or _ask_builtins()}
    stubs = {prefix + name: f"{_NO_NODE}:{name}" for name in names for prefix in ("", "node:")}
    return json.dumps({"imports": {**stubs, **copies}}).encode()


@cache
def _ask_builtins() -> tuple[str, ...]:
    script = "console.log(JSON.stringify((await import('node:module')).builtinModules))"
    asked = subprocess.run(
        [find_deno(), "eval", "--no-config", script],
        capture_output=True,
        check=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    return tuple(json.loads(asked.stdout))


def confined(
    command: list[str], data_bytes_max: int | None = _DATA_BYTES_MAX, network: Network = _ANYWHERE
) -> list[str]:
    """A command line that limits its memory and its sockets and ties its life to ours (Linux).

    The death signal follows the thread that starts it, so that must be one that lives as long as
    the pool: the thread of the event loop.
    """
    if sys.platform != "linux":
        return command
    launch = Path(__file__).with_name("launch.py")
    limits = [str(os.getpid()), str(data_bytes_max or 0), _socket_filter(network)]
    return [sys.executable, "-I", "-S", str(launch), *limits, *command]


def _socket_filter(network: Network) -> str:
    """The program after which a process opens no sockets but those of the families it needs.

    It is the number of the system call `seccomp`, a colon and the program in hex; nothing where
    the policy is `all` or the kernel has no such filter.
    """
    if network.kind == "all" or not _filters_sockets():
        return ""
    architecture, call, seccomp = _SYSCALLS[platform.machine()]
    # The resolver asks the kernel over AF_NETLINK which addresses this machine has.
    families = [int(socket.AF_UNIX), int(socket.AF_NETLINK)]
    families += [] if network.kind == "none" else [int(socket.AF_INET)]
    last = len(families)
    program = [
        (_LOAD, 0, 0, _AT_ARCHITECTURE),
        (_JUMP_IF_EQUAL, 0, last + 6, architecture),
        (_LOAD, 0, 0, _AT_NUMBER),
        (_JUMP_IF_AT_LEAST, last + 4, 0, _X32),
        (_JUMP_IF_EQUAL, 0, last + 2, call),
        (_LOAD, 0, 0, _AT_FIRST_ARGUMENT),
        *((_JUMP_IF_EQUAL, last - n, 0, family) for n, family in enumerate(families)),
        (_RETURN, 0, 0, _REFUSE | errno.EAFNOSUPPORT),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _KILL),
    ]
    # What to do, how many to skip if so and if not, and a number.
    return f"{seccomp}:" + b"".join(struct.pack("=HBBI", *each) for each in program).hex()


def _filters_sockets() -> bool:
    """Whether the kernel can refuse a process its sockets."""
    if sys.platform != "linux" or platform.machine() not in _SYSCALLS:
        return False
    return int(ctypes.CDLL(None).prctl(_PR_GET_SECCOMP, 0, 0, 0, 0)) >= 0


def unenforced() -> str | None:
    """What this system cannot do to machine code, a sentence for whoever starts a server."""
    if sys.platform != "linux":
        return (
            "this system limits only the heap of machine code, not its array buffers, a killed"
            " smply leaves its Deno processes until the next start, and a name that resolves to a"
            " private IPv6 address is not refused"
        )
    if not _filters_sockets():
        return "this system does not refuse machine code a name of a private IPv6 address"
    return None
