"""What smply can be told from outside, each setting described once.

The only room that reads the environment. Order: flag, environment, default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Setting:
    """One setting: its flag on the command line, its variable, what it is."""

    flag: str | None
    variable: str
    description: str


DATA_DIR = Setting(
    "--data-dir",
    "SMPLY_DATA_DIR",
    "Where the local profile keeps everything. By default the user's data directory.",
)
CLOCK = Setting(
    None,
    "SMPLY_CLOCK",
    "The wall clock: `system`, or `file:PATH` with a number of milliseconds, for tests.",
)
NETWORK = Setting(
    None,
    "SMPLY_NETWORK",
    "Whom machines may talk to: `none`, `public` (all but private addresses, the default),"
    " `all`, or hosts such as `api.example.com,10.0.0.5:8080`.",
)
SETTINGS = (DATA_DIR, CLOCK, NETWORK)

COMPLETION_VARIABLE = "_SMPLY_COMPLETE"
"""Set by the shells' completion scripts when they ask for words."""


@dataclass(frozen=True)
class Config:
    """The settings of one command.

    `clock` is a name for `smply.clock.open_clock`, `network` a policy for `smply.server`.
    """

    data_dir: Path
    clock: str
    network: str = "public"


def load_config(
    *, data_dir: Path | None = None, environment: Mapping[str, str] = os.environ
) -> Config:
    """The settings in force; `data_dir` is the flag, None where it was not given."""
    return Config(
        data_dir=data_dir or _data_dir(environment),
        clock=environment.get(CLOCK.variable) or "system",
        network=environment.get(NETWORK.variable) or "public",
    )


def _data_dir(environment: Mapping[str, str]) -> Path:
    if value := environment.get(DATA_DIR.variable):
        return Path(value).expanduser()
    import platformdirs

    return platformdirs.user_data_path("smply")


def completion_asked(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a shell has started smply only to complete a line."""
    return bool(environment.get(COMPLETION_VARIABLE))


def color_wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a terminal may be written to in colour (no-color.org)."""
    return not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
