"""What an engine can be told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Bounds and habits of an engine.

    `deliver_on_read`: the local profile has no clock of its own running, so that a command that
    names an instance, even one that reads it, first makes what is overdue.
    `log_entries_per_minute` an instance may have, kept for `log_days` (0: for ever).
    `claim_after`: after so many lost races in a row an instance is claimed for `claim_ms`.
    """

    deliver_on_read: bool = False
    overdue_max: int = 100
    settle_seconds: float = 90.0
    delivery_attempts_max: int = 5
    retry_ms: int = 30_000
    mailbox_max: int = 1_000
    upload_hours: int = 24
    log_entries_per_minute: int = 1_000
    log_days: int = 30
    claim_after: int = 3
    claim_ms: int = 2_000
    lost_races_max: int = 50
