"""Times that mean something on a machine that does other things too."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter

NOISY = 1.3
"""A round is thrown away if a raw GET took so many times its median of the run."""
_TICK = 1e-9
"""Seconds; for what took no time that the clock could tell."""


def pin() -> bool:
    """Puts this process, and the servers it starts from now on, on one processor, if the system can do that.

    Otherwise the time of a round trip depends on where the scheduler happens to put client and server: the same GET
    takes one time or twice that.
    """
    if not hasattr(os, "sched_setaffinity"):
        return False
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    return True


def seconds_of(operation: Callable[..., object], *args: object) -> float:
    begun = perf_counter()
    operation(*args)
    return perf_counter() - begun


@dataclass(frozen=True)
class Round:
    """One turn of every engine at one flow."""

    probe: float
    """Seconds of a raw GET on the average, before or after, whichever was longer."""
    seconds: Mapping[str, float]
    """Median of one operation, by engine."""

    def ratio(self, engine: str, reference: str, base: str | None) -> float:
        """How many times ``reference``, each without what ``base`` takes."""
        least = self.seconds[base] if base else 0.0
        return (self.seconds[engine] - least) / ((self.seconds[reference] - least) or _TICK)


def quiet(rounds: list[Round], usual_probe: float) -> list[Round]:
    """Those in which the machine did nothing else; the quietest one if there is none."""
    kept = [each for each in rounds if each.probe <= NOISY * usual_probe]
    return kept or [min(rounds, key=lambda each: each.probe)]


def median_seconds(rounds: list[Round], engine: str, base: str | None) -> float:
    """Of one operation, without what ``base`` takes."""
    return median(each.seconds[engine] - (each.seconds[base] if base else 0.0) for each in rounds)


def median_ratio(rounds: list[Round], engine: str, reference: str, base: str | None) -> float:
    # Round by round, so that a machine that gets slower or faster during the run changes nothing.
    return median(each.ratio(engine, reference, base) for each in rounds)
