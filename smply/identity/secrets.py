"""Secrets: making them, keeping them sealed, and knowing them again.

What must be known as it is, such as the secret of a key, is sealed with the 32 bytes of the data
directory's `key` file (AES-256 in GCM); all else is kept as its SHA-256 alone. Whoever loses the
file loses every key.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from smply.errors import DataDirectoryError, Unavailable

KEY_SECRET, ACCESS_TOKEN, INVITATION = "sbsec_", "sbat_", "sbinv_"
"""What a secret begins with (Q52): that of a key, a person's token, the code of an invitation."""

_NONCE_BYTES = 12
_KEY_BYTES = 32


def make_secret(prefix: str) -> str:
    """A new secret: the prefix and 32 random bytes in base64url."""
    return prefix + secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """What is kept of a secret that need only be known again."""
    return hashlib.sha256(secret.encode()).digest()


class Sealer:
    """Seals and opens with the key of a data directory.

    `purpose` says whose a secret is, such as the id of its key: a sealed one that has come to
    another place does not open there.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, secret: bytes, purpose: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, purpose)

    def open(self, sealed: bytes, purpose: bytes) -> bytes:
        """Raises Unavailable if another key has sealed it, or it was changed."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], purpose)
        except (InvalidTag, ValueError) as exc:
            raise Unavailable(
                "the secrets of this data directory were sealed with another `key` file",
                hint="put back the `key` file that belongs to smply.db, from its backup",
            ) from exc


def open_sealer(path: Path, *, must_exist: bool = False) -> Sealer:
    """A sealer with the key in this file (0600), which is made if it is not there.

    It `must_exist` where secrets were sealed with it: losing it is losing every one of them.

    Raises DataDirectoryError where the file cannot be read, or holds no key.
    """
    try:
        if not path.exists():
            if must_exist:
                raise DataDirectoryError(
                    f"{path} is gone, and without it no key of this directory can be opened",
                    hint="put back the `key` file from a backup of this directory",
                )
            _make(path)
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except OSError as exc:
        raise DataDirectoryError(f"{path} cannot be used: {exc.strerror}") from exc
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise DataDirectoryError(
            f"{path} holds no key", hint="put back the `key` file from a backup of this directory"
        )
    return Sealer(key)


def _make(path: Path) -> None:
    made = path.with_name(f".key-{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(os.urandom(_KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(descriptor)
        # Another process may have been quicker: the first stands.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(made)
    finally:
        made.unlink()
