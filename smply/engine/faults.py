"""What a machine refused or broke, in a sentence for the one who asked."""

from __future__ import annotations

import msgspec

from smply.contract import CONTEXT_BYTES_MAX
from smply.errors import (
    ApiError,
    AuthorizerRefused,
    Conflict,
    InvalidParameter,
    MachineError,
    NotBuilt,
    NotFound,
)
from smply.runtime import Failed, Refused

_WHY_REFUSED = {
    "threw": "it threw {detail}",
    "promise": "it returned a promise; an authorizer must return true at once",
    "not-true": "it returned {detail}; only true permits",
}


class _Typed(msgspec.Struct):
    type: str


def deleted_meanwhile(machine: str) -> NotFound:
    """404 for what was there when it was asked for, and is gone before it was done."""
    return NotFound(f"{machine} was deleted meanwhile", parameter="machineSlug")


def event_type(event: bytes) -> str:
    """The type of an event; what has none is told by itself, cut."""
    try:
        return msgspec.json.decode(event, type=_Typed).type
    except msgspec.ValidationError:
        return event[:80].decode(errors="replace")


def fault_of(
    answer: Refused | Failed, machine: str, name: str, event: bytes | None, auth: bytes | None
) -> ApiError:
    """The error that an answer of the host stands for; `event` is None for an initialization."""
    if isinstance(answer, Refused):
        what = "the initialization of" if event is None else f'event "{event_type(event)}" on'
        return refusal("allowWrite", answer, machine, f"{what} {name}", auth)
    doing = f"{name} was initialized" if event is None else f'{name} handled "{event_type(event)}"'
    return failure(answer, doing)


def refusal(
    authorizer: str, answer: Refused, machine: str, what: str, auth: bytes | None
) -> AuthorizerRefused:
    """403 for an authorizer that did not return true (S99, S100, Q5)."""
    lines = [f"{authorizer} of {machine} refused {what}"]
    why = _WHY_REFUSED.get(answer.reason)
    if why is not None:
        lines.append(why.format(detail=answer.detail))
    lines.append(f"it was given authContext {(auth or b'null').decode()}")
    return AuthorizerRefused("\n".join(lines))


def failure(answer: Failed, doing: str) -> ApiError:
    """The error for machine code that threw, looped, or asked for what is not built (Q4)."""
    if answer.kind == "not-implemented":
        return NotBuilt(f"{answer.message}, met while {doing}; nothing was changed")
    if answer.kind == "invalid-state":
        return Conflict(f"{answer.message} (when {doing})")
    if answer.kind == "context-too-large":
        return InvalidParameter(
            f"the context would have more than {CONTEXT_BYTES_MAX:,} bytes after {doing};"
            " nothing was changed",
            parameter="context",
        )
    what, _, why = answer.message.partition(": ")
    evidence = "\n".join(filter(None, (why, answer.stack)))
    return MachineError(f"{what} while {doing}; nothing was changed\n{evidence}".rstrip())
