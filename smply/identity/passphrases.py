"""Passphrases: what one seals, whoever has it opens again, perhaps with a later smply."""

from __future__ import annotations

import base64
import os
from typing import Any

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from smply.errors import SmplyError, Unavailable
from smply.identity.secrets import Sealer

_KDF = "scrypt"
_COST = {"n": 2**17, "r": 8, "p": 1}
"""128 MB and a quarter of a second for each guess; they may rise, since they stand beside it."""

_COST_MAX = {"n": 2**20, "r": 16, "p": 16}
"""What is done for a stranger's file: 2 GB."""

_SALT_BYTES = 16


def seal_by_passphrase(secret: bytes, passphrase: bytes, purpose: bytes) -> dict[str, Any]:
    """What opens with the passphrase and for this purpose alone, to be kept as JSON."""
    salt = os.urandom(_SALT_BYTES)
    sealed = _sealer(passphrase, salt, _COST).seal(secret, purpose)
    return {"kdf": _KDF, **_COST, "salt": _text(salt), "sealed": _text(sealed)}


def open_by_passphrase(sealed: Any, passphrase: bytes, purpose: bytes) -> bytes:
    """The secret again. Raises SmplyError (`wrong-passphrase`); ValueError for what is no such
    JSON."""
    try:
        cost = {name: sealed[name] for name in _COST}
        salt, secret = (
            base64.b64decode(sealed[name], validate=True) for name in ("salt", "sealed")
        )
        kdf = sealed["kdf"]
    except (KeyError, TypeError) as exc:
        raise ValueError("it is not what a passphrase seals") from exc
    if kdf != _KDF or not all(
        type(value) is int and 1 <= value <= _COST_MAX[name] for name, value in cost.items()
    ):
        raise ValueError("it was sealed in a way that this smply does not know")
    try:
        return _sealer(passphrase, salt, cost).open(secret, purpose)
    except Unavailable as exc:
        raise SmplyError(
            "the passphrase is wrong",
            code="wrong-passphrase",
            hint="it is the one that was given to `smply backup`",
        ) from exc


def _sealer(passphrase: bytes, salt: bytes, cost: dict[str, int]) -> Sealer:
    return Sealer(Scrypt(salt=salt, length=32, **cost).derive(passphrase))


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
