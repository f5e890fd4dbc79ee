"""What is said of a request that got no answer: who is silent, why, and whether it was sent."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx

from smply.client._base import AGAIN, Call
from smply.errors import BadAnswer, NoAnswer, SmplyError

_RENEW = "renew it, or set the clock of this machine"
_NAME = "use a name that the certificate has"
_TRUST = "for a private authority name its file: --ca of `smply profile set`, or SSL_CERT_FILE"
_SHOW = "does the server want a certificate? --client-cert of `smply profile set`"
_PROXIES = "see HTTPS_PROXY, HTTP_PROXY and NO_PROXY"


UNANSWERED = (httpx.RequestError, OSError, UnicodeError, OverflowError, ExceptionGroup)
"""What httpx raises; now and then it lets through what the loop or the socket did."""


def unanswered(call: Call[Any], base_url: str, exc: Exception) -> SmplyError:
    """The error for what httpx raises."""
    url = call.url if "://" in call.url else base_url
    where = _origin(url)
    if isinstance(exc, httpx.ConnectTimeout | httpx.PoolTimeout):
        return _unsent(url, "there was no connection in time", again=False)
    if any(isinstance(cause, OverflowError) for cause in _causes(exc)):
        return _unsent(url, "there is no port of that number", again=False)
    if isinstance(exc, httpx.TimeoutException | TimeoutError):
        error = NoAnswer(f"{where} did not answer in time", hint=_next(call))
        error.is_final = True
        return error
    if isinstance(exc, httpx.DecodingError):
        hint = "check what stands between: a proxy?"
        return BadAnswer(f"the answer of {where} cannot be read: {exc}", hint=hint)
    if isinstance(exc, httpx.ProxyError):
        return BadAnswer(f"the proxy does not lead to {where}: {exc}", code="proxy", hint=_PROXIES)
    tls = next((each for each in _causes(exc) if isinstance(each, ssl.SSLError)), None)
    if tls is not None and (refused := _untrusted(where, exc, tls)) is not None:
        return refused
    if isinstance(exc, httpx.ConnectError | httpx.UnsupportedProtocol | UnicodeError):
        return _unsent(url, _reason(exc), again=True)
    if _is_tls(exc):
        hint = f"https://{where.partition('://')[2]}?"
        return BadAnswer(f"{where} speaks TLS, and this address does not", hint=hint)
    hint = _next(call)
    if call.method == "GET" and url.startswith("http:"):
        hint = f"try again; or does it speak TLS? https://{where.partition('://')[2]}"
    return NoAnswer(f"{where} ended the connection without an answer", hint=hint)


def _next(call: Call[Any]) -> str:
    return "try again" if call.method == "GET" else AGAIN


def _unsent(url: str, why: str, *, again: bool) -> NoAnswer:
    """For what never got there; `again` where it may the next time."""
    proxy, where = _proxy_of(url), _origin(url)
    if proxy is None:
        error = NoAnswer(f"{where} cannot be reached: {why}", hint="is the server running?")
    else:
        error = NoAnswer(f"the proxy {proxy} cannot be reached: {why}", hint=_PROXIES)
    error.was_sent = False
    error.is_final = not again
    return error


_VERIFY_HINTS = {9: _RENEW, 10: _RENEW, 62: _NAME, 64: _NAME}
"""By OpenSSL's X509_V_ERR_…: not yet valid, expired, another host, another address."""


def _untrusted(where: str, exc: Exception, tls: ssl.SSLError) -> SmplyError | None:
    """Where one side does not trust the other, or one of them speaks no TLS; None where a
    connection only broke."""
    if isinstance(tls, ssl.SSLCertVerificationError):
        message = f"the certificate of {where} is not trusted: {tls.verify_message}"
        return BadAnswer(
            message, code="certificate", hint=_VERIFY_HINTS.get(tls.verify_code, _TRUST)
        )
    if tls.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"):
        return BadAnswer(f"{where} speaks no TLS", hint=f"http://{where.partition('://')[2]}?")
    reason = (tls.reason or str(tls)).replace("_", " ").lower()
    # TLS 1.3 says only after the handshake that a certificate is wanted.
    if isinstance(exc, httpx.ConnectError) or "certificate" in reason:
        return BadAnswer(f"{where} ended the connection: {reason}", code="certificate", hint=_SHOW)
    return None


def _is_tls(exc: Exception) -> bool:
    """Whether what answered plain HTTP is an alert of TLS: h11 says which bytes it met, or that
    the first one cannot be."""
    said = str(exc)
    return isinstance(exc, httpx.RemoteProtocolError) and (
        said == "illegal request line" or "\\x15\\x03" in said
    )


def _reason(exc: Exception) -> str:
    """In our words, since each loop and each system has others."""
    for cause in _causes(exc):
        if isinstance(cause, socket.gaierror | UnicodeError):
            return "there is no host of that name"
        if isinstance(cause, ConnectionRefusedError):
            return "nothing listens there"
    return str(exc) or type(exc).__name__


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """What led to an exception; several addresses of one name are a group."""
    seen: BaseException | None = exc
    while seen is not None:
        yield seen
        if isinstance(seen, BaseExceptionGroup):
            yield from seen.exceptions
        seen = seen.__cause__ or seen.__context__


def _proxy_of(url: str) -> str | None:
    """The proxy of the environment that stands before an address."""
    # httpx asks the same function, and does not say what it found.
    from urllib.request import getproxies, proxy_bypass

    parts, proxies = urlsplit(url), getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.hostname or ""):
        return None
    # A password in it is not for the screen.
    return proxy.rpartition("@")[2] if "@" in proxy else proxy


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
