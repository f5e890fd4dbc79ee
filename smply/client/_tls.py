"""Certificates: private authorities to trust, and a certificate to show."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TypeVar

import httpx

from smply.errors import SmplyError

T = TypeVar("T")


def tls_context(ca: str | None, certificate: tuple[str, str] | None) -> ssl.SSLContext:
    """Trust a private authority beside the usual ones, and show a certificate.

    `ca` is a file of certificates, `certificate` the files of a certificate and of its key. Raises
    SmplyError for files that are none.
    """
    # It heeds SSL_CERT_FILE and SSL_CERT_DIR.
    context = _load(httpx.create_ssl_context, "that SSL_CERT_FILE or SSL_CERT_DIR names")
    if ca is not None:
        _load(lambda: context.load_verify_locations(ca), ca)
    if certificate is not None:
        cert, key = certificate
        _load(lambda: context.load_cert_chain(cert, key, _no_password), f"{cert} with {key}")
    return context


def no_tls() -> ssl.SSLContext:
    """For an address of plain HTTP: it trusts nobody, and takes no time to load."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _load(load: Callable[[], T], files: str) -> T:
    try:
        return load()
    except ssl.SSLError as exc:
        reason = exc.reason.replace("_", " ").lower() if exc.reason else "it holds none"
    except OSError as exc:
        reason = exc.strerror or str(exc)
    except ValueError as exc:
        reason = str(exc)
    raise SmplyError(
        f"the certificate {files} cannot be used: {reason}",
        code="certificate",
        hint="PEM files are needed, a key without a password: openssl pkey -in KEY -out PLAIN",
    )


def _no_password() -> str:
    # OpenSSL would ask for it on the terminal.
    raise ValueError("its key is encrypted")
