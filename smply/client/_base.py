"""All of the client that needs no I/O: what to ask, and what an answer means.

A `Call` is one request and the reader of its answer. A verb that takes several requests is a
generator of calls, so that it is written once for both clients.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import msgspec

from smply.contract import ACT_HEADER, confirmation
from smply.errors import ApiError, api_error
from smply.models import (
    AdminState,
    InstanceDetail,
    InstanceSummary,
    Machine,
    MachineSummary,
    Page,
    State,
    Transition,
    Version,
    VersionDetail,
)

T = TypeVar("T")

_HINTS = {
    "missing-scope": "use a credential that has this scope",
    "limit-exceeded": "try again in a moment",
    "unavailable": "try again in a moment",
    "settle-timeout": "the event was not taken; send it again",
}


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request (method, path or absolute URL, content) and how its answer is read."""

    method: str
    url: str
    read: Callable[[bytes], T]
    content: bytes | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    file: tuple[str, bytes, str] | None = None


Flow = Generator["Call[Any]", Any, T]
"""A verb of several requests: it yields calls, is sent their answers, and returns a result."""


def error_from(status: int, body: bytes) -> ApiError:
    """The error that an answer stands for; a body that is no ErrorBody is shown as it came."""
    try:
        fields = json.loads(body)
        message = fields["error"]
    except (ValueError, KeyError, TypeError):
        fields, message = {}, f"the server answered {status}: {body[:200].decode(errors='replace')}"
    error = api_error(status, fields.get("code"), message, fields.get("parameter"))
    error.hint = _HINTS.get(error.code)
    return error


def create_machine(name: str, indexes: Sequence[str]) -> Call[None]:
    body = {"slug": name, **({"indexes": list(indexes)} if indexes else {})}
    return Call("POST", "/machines", _nothing, content=_body(body))


def get_machine(name: str) -> Call[Machine]:
    return Call("GET", _path("/machines/{}", name), _member("machine", Machine))


def list_machines(cursor: str | None) -> Call[Page[MachineSummary]]:
    return Call("GET", "/machines", _page("machines", MachineSummary), params=_cursor(cursor))


def set_current(name: str, version: str) -> Call[None]:
    path = _path("/smply/machines/{}/current-version", name)
    return Call("PUT", path, _nothing, content=_body({"machineVersionId": version}))


def delete_machine(name: str) -> Call[None]:
    confirmed = {
        "dangerDataWillBeDeletedForever": True,
        "hmacSha256OfMachineNameWithMachineNameKey": confirmation(name, name),
    }
    return Call("DELETE", _path("/machines/{}", name), _nothing, content=_body(confirmed))


def list_versions(machine: str, cursor: str | None) -> Call[Page[Version]]:
    return Call(
        "GET", _path("/machines/{}/v", machine), _page("versions", Version), params=_cursor(cursor)
    )


def get_version(machine: str, version: str) -> Call[VersionDetail]:
    return Call("GET", _path("/smply/machines/{}/v/{}", machine, version), _one(VersionDetail))


def create_version(
    machine: str,
    code: bytes,
    client_info: str | None,
    make_current: bool,
    index_selectors: Mapping[str, str] | None,
) -> Flow[str]:
    """The three steps of S7: provisional creation, upload (S8, S9), finalization (S10, S11)."""
    begun = yield Call("POST", _path("/machines/{}/v", machine), _one(dict), params={"gzip": ""})
    yield Call(
        "POST",
        begun["codeUploadUrl"],
        _nothing,
        form={
            **begun["codeUploadFields"],
            "content-type": "application/javascript",
            "content-encoding": "gzip",
        },
        file=(f"{machine}.js", gzip.compress(code, mtime=0), "application/javascript"),
    )
    wish: dict[str, Any] = {"makeCurrent": make_current}
    if client_info is not None:
        wish["clientInfo"] = client_info
    if index_selectors is not None:
        wish["indexSelectors"] = dict(index_selectors)
    signed = begun["machineVersionId"]
    done = yield Call(
        "PUT", _path("/machines/{}/v/{}", machine, signed), _one(dict), content=_body(wish)
    )
    return str(done["machineVersionId"])


