"""Makes `dist/`, the JavaScript that Deno runs: as hatchling's build hook, or as a script.

`python smply/runtime/host/hatch_build.py` makes it in place, for work on a checkout.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HOST = Path(__file__).resolve().parent
DIST = HOST / "dist"
BUILD = HOST / "build"


class CustomBuildHook(BuildHookInterface[Any]):
    """Builds `dist/` for wheels, standard and editable; an sdist carries the sources alone."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "wheel":
            build()


def build() -> bool:
    """Make `dist/` unless it is already made of these very sources; True when it was made."""
    sources = source_files()
    digest = content_hash(sources)
    if is_current(digest):
        return False
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as work:
        for path in sources:
            shutil.copy(path, work)
        run_deno(find_deno(), Path(work), digest)
        put_in_place(Path(work))
    return True


def source_files() -> list[Path]:
    """All that `dist/` depends on, in a fixed order."""
    pins = [HOST / name for name in ("deno.json", "deno.lock", "package.json", "hatch_build.py")]
    return sorted([*HOST.glob("*.ts"), *pins])


def content_hash(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def is_current(digest: str) -> bool:
    try:
        manifest = json.loads((DIST / "manifest.json").read_text())
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("host") == digest


def find_deno() -> str:
    """The path of Deno: in an isolated build only PATH leads to it."""
    for path in (None, str(Path(sys.executable).parent), sysconfig.get_path("scripts")):
        found = shutil.which("deno", path=path)
        if found is not None:
            return found
    raise RuntimeError("Deno was not found: install the package deno beside this Python")


def run_deno(deno: str, work: Path, digest: str) -> None:
    env = {**os.environ, "NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1"}
    for arguments in (
        ["install", "--quiet", "--frozen", "--node-modules-dir=auto"],
        ["run", "--quiet", "-A", "--frozen", "--node-modules-dir=auto", "build.ts", "dist", digest],
    ):
        subprocess.run([deno, *arguments], cwd=work, env=env, check=True)


def put_in_place(work: Path) -> None:
    """Exchange `dist/` by renaming, so that who uses it meanwhile finds one or the other whole."""
    if DIST.exists():
        DIST.rename(work / "replaced")
    (work / "dist").rename(DIST)


if __name__ == "__main__":
    print("dist/ made" if build() else "dist/ is current")
