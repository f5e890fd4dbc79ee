"""`smply profile …`: servers, orgs and credentials under names."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smply.cli import _complete
from smply.cli._answers import show_list, tell
from smply.cli._command import SETTINGS, Given, command
from smply.cli._options import SecretStdin, TokenStdin, checked_org, first_line_of_stdin
from smply.connection import Connection, Told, profile_named
from smply.errors import NotConfirmed, UsageError
from smply.profiles import LOCAL, Kept, Profile, ProfileError, Profiles, checked_url

if TYPE_CHECKING:
    from rich.text import Text

    from smply.cli._frame import Frame

app = typer.Typer(help="Profiles: a server, an org, a credential.", context_settings=SETTINGS)

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The profile.", autocompletion=_complete.profiles),
]
AnyName = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]",
        help="The profile; else the one in use.",
        autocompletion=_complete.profiles,
    ),
]
Url = Annotated[str | None, typer.Option("--url", metavar="URL", help="The address of its server.")]
KeyId = Annotated[
    str | None,
    typer.Option("--key-id", metavar="ID", help="A key, with --secret-stdin; a terminal is asked."),
]
Ca = Annotated[
    Path | None,
    typer.Option("--ca", metavar="FILE", help="Certificates to trust beside the usual ones."),
]
ClientCert = Annotated[
    Path | None,
    typer.Option("--client-cert", metavar="FILE", help="A certificate to show to the server."),
]
ClientKey = Annotated[
    Path | None,
    typer.Option("--client-key", metavar="FILE", help="Its key, if it is not in the same file."),
]


@command(app, "list", view="table", named="name")
def list_profiles(given: Given) -> None:
    """List the profiles; the one in use is marked."""
    profiles = Profiles(given.config.config_dir)
    in_use, names = profile_named(given.flags, given.config), profiles.names()
    rows = [_summary(profiles, name, in_use.value) for name in names]
    show_list(given, rows, _profile_list, "", "")
    if in_use.value not in names:
        given.output.remark(
            f"there is no profile {in_use.value}, which is in use by {in_use.by}:"
            " smply profile use local"
        )
    tell_of_npm(given)


def _summary(profiles: Profiles, name: str, in_use: str) -> dict[str, Any]:
    """`{"name", "url", "org", "credential", "current"}`; of a broken file what is wrong with it."""
    row: dict[str, Any] = {"name": name, "url": None, "org": None, "credential": None}
    try:
        profile = profiles.load(name)
    except Exception as exc:
        return {**row, "error": str(exc), "current": name == in_use}
    row |= {"url": profile.url, "org": profile.org, "credential": profile.credential}
    return {**row, "current": name == in_use}


@command(app, "use", view=None, named="profile")
def use(given: Given, name: Name) -> None:
    """Make a profile the one of commands that name none.

    smply profile use prod
    """
    Profiles(given.config.config_dir).use(name)
    tell(given, "Using", f"profile {name}", {"profile": name}, "smply whoami")


@command(app, "set", view=None, named="profile")
def set_profile(
    given: Given,
    name: Name,
    url: Url = None,
    token_stdin: TokenStdin = False,
    key_id: KeyId = None,
    secret_stdin: SecretStdin = False,
    ca: Ca = None,
    client_cert: ClientCert = None,
    client_key: ClientKey = None,
) -> None:
    """Make a profile, or change what is said of it. Asks no server: smply login does.

    smply profile set prod --url https://smply.example.com --token-stdin < token
    """
    profiles = Profiles(given.config.config_dir)
    profile = _begun(given, profiles, name, url or given.flags.api_url)
    profile = replace(
        profile,
        org=profile.org if given.flags.org is None else checked_org(given.flags.org),
        ca=_trusted(ca) or profile.ca,
        client_cert=_existing("--client-cert", client_cert) or profile.client_cert,
        client_key=_existing("--client-key", client_key) or profile.client_key,
    )
    if profile.client_key is not None and profile.client_cert is None:
        raise UsageError(
            "--client-key is of a certificate, and none is named", hint="--client-cert FILE"
        )
    told = credential_told(token_stdin, key_id, secret_stdin)
    profile = profile.with_credential(**told) if told else profile
    kept = profiles.save(profile)
    tell(
        given,
        "Set",
        f"profile {name}, {profile.url}",
        {"profile": name},
        f"smply profile use {name}",
    )
    tell_where(given, kept)


def _begun(given: Given, profiles: Profiles, name: str, url: str | None) -> Profile:
    """The profile as it is; what it had for another server is left behind."""
    if name == LOCAL:
        raise UsageError("local is this machine, and has no settings", hint="name another")
    wanted = None if url is None else checked_url(url, "--url")
    found = known(profiles, name, anew=wanted is not None)
    if found is None:
        if wanted is None:
            raise UsageError(f"profile {name} needs the address of a server", hint="--url URL")
        return Profile(name, wanted)
    if wanted in (None, found.url):
        return found
    tell_left_behind(given, found)
    return Profile(name, wanted)


def tell_left_behind(given: Given, before: Profile) -> None:
    """Say what a profile loses that is made one of another server."""
    if before.org is not None or before.credential is not None:
        given.output.remark(f"what it had for {before.url} is left behind")


def known(profiles: Profiles, name: str, *, anew: bool) -> Profile | None:
    """A profile, None if it is not there, or is broken and may be made `anew`."""
    if name not in profiles.names():
        return None
    try:
        return profiles.load(name)
    except ProfileError:
        if not anew:
            raise
        return None


def credential_told(
    token_stdin: bool, key_id: str | None, secret_stdin: bool, where: str = ""
) -> dict[str, str]:
    """`token`, or `key_id` and `secret`, as the options tell them; nothing if they tell none.

    On a terminal they are asked for, after what `where` says.
    """
    if token_stdin and (key_id is not None or secret_stdin):
        other = "--key-id" if key_id is not None else "--secret-stdin"
        raise UsageError(f"--token-stdin and {other} are two credentials", hint="leave one out")
    if not (token_stdin or key_id is not None or secret_stdin):
        return {}
    typed = sys.stdin is not None and sys.stdin.isatty()
    if key_id is None and secret_stdin:
        raise UsageError("--secret-stdin is of a key, and none is named", hint="--key-id ID")
    if key_id is not None and not (secret_stdin or typed):
        raise UsageError("--key-id is a key without its secret", hint="--secret-stdin < FILE")
    what = "Access token" if token_stdin else f"The secret of {key_id}"
    secret = first_line_of_stdin(f"{where}{what} (not shown)")
    if not secret:
        if typed:
            raise NotConfirmed("there was no credential; nothing was done")
        option = "--token-stdin" if token_stdin else "--secret-stdin"
        raise UsageError("there is no credential on stdin", hint=f"{option} < FILE")
    if not secret.isascii() or not secret.isprintable():
        raise UsageError("what is on stdin is no credential: it is one line of ASCII")
    return {"token": secret} if key_id is None else {"key_id": key_id, "secret": secret}


def tell_where(given: Given, kept: Kept) -> None:
    """Say where a credential is when the keyring did not take it, or did not give it up."""
    if kept.left is not None:
        given.output.remark(kept.left)
    if kept.why is not None:
        given.output.remark(f"{kept.why}; the credential is in {kept.file}")


def refuse_left(done: str, left: str | None) -> None:
    """Raise ProfileError where the keyring keeps what should be gone."""
    if left is not None:
        hint = "unlock the keyring, and remove it there"
        raise ProfileError(f"{done}, but {left}", hint=hint)


def _existing(option: str, file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        file.expanduser().read_bytes()
    except (OSError, RuntimeError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise UsageError(f"{option}: {file} cannot be read: {reason}") from exc
    return str(file.expanduser().absolute())


def _trusted(file: Path | None) -> str | None:
    """The path of a file of certificates, if it holds any."""
    import ssl

    path = _existing("--ca", file)
    if path is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except ssl.SSLError as exc:
            hint = "it is PEM: -----BEGIN CERTIFICATE----- …"
            raise UsageError(f"--ca: {file} holds no certificates", hint=hint) from exc
    return path


@command(app, "delete", view=None, named="profile")
def delete(given: Given, name: Name) -> None:
    """Delete a profile and its credential. Asks for its name.

    smply profile delete staging
    """
    from smply.cli._confirm import confirm

    profiles = Profiles(given.config.config_dir)
    if name == LOCAL or name not in profiles.names():
        profiles.delete(name)
    confirm(given, [f"Profile {name} will be deleted here, with its credential."], name)
    was_in_use = profiles.in_use() == name
    left = profiles.delete(name)
    if was_in_use:
        given.output.remark("it was in use: commands are for this machine now")
    refuse_left(f"profile {name} is deleted", left)
    tell(given, "Deleted", f"profile {name}", {"profile": name, "deleted": True})


@command(app, "show", view="table")
def show(given: Given, name: AnyName = None) -> None:
    """Show what is in force, and where each of it comes from; secrets are not shown.

    smply profile show
    """
    if name is not None:
        given = replace(given, flags=replace(given.flags, profile=name))
    here = given.connection
    if name is not None:
        here = replace(here, profile=Told(name, "NAME"))
    rows = _in_force(given, here)
    if not given.output.for_people:
        given.output.json(
            {row["what"]: {k: v for k, v in row.items() if k != "what"} for row in rows}
        )
    else:
        given.output.lines(lambda frame: _shown(rows, frame), given.clock.now())


def _in_force(given: Given, here: Connection) -> list[dict[str, Any]]:
    """`{"what", "value", "from"}` of the profile, the server, the org, the credential."""
    rows = [_row("profile", here.profile), _row("server", here.url)]
    if here.is_local:
        rows[1] |= {"value": None, "dataDir": str(given.config.data_dir), "from": here.profile.by}
    rows.append(_row("org", here.org))
    credential = _row("credential", here.credential)
    if here.credential is not None:
        kind = "token" if here.token is not None else "key"
        credential |= {"kind": kind, "value": None if kind == "token" else here.credential.value}
        if here.credential.by == f"profile {here.settings.name}":
            credential["keptIn"] = "keyring" if here.settings.keyring else "file"
    rows.append(credential)
    by = f"profile {here.settings.name}"
    for name, file in (
        ("ca", here.settings.ca), ("clientCert", here.settings.client_cert),
        ("clientKey", here.settings.client_key),
    ):  # fmt: skip
        if file is not None:
            rows.append({"what": name, "value": file, "from": by})
    return rows


def _row(what: str, told: Told | None) -> dict[str, Any]:
    if told is None:
        return {"what": what, "value": None, "from": None}
    return {"what": what, "value": told.value, "from": told.by}


def _shown(rows: list[dict[str, Any]], frame: Frame) -> list[Text]:
    from rich.text import Text

    from smply.cli._table import columns_of
    from smply.cli._text import harmless

    cells = [
        [
            Text(row["what"], style="dim"),
            Text(harmless(_words(row)), style="bold"),
            Text(harmless(_source(row)), style="dim"),
        ]
        for row in rows
    ]
    return columns_of(cells, frame.width, frame.marks.ellipsis, gap=3, whole=(True, True, False))


def _words(row: dict[str, Any]) -> str:
    if "dataDir" in row:
        return f"this machine, {row['dataDir']}"
    if "kind" in row:
        return " ".join(each for each in (row["kind"], row["value"]) if each)
    return str(row["value"] or "none")


def _source(row: dict[str, Any]) -> str:
    kept = {"keyring": ", in the keyring", "file": ", in its file"}.get(row.get("keptIn", ""), "")
    return f"{row['from'] or ''}{kept}"


def _profile_list(rows: Any, frame: Frame) -> list[Text]:
    """PROFILE, SERVER, ORG, CREDENTIAL; the one in use is lit and marked."""
    from rich.text import Text

    from smply.cli._table import Column, table

    headings = ("", "PROFILE", "SERVER", "ORG", "CREDENTIAL")
    columns = [Column(heading, whole=heading in ("PROFILE", "SERVER")) for heading in headings]
    cells = [
        [
            Text(frame.marks.active if row["current"] else " ", style="bold green"),
            Text(row["name"], style="bold green" if row["current"] else "bold"),
            _place(row),
            Text(row["org"] or ""),
            Text(row["credential"] or "", style="dim"),
        ]
        for row in rows
    ]
    return table(columns, cells, frame.width, frame.marks.ellipsis)


def _place(row: dict[str, Any]) -> Text:
    from rich.text import Text

    from smply.cli._text import harmless

    if "error" in row:
        return Text("its file is broken", style="red")
    return Text(harmless(row["url"] or "this machine"))


def tell_of_npm(given: Given) -> None:
    """Say once that the npm tool's credentials are there, and how a profile is made of them."""
    told = given.config.config_dir / "npm-told"
    with suppress(OSError, RuntimeError):
        credentials = Path.home() / ".smply" / "credentials"
        if not credentials.exists() or told.exists():
            return
        given.output.remark(
            f"{credentials} is of the npm tool and not used here; a profile of it: jq -r"
            f" .access_token {credentials} | smply profile set statebacked"
            " --url https://api.statebacked.dev --token-stdin"
        )
        told.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        told.touch(0o600)
