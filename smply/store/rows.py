"""What goes into the store and what comes out: frozen rows, no behaviour.

Ids of orgs, users, versions and uploads are the 16 bytes of a UUID; those of machines, instances
and deliveries are integers that are never used again (Q53). Times are whole milliseconds of the
epoch. JSON is text, kept as it came, since the order of its keys matters.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

CLAIM_MS_MAX = 60_000
"""A claim that would last longer was made before the clock was set back: it has lapsed."""


class Owner(Struct, frozen=True):
    """The org and the person that were made with the data directory."""

    org: bytes
    user: bytes


class UploadRow(Struct, frozen=True):
    """A version on its way in (S7): from provisional creation to finalization."""

    id: bytes
    org: bytes
    machine: int
    version: bytes
    secret_sha256: bytes
    created_at: int
    code_sha256: bytes | None
    finalized: bool


class NewVersion(Struct, frozen=True):
    """A version to be made; `code` has its XState specifiers rewritten, and is kept by sha256.

    `xstate` is the exact copy (`5.33.3`) or `bundled`, `adapter` its major. `selectors`, `exports`
    and `definition` are JSON.
    """

    id: bytes
    org: bytes
    machine: int
    created_at: int
    client_info: str
    xstate: str
    adapter: int
    uploaded_sha256: bytes
    code: bytes
    uploaded_bytes: int
    gzipped_bytes: int
    selectors: str
    exports: str
    definition: str


class VersionRow(Struct, frozen=True):
    """A version; `row` rises with each one made and is the cursor of a list."""

    row: int
    id: bytes
    org: bytes
    machine: int
    created_at: int
    client_info: str
    xstate: str
    adapter: int
    uploaded_sha256: bytes
    code_sha256: bytes
    uploaded_bytes: int
    gzipped_bytes: int
    selectors: str
    exports: str
    definition: str


class MachineRow(Struct, frozen=True):
    """A machine (S1) with its current version, if it has one (S2); `id` is the cursor of a list."""

    id: int
    org: bytes
    name: str
    created_at: int
    indexes: list[str]
    current: VersionRow | None


class NewInstance(Struct, frozen=True):
    """An instance to be made on exactly this version (S4, S5)."""

    org: bytes
    machine: int
    name: str
    version: bytes
    created_at: int


class InstanceRow(Struct, frozen=True):
    """An instance as its newest transition left it; `id` is the cursor of a list.

    `status` is `running` or `paused`. `answer` is the finished public state, `rest` what a
    snapshot holds beside value and context, `tags` a JSON array. While `claimed_until` is not
    over, nobody but `claimed_by` moves it.
    """

    id: int
    org: bytes
    machine: int
    name: str
    version: bytes
    status: str
    created_at: int
    seq: int
    ts: int
    value: str
    context: str
    rest: str
    answer: str
    tags: str
    claimed_by: bytes | None
    claimed_until: int | None
    done: bool


class ListedInstance(Struct, frozen=True):
    """A row of the list of instances, without its texts; `id` is the cursor (S40)."""

    id: int
    name: str
    version: bytes
    status: str
    created_at: int


class Set(Struct, frozen=True):
    """Owe the instance an event at `due`.

    `key` is XState's id of the timer, which may repeat; `cause` says what the step that makes it
    will say of its cause.
    """

    key: str | None
    due: int
    event: str
    cause: str = "timer"


class Cancel(Struct, frozen=True):
    """Forget the newest delivery of this key that is not parked (Q65)."""

    key: str


class Clear(Struct, frozen=True):
    """Forget all deliveries of the instance."""


class StepWrite(Struct, frozen=True):
    """One transition: the state it leaves, what caused it, and what it owes from now on.

    `base` is the seq it stands on; it becomes `base + 1`. For a creation `instance` and `base`
    are 0. `patch` is an RFC 7396 merge patch of the context against `base`; None keeps the whole
    context in the transition's row. `took` is the delivery that the step makes: it goes first,
    then `deliveries` are applied in order. `cause` says who sent the event (`client`, `timer`,
    `message` …), `cause_id` which delivery it was, `auth` with which auth context.
    """

    instance: int
    base: int
    ts: int
    value: str
    context: str
    rest: str
    answer: str
    tags: str
    done: bool
    version: bytes
    event: str
    auth: str | None
    cause: str
    cause_id: int | None = None
    patch: str | None = None
    deliveries: Sequence[Set | Cancel | Clear] = ()
    took: int | None = None


class DeliveryRow(Struct, frozen=True):
    """An event owed to an instance; `parked` is the reason why it is not tried again, or None."""

    id: int
    instance: int
    due: int
    key: str | None
    event: str
    attempts: int
    last_error: str | None
    parked: str | None
    cause: str


class TransitionRow(Struct, frozen=True):
    """A recorded transition (S41, S47); of `context` and `patch` exactly one is there."""

    seq: int
    ts: int
    event: str
    value: str
    auth: str | None
    cause: str
    cause_id: int | None
    version: bytes
    rest: str
    context: str | None
    patch: str | None


class Due(Struct, frozen=True):
    """An instance that is owed something: its id, and its names."""

    instance: int
    org: bytes
    machine: str
    name: str


class Overdue(Struct, frozen=True):
    """How many other running instances have overdue deliveries, and the one that waits longest."""

    count: int
    machine: str | None
    instance: str | None


class UsageRow(Struct, frozen=True):
    """What an org used in a month, such as `2027-01`."""

    org: bytes
    month: str
    transitions: int
    reads: int


class LogRow(Struct, frozen=True):
    """What machine code printed at once (S175): `instance` may be empty, `stream` is `stdout` or
    `stderr`."""

    ts: int
    machine: str
    instance: str
    version: bytes
    stream: str
    text: str


# Accounts.


class OrgRow(Struct, frozen=True):
    """An org as one of its members sees it; `row` is its place in lists."""

    row: int
    id: bytes
    name: str
    role: str
    created_at: int


class MemberRow(Struct, frozen=True):
    """A member of an org; `row` is the user's place in lists."""

    row: int
    user: bytes
    email: str | None
    role: str
    created_at: int


class AccessTokenRow(Struct, frozen=True):
    """A person's token; its secret is kept as a hash. `used_at` is some minutes behind at most."""

    row: int
    id: bytes
    user: bytes
    name: str
    created_at: int
    expires_at: int | None
    used_at: int | None


class InvitationRow(Struct, frozen=True):
    """An invitation that nobody has accepted yet; its code is kept as a hash."""

    row: int
    id: bytes
    org: bytes
    email: str
    role: str
    created_at: int
    expires_at: int


class KeyRow(Struct, frozen=True):
    """A key of an org: `scopes` as a JSON list, its secret sealed."""

    row: int
    id: bytes
    org: bytes
    name: str
    scopes: str
    secret: bytes
    created_at: int


class IdentityProviderRow(Struct, frozen=True):
    """Whose tokens are taken: `aud` or `iss` may be empty; `algs` and `mapping` are JSON.

    Of `key`, sealed, and `jwks_url` exactly one is there.
    """

    row: int
    org: bytes
    aud: str
    iss: str
    algs: str
    key: bytes | None
    jwks_url: str | None
    mapping: str


class TokenProviderRow(Struct, frozen=True):
    """What a service's tokens are made of: the id of the key that signs them, a mapping as JSON."""

    row: int
    org: bytes
    service: str
    key: bytes
    mapping: str


class AuditRow(Struct, frozen=True):
    """Who did what to what: each write that is no event."""

    row: int
    org: bytes
    ts: int
    who: str
    action: str
    what: str
    address: str
    request: str
