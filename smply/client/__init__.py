"""Typed clients of the State Backed HTTP API, asynchronous and not."""

from smply.client._clients import AsyncClient, Client

__all__ = ["AsyncClient", "Client"]
