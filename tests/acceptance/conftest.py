"""A data directory for each test, and no process of it left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.house import MACHINE, House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    (tmp_path / "m.ts").write_text(MACHINE)
    yield house
    with contextlib.suppress(OSError, ValueError):
        os.kill(json.loads((house.data / "server.json").read_bytes())["pid"], signal.SIGKILL)
    for process in house.started:
        process.kill()
        process.wait()
