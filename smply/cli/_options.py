"""What every command is given, and the options that are used twice."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from smply.cli import _complete
from smply.contract import NAME
from smply.errors import UsageError

_DIGITS_SHOWN = 40
_ORG = re.compile(r"org_[A-Za-z0-9_-]{22}")
_VERSION = re.compile(r"ver_[A-Za-z0-9_-]{22}")


def checked_name(param: typer.CallbackParam, value: str | None) -> str | None:
    """Refuse early what could never be a name (F33)."""
    if value is not None and not NAME.fullmatch(value):
        raise UsageError(
            f'--{param.name} "{value}" is no name',
            hint="a name is 1 to 128 of A-Z a-z 0-9 _ -",
        )
    return value


def checked_version(value: str | None) -> str | None:
    """Refuse early what is no version id (F33)."""
    if value is not None and not _VERSION.fullmatch(value):
        raise UsageError(
            f'--version "{value}" is no version id',
            hint="a version id is ver_ and 22 characters; smply machine-versions list shows them",
        )
    return value


@dataclass(frozen=True)
class GlobalOptions:
    """The options that every command takes, wherever they stand on the line."""

    json: Annotated[
        bool, typer.Option("--json", help="Short for --output json; errors are JSON too.")
    ] = False
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            metavar="VIEW",
            help="json, jsonl or yaml, or tree or table for people.",
            autocompletion=_complete.views,
        ),
    ] = None
    fields: Annotated[
        str | None,
        typer.Option("--fields", metavar="A,B.C", help="Only these members, as JSON."),
    ] = None
    jq: Annotated[
        str | None, typer.Option("--jq", metavar="EXPR", help="The answer through jq.")
    ] = None
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: the answer is yes.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", help="Names and ids alone, and no remarks.")] = (
        False
    )
    data_dir: Annotated[
        str | None,
        typer.Option("--data-dir", metavar="DIR", help="Where everything is kept."),
    ] = None
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="NAME",
            help="The profile to use: a server, an org, a credential.",
            autocompletion=_complete.profiles,
        ),
    ] = None
    api_url: Annotated[
        str | None,
        typer.Option("--api-url", metavar="URL", help="The server, instead of the profile's."),
    ] = None
    org: Annotated[
        str | None,
        typer.Option(
            "--org", metavar="ID", help="The org that is meant.", autocompletion=_complete.orgs
        ),
    ] = None
    access_token: Annotated[
        str | None,
        typer.Option(
            "--access-token", metavar="TOKEN", help="The token to ask with; @FILE, @- for stdin."
        ),
    ] = None
    smply_version: Annotated[
        bool, typer.Option("--smply-version", "-V", help="Print the version of smply.")
    ] = False


MachineName = Annotated[
    str,
    typer.Option(
        "--machine",
        "-m",
        metavar="NAME",
        help="The machine.",
        callback=checked_name,
        autocompletion=_complete.machines,
    ),
]
NewMachineName = Annotated[
    str,
    typer.Option("--machine", "-m", metavar="NAME", help="Its name to be.", callback=checked_name),
]
InstanceName = Annotated[
    str,
    typer.Option(
        "--instance",
        "-i",
        metavar="NAME",
        help="The instance.",
        callback=checked_name,
        autocompletion=_complete.instances,
    ),
]
NewInstanceName = Annotated[
    str,
    typer.Option("--instance", "-i", metavar="NAME", help="Its name to be.", callback=checked_name),
]
VersionId = Annotated[
    str | None,
    typer.Option(
        "--version",
        "-v",
        metavar="ID",
        help="A version; the current one if left out.",
        callback=checked_version,
        autocompletion=_complete.versions,
    ),
]
ExistingVersion = Annotated[
    str,
    typer.Option(
        "--version",
        "-v",
        metavar="ID",
        help="The version.",
        callback=checked_version,
        autocompletion=_complete.versions,
    ),
]
AuthContext = Annotated[
    str | None,
    typer.Option(
        "--auth-context",
        "-a",
        metavar="JSON",
        help="What the machine's allowRead and allowWrite see as authContext.",
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        "-t",
        metavar="TOKEN",
        help="Ask with this token alone, as a user does; @FILE, @- for stdin.",
    ),
]
SecretStdin = Annotated[
    bool, typer.Option("--secret-stdin", help="The key's secret is the first line of stdin.")
]
TokenStdin = Annotated[
    bool, typer.Option("--token-stdin", help="The access token is the first line of stdin.")
]
Unfold = Annotated[bool, typer.Option("--all", help="Show every state, however many there are.")]
JsFile = Annotated[
    Path | None,
    typer.Option("--js", "-j", "--file", metavar="FILE", help="A finished bundle, used as it is."),
]
NodeFile = Annotated[
    Path | None,
    typer.Option(
        "--node",
        "-n",
        "--deno",
        metavar="FILE",
        help="TypeScript or JavaScript, built with what it imports.",
    ),
]
Indexes = Annotated[list[str] | None, typer.Option("--index", "-i", hidden=True)]
IndexSelectors = Annotated[str | None, typer.Option("--index-selectors", "-d", hidden=True)]
SkipValidation = Annotated[
    bool, typer.Option("--skip-validation", "-s", help="Leave the check to the publication.")
]


_LISTED = {"sbk": "keys", "usr": "members", "tok": "tokens", "inv": "invitations"}
"""The group that lists the things of a kind of id."""


def _checked_id(kind: str) -> Callable[[typer.CallbackParam, str | None], str | None]:
    form = re.compile(rf"{kind}_[A-Za-z0-9_-]{{22}}")

    def check(param: typer.CallbackParam, value: str | None) -> str | None:
        if value is not None and not form.fullmatch(value):
            hint = f"it is {kind}_ and 22 characters; smply {_LISTED[kind]} list shows them"
            raise UsageError(f'--{_flag(param)} "{value}" is no id', hint=hint)
        return value

    return check


def checked_org(org: str | None) -> str:
    """The global `--org` where a command needs it."""
    if org is None:
        raise UsageError("--org is needed", hint="--org ID; smply orgs list shows them")
    if not _ORG.fullmatch(org):
        hint = "it is org_ and 22 characters; smply orgs list shows them"
        raise UsageError(f'--org "{org}" is no id', hint=hint)
    return org


def _flag(param: typer.CallbackParam) -> str:
    return max(param.opts, key=len).removeprefix("--")


def _id(kind: str, *flags: str, what: str, words: Callable[..., list[str]]) -> Any:
    """An option that takes an id such as `sbk_…`."""
    return typer.Option(
        *flags, metavar="ID", help=what, callback=_checked_id(kind), autocompletion=words
    )


KeyId = Annotated[str, _id("sbk", "--key", "-k", what="The key.", words=_complete.keys)]
UserId = Annotated[str, _id("usr", "--user", what="The person.", words=_complete.members)]
TokenId = Annotated[
    str, _id("tok", "--token", "-t", what="The access token.", words=_complete.tokens)
]
InvitationId = Annotated[
    str,
    _id("inv", "--invitation", "-i", what="The invitation.", words=_complete.invitations),
]


def checked_text(param: typer.CallbackParam, value: str) -> str:
    """Refuse bytes that are no text before anything is made (F12)."""
    _sendable(f"--{(param.name or '').replace('_', '-')}", value)
    return value


Title = Annotated[
    str,
    typer.Option("--name", "-n", metavar="TEXT", help="Its name.", callback=checked_text),
]
Mapping = Annotated[
    str,
    typer.Option("--mapping", "-m", metavar="JSON", help="What becomes of the claims; or @FILE."),
]


def json_object(option: str, text: str | None) -> dict[str, Any] | None:
    """The JSON object that an option holds, or its @FILE; UsageError names the option (F14)."""
    if text is None:
        return None
    value = _parsed(option, _from_file(option, text) if text.startswith("@") else text)
    if not isinstance(value, dict):
        raise UsageError(
            f"{option} must be a JSON object, not {_kind(value)}", hint=example_of(option)
        )
    return value


@dataclass(frozen=True)
class Acting:
    """For whom a command acts: an auth context, or whoever a token is for."""

    act: dict[str, Any] | None = None
    token: str | None = None


def acting(auth: str | None, token: str | None) -> Acting:
    """`--auth-context` or `--token`, one of the two (F4)."""
    if auth is not None and token is not None:
        raise UsageError("--auth-context and --token exclude each other")
    if token is not None:
        return Acting(token=secret_of("--token", token))
    if auth is None:
        raise UsageError("--auth-context is needed, or --token", hint=example_of("--auth-context"))
    return Acting(json_object("--auth-context", auth) or {})


def secret_of(option: str, text: str) -> str:
    """The value of an option that others should not see: as it is, @FILE, or @- for stdin (F7)."""
    secret = _from_file(option, text).strip() if text.startswith("@") else text
    if not secret:
        hint = f"there is nothing in {text[1:]}" if text else f"{option} @FILE, or @- for stdin"
        raise UsageError(f"{option} is empty", hint=hint)
    return secret


def first_line_of_stdin(what: str) -> str:
    """What a script pipes in, or a person types without seeing it."""
    if sys.stdin is not None and sys.stdin.isatty():
        import getpass

        try:
            return getpass.getpass(f"{what}: ", stream=sys.stderr).strip()
        except (EOFError, KeyboardInterrupt) as exc:
            # What ended the question has not ended its line.
            print(file=sys.stderr)
            if isinstance(exc, KeyboardInterrupt):
                raise
            return ""
    return "" if sys.stdin is None else sys.stdin.readline().strip()


def read_file(option: str, name: str) -> bytes:
    """The file that an option names with @; `-` is stdin."""
    try:
        if name == "-":
            return sys.stdin.buffer.read() if sys.stdin is not None else b""
        return Path(name).expanduser().read_bytes()
    except (OSError, ValueError, RuntimeError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise UsageError(f"{option}: {name} cannot be read: {reason}") from exc


def _from_file(option: str, text: str) -> str:
    try:
        return read_file(option, text[1:]).decode()
    except UnicodeDecodeError as exc:
        raise UsageError(f"{option}: {text[1:]} is no UTF-8 text") from exc


def event_of(text: str) -> str | dict[str, Any]:
    """An event: JSON if it begins with `{` (F19), else the name of one (S44); or @FILE with it."""
    if text.startswith("@"):
        text = _from_file("--event", text).strip()
        if not text:
            raise UsageError("--event is empty", hint=example_of("--event"))
    if not text.lstrip().startswith("{"):
        _sendable("--event", text)
        return text
    event: dict[str, Any] = _parsed("--event", text)
    if not isinstance(event.get("type"), str) or not event["type"]:
        raise UsageError('--event has no "type"', hint=example_of("--event"))
    return event


def _parsed(option: str, text: str) -> Any:
    if text.startswith("\ufeff"):
        raise UsageError(f"{option} begins with a byte order mark", hint=example_of(option))
    try:
        value = json.loads(
            text, parse_constant=_no_constant, parse_float=_finite, parse_int=_within
        )
    except json.JSONDecodeError as exc:
        why = f"{exc.msg[:1].lower()}{exc.msg[1:]} at column {exc.colno}"
        caret = f"\n{' ' * (exc.colno - 1)}^" if "\n" not in text else ""
        raise UsageError(
            f"{option} is not JSON: {why}\n{text}{caret}", hint=example_of(option)
        ) from exc
    except RecursionError as exc:
        raise UsageError(f"{option} is nested too deep", hint=example_of(option)) from exc
    except ValueError as exc:
        raise UsageError(f"{option} is not JSON: {exc}", hint=example_of(option)) from exc
    _sendable(option, value)
    return value


def _sendable(option: str, value: Any) -> None:
    """Refuse a value with half a letter in it, which UTF-8 cannot carry."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as exc:
        raise UsageError(f"{option} holds what is no Unicode text") from exc


def _no_constant(name: str) -> None:
    # Python would take NaN and Infinity, which JSON does not have.
    raise ValueError(f"it holds {name}")


def _finite(digits: str) -> float:
    # So is a number that is too large for any machine.
    number = float(digits)
    if math.isinf(number):
        shown = digits if len(digits) <= _DIGITS_SHOWN else f"a number of {len(digits)} digits"
        raise ValueError(f"{shown} is beyond all numbers")
    return number


def _within(digits: str) -> int | float:
    # Beyond what Python reads, only the range counts; machines have no more than floats.
    number = _finite(digits)
    return int(digits) if len(digits) <= _DIGITS_SHOWN else number


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    kinds = {list: "an array", str: "a string"}
    return next((words for kind, words in kinds.items() if isinstance(value, kind)), "a number")


JSON_OPTIONS = {
    "--auth-context": '{"sub": "u_12"}',
    "--context": '{"key": "value"}',
    "--event": '{"type": "NAME"}',
    "--mapping": '{"sub.$": "$.sub"}',
    "--claims": '{"sub": "u_12"}',
}
"""The options that take JSON, each with an example."""


def example_of(option: str) -> str:
    """An option of JSON with a value that it takes."""
    return f"{option} '{JSON_OPTIONS[option]}'"
