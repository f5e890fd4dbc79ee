"""What every command is given, and the options that are used twice."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from smply.cli import _complete
from smply.contract import NAME
from smply.errors import UsageError

_VERSION = re.compile(r"ver_[A-Za-z0-9_-]{22}")


def _checked_name(param: typer.CallbackParam, value: str | None) -> str | None:
    """Refuse early what could never be a name (F33)."""
    if value is not None and not NAME.fullmatch(value):
        raise UsageError(
            f'--{param.name} "{value}" is no name',
            hint="a name is 1 to 128 of A-Z a-z 0-9 _ -",
        )
    return value


def _checked_version(value: str | None) -> str | None:
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
            help="json, or tree or table for people.",
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
    quiet: Annotated[
        bool, typer.Option("--quiet", help="No remarks, only the answer and errors.")
    ] = False
    data_dir: Annotated[
        str | None,
        typer.Option("--data-dir", metavar="DIR", help="Where everything is kept."),
    ] = None
    profile: Annotated[
        str | None, typer.Option("--profile", metavar="NAME", help="The profile: local.")
    ] = None
    access_token: Annotated[str | None, typer.Option("--access-token", hidden=True)] = None
    api_url: Annotated[str | None, typer.Option("--api-url", hidden=True)] = None
    org: Annotated[str | None, typer.Option("--org", hidden=True)] = None
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
        callback=_checked_name,
        autocompletion=_complete.machines,
    ),
]
NewMachineName = Annotated[
    str,
    typer.Option("--machine", "-m", metavar="NAME", help="Its name to be.", callback=_checked_name),
]
InstanceName = Annotated[
    str,
    typer.Option(
        "--instance",
        "-i",
        metavar="NAME",
        help="The instance.",
        callback=_checked_name,
        autocompletion=_complete.instances,
    ),
]
NewInstanceName = Annotated[
    str,
    typer.Option(
        "--instance", "-i", metavar="NAME", help="Its name to be.", callback=_checked_name
    ),
]
VersionId = Annotated[
    str | None,
    typer.Option(
        "--version",
        "-v",
        metavar="ID",
        help="A version; the current one if left out.",
        callback=_checked_version,
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
        callback=_checked_version,
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
Token = Annotated[str | None, typer.Option("--token", "-t", hidden=True)]
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


def checked_text(param: typer.CallbackParam, value: str) -> str:
    """Refuse bytes that are no text before anything is made (F12)."""
    _sendable(f"--{(param.name or '').replace('_', '-')}", value)
    return value


def json_object(option: str, text: str | None) -> dict[str, Any] | None:
    """The JSON object that an option holds; UsageError names the option otherwise (F14)."""
    if text is None:
        return None
    value = _parsed(option, text)
    if not isinstance(value, dict):
        raise UsageError(
            f"{option} must be a JSON object, not {_kind(value)}", hint=_example(option)
        )
    return value


def auth_context(text: str | None, token: str | None) -> dict[str, Any]:
    """Who a command acts for. `--token` is refused, so that `--auth-context` is needed."""
    from smply.cli._not_built import refuse_token

    refuse_token(token)
    if text is None:
        raise UsageError("--auth-context is needed", hint=_example("--auth-context"))
    return json_object("--auth-context", text) or {}


def event_of(text: str) -> str | dict[str, Any]:
    """An event: JSON if it begins with `{` (F19), else the name of one (S44)."""
    if not text:
        raise UsageError("--event is empty", hint='--event NAME, or --event \'{"type": "NAME"}\'')
    if not text.lstrip().startswith("{"):
        _sendable("--event", text)
        return text
    event: dict[str, Any] = _parsed("--event", text)
    if not isinstance(event.get("type"), str) or not event["type"]:
        raise UsageError('--event has no "type"', hint=_example("--event"))
    return event


def _parsed(option: str, text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError as exc:
        why = f"{exc.msg[:1].lower()}{exc.msg[1:]} at column {exc.colno}"
        caret = f"\n{' ' * (exc.colno - 1)}^" if "\n" not in text else ""
        raise UsageError(
            f"{option} is not JSON: {why}\n{text}{caret}", hint=_example(option)
        ) from exc
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"{option} is not JSON: {exc}", hint=_example(option)) from exc
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
        raise ValueError(f"{digits} is beyond all numbers")
    return number


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    kinds = {list: "an array", str: "a string"}
    return next((words for kind, words in kinds.items() if isinstance(value, kind)), "a number")


_EXAMPLES = {
    "--auth-context": '{"sub": "u_12"}',
    "--context": '{"key": "value"}',
    "--event": '{"type": "NAME"}',
}


def _example(option: str) -> str:
    return f"{option} '{_EXAMPLES[option]}'"
