"""The route of logs."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from smply.api._wire import checked_name, json_answer, time_of
from smply.contract import show_time
from smply.engine import Engine, LogRow
from smply.identity import Actor
from smply.ids import ORG, VERSION, parse_id, show_id


async def get_logs(request: Request, engine: Engine, actor: Actor) -> Response:
    """`GET /logs?from=…&to=…&machine=…&instance=…&version=…`: `{"maxTimestamp", "logs"}`.

    `from` is exclusive, and `maxTimestamp` is where to go on: the same time as `from` if there is
    nothing more yet (S176-S178, C10).
    """
    asked = request.query_params
    after = time_of(asked.get("from", ""), "from")
    rows = engine.logs.read(
        actor.org,
        after,
        time_of(asked["to"], "to") if "to" in asked else None,
        checked_name(asked["machine"], "machine") if "machine" in asked else None,
        checked_name(asked["instance"], "instance") if "instance" in asked else None,
        parse_id(VERSION, asked["version"], "version") if "version" in asked else None,
    )
    newest = rows[-1].ts if rows else after
    shown = [_entry(actor.org, row) for row in rows]
    return json_answer({"maxTimestamp": show_time(newest), "logs": shown})


def _entry(org: bytes, row: LogRow) -> dict[str, Any]:
    return {
        "timestamp": show_time(row.ts),
        "orgId": show_id(ORG, org),
        "machineName": row.machine,
        "instanceName": row.instance,
        "machineVersionId": show_id(VERSION, row.version),
        "outputType": row.stream,
        "log": row.text,
    }
