"""What crosses a door: machines, versions, instances, transitions, pages. Frozen, no behaviour.

The names on the wire are the contract's (camelCase, `slug` for `name`); shapes are those of
`State`, `AdministrativeInstanceState`, `MachineVersionInfo` … in its OpenAPI document.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from msgspec import UNSET, Struct, UnsetType, field

T = TypeVar("T")

StateValue = str | dict[str, Any]
"""`"on"`, `{"payment": "invoice"}`, `{"a": {…}, "b": "x"}` (S31, S32)."""

Json = Any
"""A value that came from JSON."""


class Version(Struct, frozen=True, rename="camel"):
    """A version of a machine: `{"id": "ver_…", "createdAt": ISO 8601, "clientInfo": text}`."""

    id: str
    created_at: str
    client_info: str


class MachineSummary(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A row of the list of machines: `{"slug", "createdAt", "currentVersion"?}`."""

    name: str = field(name="slug")
    created_at: str
    current_version: Version | UnsetType = UNSET


class Machine(Struct, frozen=True, rename="camel", omit_defaults=False):
    """A machine by itself: `{"createdAt", "currentVersion"?, "indexes": [name]}`."""

    created_at: str
    indexes: list[str]
    current_version: Version | UnsetType = UNSET


class VersionDetail(Struct, frozen=True, rename="camel"):
    """A version with what is known of its code (`GET /smply/machines/{m}/v/{v}`).

    `xstate` is the exact copy (`5.33.3`) or `4 bundled`, `5 bundled`; `bundle` is
    `{"bytes", "gzippedBytes", "sha256"}`; `definition` is the Node of `extensions.md`.
    """

    id: str
    created_at: str
    client_info: str
    xstate: str
    bundle: dict[str, Any]
    index_selectors: dict[str, str]
    exports: list[str]
    definition: dict[str, Any]


class State(Struct, frozen=True, kw_only=True, rename="camel"):
    """The public view of an instance (S31-S36); `ts` is in milliseconds of the epoch."""

    ts: int
    state: StateValue
    public_context: dict[str, Any] | UnsetType = UNSET
    tags: list[str]
    done: bool
    states: list[str] = []


class AdminState(Struct, frozen=True, rename="camel"):
    """The administrative view of an instance, its whole context included (S38)."""

    state: StateValue
    context: dict[str, Any]
    status: str
    tags: list[str]
    done: bool
    machine_version: Version
    created_at: str


class Timer(Struct, frozen=True, rename="camel"):
    """An event owed to an instance; `due` is ISO 8601, `id` XState's name of the timer."""

    delivery: int
    id: str
    event: dict[str, Any]
    due: str


class InstanceDetail(Struct, frozen=True, rename="camel"):
    """All that is known of an instance (`GET /smply/machines/{m}/i/{i}`)."""

    state: StateValue
    context: dict[str, Any]
    status: str
    tags: list[str]
    done: bool
    machine_version: Version
    created_at: str
    seq: int
    ts: int
    timers: list[Timer]
    services: list[dict[str, Any]]
    deliveries: dict[str, int]
    output: Json | UnsetType = UNSET
    error: Json | UnsetType = UNSET


class InstanceSummary(Struct, frozen=True, rename="camel"):
    """A row of the list of instances (S40)."""

    name: str = field(name="slug")
    created_at: str
    status: str
    machine_version: Version


class Transition(Struct, frozen=True, rename="camel"):
    """One recorded macrostep: the event and the state after it (S41)."""

    created_at: str
    state: StateValue
    event: Json


class Org(Struct, frozen=True, rename="camel"):
    """An org of a person: their `role` is `admin`, `write` or `read` (S192, S193)."""

    id: str
    name: str
    role: str
    created_at: str
    limits: dict[str, Any]


class Member(Struct, frozen=True, rename="camel"):
    """A person in an org; `email` is that of their invitation, null for who made the org."""

    user_id: str
    email: str | None
    role: str
    created_at: str


class Invitation(Struct, frozen=True, rename="camel", omit_defaults=True):
    """An invitation that stands; `invitation` is its code, which is told once (Q49)."""

    id: str
    email: str
    role: str
    created_at: str
    expires_at: str
    invitation: str | UnsetType = UNSET


class Welcome(Struct, frozen=True, rename="camel"):
    """What a new person gets who accepts an invitation: their access token is told once."""

    org_id: str
    user_id: str
    access_token: str


class Key(Struct, frozen=True, rename="camel"):
    """A key of an org, without its secret (S105, S106)."""

    id: str
    name: str
    scopes: list[str]
    created_at: str


class NewKey(Struct, frozen=True):
    """A key that was just made: `id` (`sbk_…`) and `key`, its secret, told once (S109)."""

    id: str
    key: str


class AccessToken(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A person's access token; `access_token` is the secret, told once."""

    id: str
    name: str
    created_at: str
    expires_at: str | UnsetType = UNSET
    last_used_at: str | UnsetType = UNSET
    access_token: str | UnsetType = UNSET


class IdentityProvider(Struct, frozen=True, rename="camel", omit_defaults=True):
    """Whose tokens may be exchanged (S117, S118); its key is never shown."""

    algs: list[str]
    mapping: dict[str, Any]
    aud: str | UnsetType = UNSET
    iss: str | UnsetType = UNSET
    jwks_url: str | UnsetType = UNSET


class TokenProvider(Struct, frozen=True, rename="camel"):
    """What they are exchanged for: claims by `mapping`, signed with a key (S119)."""

    service: str
    key_id: str
    mapping: dict[str, Any]


class LogLine(Struct, frozen=True, rename="camel"):
    """What machine code printed, as `GET /logs` tells it (S176); `output_type` is the stream."""

    timestamp: str
    org_id: str
    machine_name: str
    instance_name: str
    machine_version_id: str
    output_type: str
    log: str


class LogBatch(Struct, frozen=True, rename="camel"):
    """Some logs; `max_timestamp` is where to go on, and `from` itself if there are no more."""

    max_timestamp: str
    logs: list[LogLine]


class AuditEntry(Struct, frozen=True, rename="camel"):
    """Who did what to what, when, from where: of every write that is no event."""

    at: str
    who: str
    action: str
    what: str
    address: str
    request_id: str


class Usage(Struct, frozen=True, rename="camel"):
    """What an org has used in a month, such as `2027-01` (S194)."""

    month: str
    transitions: int
    index_writes: int | float
    reads: int


class Info(Struct, frozen=True, rename="camel", omit_defaults=True):
    """Who asks: a person or a key, in one org if that is certain, and what they may do there.

    `act` is the auth context that machines see.
    """

    version: str
    scopes: list[str]
    act: dict[str, Any]
    org_id: str | UnsetType = UNSET
    user_id: str | UnsetType = UNSET
    key_id: str | UnsetType = UNSET
    email: str | UnsetType | None = UNSET


class Page(Struct, Generic[T], frozen=True):
    """One page of a list; `cursor` asks for the next, None on the last."""

    items: list[T]
    cursor: str | None = None


class LogEntry(Struct, frozen=True):
    """What machine code printed, or an error of it that nobody handled.

    `stream` is `stdout` or `stderr`; `phase` is `load`, `guard`, `transition` (an assign, an
    expression), `authorizer`, `action`, `rejection` or `timer`; `instance` is None while a
    module loads.
    """

    machine: str
    instance: str | None
    phase: str
    stream: str
    text: str


class Notice(Struct, frozen=True):
    """A remark of the engine that the local profile shows on stderr, in one line."""

    text: str
