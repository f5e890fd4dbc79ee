"""What smply can be told from outside, each setting described once.

The only room that reads the environment. Order: flag, environment, default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from smply.errors import UsageError


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
    *, data_dir: str | None = None, environment: Mapping[str, str] = os.environ
) -> Config:
    """The settings in force; `data_dir` is the flag, None where it was not given.

    UsageError where there is no place for data.
    """
    return Config(
        data_dir=_data_dir(data_dir or environment.get(DATA_DIR.variable)),
        clock=environment.get(CLOCK.variable) or "system",
        network=environment.get(NETWORK.variable) or "public",
    )


def _data_dir(named: str | None) -> Path:
    try:
        # The shell leaves the ~ of `--data-dir=~/x` to us.
        path = Path(named).expanduser() if named else _user_data_path()
        # SQLite takes the names of files as text.
        str(path).encode()
    except RuntimeError as exc:
        what = f"there is no home directory for {named}" if named else "there is no home directory"
        raise UsageError(what, hint="set HOME, or name a directory with --data-dir") from exc
    except UnicodeEncodeError as exc:
        raise UsageError(
            f"the data directory {named} is no Unicode text", hint="--data-dir names another"
        ) from exc
    return path


def _user_data_path() -> Path:
    import platformdirs

    return platformdirs.user_data_path("smply")


def completion_asked(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a shell has started smply only to complete a line."""
    return bool(environment.get(COMPLETION_VARIABLE))


def color_wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a terminal may be written to in colour (no-color.org)."""
    return not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
