"""All of the client that needs no I/O: what to ask, and what an answer means.

A `Call` is one request and the reader of its answer. A verb that takes several requests is a
generator of calls, so that it is written once for both clients.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import msgspec

from smply.contract import confirmation
from smply.errors import ApiError, BadAnswer, NoAnswer, SmplyError, TooLarge, api_error
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

ATTEMPTS = 3
_PAUSE_SECONDS_MAX = 5.0

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
    act: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    file: tuple[str, bytes, str] | None = None


Flow = Generator["Call[Any]", Any, T]
"""A verb of several requests: it yields calls, is sent their answers, and returns a result."""


def error_from(
    status: int,
    body: bytes,
    headers: Mapping[str, str] = MappingProxyType({}),
    method: str = "GET",
) -> SmplyError:
    """The error that an answer stands for; one of no server of ours is shown as it came."""
    try:
        told = msgspec.json.decode(body, type=_Told)
    except ValueError:
        if status in _REDIRECTS:
            return _moved(status, headers.get("location", "elsewhere"))
        if status in _GATEWAY:
            return _gateway(status, _seconds(headers.get("retry-after", "")), method)
        if is_page(headers):
            return _too_large() if status == _TOO_LARGE else _page_of_html(status)
        said = body[:200].decode(errors="replace").strip()
        told = _Told(f"the server answered {status}" + (f": {said}" if said else ""))
    error = api_error(status, told.code, told.error, told.parameter)
    error.request_id = headers.get("x-request-id")
    error.retry_after = _seconds(headers.get("retry-after", ""))
    error.hint = _HINTS.get(error.code)
    if error.status in _NOT_NOW and error.retry_after:
        error.hint = f"try again in {error.retry_after:.0f} s"
    return error


class _Told(msgspec.Struct):
    """How a server of ours tells an error (`x-errors`)."""

    error: str
    code: str | None = None
    parameter: str | None = None


def _seconds(told: str) -> float | None:
    """Of `Retry-After`; a date is not understood."""
    return float(told) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)?", told, re.ASCII) else None


def bad_answer(body: bytes, headers: Mapping[str, str]) -> BadAnswer:
    """For an answer of success that cannot be read."""
    if is_page(headers):
        return _page_of_html(200)
    return BadAnswer(
        f"what was answered is not what smply answers: {body[:80].decode(errors='replace')}",
        hint="is this the address of a server of State Backed's API?",
    )


_REDIRECTS = (301, 302, 303, 307, 308)
_NOT_NOW = (429, 503)
_TOO_LARGE = 413
_GATEWAY = (502, 503, 504)

AGAIN = "it may have been done all the same: look before you try again"
"""The next step where nobody knows."""


def is_page(headers: Mapping[str, str]) -> bool:
    """Whether an answer is HTML, which no server of ours sends."""
    return headers.get("content-type", "").startswith("text/html")


def _page_of_html(status: int) -> BadAnswer:
    return BadAnswer(
        f"the answer is a page of HTML (status {status}), so that it comes from something else",
        hint="check the address, and whatever stands between: a proxy, a sign-in page",
    )


def _too_large() -> TooLarge:
    return TooLarge("a proxy on the way takes no more than it was sent", hint="raise its limit")


def _gateway(status: int, retry_after: float | None, method: str) -> ApiError:
    """For a proxy whose server is not to be had; it may have got the request."""
    error = ApiError(
        f"a proxy answered {status}: the server behind it did not answer",
        code="gateway",
        hint="try again in a moment" if method == "GET" else AGAIN,
        status=status,
    )
    error.retry_after = retry_after
    return error


def _moved(status: int, where: str) -> BadAnswer:
    return BadAnswer(f"the answer is {status}: it is at {where}", hint="use that address")


def is_worth_another_try(call: Call[Any], error: BaseException) -> bool:
    """Whether asking again is safe and may help.

    What was refused for its number (429), or never got there, was not done; what was only read may
    be read again when a proxy or the server was not ready, or the connection broke. Who says that
    it takes longer than we wait is not asked before.
    """
    if isinstance(error, NoAnswer):
        return not error.is_final and (call.method == "GET" or not error.was_sent)
    if isinstance(error, ApiError) and (error.retry_after or 0) <= _PAUSE_SECONDS_MAX:
        return error.status == 429 or (call.method == "GET" and error.status in _GATEWAY)
    return False


def pause_before(attempt: int, error: BaseException | None) -> float:
    """Seconds to wait before the next attempt, unless the server says how many."""
    told = error.retry_after if isinstance(error, ApiError) else None
    return 0.2 * 2.0**attempt if told is None else told


def create_machine(name: str, indexes: Sequence[str]) -> Call[None]:
    body = {"slug": name, **({"indexes": list(indexes)} if indexes else {})}
    return Call("POST", "/machines", nothing, content=json_of(body))


def get_machine(name: str) -> Call[Machine]:
    return Call("GET", path_of("/machines/{}", name), member("machine", Machine))


def list_machines(cursor: str | None) -> Call[Page[MachineSummary]]:
    return Call("GET", "/machines", page_of("machines", MachineSummary), params=cursor_of(cursor))


def set_current(name: str, version: str) -> Call[None]:
    path = path_of("/smply/machines/{}/current-version", name)
    return Call("PUT", path, nothing, content=json_of({"machineVersionId": version}))


def delete_machine(name: str) -> Call[None]:
    confirmed = {
        "dangerDataWillBeDeletedForever": True,
        "hmacSha256OfMachineNameWithMachineNameKey": confirmation(name, name),
    }
    return Call("DELETE", path_of("/machines/{}", name), nothing, content=json_of(confirmed))


def list_versions(machine: str, cursor: str | None) -> Call[Page[Version]]:
    return Call(
        "GET",
        path_of("/machines/{}/v", machine),
        page_of("versions", Version),
        params=cursor_of(cursor),
    )


def get_version(machine: str, version: str) -> Call[VersionDetail]:
    return Call("GET", path_of("/smply/machines/{}/v/{}", machine, version), one(VersionDetail))


def create_version(
    machine: str,
    code: bytes,
    client_info: str | None,
    make_current: bool,
    index_selectors: Mapping[str, str] | None,
) -> Flow[str]:
    """The three steps of S7: provisional creation, upload (S8, S9), finalization (S10, S11)."""
    begun = yield Call("POST", path_of("/machines/{}/v", machine), one(_Begun), params={"gzip": ""})
    yield Call(
        "POST",
        begun.upload_url,
        nothing,
        form={
            **begun.upload_fields,
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
    path = path_of("/machines/{}/v/{}", machine, begun.version)
    done = yield Call("PUT", path, one(_Made), content=json_of(wish))
    return str(done.version)


class _Made(msgspec.Struct):
    """What tells of a version that was made."""

    version: str = msgspec.field(name="machineVersionId")


class _Begun(_Made):
    """Where the code of a provisional version goes; its id is signed."""

    upload_url: str = msgspec.field(name="codeUploadUrl")
    upload_fields: dict[str, str] = msgspec.field(name="codeUploadFields")


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
        "POST", path_of("/machines/{}", machine), one(State), content=json_of(body), act=act
    )


def send_event(
    machine: str, name: str, event: str | Mapping[str, Any], act: Mapping[str, Any] | None
) -> Call[State]:
    return Call(
        "POST",
        path_of("/machines/{}/i/{}/events", machine, name),
        one(State),
        content=json_of({"event": event}),
        act=act,
    )


def set_status(machine: str, name: str, status: str) -> Call[None]:
    path = path_of("/machines/{}/i/{}/status", machine, name)
    return Call("PUT", path, nothing, content=json_of({"status": status}))


def delete_instance(machine: str, name: str) -> Call[None]:
    confirmed = {
        "dangerDataWillBeDeletedForever": True,
        "hmacSha256OfMachineInstanceNameWithMachineNameKey": confirmation(machine, name),
    }
    path = path_of("/machines/{}/i/{}", machine, name)
    return Call("DELETE", path, nothing, content=json_of(confirmed))


def get_instance(machine: str, name: str, act: Mapping[str, Any] | None) -> Call[State]:
    return Call("GET", path_of("/machines/{}/i/{}", machine, name), one(State), act=act)


def get_admin(machine: str, name: str) -> Call[AdminState]:
    return Call("GET", path_of("/machines/{}/i/{}/admin", machine, name), one(AdminState))


def inspect_instance(machine: str, name: str) -> Call[InstanceDetail]:
    return Call("GET", path_of("/smply/machines/{}/i/{}", machine, name), one(InstanceDetail))


def list_instances(machine: str, cursor: str | None) -> Call[Page[InstanceSummary]]:
    return Call(
        "GET",
        path_of("/machines/{}/i", machine),
        page_of("instances", InstanceSummary),
        params=cursor_of(cursor),
    )


def list_transitions(machine: str, name: str, cursor: str | None) -> Call[Page[Transition]]:
    return Call(
        "GET",
        path_of("/machines/{}/i/{}/events", machine, name),
        page_of("transitions", Transition),
        params=cursor_of(cursor),
    )


def path_of(pattern: str, *names: str) -> str:
    """The path with its names put in, escaped: a name never reaches another route."""
    # Dots alone are directories, which every part of the way would resolve.
    dots = {".": "%2E", "..": "%2E%2E"}
    return pattern.format(*(dots.get(name) or quote(name, safe="") for name in names))


def json_of(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def cursor_of(cursor: str | None) -> dict[str, str]:
    return {} if cursor is None else {"cursor": cursor}


def nothing(_body: bytes) -> None:
    return None


def one(kind: type[T]) -> Callable[[bytes], T]:
    return msgspec.json.Decoder(kind).decode


def member(name: str, kind: type[T]) -> Callable[[bytes], T]:
    def read(body: bytes) -> T:
        return msgspec.json.decode(
            msgspec.json.decode(body, type=dict[str, msgspec.Raw])[name], type=kind
        )

    return read


def page_of(name: str, kind: type[T]) -> Callable[[bytes], Page[T]]:
    def read(body: bytes) -> Page[T]:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        items = msgspec.json.decode(fields[name], type=list[kind])  # type: ignore[valid-type]
        cursor = msgspec.json.decode(fields["cursor"], type=str) if "cursor" in fields else None
        return Page(items, cursor)

    return read
