"""What a process does to itself before it becomes Deno (the failure table's first row)."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from smply.runtime import sandbox

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what Linux can limit")

_MB = 1 << 20


def limit(data_bytes_max: int | None, of_parent: int = 0) -> list[str]:
    """The memory, in MB, that a process is given which was confined, or all of it."""
    told = _said(["/bin/cat", "/proc/self/limits"], data_bytes_max, of_parent)
    line = next(line for line in told.splitlines() if line.startswith("Max data size"))
    return [each if each == "unlimited" else str(int(each) // _MB) for each in line.split()[3:5]]


def _said(
    command: list[str], data_bytes_max: int | None = None, of_parent: int = 0,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> str:  # fmt: skip
    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (of_parent * _MB, of_parent * _MB))

    done = subprocess.run(
        sandbox.confined(command, data_bytes_max),
        stdout=subprocess.PIPE, text=True, check=True, env=environment,
        preexec_fn=lower if of_parent else None,
    )  # fmt: skip
    return done.stdout


def test_its_memory_is_limited() -> None:
    assert limit(900 * _MB) == ["900", "900"]


def test_a_lower_limit_of_its_parent_stays() -> None:
    assert limit(900 * _MB, of_parent=700) == ["700", "700"]


def test_without_a_limit_it_has_that_of_its_parent() -> None:
    assert limit(None, of_parent=700) == ["700", "700"]


def test_it_ignores_no_signal_that_python_ignores() -> None:
    told = _said(["/bin/cat", "/proc/self/status"])
    ignored = next(line.split()[1] for line in told.splitlines() if line.startswith("SigIgn"))
    assert not int(ignored, 16) & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1)


def test_python_finds_its_libraries_and_deno_is_told_of_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Some Pythons do not begin without it."""
    monkeypatch.setenv("LD_LIBRARY_PATH", "/libraries")
    given = sandbox.environment(tmp_path)
    assert given.pop("LD_LIBRARY_PATH") == "/libraries"
    told = _said(["/usr/bin/env"], environment=sandbox.environment(tmp_path))
    assert dict(line.split("=", 1) for line in told.splitlines()) == given


def test_it_does_not_outlive_a_parent_that_is_gone_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)
    command = sandbox.confined([sys.executable, "-c", "print('lives')"])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "lost its parent" in done.stderr
