"""One-line faults, each with the tests that it must break.

`python -m tests.breaks [WORD…]` plants each fault (whose name holds a word) in a copy of the
checkout, runs the suite there (without the rooms that cannot see it), and is content only if
exactly the tests it names fail.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

HOUSE = Path(__file__).parents[2]


@dataclass(frozen=True)
class Fault:
    """A text of one file and what takes its place; `breaks` are tests as `file::function`."""

    name: str
    file: str
    find: str
    replace: str
    breaks: tuple[str, ...]

    def plant(self, house: Path) -> None:
        """Put the fault into this copy; AssertionError when its text is not there just once."""
        path = house / self.file
        text = path.read_text()
        assert text.count(self.find) == 1, f"{self.name}: no longer applies to {self.file}"
        path.write_text(text.replace(self.find, self.replace))


def faults() -> list[Fault]:
    """All faults, as `faults.toml` lists them."""
    listed = tomllib.loads((Path(__file__).parent / "faults.toml").read_text())
    return [Fault(**{**each, "breaks": tuple(each["breaks"])}) for each in listed["fault"]]
