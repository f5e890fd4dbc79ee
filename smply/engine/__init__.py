"""What machines and instances live through: the verbs that the API calls.

`engine.machines` publishes, `engine.instances` creates, sends and reads. Both know an org id and
an auth context, and nothing of tokens or HTTP.
"""

from __future__ import annotations

from collections.abc import Callable

from smply.clock import Clock
from smply.engine.instances import Instance, Instances
from smply.engine.machines import Machines, Upload
from smply.engine.settings import EngineSettings
from smply.engine.step import Stepper
from smply.runtime import Runtime
from smply.store import InstanceRow, ListedInstance, MachineRow, Store, TransitionRow, VersionRow

__all__ = [
    "Engine",
    "EngineSettings",
    "Instance",
    "InstanceRow",
    "ListedInstance",
    "MachineRow",
    "TransitionRow",
    "Upload",
    "VersionRow",
]


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
        stepper = Stepper(store, runtime, clock)
        self.machines = Machines(store, runtime, clock, settings)
        self.instances = Instances(store, stepper, self.machines, clock, settings, notice)
