"""The loop that servers run on is stricter than asyncio's own about a connection that is gone."""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop

from smply.runtime import RuntimeSettings
from tests.runtime.support import Lab, machine, step, values


def test_a_process_that_lost_its_connection_is_replaced_without_a_fault() -> None:
    faults: list[dict[str, Any]] = []

    async def cut_off_at_work() -> list[Any]:
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        lab = Lab(RuntimeSettings())
        host = await lab.host(machine())
        process = host._process
        assert process is not None
        assert process._transport is not None
        process._transport.abort()
        steps: list[asyncio.Future[list[Any]]] = []
        while process.ended is None:
            steps.append(asyncio.ensure_future(step(host, len(steps), "toggle")))
            await asyncio.sleep(0)
        answers = await asyncio.gather(*steps)
        await lab.runtime.close(0)
        return [values(answer) for answer in answers]

    answers = uvloop.run(cut_off_at_work())
    assert answers == [["on"]] * len(answers)
    assert answers
    assert faults == []
