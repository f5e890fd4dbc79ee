"""Source to a checked bundle, before anything is created (F12)."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smply.cli._text import plural, size
from smply.contract import BUNDLE_BYTES_MAX, BUNDLE_GZIPPED_BYTES_MAX
from smply.errors import TooLarge, UsageError

if TYPE_CHECKING:
    from smply.cli._output import Output
    from smply.runtime import Checked, Runtime


@dataclass(frozen=True)
class Source:
    """A file that holds a machine; `built` is False for a finished bundle."""

    path: Path
    built: bool


def source_of(js: Path | None, node: Path | None) -> Source | None:
    """The file that `--js` or `--node` names. UsageError for both, or one that is not there."""
    if js is not None and node is not None:
        raise UsageError("--js and --node exclude each other", hint="--node builds, --js does not")
    if js is None and node is None:
        return None
    path, option = (js, "--js") if js is not None else (node, "--node")
    assert path is not None
    if not path.is_file():
        missing = "is a directory" if path.is_dir() else "is no file"
        missing = missing if path.exists() else "does not exist"
        raise UsageError(f"{option}: {path} {missing}", hint=f"paths begin at {Path.cwd()}")
    return Source(path, built=node is not None)


async def bundle(source: Source, output: Output, *, check: bool) -> bytes:
    """The bundle to publish, built and checked in the sandbox.

    Raises BuildError with the place in the source, TooLarge (S22), NotBuilt (services).
    """
    async with _open_runtime() as runtime:
        code = await _code_of(source, runtime, output)
        if check:
            await _checked(source, code, runtime, output)
    return code


async def validate(source: Source, output: Output) -> dict[str, Any]:
    """What the server would find in a bundle (F22, F23): its XState, exports and size as JSON.

    Raises as `bundle` does.
    """
    async with _open_runtime() as runtime:
        code = await _code_of(source, runtime, output)
        checked = await _checked(source, code, runtime, output)
    bundled = checked.xstate == "bundled"
    return {
        "valid": True,
        "xstate": f"{checked.adapter} bundled" if bundled else checked.xstate,
        "exports": checked.exports,
        "states": checked.states,
        "transitions": checked.transitions,
    }


async def _code_of(source: Source, runtime: Runtime, output: Output) -> bytes:
    if source.built:
        async with output.waiting(f"Building {source.path}"):
            code = await runtime.build(source.path)
    else:
        code = _read(source.path)
    zipped = _weighed(source.path, code)
    verb = "Built" if source.built else "Read"
    output.step(verb, f"{source.path}   {size(len(code))}, {size(zipped)} gzipped")
    return code


async def _checked(source: Source, code: bytes, runtime: Runtime, output: Output) -> Checked:
    async with output.waiting(f"Checking {source.path}"):
        checked = await runtime.check(code, str(source.path))
    output.step("Checked", _facts(checked))
    return checked


def _facts(checked: Checked) -> str:
    known = [name for name in ("allowRead", "allowWrite") if name in checked.exports]
    xstate = f"its own XState {checked.adapter}" if checked.xstate == "bundled" else checked.xstate
    return ", ".join(
        [
            f"XState {xstate}" if checked.xstate != "bundled" else xstate,
            plural(checked.states, "state"),
            plural(checked.transitions, "transition"),
            *known,
        ]
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror}") from exc


def _weighed(path: Path, code: bytes) -> int:
    """The gzipped size; TooLarge where a limit is passed (S22, F16)."""
    if len(code) > BUNDLE_BYTES_MAX:
        raise TooLarge(f"{path} makes {size(len(code))}, but a bundle has at most 10 MB")
    zipped = len(gzip.compress(code, mtime=0))
    if zipped > BUNDLE_GZIPPED_BYTES_MAX:
        raise TooLarge(f"{path} makes {size(zipped)} gzipped, but a bundle has at most 1 MB")
    return zipped


@asynccontextmanager
async def _open_runtime() -> AsyncIterator[Runtime]:
    from smply.runtime import Runtime, RuntimeSettings

    # What a module prints is shown when it is loaded to run, not when it is only looked at.
    runtime = Runtime(RuntimeSettings(), lambda _key, _log: None)
    try:
        yield runtime
    finally:
        await runtime.close()
