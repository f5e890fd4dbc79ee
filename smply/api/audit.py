"""Who did what to what: kept of every write that is no event (extensions.md)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request

from smply.clock import Clock
from smply.identity import Actor, AuditRow


class Audit:
    """Keeps entries with `keep`, before the answer goes out: what was answered stands there."""

    def __init__(self, keep: Callable[[AuditRow], Awaitable[None]], clock: Clock) -> None:
        self._keep = keep
        self._clock = clock

    async def note(self, request: Request, verb: Callable[..., Any], actor: Actor) -> None:
        """What a verb has done: its name, the path or the id of what was made, and from where."""
        entry = AuditRow(
            0,
            actor.org,
            self._clock.now(),
            actor.who,
            _camel(verb.__name__),
            getattr(request.state, "what", request.url.path),
            request.client.host if request.client else "",
            getattr(request.state, "request_id", ""),
        )
        await self._keep(entry)


def _camel(name: str) -> str:
    """`createMachine`, as the operation is called in the contract."""
    first, *others = name.split("_")
    return first + "".join(each.title() for each in others)
