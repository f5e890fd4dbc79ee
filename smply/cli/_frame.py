"""What a screen is drawn on, and the signs it is drawn with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Marks:
    """The signs of a screen; without UTF-8 every one is ASCII."""

    active: str
    inactive: str
    final: str
    final_reached: str
    region: str
    history: str
    branch: str
    last_branch: str
    trunk: str
    arrow: str
    dot: str
    ellipsis: str


UNICODE = Marks(
    active="●",
    inactive="○",
    final="◎",
    final_reached="◉",
    region="∥",
    history="↺",
    branch="├─ ",
    last_branch="└─ ",
    trunk="│  ",
    arrow="→",
    dot="·",
    ellipsis="…",
)
ASCII = Marks(
    active="*",
    inactive="o",
    final="x",
    final_reached="X",
    region="|",
    history="h",
    branch="|- ",
    last_branch="`- ",
    trunk="|  ",
    arrow="->",
    dot="-",
    ellipsis="...",
)


@dataclass(frozen=True)
class Frame:
    """A screen; `height` is None where nothing scrolls away, `now` in milliseconds."""

    width: int
    height: int | None
    marks: Marks
    now: int
