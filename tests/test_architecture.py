"""The arrows of the house: who may import whom, and who may use which library."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1] / "smply"

WORDS = {"models", "errors", "contract", "ids"}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "models": set(),
    "contract": set(),
    "ids": {"errors"},
    "config": {"errors"},
    "clock": {"errors"},
    "directory": {"errors"},
    "profiles": {"contract", "directory", "errors"},
    "connection": {"config", "directory", "profiles", "errors"},
    "client": {"clock", *WORDS},
    "cli": {"client", "config", "connection", "directory", "profiles", "", *WORDS},
    "serving": {"server", "api", "identity", "engine", "clock", "directory", "store", *WORDS},
    "backups": {"identity", "store", "directory", *WORDS},
    "server": {"api", "identity", "engine", "runtime", "store", "clock", "directory", *WORDS},
    "api": {"engine", "identity", "clock", *WORDS},
    "identity": {"store", "clock", *WORDS},
    "engine": {"store", "runtime", "clock", *WORDS},
    "runtime": WORDS,
    "store": WORDS,
    "": {"client", *WORDS},
    "__main__": {"cli", ""},
}
"""Room to the rooms it may import; `""` is the package's own door."""

EXCEPTIONS: dict[str, set[str]] = {
    "cli/_connect.py": {"server", "clock"},
    "cli/_build.py": {"runtime"},
    "cli/backup.py": {"backups"},
    "cli/serve.py": {"serving"},
    "cli/_voice.py": {"serving"},
}
"""Files that may import more than their room."""

DRIVERS = {
    "apsw": {"store"}, "sqlite3": {"store"}, "subprocess": {"runtime", "cli"},
    "starlette": {"api", "server"}, "uvicorn": {"api", "serving"}, "uvloop": {"serving"},
    "httpx": {"client", "cli"}, "httpcore": {"identity"}, "jwt": {"identity", "client"},
    "cryptography": {"identity"}, "jsonpath_rfc9535": {"identity"},
    "typer": {"cli"}, "rich": {"cli"},
    "time": {"clock", "runtime", "directory", "cli", "client"},
}  # fmt: skip
"""Libraries that belong to some rooms alone."""


def _files() -> list[Path]:
    return [path for path in sorted(HOUSE.rglob("*.py")) if path.name != "hatch_build.py"]


def _room(path: Path) -> str:
    first = path.relative_to(HOUSE).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "smply":
            yield from (f"smply.{name.name}" for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by dots"
            yield node.module or ""


def _target(module: str) -> str:
    parts = module.split(".")
    known = len(parts) > 1 and parts[1] in ALLOWED
    return parts[1] if known else ""


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(HOUSE)))
def test_a_file_imports_only_rooms_below_its_own(path: Path) -> None:
    room = _room(path)
    allowed = {room} | ALLOWED[room] | EXCEPTIONS.get(str(path.relative_to(HOUSE)), set())
    ours = {_target(name) for name in _imports(path) if name.split(".")[0] == "smply"}
    assert ours <= allowed


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(HOUSE)))
def test_a_room_is_entered_by_its_door(path: Path) -> None:
    room = _room(path)
    inner = [
        name
        for name in _imports(path)
        if name.startswith("smply.") and name.count(".") > 1 and _target(name) != room
    ]
    assert inner == []


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(HOUSE)))
def test_a_library_is_used_in_its_rooms_alone(path: Path) -> None:
    room = _room(path)
    foreign = [
        name for name in _imports(path) if room not in DRIVERS.get(name.split(".")[0], {room})
    ]
    assert foreign == []


def test_every_room_of_the_house_has_its_rule() -> None:
    assert {_room(path) for path in _files()} == set(ALLOWED)


def _compared(path: Path) -> Iterator[str]:
    """What a file compares with == or !=."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            yield from (ast.unparse(each) for each in (node.left, *node.comparators))


@pytest.mark.parametrize("room", ["api", "engine", "identity"])
def test_secrets_are_compared_in_constant_time(room: str) -> None:
    """By `compare_digest`; what is looked up instead is looked up by its SHA-256."""
    told = [text for path in (HOUSE / room).rglob("*.py") for text in _compared(path)]
    assert len(told) > 10
    assert [text for text in told if re.search("secret|signature|proof|digest", text)] == []
