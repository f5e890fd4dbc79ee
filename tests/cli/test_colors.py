"""Colour, where somebody looks who did not forbid it: the eye finds what is meant first."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout

import pytest

from smply.cli import main
from tests.cli.terminal import Terminal

COLOR = re.compile(r"\x1b\[(?:\d+;)*3[0-7]m")
Watch = Callable[..., str]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Runs a command on a terminal that has colours; all that it shows, with its styles."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")

    def watch(*argv: str) -> str:
        screen = Terminal()
        with redirect_stdout(screen), redirect_stderr(screen):
            main(argv)
        return screen.getvalue()

    return watch


def test_the_org_that_is_meant_is_lit(watch: Watch) -> None:
    org = watch("orgs", "list", "--quiet").strip()
    shown = watch("orgs", "list")
    assert f"\x1b[1;32m●\x1b[0m  \x1b[1;32m{org}\x1b[0m  local" in shown
    assert shown.startswith("    \x1b[2mORG\x1b[0m")


def test_the_profile_in_use_is_lit(watch: Watch) -> None:
    watch("profile", "set", "prod", "--url", "https://smply.example.com")
    shown = watch("profile", "list")
    assert "\x1b[1;32mlocal\x1b[0m" in shown
    assert "\x1b[1mprod\x1b[0m" in shown


def test_an_error_is_red(watch: Watch) -> None:
    told = watch("keys", "delete", "-k", "web")
    assert told.startswith("\x1b[31m\x1b[1merror:\x1b[0m --key ")


@pytest.mark.parametrize("argv", [["orgs", "list"], ["profile", "list"], ["keys", "delete"]])
def test_no_color_takes_the_colour_and_nothing_else(
    watch: Watch, argv: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lit = watch(*argv)
    monkeypatch.setenv("NO_COLOR", "1")
    plain = watch(*argv)
    assert COLOR.search(lit)
    assert not COLOR.search(plain)
    assert re.sub(r"\x1b\[[0-9;]*m", "", lit) == re.sub(r"\x1b\[[0-9;]*m", "", plain)
