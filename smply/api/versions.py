"""Routes of machine versions, and of the uploads that become one."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response

from smply.api import unbuilt
from smply.api._wire import (
    body_of,
    json_answer,
    name_in,
    no_answer,
    page_in,
)
from smply.contract import BUNDLE_BYTES_MAX, show_time
from smply.engine import Engine, VersionRow
from smply.errors import InvalidParameter
from smply.identity import Actor
from smply.ids import parse_id, show_id

_SECRET_FIELD = "key"
FORM_BYTES_MAX = BUNDLE_BYTES_MAX + 100_000


class _Finalize(msgspec.Struct, rename="camel"):
    client_info: str = ""
    make_current: bool = False
    index_selectors: dict[str, str] | UnsetType = UNSET


def version_info(version: VersionRow) -> dict[str, str]:
    """MachineVersionInfo: `{"id": "ver_…", "createdAt", "clientInfo"}`."""
    return {
        "id": show_id("ver", version.id),
        "createdAt": show_time(version.created_at),
        "clientInfo": version.client_info,
    }


async def list_versions(request: Request, engine: Engine, actor: Actor) -> Response:
    """`GET /machines/{m}/v`: a page of versions, oldest first."""
    page = page_in(request)
    machine = name_in(request, "machineSlug")
    rows = engine.machines.versions(actor.org, machine, page.after, page.one_more)
    return page.answer("versions", rows, version_info, lambda row: row.row)


async def get_code(request: Request, engine: Engine, actor: Actor) -> Response:
    """`GET /smply/machines/{m}/v/{v}/code`: the bundle as it was uploaded."""
    code = engine.machines.code(_named(request, engine, actor))
    return Response(code, media_type="application/javascript")


async def get_version(request: Request, engine: Engine, actor: Actor) -> Response:
    """`GET /smply/machines/{m}/v/{v}`: what is known of a version's code."""
    version = _named(request, engine, actor)
    return json_answer(
        {
            **version_info(version),
            "xstate": _xstate(version),
            "bundle": {
                "bytes": version.uploaded_bytes,
                "gzippedBytes": version.gzipped_bytes,
                "sha256": version.uploaded_sha256.hex(),
            },
            "indexSelectors": json.loads(version.selectors),
            "exports": json.loads(version.exports),
            "definition": msgspec.Raw(version.definition.encode()),
        }
    )


async def provision_version(request: Request, engine: Engine, actor: Actor) -> Response:
    """`POST /machines/{m}/v`: where and how to upload the code (S7, S8)."""
    upload = await engine.machines.provision(actor.org, name_in(request, "machineSlug"))
    return json_answer(
        {
            "machineVersionId": upload.handle,
            "codeUploadUrl": f"{request.state.public_url}/code-uploads/{upload.id.hex()}",
            "codeUploadFields": {_SECRET_FIELD: upload.secret},
        }
    )


async def upload_code(request: Request, engine: Engine) -> Response:
    """`POST /code-uploads/{id}`: the form of S8; its fields prove the right to it."""
    try:
        form = await request.form(max_part_size=FORM_BYTES_MAX)
    except (MultiPartException, UnicodeError) as exc:
        raise InvalidParameter(f"the form cannot be read: {exc}", parameter="body") from exc
    async with _closing(form) as fields:
        _refuse_doubled(fields)
        file = fields.get("file")
        if not isinstance(file, UploadFile):
            raise InvalidParameter("the form has no file", parameter="file")
        await engine.machines.upload(
            _upload_id(request),
            str(fields.get(_SECRET_FIELD, "")),
            await file.read(),
            _is_gzip(fields.get("content-encoding")),
        )
    return no_answer()


def _refuse_doubled(form: FormData) -> None:
    for name, count in Counter(name for name, _ in form.multi_items()).items():
        if count > 1:
            raise InvalidParameter(f"the form has {name[:100]} more than once", parameter=name)


def _is_gzip(encoding: object) -> bool:
    if encoding not in (None, "", "identity", "gzip"):
        raise InvalidParameter("code is plain or gzip", parameter="content-encoding")
    return encoding == "gzip"


async def finalize_version(request: Request, engine: Engine, actor: Actor) -> Response:
    """`PUT /machines/{m}/v/{signed}`: check the code and make the version (S10)."""
    body = await body_of(request, _Finalize)
    if body.index_selectors:
        unbuilt.refuse_members(indexSelectors=body.index_selectors)
    version = await engine.machines.finalize(
        actor.org,
        name_in(request, "machineSlug"),
        request.path_params["signedMachineVersionId"],
        body.client_info,
        body.make_current,
    )
    # The path holds the secret of the upload.
    machine = request.path_params["machineSlug"]
    request.state.what = f"/machines/{machine}/v/{show_id('ver', version)}"
    return json_answer({"machineVersionId": show_id("ver", version)})


def _named(request: Request, engine: Engine, actor: Actor) -> VersionRow:
    machine = engine.machines.get(actor.org, name_in(request, "machineSlug"))
    shown = request.path_params["machineVersionId"]
    wanted = parse_id("ver", shown, "machineVersionId")
    return engine.machines.version(actor.org, machine, wanted, shown)


def _xstate(version: VersionRow) -> str:
    return f"{version.adapter} bundled" if version.xstate == "bundled" else version.xstate


def _upload_id(request: Request) -> bytes:
    try:
        return bytes.fromhex(request.path_params["uploadId"])
    except ValueError as exc:
        raise InvalidParameter("this is no upload", parameter="uploadId") from exc


class _closing:
    """A parsed form, whose temporary files go when it is left."""

    def __init__(self, form: Any) -> None:
        self._form = form

    async def __aenter__(self) -> Any:
        return self._form

    async def __aexit__(self, *_: object) -> None:
        await self._form.close()
