"""Routes of instances."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from smply.api import unbuilt
from smply.api._wire import (
    body_of,
    check_confirmation,
    checked_name,
    decoded,
    json_answer,
    name_in,
    no_answer,
    one_line,
    page_in,
    state_answer,
)
from smply.api.versions import version_info
from smply.contract import show_time
from smply.engine import Engine, Instance, InstanceRow, ListedInstance, TransitionRow
from smply.errors import InvalidParameter
from smply.identity import Actor
from smply.ids import parse_id


class _Create(msgspec.Struct, rename="camel"):
    slug: str
    context: Raw = Raw(b"{}")
    machine_version_id: str | UnsetType = UNSET
    dry_run: Raw | UnsetType = UNSET


class _Send(msgspec.Struct, rename="camel"):
    event: Raw
    if_state: Raw | UnsetType = UNSET
    dry_run: Raw | UnsetType = UNSET


class _SetStatus(msgspec.Struct):
    status: Literal["running", "paused"]


class _Delete(msgspec.Struct, rename="camel"):
    danger_data_will_be_deleted_forever: bool
    hmac_sha256_of_machine_instance_name_with_machine_name_key: str


async def create_instance(request: Request, engine: Engine, actor: Actor) -> Response:
    """`POST /machines/{m}`: the state after the initial transition, as 200 (S28)."""
    body = await body_of(request, _Create)
    unbuilt.refuse_members(dryRun=body.dry_run)
    context, _ = one_line(body.context, dict[str, Any], "context")
    shown = "" if body.machine_version_id is UNSET else body.machine_version_id
    answer = await engine.instances.create(
        actor.org,
        name_in(request, "machineSlug"),
        checked_name(body.slug, "slug"),
        context,
        parse_id("ver", shown, "machineVersionId") if shown else None,
        shown,
        actor.auth,
    )
    request.state.what = f"{request.url.path}/i/{body.slug}"
    return state_answer(answer)


async def send_event(request: Request, engine: Engine, actor: Actor) -> Response:
    """`POST /machines/{m}/i/{i}/events` `{"event"}`: the state once it has settled (S48)."""
    answer = await engine.instances.send(
        actor.org,
        name_in(request, "machineSlug"),
        name_in(request, "instanceSlug"),
        event_in(await request.body()),
        actor.auth,
    )
    return state_answer(answer)


async def set_status(request: Request, engine: Engine, actor: Actor) -> Response:
    """`PUT /machines/{m}/i/{i}/status` `{"status"}`: 204 (S158)."""
    body = await body_of(request, _SetStatus)
    await engine.instances.set_status(
        actor.org, name_in(request, "machineSlug"), name_in(request, "instanceSlug"), body.status
    )
    return no_answer()


async def delete_instance(request: Request, engine: Engine, actor: Actor) -> Response:
    """`DELETE /machines/{m}/i/{i}` with its confirmation: 204 (S160, S163, S164)."""
    body = await body_of(request, _Delete)
    machine, instance = name_in(request, "machineSlug"), name_in(request, "instanceSlug")
    check_confirmation(
        body.danger_data_will_be_deleted_forever,
        body.hmac_sha256_of_machine_instance_name_with_machine_name_key,
        "hmacSha256OfMachineInstanceNameWithMachineNameKey",
        machine,
        instance,
    )
    await engine.instances.delete(actor.org, machine, instance)
    return no_answer()


async def get_instance(request: Request, engine: Engine, actor: Actor) -> Response:
    """`GET /machines/{m}/i/{i}`: the public state, if allowRead permits (S91)."""
    answer = await engine.instances.read(
        actor.org, name_in(request, "machineSlug"), name_in(request, "instanceSlug"), actor.auth
    )
    return state_answer(answer)


async def get_instance_admin(request: Request, engine: Engine, actor: Actor) -> Response:
    """`GET /machines/{m}/i/{i}/admin`: the whole context; no authorizer is asked (S38)."""
    return json_answer(_administrative(await _inspect(request, engine, actor)))


async def inspect_instance(request: Request, engine: Engine, actor: Actor) -> Response:
    """`GET /smply/machines/{m}/i/{i}`: the administrative state, and what it waits for."""
    found = await _inspect(request, engine, actor)
    waiting = [owed for owed in found.deliveries if owed.parked is None]
    shown = {
        **_administrative(found),
        **_ending(found.row),
        "seq": found.row.seq,
        "ts": found.row.ts,
        "timers": [
            {
                "delivery": owed.id,
                "id": owed.key or "",
                "event": Raw(owed.event.encode()),
                "due": show_time(owed.due),
            }
            for owed in waiting
        ],
        "services": [],
        "deliveries": {"waiting": len(waiting), "parked": len(found.deliveries) - len(waiting)},
    }
    return json_answer(shown)


async def list_instances(request: Request, engine: Engine, actor: Actor) -> Response:
    """`GET /machines/{m}/i`: a page of `{"slug", "createdAt", "status", "machineVersion"}`."""
    page, machine = page_in(request), name_in(request, "machineSlug")
    rows = engine.instances.list(actor.org, machine, page.after, page.one_more)
    versions = {
        version: version_info(engine.machines.version_of(actor.org, version))
        for version in {row.version for row in rows}
    }

    def show(row: ListedInstance) -> dict[str, Any]:
        return {
            "slug": row.name,
            "createdAt": show_time(row.created_at),
            "status": row.status,
            "machineVersion": versions[row.version],
        }

    return page.answer("instances", rows, show, lambda row: row.id)


async def list_transitions(request: Request, engine: Engine, actor: Actor) -> Response:
    """`GET /machines/{m}/i/{i}/events`: a page of transitions, oldest first (S41)."""
    page = page_in(request)
    rows = await engine.instances.transitions(
        actor.org,
        name_in(request, "machineSlug"),
        name_in(request, "instanceSlug"),
        page.after,
        page.one_more,
    )
    return page.answer("transitions", rows, _transition, lambda row: row.seq)


def event_in(body: bytes) -> bytes:
    """The event that a body sends, as JSON. Raises InvalidParameter, NotBuilt."""
    sent = decoded(body, _Send)
    unbuilt.refuse_members(ifState=sent.if_state, dryRun=sent.dry_run)
    return _event_of(sent.event)


def _event_of(raw: Raw) -> bytes:
    """The event as a JSON object with a string `type`; a text stands for that type (S44).

    Raises InvalidParameter.
    """
    text, event = one_line(raw, str | dict[str, Any], "event")  # type: ignore[arg-type]
    kind = event if isinstance(event, str) else event.get("type")
    if not isinstance(kind, str) or not kind:
        raise InvalidParameter(
            "an event is a text, or an object with a text as its type", parameter="event"
        )
    return text if isinstance(event, dict) else b'{"type":' + text + b"}"


async def _inspect(request: Request, engine: Engine, actor: Actor) -> Instance:
    return await engine.instances.inspect(
        actor.org, name_in(request, "machineSlug"), name_in(request, "instanceSlug")
    )


def _administrative(found: Instance) -> dict[str, Any]:
    row = found.row
    return {
        "state": Raw(row.value.encode()),
        "context": Raw(row.context.encode()),
        "status": row.status,
        "tags": Raw(row.tags.encode()),
        "done": row.done,
        "machineVersion": version_info(found.version),
        "createdAt": show_time(row.created_at),
    }


def _ending(row: InstanceRow) -> dict[str, Raw]:
    """How an XState 5 machine ended: its `output` or `error`, where there is one."""
    rest = msgspec.json.decode(row.rest, type=dict[str, Raw])
    return {name: rest[name] for name in ("output", "error") if name in rest}


def _transition(row: TransitionRow) -> dict[str, Any]:
    return {
        "createdAt": show_time(row.ts),
        "state": Raw(row.value.encode()),
        "event": Raw(row.event.encode()),
    }
