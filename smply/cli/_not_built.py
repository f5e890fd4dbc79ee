"""What the npm command line has and this one has not yet: refused in one sentence each."""

from __future__ import annotations

from smply.errors import NotBuilt

_COMMANDS = frozenset(
    {
        ("login",),
        ("whoami",),
        ("billing",),
        ("migrations",),
        ("logs",),
        ("orgs",),
        ("keys",),
        ("tokens",),
        ("invitations",),
        ("identity-providers",),
        ("token-providers",),
        ("instances", "query"),
        ("instances", "set-desired-version"),
        ("machine-instances", "query"),
        ("machine-instances", "set-desired-version"),
    }
)


def refuse_command(words: tuple[str, ...]) -> None:
    """Refuse a command of the npm tool that is not built."""
    if words in _COMMANDS:
        raise NotBuilt(f"smply {' '.join(words)} is not built yet", hint="smply --help")


def refuse_token(token: str | None) -> None:
    """`--token` of the commands that act for a user."""
    if token is not None:
        raise NotBuilt("--token is not supported yet", hint="use --auth-context")


def refuse_indexes(indexes: object, selectors: object) -> None:
    """`--index` and `--index-selectors`."""
    if indexes or selectors is not None:
        raise NotBuilt(
            "indexes are not supported yet", hint="leave --index and --index-selectors out"
        )


def refuse_servers(**given: str | None) -> None:
    """`--access-token`, `--api-url` and `--org`, which name a server and who asks it."""
    for name, value in given.items():
        if value is not None:
            raise NotBuilt(
                f"--{name.replace('_', '-')}: servers are not supported yet",
                hint="leave it out; the local profile is used",
            )
