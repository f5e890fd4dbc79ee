"""Lists of what an account has, at 80 and 60 columns: what identifies a row is not cut."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from rich.text import Text

from smply.cli import _account_lists as lists
from smply.cli.profile import _profile_list, _shown
from smply.contract import USES
from smply.models import AuditEntry, Key, LogLine
from tests.cli.checkout import MINUTE, NOW, frame, iso

USER, KEY, ORG = (f"{kind}_{'A' * 22}" for kind in ("usr", "sbk", "org"))
SERVER = "https://machines.staging.example.com"


def plain(lines: Sequence[Text]) -> list[str]:
    return [line.plain for line in lines]


@pytest.mark.parametrize("width", [80, 60])
def test_a_profile_says_which_server_it_is_of(width: int) -> None:
    rows = [
        {"name": "staging", "url": SERVER, "org": ORG, "credential": "token", "current": True},
        {"name": "local", "url": None, "org": None, "credential": None, "current": False},
    ]
    shown = plain(_profile_list(rows, frame(width=width)))
    assert "staging" in shown[1]
    assert SERVER in shown[1]
    assert max(map(len, shown)) <= width


@pytest.mark.parametrize("width", [80, 60])
def test_what_is_in_force_is_whole_and_its_source_gives_way(width: int) -> None:
    source = "profile with-a-name-that-is-long"
    rows = [{"what": "server", "value": SERVER, "from": source}]
    shown = plain(_shown(rows, frame(width=width)))
    assert SERVER in shown[0]
    assert len(shown[0]) <= width


@pytest.mark.parametrize("width", [80, 60])
def test_an_audit_says_when_whoever_did_it(width: int) -> None:
    entry = AuditEntry(
        iso(NOW - 17 * MINUTE), USER, "createMachineVersion", f"machines/{'m' * 30}",
        "2001:db8::8a2e:370:7334", "r",
    )  # fmt: skip
    shown = plain(lists.audit_list([entry], frame(width=width)))
    assert shown[1].startswith(" 17 min ago")
    assert "createMachine" in shown[1]
    assert max(map(len, shown)) <= width


def key(scopes: Sequence[str]) -> Key:
    return Key(KEY, "web", list(scopes), iso(NOW))


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("width", [80, 60])
def test_the_scopes_of_a_use_are_told_by_its_name(use: str, width: int) -> None:
    """S107, S108."""
    shown = plain(lists.key_list([key(sorted(USES[use]))], frame(width=width)))
    assert shown[1].rstrip().endswith(f"  {use}")


def test_other_scopes_are_counted() -> None:
    """Nobody takes those that fit for all of them."""
    shown = plain(lists.key_list([key(["logs.read", "org.read", "state.read"])], frame(width=60)))
    assert "  3: logs.read " in shown[1]


def printed(text: str, stream: str = "stdout") -> LogLine:
    return LogLine(iso(NOW), ORG, "m", "one", "ver_1", stream, text)


def test_what_was_printed_has_the_width_that_is_free() -> None:
    shown = plain(lists.log_list([printed("hello\n\n  world\n")], frame()))
    assert shown[1].endswith("hello · world")
    shown = plain(lists.log_list([printed("a" * 10_000)], frame()))
    assert (len(shown[1]), shown[1][-2:]) == (80, "a…")


def test_what_went_to_stderr_is_told_without_colour_too() -> None:
    shown = plain(lists.log_list([printed("no", "stderr"), printed("yes")], frame()))
    assert [line.rpartition("  ")[2] for line in shown[1:]] == ["stderr: no", "yes"]
