"""The command line: the Typer app, its groups, and `main`."""

from __future__ import annotations

import inspect
import io
import os
import sys
from collections.abc import Container, Sequence
from contextlib import redirect_stdout, suppress
from typing import Annotated, Any

import typer
from typer.main import get_command

from smply.cli import (
    api,
    backup,
    completion,
    instances,
    keys,
    login,
    logs,
    machines,
    orgs,
    people,
    profile,
    providers,
    quickstart,
    serve,
    tokens,
    versions,
)
from smply.cli._argv import Line, asks_for_json, command_table, rewrite
from smply.cli._command import SETTINGS, global_parameters, version_text
from smply.cli._errors import INTERRUPTED, USAGE, report
from smply.cli._not_built import refuse_command
from smply.cli._output import Output, ReaderGone, Wishes, writing
from smply.cli._usage import usage_error
from smply.cli._values import refuse_values
from smply.config import completion_asked

__all__ = ["build_app", "main"]

_PROGRAM = "smply"
_VERSION_WORDS = ("--version", "-V", "--smply-version")


def build_app(words: Container[str] | None = None) -> typer.Typer:
    """The whole command line as a Typer app; with `words`, of groups that they do not name no more
    than the root's help tells."""

    def add(group: typer.Typer, name: str, *, hidden: bool = False) -> None:
        # To read the options of all commands takes 50 ms.
        is_named = words is None or name in words
        app.add_typer(group if is_named else _closed(group), name=name, hidden=hidden)

    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=SETTINGS,
    )
    app.callback(invoke_without_command=True)(_root())
    add(machines.app, "machines")
    add(versions.app, "machine-versions")
    add(versions.app, "versions", hidden=True)
    add(instances.app, "instances")
    add(instances.app, "machine-instances", hidden=True)
    add(logs.logs, "logs")
    add(profile.app, "profile")
    login.declare(app)
    add(orgs.app, "orgs")
    add(keys.app, "keys")
    add(tokens.app, "tokens")
    add(people.members, "members")
    add(people.invitations, "invitations")
    add(providers.identity, "identity-providers")
    add(providers.tokens, "token-providers")
    add(logs.audit, "audit")
    logs.declare(app)
    api.declare(app)
    quickstart.declare(app, main)
    serve.declare(app)
    backup.declare(app)
    completion.declare(app)
    return app


def _closed(group: typer.Typer) -> typer.Typer:
    return typer.Typer(help=group.info.help, context_settings=SETTINGS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit status (`contract/cli.md`, "Ours")."""
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        _prepare_streams()
        with writing():
            status = _run(args)
            if status == 0:
                # What could not be written has been told of, and would be tried again.
                sys.stdout.flush()
        return status
    except ReaderGone:
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as exc:
        told = report(exc)
        Output(Wishes(view="json" if asks_for_json(args) else None)).error(told)
        return told.exit_status


def _run(args: list[str]) -> int:
    if args and args[0] in _VERSION_WORDS:
        # Needs no table of commands, and nobody should wait for it.
        print(version_text())
        return 0
    if completion_asked():
        completion.answer_shells()
        return _called(get_command(build_app()), args)
    tree = get_command(build_app(args))
    table = command_table(tree)
    line = rewrite(args, table)
    refuse_command(line.words)
    try:
        if line.is_group and not _asks_root(line.args):
            return _help_instead(tree, line)
        if not line.is_group:
            refuse_values(line, table)
        return _called(*_found(tree, line))
    except typer.TyperException as exc:
        # An option may belong to a command of another group.
        raise usage_error(exc, line.words, command_table(get_command(build_app()))) from exc


def _found(tree: Any, line: Line) -> tuple[Any, list[str], str]:
    """The command that a line names, its own arguments, and the name it goes by.

    Typer would find it too, but would first read the options of every group on the way.
    """
    at = 0
    for word in line.words:
        if word not in getattr(tree, "commands", {}):
            break
        tree, at = tree.commands[word], at + 1
    return tree, line.args[at:], " ".join([_PROGRAM, *line.words[:at]])


def _called(tree: Any, args: list[str], name: str = _PROGRAM) -> int:
    try:
        status = tree.main(args=args, prog_name=name, standalone_mode=False)
    except SystemExit as exc:
        # Typer leaves by itself when it has answered a shell, and when our reader has gone.
        return 0 if exc.code is None or not completion_asked() else int(exc.code)
    return int(status or 0)


def _root() -> Any:
    def root(ctx: typer.Context, **options: Any) -> None:
        """State machines that live: a self-hosted home for XState."""
        if options["version"] or options["smply_version"]:
            print(version_text())

    version = inspect.Parameter(
        "version",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[bool, typer.Option("--version", help="The same, alone.")],
    )
    context = inspect.Parameter(
        "ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    root.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [context, *global_parameters(), version]
    )
    return root


def _asks_root(args: list[str]) -> bool:
    """Whether a line without a command is complete: it asks for help or the version."""
    return any(word in ("--help", "-h", "--version", "-V", "--smply-version") for word in args)


def _help_instead(tree: Any, line: Line) -> int:
    """A group without a subcommand: its help, on stderr, if the options before it are right."""
    words, text = line.words, io.StringIO()
    _called(tree, line.args[len(words) :])
    with redirect_stdout(text):
        _called(*_found(tree, Line(words, [*words, "--help"], is_group=True)))
    with suppress(OSError):
        sys.stderr.write(text.getvalue())
    return USAGE


def _prepare_streams() -> None:
    """Letters that a terminal cannot show become escapes instead of errors; a stream that was
    closed before we began is one that nobody reads."""
    for handle in range(3):
        _occupy(handle)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  # for the rest of our life
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _occupy(handle: int) -> None:
    """Keep a database from being opened in the place of a closed stream, and written to as one."""
    try:
        os.fstat(handle)
    except OSError:
        os.open(os.devnull, os.O_RDWR)
