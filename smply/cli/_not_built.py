"""What the npm command line has and this one has not yet: refused in one sentence each."""

from __future__ import annotations

from smply.errors import NotBuilt

_COMMANDS = frozenset(
    {
        ("migrations",),
        ("logs", "watch"),
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


def refuse_indexes(indexes: object, selectors: object) -> None:
    """`--index` and `--index-selectors`."""
    if indexes or selectors is not None:
        raise NotBuilt(
            "indexes are not supported yet", hint="leave --index and --index-selectors out"
        )
