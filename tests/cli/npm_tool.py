"""The commands of the npm tool and their options: the tables of `contract/cli.md` as data."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TABLE = """
login: --no-store?
whoami:
billing:
machines list:
machines get: --machine/-m!
machines create: --machine/-m! --index/-i* --index-selectors/-d --version-reference/-r --js/-j
    --node/-n --skip-validation/-s?
machines delete: --machine/-m!
machine-versions create: --machine/-m! --version-reference/-r! --js/-j --node/-n
    --index-selectors/-d --make-current/-c? --skip-validation/-s?
machine-versions list: --machine/-m!
machine-versions validate-bundle: --js/-j!
migrations create: --machine/-m! --from/-f! --to/-t! --js/-j --node/-n
instances list: --machine/-m!
instances query: --machine/-m! --index/-i! --op/-o --value/-v --sort/-s
instances get: --machine/-m! --instance/-i!
instances create: --machine/-m! --instance/-i! --token/-t --auth-context/-a
    --context/-c --version/-v
instances send-event: --machine/-m! --instance/-i! --event/-e! --token/-t --auth-context/-a
instances set-desired-version: --machine/-m! --instance/-i! --version/-v!
instances list-transitions: --machine/-m! --instance/-i!
instances set-status: --machine/-m! --instance/-i! --status/-s!
instances delete: --machine/-m! --instance/-i!
logs get: --from/-f! --to/-t --machine/-m --instance/-i --version/-v --clean/-c?
logs watch: --from/-f! --to/-t --machine/-m --instance/-i --version/-v --clean/-c?
orgs list:
orgs create: --name/-n!
orgs default set: --org/-o
orgs default get:
keys create: --name/-n! --use/-u --scopes/-s*
keys list:
keys delete: --key/-k!
tokens generate: --key/-k! --secret/-s! --claims/-c!
invitations send: --email/-e! --role/-r --org/-o
invitations accept: --invitation/-i!
identity-providers upsert: --audience/-a --issuer/-i --algorithm/-l!* --mapping/-m! --key/-k
    --base64-key/-b --jwks-url/-j
identity-providers upsert-supabase: --project/-p! --secret/-s! --mapping/-m!
identity-providers upsert-auth0: --domain/-d! --mapping/-m!
identity-providers upsert-cognito: --user-pool-id/-u! --region/-r! --mapping/-m!
identity-providers list:
identity-providers delete: --audience/-a --issuer/-i
token-providers upsert: --service/-s! --mapping/-m! --key/-k!
token-providers list:
token-providers delete: --service/-s!
"""
"""`!` is required, `*` takes several values, `?` takes none."""

NOT_BUILT = {
    "migrations create", "instances query", "instances set-desired-version", "logs watch"
}  # fmt: skip
GLOBALS = "--access-token/-t --api-url/-u --org/-o --smply-version/-V? --help/-h?"


@dataclass(frozen=True)
class Option:
    long: str
    short: str
    required: bool
    many: bool
    takes_value: bool


def _options(text: str) -> list[Option]:
    found = re.findall(r"(--[\w-]+)(?:/(-\w))?([!*?]*)", text)
    return [
        Option(long, short or long, "!" in marks, "*" in marks, "?" not in marks)
        for long, short, marks in found
    ]


COMMANDS = {
    name: _options(options)
    for name, options in re.findall(r"^([\w -]+):((?:.|\n )*)$", _TABLE, re.MULTILINE)
}
"""The 41 commands by name."""

GLOBAL_OPTIONS = _options(GLOBALS)
