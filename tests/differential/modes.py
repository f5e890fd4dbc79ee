"""The three ways in which XState runs a machine, and the hand-written machines for each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MACHINES = Path(__file__).parent / "machines"
_PREDICTABLE = "predictableActionArguments: true"


@dataclass(frozen=True, slots=True)
class Mode:
    """A major of XState; `predictable` is 4's `predictableActionArguments`."""

    major: int
    predictable: bool = True

    def __str__(self) -> str:
        return f"{self.major}" if self.predictable else f"{self.major}-unpredictable"


MODES = (Mode(4), Mode(4, predictable=False), Mode(5))


def hand_written(name: str, mode: Mode) -> str:
    """The source of a machine of `machines/`, in a mode."""
    source = (MACHINES / f"{name}{mode.major}.js").read_text()
    if mode.predictable:
        return source
    assert _PREDICTABLE in source
    return source.replace(_PREDICTABLE, "predictableActionArguments: false")
