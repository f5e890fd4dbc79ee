"""Streams that the command line writes to in tests."""

from __future__ import annotations

import io
import re

_STYLE = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True

    @property
    def plain(self) -> str:
        """What was written, without styles."""
        return _STYLE.sub("", self.getvalue())


class Latin(io.StringIO):
    """A stream that cannot carry UTF-8."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "iso8859-1"
