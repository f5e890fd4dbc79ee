"""Between HTTP and the engine: ids, times, names, bodies, pages, answers."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from smply.contract import NAME, confirmation, show_time
from smply.errors import ApiError, ExchangeRefused, InvalidParameter, TooLarge

T = TypeVar("T")
Row = TypeVar("Row")

PAGE_SIZE = 100
PAGE_SIZE_MAX = 1_000
"""Rows of one page, unless and at most (Q32)."""

BODY_BYTES_MAX = 2_000_000
"""Of a JSON body: an event or a context at its limit, with room for white space."""

_JSON = "application/json"
_TS = '{"ts":'
_DANGER = "dangerDataWillBeDeletedForever"


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


def time_of(text: str, parameter: str) -> int:
    """A time in ISO 8601 with its zone, in milliseconds of the epoch. Raises InvalidParameter."""
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is not None:
            ms = round(time.timestamp() * 1000)
            # Rounding, or the zone, may leave the years that can be shown.
            show_time(ms)
            return ms
    except (ValueError, OverflowError):
        pass
    raise InvalidParameter("a time is like 2027-01-31T12:00:00.000Z", parameter=parameter)


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
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
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


def json_answer(value: Any, status: int = 200) -> Response:
    """An answer with JSON."""
    return Response(msgspec.json.encode(value), status, media_type=_JSON)


def state_answer(text: str) -> Response:
    """200 with a state of an instance, which is finished JSON, and its ETag."""
    return Response(text, media_type=_JSON, headers={"etag": etag_of(text)})


def etag_of(state: str) -> str:
    """What names a state: its `ts`, which rises strictly (Q13); the JSON begins with it."""
    return f'"{state[len(_TS) : state.index(",")]}"'


def error_answer(error: ApiError) -> Response:
    """An error in the shape of ErrorBody, `{"error", "code", "parameter"?}`, or of OAuth's."""
    body = {"error": error.message, "code": error.code}
    if error.parameter is not None:
        body["parameter"] = error.parameter
    if isinstance(error, ExchangeRefused):
        body |= {"error": error.error, "error_description": error.message}
    headers = {"retry-after": "1"} if error.status in (429, 503) else None
    if error.code == "missing-user":
        # Q1: a 403, since the client knows no other, and yet what a 401 would say.
        headers = {"www-authenticate": "Bearer"}
    return Response(
        msgspec.json.encode(body), status_code=error.status, media_type=_JSON, headers=headers
    )


def too_large(bytes_max: int) -> TooLarge:
    """The error for a body that goes on beyond its limit."""
    return TooLarge(f"the body has more than {bytes_max:,} bytes")


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for: the row after which it begins, and how many rows."""

    after: int
    limit: int

    @property
    def one_more(self) -> int:
        """How many to look for, so that it is known whether more follow."""
        return self.limit + 1

    def answer(
        self, member: str, rows: Sequence[Row], show: Callable[[Row], Any],
        place: Callable[[Row], int],
    ) -> Response:  # fmt: skip
        """The rows, of which one more than a page was looked for; the cursor goes on."""
        page: dict[str, Any] = {member: [show(row) for row in rows[: self.limit]]}
        if len(rows) > self.limit:
            page["cursor"] = str(place(rows[self.limit - 1]))
        return json_answer(page)


def page_in(request: Request) -> Page:
    """The `cursor` and the `limit` of a list (Q32). Raises InvalidParameter."""
    cursor = request.query_params.get("cursor", "0")
    if not _is_number(cursor, 18):
        raise InvalidParameter("this cursor was not given out here", parameter="cursor")
    limit = request.query_params.get("limit", str(PAGE_SIZE))
    if not _is_number(limit, 5) or not 1 <= int(limit) <= PAGE_SIZE_MAX:
        raise InvalidParameter(f"a limit is 1 to {PAGE_SIZE_MAX}", parameter="limit")
    return Page(int(cursor), int(limit))


def _is_number(text: str, digits_max: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= digits_max
