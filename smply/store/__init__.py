"""The store: everything that must outlive the process, behind one protocol."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from smply.store.accounts import Accounts, Anonymous
from smply.store.copies import Contents, copy_database, read_copy
from smply.store.history import merge_patch, rebuild
from smply.store.queries import new_id
from smply.store.rows import (
    CLAIM_MS_MAX,
    AccessTokenRow,
    AuditRow,
    Cancel,
    Clear,
    DeliveryRow,
    Due,
    IdentityProviderRow,
    InstanceRow,
    InvitationRow,
    KeyRow,
    ListedInstance,
    LogRow,
    MachineRow,
    MemberRow,
    NewInstance,
    NewVersion,
    OrgRow,
    Overdue,
    Owner,
    Set,
    StepWrite,
    TokenProviderRow,
    TransitionRow,
    UploadRow,
    UsageRow,
    VersionRow,
)
from smply.store.schema import migrate, needs_migration, newest_schema
from smply.store.sqlite import open_sqlite

__all__ = [
    "CLAIM_MS_MAX",
    "AccessTokenRow",
    "Accounts",
    "Anonymous",
    "AuditRow",
    "Cancel",
    "Clear",
    "Contents",
    "DeliveryRow",
    "Due",
    "IdentityProviderRow",
    "InstanceRow",
    "InvitationRow",
    "KeyRow",
    "ListedInstance",
    "LogRow",
    "MachineRow",
    "MemberRow",
    "NewInstance",
    "NewVersion",
    "OrgRow",
    "Overdue",
    "Owner",
    "Set",
    "StepWrite",
    "Store",
    "TokenProviderRow",
    "TransitionRow",
    "UploadRow",
    "UsageRow",
    "VersionRow",
    "copy_database",
    "merge_patch",
    "migrate",
    "needs_migration",
    "new_id",
    "newest_schema",
    "open_store",
    "read_copy",
    "rebuild",
]


async def open_store(path: Path, now: int) -> Store:
    """The store in this SQLite file; made with its first org and owner, or upgraded, if need be.

    Whoever may meet others on an old file asks `needs_migration` first and keeps them away. It
    belongs to the event loop that opens it.

    What a deletion that was broken off has left goes first.

    Raises DataDirectoryError if the file cannot be opened, is not ours, or is too new.
    """
    store = open_sqlite(path, now)
    await store.finish_removals()
    return store


class Store(Protocol):
    """What is kept. It decides nothing, and knows machines and instances by their row ids.

    Writes are awaited, durable when they return, and made even if the caller is cancelled
    meanwhile. Reads are immediate, each sees one moment, and always all that has been written.
    Lists are pages of at most `limit` rows after the row or id `after`; 0 begins.
    `accounts` is what it keeps of those who ask.

    Everything raises Unavailable if the data cannot be had just now; then nothing was written.
    """

    accounts: Accounts

    def owner(self) -> Owner:
        """The org and the person that were made with the data."""

    async def create_machine(
        self, org: bytes, name: str, indexes: list[str], now: int
    ) -> int | None:
        """A new machine's id; None if its org has one of that name (S1)."""

    def get_machine(self, org: bytes, name: str) -> MachineRow | None:
        """The machine of that name."""

    def list_machines(self, org: bytes, after: int, limit: int) -> list[MachineRow]:
        """A page of an org's machines, oldest first."""

    async def create_upload(self, upload: UploadRow) -> bool:
        """Begin the three steps in which a version comes about (S7); False without its machine."""

    def get_upload(self, org: bytes | None, upload_id: bytes) -> UploadRow | None:
        """The upload, of this org or (None) of any."""

    async def put_upload_code(self, upload_id: bytes, code: bytes) -> bool:
        """Keep what was uploaded, by its sha256; False if there is no such upload."""

    async def create_version(self, v: NewVersion, make_current: bool, upload_id: bytes) -> bool:
        """Make the version and mark its upload as finalized.

        False if it already was (Q34), or is there no more.
        """

    async def set_current(self, machine: int, version: bytes) -> bool:
        """Make a version current; False if it is none of that machine (S2)."""

    async def delete_machine(self, machine: int) -> bool:
        """Forget a machine, its versions and what was uploaded for it (S161).

        Codes stay that another machine of the org has too. False, and nothing is deleted, while
        the machine has instances (S162).
        """

    def get_version(self, org: bytes, version: bytes) -> VersionRow | None:
        """The version of that id."""

    def list_versions(self, org: bytes, machine: int, after: int, limit: int) -> list[VersionRow]:
        """A page of a machine's versions, oldest first."""

    def get_code(self, org: bytes, sha256: bytes) -> bytes:
        """The code of that sha256. Raises LookupError if none is kept."""

    async def create_instance(self, new: NewInstance, first: StepWrite) -> int | None:
        """A new instance's id, with its first transition; None if the name is taken (S4, S5).

        Raises LookupError if the machine or that version of it is not there, or not any more.
        """

    async def set_status(self, instance: int, status: str) -> bool:
        """Set `running` or `paused` (S158); False if there is no such instance any more."""

    async def delete_instance(self, instance: int) -> bool:
        """Forget an instance and all of it (S160); False if there is none any more.

        It is gone at once and whole. A long history follows in writes of its own, so that those
        of others need not wait; what a crash leaves of it, the next opening removes.
        """

    async def commit(
        self, steps: Sequence[StepWrite], claimant: bytes, now: int, hold_until: int | None = None
    ) -> bool:
        """Move one instance along a chain of steps, all or nothing (S45).

        False, and nothing written, if the instance does not stand at the first step's base, is
        paused, is claimed by another than `claimant` beyond `now`, or is no longer owed a delivery
        that a step takes. The claim is released, or kept until `hold_until`. Raises ValueError if
        the steps are no chain of one instance.
        """

    async def claim(self, instance: int, claimant: bytes, now: int, until: int) -> bool:
        """Keep all but `claimant` from moving an instance until then; until `now` releases it.

        One that would last longer than `CLAIM_MS_MAX` has lapsed: the clock was set back meanwhile.

        False if it is gone, or another's claim has not lapsed by `now`.
        """

    def stands(self, instance: int, seq: int) -> bool:
        """Whether an instance still runs and stands at that seq."""

    def get_instance(self, org: bytes, machine: str, name: str) -> InstanceRow | None:
        """The instance of that name of the machine of that name."""

    def list_instances(
        self, org: bytes, machine: int, after: int, limit: int
    ) -> list[ListedInstance]:
        """A page of a machine's instances, oldest first (S40)."""

    def list_transitions(self, instance: int, after: int, limit: int) -> list[TransitionRow]:
        """A page of an instance's transitions after that seq, oldest first (S41)."""

    def list_since_whole(self, instance: int, seq: int) -> list[TransitionRow]:
        """The transitions up to `seq`, from the last that keeps a whole context."""

    def due_deliveries(self, instance: int, now: int, limit: int) -> list[DeliveryRow]:
        """What the instance is owed by `now` and is not parked, in the order of delivery (S64)."""

    def next_due(self, instance: int) -> int | None:
        """When the instance is owed its next event."""

    def due_instances(self, now: int, limit: int) -> list[Due]:
        """Running instances that are owed something by `now`; one may come several times."""

    def first_due_after(self, now: int) -> int | None:
        """When the first is due, of any running instance, that is not by `now`."""

    def count_deliveries(self, now: int) -> tuple[int, int]:
        """How many deliveries are due by `now`, and how many are parked."""

    @property
    def transactions(self) -> int:
        """How many have been committed since it was opened."""

    @property
    def writes(self) -> int:
        """How many writes were put together in them."""

    def deliveries(self, instance: int) -> list[DeliveryRow]:
        """All that the instance is owed, parked ones too, in the order of delivery."""

    def overdue_elsewhere(self, org: bytes, instance: int | None, now: int) -> Overdue:
        """Which other running instances of the org are owed something by `now`."""

    async def add_usage(self, usage: Sequence[UsageRow]) -> None:
        """Add to what orgs have used in months."""

    def list_usage(self, org: bytes) -> list[UsageRow]:
        """What an org has used, newest month first."""

    async def add_logs(self, logs: Sequence[tuple[bytes, LogRow]]) -> None:
        """Keep what was printed, each with its org."""

    def list_logs(
        self, org: bytes, after: int, until: int, limit: int, *, machine: str | None = None,
        instance: str | None = None, version: bytes | None = None,
    ) -> list[LogRow]:  # fmt: skip
        """What was printed after one time and until another, oldest first: `limit` entries, or
        more where a millisecond has more (C10)."""

    async def trim_logs(self, before: int, limit: int) -> int:
        """Forget entries older than that, `limit` at most; how many it were."""

    async def fail_delivery(
        self, delivery: int, attempts: int, error: str, retry_at: int, parked: bool
    ) -> bool:
        """Count a failed attempt; owe it again at `retry_at`, or park it with that reason (S66).

        False, and nothing written, if it has not had just `attempts` so far, or is gone.
        """

    async def close(self) -> None:
        """Finish what has been asked for, then let the file go."""
