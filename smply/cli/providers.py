"""`smply identity-providers …` and `smply token-providers …`."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Coroutine
from typing import Annotated, Any

import typer

from smply.cli._answers import missing, show_list, tell
from smply.cli._command import SETTINGS, Given, command
from smply.cli._connect import all_pages
from smply.cli._options import (
    KeyId,
    Mapping,
    first_line_of_stdin,
    json_object,
    secret_of,
)
from smply.errors import UsageError

identity = typer.Typer(
    help="Identity providers: whose tokens may be exchanged.", context_settings=SETTINGS
)
tokens = typer.Typer(
    help="Token providers: what they are exchanged for.", context_settings=SETTINGS
)

_PAIR = "aud iss"
"""What an identity provider is known by, as `--quiet` prints it and as `delete` asks for it."""

ALGORITHMS = (
    "HS256", "HS384", "HS512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512",
    "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip

Audience = Annotated[
    str | None, typer.Option("--audience", "-a", metavar="TEXT", help="The `aud` of its tokens.")
]
Issuer = Annotated[
    str | None, typer.Option("--issuer", "-i", metavar="TEXT", help="The `iss` of its tokens.")
]
Algorithms = Annotated[
    list[str],
    typer.Option(
        "--algorithm", "-l", metavar="ALG", help="What may sign: RS256 …; once or several times.",
        autocompletion=lambda: list(ALGORITHMS),
    ),
]  # fmt: skip
TextKey = Annotated[
    str | None,
    typer.Option("--key", "-k", metavar="TEXT", help="What verifies, as text; @FILE, @- (stdin)."),
]
Base64Key = Annotated[
    str | None,
    typer.Option("--base64-key", "-b", metavar="BASE64", help="The same in base64; @FILE, @-."),
]
JwksUrl = Annotated[
    str | None, typer.Option("--jwks-url", "-j", metavar="URL", help="Where its keys are.")
]
Project = Annotated[
    str, typer.Option("--project", "-p", metavar="ID", help="The project's id, as in its address.")
]
ProjectSecret = Annotated[
    str | None,
    typer.Option("--secret", "-s", metavar="SECRET", help="Its JWT secret; @FILE, @- (stdin)."),
]
ProjectSecretStdin = Annotated[
    bool, typer.Option("--secret-stdin", help="Its JWT secret is the first line of stdin.")
]
Domain = Annotated[
    str | None,
    typer.Option("--domain", "-d", metavar="DOMAIN", help="The tenant's domain; needed."),
]
UserPool = Annotated[str, typer.Option("--user-pool-id", "-u", metavar="ID", help="The user pool.")]
Region = Annotated[
    str, typer.Option("--region", "-r", metavar="REGION", help="Its region, such as eu-west-1.")
]
Service = Annotated[
    str,
    typer.Option("--service", "-s", metavar="NAME", help="Its name, in the audience of exchanges."),
]


@command(identity, "upsert", view=None, named=_PAIR)
async def upsert(
    given: Given,
    algorithm: Algorithms,
    mapping: Mapping,
    audience: Audience = None,
    issuer: Issuer = None,
    key: TextKey = None,
    base64_key: Base64Key = None,
    jwks_url: JwksUrl = None,
) -> None:
    """Make the identity provider of an audience and issuer, or change it.

    smply identity-providers upsert --issuer https://id.example.com/ -l RS256 \\
      --jwks-url https://id.example.com/jwks.json --mapping '{"sub.$": "$.sub"}'
    """
    _need_pair(audience, issuer)
    keys = {"--key": key, "--base64-key": base64_key, "--jwks-url": jwks_url}
    if sum(value is not None for value in keys.values()) != 1:
        raise UsageError(f"give exactly one of {', '.join(keys)}")
    unknown = [each for each in algorithm if each not in ALGORITHMS]
    if unknown:
        raise UsageError(f"--algorithm {unknown[0]} is not known", hint=", ".join(ALGORITHMS))
    raw = None
    if key is not None:
        raw = secret_of("--key", key).encode()
    elif base64_key is not None:
        raw = _from_base64(secret_of("--base64-key", base64_key))
    await _put(given, audience, issuer, algorithm, mapping, raw, jwks_url)


@command(identity, "upsert-supabase", view=None, named=_PAIR)
async def upsert_supabase(
    given: Given,
    project: Project,
    mapping: Mapping,
    secret: ProjectSecret = None,
    secret_stdin: ProjectSecretStdin = False,
) -> None:
    """Take the tokens of a Supabase project.

    smply identity-providers upsert-supabase --project abcd --secret @jwt.txt \\
      --mapping '{"sub.$": "$.sub"}'
    """
    if (secret is None) != secret_stdin:
        raise UsageError(
            "the project's JWT secret is needed", hint="--secret @FILE or --secret-stdin"
        )
    told = (
        first_line_of_stdin("Its JWT secret") if secret is None else secret_of("--secret", secret)
    )
    issuer = f"https://{_host_part('--project', project)}.supabase.co/auth/v1"
    await _put(given, "authenticated", issuer, ["HS256"], mapping, told.encode(), None)


@command(identity, "upsert-auth0", view=None, named=_PAIR)
async def upsert_auth0(
    given: Given,
    mapping: Mapping,
    domain: Domain = None,
    audience: Audience = None,
    user_pool_id: Annotated[str | None, typer.Option("--user-pool-id", hidden=True)] = None,
    region: Annotated[str | None, typer.Option("--region", hidden=True)] = None,
) -> None:
    """Take the tokens of an Auth0 tenant; its management API is their audience unless told.

    smply identity-providers upsert-auth0 --domain acme.eu.auth0.com \\
      --mapping '{"sub.$": "$.sub"}'
    """
    if user_pool_id is not None and region is not None and domain is None:
        # The product's documentation sets up Cognito like this (G4).
        await _cognito(given, user_pool_id, region, mapping, audience)
        return
    if domain is None or user_pool_id is not None or region is not None:
        raise UsageError("--domain is needed", hint="a user pool is of upsert-cognito")
    scheme, there, rest = domain.rpartition("://")
    if there and scheme != "https":
        raise UsageError(f"--domain {domain} is not of https", hint=f"--domain {rest}")
    host = f"https://{_host_part('--domain', rest.rstrip('/'))}"
    wanted = f"{host}/api/v2/" if audience is None else audience
    jwks = f"{host}/.well-known/jwks.json"
    await _put(given, wanted, f"{host}/", ["RS256"], mapping, None, jwks)


@command(identity, "upsert-cognito", view=None, named=_PAIR)
async def upsert_cognito(
    given: Given,
    user_pool_id: UserPool,
    region: Region,
    mapping: Mapping,
    audience: Audience = None,
) -> None:
    """Take the tokens of a Cognito user pool; of any of its clients unless --audience names one.

    smply identity-providers upsert-cognito -u eu-west-1_Abc -r eu-west-1 \\
      -m '{"sub.$": "$.sub"}'
    """
    await _cognito(given, user_pool_id, region, mapping, audience)


async def _cognito(
    given: Given, pool: str, region: str, mapping: str, audience: str | None
) -> None:
    where = _host_part("--region", region)
    issuer = f"https://cognito-idp.{where}.amazonaws.com/{_host_part('--user-pool-id', pool)}"
    jwks = f"{issuer}/.well-known/jwks.json"
    await _put(given, audience, issuer, ["RS256"], mapping, None, jwks)


async def _put(
    given: Given, audience: str | None, issuer: str | None, algorithms: list[str], mapping: str,
    key: bytes | None, jwks_url: str | None,
) -> None:  # fmt: skip
    mapped = json_object("--mapping", mapping) or {}
    async with given.client() as client:
        await client.identity_providers.upsert(
            audience=audience, issuer=issuer, algorithms=algorithms, mapping=mapped, key=key,
            jwks_url=jwks_url,
        )  # fmt: skip
    told = {"aud": audience, "iss": issuer, "algs": algorithms, "jwksUrl": jwks_url}
    value = {name: each for name, each in told.items() if each is not None}
    tell(given, "Set", f"identity provider {_pair(audience, issuer)}", {**value, "mapping": mapped})


@command(identity, "list", view="tree", named=_PAIR)
async def list_identity_providers(given: Given) -> None:
    """List the identity providers of the org, without their keys."""
    async with given.client() as client:
        found = await all_pages(client.identity_providers.list)
    from smply.cli._account_lists import identity_provider_list

    show_list(
        given, found, identity_provider_list,
        "no identity providers yet", "smply identity-providers upsert --help",
    )  # fmt: skip


@command(identity, "delete", view=None, named=_PAIR)
def delete_identity(
    given: Given, audience: Audience = None, issuer: Issuer = None
) -> Coroutine[Any, Any, None]:
    """Delete the identity provider of an audience and issuer. Asks first.

    smply identity-providers delete --issuer https://id.example.com/
    """
    from smply.cli._confirm import confirm

    _need_pair(audience, issuer)
    pair = _pair(audience, issuer)
    warning = [f"Tokens of {pair} will no longer be exchanged."]
    confirm(given, warning, pair, question="Delete it? [y/N]")
    return _delete_identity(given, audience, issuer)


async def _delete_identity(given: Given, audience: str | None, issuer: str | None) -> None:
    async with given.client() as client:
        with missing("smply identity-providers list"):
            await client.identity_providers.delete(audience=audience, issuer=issuer)
    told = {"aud": audience, "iss": issuer}
    value = {name: each for name, each in told.items() if each is not None}
    tell(
        given, "Deleted", f"identity provider {_pair(audience, issuer)}", {**value, "deleted": True}
    )


@command(tokens, "upsert", view=None, named="service")
async def upsert_token_provider(
    given: Given, service: Service, key: KeyId, mapping: Mapping
) -> None:
    """Make the token provider of a service, or change it.

    smply token-providers upsert --service web \\
      --key sbk_FsrMf_baSJG53SBNSUszzw --mapping '{"sub.$": "$.sub"}'
    """
    mapped = json_object("--mapping", mapping) or {}
    async with given.client() as client:
        await client.token_providers.upsert(service, key=key, mapping=mapped)
    value = {"service": service, "keyId": key, "mapping": mapped}
    tell(given, "Set", f"token provider {service}", value)


@command(tokens, "list", view="table", named="service")
async def list_token_providers(given: Given) -> None:
    """List the token providers of the org."""
    async with given.client() as client:
        found = await all_pages(client.token_providers.list)
    from smply.cli._account_lists import token_provider_list
    from smply.cli._shapes import token_provider_json

    if not given.output.for_people:
        given.output.json([token_provider_json(provider) for provider in found])
        return
    show_list(
        given, found, token_provider_list,
        "no token providers yet", "smply token-providers upsert --help",
    )  # fmt: skip


@command(tokens, "delete", view=None, named="service")
def delete_token_provider(given: Given, service: Service) -> Coroutine[Any, Any, None]:
    """Delete the token provider of a service. Asks for its name.

    smply token-providers delete --service web
    """
    from smply.cli._confirm import confirm

    confirm(given, [f"Tokens of {service} will no longer be given out."], service)
    return _delete_token_provider(given, service)


async def _delete_token_provider(given: Given, service: str) -> None:
    async with given.client() as client:
        with missing("smply token-providers list"):
            await client.token_providers.delete(service)
    tell(given, "Deleted", f"token provider {service}", {"service": service, "deleted": True})


def _need_pair(audience: str | None, issuer: str | None) -> None:
    if not audience and not issuer:
        raise UsageError("--audience or --issuer is needed, or both")


def _pair(audience: str | None, issuer: str | None) -> str:
    return " ".join(each for each in (audience, issuer) if each)


def _from_base64(text: str) -> bytes:
    """Base64 of either alphabet, with padding or without."""
    packed = "".join(text.split()).translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise UsageError(f"--base64-key is no base64: {exc}") from exc


def _host_part(option: str, text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]+", text, re.ASCII):
        raise UsageError(f'{option} "{text}" is no part of an address')
    return text
