"""The screens of an instance, whole, at 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from smply.cli._diff import Change
from smply.cli._frame import ASCII, Frame
from smply.cli._screen import Subject, change_screen, instance_screen
from smply.models import InstanceDetail, Timer
from tests.cli.checkout import CHECKOUT, NOW, detail, frame, iso, node, to


def plain(lines: Sequence[Text]) -> str:
    return "".join(f"{line.plain}\n" for line in lines)


def screen(subject: InstanceDetail | None = None, at: Frame | None = None, **more: Any) -> str:
    shown = Subject("checkout", "order-1042", subject or detail(), CHECKOUT, **more)
    return plain(instance_screen(shown, at or frame()))


def test_an_instance_shows_where_it_is_what_may_come_and_what_it_holds() -> None:
    assert (
        screen()
        == """\
order-1042   checkout · ver_FsrMf_ba · running · seq 17 · changed 12 s ago

● checkout
├─ ○ cart
├─ ● payment
│  ├─ ∥ method
│  │  ├─ ○ card
│  │  └─ ● invoice    needs-approval
│  └─ ∥ fraud
│     ├─ ● checking
│     └─ ◎ cleared
├─ ↺ back
├─ ◎ shipped
└─ ◎ cancelled

takes     approve    → shipped    if hasBudget
          cancel     → cancelled
          after 2 h  → cart       in 1 h 47 min

public    total  129.0
          items  [2 items]
private   approver  "u_81"
"""
    )


def test_without_utf8_the_marks_are_ascii() -> None:
    assert (
        screen(at=frame(marks=ASCII))
        == """\
order-1042   checkout - ver_FsrMf_ba - running - seq 17 - changed 12 s ago

* checkout
|- o cart
|- * payment
|  |- | method
|  |  |- o card
|  |  `- * invoice    needs-approval
|  `- | fraud
|     |- * checking
|     `- x cleared
|- h back
|- x shipped
`- x cancelled

takes     approve    -> shipped    if hasBudget
          cancel     -> cancelled
          after 2 h  -> cart       in 1 h 47 min

public    total  129.0
          items  [2 items]
private   approver  "u_81"
"""
    )


def test_a_tree_higher_than_the_screen_folds() -> None:
    folded = screen(at=frame(height=24))
    assert "├─ ○ cart" not in folded
    assert "└─ ○ 4 more" in folded
    assert screen(at=frame(height=24), unfold=True) == screen()
    assert screen(at=frame(height=30)) == screen()


def test_a_public_read_shows_no_private_context() -> None:
    """S34."""
    shown = screen(public=True)
    assert "total  129.0" in shown
    assert "approver" not in shown


def test_an_ended_instance_takes_nothing() -> None:
    ended = detail(state="shipped", done=True, output={"ok": True}, timers=[])
    shown = screen(ended)
    assert shown.startswith(
        'order-1042   checkout · ver_FsrMf_ba · done, output {"ok": true} · seq'
    )
    assert "├─ ◉ shipped" in shown
    assert "takes" not in shown


def test_a_failed_instance_shows_its_error() -> None:
    failed = detail(status="error", error={"message": "no"}, timers=[])
    assert 'failed, {"message": "no"}' in screen(failed)


def test_a_delayed_event_is_waited_for() -> None:
    timer = Timer(2, "reminder", {"type": "remind"}, iso(NOW + 3_000))
    assert "waiting   remind  in 3 s\n" in screen(detail(state="cart", timers=[timer]))


def test_a_timer_is_found_under_the_name_that_either_xstate_gives_it() -> None:
    old = Timer(1, "xstate.after(7200000)#checkout.payment", {"type": "x"}, iso(NOW + 5_000))
    assert "after 2 h  → cart       in 5 s" in screen(detail(timers=[old]))


def test_a_screen_never_wraps() -> None:
    narrow = screen(at=frame(width=30))
    assert max(len(line) for line in narrow.splitlines()) <= 30


def test_names_of_machines_cannot_steer_the_terminal() -> None:
    evil = node("m", "compound", states=[node("m.\x1b[2J", tags=["\x9b"])])
    subject = Subject("m", "i", detail(state="\x1b[2J", context={"\x1b": 1}, timers=[]), evil)
    shown = plain(instance_screen(subject, frame()))
    assert not {"\x1b", "\x9b"} & set(shown)


def change(before: InstanceDetail, after: InstanceDetail, event: str) -> list[Text]:
    subject = Subject("checkout", "order-1042", after, CHECKOUT, before=before)
    return change_screen(subject, Change(before, after, event, 41), frame())


IN_CART = detail(state="cart", seq=14, timers=[])


def test_an_event_shows_what_was_left_and_what_was_entered() -> None:
    lines = change(IN_CART, detail(), "pay")
    assert (
        plain(lines[:3])
        == """\
