"""How many requests of an org are under way at once (design.md, bounds)."""

from __future__ import annotations

from smply.errors import LimitExceeded


class Turnstile:
    """Lets so many requests of each org in, and no more until one of them is answered."""

    def __init__(self, most: int = 200) -> None:
        self._most = most
        self._inside: dict[bytes, int] = {}

    def enter(self, org: bytes) -> None:
        """Raises LimitExceeded. Whoever has entered leaves."""
        inside = self._inside.get(org, 0)
        if inside >= self._most:
            raise LimitExceeded(f"{self._most} requests of this org are under way")
        self._inside[org] = inside + 1

    def leave(self, org: bytes) -> None:
        left = self._inside[org] - 1
        if left:
            self._inside[org] = left
        else:
            del self._inside[org]
