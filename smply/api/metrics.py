"""What a server does, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from smply.api.outside import Asked
from smply.engine import EngineFacts


class Metrics:
    """Counts what is asked, and tells the engine's facts when it is asked itself."""

    def __init__(self, facts: Callable[[], EngineFacts]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Engine(facts))
        names = ["method", "route", "status"]
        self._requests = Counter(
            "smply_requests", "Requests that were answered.", names, registry=self._registry
        )
        self._seconds = Counter(
            "smply_request_seconds", "What they took together.", names[:2], registry=self._registry
        )
        self._known: dict[tuple[str, str, int], Any] = {}

    def count(self, asked: Asked) -> None:
        """Count a request. Routes are those of the document, so that there are few of them."""
        key = (asked.method, asked.route, asked.status)
        counters = self._known.get(key)
        if counters is None:
            counters = self._known[key] = (
                self._requests.labels(asked.method, asked.route, str(asked.status)),
                self._seconds.labels(asked.method, asked.route),
            )
        counters[0].inc()
        counters[1].inc(asked.ms / 1000)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)


class _Engine:
    def __init__(self, facts: Callable[[], EngineFacts]) -> None:
        self._facts = facts

    def collect(self) -> Iterable[Metric]:
        facts = self._facts()
        for name, what, value in (
            ("smply_steps", "Transitions that stand.", facts.steps),
            ("smply_commits", "Transactions of the store.", facts.commits),
            ("smply_writes", "Writes that were put together in them.", facts.writes),
        ):
            yield CounterMetricFamily(name, what, value)
        for name, what, value in (
            ("smply_processes", "Processes of machine code that live.", facts.processes),
            ("smply_deliveries_due", "Deliveries that are due and not made.", facts.due),
            ("smply_deliveries_parked", "Deliveries that were given up.", facts.parked),
        ):
            yield GaugeMetricFamily(name, what, value)