order-1042   cart → payment.(method.invoice, fraud.checking)
             checkout · ver_FsrMf_ba · running · seq 17 · 3 transitions, 41 ms

"""
    )
    styles = {line.plain.split()[-1]: str(line.spans[-1].style) for line in lines[4:6]}
    assert styles == {"cart": "dim strike", "payment": "bold green"}
    assert str(lines[3].spans[-1].style if lines[3].spans else lines[3].style) == "green"


def test_a_short_change_has_its_effort_beside_it() -> None:
    lines = change(IN_CART, detail(state="cancelled", done=True, timers=[], seq=15), "stop")
    assert lines[0].plain == "order-1042   cart → cancelled   1 transition, 41 ms"


def test_an_event_that_nobody_takes_says_what_is_taken() -> None:
    assert change(IN_CART, detail(state="cart", seq=15, timers=[]), "fly")[0].plain == (
        "order-1042   no transition: cart takes add, pay"
    )


def test_an_event_whose_guard_holds_it_back_names_the_guard() -> None:
    words = change(detail(), detail(seq=18), "approve")[0].plain
    assert words.startswith("order-1042   no transition: approve needs hasBudget")


def test_an_event_that_stays_in_its_state_is_a_transition() -> None:
    words = change(IN_CART, detail(state="cart", seq=15, timers=[]), "add")[0].plain
    assert words == "order-1042   cart, unchanged   1 transition, 41 ms"


def test_an_event_to_an_ended_machine_says_so() -> None:
    ended = detail(state="shipped", done=True, timers=[])
    assert "no transition: the machine has ended" in change(ended, ended, "pay")[0].plain


def test_an_inner_state_takes_an_event_before_its_parent() -> None:
    inner = node("checkout.a.b", on={"go": [to("c")], "try": [to("c", guard="g")]})
    outer = node("checkout.a", "compound", states=[inner], on={"go": [to("d")], "try": [to("d")]})
    definition = node(
        "checkout", "compound", states=[outer, node("checkout.c"), node("checkout.d")]
    )
    subject = Subject("m", "i", detail(state={"a": "b"}, context={}, timers=[]), definition)
    shown = plain(instance_screen(subject, frame()))
    assert (
        shown.partition("takes")[2]
        == "     go   → c\n          try  → c  if g\n          try  → d\n"
    )


def test_events_of_the_platform_are_not_offered() -> None:
    """Q64."""
    definition = node("m", on={"xstate.done.actor.x": [to("a")], "done.invoke.x": [to("a")]})
    subject = Subject("m", "i", detail(state={}, context={}, timers=[]), definition)
    assert "takes     nothing" in plain(instance_screen(subject, frame()))


def test_a_folded_tree_does_not_open_what_is_not_active() -> None:
    closed = node("m.b", "compound", states=[node("m.b.c"), node("m.b.d")])
    definition = node("m", "compound", states=[node("m.a"), closed])
    subject = Subject("m", "i", detail(state="a", context={}, timers=[]), definition)
    tree = plain(instance_screen(subject, frame(height=6))).split("\n\n")[1]
    assert tree == "● m\n├─ ● a\n└─ ○ b"


def test_an_event_that_changed_only_the_context_is_a_transition() -> None:
    after = detail(state="cart", seq=15, timers=[], context={})
    assert change(IN_CART, after, "fly")[0].plain.startswith("order-1042   cart, unchanged")
