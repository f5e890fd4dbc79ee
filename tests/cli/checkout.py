"""The machine `checkout` and its instance `order-1042`, as the screens of this folder show them."""

from __future__ import annotations

from typing import Any

from smply.cli._frame import UNICODE, Frame, Marks
from smply.models import InstanceDetail, Timer, Version

NOW = 1_794_000_000_000
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000

VERSION = Version("ver_FsrMf_baSJG53SBNSUszzw", "2026-11-01T10:00:00.000Z", "0.0.1")


def iso(at: int) -> str:
    """Milliseconds of the epoch as the API writes them."""
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(at / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def frame(*, width: int = 80, height: int | None = None, marks: Marks = UNICODE) -> Frame:
    return Frame(width, height, marks, NOW)


def node(path: str, kind: str = "atomic", **more: Any) -> dict[str, Any]:
    """A node of a definition; `states` are given as a list and keyed here."""
    states = {child["key"]: child for child in more.pop("states", [])}
    inner = {"states": states} if states else {}
    return {"id": path, "key": path.rpartition(".")[2], "type": kind, **inner, **more}


def to(*targets: str, **more: Any) -> dict[str, Any]:
    """A transition of a definition."""
    return {"targets": [f"checkout.{target}" for target in targets], "actions": [], **more}


METHOD = node(
    "checkout.payment.method",
    "compound",
    initial="card",
    states=[
        node("checkout.payment.method.card"),
        node("checkout.payment.method.invoice", tags=["needs-approval"]),
    ],
)
FRAUD = node(
    "checkout.payment.fraud",
    "compound",
    initial="checking",
    states=[
        node("checkout.payment.fraud.checking"),
        node("checkout.payment.fraud.cleared", "final"),
    ],
)
PAYMENT = node(
    "checkout.payment",
    "parallel",
    on={"approve": [to("shipped", guard="hasBudget")], "cancel": [to("cancelled")]},
    after=[{"delay": 2 * HOUR, **to("cart")}],
    states=[METHOD, FRAUD],
)
CHECKOUT = node(
    "checkout",
    "compound",
    initial="cart",
    states=[
        node("checkout.cart", on={"add": [to(actions=["add"])], "pay": [to("payment")]}),
        PAYMENT,
        node("checkout.back", "history"),
        node("checkout.shipped", "final"),
        node("checkout.cancelled", "final"),
    ],
)
IN_PAYMENT = {"payment": {"method": "invoice", "fraud": "checking"}}
PAYMENT_TIMER = Timer(
    1,
    f"xstate.after.{2 * HOUR}.checkout.payment",
    {"type": f"xstate.after.{2 * HOUR}.checkout.payment"},
    iso(NOW + HOUR + 47 * MINUTE),
)
CONTEXT = {
    "public": {"total": 129.0, "items": [{"sku": "A-17", "count": 2, "title": "A lamp " * 9}] * 2},
    "approver": "u_81",
}


def detail(**changes: Any) -> InstanceDetail:
    """order-1042 in payment, 12 s after its last change."""
    facts: dict[str, Any] = {
        "state": IN_PAYMENT,
        "context": CONTEXT,
        "status": "running",
        "tags": ["needs-approval"],
        "done": False,
        "machine_version": VERSION,
        "created_at": iso(NOW - 3 * DAY),
        "seq": 17,
        "ts": NOW - 12 * SECOND,
        "timers": [PAYMENT_TIMER],
        "services": [],
        "deliveries": {"waiting": 1, "parked": 0},
    }
    return InstanceDetail(**(facts | changes))
