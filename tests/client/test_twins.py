"""The two clients are one: the same verbs with the same arguments, and the errors by status."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import smply
from smply import errors
from smply.client import AsyncClient, Client, _base
from smply.errors import ApiError, AuthorizerRefused, Forbidden, NotBuilt, NotFound

OTHERS = ("__version__", "sign_token")


def _verbs(client: Any) -> dict[str, inspect.Signature]:
    nouns = {name: part for name, part in vars(client).items() if not name.startswith("_")}
    return {
        f"{noun}.{name}": inspect.signature(verb).replace(return_annotation=None)
        for noun, part in nouns.items()
        for name, verb in inspect.getmembers(part, inspect.ismethod)
        if not name.startswith("_")
    }


def test_both_clients_have_the_same_verbs() -> None:
    assert _verbs(Client("http://x")) == _verbs(AsyncClient("http://x"))


def test_exported_names_are_what_the_package_says() -> None:
    raised = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.SmplyError)
    }
    local = {
        "UsageError", "BuildError", "NotConfirmed", "NotSignedIn", "DataDirectoryError",
        "ExchangeRefused",
    }  # fmt: skip
    assert set(smply.__all__) == raised - local | {
        "AsyncClient",
        "Client",
        "__version__",
        "sign_token",
    }
    assert smply.__all__ == sorted(smply.__all__)
    assert all(getattr(smply, name) for name in smply.__all__)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "not-found", NotFound),
        (403, "rejected-by-machine-authorizer", AuthorizerRefused),
        (403, "missing-org", Forbidden),
        (501, "not-implemented", NotBuilt),
        (418, "teapot", ApiError),
    ],
)
def test_an_answer_becomes_the_error_of_its_status(
    status: int, code: str, kind: type[ApiError]
) -> None:
    error = _base.error_from(status, f'{{"error": "no", "code": "{code}"}}'.encode())
    assert (type(error), error.code, error.message) == (kind, code, "no")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null"])
def test_an_answer_that_is_no_error_body_is_shown(body: bytes) -> None:
    """client-facts 4: an error body may be empty."""
    assert _base.error_from(500, body).message.startswith("the server answered 500")


def test_a_name_never_reaches_another_route() -> None:
    """F33."""
    assert _base.get_machine("a/../b?c").url == "/machines/a%2F..%2Fb%3Fc"
