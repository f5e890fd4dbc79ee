"""What a passphrase seals, and who opens it again."""

from __future__ import annotations

from typing import Any

import pytest

from smply.errors import SmplyError
from smply.identity import open_by_passphrase, passphrases, seal_by_passphrase

CHEAP = {"n": 2, "r": 1, "p": 1}


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(passphrases, "_COST", CHEAP)
    return seal_by_passphrase(b"secret", b"word", b"purpose")


def test_a_guess_is_dear() -> None:
    """OWASP's least for scrypt: 128 MB."""
    made = seal_by_passphrase(b"secret", b"word", b"purpose")
    assert (made["kdf"], made["n"], made["r"], made["p"]) == ("scrypt", 2**17, 8, 1)
    assert open_by_passphrase(made, b"word", b"purpose") == b"secret"


def test_what_was_sealed_at_a_lower_cost_opens_when_it_has_risen(
    sealed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passphrases, "_COST", {"n": 4, "r": 2, "p": 2})
    assert open_by_passphrase(sealed, b"word", b"purpose") == b"secret"


def test_nothing_is_sealed_twice_alike(sealed: dict[str, Any]) -> None:
    again = seal_by_passphrase(b"secret", b"word", b"purpose")
    assert again["salt"] != sealed["salt"]
    assert again["sealed"] != sealed["sealed"]


@pytest.mark.parametrize(
    ("word", "purpose", "changes"),
    [
        (b"Word", b"purpose", {}),
        (b"word", b"another", {}),
        (b"word", b"purpose", {"n": 4}),
        (b"word", b"purpose", {"salt": "AAAAAAAAAAAAAAAAAAAAAA=="}),
        (b"word", b"purpose", {"sealed": ""}),
    ],
)
def test_all_else_opens_nothing(
    sealed: dict[str, Any], word: bytes, purpose: bytes, changes: dict[str, Any]
) -> None:
    with pytest.raises(SmplyError) as caught:
        open_by_passphrase(sealed | changes, word, purpose)
    assert caught.value.code == "wrong-passphrase"


@pytest.mark.parametrize(
    "changes",
    [{"n": 2**30}, {"n": 3}, {"n": "2"}, {"r": 0}, {"p": True}, {"kdf": "md5"}, {"salt": "?"},
     {"salt": 7}, {"sealed": None}],
)  # fmt: skip
def test_what_no_smply_sealed_is_not_tried(sealed: dict[str, Any], changes: Any) -> None:
    """A stranger's file names no cost that would eat the memory."""
    with pytest.raises(ValueError):  # noqa: PT011
        open_by_passphrase(sealed | changes, b"word", b"purpose")
    with pytest.raises(ValueError, match="not what a passphrase seals"):
        open_by_passphrase([], b"word", b"purpose")
