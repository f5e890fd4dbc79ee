"""`smply login`, `logout` and `whoami`."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from smply.cli._answers import show_facts, tell
from smply.cli._command import Given, command
from smply.cli._confirm import ask, is_yes
from smply.cli._connect import all_pages, open_client
from smply.cli._interrupt import run
from smply.cli._options import SecretStdin, TokenStdin, first_line_of_stdin, secret_of
from smply.cli.profile import (
    KeyId,
    credential_told,
    known,
    refuse_left,
    tell_left_behind,
    tell_of_npm,
    tell_where,
)
from smply.config import DATA_DIR, PROFILE
from smply.connection import Connection, Told, from_environment, profile_named
from smply.errors import ApiError, NotConfirmed, NotFound, NotSignedIn, UsageError
from smply.profiles import LOCAL, Profile, Profiles, checked_url

if TYPE_CHECKING:
    from smply.models import Info, Org

_FIRST = "default"
"""The profile of who signs in without naming one."""
_HOST_MAX = 100
"""Letters of a host that make a name."""

NoStore = Annotated[bool, typer.Option("--no-store", help="Keep nothing; print the token alone.")]


def declare(app: typer.Typer) -> None:
    """Add the commands to the app."""

    @command(app, "login", view="tree", named="profile")
    def login(
        given: Given,
        token_stdin: TokenStdin = False,
        key_id: KeyId = None,
        secret_stdin: SecretStdin = False,
        no_store: NoStore = False,
    ) -> None:
        """Sign in to a server, with an access token or a key, and keep it as a profile.

        smply login --api-url https://smply.example.com --token-stdin < token.txt
        """
        _login(given, token_stdin, key_id, secret_stdin, no_store)

    @command(app, "logout", view=None, named="profile")
    def logout(given: Given) -> None:
        """Forget the credential of the profile in use; the server keeps the token or key."""
        _logout(given)

    @command(app, "whoami", view="tree", named="userId keyId")
    async def whoami(given: Given) -> None:
        """Show who you are, where, and what you may do there."""
        await _whoami(given)


# Signing in.


@dataclass(frozen=True)
class _Found:
    """What a server says of a credential; None where it is no smply."""

    info: Info | None
    orgs: list[Org]

    @property
    def ids(self) -> dict[str, str]:
        """The id of the person or the key."""
        from msgspec import UNSET

        told = {} if self.info is None else {"userId": self.info.user_id, "keyId": self.info.key_id}
        return {name: value for name, value in told.items() if value is not UNSET}

    @property
    def who(self) -> str | None:
        return next(iter(self.ids.values()), None)


def _login(
    given: Given, token_stdin: bool, key_id: str | None, secret_stdin: bool, no_store: bool
) -> None:
    profiles = Profiles(given.config.config_dir)
    before = _meant(given, profiles)
    profile = _aimed(given, profiles, before)
    name = profile.name
    where = f"Signing in to {profile.url}, as profile {name}\n"
    told = credential_told(token_stdin, key_id, secret_stdin, where)
    profile = profile.with_credential(**(told or _otherwise(given, profile.url, where)))
    found = run(_asked_who(given, profile))
    profile = replace(profile, org=_org(given, profile, found))
    if no_store:
        given.output.text(_token(given, profile))
        return
    kept = profiles.save(profile)
    profiles.use(name)
    value = {"profile": name, "url": profile.url, "org": profile.org, **found.ids}
    facts = {
        "signed in": found.who or "yes", "server": profile.url, "org": profile.org,
        "profile": f"{name}, in use",
    }  # fmt: skip
    show_facts(given, {**value, "keptIn": "keyring" if kept.keyring else "file"}, facts)
    if name != before.name:
        given.output.remark(f"profile {before.name} is of {before.url}, and stays as it was")
    elif before.url != profile.url:
        tell_left_behind(given, before)
    if profile.org is None and len(found.orgs) > 1:
        given.output.remark("you are in several orgs: smply orgs list, smply orgs default set")
    tell_where(given, kept)
    tell_of_npm(given)
    if given.output.for_people:
        given.output.next("smply whoami")


_NAMED = (PROFILE.flag, PROFILE.variable, DATA_DIR.flag)
"""Who names a profile for this once; others say which is in use."""


def _meant(given: Given, profiles: Profiles) -> Profile:
    """The profile that is named or in use, as it is; not that of this machine."""
    told = profile_named(given.flags, given.config)
    if told.value == LOCAL and told.by in _NAMED:
        raise UsageError("local is this machine, and needs no signing in", hint="--profile NAME")
    name = _FIRST if told.value == LOCAL else told.value
    return known(profiles, name, anew=True) or Profile(name)


def _aimed(given: Given, profiles: Profiles, before: Profile) -> Profile:
    """The profile to sign in to, for the server that is meant now.

    It is another than `before` where that is of another server and nobody has named it: its
    credential was perhaps told once.
    """
    named = [given.flags.api_url, _variable("url"), before.url]
    if given.flags.profile is not None:
        # As everywhere, a profile that a flag names goes before the environment.
        named = [given.flags.api_url, before.url, _variable("url")]
    url = next((url for url in named if url is not None), None)
    if url is None:
        url = _asked(given, "The address of the server:")
    url = checked_url(url, "--api-url")
    if before.url == url:
        return before
    if before.url is None or profile_named(given.flags, given.config).by in _NAMED:
        return Profile(before.name, url)
    return _of_host(profiles, url)


def _of_host(profiles: Profiles, url: str) -> Profile:
    """The profile that is named after a server's host; a number tells it from that of another."""
    host = (urlsplit(url).hostname or "")[:_HOST_MAX]
    name = re.sub(r"[^A-Za-z0-9_-]", "-", host).strip("-") or _FIRST
    taken = profiles.names()
    for each in chain([name], (f"{name}-{number}" for number in count(2))):
        if each not in taken:
            break
        # What cannot be read is perhaps of another.
        if (found := known(profiles, each, anew=True)) is not None and found.url == url:
            return found
    return Profile(each, url)


