"""What a server says on stderr while it serves."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from smply.cli._text import harmless
from smply.contract import show_time

if TYPE_CHECKING:
    from smply.cli._command import Given
    from smply.models import LogEntry, Notice
    from smply.serving import Asked


class Records(logging.Handler):
    """Gives what libraries log, such as uvicorn and asyncio, to the voice."""

    def __init__(self, voice: Voice) -> None:
        super().__init__(logging.WARNING)
        self._voice = voice

    def emit(self, record: logging.LogRecord) -> None:
        self._voice.record(self.format(record))


class Voice:
    """What a server says on stderr: a line for people, or one of JSON."""

    def __init__(self, as_json: bool, requests: bool, given: Given) -> None:
        self._as_json = as_json
        self._requests = requests
        self._given = given

    def ready(self, url: str) -> None:
        kept = self._given.config.data_dir / "access-token"
        self._say(f"smply serves {url} (its owner's access token: {kept})", "ready", url=url)

    def asked(self, asked: Asked) -> None:
        if not self._requests and asked.status in (501, *range(500)):
            return
        line = f"{asked.method} {asked.path} {asked.status} {asked.ms:.1f} ms {asked.request_id}"
        self._say(
            line, "request", method=asked.method, path=asked.path, status=asked.status,
            ms=round(asked.ms, 1), requestId=asked.request_id,
        )  # fmt: skip
        if asked.error is not None:
            self._say(f"{asked.request_id}: {asked.error!r}", "error", error=repr(asked.error))

    def log(self, entry: LogEntry) -> None:
        if not self._as_json:
            return self._given.output.log(entry)
        return self._say(
            "", "log", machine=entry.machine, instance=entry.instance, phase=entry.phase,
            stream=entry.stream, text=entry.text,
        )  # fmt: skip

    def notice(self, notice: Notice) -> None:
        if not self._as_json:
            return self._given.output.notice(notice)
        return self._say("", "notice", text=notice.text)

    def record(self, text: str) -> None:
        """What a library says."""
        for line in [text] if self._as_json else text.splitlines():
            self._say(line, "notice", text=text)

    def failed(self, code: str, message: str) -> None:
        """Why it has not started."""
        self._say(message, "failed", code=code, message=message)

    def _say(self, line: str, kind: str, **fields: object) -> None:
        now = show_time(self._given.clock.now())
        # Paths are asked for by strangers.
        told = {"time": now, "event": kind, **fields}
        text = json.dumps(told) if self._as_json else harmless(line)
        # A log that cannot be written, such as one on a full disk, is no reason not to serve.
        with suppress(OSError):
            print(text, file=sys.stderr, flush=True)
