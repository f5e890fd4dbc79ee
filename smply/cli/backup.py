"""`smply backup` and `smply restore`: the data directory in one file, and back."""

from __future__ import annotations

import getpass
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smply.cli._command import Given, command
from smply.cli._confirm import confirm
from smply.cli._text import ago, milliseconds, plural, size
from smply.errors import NotConfirmed, UsageError

if TYPE_CHECKING:
    from smply.backups import Manifest

_PASSPHRASE_BYTES_MAX = 4096
_ENDINGS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]

BackupFile = Annotated[str, typer.Argument(metavar="FILE", help="The file of the backup.")]
PassphraseFile = Annotated[
    str | None,
    typer.Option(
        "--passphrase-file", metavar="FILE", help="Take the passphrase from the line in a file."
    ),
]
PassphraseStdin = Annotated[
    bool,
    typer.Option("--passphrase-stdin", help="Take the passphrase from the first line of stdin."),
]


def declare(app: typer.Typer) -> None:
    """Add both commands to the app."""

    @command(app, "backup", view=None)
    def backup(
        given: Given,
        file: BackupFile,
        passphrase_file: PassphraseFile = None,
        passphrase_stdin: PassphraseStdin = False,
    ) -> None:
        """Put the whole data directory into one file, also while it is used.

        smply backup smply-backup.tar.gz
        """
        _stay_here(given, "a backup is made where the data lies")
        path = _path(file)
        passphrase = _given_passphrase(passphrase_file, passphrase_stdin)
        if path.is_dir() or (path.exists() and not path.is_file()):
            raise UsageError(f"{file} is no file", hint="name a file to be made")
        if file == "-":
            raise UsageError("a backup goes into a file, not to stdout", hint="smply backup FILE")
        if path.exists():
            # What stdin holds first has been taken: no passphrase is taken for an answer.
            confirm(given, [f"{path} will be replaced by the new backup."], path.name)
        _back_up(given, path, lambda: passphrase or _ask(given, twice=True))

    @command(app, "restore", view=None)
    def restore(
        given: Given,
        file: BackupFile,
        passphrase_file: PassphraseFile = None,
        passphrase_stdin: PassphraseStdin = False,
    ) -> None:
        """Make a data directory of a backup; there must be no data in it yet.

        smply restore smply-backup.tar.gz --data-dir DIRECTORY
        """
        _stay_here(given, "a backup is restored where the data is to lie")
        passphrase = _given_passphrase(passphrase_file, passphrase_stdin)
        _restore(given, _path(file), lambda: passphrase or _ask(given, twice=False))


def _stay_here(given: Given, what: str) -> None:
    """Refuse to take this machine for the server that commands ask, which has other data."""
    given.stay_here(what)
    if (url := given.connection.url) is not None:
        raise UsageError(
            f"{url.by} names {url.value}, and {what}",
            hint="run it on that machine; --profile local or --data-dir DIR means this one",
        )


def _back_up(given: Given, file: Path, ask: Callable[[], bytes]) -> None:
    from smply.backups import back_up

    with _cleaned_up():
        made = back_up(given.config.data_dir, file, given.clock.now, ask)
    written = file.stat().st_size
    if given.output.for_people:
        key = "the key file, sealed" if made.sealed else "no key file is there yet"
        given.output.step("Backed up", f"{_content(made)}; {key}")
        given.output.step("Written", f"{file}, {size(written)}")
    else:
        given.output.json({"file": str(file), "bytes": written, **_told(made)})


def _restore(given: Given, file: Path, ask: Callable[[], bytes]) -> None:
    from smply.backups import restore

    data_dir = given.config.data_dir
    with _cleaned_up():
        made = restore(file, data_dir, ask)
    if given.output.for_people:
        key = "; the key file" if made.sealed else ""
        age = ago(milliseconds(made.created_at), given.clock.now())
        given.output.step("Restored", f"{_content(made)}{key}")
        given.output.step("As it was", age)
        given.output.step("Lies in", str(data_dir))
        given.output.next(f"smply serve --data-dir {quote(str(data_dir))}")
    else:
        given.output.json({"dataDir": str(data_dir), "file": str(file), **_told(made)})


def _content(made: Manifest) -> str:
    database = size(made.members["smply.db"].bytes)
    return f"smply.db, {database}, {plural(made.instances, 'instance')}"


def _told(made: Manifest) -> dict[str, Any]:
    return {
        "createdAt": made.created_at,
        "smply": made.smply,
        "schema": made.schema,
        "orgId": made.org_id,
        "instances": made.instances,
        "sealed": made.sealed,
    }


def _path(file: str) -> Path:
    if not file:
        raise UsageError("FILE is empty")
    return Path(file).expanduser()


def _given_passphrase(file: str | None, from_stdin: bool) -> bytes | None:
    """The passphrase from where the options say; None if they say nothing."""
    if file is not None and from_stdin:
        raise UsageError("--passphrase-file and --passphrase-stdin exclude each other")
    if file is not None:
        return _checked(_line_in(file), "--passphrase-file")
    if from_stdin:
        line = b"" if sys.stdin is None else sys.stdin.buffer.readline(_PASSPHRASE_BYTES_MAX + 2)
        return _checked(_without_end(line), "--passphrase-stdin")
    return None


def _line_in(file: str) -> bytes:
    try:
        with Path(file).expanduser().open("rb") as opened:
            content = _without_end(opened.read(_PASSPHRASE_BYTES_MAX + 2))
    except OSError as exc:
        raise UsageError(f"--passphrase-file: {file} cannot be read: {exc.strerror}") from exc
    if b"\n" in content:
        raise UsageError(f"--passphrase-file: {file} has more than one line")
    return content


def _without_end(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _checked(passphrase: bytes, where: str) -> bytes:
    if not passphrase:
        raise UsageError(f"{where}: the passphrase is empty")
    if len(passphrase) > _PASSPHRASE_BYTES_MAX:
        raise UsageError(f"{where}: the passphrase has more than {_PASSPHRASE_BYTES_MAX} bytes")
    return passphrase


def _ask(given: Given, *, twice: bool) -> bytes:
    """Ask on the terminal, without an echo; to seal, twice, since nobody sees a slip."""
    if sys.stdin is None or not sys.stdin.isatty() or not given.output.is_watched:
        raise UsageError(
            "a passphrase is needed for the key file, and there is no terminal to ask on",
            hint="--passphrase-file FILE or --passphrase-stdin",
        )
    try:
        first = getpass.getpass("Passphrase for the key file: ", sys.stderr)
        if twice and first and getpass.getpass("The same again: ", sys.stderr) != first:
            raise UsageError("the passphrases differ; nothing was done")
    except (EOFError, KeyboardInterrupt) as exc:
        given.output.end_line()
        if isinstance(exc, KeyboardInterrupt):
            raise
        raise NotConfirmed("no passphrase was given; nothing was done") from exc
    return _checked(first.encode(errors="surrogateescape"), "the prompt")


@contextmanager
def _cleaned_up() -> Iterator[None]:
    """Leave nothing half-written when we are told to end, not by Ctrl-C alone."""
    # What is ignored stays so, as `nohup` has it.
    taken = [number for number in _ENDINGS if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
