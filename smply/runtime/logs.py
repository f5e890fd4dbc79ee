"""What a process says unasked, kept within bounds: a flood is shortened, and says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from smply.runtime.protocol import Log, LogWire

_TEXT_CHARACTERS_MAX = 16_384
_WINDOW_SECONDS = 1.0
_WINDOW_CHARACTERS_MAX = 262_144
_SENT_CHARACTERS_MAX = 16 * _WINDOW_CHARACTERS_MAX
"""The host sends two windows within a second, and what it sent waits for nobody but this loop."""
_LINE_CHARACTERS = 32
"""What a log costs besides its text."""
_ALIVE_CHARACTERS = 4_096
"""What it costs to say that it lives: the host does so fifty times a second at most."""
_CHARACTER_BYTES = 6
"""A character in JSON, at most."""


class LogGate:
    """Passes on what one process prints, a quarter of a million characters a second at most."""

    def __init__(self, on_log: Callable[[Log], None]) -> None:
        self._on_log = on_log
        self._begun = 0.0
        self._characters = 0
        self._sent = 0
        self._held = 0

    def pass_on(self, wire: LogWire) -> bool:
        """Pass it on or hold it back; False when no honest host sends as much as this one."""
        is_honest = self._bear(_cost(wire))
        was, self._characters = self._characters, self._characters + _cost(wire)
        if was > _WINDOW_CHARACTERS_MAX:
            self._hold(wire)
            return is_honest
        text = wire.text
        if len(text) > _TEXT_CHARACTERS_MAX:
            text = text[:_TEXT_CHARACTERS_MAX] + "…"
        self._on_log(Log(wire.instance, wire.name, wire.phase, wire.stream, text))
        return True

    def bear_alive(self) -> bool:
        """Count a sign of life; False as in `pass_on`."""
        return self._bear(_ALIVE_CHARACTERS)

    def bear_line(self, length: int) -> bool:
        """Count the bytes of a line that answers nothing; False as in `pass_on`."""
        return self._bear(length // _CHARACTER_BYTES)

    def _bear(self, characters: int) -> bool:
        now = asyncio.get_running_loop().time()
        if now - self._begun >= _WINDOW_SECONDS:
            self._begun, self._characters, self._sent, self._held = now, 0, 0, 0
        self._sent += characters
        return self._sent <= _SENT_CHARACTERS_MAX

    def _hold(self, wire: LogWire) -> None:
        self._held += 1
        if self._held == 1:
            text = "it printed too much at once: what follows within this second is not kept"
            self._on_log(Log(wire.instance, wire.name, wire.phase, "stderr", text))


def _cost(wire: LogWire) -> int:
    return len(wire.text) + _LINE_CHARACTERS
