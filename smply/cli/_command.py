"""How a command is declared: its own options in its signature, the global ones added to them."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import typer

from smply.cli._errors import INTERRUPTED, Subject, report
from smply.cli._not_built import refuse_servers
from smply.cli._options import GlobalOptions
from smply.cli._output import Output, ReaderGone, Wishes
from smply.config import Config, load_config
from smply.errors import UsageError

if TYPE_CHECKING:
    from smply.cli._connect import Clock
    from smply.client import AsyncClient

VIEWS = ("tree", "table")
SETTINGS = {"help_option_names": ["-h", "--help"]}
"""Typer's settings of every command and group."""


@dataclass(frozen=True)
class Given:
    """What every command is given: the settings, where its words go, and whether it asks."""

    config: Config
    output: Output
    yes: bool = False

    @asynccontextmanager
    async def client(self) -> AsyncIterator[AsyncClient]:
        """A client of the profile in use."""
        from smply.cli._connect import open_client

        async with open_client(self.config, self.output) as client:
            yield client

    @property
    def clock(self) -> Clock:
        """The clock of the settings."""
        from smply.cli._connect import clock_of

        return clock_of(self.config)


Body = Callable[..., Any]
"""A command: `(given, **options)`, asynchronous or not; its docstring is its help."""


def command(group: typer.Typer, name: str, *, view: str | None) -> Callable[[Body], Body]:
    """Declare a command of a group; `view` is how people see its answer, None if it has none."""

    def declare(body: Body) -> Body:
        group.command(name, context_settings=SETTINGS)(_callback(body, view))
        return body

    return declare


def version_text() -> str:
    """The version of the installed package (F24)."""
    from importlib.metadata import version

    return version("smply")


def _callback(body: Body, view: str | None) -> Body:
    own = list(inspect.signature(body, eval_str=True).parameters.values())[1:]

    def run(**values: Any) -> None:
        options = GlobalOptions(**{name: values.pop(name) for name in _global_names()})
        if options.smply_version:
            print(version_text())
            return
        _run(body, view, options, values)

    run.__doc__ = body.__doc__
    run.__name__ = body.__name__
    run.__signature__ = inspect.Signature([*own, *global_parameters()])  # type: ignore[attr-defined]
    return run


def _directory(option: str | None) -> Path | None:
    # An empty value is a shell variable that was not set, and never means the working directory.
    if option == "":
        raise UsageError("--data-dir is empty", hint="name a directory, or leave it out")
    return None if option is None else Path(option)


def _run(body: Body, view: str | None, options: GlobalOptions, values: dict[str, Any]) -> None:
    json = options.json or options.output == "json" or options.fields or options.jq
    output = Output(Wishes("json" if json else None))
    try:
        wishes = _wishes(options, view)
        output = Output(wishes)
        refuse_servers(access_token=options.access_token, api_url=options.api_url, org=options.org)
        config = load_config(data_dir=_directory(options.data_dir))
        result = body(Given(config, output, options.yes), **values)
        if inspect.iscoroutine(result):
            import asyncio

            asyncio.run(result)
    except (ReaderGone, typer.Exit):
        raise
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except Exception as exc:
        told = report(exc, _subject(values))
        output.error(told)
        raise typer.Exit(told.exit_status) from exc


def _subject(values: dict[str, Any]) -> Subject:
    return Subject(values.get("machine"), values.get("instance"), values.get("version"))


def _wishes(options: GlobalOptions, view: str | None) -> Wishes:
    """What is asked of the output; refuses what this command cannot give."""
    if options.profile not in (None, "local"):
        raise UsageError(f"there is no profile {options.profile}", hint="--profile local")
    if options.json and options.output not in (None, "json"):
        raise UsageError(f"--json and --output {options.output} exclude each other")
    wanted = "json" if options.json else options.output
    if wanted not in (None, "json", *VIEWS):
        raise UsageError(f"--output {wanted} is not known", hint="--output json, tree or table")
    if wanted in VIEWS and wanted != view:
        raise UsageError(f"this command has no {wanted}", hint=f"--output {view or 'json'}")
    if options.jq is not None:
        from smply.cli._select import check_jq

        check_jq(options.jq)
    names = tuple(name for name in (options.fields or "").split(",") if name)
    return Wishes(wanted, names, options.jq, options.quiet)


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
