"""Every view on a screen of any width: nothing wraps, nothing fails."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from tests.cli.conftest import Run

VIEWS = [
    "machines list",
    "machines get -m checkout",
    "machine-versions list -m checkout",
    "instances list -m checkout",
    "instances get -m checkout -i order-1042",
    "instances list-transitions -m checkout -i order-1042",
]


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_fits_its_screen(
    version: str, look: Run, monkeypatch: pytest.MonkeyPatch, view: str
) -> None:
    for width in (20, 30, 10_000):
        monkeypatch.setenv("COLUMNS", str(width))
        shown = look(*view.split())
        assert shown.status == 0
        assert max(cell_len(line) for line in shown.stdout.splitlines()) <= width


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("width", ["0", "1", "7", "-3", "wide"])
def test_a_screen_that_is_none_still_shows_something(
    version: str, look: Run, monkeypatch: pytest.MonkeyPatch, view: str, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    shown = look(*view.split())
    assert (shown.status, shown.stderr) == (0, "")
    assert shown.stdout.strip()
