"""Bundles that carry an XState of their own, as a user's bundler makes them: in one file, minified.

`copies/` pins the releases. Deno installs them from npm, esbuild is the one that smply ships.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from smply.runtime import sandbox
from tests.differential.modes import Mode

COPIES = {
    "4.33.0": (Mode(4), Mode(4, predictable=False)),
    "4.38.3": (Mode(4), Mode(4, predictable=False)),
    "5.0.0": (Mode(5),),
    "5.18.2": (Mode(5),),
    "5.19.4": (Mode(5),),
    "5.33.3": (Mode(5),),
}
"""Releases of XState, each with the modes that it has."""

PAIRS = [(release, mode) for release, modes in COPIES.items() for mode in modes]

_PINS = Path(__file__).parent / "copies"
_ESBUILD = [
    "--bundle", "--format=esm", "--platform=browser", "--minify", "--log-level=warning",
    '--define:process.env.NODE_ENV="production"', "--outdir=out",
]  # fmt: skip


def bundle_all(directory: Path, sources: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Bundles of modules by name; each is told with the release that it is to carry."""
    shutil.copytree(_PINS, directory, dirs_exist_ok=True)
    deno(directory, "install", "--quiet", "--frozen")
    for name, (release, source) in sources.items():
        own = source.replace(f"npm:xstate@{release[0]}", f"xstate-{release}")
        (directory / f"{name}.js").write_text(own)
    esbuild = str(sandbox.DIST / "esbuild-wasm" / "bin" / "esbuild")
    files = [f"{name}.js" for name in sources]
    deno(
        directory, "run", "--quiet", "-A", "--no-config", "--unstable-detect-cjs", esbuild,
        *files, *_ESBUILD,
    )  # fmt: skip
    return {name: (directory / "out" / f"{name}.js").read_text() for name in sources}


def deno(directory: Path, *arguments: str) -> None:
    """Run Deno in a directory, with what it has cached and what npm gives it."""
    env = {**os.environ, "NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1"}
    subprocess.run([sandbox.find_deno(), *arguments], cwd=directory, env=env, check=True)
