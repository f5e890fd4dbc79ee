"""The errors of smply: one tree, and for each a code, a status and a message.

SmplyError                          anything that smply refuses or that failed
├── UsageError                      the command was wrong; nothing was sent
├── BuildError                      a source file could not be made a bundle
├── NotConfirmed                    a question was declined, or could not be asked
├── NotSignedIn                     a server is to be asked, and there is no credential for it
├── NoAnswer                        the server could not be reached, or was silent too long
├── BadAnswer                       what answered speaks something else
├── DataDirectoryError              the data directory cannot be opened or is too new
└── ApiError                        what a server answers; has a status
    ├── InvalidParameter        400
    │   └── ExchangeRefused     400 of a token exchange
    ├── Forbidden               403
    │   └── AuthorizerRefused   403 the machine's allowRead or allowWrite
    ├── NotFound                404
    ├── Conflict                409
    ├── TooLarge                413
    ├── LimitExceeded           429
    ├── MachineError            500 machine code threw, looped or ate its memory
    ├── NotBuilt                501 asked for, but not built yet
    ├── Unavailable             503
    └── SettleTimeout           504

The first line of a message is one sentence; lines after it, if there are any, are evidence
(a stack, a source line). Codes are those of the contract (`x-errors`).
"""

from __future__ import annotations


class SmplyError(Exception):
    """Anything that smply refuses, or that failed.

    `message` is one sentence, perhaps with lines of evidence below it; `code` is for programs;
    `hint` is the next thing to do, or None.
    """

    code: str = "error"

    def __init__(self, message: str, *, code: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code


class UsageError(SmplyError):
    """The command was wrong: refused before anything was sent."""

    code = "usage"


class BuildError(SmplyError):
    """A source file could not be made into a bundle, or the bundle is no machine."""

    code = "build-failed"


class NotConfirmed(SmplyError):
    """A question was declined, or could not be asked. Nothing was done."""

    code = "not-confirmed"


class NotSignedIn(SmplyError):
    """A server is to be asked, and there is no credential for it. Nothing was sent."""

    code = "missing-user"


class NoAnswer(SmplyError):
    """The server could not be reached, or did not answer in time.

    `was_sent`: whether it may have got the request, and so have done what it asks for;
    `is_final`: whether another try is no help.
    """

    code = "no-answer"
    was_sent = True
    is_final = False


class BadAnswer(SmplyError):
    """What was answered is no answer of a server of ours: a page of HTML, a redirect, no JSON."""

    code = "bad-answer"


class DataDirectoryError(SmplyError):
    """The data directory cannot be opened, or a newer smply has written it."""

    code = "data-directory"


class ApiError(SmplyError):
    """What a server answers. `parameter` names the wrong parameter of a 400.

    `retry_after` is in how many seconds it may be asked again (429, 503), `request_id` what the
    server's log has it under; None where it does not say.
    """

    status: int = 500
    retry_after: float | None = None
    request_id: str | None = None

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        parameter: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.parameter = parameter
        if status is not None:
            self.status = status


class InvalidParameter(ApiError):
    """400: a parameter is wrong; `parameter` names it."""

    status = 400
    code = "invalid-parameter"


class ExchangeRefused(InvalidParameter):
    """400 in the form of RFC 6749, 5.2; `error` is one of its codes."""

    def __init__(self, message: str, error: str, parameter: str) -> None:
        super().__init__(message, parameter=parameter)
        self.error = error


class Forbidden(ApiError):
    """403: the caller may not do this."""

    status = 403
    code = "missing-scope"


class AuthorizerRefused(Forbidden):
    """403: allowRead or allowWrite did not return true (S99, S100)."""

    code = "rejected-by-machine-authorizer"


class NotFound(ApiError):
    """404: no machine, version or instance of that name."""

    status = 404
    code = "not-found"


class Conflict(ApiError):
    """409: a name in use, a paused instance (C25)."""

    status = 409
    code = "invalid-state"


class TooLarge(ApiError):
    """413: an event or an upload beyond its limit (S22, Q46)."""

    status = 413
    code = "too-large"


class LimitExceeded(ApiError):
    """429: a queue is full; try again later."""

    status = 429
    code = "limit-exceeded"


class MachineError(ApiError):
    """500: machine code threw, looped or ate its memory; nothing was changed (Q4)."""

    status = 500
    code = "machine-error"


class NotBuilt(ApiError):
    """501: asked for, but not built yet; nothing was done."""

    status = 501
    code = "not-implemented"


class Unavailable(ApiError):
    """503: the store or a code process is not to be had just now."""

    status = 503
    code = "unavailable"


class SettleTimeout(ApiError):
    """504: time ran out before any transition (Q6)."""

    status = 504
    code = "settle-timeout"


_BY_STATUS: dict[int, type[ApiError]] = {
    error.status: error
    for error in (
        InvalidParameter, Forbidden, NotFound, Conflict, TooLarge,
        LimitExceeded, MachineError, NotBuilt, Unavailable, SettleTimeout,
    )
}  # fmt: skip


def api_error(status: int, code: str | None, message: str, parameter: str | None) -> ApiError:
    """The error that an answer of this status and code stands for."""
    kind = _BY_STATUS.get(status, ApiError)
    if kind is Forbidden and code == AuthorizerRefused.code:
        kind = AuthorizerRefused
    return kind(message, code=code, parameter=parameter, status=status)
