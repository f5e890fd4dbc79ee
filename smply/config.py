"""What smply can be told from outside, each setting described once.

The only room that reads the environment and `config.toml`. Order: flag, environment, file, default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smply.errors import UsageError


@dataclass(frozen=True)
class Setting:
    """One setting: its flag on the command line, its variable, what it is, and what it takes."""

    flag: str | None
    variable: str
    description: str
    takes: str = "TEXT"

    @property
    def key(self) -> str:
        """Its name in `config.toml`: that of its variable, in small letters, with hyphens."""
        return self.variable.removeprefix("SMPLY_").lower().replace("_", "-")


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
    "POLICY",
)
SETTINGS = (DATA_DIR, CLOCK, NETWORK)

CONFIG_DIR = Setting(
    None,
    "SMPLY_CONFIG_DIR",
    "Where `config.toml` and the profiles are. By default the user's configuration directory.",
)
PROFILE = Setting("--profile", "SMPLY_PROFILE", "The profile to use.", "NAME")
API_URL = Setting("--api-url", "SMPLY_API_URL", "The server to ask, instead of a profile's.", "URL")
ACCESS_TOKEN = Setting(
    "--access-token",
    "SMPLY_ACCESS_TOKEN",
    "The token to ask with, @FILE or @- (stdin): others can see a command line.",
    "TOKEN",
)
ORG = Setting("--org", "SMPLY_ORG", "The org that is meant.", "ID")
KEY_ID = Setting("--key-id", "SMPLY_KEY_ID", "The key to sign tokens with.", "ID")
SECRET_KEY = Setting(
    None, "SMPLY_SECRET_KEY", "The secret of that key, which signs a token for each use."
)
CONNECTING = (PROFILE, API_URL, ACCESS_TOKEN, ORG, KEY_ID, SECRET_KEY)
"""Which server is asked, and as whom: flags over environment over profile; not in `config.toml`."""

HOST = Setting("--host", "SMPLY_HOST", "The address to listen on. By default 127.0.0.1.", "HOST")
PORT = Setting("--port", "SMPLY_PORT", "The port, by default 8000; 0 takes one that is free.", "N")
UDS = Setting("--uds", "SMPLY_UDS", "A Unix socket to listen on instead of a port.", "FILE")
ALLOW_ORIGIN = Setting(
    "--allow-origin",
    "SMPLY_ALLOW_ORIGIN",
    "A site whose pages may ask the server, or several with commas; any, unless some are named.",
    "SITES",
)
PUBLIC_URL = Setting(
    "--public-url",
    "SMPLY_PUBLIC_URL",
    "Where others reach the server. By default where it listens.",
    "URL",
)
TRUSTED_PROXY = Setting(
    "--trusted-proxy",
    "SMPLY_TRUSTED_PROXY",
    "Addresses of proxies, with commas, whose forwarded headers are believed.",
    "HOSTS",
)
READY_FILE = Setting(
    "--ready-file",
    "SMPLY_READY_FILE",
    "Written once requests are accepted: address, org, token and process, as JSON.",
    "FILE",
)
OWNER_TOKEN_FILE = Setting(
    "--owner-token-file",
    "SMPLY_OWNER_TOKEN_FILE",
    "A file with the access token that the owner shall have.",
    "FILE",
)
LOG_FORMAT = Setting(
    "--log-format", "SMPLY_LOG_FORMAT", "`human` (the default) or `json`.", "FORMAT"
)
LOG_DAYS = Setting(
    "--log-days",
    "SMPLY_LOG_DAYS",
    "How many days what machines print is kept, by default 30; 0 keeps it for ever.",
    "N",
)
SERVING = (
    HOST, PORT, UDS, ALLOW_ORIGIN, PUBLIC_URL, TRUSTED_PROXY, READY_FILE, OWNER_TOKEN_FILE,
    LOG_FORMAT, LOG_DAYS,
)  # fmt: skip
"""Settings of `smply serve`; in `config.toml` below `[serve]`."""

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
    config_dir: Path = Path()


def load_config(
    *, data_dir: str | None = None, environment: Mapping[str, str] = os.environ
) -> Config:
    """The settings in force; `data_dir` is the flag, None where it was not given.

    UsageError where there is no place for data.
    """

    def given(setting: Setting) -> str | None:
        value = environment.get(setting.variable) or _file(environment).get(setting.key)
        return None if value is None else str(value)

    return Config(
        data_dir=_data_dir(data_dir or given(DATA_DIR)),
        clock=given(CLOCK) or "system",
        network=given(NETWORK) or "public",
        config_dir=_config_dir(environment),
    )


def serving_value(
    setting: Setting, flag: str | None, environment: Mapping[str, str] = os.environ
) -> str | None:
    """A setting of `smply serve` as a text, from wherever it is given; None where it is not."""
    if flag is not None:
        return flag
    if environment.get(setting.variable):
        return environment[setting.variable]
    found = _file(environment).get("serve", {}).get(setting.key)
    return None if found is None else str(found)


def _file(environment: Mapping[str, str]) -> dict[str, Any]:
    """What `config.toml` says; nothing if it is not there.

    It is `SMPLY_CONFIG`, or in the configuration directory. Raises UsageError for what is no
    TOML, and for a name that is no setting.
    """
    named = environment.get("SMPLY_CONFIG")
    try:
        path = Path(named) if named else config_dir(environment) / "config.toml"
        text = path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError, RuntimeError):
        if named:
            raise UsageError(f"there is no {named}", hint="SMPLY_CONFIG names a file") from None
        return {}
    except (OSError, ValueError) as exc:
        raise UsageError(f"{path} cannot be read: {exc}", hint="mend it, or move it away") from exc
    import tomllib

    try:
        told = tomllib.loads(text)
    except ValueError as exc:
        raise UsageError(f"{path} cannot be read: {exc}", hint="mend it, or move it away") from exc
    _check_file(path, told)
    return told


def _check_file(path: Path, told: dict[str, Any]) -> None:
    known = {setting.key for setting in SETTINGS} | {"serve"}
    serve = told.get("serve", {})
    if not isinstance(serve, dict):
        raise UsageError(f"{path}: serve is a table: [serve]")
    unknown = sorted(told.keys() - known)
    unknown += [f"serve.{key}" for key in sorted(serve.keys() - {each.key for each in SERVING})]
    if unknown:
        raise UsageError(f"{path}: there is no setting {unknown[0]}")
    for key, value in [*told.items(), *serve.items()]:
        if key != "serve" and (not isinstance(value, str | int) or isinstance(value, bool)):
            raise UsageError(f"{path}: {key} is a text or a number")


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


def _config_dir(environment: Mapping[str, str]) -> Path:
    try:
        return config_dir(environment)
    except RuntimeError as exc:
        raise UsageError(
            "there is no home directory for settings", hint="SMPLY_CONFIG_DIR names a directory"
        ) from exc


def config_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the user's settings and profiles are; a place where nothing is without a home."""
    named = environment.get(CONFIG_DIR.variable)
    import platformdirs

    # Without a home directory it would be one of the working directory (F9).
    path = Path(named).expanduser() if named else platformdirs.user_config_path("smply")
    return path if path.is_absolute() or named else Path(os.devnull) / "smply"


def completion_asked(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a shell has started smply only to complete a line."""
    return bool(environment.get(COMPLETION_VARIABLE))


def color_wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a terminal may be written to in colour (no-color.org)."""
    return not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
