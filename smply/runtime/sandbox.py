"""What one Deno process may do and use: the whole security boundary of machine code.

Machine code runs in a process of Deno that may read the shipped copies of XState and talk to one
Unix socket, and nothing else: no file, no network, no environment, no npm, no remote code, no
`node:` module. Its heap is limited by V8, its memory as a whole by the kernel, its life by that of
its parent (Linux). `host/globals.ts` takes away what a flag cannot: `Deno`, `process`, `Worker`.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from smply.errors import SmplyError

DIST = Path(__file__).parent / "host" / "dist"

_DATA_BYTES_MAX = 1 << 30
_PR_SET_PDEATHSIG = 1
_NO_NODE = "data:text/javascript,throw new Error('a machine has no node: modules')"


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


def command(
    dist: Path, import_map: Path, socket: Path, heap_megabytes: int, cache_bytes: int
) -> list[str]:
    """The command line of a process: every permission it has is named here."""
    path = _escape(socket)
    return [
        find_deno(), "run",
        "--quiet", "--no-prompt", "--no-config", "--no-lock", "--no-code-cache",
        "--no-remote", "--no-npm", "--cached-only",
        f"--import-map={import_map}",
        # Deno asks for all three before it connects to a Unix socket.
        f"--allow-read={path},{_escape(dist)}",
        f"--allow-write={path}",
        f"--allow-net=unix:{path}",
        # One thread collects: several would take the CPU of all other machines from one's waste.
        f"--v8-flags=--max-old-space-size={heap_megabytes},--single-threaded-gc",
        str(dist / "host.js"), str(socket), str(cache_bytes),
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
    """The whole environment of a Deno process; DENO_DIR is thrown away with `directory`."""
    return {
        "DENO_DIR": str(directory / "deno"),
        "DENO_NO_UPDATE_CHECK": "1",
        "NO_COLOR": "1",
    }


def import_map(dist: Path, manifest: Manifest) -> bytes:
    """Our copies of XState by their exact names, and every name of a Node module to a stub.

    The host alone, which is loaded before any machine, keeps `node:` modules.
    """
    copies = {name: (dist / path).as_uri() for name, path in manifest.copies.items()}
    names = {name.removeprefix("node:") for name in manifest.builtins or _ask_builtins()}
    stubs = {prefix + name: _NO_NODE for name in names for prefix in ("", "node:")}
    own = {f"node:{name}": f"node:{name}" for name in names}
    host = (dist / "host.js").as_uri()
    return json.dumps({"imports": {**stubs, **copies}, "scopes": {host: own}}).encode()


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


def limits(parent: int, data_bytes_max: int | None = _DATA_BYTES_MAX) -> Callable[[], None]:
    """What a process does between fork and exec: it limits its memory and ties its life to ours.

    The death signal follows the thread that forks, so that must be one that lives as long as the
    pool: the thread of the event loop. Nothing is imported or looked up after the fork, where
    another thread's lock would never be opened again.
    """
    if sys.platform != "linux":
        return _no_limits
    import resource

    prctl = ctypes.CDLL(None, use_errno=True).prctl
    setrlimit, data = resource.setrlimit, resource.RLIMIT_DATA
    most = data_bytes_max or resource.RLIM_INFINITY
    getppid, leave, kill = os.getppid, os._exit, int(signal.SIGKILL)

    def apply() -> None:
        setrlimit(data, (most, most))
        prctl(_PR_SET_PDEATHSIG, kill, 0, 0, 0)
        if getppid() != parent:
            leave(1)

    return apply


def _no_limits() -> None:
    """What there is to do where the system knows neither limit."""


def unenforced() -> str | None:
    """What this system cannot do to machine code, a sentence for whoever starts a server."""
    if sys.platform == "linux":
        return None
    return (
        "this system limits only the heap of machine code, not its array buffers, and a killed "
        "smply leaves its Deno processes until the next start"
    )
