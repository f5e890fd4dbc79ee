"""Whole command lines in this process, as a script meets them: pipes at all ends."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from smply.cli import main


@dataclass(frozen=True)
class Done:
    """What a command has done; `json` is its stdout, which must be one document."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


def smply(*argv: str, stdin: str = "") -> Done:
    """Run ours; what is not piped in is at its end."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), _piped_in(stdin):
        status = main(argv)
    return Done(status, out.getvalue(), err.getvalue())


@contextmanager
def _piped_in(stdin: str) -> Iterator[None]:
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(stdin.encode()))
    try:
        yield
    finally:
        sys.stdin = before
