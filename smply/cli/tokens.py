"""`smply tokens …`: tokens that a key signs, and a person's own access tokens."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smply.cli._answers import missing, show_facts, show_list, tell, tell_once
from smply.cli._command import SETTINGS, Given, command
from smply.cli._connect import all_pages
from smply.cli._options import (
    KeyId,
    SecretStdin,
    Title,
    TokenId,
    first_line_of_stdin,
    json_object,
    secret_of,
)
from smply.cli._text import ahead, milliseconds
from smply.cli._times import expiry, seconds_of
from smply.config import SECRET_KEY
from smply.connection import from_environment
from smply.errors import UsageError

if TYPE_CHECKING:
    from smply.models import AccessToken

app = typer.Typer(
    help="Tokens: signed by a key for its users, and your own.", context_settings=SETTINGS
)

Secret = Annotated[
    str | None,
    typer.Option(
        "--secret", "-s", metavar="SECRET",
        help="The key's secret, @FILE or @- (stdin): others can see a command line.",
    ),
]  # fmt: skip
Claims = Annotated[
    str,
    typer.Option(
        "--claims", "-c", metavar="JSON", help="Whom it is for, as machines see it; or @FILE."
    ),
]
Issuer = Annotated[
    str | None, typer.Option("--issuer", metavar="TEXT", help="Who says so; any text.")
]
ExpiresIn = Annotated[
    str | None,
    typer.Option("--expires-in", metavar="SPAN", help="Until when: 15m, 24h, 30d."),
]


@command(app, "generate", view=None)
def generate(
    given: Given,
    key: KeyId,
    claims: Claims,
    secret: Secret = None,
    secret_stdin: SecretStdin = False,
    issuer: Issuer = None,
    expires_in: ExpiresIn = None,
) -> None:
    """Sign a token with a key, for 24 hours unless told otherwise. Asks no server.

    smply tokens generate --key sbk_FsrMf_baSJG53SBNSUszzw --secret @secret.txt \\
      --claims '{"sub": "u_12"}'
    """
    from smply.client import ISSUER, sign_token

    act = json_object("--claims", claims) or {}
    life = seconds_of("--expires-in", expires_in or "24h")
    token = sign_token(
        key, _secret(secret, secret_stdin), act, issuer=issuer or ISSUER, expires_in=life,
        now=given.clock.now() / 1000,
    )  # fmt: skip
    if given.output.asked_for_json:
        given.output.json({"token": token})
    else:
        given.output.text(token)


def _secret(told: str | None, from_stdin: bool) -> str:
    """The secret of a key, from where others cannot see it (F7, F30)."""
    if told is not None and from_stdin:
        raise UsageError("--secret and --secret-stdin exclude each other")
    given = from_environment().get("secret")
    secret = given.value if given else ""
    if told is not None:
        secret = secret_of("--secret", told)
    elif from_stdin:
        secret = first_line_of_stdin("The key's secret")
    if not secret:
        raise UsageError(
            "the key's secret is needed",
            hint=f"--secret-stdin, --secret @FILE or {SECRET_KEY.variable}",
        )
    return secret


@command(app, "create", view="tree", named="accessToken")
async def create(given: Given, name: Title, expires_in: ExpiresIn = None) -> None:
    """Create an access token of your own; it is told this once.

    smply tokens create --name laptop --expires-in 90d
    """
    until = expiry(given, "--expires-in", expires_in)
    async with given.client() as client:
        making = client.tokens.create(name, expires_at=until)
        await tell_once(given, making, lambda made: _tell(given, made, until), "it was made")


def _tell(given: Given, token: AccessToken, until: str | None) -> None:
    ends = "never" if until is None else ahead(milliseconds(until), given.clock.now())
    facts = {"token": token.id, "name": token.name, "expires": ends}
    show_facts(given, token, {**facts, "access token": str(token.access_token)}, once=True)
    given.output.remark("the access token is told this once: smply login --token-stdin keeps it")


@command(app, "list", view="table", named="id")
async def list_tokens(given: Given) -> None:
    """List your access tokens, without their secrets."""
    async with given.client() as client:
        tokens = await all_pages(client.tokens.list)
    from smply.cli._account_lists import token_list

    show_list(given, tokens, token_list, "no access tokens", "smply tokens create --name NAME")


@command(app, "delete", view=None, named="id")
def delete(given: Given, token: TokenId) -> Coroutine[Any, Any, None]:
    """Delete an access token of yours; it is refused at once. Asks for its id.

    smply tokens delete --token tok_FsrMf_baSJG53SBNSUszzw
    """
    from smply.cli._confirm import confirm

    confirm(given, [f"{token} will be deleted: whoever asks with it is refused."], token)
    return _delete(given, token)


async def _delete(given: Given, token: str) -> None:
    async with given.client() as client:
        with missing("smply tokens list"):
            await client.tokens.delete(token)
    tell(given, "Deleted", f"access token {token}", {"id": token, "deleted": True})
