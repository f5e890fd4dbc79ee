"""Words for people."""

from __future__ import annotations

from typing import Any

import pytest

from smply.cli import _text as text
from smply.cli._frame import ASCII, UNICODE

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [
        (0, "0 ms"),
        (41, "41 ms"),
        (999, "999 ms"),
        (1_000, "1 s"),
        (11_700, "12 s"),
        (59_700, "1 min"),
        (MINUTE + 5 * SECOND, "1 min 5 s"),
        (2 * HOUR, "2 h"),
        (HOUR + 47 * MINUTE, "1 h 47 min"),
        (HOUR + 30 * SECOND, "1 h"),
        (3 * DAY + 13 * HOUR, "4 d"),
        (400 * DAY, "1 y"),
    ],
)
def test_a_span_has_two_units_below_a_day(milliseconds: int, words: str) -> None:
    assert text.span(milliseconds) == words


def test_times_are_told_from_now() -> None:
    assert text.ago(1_000, 1_500) == "just now"
    assert text.ago(0, 12 * SECOND) == "12 s ago"
    assert text.ahead(3 * SECOND, 0) == "in 3 s"
    assert text.ahead(5, 6) == "now"
    assert text.milliseconds("1970-01-01T00:00:01.500Z") == 1_500


@pytest.mark.parametrize(
    ("count", "words"),
    [(412, "412 B"), (6_140, "6.1 kB"), (18_400, "18.4 kB"), (1_200_000, "1.2 MB")],
)
def test_a_size_has_three_digits(count: int, words: str) -> None:
    assert text.size(count) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("on", "on"),
        ({"payment": "invoice"}, "payment.invoice"),
        ({"a": {"b": {"c": "d"}}}, "a.b.c.d"),
        ({"payment": {"method": "invoice", "fraud": {}}}, "payment.(method.invoice, fraud)"),
        ({"x": "a", "y": "b"}, "x.a, y.b"),
    ],
)
def test_a_state_value_is_one_line(value: Any, words: str) -> None:
    """S31, S32."""
    assert text.state_words(value) == words


@pytest.mark.parametrize(
    ("value", "width", "words"),
    [
        (129.0, 20, "129.0"),
        ([1, 2], 20, "[1, 2]"),
        (["long", "longer"], 10, "[2 items]"),
        ([["long, longer"]], 10, "[1 item]"),
        ({"a": "long", "b": "longer"}, 10, "{2 keys}"),
        ("Lorem ipsum " * 400, 20, '"Lorem ipsu… 4.8 kB"'),
    ],
)
def test_a_long_value_says_what_is_left_out(value: object, width: int, words: str) -> None:
    shown = text.cut(value, width, UNICODE)
    assert shown == words
    assert len(shown) <= width


def test_without_utf8_values_are_ascii() -> None:
    assert text.compact("é", UNICODE) == '"é"'
    assert text.compact("é", ASCII) == '"\\u00e9"'


def test_foreign_text_cannot_steer_a_terminal() -> None:
    assert text.harmless("a\x1b[2Jb\x9bc\u202ed") == "a\\u001b[2Jb\\u009bc\\u202ed"
    assert text.compact({"k\x9b": "\x7f"}, UNICODE) == '{"k\\u009b": "\\u007f"}'
