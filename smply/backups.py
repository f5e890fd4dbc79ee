"""Backups: a data directory in one file, and a data directory made of it again.

The file is a gzipped tar of `manifest.json`, which tells what comes after it, `key.json` (the
`key` file, sealed with a passphrase; none where there is none) and `smply.db`.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from smply.contract import show_time
from smply.directory import DEFAULT_ORG, DataDirectory, write_private
from smply.errors import DataDirectoryError, SmplyError, UsageError
from smply.ids import ORG, show_id
from smply.store import Contents, copy_database, newest_schema, read_copy

MANIFEST, KEY, DATABASE = "manifest.json", "key.json", "smply.db"
"""The members, in their order."""

_PUTTING = "putting"
"""Marks the place of a restore that has begun to move things to where they belong."""

_FORMAT = 1
_SMALL_BYTES = 65_536
"""More than the manifest or a sealed key is long."""

_CHUNK_BYTES = 1 << 20
_LEVEL = 1
"""Of gzip; the ordinary one takes three times as long for a twentieth less."""

_UPGRADE = "upgrade with `pip install --upgrade smply`"
_OCCUPIED = (DATABASE, "smply.db-wal", "smply.db-shm", "smply.db-journal", "key")
"""What is data already; a WAL alone would be applied to whichever database comes to lie beside it.
"""

Ask = Callable[[], bytes]
"""Asks for the passphrase."""


class Member(msgspec.Struct, frozen=True):
    """What a member must be."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """What a backup says of itself; `created_at` is ISO 8601, `smply` the version that made it."""

    format: int
    smply: str
    schema: int
    created_at: str
    org_id: str
    instances: int
    sealed: bool
    members: dict[str, Member]
    default_org: str | None = None

    def describes(self, contents: Contents) -> bool:
        """Whether the database is the one that was put in."""
        org = show_id(ORG, contents.org)
        found = (contents.schema, org, contents.instances)
        return found == (self.schema, self.org_id, self.instances)


def back_up(data_dir: Path, file: Path, now: Callable[[], int], ask: Ask) -> Manifest:
    """Put the data of a directory, as it is at one moment, into a file (0600), or change nothing.

    Others go on using the directory. `ask` is called if there is a key to be sealed; `now` gives
    milliseconds of the epoch. Raises DataDirectoryError if there is no sound data, UsageError if
    the file would lie in the directory, SmplyError (`not-written`) if it cannot be written.
    """
    file = file.resolve()
    if not (data_dir / DATABASE).is_file():
        raise DataDirectoryError(
            f"there is no {DATABASE} in {data_dir}", hint="--data-dir names another directory"
        )
    if data_dir.resolve() in file.parents:
        raise UsageError(f"{file} lies in the data directory", hint="name a file elsewhere")
    # Asked before the work begins, and after it if the key was made meanwhile.
    passphrase = ask() if (data_dir / "key").exists() else None
    with _writing(file), _place(file.parent, f".{file.name}-") as place:
        taken = _take(data_dir, place / DATABASE, now)
        sealed = b""
        if taken.key is not None:
            sealed = _seal(taken.key, ask() if passphrase is None else passphrase, taken.database)
        manifest = _manifest(taken, sealed)
        _write_archive(place / "made", manifest, sealed, place / DATABASE)
        (place / "made").replace(file)
        _sync(file.parent)
    return manifest


class _Taken(NamedTuple):
    created_at: str
    contents: Contents
    database: Member
    key: bytes | None
    default_org: str | None


def _take(data_dir: Path, copy: Path, now: Callable[[], int]) -> _Taken:
    """Copy the database of a directory, and read its key after that, which opens all it holds."""
    with DataDirectory(data_dir) as directory:
        directory.hold(lambda _: False, lambda _: None)
        created_at = show_time(now())
        copy_database(directory.database, copy)
        contents = read_copy(copy)
        key = _read_key(directory.key, must_exist=contents.has_secrets)
        named = directory.path / DEFAULT_ORG
        default_org = named.read_text("ascii").strip() if named.exists() else None
    return _Taken(created_at, contents, _member(copy), key, default_org)


def _manifest(taken: _Taken, sealed: bytes) -> Manifest:
    members = {DATABASE: taken.database}
    if sealed:
        members[KEY] = Member(len(sealed), hashlib.sha256(sealed).hexdigest())
    contents = taken.contents
    return Manifest(
        format=_FORMAT,
        smply=version("smply"),
        schema=contents.schema,
        created_at=taken.created_at,
        org_id=show_id(ORG, contents.org),
        instances=contents.instances,
        sealed=bool(sealed),
        members=members,
        default_org=taken.default_org,
    )


def restore(file: Path, data_dir: Path, ask: Ask) -> Manifest:
    """Make a data directory of a backup. All is checked before anything of it is in its place.

    `ask` is called if the key is sealed. Raises UsageError if the file cannot be read,
    DataDirectoryError if there is data in the directory or somebody uses it, and SmplyError for a
    file that is no whole backup (`not-a-backup`, `backup-damaged`), one of a newer smply
    (`newer-backup`), a passphrase that is not the one (`wrong-passphrase`), and a directory that
    cannot be written (`not-written`).
    """
    if not _left_behind(data_dir):
        _refuse_data(data_dir)
    with _opened(file) as archive:
        manifest = archive.manifest
        key = archive.key(ask()) if manifest.sealed else None
        with DataDirectory(data_dir) as directory, _writing(data_dir):
            directory.hold_alone("is to be restored")
            _clear_away(directory)
            _refuse_data(data_dir)
            with _place(data_dir, ".restore-") as place:
                archive.unpack_database(place / DATABASE)
                _put(directory, key, manifest.default_org, place)
    return manifest


def _left_behind(data_dir: Path) -> list[Path]:
    """What restores that were killed have left."""
    return list(data_dir.glob(".restore-*"))


def _clear_away(directory: DataDirectory) -> None:
    """Throw that away, and the key that one of them had put in its place, without a database."""
    for left in _left_behind(directory.path):
        if (left / _PUTTING).exists() and not directory.database.exists():
            directory.key.unlink(missing_ok=True)
        shutil.rmtree(left)


def _refuse_data(data_dir: Path) -> None:
    for name in _OCCUPIED:
        if os.path.lexists(data_dir / name):
            raise DataDirectoryError(
                f"{data_dir} holds {name} already",
                code="not-empty",
                hint="--data-dir names another directory; or move what is there away",
            )


def _read_key(path: Path, *, must_exist: bool) -> bytes | None:
    """The `key` file as it is, if there is one. Raises DataDirectoryError as `open_sealer` does."""
    from smply.identity import open_sealer

    if not must_exist and not path.exists():
        return None
    open_sealer(path, must_exist=True)
    return path.read_bytes()


def _seal(key: bytes, passphrase: bytes, database: Member) -> bytes:
    from smply.identity import seal_by_passphrase

    return msgspec.json.encode(seal_by_passphrase(key, passphrase, _purpose(database)))


def _purpose(database: Member) -> bytes:
    """The key of one database opens beside that one alone."""
    return f"smply backup {database.sha256}".encode()


def _member(path: Path) -> Member:
    with path.open("rb") as file:
        return Member(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _write_archive(path: Path, manifest: Manifest, sealed: bytes, database: Path) -> None:
    told = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    small = {MANIFEST: told, KEY: sealed} if sealed else {MANIFEST: told}
    path.touch(0o600)
    with path.open("wb") as file:
        with (
            gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as zipped,
            tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as tar,
            database.open("rb") as copy,
        ):
            for name, content in small.items():
                tar.addfile(_header(name, len(content)), io.BytesIO(content))
            tar.addfile(_header(DATABASE, manifest.members[DATABASE].bytes), copy)
        os.fsync(file.fileno())


def _header(name: str, length: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size, header.mode = length, 0o600
    return header


class _Archive:
    """A backup that is read from its beginning to its end, and known to be whole only there."""

    def __init__(self, file: Path, stream: IO[bytes]) -> None:
        self._file = file
        self._is_ours = False
        self._zipped = gzip.GzipFile(fileobj=stream)
        with self._understood():
            # GzipFile alone checks its checksum, and a tar that may seek would begin it anew.
            self._tar = tarfile.open(fileobj=self._zipped, mode="r|")  # noqa: SIM115
        self.manifest = self._read_manifest()

    def key(self, passphrase: bytes) -> bytes:
        """What the `key` file held."""
        from smply.identity import open_by_passphrase

        sealed = b"".join(self._member(KEY))
        try:
            purpose = _purpose(self.manifest.members[DATABASE])
            return open_by_passphrase(msgspec.json.decode(sealed), passphrase, purpose)
        except ValueError as exc:
            raise self._damaged(f"{KEY}: {exc}") from exc
        except SmplyError:
            # A bit of it that has flipped must not be taken for a slip of the fingers.
            for _ in self._member(DATABASE):
                pass
            self._reach_end()
            raise

    def unpack_database(self, path: Path) -> None:
        """Write the database; it and all of the archive are then known to be whole."""
        path.touch(0o600)
        with path.open("wb") as file:
            for chunk in self._member(DATABASE):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        self._reach_end()
        try:
            contents = read_copy(path)
        except DataDirectoryError as exc:
            raise self._damaged(exc.message) from exc
        if not self.manifest.describes(contents):
            raise self._damaged(f"{DATABASE} is not what {MANIFEST} says")

    def _read_manifest(self) -> Manifest:
        try:
            told = self._next(MANIFEST)
            if told.size > _SMALL_BYTES:
                raise ValueError("it is too long")
            raw = b"".join(self._chunks(told))
            self._is_ours = True
            marked = msgspec.json.decode(raw, type=_Marked)
            if marked.format > _FORMAT or marked.schema > newest_schema():
                raise SmplyError(
                    f"{self._file} was written by a newer smply ({marked.smply})",
                    code="newer-backup",
                    hint=_UPGRADE,
                )
            manifest = msgspec.json.decode(raw, type=Manifest)
            if set(manifest.members) != {DATABASE, *([KEY] if manifest.sealed else [])}:
                raise ValueError("it has other members")
        except ValueError as exc:
            raise self._damaged(f"{MANIFEST}: {exc}") from exc
        return manifest

    def _member(self, name: str) -> Iterator[bytes]:
        """The content of the next member, in parts; whether it was whole is known at its end."""
        header, expected = self._next(name), self.manifest.members[name]
        if header.size != expected.bytes or (name != DATABASE and header.size > _SMALL_BYTES):
            raise self._damaged(f"{name} has {header.size} bytes")
        digest = hashlib.sha256()
        for chunk in self._chunks(header):
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != expected.sha256:
            raise self._damaged(f"{name} is not what was put in")

    def _next(self, name: str) -> tarfile.TarInfo:
        with self._understood():
            header = self._tar.next()
        # A sparse file would count as a regular one.
        if header is None or header.name != name or header.type != tarfile.REGTYPE:
            raise self._damaged(f"{name} is missing")
        return header

    def _chunks(self, header: tarfile.TarInfo) -> Iterator[bytes]:
        with self._understood():
            content = self._tar.extractfile(header)
            assert content is not None, "it is a file"
            while chunk := content.read(_CHUNK_BYTES):
                yield chunk

    def _reach_end(self) -> None:
        with self._understood():
            if self._tar.next() is not None:
                raise self._damaged("it holds more than a backup does")
            while self._zipped.read(_CHUNK_BYTES):
                pass

    @contextlib.contextmanager
    def _understood(self) -> Iterator[None]:
        try:
            yield
        except EOFError as exc:
            raise self._damaged("it is cut off") from exc
        except (tarfile.TarError, gzip.BadGzipFile, zlib.error) as exc:
            raise self._damaged(str(exc) if self._is_ours else "it is no gzipped tar") from exc
        except OSError as exc:
            raise SmplyError(f"{self._file} cannot be read: {exc.strerror}") from exc

    def _damaged(self, why: str) -> SmplyError:
        if self._is_ours:
            sentence, code = f"{self._file} is a damaged backup: {why}", "backup-damaged"
        else:
            sentence, code = f"{self._file} is no backup of smply: {why}", "not-a-backup"
        return SmplyError(sentence, code=code, hint="nothing was restored; name another file")


class _Marked(msgspec.Struct):
    """What every manifest has, of whichever format."""

    format: int
    smply: str
    schema: int


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[_Archive]:
    try:
        stream = file.open("rb")
    except OSError as exc:
        raise UsageError(f"{file} cannot be read: {exc.strerror}") from exc
    with stream:
        yield _Archive(file, stream)


def _put(directory: DataDirectory, key: bytes | None, default_org: str | None, place: Path) -> None:
    """Move what was unpacked to where it belongs; the database last, since it makes it data."""
    (place / _PUTTING).touch()
    if default_org is not None:
        write_private(directory.path / DEFAULT_ORG, default_org.encode())
    if key is not None:
        sealer = place / "key"
        sealer.touch(0o600)
        with sealer.open("wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        sealer.replace(directory.key)
    try:
        (place / DATABASE).replace(directory.database)
    except BaseException:
        if key is not None:
            directory.key.unlink()
        raise
    _sync(directory.path)


@contextlib.contextmanager
def _place(parent: Path, prefix: str) -> Iterator[Path]:
    """A directory of our own (0700), gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as name:
        yield Path(name)


def _sync(directory: Path) -> None:
    """Make names last that were given in a directory, where its file system can."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """What the system refuses meanwhile, as our error."""
    try:
        yield
    except OSError as exc:
        raise SmplyError(
            f"{path} cannot be written: {exc.strerror}",
            code="not-written",
            hint="nothing of it was left; make room, or choose another place",
        ) from exc
