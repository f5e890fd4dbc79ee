"""Between HTTP and the engine: ids, times, names, bodies, pages, answers."""

from __future__ import annotations

import base64
import hmac
import re
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from smply.contract import NAME, confirmation
from smply.errors import ApiError, InvalidParameter, NotBuilt, TooLarge

T = TypeVar("T")
Row = TypeVar("Row")

PAGE_SIZE = 100
"""Rows of one page (Q32)."""

BODY_BYTES_MAX = 2_000_000
"""Of a JSON body: an event or a context at its limit, with room for white space."""

_JSON = "application/json"
_DANGER = "dangerDataWillBeDeletedForever"


def show_id(prefix: str, raw: bytes) -> str:
    """`ver_…`: the prefix and the 16 bytes in base64url without padding (x-id-formats)."""
    return f"{prefix}_{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}"


def parse_id(prefix: str, text: str, parameter: str) -> bytes:
    """The 16 bytes of an id. Raises InvalidParameter."""
    body = text.removeprefix(f"{prefix}_")
    try:
        raw = uuid.UUID(bytes=base64.b64decode(f"{body}==", altchars=b"-_", validate=True)).bytes
    except ValueError:
        raw = b""
    if show_id(prefix, raw) != text:
        raise InvalidParameter(f"{text} is no id like {prefix}_…", parameter=parameter)
    return raw


def show_time(ms: int) -> str:
    """ISO 8601 with milliseconds, as JavaScript's toISOString writes it."""
    return (
        datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03}Z"
    )


def name_in(request: Request, parameter: str) -> str:
    """A name from the path (C4). Raises InvalidParameter."""
    return checked_name(request.path_params[parameter], parameter)


def checked_name(name: str, parameter: str) -> str:
    """The name, if it is one (C4). Raises InvalidParameter."""
    if NAME.fullmatch(name) is None:
        raise InvalidParameter(
            f'"{name[:150]}" is no name: use 1 to 128 of A-Z a-z 0-9 _ -', parameter=parameter
        )
    return name


async def body_of(request: Request, kind: type[T]) -> T:
    """The JSON body, whatever its content type; an absent one is `{}` (x-bodies).

    Raises InvalidParameter where it is no JSON of this shape.
    """
    return decoded(await request.body(), kind)


def decoded(body: bytes, kind: type[T]) -> T:
    """A JSON body as a value; an absent one is `{}`. Raises InvalidParameter."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as exc:
        raise InvalidParameter(
            f"the body is not as it should be: {exc}", parameter=_of(exc)
        ) from exc
    except (msgspec.DecodeError, RecursionError) as exc:
        raise InvalidParameter(f"the body is no JSON: {exc}", parameter="body") from exc


def _of(exc: msgspec.ValidationError) -> str:
    """The member that msgspec complains about: `… - at `$.event`` or `… required field `slug``."""
    found = re.search(r"`\$\.(\w+)|required field `(\w+)`", str(exc))
    return (found[1] or found[2]) if found else "body"


def check_confirmation(danger: bool, proof: str, parameter: str, machine: str, name: str) -> None:
    """Refuse a deletion that does not say what it does, and to whom (S163, S164).

    `parameter` names the member that holds the proof, padded or not. Raises InvalidParameter.
    """
    if not danger:
        raise InvalidParameter(
            "a deletion is for ever, and must say that it knows", parameter=_DANGER
        )
    if not hmac.compare_digest(proof.rstrip("=").encode(), confirmation(machine, name).encode()):
        raise InvalidParameter(
            f"this does not confirm that {name} shall be deleted", parameter=parameter
        )


def one_line(raw: msgspec.Raw, kind: type[T], parameter: str) -> tuple[bytes, T]:
    """The JSON of a member on one line, since a line end is only white space; and its value.

    It is read whole: what our own clients could not read again is never kept (S56). Raises
    InvalidParameter where it is no UTF-8, or holds a number or a depth beyond what JSON is for.
    """
    text = bytes(raw)
    try:
        text.decode()
        value = msgspec.json.decode(text, type=kind)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as exc:
        raise InvalidParameter(
            f"{parameter} is not as it should be: {exc}", parameter=parameter
        ) from exc
    return _joined(text), value


def _joined(text: bytes) -> bytes:
    return (
        text.replace(b"\n", b" ").replace(b"\r", b" ") if b"\n" in text or b"\r" in text else text
    )


def no_answer() -> Response:
    """204: done."""
    return Response(status_code=204)


def json_answer(value: Any) -> Response:
    """200 with JSON."""
    return Response(msgspec.json.encode(value), media_type=_JSON)


def text_answer(text: str) -> Response:
    """200 with JSON that is finished already."""
    return Response(text, media_type=_JSON)


def error_answer(error: ApiError) -> Response:
    """An error in the shape of ErrorBody: `{"error", "code", "parameter"?}`."""
    body = {"error": error.message, "code": error.code}
    if error.parameter is not None:
        body["parameter"] = error.parameter
    headers = {"retry-after": "1"} if error.status in (429, 503) else None
    return Response(
        msgspec.json.encode(body), status_code=error.status, media_type=_JSON, headers=headers
    )


def too_large(bytes_max: int) -> TooLarge:
    """The error for a body that goes on beyond its limit."""
    return TooLarge(f"the body has more than {bytes_max:,} bytes")


def cursor_in(request: Request) -> int:
    """Where a page begins: the row after which it goes on. Raises InvalidParameter, NotBuilt."""
    if "limit" in request.query_params:
        raise NotBuilt("limit is not supported yet")
    cursor = request.query_params.get("cursor")
    if cursor is None:
        return 0
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise InvalidParameter("this cursor was not given out here", parameter="cursor")
    return int(cursor)


def page_answer(
    member: str, rows: Sequence[Row], show: Callable[[Row], Any], place: Callable[[Row], int]
) -> Response:
    """One page of rows, of which one more than a page was asked for; the cursor goes on."""
    page: dict[str, Any] = {member: [show(row) for row in rows[:PAGE_SIZE]]}
    if len(rows) > PAGE_SIZE:
        page["cursor"] = str(place(rows[PAGE_SIZE - 1]))
    return json_answer(page)


def refuse_unbuilt_members(**members: object) -> None:
    """501 for the members of a body that are asked for and not built yet."""
    for name, value in members.items():
        if value is not msgspec.UNSET:
            raise NotBuilt(f"{name} is not supported yet")
