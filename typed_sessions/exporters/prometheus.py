"""The counters for Prometheus, by ``prometheus_client``.

They are ordinary counters, so that its multiprocess mode adds up those of all workers.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Final
from weakref import WeakKeyDictionary, WeakSet

from prometheus_client import REGISTRY, CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..telemetry import NAMES, counters
from . import live
from .words import ENDED, MEANINGS, OPERATIONS, REASONS

_lock = threading.Lock()
_exporters: Final[WeakKeyDictionary[CollectorRegistry, _Exporter]] = WeakKeyDictionary()
_asked: Final[WeakSet[CollectorRegistry]] = WeakSet()


def register(registry: CollectorRegistry | None = None) -> None:
    """From now on, what is counted is counted in ``registry`` too, by default that of ``prometheus_client``.

    As ``typed_sessions_operations_total{operation}``, ``typed_sessions_ended_total{reason}``, and
    ``typed_sessions_<name>_total`` for every other name of ``typed_sessions.telemetry``. A second call changes nothing.
    """
    registry = REGISTRY if registry is None else registry
    with _lock:
        if registry not in _exporters:
            _exporters[registry] = exporter = _Exporter(registry)
            counters.subscribe(exporter.count)


def register_live(registry: CollectorRegistry | None = None) -> None:
    """Adds the gauge ``typed_sessions_live``, for which each scrape asks the store: ``live_sessions.count()``.

    All servers tell the same number, so that one of them is enough. In multiprocess mode it belongs in the registry
    that is made for the scrape. If the store does not answer, the gauge is left out of that scrape. Not for the
    ``cache`` engine, which cannot count. A second call changes nothing.
    """
    registry = REGISTRY if registry is None else registry
    with _lock:
        if registry not in _asked:
            registry.register(_Live())
            _asked.add(registry)


class _Exporter:
    """The metrics in one registry. All are there from the beginning, at 0, as rates want it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def metric(name: str, *labels: str) -> Counter:
            return Counter(f"typed_sessions_{name}", MEANINGS[name], labels, registry=registry)

        operations, ended = metric("operations", "operation"), metric(ENDED, "reason")
        self._counters = {
            **{(name, ""): operations.labels(word) for name, word in OPERATIONS.items()},
            **{(ENDED, reason): ended.labels(reason) for reason in REASONS},
            **{(name, ""): metric(name) for name in NAMES if name != ENDED and name not in OPERATIONS},
        }

    def count(self, name: str, reason: str) -> None:
        self._counters[name, reason].inc()


class _Live(Collector):
    def collect(self) -> Iterator[Metric]:
        number = live.count()
        if number is not None:
            yield GaugeMetricFamily("typed_sessions_live", MEANINGS["live"], value=number)

    def describe(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("typed_sessions_live", MEANINGS["live"])  # so that registering asks nobody
