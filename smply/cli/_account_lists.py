"""Lists of orgs, people, keys, providers, logs and audits as lines for people."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import UNSET, UnsetType
from rich.text import Text

from smply.cli._frame import Frame
from smply.cli._lists import fact_lines
from smply.cli._table import Column, table
from smply.cli._text import compact, harmless, since, until
from smply.contract import USES
from smply.models import (
    AccessToken,
    AuditEntry,
    IdentityProvider,
    Invitation,
    Key,
    LogLine,
    Member,
    Org,
    TokenProvider,
    Usage,
)


def org_list(orgs: Sequence[Org], default: str | None, frame: Frame) -> list[Text]:
    """ORG, NAME, ROLE, CREATED; the one that is meant is lit and marked, the only one is."""
    if default is None and len(orgs) == 1:
        default = orgs[0].id
    rows = [
        [
            Text(frame.marks.active if org.id == default else " ", style="bold green"),
            Text(org.id, style="bold green" if org.id == default else "bold"),
            _told(org.name),
            _told(org.role),
            _age(org.created_at, frame),
        ]
        for org in orgs
    ]
    headings = ["", "ORG", "NAME", "ROLE", "CREATED"]
    if default is None:
        headings, rows = headings[1:], [row[1:] for row in rows]
    return _table(headings, rows, frame)


def key_list(keys: Sequence[Key], frame: Frame) -> list[Text]:
    """KEY, NAME, CREATED, and SCOPES: the use whose they are, or how many and which."""
    rows = [
        [
            Text(key.id, style="bold"),
            _told(key.name),
            _age(key.created_at, frame),
            Text(_use(key.scopes), style="dim"),
        ]
        for key in keys
    ]
    return _table(["KEY", "NAME", "CREATED", "SCOPES"], rows, frame)


def _use(scopes: Sequence[str]) -> str:
    use = next((use for use, its in USES.items() if its == set(scopes)), None)
    return use or f"{len(scopes)}: {' '.join(scopes)}"


def token_list(tokens: Sequence[AccessToken], frame: Frame) -> list[Text]:
    """TOKEN, NAME, CREATED, USED, EXPIRES."""
    rows = [
        [
            Text(token.id, style="bold"),
            _told(token.name),
            _age(token.created_at, frame),
            _age(token.last_used_at, frame),
            _until(token.expires_at, frame),
        ]
        for token in tokens
    ]
    return _table(["TOKEN", "NAME", "CREATED", "USED", "EXPIRES"], rows, frame)


def member_list(members: Sequence[Member], frame: Frame) -> list[Text]:
    """USER, E-MAIL, ROLE, SINCE."""
    rows = [
        [
            Text(member.user_id, style="bold"),
            _told(member.email or ""),
            _told(member.role),
            _age(member.created_at, frame),
        ]
        for member in members
    ]
    return _table(["USER", "E-MAIL", "ROLE", "SINCE"], rows, frame)


def invitation_list(invitations: Sequence[Invitation], frame: Frame) -> list[Text]:
    """INVITATION, E-MAIL, ROLE, SENT, EXPIRES."""
    rows = [
        [
            Text(invitation.id, style="bold"),
            _told(invitation.email),
            _told(invitation.role),
            _age(invitation.created_at, frame),
            _until(invitation.expires_at, frame),
        ]
        for invitation in invitations
    ]
    return _table(["INVITATION", "E-MAIL", "ROLE", "SENT", "EXPIRES"], rows, frame)


def identity_provider_list(providers: Sequence[IdentityProvider], frame: Frame) -> list[Text]:
    """Facts of each, with a line between: two addresses side by side would be cut."""
    lines: list[Text] = []
    for provider in providers:
        facts = {
            "issuer": "any" if provider.iss is UNSET else provider.iss,
            "audience": "any" if provider.aud is UNSET else provider.aud,
            "signed": f"{' '.join(provider.algs)}, by {_keys_of(provider)}",
            "mapping": compact(provider.mapping, frame.marks),
        }
        lines += [*([Text()] if lines else []), *fact_lines(facts, frame)]
    return lines


def _keys_of(provider: IdentityProvider) -> str:
    return "its key" if provider.jwks_url is UNSET else f"keys of {provider.jwks_url}"


def token_provider_list(providers: Sequence[TokenProvider], frame: Frame) -> list[Text]:
    """SERVICE, KEY, MAPPING."""
    rows = [
        [
            Text(harmless(provider.service), style="bold"),
            _told(provider.key_id),
            Text(compact(provider.mapping, frame.marks), style="dim"),
        ]
        for provider in providers
    ]
    return _table(["SERVICE", "KEY", "MAPPING"], rows, frame)


def audit_list(entries: Sequence[AuditEntry], frame: Frame) -> list[Text]:
    """WHEN, ACTION, WHAT, WHO, FROM; oldest first. JSON has the ids whole, and the paths."""
    rows = [
        [
            _age(entry.at, frame),
            Text(harmless(entry.action), style="bold"),
            _told(_object(entry.what)),
            _told(_ID.sub(r"\1", entry.who)),
            Text(harmless(entry.address), style="dim"),
        ]
        for entry in entries
    ]
    return _table(["WHEN", "ACTION", "WHAT", "WHO", "FROM"], rows, frame)


def _object(what: str) -> str:
    """What an action says of its kind is not said again; ids of versions are short."""
    return what.rpartition("/")[2] if what.startswith("/smply/") else _VERSION.sub(r"\1", what)


_VERSION = re.compile(r"(ver_.{8}).{14}")
_ID = re.compile(r"([a-z]+_.{8}).{14}")


def log_list(lines: Sequence[LogLine], frame: Frame) -> list[Text]:
    """WHEN, MACHINE, INSTANCE, and as much of TEXT as there is room for, its lines behind each
    other; what went to stderr is marked, and red."""
    rows = [
        [
            _age(line.timestamp, frame),
            _told(line.machine_name),
            Text(harmless(line.instance_name), style="bold"),
            _printed(line, frame),
        ]
        for line in lines
    ]
    return _table(["WHEN", "MACHINE", "INSTANCE", "TEXT"], rows, frame)


def _printed(line: LogLine, frame: Frame) -> Text:
    lines = filter(None, map(str.strip, line.log.splitlines()))
    # One letter more than fits, so that it is seen to go on.
    text = harmless(f" {frame.marks.dot} ".join(lines)[: frame.width + 1])
    if line.output_type == "stderr":
        return Text(f"stderr: {text}", style="red")
    return Text(text)


def usage_list(usage: Sequence[Usage], frame: Frame) -> list[Text]:
    """MONTH, TRANSITIONS, READS, INDEX WRITES."""
    headings = [Column("MONTH"), *(Column(name, right=True) for name in _COUNTED)]
    rows = [
        [
            Text(row.month, style="bold"),
            *map(_number, (row.transitions, row.reads, row.index_writes)),
        ]
        for row in usage
    ]
    return table(headings, rows, frame.width, frame.marks.ellipsis)


_COUNTED = ("TRANSITIONS", "READS", "INDEX WRITES")


def _number(count: float) -> Text:
    return Text(f"{count:,g}" if count < 1_000_000 else f"{count:,.0f}")


_WHOLE = ("ORG", "KEY", "TOKEN", "USER", "INVITATION", "SERVICE", "WHEN", "ACTION", "WHAT")
"""Columns whose ids other commands need, and what an audit is read for."""


def _table(headings: Sequence[str], rows: Sequence[Sequence[Text]], frame: Frame) -> list[Text]:
    columns = [Column(heading, whole=heading in _WHOLE) for heading in headings]
    return table(columns, rows, frame.width, frame.marks.ellipsis)


def _told(text: str) -> Text:
    return Text(harmless(text))


def _age(iso: str | UnsetType, frame: Frame) -> Text:
    return Text("never" if iso is UNSET else since(iso, frame.now), style="dim")


def _until(iso: str | UnsetType, frame: Frame) -> Text:
    return Text("never" if iso is UNSET else until(iso, frame.now), style="dim")
