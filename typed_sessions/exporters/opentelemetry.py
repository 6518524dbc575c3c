"""The counters for OpenTelemetry, by its API. Which SDK exports them, and where to, is the project's to say."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter

from ..telemetry import counters
from . import live
from .words import ENDED, MEANINGS, OPERATIONS, REASONS, UNITS

Callback = Callable[[CallbackOptions], Iterable[Observation]]


def register(meter_provider: MeterProvider | None = None) -> None:
    """Makes what is counted known to ``meter_provider``, by default the global one, whenever it collects.

    As ``typed_sessions.operations`` with the attribute ``operation``, ``typed_sessions.ended`` with ``reason``, and
    ``typed_sessions.<name>`` for every other name of ``typed_sessions.telemetry``. A second call changes nothing: a
    meter makes the same instrument once.
    """
    meter = get_meter("typed_sessions", meter_provider=meter_provider)
    for name, meaning in MEANINGS.items():
        if name != "live":
            unit = UNITS.get(name, "{session}")
            meter.create_observable_counter(f"typed_sessions.{name}", [_callback(name)], unit, meaning)


def register_live(meter_provider: MeterProvider | None = None) -> None:
    """Adds the gauge ``typed_sessions.live``, for which each collection asks the store: ``live_sessions.count()``.

    All processes tell the same number, so that one of them is enough. If the store does not answer, there is no value.
    Not for the ``cache`` engine, which cannot count. A second call changes nothing.
    """
    meter = get_meter("typed_sessions", meter_provider=meter_provider)
    meter.create_observable_gauge("typed_sessions.live", [_live], "{session}", MEANINGS["live"])


def _callback(name: str) -> Callback:
    def observe(options: CallbackOptions) -> Iterable[Observation]:
        counts = counters.snapshot()
        if name == "operations":
            return [Observation(counts[key], {"operation": word}) for key, word in OPERATIONS.items()]
        if name == ENDED:
            return [Observation(counts.get(f"{ENDED}.{reason}", 0), {"reason": reason}) for reason in REASONS]
        return [Observation(counts[name])]

    return observe


def _live(options: CallbackOptions) -> Iterable[Observation]:
    number = live.count()
    return [] if number is None else [Observation(number)]
