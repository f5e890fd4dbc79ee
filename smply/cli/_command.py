"""How a command is declared: its own options in its signature, the global ones added to them."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, get_type_hints

import typer

from smply.cli._errors import INTERRUPTED, Subject, nearest, report
from smply.cli._interrupt import run
from smply.cli._options import GlobalOptions
from smply.cli._output import Output, ReaderGone, Wishes
from smply.config import Config, load_config
from smply.connection import Connection, Flags, connect
from smply.errors import UsageError
from smply.profiles import LOCAL

if TYPE_CHECKING:
    from smply.cli._connect import Clock
    from smply.client import AsyncClient

VIEWS = ("tree", "table")
FORMATS = ("json", "jsonl", "yaml")
SETTINGS = {"help_option_names": ["-h", "--help"]}
"""Typer's settings of every command and group."""


@dataclass(frozen=True)
class Given:
    """What every command is given: the settings, where its words go, and whether it asks.

    `flags` are those that say which server is asked and as whom.
    """

    config: Config
    output: Output
    yes: bool = False
    flags: Flags = field(default_factory=Flags)

    @cached_property
    def connection(self) -> Connection:
        """Where the command goes and as whom. Raises UsageError, ProfileError."""
        from smply.cli._options import secret_of

        token = self.flags.access_token
        if token is not None:
            token = secret_of("--access-token", token)
        return connect(replace(self.flags, access_token=token), self.config)

    @asynccontextmanager
    async def client(
        self, *, token: str | None = None, as_nobody: bool = False
    ) -> AsyncIterator[AsyncClient]:
        """A client of the profile in use; `token` takes the place of its credential."""
        from smply.cli._connect import open_client

        async with open_client(
            self.config, self.connection, self.output, token=token, as_nobody=as_nobody
        ) as client:
            yield client

    def stay_here(self, what: str) -> None:
        """Refuse a flag that names a server where a command works on the data directory alone."""
        given = {"--api-url": self.flags.api_url, "--access-token": self.flags.access_token}
        given |= {"--org": self.flags.org}
        if self.flags.profile not in (None, LOCAL):
            given["--profile"] = self.flags.profile
        for flag, value in given.items():
            if value is not None:
                raise UsageError(
                    f"{flag} names a server, and {what}", hint="--data-dir says where that is"
                )

    @property
    def clock(self) -> Clock:
        """The clock of the settings."""
        from smply.cli._connect import clock_of

        return clock_of(self.config)


Body = Callable[..., Any]
"""A command: `(given, **options)`, asynchronous or not; its docstring is its help."""


def command(
    group: typer.Typer, name: str, *, view: str | None, named: str | None = None
) -> Callable[[Body], Body]:
    """Declare a command of a group; `view` is how people see its answer, None if it has none.

    `named` is the member by which the things of its answer are known: `--quiet` prints that alone.
    """

    def declare(body: Body) -> Body:
        group.command(name, context_settings=SETTINGS)(_callback(body, view, named))
        return body

    return declare


def version_text() -> str:
    """The version of the installed package (F24)."""
    from importlib.metadata import version

    return version("smply")


def _callback(body: Body, view: str | None, named: str | None) -> Body:
    own = list(inspect.signature(body, eval_str=True).parameters.values())[1:]

    def call(**values: Any) -> None:
        options = GlobalOptions(**{name: values.pop(name) for name in _global_names()})
        if options.smply_version:
            print(version_text())
            return
        _run(body, (view, named), options, values)

    call.__doc__ = _with_whole_examples(inspect.getdoc(body) or "")
    call.__name__ = body.__name__
    call.__signature__ = inspect.Signature([*own, *global_parameters()])  # type: ignore[attr-defined]
    return call


def _with_whole_examples(text: str) -> str:
    """A docstring whose examples are not wrapped, so that they can be copied (Click's `\\b`)."""
    return text.replace("\n\nsmply ", "\n\n\b\nsmply ")


def _run(
    body: Body, shown: tuple[str | None, str | None], options: GlobalOptions, values: dict[str, Any]
) -> None:
    json = options.json or options.output in FORMATS or options.fields or options.jq
    output = Output(Wishes("json" if json else None))
    result = None
    try:
        wishes = _wishes(options, *shown)
        output = Output(wishes)
        flags = Flags(
            options.profile, options.api_url, options.access_token, options.org, options.data_dir
        )
        given = Given(load_config(data_dir=options.data_dir), output, options.yes, flags)
        result = body(given, **values)
        if inspect.iscoroutine(result):
            run(result)
    except (ReaderGone, typer.Exit):
        raise
    except KeyboardInterrupt:
        if inspect.iscoroutine(result):
            # It may not have begun yet, of which Python would warn.
            result.close()
        raise typer.Exit(INTERRUPTED) from None
    except Exception as exc:
        told = report(exc, _subject(values))
        output.error(told)
        raise typer.Exit(told.exit_status) from exc


def _subject(values: dict[str, Any]) -> Subject:
    return Subject(
        values.get("machine"),
        values.get("instance"),
        values.get("version"),
        "event" in values,
        "auth" in values and values["token"] is not None,
    )


def _wishes(options: GlobalOptions, view: str | None, named: str | None) -> Wishes:
    """What is asked of the output; refuses what this command cannot give."""
    if options.json and options.output not in (None, "json"):
        raise UsageError(f"--json and --output {options.output} exclude each other")
    wanted = "json" if options.json else options.output
    if wanted not in (None, *FORMATS, *VIEWS):
        near = nearest(wanted, [*FORMATS, *VIEWS])
        hint = f"--output {near}?" if near else "--output json, jsonl, yaml, tree or table"
        raise UsageError(f"--output {wanted} is not known", hint=hint)
    if wanted in VIEWS and wanted != view:
        raise UsageError(f"this command has no {wanted}", hint=f"--output {view or 'json'}")
    for option, value in (("--fields", options.fields), ("--jq", options.jq)):
        if wanted in VIEWS and value is not None:
            hint = f"{option} picks from JSON: leave --output out"
            raise UsageError(f"{option} and --output {wanted} exclude each other", hint=hint)
    if options.jq is not None:
        from smply.cli._select import check_jq

        check_jq(options.jq)
    names = tuple(name for name in (options.fields or "").split(",") if name)
    if options.fields is not None and not names:
        raise UsageError(f"--fields {options.fields} names no field", hint="--fields A,B.C")
    return Wishes(wanted, names, options.jq, options.quiet, named)


@cache
def global_parameters() -> tuple[inspect.Parameter, ...]:
    """The global options as parameters of a function."""
    hints = get_type_hints(GlobalOptions, include_extras=True)
    return tuple(
        inspect.Parameter(
            option.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=option.default,
            annotation=hints[option.name],
        )
        for option in fields(GlobalOptions)
    )


@cache
def _global_names() -> tuple[str, ...]:
    return tuple(option.name for option in fields(GlobalOptions))
