"""What a command waits for when it asks a server: said after a second, and gone with the answer."""

from __future__ import annotations

import asyncio
import re
from importlib import metadata
from typing import TYPE_CHECKING

from smply.client import Watch

if TYPE_CHECKING:
    from smply.cli._output import Output, Progress


class Waiting(Watch):
    """Watches a client: a line for what takes over a second, a bar for an upload, and one remark
    if the server is of another version."""

    def __init__(self, output: Output, url: str) -> None:
        self._output = output
        self._url = url
        self._shown: Progress | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._uploaded: tuple[int, int] | None = None
        self._what: str | None = None
        self._compared = False

    def asking(self, method: str, url: str) -> None:
        what = f"{method} {url}"
        if what == self._what:
            # It is asked again: the wait is the same.
            return
        self.stop()
        self._what = what
        loop = asyncio.get_running_loop()
        text = self._text(method, url)
        self._timer = loop.call_later(self._output.PATIENCE_SECONDS, self._show, text)

    def sent(self, done: int, total: int) -> None:
        self._uploaded = done, total
        if self._shown is not None:
            self._shown.tell(done, total)

    def answered(self, version: str | None) -> None:
        self.stop()
        if version is not None and not self._compared:
            self._compared = True
            self._compare(version)

    def stop(self) -> None:
        """Wait for nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._shown is not None:
            self._shown.stop()
        self._timer = self._shown = self._uploaded = self._what = None

    def _text(self, method: str, url: str) -> str:
        """No more of an address than anybody may see: neither names, codes nor signatures."""
        if "://" in url:
            return f"uploading to {url.partition('://')[2].partition('/')[0].rpartition('@')[2]}"
        noun = url.removeprefix("/smply").lstrip("/").partition("?")[0].partition("/")[0]
        return f"waiting for {self._url}: {method} /{noun}"

    def _show(self, text: str) -> None:
        self._shown = self._output.progress(text)
        if self._uploaded is not None:
            self._shown.tell(*self._uploaded)

    def _compare(self, theirs: str) -> None:
        ours = metadata.version("smply")
        if _series(theirs) == _series(ours):
            return
        side = "the server" if _series(theirs) < _series(ours) else "this side"
        self._output.remark(
            f"{self._url} is smply {theirs}, this is {ours}: what they do not share fails,"
            f" upgrade {side}"
        )


def _series(version: str) -> tuple[int, ...]:
    """The first two numbers of a version: those who share them understand each other."""
    numbers = version[:20].split(".")[:2]
    return tuple(int(number) if re.fullmatch("[0-9]+", number) else 0 for number in numbers)
