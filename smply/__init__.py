"""smply: a self-hosted home for XState machines.

`Client` and `AsyncClient` talk to a server that speaks the State Backed API; what they raise is
drawn as a tree in `smply.errors`. `sign_token` signs a token with a key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smply.errors import (
    ApiError,
    AuthorizerRefused,
    BadAnswer,
    Conflict,
    Forbidden,
    InvalidParameter,
    LimitExceeded,
    MachineError,
    NoAnswer,
    NotBuilt,
    NotFound,
    SettleTimeout,
    SmplyError,
    TooLarge,
    Unavailable,
)

if TYPE_CHECKING:
    from smply.client import AsyncClient, Client, sign_token

__all__ = [
    "ApiError",
    "AsyncClient",
    "AuthorizerRefused",
    "BadAnswer",
    "Client",
    "Conflict",
    "Forbidden",
    "InvalidParameter",
    "LimitExceeded",
    "MachineError",
    "NoAnswer",
    "NotBuilt",
    "NotFound",
    "SettleTimeout",
    "SmplyError",
    "TooLarge",
    "Unavailable",
    "__version__",
    "sign_token",
]


def __getattr__(name: str) -> Any:
    # The clients bring httpx, which the command line's `--help` must not wait for.
    if name in ("AsyncClient", "Client", "sign_token"):
        from smply import client

        return getattr(client, name)
    if name == "__version__":
        from importlib import metadata

        return metadata.version("smply")
    raise AttributeError(f"module 'smply' has no attribute {name!r}")
