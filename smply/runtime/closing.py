"""What the actions of a process still do, asked before it is ended."""

from __future__ import annotations

from collections.abc import Sequence

from smply.runtime.process import Ended, Process
from smply.runtime.protocol import Finish, Finished


async def unfinished(process: Process, seconds: float) -> list[str]:
    """The actions that still run after so many seconds, as "order-1: action notify"."""
    patience = seconds + process.launch.step_seconds
    finished: Finished = await process.ask(Finish, int(seconds * 1000), patience=patience)
    return finished.names


async def last_actions(process: Process, seconds: float) -> list[str]:
    """Give actions so many seconds; a clause for each that did not end, and what became of it."""
    if process.acted is None or process.ended is not None:
        return []
    running: list[str] = []
    try:
        # A loop is found out by the first question; what waits for something gets its time.
        running = await unfinished(process, 0)
        if running:
            running = await unfinished(process, seconds)
    except Ended as end:
        return _cut_short(running, end)
    return [f"{each} was still running after {seconds:g} s and was stopped" for each in running]


def _cut_short(running: Sequence[str], end: Ended) -> list[str]:
    """What became of the actions of a process that ended while it was asked for them.

    `running` did so when it was last heard. Which of them it was that looped, it cannot tell.
    """
    what = "looped and was stopped" if end.looped else end.reason
    if running:
        return [f"{each} was still running when machine code {what}" for each in running]
    suspects = end.doubtful or ([end.last] if end.last else [])
    if len(suspects) == 1 and not end.lost:
        return [f"{suspects[0].name}: an action {what}"]
    return [f"{who.name}: its actions may not have ended: machine code {what}" for who in suspects]
