"""Routes of machines."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from smply.api import unbuilt
from smply.api._wire import (
    body_of,
    check_confirmation,
    checked_name,
    json_answer,
    name_in,
    no_answer,
    page_in,
)
from smply.api.versions import version_info
from smply.contract import show_time
from smply.engine import Engine, MachineRow
from smply.identity import Actor
from smply.ids import parse_id


class _Create(msgspec.Struct, rename="camel"):
    slug: str
    indexes: list[str] | UnsetType = UNSET


class _SetCurrent(msgspec.Struct, rename="camel"):
    machine_version_id: str


class _Delete(msgspec.Struct, rename="camel"):
    danger_data_will_be_deleted_forever: bool
    hmac_sha256_of_machine_name_with_machine_name_key: str


async def create_machine(request: Request, engine: Engine, actor: Actor) -> Response:
    """`POST /machines` `{"slug"}`: 201 without a body."""
    body = await body_of(request, _Create)
    if body.indexes:
        unbuilt.refuse_members(indexes=body.indexes)
    await engine.machines.create(actor.org, checked_name(body.slug, "slug"))
    request.state.what = f"/machines/{body.slug}"
    return Response(status_code=201)


async def get_machine(request: Request, engine: Engine, actor: Actor) -> Response:
    """`GET /machines/{m}`: `{"machine": {"createdAt", "currentVersion"?, "indexes"}}`."""
    machine = engine.machines.get(actor.org, name_in(request, "machineSlug"))
    shown = {"createdAt": show_time(machine.created_at), **_current(machine)}
    return json_answer({"machine": {**shown, "indexes": machine.indexes}})


async def list_machines(request: Request, engine: Engine, actor: Actor) -> Response:
    """`GET /machines`: a page of `{"slug", "createdAt", "currentVersion"?}`."""
    page = page_in(request)
    rows = engine.machines.list(actor.org, page.after, page.one_more)
    return page.answer("machines", rows, _summary, lambda row: row.id)


async def set_current(request: Request, engine: Engine, actor: Actor) -> Response:
    """`PUT /smply/machines/{m}/current-version` `{"machineVersionId"}`: 204."""
    body = await body_of(request, _SetCurrent)
    machine, shown = name_in(request, "machineSlug"), body.machine_version_id
    version = parse_id("ver", shown, "machineVersionId")
    await engine.machines.set_current(actor.org, machine, version, shown)
    return no_answer()


async def delete_machine(request: Request, engine: Engine, actor: Actor) -> Response:
    """`DELETE /machines/{m}` with its confirmation: 204 (S161-S164)."""
    body = await body_of(request, _Delete)
    machine = name_in(request, "machineSlug")
    check_confirmation(
        body.danger_data_will_be_deleted_forever,
        body.hmac_sha256_of_machine_name_with_machine_name_key,
        "hmacSha256OfMachineNameWithMachineNameKey",
        machine,
        machine,
    )
    await engine.machines.delete(actor.org, machine)
    return no_answer()


def _summary(machine: MachineRow) -> dict[str, Any]:
    return {
        "slug": machine.name, "createdAt": show_time(machine.created_at), **_current(machine)
    }  # fmt: skip


def _current(machine: MachineRow) -> dict[str, Any]:
    return {"currentVersion": version_info(machine.current)} if machine.current else {}
