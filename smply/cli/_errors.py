"""From an error to what is said and the exit status (`contract/cli.md`, "Ours")."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from smply.contract import ORG_HEADER
from smply.errors import (
    ApiError,
    NoAnswer,
    NotConfirmed,
    NotSignedIn,
    SmplyError,
    UsageError,
)

USAGE = 2
INTERRUPTED = 130

_STATUS_OF_KIND: tuple[tuple[type[SmplyError], int], ...] = (
    (UsageError, USAGE),
    (NotConfirmed, 3),
    (NotSignedIn, 4),
    (NoAnswer, 7),
)
_STATUS_OF_HTTP = {401: 4, 403: 4, 404: 5, 409: 6, 412: 6, 504: 7}

_STACK_LINES = 3
"""Lines of a stack that people are shown; `--json` has all."""


@dataclass(frozen=True)
class Subject:
    """What a command was about, so that a hint can name it."""

    machine: str | None = None
    instance: str | None = None
    version: str | None = None
    event: bool = False
    token: bool = False
    """Whether it asked with a token of its own, `--token`."""


@dataclass(frozen=True)
class Report:
    """An error as it is told: a sentence, evidence below it, one next step."""

    code: str
    message: str
    hint: str | None
    exit_status: int
    request_id: str | None = None

    @property
    def sentence(self) -> str:
        return self.message.partition("\n")[0]

    @property
    def evidence(self) -> list[str]:
        return self.message.split("\n")[1:]


def report(error: Exception, subject: Subject = Subject()) -> Report:
    """What is said of an error that met a command."""
    if not isinstance(error, SmplyError):
        error = _known(error)
    hint = error.hint or _hint(error, subject) or _log_hint(error)
    if isinstance(error, NoAnswer) and not error.was_sent:
        hint = f"{hint} (smply profile show says which server is asked)"
    request_id = getattr(error, "request_id", None)
    # A server names the header by which the flag travels.
    message = error.message.replace(ORG_HEADER, "--org")
    return Report(error.code, message, hint, exit_status(error), request_id)


def exit_status(error: SmplyError) -> int:
    """The exit status that an error ends a command with."""
    if isinstance(error, ApiError):
        return _STATUS_OF_HTTP.get(error.status, 1)
    return next((status for kind, status in _STATUS_OF_KIND if isinstance(error, kind)), 1)


def shortened(evidence: list[str]) -> tuple[list[str], bool]:
    """Evidence for people, its stack cut; and whether something was cut."""
    stack = [at for at, line in enumerate(evidence) if re.match(r"\s*at ", line)]
    hidden = set(stack[_STACK_LINES:])
    return [line for at, line in enumerate(evidence) if at not in hidden], bool(hidden)


def nearest(word: str, known: list[str]) -> str | None:
    """The known word that was probably meant."""
    return next(iter(difflib.get_close_matches(word.lower(), known, n=1)), None)


def _log_hint(error: SmplyError) -> str | None:
    """Where whoever runs the server finds what it has met (F34)."""
    if isinstance(error, ApiError) and error.status >= 500 and error.request_id is not None:
        return f"the server's log has it under {error.request_id}"
    return None


def _hint(error: SmplyError, subject: Subject) -> str | None:
    """The next step for what a server said, by its code and the parameter that it names."""
    if not isinstance(error, ApiError):
        return None
    hints = _hints(subject)
    return hints.get((error.code, error.parameter)) or hints.get((error.code, None))


def _hints(subject: Subject) -> dict[tuple[str, str | None], str]:
    machine, instance = subject.machine, subject.instance
    publish = f"smply machine-versions create -m {machine} -r REFERENCE -c --node FILE"
    resume = f"smply instances set-status -m {machine} -i {instance} -s running"
    return {
        ("not-found", "machineSlug"): "smply machines list",
        ("not-found", "instanceSlug"): f"smply instances list -m {machine}",
        ("not-found", "machineVersionId"): f"smply machine-versions list -m {machine}",
        ("invalid-state", "slug"): (
            f"smply instances get -m {machine} -i {instance}" if instance else publish
        ),
        ("invalid-state", "machineSlug"): f"smply instances list -m {machine}",
        ("invalid-state", "status"): resume,
        ("invalid-parameter", "machineVersionId"): publish,
        ("invalid-parameter", "event"): "send an event of the machine's own",
        ("invalid-parameter", "context"): "keep in the context only what the machine needs",
        ("rejected-by-machine-authorizer", None): (
            "the machine sees the token's claims: smply tokens generate --claims"
            if subject.token
            else "--auth-context sets what the machine sees"
        ),
        ("machine-error", None): (
            "the event was not taken: send another, or mend the machine"
            if subject.event
            else "mend the machine, or give it another context"
        ),
        ("not-implemented", None): "the README says what a machine may use so far",
        ("missing-user", None): (
            "smply tokens generate makes another token"
            if subject.token
            else "smply login signs in; smply profile show says who asks, and where"
        ),
        ("specify-org", None): "smply orgs list, then --org ID or smply orgs default set --org ID",
        ("missing-org", None): "smply orgs create --name NAME, or an invitation to one",
        ("missing-org", ORG_HEADER): (
            "smply orgs list shows yours; smply profile show which is meant"
        ),
        ("invalid-parameter", "keyId"): "smply keys list",
        ("invalid-parameter", "scopes"): "smply keys create --help names them",
    }


def _known(error: Exception) -> SmplyError:
    """What the system refuses, or a fault of our own with its place, told in one line."""
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return SmplyError(f"the system says: {error.strerror}{where}", code="system")
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})" if trace else ""
    return SmplyError(
        f"smply met a fault of its own: {type(error).__name__}: {error}{place}",
        code="internal",
        hint="please report it with the command that you ran",
    )