def _otherwise(given: Given, url: str | None, where: str) -> dict[str, str]:
    """The credential where stdin was not named: a flag, the environment, or a hidden question."""
    if given.flags.access_token is not None:
        return {"token": secret_of("--access-token", given.flags.access_token)}
    if token := _variable("token", url):
        return {"token": token}
    key_id, secret = _variable("key_id", url), _variable("secret", url)
    if key_id and secret:
        return {"key_id": key_id, "secret": secret}
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            "there is no credential to sign in with",
            hint="--token-stdin, or --key-id ID --secret-stdin, or SMPLY_ACCESS_TOKEN",
        )
    token = first_line_of_stdin(f"{where}Access token (of smply tokens create, not shown)")
    if not token:
        raise NotConfirmed("there was no token; nothing was done", hint="smply login --help")
    return {"token": token}


def _variable(name: str, url: str | None = None) -> str | None:
    """What the environment says; of another server than that of `url` nothing."""
    told = from_environment()
    if url is not None and "url" in told and told["url"].value != url:
        return None
    return told[name].value if name in told else None


def _asked(given: Given, question: str) -> str:
    """An answer that is typed; there must be somebody to type it."""
    if sys.stdin is None or not sys.stdin.isatty() or not given.output.is_watched:
        raise UsageError("which server to sign in to is not said", hint="--api-url URL")
    answer = ask(given, [], question).strip()
    if not answer:
        raise NotConfirmed("there was no answer; nothing was done", hint="smply login --help")
    return answer


def _connection(profile: Profile) -> Connection:
    """The profile alone, whatever else is in force."""
    by = f"profile {profile.name}"
    told = {
        name: Told(value, by)
        for name in ("url", "org", "token", "key_id", "secret")
        if (value := getattr(profile, name)) is not None
    }
    return Connection(Told(profile.name, "login"), profile, **told)


async def _asked_who(given: Given, profile: Profile) -> _Found:
    """The same as `_ask`, with a hint of one's own for a credential that is refused."""
    try:
        return await _ask(given, profile)
    except ApiError as exc:
        if exc.code == "missing-user":
            exc.hint = (
                "is it all of it, and of this server? smply tokens create makes another"
                if profile.key_id is None
                else f"is it the secret of {profile.key_id}, and of this server?"
            )
        raise


async def _ask(given: Given, profile: Profile) -> _Found:
    """Who the credential is, and a person's orgs. Raises what the server says of it."""
    connection = _connection(replace(profile, org=None))
    async with open_client(given.config, connection, given.output) as client:
        try:
            info = await client.server.info()
        except NotFound:
            # State Backed's own service has no such operation; this one needs a credential too.
            await client.machines.list()
            return _Found(None, [])
        found = _Found(info, [])
        return _Found(info, await all_pages(client.orgs.list)) if "userId" in found.ids else found


