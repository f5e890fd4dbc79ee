"""Where a command goes and as whom: flags over environment over profile, each with its source."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from smply.config import ACCESS_TOKEN, API_URL, KEY_ID, ORG, PROFILE, SECRET_KEY, Config
from smply.directory import DEFAULT_ORG
from smply.errors import UsageError
from smply.profiles import LOCAL, Profile, Profiles, checked_url

_DATA_DIR = "--data-dir"


@dataclass(frozen=True, slots=True)
class Told:
    """A value, and who gave it: a flag, a variable, a profile or a file."""

    value: str
    by: str


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says of it; None where it says nothing."""

    profile: str | None = None
    api_url: str | None = None
    access_token: str | None = None
    org: str | None = None
    data_dir: str | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """A server (`url`; None is this machine), an org, and a token or a key with its secret.

    `settings` is the profile, with the certificates it names.
    """

    profile: Told
    settings: Profile
    url: Told | None = None
    org: Told | None = None
    token: Told | None = None
    key_id: Told | None = None
    secret: Told | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is the data directory on this machine."""
        return self.url is None

    @property
    def server(self) -> str:
        """The address of the server, or `local`."""
        return LOCAL if self.url is None else self.url.value

    @property
    def at_home(self) -> bool:
        """Whether its server is that of its profile."""
        return self.url is not None and self.url.value == self.settings.url

    @property
    def credential(self) -> Told | None:
        """The token, or the id of the key, and whence."""
        return self.token or self.key_id


_Layer = Mapping[str, Told]
"""What one source says: of `url`, `org`, `token`, `key_id` and `secret`."""

_CREDENTIAL = ("token", "key_id", "secret")


def connect(
    flags: Flags, config: Config, environment: Mapping[str, str] = os.environ
) -> Connection:
    """What is in force. Raises UsageError for what contradicts itself, ProfileError.

    A profile that a flag names goes before the environment, as flags do. The org and the credential
    of a profile, or of an environment that names a server, are for that server alone: they are not
    sent to another that `--api-url` names. What is in a keyring stays there: see `unlocked`.
    """
    told = profile_named(flags, config, environment)
    profile = Profiles(config.config_dir).load(told.value)
    by_flag = told.by in (PROFILE.flag, _DATA_DIR)
    # Nothing that the environment says is meant for this machine then, be it nonsense.
    around = {} if by_flag and profile.name == LOCAL else from_environment(environment)
    given, own = _of_flags(flags), _of_profile(profile)
    layers = [given, own, around] if by_flag else [given, around, own]
    url = _first(layers, "url")
    layers = [layer for layer in layers if _is_for(layer, url)]
    credential = next((layer for layer in layers if layer.keys() & set(_CREDENTIAL)), {})
    org = _first(layers, "org")
    if org is None and url is None:
        org = default_org(config.data_dir)
    _check(flags, url, org, credential)
    return Connection(told, profile, url, org, *map(credential.get, _CREDENTIAL))


def _is_for(layer: _Layer, url: Told | None) -> bool:
    return "url" not in layer or (url is not None and layer["url"].value == url.value)


def unlocked(connection: Connection, config: Config) -> Connection:
    """With its token or secret, out of the keyring if it is there. Raises ProfileError."""
    profile, by = connection.settings, f"profile {connection.settings.name}"
    if not profile.keyring or connection.credential is None or connection.credential.by != by:
        return connection
    opened = Profiles(config.config_dir).unlock(profile)
    if opened.key_id is not None:
        return replace(connection, secret=Told(opened.secret or "", by))
    return replace(connection, token=Told(opened.token or "", by))


def default_org(data_dir: Path) -> Told | None:
    """The org that a data directory means, where it was told one: see `keep_default_org`."""
    path = data_dir / DEFAULT_ORG
    with suppress(OSError, UnicodeDecodeError):
        org = path.read_text("utf-8").strip()
        return Told(org, str(path)) if org else None
    return None


def keep_default_org(data_dir: Path, org: str) -> None:
    """Tell a data directory which org it means; it is made if it is not there (F25)."""
    from smply.directory import write_private

    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(data_dir / DEFAULT_ORG, org.encode())


def profile_named(
    flags: Flags, config: Config, environment: Mapping[str, str] = os.environ
) -> Told:
    """The name of the profile in use, and who says so. Raises ProfileError."""
    if flags.profile is not None:
        return Told(flags.profile, PROFILE.flag or "")
    if flags.data_dir is not None:
        return Told(LOCAL, _DATA_DIR)
    if environment.get(PROFILE.variable):
        return Told(environment[PROFILE.variable], PROFILE.variable)
    chosen = Profiles(config.config_dir).in_use()
    return Told(LOCAL, "default") if chosen is None else Told(chosen, "smply profile use")


def _of_flags(flags: Flags) -> _Layer:
    values = {
        "url": (flags.api_url, API_URL), "org": (flags.org, ORG),
        "token": (flags.access_token, ACCESS_TOKEN),
    }  # fmt: skip
    found = {
        name: Told(value, setting.flag or "")
        for name, (value, setting) in values.items()
        if value is not None
    }
    if "url" in found:
        found["url"] = Told(checked_url(found["url"].value, "--api-url"), "--api-url")
    return found


def from_environment(environment: Mapping[str, str] = os.environ) -> Mapping[str, Told]:
    """What variables say of `url`, `org`, `token`, `key_id` and `secret`; an empty one nothing."""
    settings = {
        "url": API_URL, "org": ORG, "token": ACCESS_TOKEN, "key_id": KEY_ID, "secret": SECRET_KEY
    }  # fmt: skip
    found = {
        name: Told(environment[setting.variable].strip(), setting.variable)
        for name, setting in settings.items()
        if environment.get(setting.variable)
    }
    if "url" in found:
        url = found["url"]
        found["url"] = Told(checked_url(url.value, url.by), url.by)
    return found


def _of_profile(profile: Profile) -> _Layer:
    by = f"profile {profile.name}"
    values = {
        "url": profile.url, "org": profile.org, "token": profile.token, "key_id": profile.key_id,
        "secret": profile.secret,
    }  # fmt: skip
    found = {name: Told(value, by) for name, value in values.items() if value is not None}
    if profile.credential == "token":
        # It may be in the keyring still.
        found.setdefault("token", Told("", by))
    return found


def _first(layers: Sequence[_Layer], name: str) -> Told | None:
    return next((layer[name] for layer in layers if name in layer), None)


def _check(flags: Flags, url: Told | None, org: Told | None, credential: _Layer) -> None:
    token, key_id, secret = map(credential.get, _CREDENTIAL)
    if flags.access_token == "":
        raise UsageError("--access-token is empty", hint="--access-token TOKEN, or leave it out")
    if token is not None and key_id is not None:
        raise UsageError(
            f"{token.by} and {key_id.by} are two credentials", hint="unset one of them"
        )
    if key_id is not None and secret is None and key_id.by == KEY_ID.variable:
        raise UsageError(
            f"{key_id.by} names a key without its secret", hint=f"set {SECRET_KEY.variable}"
        )
    if secret is not None and key_id is None and token is None and url is not None:
        raise UsageError(
            f"{secret.by} is the secret of a key, and none is named", hint=f"set {KEY_ID.variable}"
        )
    for told in (token, key_id, secret, org):
        if told is not None and not (told.value.isascii() and told.value.isprintable()):
            raise UsageError(f"{told.by} is not one line of ASCII")
    if url is not None and flags.data_dir is not None:
        raise UsageError(f"{_DATA_DIR} is for this machine, and {url.by} names a server")
    if url is None and (told := token or key_id) is not None:
        raise UsageError(
            f"{told.by} is for a server, and none is named",
            hint=f"--api-url URL or {API_URL.variable}; --profile local leaves it aside",
        )
