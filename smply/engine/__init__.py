"""What machines and instances live through: the verbs that the API calls.

`engine.machines` publishes, `engine.instances` creates, sends and reads. Both know an org id and
an auth context, and nothing of tokens or HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from smply.clock import Clock
from smply.engine.instances import Instance, Instances
from smply.engine.logbook import LogBook
from smply.engine.machines import Machines, Upload
from smply.engine.meter import Meter
from smply.engine.schedule import Schedule
from smply.engine.settings import EngineSettings
from smply.engine.step import Stepper
from smply.runtime import Runtime
from smply.store import (
    InstanceRow,
    ListedInstance,
    LogRow,
    MachineRow,
    Store,
    TransitionRow,
    VersionRow,
)

__all__ = [
    "Engine",
    "EngineFacts",
    "EngineSettings",
    "Instance",
    "InstanceRow",
    "ListedInstance",
    "LogBook",
    "LogRow",
    "MachineRow",
    "TransitionRow",
    "Upload",
    "VersionRow",
]


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """Steps, commits and writes since it began; processes, and deliveries due and parked, now."""

    steps: int
    commits: int
    writes: int
    processes: int
    due: int
    parked: int


class Engine:
    """The rules of machines and instances over one store and one runtime.

    `notice` is told, in a sentence, what went wrong of itself: a timer whose event failed.
    """

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        clock: Clock,
        settings: EngineSettings,
        notice: Callable[[str], None],
    ) -> None:
        self._store = store
        self._runtime = runtime
        self._clock = clock
        self.meter = Meter(store, clock)
        stepper = Stepper(store, runtime, clock, self.meter)
        self.machines = Machines(store, runtime, clock, settings)
        self.instances = Instances(
            store, stepper, self.machines, clock, settings, notice, self.meter
        )
        self.logs = LogBook(store, clock, settings)
        self._schedule = Schedule(store, clock, self.instances.settle)
        stepper.on_owed = self._schedule.note

    def facts(self) -> EngineFacts:
        """What the engine does just now, and has done since it began."""
        due, parked = self._store.count_deliveries(self._clock.now())
        return EngineFacts(
            self.meter.steps, self._store.transactions, self._store.writes,
            self._runtime.processes, due, parked,
        )  # fmt: skip

    def check(self) -> None:
        """Raise Unavailable if the store cannot be read."""
        self._store.first_due_after(0)

    async def deliver_on_time(self) -> None:
        """Give every instance what it is owed when it is due, until cancelled (S64-S69)."""
        await self._schedule.run()
