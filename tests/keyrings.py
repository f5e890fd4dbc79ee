"""Keyrings for the real `keyring` library: one that works, and those that fail."""

from __future__ import annotations

import keyring.backend
from keyring.errors import KeyringLocked, PasswordDeleteError, PasswordSetError


class Works(keyring.backend.KeyringBackend):
    """Keeps what it is given, in this process."""

    priority: float = 5

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[str, str] = {}

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[f"{service} {username}"] = password

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get(f"{service} {username}")

    def delete_password(self, service: str, username: str) -> None:
        try:
            del self.kept[f"{service} {username}"]
        except KeyError:
            raise PasswordDeleteError("it is not there") from None


class Interrupted(Works):
    """Ctrl-C as soon as it has taken something."""

    def set_password(self, service: str, username: str, password: str) -> None:
        super().set_password(service, username, password)
        raise KeyboardInterrupt


class Plain(Works):
    """As those that write a file: the library itself does not recommend it."""

    priority = 0.5


class Full(Works):
    """Takes nothing more."""

    def set_password(self, service: str, username: str, password: str) -> None:
        raise PasswordSetError("Can't store password\non keychain: (-25299)")


class Locked(Works):
    """Nobody has unlocked it."""

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked("Failed to unlock the collection!")

    def delete_password(self, service: str, username: str) -> None:
        raise KeyringLocked("Failed to unlock the collection!")


class Mad(Works):
    """Its libraries are not what it thinks."""

    @property
    def priority(self) -> float:  # type: ignore[override]
        raise RuntimeError("no D-Bus session")
