"""`smply quickstart`: a walk through the first commands, each run as it is printed."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import typer

from smply.cli._command import Given, command
from smply.cli._interrupt import run as run_work
from smply.connection import Flags
from smply.errors import SmplyError, UsageError

Run = Callable[[Sequence[str]], int]
"""Runs a command line in this process and returns its exit status: `smply.cli.main`."""

_MARK = ".smply-quickstart"
"""A file that tells a directory which may be emptied."""

_WHO = ("--machine", "toggler", "--instance", "session-123")
_ACT = ("--auth-context", '{"sid": "session-123"}')
_ELSEWHERE = "move it away, or give another --data-dir"
_PATIENCE_SECONDS = 20.0
_LOOK_AGAIN_MS = 200


@dataclass(frozen=True)
class Step:
    """A command, how people see its answer, and what is worth noticing about it."""

    args: tuple[str, ...]
    view: str
    remark: str


def declare(app: typer.Typer, run: Run) -> None:
    """Add the command to the app; `run` runs the commands that it shows."""

    @command(app, "quickstart", view="tree")
    def quickstart(given: Given) -> None:
        """See a machine live: publish it, make an instance, send it an event, watch its timer.

        Empties and uses the directory quickstart in the data directory. Takes a few seconds.
        """
        given.stay_here("the quickstart is made here")
        if given.output.asked_for_json:
            raise UsageError("the quickstart is for people and has no JSON")
        _walk(given, run)


def _walk(given: Given, run: Run) -> None:
    directory = given.config.data_dir / "quickstart"
    source = _fresh(directory)
    before, after = _steps(source)
    for step in before:
        _take(step, directory, given, run)
    config = replace(given.config, data_dir=directory)
    there = replace(given, config=config, flags=Flags(data_dir=str(directory)))
    run_work(_until_off(there))
    for step in after:
        _take(step, directory, given, run)
    _part(directory, given)


def _steps(source: Path) -> tuple[list[Step], list[Step]]:
    """The commands before and after the light goes off."""
    before = [
        Step(
            ("machines", "create", "--machine", "toggler", "--node", _shown(source)),
            "tree",
            "a machine is a name, a version is its code: both are there now",
        ),
        Step(
            ("instances", "create", *_WHO, *_ACT),
            "tree",
            "an instance is one living copy; toggler.ts lets in whom the auth context names",
        ),
        Step(
            ("instances", "send-event", *_WHO, *_ACT, "--event", "toggle"),
            "tree",
            "the light will go off by itself in 3 s: that timer is on disk",
        ),
        Step(
            ("instances", "get", *_WHO, "--public", *_ACT),
            "tree",
            "what a user may see: of the context only what is public",
        ),
    ]
    after = [
        Step(("instances", "get", *_WHO), "tree", "off again, and nobody had sent an event"),
        Step(("instances", "list-transitions", *_WHO), "table", "all that ever happened to it"),
        Step(("instances", "list", "--machine", "toggler"), "table", ""),
        Step(
            ("machine-versions", "create", "--machine", "toggler", "--version-reference", "0.0.2",
             "--node", _shown(source)),
            "tree",
            "an instance stays on the version that it was made with",
        ),
        Step(("machine-versions", "list", "--machine", "toggler"), "table", ""),
        Step(("machines", "get", "--machine", "toggler"), "tree", ""),
        Step(("machines", "list"), "table", ""),
    ]  # fmt: skip
    return before, after


def _take(step: Step, directory: Path, given: Given, run: Run) -> None:
    """Print a command as one would type it, run it, and say what is worth noticing."""
    args = [*step.args, "--data-dir", _shown(directory)]
    given.output.text(_typed(args), dim=True)
    status = run([*(_meant(word) for word in args), "--output", step.view])
    if status != 0:
        raise typer.Exit(status)
    given.output.text(f"# {step.remark}\n" if step.remark else "", dim=True)


async def _until_off(given: Given) -> None:
    """Look until the timer has switched the light off."""
    import asyncio

    try:
        async with asyncio.timeout(_PATIENCE_SECONDS), given.client() as client:
            while True:
                detail = await client.instances.inspect("toggler", "session-123")
                if detail.state == "off":
                    return
                await given.clock.sleep_until(given.clock.now() + _LOOK_AGAIN_MS)
    except TimeoutError as exc:
        raise SmplyError(f"the light did not go off within {_PATIENCE_SECONDS:.0f} s") from exc


def _part(directory: Path, given: Given) -> None:
    where = ("--data-dir", _shown(directory))
    source = _shown(directory / "toggler.ts")
    version = ("--version-reference", "0.0.3", "--make-current", "--node", source)
    again = _typed(["instances", "send-event", *_WHO, *_ACT, "--event", "toggle", *where])
    publish = _typed(["machine-versions", "create", "--machine", "toggler", *version, *where])
    given.output.text("Try next: switch the light on again; change the machine; see what else.\n")
    given.output.text(f"{again}\n\n{publish}\n\n$ smply --help\n", dim=True)
    given.output.text(
        f"All of this lies in {_shown(directory)}\n"
        "and the next quickstart empties it. Your own machines have their place in\n"
        f"{_shown(given.config.data_dir)}"
    )


def _fresh(directory: Path) -> Path:
    """An empty directory with the example in it. Refuses to empty what is no quickstart."""
    if directory.is_symlink():
        raise SmplyError(f"{directory} is a link, so it is not emptied", hint=_ELSEWHERE)
    if directory.is_dir() and any(directory.iterdir()) and not (directory / _MARK).exists():
        raise SmplyError(
            f"{directory} is no directory of a quickstart, so it is not emptied",
            hint=_ELSEWHERE,
        )
    example = resources.files("smply.cli").joinpath("examples/toggler.ts").read_text("utf-8")
    source = directory / "toggler.ts"
    try:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700, parents=True)
        (directory / _MARK).touch()
        source.write_text(example, "utf-8")
    except OSError as exc:
        raise SmplyError(
            f"the directory {directory} cannot be used: {exc.strerror}", hint=_ELSEWHERE
        ) from exc
    return source


def _typed(args: Sequence[str]) -> str:
    """A command line as one would type it, broken before its options where it is long."""
    width = 78
    lines = ["$ smply"]
    for at, word in enumerate(args):
        shown = word if word.startswith("~") else shlex.quote(word)
        value = args[at + 1] if word.startswith("--") and at + 1 < len(args) else ""
        if word.startswith("--") and len(lines[-1]) + len(shown) + len(value) + 4 > width:
            lines[-1] += " \\"
            lines.append("     ")
        lines[-1] += f" {shown}"
    return "\n".join(lines)


def _shown(path: Path) -> str:
    """A path as one would type it: below the home directory with `~`."""
    with suppress(RuntimeError):  # There are users without a home.
        home = Path.home()
        return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
    return str(path)


def _meant(word: str) -> str:
    return str(Path(word).expanduser()) if word.startswith("~/") else word
