"""What the verbs of a client need of it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Protocol, TypeVar

from smply.client._base import Call

T = TypeVar("T")


class AsyncAsking(Protocol):
    """Asks a server, and awaits its answer."""

    async def ask(self, call: Call[T]) -> T:
        """Raises what `AsyncClient` does."""

    async def follow(self, flow: Generator[Call[Any], Any, T]) -> T:
        """The result of a verb of several requests."""


class Asking(Protocol):
    """Asks a server, and waits for its answer."""

    def ask(self, call: Call[T]) -> T:
        """Raises what `Client` does."""

    def follow(self, flow: Generator[Call[Any], Any, T]) -> T:
        """The result of a verb of several requests."""
