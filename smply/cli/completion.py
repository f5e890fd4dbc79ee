"""`smply completion SHELL`: the scripts that make a shell complete smply's lines."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import completion as typer_completion

from smply.cli._command import Given, command
from smply.cli._complete import shells
from smply.config import COMPLETION_VARIABLE
from smply.errors import UsageError

Shell = Annotated[
    str, typer.Argument(metavar="bash|zsh|fish", help="The shell.", autocompletion=shells)
]


def completion_script(shell: str) -> str:
    """What a shell must read to complete smply's lines."""
    if shell not in shells():
        raise UsageError(
            f"there is no completion for {shell}", hint="smply completion bash|zsh|fish"
        )
    script: str = typer_completion.get_completion_script(  # type: ignore[attr-defined]
        prog_name="smply", complete_var=COMPLETION_VARIABLE, shell=shell
    )
    return script


def answer_shells() -> None:
    """Make Typer answer the scripts, without its own two options on every command."""
    typer_completion.completion_init()  # type: ignore[attr-defined]


def declare(app: typer.Typer) -> None:
    """Add the command to the app."""

    @command(app, "completion", view=None)
    def completion(given: Given, shell: Shell) -> None:
        """Print the completion script of a shell.

        source <(smply completion bash)
        """
        given.output.text(completion_script(shell))
