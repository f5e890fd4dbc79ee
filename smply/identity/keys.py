"""Keys of an org: what signs the tokens of its own servers (S105-S110)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from smply.clock import Clock
from smply.errors import InvalidParameter, NotFound
from smply.identity.scopes import scopes_of_key
from smply.identity.secrets import KEY_SECRET, Sealer, make_secret
from smply.ids import KEY, show_id
from smply.store import Accounts, KeyRow, new_id

NAME_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True)
class Key:
    """A key that may verify: its org, its scopes, and the bytes of its secret."""

    org: bytes
    scopes: frozenset[str]
    secret: bytes


class Keys:
    """Makes, lists and deletes keys; their secrets are shown once."""

    def __init__(
        self, accounts: Accounts, sealer: Sealer, clock: Clock, on_change: Callable[[], None]
    ) -> None:
        self._accounts = accounts
        self._sealer = sealer
        self._clock = clock
        self._on_change = on_change

    async def create(
        self, org: bytes, name: str, scopes: Sequence[str] | None, use: str | None
    ) -> tuple[bytes, str]:
        """A new key: its id, and the secret that is shown this once (S109).

        Raises InvalidParameter.
        """
        row, secret = self.make(org, checked_title(name, "name"), scopes_of_key(scopes, use))
        await self._accounts.create_key(row)
        return row.id, secret

    def make(self, org: bytes, name: str, scopes: Iterable[str]) -> tuple[KeyRow, str]:
        """A key that is kept nowhere yet, and its secret."""
        key, secret = new_id(), make_secret(KEY_SECRET)
        sealed = self._sealer.seal(secret.encode(), key)
        told = json.dumps(sorted(scopes))
        return KeyRow(0, key, org, name, told, sealed, self._clock.now()), secret

    def list(self, org: bytes, after: int, limit: int) -> list[KeyRow]:
        return self._accounts.list_keys(org, after, limit)

    async def delete(self, org: bytes, key: bytes) -> None:
        """What it has signed is worth nothing from now on. Raises NotFound."""
        if not await self._accounts.delete_key(org, key):
            raise NotFound(f"there is no key {show_id(KEY, key)}")
        self._on_change()

    def find(self, key: bytes) -> Key | None:
        """The key of this id, of whichever org."""
        row = self._accounts.get_key(key)
        if row is None:
            return None
        return Key(row.org, frozenset(json.loads(row.scopes)), self._sealer.open(row.secret, key))


def checked_title(text: str, parameter: str) -> str:
    """A name that people give, of one line. Raises InvalidParameter."""
    if not text.strip() or len(text) > NAME_LENGTH_MAX or not text.isprintable():
        raise InvalidParameter(
            f"a name has 1 to {NAME_LENGTH_MAX} printable characters", parameter=parameter
        )
    return text
