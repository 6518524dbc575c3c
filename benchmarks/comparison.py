"""The whole run: every flow on every engine, first counted, then timed in turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import mean, median
from typing import Any

from django.contrib.sessions.models import Session
from django_redis import get_redis_connection

from typed_sessions.models import StoredSession

from . import abilities, flows, timing
from .abilities import LostUpdates
from .budgets import HELD_TO, REFERENCE
from .counting import Counter, Counts
from .engines import BareRedis, DjangoEngine, Engine, NoSessions, OurEngine, SessionEngine
from .flows import Flow
from .site import DIRECT, RELAYED
from .timing import Round, seconds_of

BASE = "no sessions"
CARTS = (0, 10)
"""Cart items of the sessions whose memory is measured."""
_WARM_UP = 2
_PROBES = 100


@dataclass(frozen=True)
class Effort:
    """How thorough a run is."""

    rounds: int = 15
    times: int = 50
    """How often an operation is done in one round."""
    sessions: int = 1000
    """For the memory of one."""
    updates: int = 50
    """Of each of the parallel threads."""
    crowds: tuple[int, ...] = (1_000, 1_000_000)
    """Sessions among which the newest are sought."""


QUICK = Effort(rounds=1, times=2, sessions=20, updates=5, crowds=(100, 1_000))


@dataclass
class Results:
    counts: dict[Flow, dict[str, Counts]] = field(default_factory=dict)
    rounds: dict[Flow, list[Round]] = field(default_factory=dict)
    lost: dict[str, LostUpdates] = field(default_factory=dict)
    memory: dict[str, dict[int, float]] = field(default_factory=dict)
    listing: dict[int, float] = field(default_factory=dict)
    """Seconds by how many sessions there are."""
    listing_trips: int = 0

    @property
    def usual_probe(self) -> float:
        """Seconds of a raw GET on this machine when it does nothing else."""
        return median(each.probe for rounds in self.rounds.values() for each in rounds)

    def seconds(self, flow: Flow, engine: str) -> float:
        return timing.median_seconds(self._quiet(flow), engine, self._base(flow))

    def ratio(self, flow: Flow, engine: str) -> float:
        """How many times Django's ``cache`` engine."""
        return timing.median_ratio(self._quiet(flow), engine, REFERENCE, self._base(flow))

    def thrown_away(self) -> tuple[int, int]:
        """How many rounds of how many."""
        total = sum(len(rounds) for rounds in self.rounds.values())
        return total - sum(len(self._quiet(flow)) for flow in self.rounds), total

    def _quiet(self, flow: Flow) -> list[Round]:
        return timing.quiet(self.rounds[flow], self.usual_probe)

    def _base(self, flow: Flow) -> str | None:
        return BASE if BASE in self.rounds[flow][0].seconds else None


class Comparison:
    """Runs on the servers that the settings name."""

    def __init__(self, counter: Counter, effort: Effort, progress: Callable[[str], None]) -> None:
        self._counter, self._effort, self._progress = counter, effort, progress
        self._client: Any = get_redis_connection(DIRECT)
        self._ours = [
            OurEngine(HELD_TO[0], "redis"),
            OurEngine(HELD_TO[1], "redis", codec="msgpack"),
            OurEngine("cache", "cache"),
            OurEngine("cached_db", "cached_db"),
            OurEngine("db", "db"),
        ]
        self._djangos = [
            DjangoEngine(REFERENCE, "cache"),
            DjangoEngine("Django cached_db", "cached_db"),
            DjangoEngine("Django db", "db"),
        ]
        self.engines: Sequence[Engine] = (*self._ours, *self._djangos, BareRedis("bare Redis"), NoSessions(BASE))

    def run(self) -> Results:
        results = Results()
        for flow in flows.ALL_FLOWS:
            self._progress(flow.name)
            suited = [engine for engine in self.engines if flow.suits(engine)]
            results.counts[flow] = {engine.name: self._count(flow, engine) for engine in suited}
            results.rounds[flow] = [self._round(flow, _rotated(suited, turn)) for turn in range(self._effort.rounds)]
        self._progress("lost updates, memory, listing")
        for engine in (*self._ours, *self._djangos):
            results.lost[engine.name] = self._lost_updates(engine)
        for engine in (*self._ours[:3], self._djangos[0]):
            results.memory[engine.name] = {items: self._memory(engine, items) for items in CARTS}
        self._listing(self._ours[0], results)
        return results

    def _count(self, flow: Flow, engine: Engine) -> Counts:
        with engine.in_force(RELAYED, **flow.settings(engine)):
            prepared = flow.prepare(engine, _WARM_UP + 1)
            flow.run(engine, prepared[:_WARM_UP])  # connections are made and scripts are loaded
            counts = self._counter.of(lambda: flow.run(engine, prepared[_WARM_UP:]))
        self._clear()
        return counts

    def _round(self, flow: Flow, engines: Sequence[Engine]) -> Round:
        before = self._probe()
        seconds = {engine.name: self._time(flow, engine) for engine in engines}
        self._clear()
        return Round(max(before, self._probe()), seconds)

    def _time(self, flow: Flow, engine: Engine) -> float:
        with engine.in_force(**flow.settings(engine)):
            prepared = flow.prepare(engine, _WARM_UP + self._effort.times)
            flow.run(engine, prepared[:_WARM_UP])
            return median(flow.run(engine, prepared[_WARM_UP:]))

    def _probe(self) -> float:
        self._client.set("probe", b"x" * 1024)
        return mean(seconds_of(self._client.get, "probe") for _ in range(_PROBES))

    def _lost_updates(self, engine: SessionEngine) -> LostUpdates:
        with engine.in_force():
            lost = abilities.lost_updates(engine, self._effort.updates)
        self._clear()
        return lost

    def _memory(self, engine: SessionEngine, items: int) -> float:
        with engine.in_force():
            memory = abilities.memory_per_session(engine, self._client, self._effort.sessions, items)
        self._clear()
        return memory

    def _listing(self, engine: SessionEngine, results: Results) -> None:
        with engine.in_force(RELAYED):
            for _ in range(abilities.PAGE):
                engine.begin(None)
            results.listing_trips = self._counter.of(lambda: abilities.newest(engine)).trips
        with engine.in_force():
            results.listing.update(abilities.listing_seconds(engine, self._client, self._effort.crowds))
        self._clear()

    def _clear(self) -> None:
        self._client.flushdb()
        Session.objects.all().delete()
        StoredSession.objects.all().delete()


def _rotated(engines: Sequence[Engine], turn: int) -> Sequence[Engine]:
    """So that no engine always has the same neighbour."""
    first = turn % len(engines)
    return [*engines[first:], *engines[:first]]
