"""Lists, whole, at 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from smply.cli import _lists as lists
from smply.models import (
    InstanceSummary,
    Machine,
    MachineSummary,
    Transition,
    Version,
    VersionDetail,
)
from tests.cli.checkout import CHECKOUT, DAY, HOUR, IN_PAYMENT, NOW, SECOND, VERSION, frame, iso

SECOND_VERSION = Version(
    "ver_AsrMf_baSJG53SBNSUszzw", iso(NOW - 5 * SECOND), "0.0.2 " + "long " * 9
)


def plain(lines: Sequence[Text]) -> str:
    return "".join(f"{line.plain}\n" for line in lines)


def test_machines() -> None:
    machines = [
        MachineSummary("checkout", iso(NOW - 3 * DAY), VERSION),
        MachineSummary("toggler", iso(NOW - HOUR)),
    ]
    assert (
        plain(lists.machine_list(machines, frame()))
        == """\
 NAME      CREATED  CURRENT VERSION             REFERENCE
 checkout  3 d ago  ver_FsrMf_baSJG53SBNSUszzw  0.0.1
 toggler   1 h ago  none
"""
    )


def test_a_machine() -> None:
    assert (
        plain(lists.machine_detail("checkout", Machine(iso(NOW - DAY), [], VERSION), frame()))
        == """\
machine   checkout
created   1 d ago
current   ver_FsrMf_baSJG53SBNSUszzw  0.0.1
"""
    )
    assert "no version yet" in plain(lists.machine_detail("new", Machine(iso(NOW), []), frame()))


def test_a_version() -> None:
    detail = VersionDetail(
        id=VERSION.id,
        created_at=iso(NOW - DAY),
        client_info="0.0.1\x1b",
        xstate="4 bundled",
        bundle={"bytes": 18_400, "gzippedBytes": 6_100, "sha256": "ab" * 32},
        index_selectors={},
        exports=["allowRead", "allowWrite", "default"],
        definition=CHECKOUT,
    )
    assert (
        plain(lists.version_detail("checkout", detail, True, frame()))
        == f"""\
version   ver_FsrMf_baSJG53SBNSUszzw  ● current  0.0.1\\u001b
machine   checkout, 11 states, 5 transitions
created   1 d ago
xstate    4 bundled
exports   allowRead, allowWrite, default
bundle    18.4 kB, 6.1 kB gzipped
sha256    {"ab" * 32}
"""
    )
    old = plain(lists.version_detail("checkout", detail, False, frame(width=50)))
    assert old.startswith("version   ver_FsrMf_baSJG53SBNSUszzw  not current…\n")


def test_versions_mark_the_current_one() -> None:
    first = Version(VERSION.id, iso(NOW - DAY), "0.0.1")
    assert (
        plain(lists.version_list([first, SECOND_VERSION], first.id, frame()))
        == """\
    VERSION                     CREATED  REFERENCE
 ●  ver_FsrMf_baSJG53SBNSUszzw  1 d ago  0.0.1
    ver_AsrMf_baSJG53SBNSUszzw  5 s ago  0.0.2 long long long long long long lo…
"""
    )


def test_instances() -> None:
    found = [
        InstanceSummary("order-1042", iso(NOW - 5 * SECOND), "running", VERSION),
        InstanceSummary("x" * 60, iso(NOW - DAY), "paused", VERSION),
    ]
    assert (
        plain(lists.instance_list(found, frame()))
        == """\
 NAME                               STATUS   CREATED  VERSION
 order-1042                         running  5 s ago  ver_FsrMf_baSJG53SBNSUszzw
 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…  paused   1 d ago  ver_FsrMf_baSJG53SBNSUszzw
"""
    )


def test_transitions() -> None:
    """S41."""
    found = [
        Transition(iso(NOW - 3 * DAY), "cart", {"type": "xstate.init"}),
        Transition(iso(NOW - 3 * DAY), "cart", {"type": "add", "sku": "A-17"}),
        Transition(iso(NOW - 13 * SECOND), IN_PAYMENT, {"type": "pay", "method": "invoice"}),
    ]
    assert (
        plain(lists.transition_list(found, frame()))
        == """\
 SEQ  WHEN      EVENT                  STATE AFTER
   1  3 d ago   xstate.init            cart
   2  3 d ago   add  sku "A-17"        cart
   3  13 s ago  pay  method "invoice"  payment.(method.invoice, fraud.checking)
"""
    )


def test_the_widest_column_gives_way_first() -> None:
    found = [Transition(iso(NOW), "a" * 70, {"type": "add", "text": "b" * 8})]
    line = plain(lists.transition_list(found, frame())).splitlines()[1]
    assert len(line) == 80
    assert f'add  text "{"b" * 8}"' in line
    assert line.endswith("a…")
