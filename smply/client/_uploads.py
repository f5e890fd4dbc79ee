"""An upload that tells how far it is."""

from __future__ import annotations

import io
from collections.abc import Callable


class _Watched(io.BytesIO):
    """Bytes that tell how many of them were read. httpx reads a file in parts of 64 kB."""

    def __init__(self, content: bytes, on_read: Callable[[int, int], None]) -> None:
        super().__init__(content)
        self._total = len(content)
        self._on_read = on_read

    def read(self, size: int | None = -1, /) -> bytes:
        part = super().read(size)
        self._on_read(self.tell(), self._total)
        return part


def watched(content: bytes, on_read: Callable[[int, int], None]) -> io.BytesIO:
    """A file of these bytes; `on_read` is told how many of how many are on their way."""
    return _Watched(content, on_read)
