"""Typed clients of the State Backed HTTP API, asynchronous and not; and tokens that a key signs."""

from smply.client._base import ATTEMPTS
from smply.client._clients import TIMEOUT_SECONDS, AsyncClient, Client, Watch
from smply.client._credentials import ISSUER, sign_token

__all__ = [
    "ATTEMPTS",
    "ISSUER",
    "TIMEOUT_SECONDS",
    "AsyncClient",
    "Client",
    "Watch",
    "sign_token",
]
