"""Profiles: a server, an org and a credential under a name, kept where the user's settings are.

One file for each, `profiles/NAME.json` (0600, in a 0700 directory), and `profile`, which names the
one in use. Where there is a system keyring the credential is there instead, and the file says so:

    {"url", "org"?, "keyId"?, "token"? | "secret"?, "keyring"?: true, "ca"?, "clientCert"?,
     "clientKey"?}

An entry of the keyring is for one address and one key (`_entry`), so that whatever a file says, it
never finds the credential of another server.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smply.contract import NAME
from smply.directory import write_private
from smply.errors import SmplyError, UsageError

LOCAL = "local"
"""The profile that always exists: the data directory on this machine."""

_SERVICE = "smply"
"""What the entries of a keyring are called."""

_URL = re.compile(r"https?://([\w.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?(/[^\s?#\\]*)?", re.IGNORECASE)

_PORT_MAX = 65_535

_MEMBERS = {
    "url": "url", "org": "org", "keyId": "key_id", "token": "token", "secret": "secret",
    "ca": "ca", "clientCert": "client_cert", "clientKey": "client_key",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Profile:
    """A server (`url`; None is the local profile), an org, and a token or a key with its secret.

    `ca` is a file of certificates that are trusted beside the usual ones, `client_cert` and
    `client_key` are the files of a certificate to show.
    """

    name: str
    url: str | None = None
    org: str | None = None
    token: str | None = None
    key_id: str | None = None
    secret: str | None = None
    ca: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    keyring: bool = False
    """Whether its token or secret is in the system's keyring: see `Profiles.unlock`."""

    @property
    def credential(self) -> str | None:
        """What kind of credential it has: `token`, `key` or None."""
        if self.key_id is not None:
            return "key"
        return "token" if self.token is not None or self.keyring else None

    def with_credential(
        self, token: str | None = None, key_id: str | None = None, secret: str | None = None
    ) -> Profile:
        """The same with another credential, or none."""
        return replace(self, token=token, key_id=key_id, secret=secret, keyring=False)


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a profile's credential is: in the keyring, or in this file, and then perhaps why.

    `left` says which credential that it had the keyring did not give up.
    """

    file: Path
    keyring: bool
    why: str | None = None
    left: str | None = None


class ProfileError(SmplyError):
    """The file of a profile, or the keyring, cannot be read or written."""

    code = "profile"


class Profiles:
    """The profiles below a directory. Names are those of machines: 1 to 128 of `A-Z a-z 0-9 _ -`.

    Raises UsageError for a profile that is not there, ProfileError for one that cannot be read or
    kept.
    """

    def __init__(self, directory: Path) -> None:
        # An entry of a keyring is found by the whole path.
        self._directory = directory.absolute()
        self._files = self._directory / "profiles"
        self._in_use = self._directory / "profile"

    def names(self) -> list[str]:
        """Every profile, `local` first."""
        with contextlib.suppress(OSError):
            found = sorted(path.stem for path in self._files.glob("*.json"))
            return [LOCAL, *(name for name in found if name != LOCAL and NAME.fullmatch(name))]
        return [LOCAL]

    def in_use(self) -> str | None:
        """The name of the profile that `use` has chosen, None if there is none."""
        with _told(self._in_use):
            try:
                return self._in_use.read_text("utf-8").strip() or None
            except (FileNotFoundError, NotADirectoryError):
                return None

    def load(self, name: str) -> Profile:
        """A profile; what is in a keyring stays there."""
        if name == LOCAL:
            return Profile(LOCAL)
        path = self._path(name)
        with _told(path):
            try:
                _repair(path, 0o600)
                _repair(self._files, 0o700)
                content = path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                raise _missing(name) from None
        return _read(name, path, content)

    def unlock(self, profile: Profile) -> Profile:
        """The profile with its token or secret, out of the keyring if it is there."""
        if not profile.keyring:
            return profile
        secret = _from_keyring(_entry(self._path(profile.name), profile), profile.name)
        if profile.key_id is not None:
            return replace(profile, secret=secret)
        return replace(profile, token=secret)

    def save(self, profile: Profile) -> Kept:
        """Keep a profile: it is there whole or not at all."""
        path = self._path(profile.name)
        if profile.name == LOCAL:
            raise UsageError("local is this machine, and has no settings", hint="name another")
        with _told(path):
            self._make_directory()
        secret, entry, old = profile.token or profile.secret, _entry(path, profile), _kept(path)
        before = None if secret is None else _peek(entry)
        why = "" if secret is None else _into_keyring(entry, secret)
        kept = profile
        if why is None:
            kept = replace(profile, token=None, secret=None, keyring=True)
        try:
            with _told(path):
                write_private(path, json.dumps(_fields(kept), indent=2).encode() + b"\n")
        except ProfileError:
            # The file that is there still must not find the new credential.
            if why is None:
                _put_back(entry, before)
            raise
        left = None
        if old is not None and not (kept.keyring and old == entry):
            left = _forget_in_keyring(old)
        return Kept(path, kept.keyring, why or None, left)

    def delete(self, name: str) -> str | None:
        """Forget a profile and its credential, broken or not; `local` is used where it was.

        Says which credential the keyring did not give up, None where nothing is left.
        """
        path = self._path(name)
        entry = _kept(path)
        if name == LOCAL:
            raise UsageError("local always exists", hint="--data-dir names another place for it")
        with _told(path):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                raise _missing(name) from None
            if self.in_use() == name:
                self._in_use.unlink(missing_ok=True)
        return None if entry is None else _forget_in_keyring(entry)

    def use(self, name: str) -> None:
        """Choose the profile of commands that name none."""
        self.load(name)
        with _told(self._in_use):
            self._make_directory()
            write_private(self._in_use, name.encode() + b"\n")

    def _path(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise UsageError(
                f'"{name}" is no name of a profile', hint="a name is 1 to 128 of A-Z a-z 0-9 _ -"
            )
        return self._files / f"{name}.json"

    def _make_directory(self) -> None:
        """Made 0700, and the mode of what is ours alone is repaired where it was otherwise (F9)."""
        # `parents` would make those above as the umask says.
        if not self._directory.exists():
            self._directory.parent.mkdir(parents=True, exist_ok=True)
            self._directory.mkdir(mode=0o700, exist_ok=True)
        self._files.mkdir(mode=0o700, exist_ok=True)
        _repair(self._files, 0o700)


def checked_url(url: str, by: str) -> str:
    """The address of a server without a slash at its end. Raises UsageError."""
    if "@" in url.partition("://")[2].partition("/")[0]:
        # A password in it is not for the screen.
        raise UsageError(
            f"{by} has a user or a password in it", hint="smply login keeps a token or a key"
        )
    found = _URL.fullmatch(url)
    if found is None or not url.isprintable() or int((found[2] or ":0")[1:]) > _PORT_MAX:
        raise UsageError(
            f"{by} is no address of a server: {url}", hint="such as https://smply.example.com"
        )
    return url.rstrip("/")


def _missing(name: str) -> UsageError:
    return UsageError(f"there is no profile {name}", hint="smply profile list")


def _read(name: str, path: Path, content: bytes) -> Profile:
    """The profile that a file holds. Raises ProfileError for one that we have not written."""
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        raise _broken(name, path, "it is no JSON") from None
    if not isinstance(fields, dict):
        raise _broken(name, path, "it is no object")
    unknown = sorted(fields.keys() - _MEMBERS.keys() - {"keyring"})
    if unknown:
        raise _broken(name, path, f"there is nothing that {unknown[0]} could mean")
    in_keyring = fields.pop("keyring", False)
    wrong = [member for member, value in fields.items() if not isinstance(value, str | None)]
    if wrong or not isinstance(in_keyring, bool):
        raise _broken(name, path, f"its {wrong[0]} is no text" if wrong else "keyring is a boolean")
    profile = Profile(
        name, **{_MEMBERS[member]: value for member, value in fields.items()}, keyring=in_keyring
    )
    return replace(profile, url=_coherent(profile, path))


def _coherent(profile: Profile, path: Path) -> str:
    """Its address. Raises ProfileError where there is none, or no single credential."""
    if profile.url is None:
        raise _broken(profile.name, path, "it has no url")
    if profile.token is not None and profile.key_id is not None:
        raise _broken(profile.name, path, "it has a token and a key")
    if (profile.key_id is None) == (profile.secret is not None) and not profile.keyring:
        raise _broken(profile.name, path, "a key is its keyId and its secret")
    try:
        return checked_url(profile.url, "its url")
    except UsageError as exc:
        raise _broken(profile.name, path, exc.message) from None


def _broken(name: str, path: Path, why: str) -> ProfileError:
    anew = f"smply profile set {name} --url URL"
    return ProfileError(f"{path} is broken: {why}", hint=f"mend it, or set it anew: {anew}")


def _repair(path: Path, mode: int) -> None:
    """Take from others what they must not have; what is not ours is left as it is."""
    if os.name == "posix" and path.stat().st_mode & 0o077:
        with contextlib.suppress(PermissionError):
            path.chmod(mode)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """What the system says of a file, as our error."""
    try:
        yield
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else "it is no text"
        raise ProfileError(
            f"{path} cannot be used: {reason}", hint="SMPLY_CONFIG_DIR names another directory"
        ) from exc


def _fields(profile: Profile) -> dict[str, Any]:
    values = {member: getattr(profile, field) for member, field in _MEMBERS.items()}
    kept = {member: value for member, value in values.items() if value is not None}
    return {**kept, "keyring": True} if profile.keyring else kept


# The keyring of the system, if the extra is installed and there is one. Libraries of many systems
# raise what they like.


def _entry(path: Path, profile: Profile) -> str:
    """What the entry of a profile is called: by its file, its address and its key."""
    return " ".join(filter(None, (str(path), (profile.url or "").rstrip("/"), profile.key_id)))


def _kept(path: Path) -> str | None:
    """The entry that a file says is there, None for none; in the rest it may be broken."""
    with contextlib.suppress(Exception):
        fields = json.loads(path.read_bytes())
        if fields.get("keyring") is True:
            url = checked_url(fields["url"], "its url")
            return _entry(path, Profile("", url, key_id=fields.get("keyId")))
    return None


def _keyring() -> Any:
    """The library, or None where there is no keyring that it recommends: one that only writes a
    file is no better than ours."""
    try:
        import keyring
    except ImportError:
        return None
    return keyring if keyring.get_keyring().priority >= 1 else None


def _into_keyring(entry: str, secret: str) -> str | None:
    """Put it there; else say why not, which is nothing where there is no keyring."""
    try:
        keyring = _keyring()
        if keyring is None:
            return ""
        keyring.set_password(_SERVICE, entry, secret)
    except Exception as exc:
        return f"the system's keyring refused it: {_reason(exc)}"
    return None


def _from_keyring(entry: str, name: str) -> str:
    try:
        keyring = _keyring()
        secret = None if keyring is None else keyring.get_password(_SERVICE, entry)
        why = "there is no keyring here" if keyring is None else "it is not there"
    except Exception as exc:
        secret, why = None, _reason(exc)
    if secret is None:
        raise ProfileError(
            f"the credential of profile {name} is in the system's keyring: {why}",
            hint=f"unlock the keyring, or sign in again: smply login --profile {name}",
        )
    return str(secret)


def _peek(entry: str) -> str | None:
    """What is there now."""
    with contextlib.suppress(Exception):
        keyring = _keyring()
        return None if keyring is None else keyring.get_password(_SERVICE, entry)
    return None


def _put_back(entry: str, before: str | None) -> None:
    if before is None:
        _forget_in_keyring(entry)
    else:
        _into_keyring(entry, before)


def _forget_in_keyring(entry: str) -> str | None:
    """Take it out; else say why it is there still."""
    try:
        keyring = _keyring()
        if keyring is None:
            why = "there is no keyring here"
        elif keyring.get_password(_SERVICE, entry) is None:
            return None
        else:
            keyring.delete_password(_SERVICE, entry)
            return None
    except Exception as exc:
        why = _reason(exc)
    return f'the system\'s keyring keeps the credential "{_SERVICE} {entry}": {why}'


def _reason(exc: Exception) -> str:
    return " ".join(str(exc).split()) or type(exc).__name__
