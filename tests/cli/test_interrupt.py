"""Ctrl-C at the moments when Python itself would answer it badly."""

from __future__ import annotations

import asyncio
import gc
import signal

import pytest

from smply.cli._interrupt import run


class Interrupted(asyncio.SelectorEventLoop):
    """A loop whose making is interrupted."""

    def __init__(self) -> None:
        signal.raise_signal(signal.SIGINT)
        super().__init__()


def test_ctrl_c_while_a_loop_is_made_leaves_none_half_made(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    begun = []

    async def work() -> None:
        begun.append(True)

    monkeypatch.setattr(asyncio.events, "new_event_loop", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(work())
    gc.collect()
    assert (begun, capfd.readouterr().err) == ([], "")
