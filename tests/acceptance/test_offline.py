"""The wheel, made from the sdist, on a machine without network, caches or Node.

It fails, and does not skip, where the network cannot be cut.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_CONNECT = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=2)"
"""Fails at once without a network, by time-out with one: 192.0.2.0/24 is nobody's (RFC 5737)."""


def _without_network() -> list[str]:
    if sys.platform == "darwin":
        return [
            "/usr/bin/sandbox-exec",
            "-p",
            "(version 1)(allow default)(deny network* (remote ip))",
        ]
    return [shutil.which("unshare") or "unshare", "--map-root-user", "--net"]


def _run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [str(part) for part in command], capture_output=True, text=True, timeout=300, **options
    )


def _made(*command: str | Path, cwd: Path) -> None:
    done = _run(*command, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a fresh environment with the wheel in it, installed without an index."""
    here = tmp_path_factory.mktemp("offline")
    python, shelf = here / "venv" / "bin" / "python", here / "shelf"
    # A wheel by way of the sdist: `build` makes both so, each in its own environment.
    _made(sys.executable, "-m", "build", "--outdir", here / "dist", ROOT, cwd=here)
    (wheel,) = (here / "dist").glob("*.whl")
    _made(sys.executable, "-m", "pip", "download", "--quiet", "--dest", shelf, wheel, cwd=here)
    _made(sys.executable, "-m", "venv", here / "venv", cwd=here)
    _made(
        *_without_network(), python, "-m", "pip", "install", "--quiet", "--no-index",
        "--find-links", shelf, "smply", cwd=here,
    )  # fmt: skip
    return here


def test_the_network_is_really_cut(installed: Path) -> None:
    done = _run(*_without_network(), installed / "venv" / "bin" / "python", "-c", _CONNECT)
    assert done.returncode != 0
    assert "unreachable" in done.stderr or "not permitted" in done.stderr, done.stderr


def test_the_quickstart_needs_no_network_and_no_cache(installed: Path) -> None:
    home = installed / "home"
    home.mkdir()
    environment = {"HOME": str(home), "PATH": str(installed), "LANG": "C.UTF-8"}
    done = _run(
        *_without_network(), installed / "venv" / "bin" / "smply", "quickstart",
        cwd=home, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "xstate.after.3000.toggler.on" in done.stdout


def test_a_build_with_dependencies_needs_no_network(installed: Path) -> None:
    home = installed / "project"
    package = home / "node_modules" / "shades"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"name": "shades", "version": "1.0.0", "main": "i.js"}')
    (package / "i.js").write_text("exports.dim = (level) => level / 2;\n")
    (home / "dimmer.ts").write_text(
        """
        import { dim } from "shades";
        import { createMachine } from "xstate";
        export default createMachine({ context: { public: { level: dim(8) } } });
        export const allowRead = () => true;
        export const allowWrite = () => true;
        """
    )
    environment = {
        "HOME": str(home), "PATH": str(installed), "SMPLY_DATA_DIR": str(home / "data"),
    }  # fmt: skip
    smply = installed / "venv" / "bin" / "smply"
    for arguments in (
        ["machines", "create", "-m", "dimmer", "--node", "dimmer.ts"],
        ["instances", "create", "-m", "dimmer", "-i", "one", "-a", "{}"],
    ):
        done = _run(*_without_network(), smply, *arguments, cwd=home, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
    assert '"level": 4' in done.stdout
