"""Where an upload goes, and how far it is."""

from __future__ import annotations

import io
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx

from smply.errors import BadAnswer


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


def is_own(url: str, base_url: httpx.URL) -> bool:
    """Whether code goes to the host of the server that says so (S8).

    Raises BadAnswer for what is no address, or not as well guarded as the server's own.
    """
    try:
        # httpx takes half an address of IPv6 for a host.
        urlsplit(url)
        to = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        to = httpx.URL()
    # What follows is a signature.
    shown = url.partition("?")[0][:200]
    if to.scheme not in ("http", "https") or not to.host:
        raise BadAnswer(
            f'the server names no address for the code: "{shown}"', hint="nothing was uploaded"
        )
    if base_url.scheme == "https" and to.scheme == "http":
        raise BadAnswer(
            f"the server speaks TLS, and wants the code without it: {shown}",
            hint="nothing was uploaded; is its --public-url https://…?",
        )
    return to.host == base_url.host
