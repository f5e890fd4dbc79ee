"""The one sink of the command line: data to stdout, everything else to stderr."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from smply.cli._errors import Report, shortened
from smply.cli._frame import ASCII, UNICODE, Frame, Marks
from smply.cli._interrupt import interruptible
from smply.cli._text import harmless
from smply.config import color_wanted
from smply.errors import SmplyError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from smply.models import LogEntry, Notice

_VERB_WIDTH = 11
_WIDTH = 80
_IN_ASCII = str.maketrans({"│": "|", "…": "...", "→": "->"})
_INDENT = " " * 7
"""Below `error: ` and `hint:  `."""


class Progress:
    """A spinner with a text, and a bar once it is known how much there is; silent without a
    console."""

    def __init__(self, console: Console | None, text: str) -> None:
        self._live: Any = None
        if console is None:
            return
        from rich import progress

        self._live = progress.Progress(
            progress.SpinnerColumn(), progress.TextColumn("{task.description}", markup=False),
            console=console, transient=True,
        )  # fmt: skip
        self._task = self._live.add_task(harmless(text), total=None)
        self._live.start()
        # Rich hides the cursor, and whoever ends us by a signal would not get it back.
        console.show_cursor(True)

    def tell(self, done: int, total: int) -> None:
        """So many bytes of so many."""
        if self._live is None:
            return
        if len(self._live.columns) == 2:
            from rich import progress

            self._live.columns += (progress.BarColumn(), progress.DownloadColumn())
        self._live.update(self._task, completed=done, total=total)

    def stop(self) -> None:
        """It leaves nothing behind."""
        if self._live is not None:
            self._live.stop()


class ReaderGone(Exception):
    """Whoever read our stdout has closed it; that ends a command without an error."""


@dataclass(frozen=True)
class Wishes:
    """What was asked of the output; `view` is `json`, `tree`, `table` … or None for what fits.

    `named` is the member by which the things of the answer are known, if they have names; several
    of them, with spaces, where it takes these.
    """

    view: str | None = None
    fields: tuple[str, ...] = ()
    jq: str | None = None
    quiet: bool = False
    named: str | None = None

    @property
    def json(self) -> bool:
        """Whether JSON was asked for, or what is read like it; errors are JSON then too."""
        return self.view in ("json", "jsonl", "yaml") or bool(self.fields) or self.jq is not None

    @property
    def names(self) -> bool:
        """Whether names alone were asked for."""
        return self.quiet and self.named is not None and self.view is None and not self.json


@contextmanager
def writing() -> Iterator[None]:
    """What the system says of stdout, as our errors."""
    try:
        yield
    except BrokenPipeError as exc:
        raise ReaderGone from exc
    except OSError as exc:
        reason = f"the answer cannot be written: {exc.strerror}"
        raise SmplyError(reason, code="not-written") from exc


class Output:
    """Writes a command's answer, remarks and errors, for people or for programs."""

    PATIENCE_SECONDS = 1.0
    """What may take so long is not worth a line."""

    def __init__(
        self,
        wishes: Wishes = Wishes(),
        *,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        width: int | None = None,
    ) -> None:
        self._wishes = wishes
        self._stdout = stdout or sys.stdout
        self._stderr = stderr or sys.stderr
        self._width = width
        watched = wishes.view is not None or self._stdout.isatty()
        self.for_people = watched and not wishes.json and not wishes.names

    # Data.

    def json(self, value: Any) -> None:
        """Print a value for programs: JSON with two spaces as the npm tool does, UTF-8 as it is;
        or a line for each of its items, or YAML, or their names alone."""
        from smply.cli._shapes import plain

        value = plain(value)
        if self._wishes.names:
            self._names(value)
            return
        if self._wishes.fields:
            value = self._picked(value, self._wishes.fields)
        if self._wishes.jq is None:
            self._formatted(value)
            return
        from smply.cli._select import run_jq

        with interruptible():
            for result in run_jq(self._wishes.jq, value):
                self._data(result) if isinstance(result, str) else self._formatted(result)

    def secrets(self, value: Any) -> None:
        """Print a value that is told this once: after an empty line, where it is JSON in a pipe.

        Callers of the npm tool skip the line that it begins with (W3); an empty one is JSON too.
        """
        plain_json = self._wishes.view in (None, "json") and not self._wishes.fields
        if plain_json and self._wishes.jq is None and not self._wishes.names:
            self._data("")
        self.json(value)

    def text(self, text: str, *, dim: bool = False) -> None:
        """Print a text as it is."""
        self._data(self._paint(text, self._stdout, dim=dim))

    def bytes(self, content: bytes) -> None:
        """Write what is no text of ours as it is."""
        with writing(), interruptible():
            binary = getattr(self._stdout, "buffer", None)
            if binary is None:
                self._stdout.write(content.decode(errors="backslashreplace"))
            else:
                self._stdout.flush()
                binary.write(content)
            self._stdout.flush()

    @property
    def asked_for_json(self) -> bool:
        """Whether JSON was asked for by an option."""
        return self._wishes.json

    @property
    def in_lines(self) -> bool:
        """Whether each item of a list goes onto a line of its own."""
        return self._wishes.view == "jsonl"

    def lines(self, draw: Callable[[Frame], Iterable[Text]], now: int) -> None:
        """Print what `draw` makes of the screen there is; `now` in milliseconds of the epoch."""
        # Into a text first: Rich would end the process itself if it met a closed pipe.
        screen = io.StringIO()
        console = self._console(screen, terminal=self._stdout.isatty())
        height = console.height if self._stdout.isatty() else None
        for line in draw(Frame(console.width, height, self.marks, now)):
            console.print(_harmless_line(line), soft_wrap=True)
        self._data(screen.getvalue().removesuffix("\n"))

    @property
    def marks(self) -> Marks:
        """The signs that stdout can show."""
        return UNICODE if _speaks_utf8(self._stdout) else ASCII

    def _names(self, value: Any) -> None:
        for item in value if isinstance(value, list) else [value]:
            names = (self._wishes.named or "").split()
            told = [str(item[name]) for name in names if item.get(name) is not None]
            self._data(harmless(" ".join(told)))

    def _formatted(self, value: Any) -> None:
        if self._wishes.view == "yaml":
            import yaml

            kept = _speaks_utf8(self._stdout)
            text = yaml.safe_dump(value, sort_keys=False, allow_unicode=kept, width=1_000)
            self._data(text.removesuffix("\n...\n").removesuffix("\n"))
        elif self._wishes.view == "jsonl":
            for item in value if isinstance(value, list) else [value]:
                self._data(self._text_of(item, indent=None))
        else:
            self._data(self._text_of(value))

    # Everything else.

    def step(self, verb: str, text: str) -> None:
        """`Built      toggler.ts …`: something is done."""
        self.comment(f"{self._paint(verb.ljust(_VERB_WIDTH), bold=True)}{harmless(text)}")

    def next(self, text: str) -> None:
        """The command that probably comes next."""
        self.comment()
        self.step("Next", text)

    def remark(self, text: str) -> None:
        """Something worth knowing that is no error; `--quiet` silences it."""
        self._aside(self._paint(f"remark: {_one_line(text)}", dim=True))

    def comment(self, text: str = "") -> None:
        """A line that helps a person who watches."""
        if not self._wishes.json:
            self._aside(text)

    def empty(self, sentence: str, command: str) -> None:
        """A list is empty; `command` would put something into it."""
        self.comment(sentence)
        self.comment(f"{self._paint('hint:', bold=True)}  {command}")

    @property
    def is_watched(self) -> bool:
        """Whether stderr is a terminal, so that a question is seen."""
        return self._stderr.isatty()

    def question(self, warning: Sequence[str], prompt: str | None) -> None:
        """Say what is about to happen, and ask; without a prompt the answer is piped in."""
        for line in warning:
            (self.comment if prompt is None else self._tell)(line)
        if prompt is not None:
            self._tell(self._paint(prompt, bold=True), end=" ")

    def end_line(self) -> None:
        """End the line of a question that got no answer."""
        self._tell("")

    def notice(self, notice: Notice) -> None:
        """A remark of the engine."""
        self.remark(notice.text)

    def log(self, entry: LogEntry) -> None:
        """What machine code printed, or an error of it that nobody handled."""
        if self._wishes.quiet and entry.stream == "stdout":
            return
        source = f"{entry.instance or entry.machine} {entry.phase}:"
        for line in _log_lines(entry.text):
            self._tell(self._paint(f"{source} {harmless(line)}", dim=True))

    def error(self, report: Report) -> None:
        """Say what went wrong, as one object where JSON was asked for."""
        if self._wishes.json:
            fields = {"code": report.code, "message": report.message, "hint": report.hint}
            if report.request_id is not None:
                fields["requestId"] = report.request_id
            self._tell(_json({"error": fields}, ascii_only=not _speaks_utf8(self._stderr)))
            return
        evidence, cut = shortened(report.evidence)
        hint = "the same with --json has the whole stack" if cut else report.hint
        self._tell(f"{self._paint('error:', red=True, bold=True)} {harmless(report.sentence)}")
        # A source frame brings its own margin; its first line is empty.
        margin = " " if evidence and not evidence[0] else _INDENT
        for line in evidence:
            self._tell(self._clipped(f"{margin}{harmless(line)}".rstrip()))
        if hint:
            gap = "\n" if margin == " " and evidence else ""
            self._tell(f"{gap}{self._paint('hint:', bold=True)}  {harmless(hint)}")

    @asynccontextmanager
    async def waiting(self, text: str) -> AsyncIterator[None]:
        """A spinner for what takes over a second; gone afterwards."""
        import asyncio

        shown: list[Progress] = []
        timer = asyncio.get_running_loop().call_later(
            self.PATIENCE_SECONDS, lambda: shown.append(self.progress(text))
        )
        try:
            yield
        finally:
            timer.cancel()
            for each in shown:
                each.stop()

    def progress(self, text: str) -> Progress:
        """A line that says what is being waited for, on a terminal; gone when it is stopped."""
        if self._wishes.quiet or self._wishes.json or not self._stderr.isatty():
            return Progress(None, text)
        return Progress(self._console(self._stderr), text)

    # The streams.

    def _aside(self, text: str) -> None:
        if not self._wishes.quiet:
            self._tell(text)

    def _data(self, text: str) -> None:
        with writing(), interruptible():
            self._stdout.write(text + "\n")
            self._stdout.flush()

    def _tell(self, text: str, end: str = "\n") -> None:
        # Nobody is there to hear that nobody hears us.
        shown = text if _speaks_utf8(self._stderr) else text.translate(_IN_ASCII)
        with suppress(OSError):
            self._stderr.write(shown + end)
            self._stderr.flush()

    def _picked(self, value: Any, names: Sequence[str]) -> Any:
        from smply.cli._select import pick

        value, missing = pick(value, names)
        for name in missing:
            self.remark(f"the answer has no field {name}")
        return value

    def _text_of(self, value: Any, indent: int | None = 2) -> str:
        return _json(value, ascii_only=not _speaks_utf8(self._stdout), indent=indent)

    def _console(self, stream: TextIO, *, terminal: bool | None = None) -> Console:
        from rich.console import Console

        console = Console(
            file=stream,
            force_terminal=terminal,
            width=self._width,
            markup=False,
            emoji=False,
            highlight=False,
            no_color=not color_wanted(),
        )
        if console.width < 1:
            # COLUMNS=0 is what some say who have no terminal.
            console.width = _WIDTH
        return console

    def _paint(
        self,
        text: str,
        stream: TextIO | None = None,
        *,
        red: bool = False,
        bold: bool = False,
        dim: bool = False,
    ) -> str:
        if not (stream or self._stderr).isatty() or not color_wanted():
            return text
        import typer

        return typer.style(text, fg="red" if red else None, bold=bold or None, dim=dim or None)

    def _clipped(self, line: str) -> str:
        if not self._stderr.isatty():
            return line
        width = self._console(self._stderr).width
        return line if len(line) <= width else line[: width - 1] + "…"


def _harmless_line(line: Text) -> Text:
    """A line that nothing a server says can take for itself; such a one loses its styles."""
    shown = harmless(line.plain)
    return line if shown == line.plain else line.__class__(shown)


def _json(value: Any, *, ascii_only: bool, indent: int | None = 2) -> str:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    # Its only control signs are its line ends; what a terminal would obey is escaped in it too.
    return "\n".join(map(harmless, text.split("\n")))


def _speaks_utf8(stream: TextIO) -> bool:
    return (stream.encoding or "utf-8").lower().replace("-", "") == "utf8"


def _log_lines(text: str) -> list[str]:
    """An entry's lines; of an error with its stack the first alone."""
    lines = text.rstrip("\n").split("\n")
    has_stack = any(line.startswith("    at ") for line in lines)
    return lines[:1] if has_stack else lines


def _one_line(text: str) -> str:
    return harmless(" ".join(text.split()))
