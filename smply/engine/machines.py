"""Machines and versions: publish, check, make current."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import secrets
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from smply.clock import Clock
from smply.contract import BUNDLE_BYTES_MAX
from smply.engine.faults import deleted_meanwhile
from smply.engine.settings import EngineSettings
from smply.errors import BuildError, Conflict, Forbidden, InvalidParameter, NotFound, TooLarge
from smply.runtime import Runtime
from smply.store import MachineRow, NewVersion, Store, UploadRow, VersionRow

_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Upload:
    """Where a version's code goes: the upload's id, the secret that proves the right, and the
    signed handle of the version to be (S7)."""

    id: bytes
    secret: str
    handle: str


class Machines:
    """The machines of all orgs, and their versions."""

    def __init__(
        self, store: Store, runtime: Runtime, clock: Clock, settings: EngineSettings
    ) -> None:
        self._store = store
        self._runtime = runtime
        self._clock = clock
        self._settings = settings

    async def create(self, org: bytes, name: str) -> None:
        """Make a machine. Raises Conflict when the name is taken (Q9)."""
        if await self._store.create_machine(org, name, [], self._clock.now()) is None:
            raise Conflict(f"a machine named {name} exists already", parameter="slug")

    def get(self, org: bytes, name: str) -> MachineRow:
        """A machine by name. Raises NotFound."""
        machine = self._store.get_machine(org, name)
        if machine is None:
            raise NotFound(f"there is no machine {name}", parameter="machineSlug")
        return machine

    async def set_current(self, org: bytes, name: str, version: bytes, shown: str) -> None:
        """Make an existing version current, a later one or an earlier (S2, S4). Raises NotFound.

        `shown` is the version's id as the caller wrote it.
        """
        machine = self.get(org, name)
        self.version(org, machine, version, shown)
        if not await self._store.set_current(machine.id, version):
            raise deleted_meanwhile(name)

    async def delete(self, org: bytes, name: str) -> None:
        """Delete a machine with its versions, for ever (S161).

        Raises NotFound, Conflict while it has instances (S162).
        """
        if not await self._store.delete_machine(self.get(org, name).id):
            raise Conflict(f"{name} has instances; delete them first", parameter="machineSlug")

    def list(self, org: bytes, after: int, limit: int) -> Sequence[MachineRow]:
        """Machines in the order of their creation, after the row `after`."""
        return self._store.list_machines(org, after, limit)

    def version(self, org: bytes, machine: MachineRow, version: bytes, shown: str) -> VersionRow:
        """A finalized version of a machine. Raises NotFound."""
        row = self._store.get_version(org, version)
        if row is None or row.machine != machine.id:
            raise NotFound(f"{machine.name} has no version {shown}", parameter="machineVersionId")
        return row

    def code(self, version: VersionRow) -> bytes:
        """The code of a version as it was uploaded. Raises NotFound if it is gone by now."""
        try:
            return self._store.get_code(version.org, version.uploaded_sha256)
        except LookupError as exc:
            raise deleted_meanwhile("the machine") from exc

    def version_of(self, org: bytes, version: bytes) -> VersionRow:
        """The version that an instance runs on. Raises NotFound if both are gone by now."""
        row = self._store.get_version(org, version)
        if row is None:
            raise deleted_meanwhile("the machine")
        return row

    def versions(self, org: bytes, name: str, after: int, limit: int) -> Sequence[VersionRow]:
        """The finalized versions of a machine, oldest first. Raises NotFound."""
        return self._store.list_versions(org, self.get(org, name).id, after, limit)

    async def provision(self, org: bytes, name: str) -> Upload:
        """Begin a version: a place for its code, for 24 hours (S7, Q34). Raises NotFound."""
        machine = self.get(org, name)
        secret = secrets.token_urlsafe(32)
        upload = UploadRow(
            id=uuid.uuid4().bytes,
            org=org,
            machine=machine.id,
            version=uuid.uuid4().bytes,
            secret_sha256=_sha256(secret.encode()),
            created_at=self._clock.now(),
            code_sha256=None,
            finalized=False,
        )
        if not await self._store.create_upload(upload):
            raise deleted_meanwhile(name)
        return Upload(upload.id, secret, f"{upload.id.hex()}.{secret}")

    async def upload(self, upload_id: bytes, secret: str, body: bytes, gzipped: bool) -> None:
        """Keep the code of a begun version (S8, S9).

        Raises Forbidden when the secret is not that of the upload, TooLarge (Q8),
        InvalidParameter when the file is not what it says.
        """
        self._proven(None, upload_id, secret)
        code = _unzip(body) if gzipped else body
        if len(code) > BUNDLE_BYTES_MAX:
            raise TooLarge(f"the bundle has more than {BUNDLE_BYTES_MAX:,} bytes")
        if not await self._store.put_upload_code(upload_id, code):
            raise Forbidden("this upload is closed: its version is finalized")

    async def finalize(
        self, org: bytes, name: str, handle: str, client_info: str, make_current: bool
    ) -> bytes:
        """Check the code of a begun version and make it one; returns its id (S7, S10, Q34).

        Raises NotFound, InvalidParameter when nothing was uploaded or the bundle is no machine
        (Q8), NotBuilt when it needs what smply has not yet.
        """
        machine = self.get(org, name)
        upload = self._of_handle(org, machine, handle)
        if upload.finalized:
            return upload.version
        if upload.code_sha256 is None:
            raise InvalidParameter("no code was uploaded for this version", parameter="code")
        try:
            code = self._store.get_code(org, upload.code_sha256)
        except LookupError as exc:
            raise deleted_meanwhile(name) from exc
        new = await self._checked(machine, upload, code, client_info)
        made = await self._store.create_version(new, make_current, upload.id)
        if not made and self._store.get_version(org, upload.version) is None:
            raise deleted_meanwhile(name)
        return upload.version

    async def _checked(
        self, machine: MachineRow, upload: UploadRow, code: bytes, client_info: str
    ) -> NewVersion:
        try:
            checked = await self._runtime.check(code, machine.name)
        except BuildError as exc:
            raise InvalidParameter(exc.message, hint=exc.hint, parameter="code") from exc
        return NewVersion(
            id=upload.version,
            org=upload.org,
            machine=machine.id,
            created_at=self._clock.now(),
            client_info=client_info,
            xstate=checked.xstate,
            adapter=checked.adapter,
            uploaded_sha256=_sha256(code),
            code=checked.code,
            uploaded_bytes=len(code),
            gzipped_bytes=await asyncio.to_thread(_gzipped_bytes, code),
            selectors="{}",
            exports=json.dumps(checked.exports),
            definition=checked.definition.decode(),
        )

    def _of_handle(self, org: bytes, machine: MachineRow, handle: str) -> UploadRow:
        upload_hex, _, secret = handle.partition(".")
        try:
            upload = self._proven(org, bytes.fromhex(upload_hex), secret)
        except (ValueError, Forbidden):
            upload = None
        if upload is None or upload.machine != machine.id:
            raise NotFound(f"{machine.name} has no such version under way")
        return upload

    def _proven(self, org: bytes | None, upload_id: bytes, secret: str) -> UploadRow:
        upload = self._store.get_upload(org, upload_id)
        if upload is None or not secrets.compare_digest(
            upload.secret_sha256, _sha256(secret.encode())
        ):
            raise Forbidden("this upload is unknown, or its fields are not those that were given")
        age_ms = self._clock.now() - upload.created_at
        if age_ms > self._settings.upload_hours * _HOUR_MS and not upload.finalized:
            raise Forbidden(f"this upload is older than {self._settings.upload_hours} hours")
        return upload


def _unzip(body: bytes) -> bytes:
    # One byte more than allowed is enough to know; a bomb is never unpacked.
    unpacker = zlib.decompressobj(wbits=31)
    try:
        code = unpacker.decompress(body, BUNDLE_BYTES_MAX + 1)
    except zlib.error as exc:
        raise InvalidParameter("the file is not gzip, as it says", parameter="file") from exc
    if not unpacker.eof and len(code) <= BUNDLE_BYTES_MAX:
        raise InvalidParameter("the file is gzip without its end", parameter="file")
    return code


def _gzipped_bytes(code: bytes) -> int:
    return len(gzip.compress(code, mtime=0))


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