def create_instance(
    machine: str,
    name: str,
    context: Mapping[str, Any] | None,
    version: str | None,
    act: Mapping[str, Any] | None,
) -> Call[State]:
    body: dict[str, Any] = {"slug": name}
    if context is not None:
        body["context"] = context
    if version is not None:
        body["machineVersionId"] = version
    return Call(
        "POST", _path("/machines/{}", machine), _one(State), content=_body(body), headers=_act(act)
    )


def send_event(
    machine: str, name: str, event: str | Mapping[str, Any], act: Mapping[str, Any] | None
) -> Call[State]:
    return Call(
        "POST",
        _path("/machines/{}/i/{}/events", machine, name),
        _one(State),
        content=_body({"event": event}),
        headers=_act(act),
    )


def set_status(machine: str, name: str, status: str) -> Call[None]:
    path = _path("/machines/{}/i/{}/status", machine, name)
    return Call("PUT", path, _nothing, content=_body({"status": status}))


def delete_instance(machine: str, name: str) -> Call[None]:
    confirmed = {
        "dangerDataWillBeDeletedForever": True,
        "hmacSha256OfMachineInstanceNameWithMachineNameKey": confirmation(machine, name),
    }
    path = _path("/machines/{}/i/{}", machine, name)
    return Call("DELETE", path, _nothing, content=_body(confirmed))


def get_instance(machine: str, name: str, act: Mapping[str, Any] | None) -> Call[State]:
    return Call("GET", _path("/machines/{}/i/{}", machine, name), _one(State), headers=_act(act))


def get_admin(machine: str, name: str) -> Call[AdminState]:
    return Call("GET", _path("/machines/{}/i/{}/admin", machine, name), _one(AdminState))


def inspect_instance(machine: str, name: str) -> Call[InstanceDetail]:
    return Call("GET", _path("/smply/machines/{}/i/{}", machine, name), _one(InstanceDetail))


def list_instances(machine: str, cursor: str | None) -> Call[Page[InstanceSummary]]:
    return Call(
        "GET",
        _path("/machines/{}/i", machine),
        _page("instances", InstanceSummary),
        params=_cursor(cursor),
    )


def list_transitions(machine: str, name: str, cursor: str | None) -> Call[Page[Transition]]:
    return Call(
        "GET",
        _path("/machines/{}/i/{}/events", machine, name),
        _page("transitions", Transition),
        params=_cursor(cursor),
    )


def _path(pattern: str, *names: str) -> str:
    """The path with its names put in, escaped: a name never reaches another route."""
    return pattern.format(*(quote(name, safe="") for name in names))


def _body(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _act(act: Mapping[str, Any] | None) -> dict[str, str]:
    # Headers are ASCII, so that other letters are escaped.
    return {} if act is None else {ACT_HEADER: json.dumps(act, separators=(",", ":"))}


def _cursor(cursor: str | None) -> dict[str, str]:
    return {} if cursor is None else {"cursor": cursor}


def _nothing(_body: bytes) -> None:
    return None


def _one(kind: type[T]) -> Callable[[bytes], T]:
    return msgspec.json.Decoder(kind).decode


def _member(name: str, kind: type[T]) -> Callable[[bytes], T]:
    def read(body: bytes) -> T:
        return msgspec.json.decode(
            msgspec.json.decode(body, type=dict[str, msgspec.Raw])[name], type=kind
        )

    return read


def _page(name: str, kind: type[T]) -> Callable[[bytes], Page[T]]:
    def read(body: bytes) -> Page[T]:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        items = msgspec.json.decode(fields[name], type=list[kind])  # type: ignore[valid-type]
        cursor = msgspec.json.decode(fields["cursor"], type=str) if "cursor" in fields else None
        return Page(items, cursor)

    return read
