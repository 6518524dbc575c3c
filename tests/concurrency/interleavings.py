"""Requests that meet at one session, in every order of what they ask of the stores.

Each request runs in a lane of its own: a thread that stops right before each command to Redis and each statement on the
table of sessions, until it is told to go on. One lane moves at a time, so that nothing is left to chance: a round is
its schedule. The schedules are gone through one by one, first those that change lanes seldom (most errors need one or
two changes), until all have been met or the rounds are used up.
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async
from django.db import connections

ROUNDS: Final = 1000
_PATIENCE: Final = 60
"""Seconds until a lane that says nothing is taken to wait for another, which no request ever has to."""

Request = Callable[[], Any]

_current: contextvars.ContextVar[Lane | None] = contextvars.ContextVar("lane", default=None)


def stop(point: str) -> None:
    """The lane that this runs in waits here; whoever is in no lane goes on."""
    lane = _current.get()
    if lane is not None:
        lane.wait_at(point)


@contextmanager
def at_once() -> Iterator[None]:
    """Within it the lane does not stop."""
    token = _current.set(None)
    yield
    _current.reset(token)


class Outcome(NamedTuple):
    """What a request answered, or raised."""

    answer: Any
    error: Exception | None

    @property
    def value(self) -> Any:
        """The answer of a request that had to succeed."""
        if self.error is not None:
            raise self.error
        return self.answer


class Lane:
    """A thread that runs one request after the other, from stop to stop."""

    def __init__(self) -> None:
        self.point: str | None = None
        """What the request is about to do; nothing when it is done."""
        self.outcome = Outcome(None, None)
        self._orders: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._reports: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._is_let_go = False
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(self._work,), daemon=True)
        self._thread.start()

    def begin(self, request: Request) -> None:
        """Runs the request up to its first stop."""
        self._orders.put(request)
        self._hear()

    def go_on(self) -> None:
        """Runs the request up to its next stop, or to its end."""
        self._orders.put(None)
        self._hear()

    def wait_at(self, point: str) -> None:
        if not self._is_let_go:
            self._reports.put(point)
            self._orders.get()

    def close(self) -> None:
        self._is_let_go = True
        if self.point is not None:  # its test has failed
            self.go_on()
        self._orders.put(None)
        self._thread.join(_PATIENCE)

    def _hear(self) -> None:
        self.point = self._reports.get(timeout=_PATIENCE)

    def _work(self) -> None:
        _current.set(self)
        try:
            while request := self._orders.get():
                try:
                    self.outcome = Outcome(request(), None)
                except Exception as error:
                    self.outcome = Outcome(None, error)
                self._reports.put(None)
        finally:
            connections.close_all()
            close_own_loop()


class _Fork:
    """A moment in which more than one lane could go on."""

    def __init__(self, options: int) -> None:
        self.options = options
        self.chosen = 0


class Schedules:
    """All orders in which lanes can go on, those with few changes of lane first."""

    def __init__(self) -> None:
        self.changes = 0
        """How often a round leaves a lane that could have gone on, at most."""
        self.is_complete = False
        """Whether all orders have been met."""
        self._forks: list[_Fork] = []
        self._at = 0
        self._left = 0
        self._has_cut = False

    def choose(self, lanes: Sequence[str], last: str | None) -> str:
        """Which of ``lanes`` goes on, ``last`` having moved last."""
        can_stay = last in lanes
        if can_stay and not self._left:
            self._has_cut |= len(lanes) > 1
            return str(last)
        options = sorted(lanes, key=lambda lane: (lane != last, lane))
        if len(options) == 1:
            return options[0]
        if self._at == len(self._forks):
            self._forks.append(_Fork(len(options)))
        fork = self._forks[self._at]
        assert fork.options == len(options), "The same steps have led to something else than before."
        self._at += 1
        chosen = options[fork.chosen]
        self._left -= can_stay and chosen != last
        return chosen

    def next(self) -> None:
        """Another schedule than those there were; after the last one all of them again."""
        while self._forks and self._forks[-1].chosen + 1 == self._forks[-1].options:
            self._forks.pop()
        if self._forks:
            self._forks[-1].chosen += 1
        elif self._has_cut:
            self.changes, self._has_cut = self.changes + 1, False
        else:
            self.is_complete = True
        self._at, self._left = 0, self.changes


@dataclass
class Race:
    """A thousand rounds of a test: ``for round in race: ... round.run(one=..., other=...)``."""

    rounds: int = ROUNDS
    changes: int = 2
    """Of lanes in a round: all the orders with so many of them have to be met, if there are too many to meet all."""
    schedules: Schedules = field(default_factory=Schedules)
    met: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """The rounds by their trace, such as ``("one GET", "other GET", "one SAVE", ...)``."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """The rounds by what the test says has come of them."""
    ran: int = 0
    _lanes: dict[str, Lane] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Race]:
        for _ in range(self.rounds):
            yield self
            self.schedules.next()
            self.ran += 1
        assert self.schedules.is_complete or self.schedules.changes > self.changes, "Not every point has been met."

    def run(self, **requests: Request) -> dict[str, Outcome]:
        """Runs the requests in the order that is this round's."""
        lanes = {name: self._lane(name) for name in requests}
        for name, lane in lanes.items():
            lane.begin(requests[name])
        trace: list[str] = []
        last: str | None = None
        while waiting := [name for name, lane in lanes.items() if lane.point is not None]:
            last = self.schedules.choose(waiting, last)
            trace.append(f"{last} {lanes[last].point}")
            lanes[last].go_on()
        self.trace = tuple(trace)
        self.met[self.trace] += 1
        return {name: lane.outcome for name, lane in lanes.items()}

    def alone(self, request: Request) -> tuple[Outcome, list[str]]:
        """Runs one request without others: its outcome, and what it asked of the stores."""
        lane, asked = self._lane("alone"), []
        lane.begin(request)
        while lane.point is not None:
            asked.append(lane.point)
            lane.go_on()
        return lane.outcome, asked

    def commands(self, name: str) -> list[str]:
        """What the request of this name has asked of the stores in the round that has just been run."""
        return [command for lane, _, command in (step.partition(" ") for step in self.trace) if lane == name]

    def count(self, outcome: str) -> None:
        self.outcomes[outcome] += 1

    def close(self) -> None:
        for lane in self._lanes.values():
            lane.close()

    def _lane(self, name: str) -> Lane:
        if name not in self._lanes:
            self._lanes[name] = Lane()
        return self._lanes[name]


_own = threading.local()


def on_own_loop(twin: Callable[..., Any]) -> Callable[..., Any]:
    """Awaits on one event loop for each thread, so that its connections last from round to round."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if getattr(_own, "loop", None) is None:
            _own.loop, _own.context = asyncio.new_event_loop(), ThreadSensitiveContext()
        # What is done in a thread is done in one for each lane, as by a server in one for each request.
        SyncToAsync.thread_sensitive_context.set(_own.context)
        return _own.loop.run_until_complete(twin(*args, **kwargs))

    return call


def close_own_loop() -> None:
    """The end of what ``on_own_loop`` has begun in this thread."""
    if getattr(_own, "loop", None) is None:
        return
    on_own_loop(sync_to_async(connections.close_all))()
    if executor := SyncToAsync.context_to_thread_executor.pop(_own.context, None):
        executor.shutdown()
    _own.loop.close()
    del _own.loop