def _org(given: Given, profile: Profile, found: _Found) -> str | None:
    """The org that the profile is to mean: the one that is named, or the only one there is."""
    named = given.flags.org or _variable("org", profile.url) or profile.org
    ids = [org.id for org in found.orgs]
    if found.info is not None and "keyId" in found.ids:
        ids = [str(found.info.org_id)]
    if named is not None:
        if found.info is not None and named not in ids:
            raise UsageError(
                f"{found.who} is not in {named}", hint=f"--org {ids[0]}" if ids else "leave it out"
            )
        return named
    if found.info is not None and not ids:
        return _first_org(given, profile)
    return ids[0] if len(ids) == 1 else None


def _first_org(given: Given, profile: Profile) -> str | None:
    """Help a person without an org to one, if they are there to be asked (G5)."""
    if sys.stdin is None or not sys.stdin.isatty() or not given.output.is_watched:
        given.output.remark("you are in no org yet: smply orgs create --name NAME")
        return None
    # The npm tool asks like this too: whoever says y here means no org of that name.
    wanted = _answered(given, ["You are in no org yet."], "Create one? [y/N]")
    name = _answered(given, [], "Its name:") if is_yes(wanted) else ""
    if not name:
        given.output.remark("there is still none: smply orgs create --name NAME")
        return None
    return run(_create_org(given, profile, name))


def _answered(given: Given, warning: list[str], question: str) -> str:
    answer = ask(given, warning, question)
    if not answer:
        raise NotConfirmed("there was no answer; nothing was done", hint="smply login --help")
    return answer.strip()


async def _create_org(given: Given, profile: Profile, name: str) -> str:
    async with open_client(given.config, _connection(profile), given.output) as client:
        org = await client.orgs.create(name)
    given.output.step("Created", f"{name}, {org}")
    return org


def _token(given: Given, profile: Profile) -> str:
    """What `--no-store` prints: the access token, or one that the key signs for 24 hours."""
    if profile.token is not None:
        return profile.token
    from smply.client import sign_token

    assert profile.key_id is not None
    assert profile.secret is not None
    return sign_token(profile.key_id, profile.secret, {}, now=given.clock.now() / 1000)


# Signing out, and who one is.


def _logout(given: Given) -> None:
    here = given.connection
    profile = here.settings
    if profile.name == LOCAL:
        raise UsageError("local is this machine: there is nothing to sign out of")
    if profile.credential is None:
        raise NotSignedIn(f"profile {profile.name} has no credential", hint="smply login")
    kept = Profiles(given.config.config_dir).save(profile.with_credential())
    refuse_left(f"profile {profile.name} is signed out", kept.left)
    value = {"profile": profile.name, "signedOut": True}
    tell(given, "Signed out", f"profile {profile.name}, {profile.url}", value)
    if (told := from_environment().get("token")) is not None:
        given.output.remark(f"{told.by} is still set, and is used")


async def _whoami(given: Given) -> None:
    from msgspec import UNSET

    here = given.connection
    async with given.client() as client:
        info = await client.server.info()
        person = info.user_id is not UNSET
        orgs = await all_pages(client.orgs.list) if person and given.output.for_people else []
    org = info.org_id if info.org_id is not UNSET else (here.org.value if here.org else None)
    is_of_it = here.is_local or here.at_home
    value: dict[str, Any] = {
        "email": (info.email or None) if person else None,
        "userId": info.user_id if person else None,
        "defaultOrg": org,
        "profile": here.profile.value if is_of_it else None,
        "url": here.url.value if here.url else None,
        "version": info.version,
        **({} if person else {"keyId": info.key_id}),
        "scopes": info.scopes,
    }
    where = here.server if here.url else f"this machine, {given.config.data_dir}"
    facts = {
        "you": f"{info.user_id}{f', {info.email}' if info.email else ''}" if person
        else f"key {info.key_id}",
        "server": f"{where}, smply {info.version}",
        "profile": f"{here.profile.value} ({here.profile.by})" if is_of_it else "none",
        "org": f"{org}{_role(org, orgs)}" if org else "several, and none is meant",
        "may": _grouped(info.scopes),
    }  # fmt: skip
    show_facts(given, value, facts)


def _role(org: str, orgs: list[Org]) -> str:
    return next((f", {each.name}, {each.role}" for each in orgs if each.id == org), "")


def _grouped(scopes: list[str]) -> list[str]:
    """`instances: admin read write`, one a line."""
    groups: dict[str, list[str]] = {}
    for scope in scopes:
        noun, _, verb = scope.rpartition(".")
        groups.setdefault(noun, []).append(verb)
    return [f"{noun}: {' '.join(verbs)}" for noun, verbs in groups.items()] or ["nothing"]
