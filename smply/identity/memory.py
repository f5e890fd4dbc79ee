"""What was proven of callers lately, until somebody's rights are taken away."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Generic, TypeVar

from smply.clock import Clock
from smply.store import Accounts

_REMEMBERED_MAX = 10_000
_LOOK_SECONDS = 0.5
"""How often it is looked whether another process has taken rights away: within a second they are
gone here, too."""

V = TypeVar("V")


class Memory(Generic[V]):
    """Answers by what was asked; all are forgotten when the revision of the accounts changes.

    [To check a token costs 40 µs, to remember that it was checked half of one.]
    """

    def __init__(self, accounts: Accounts, clock: Clock) -> None:
        self._accounts = accounts
        self._clock = clock
        self._kept: OrderedDict[Any, V] = OrderedDict()
        self._revision = -1
        self._looked = float("-inf")

    def get(self, key: Any) -> V | None:
        """What is remembered of it, if it still stands."""
        now = self._clock.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            revision = self._accounts.revision()
            if revision != self._revision:
                self._revision = revision
                self._kept.clear()
        return self._kept.get(key)

    def keep(self, key: Any, value: V) -> None:
        """Remember this; the oldest makes room."""
        if len(self._kept) >= _REMEMBERED_MAX:
            self._kept.popitem(last=False)
        self._kept[key] = value

    def clear(self) -> None:
        """Forget all at once: this process itself takes rights away."""
        self._kept.clear()
