"""The state machine: what visitors, staff, the sweeper and time do to a few sessions, in any order."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.state_machine.gate import Cancelled, Crash, Fault, Kind
from tests.state_machine.model import LATE, Call, Model, Reader
from tests.state_machine.sessions import DEEDS
from tests.state_machine.visits import ALL, Meanwhile, Performer, Stage, Update, Visit, Way, Worker
from typed_sessions import EndReason, SessionMode, tokens
from typed_sessions.exceptions import StoreUnavailable
from typed_sessions.flows import Step
from typed_sessions.live import live_sessions
from typed_sessions.stores.cache import LEASE
from typed_sessions.stores.record import GRACE
from typed_sessions.stores.redis import INDEX_LAG

_NONE = Fault()
_MOST = 5
"""Requests that are open at once."""
_LONG = LATE
"""Seconds; no command takes longer than that."""
_BEYOND_EXPIRY = [*[None] * 12, -1, 0, 1, 100, GRACE - _LONG, GRACE, GRACE + 1]
"""Moments in the end of a session, seconds after its expiry; mostly others."""
SIGN_INS = {"7": SessionMode.TEMP, "8": SessionMode.PERM}
"""Users, and how they sign in."""

_some_fault = st.builds(
    Fault,
    kind=st.sampled_from([kind for kind in Kind if kind is not Kind.NOTHING]),
    at=st.integers(0, 4),
    deed=st.sampled_from(["commit", "commit", "end", "flush", "cycle"]),
)
faults = st.integers(0, 3).flatmap(lambda one_in: st.just(_NONE) if one_in else _some_fault)
is_async = st.booleans()
which = st.integers(0, _MOST - 1)
recent = st.sampled_from([0, 0, 0, 0, 0, 1, 1, 2, 5])
rarely = st.sampled_from([False, False, False, True])
ways = st.tuples(recent, recent, is_async, rarely.map(lambda rare: not rare), rarely)
deeds = st.lists(st.sampled_from(["count", "fill in", *DEEDS]), max_size=3)
ends = st.sampled_from([*["commit"] * 6, *["save", "take"] * 3, "give up", "flush", "cycle", "cycle", *SIGN_INS])
amounts = st.sampled_from([1, 2, ALL])


def _nobody(call: Call) -> None:
    """Comes by."""


class SessionMachine(RuleBasedStateMachine):
    """Subclassed with the `stage` of a store."""

    stage: Stage

    def __init__(self) -> None:
        super().__init__()
        self.clock = self.stage.clock
        self.clock.now = 1_800_000_000
        self.model = Model(self.stage.world.breaks_rotations)
        self.performer = Performer(self.stage, self.model)
        self.visits: list[Visit] = []
        self.updates: list[Update] = []
        self.tokens: list[str] = []
        """All that clients were ever told."""
        self.stalled: dict[Worker, int] = {}
        """Seconds for which those have been about to do something who are."""
        self.marks = 0
        self.stage.gate.postponed.clear()
        with self.stage.gate.open():
            self.stage.world.clear()
        self.model.pass_time(self.clock.now)

    # Visitors

    @initialize(is_async=is_async)
    def somebody_is_there(self, is_async: bool) -> None:
        self._visit(Way(None, is_async=is_async), ["count", "visit"])

    @rule(way=ways, names=deeds, then=ends, fault=faults)
    def visit(self, way: tuple[Any, ...], names: list[str], then: str, fault: Fault) -> None:
        """A request from its beginning to its end."""
        self._visit(self._way(*way), names, then, fault, self._pass_by(fault))

    @precondition(lambda self: len(self.visits) < _MOST)
    @rule(way=ways, names=deeds, fault=faults)
    def arrive(self, way: tuple[Any, ...], names: list[str], fault: Fault) -> None:
        """A request that goes on for a while begins."""
        visit = Visit(self.performer, self._way(*way))
        visit.arrive(fault, self._pass_by(fault))
        self._change(visit, names)
        self.visits.append(visit)
        self._settle_visits()

    @rule(
        way=ways,
        names=st.tuples(deeds, deeds),
        then=st.tuples(ends, ends),
        seconds=st.sampled_from([0, 0, 0, 31, _LONG]),
        is_early=st.booleans(),
        amount=amounts,
        fault=faults,
    )
    def meet(
        self,
        way: tuple[Any, ...],
        names: tuple[list[str], list[str]],
        then: tuple[str, str],
        seconds: int,
        is_early: bool,
        amount: int,
        fault: Fault,
    ) -> None:
        """Two requests read the same, and the first one saves before the other one does, which may have known before
        what it is going to save.
        """
        first, second = (Visit(self.performer, self._way(*way)) for _ in names)
        first.arrive(fault if fault.kind is Kind.POSTPONED else _NONE, _nobody)
        second.arrive(_NONE, _nobody)
        for visit, changes in zip((first, second), names, strict=True):
            self._change(visit, changes)
        if is_early:
            self._begin(second, then[1])
        late, self.stage.gate.postponed = self.stage.gate.postponed, []
        self.wait(seconds)
        self._begin(first, then[0])
        first.go_on(ALL, _NONE, _nobody)
        self.stage.gate.postponed += late if seconds == 0 else []
        self.copies_arrive()
        if not is_early:
            self._begin(second, then[1])
        second.go_on(amount, fault, self._pass_by(fault))
        self.visits += first, second
        self._settle_visits()

    @precondition(lambda self: self.visits)
    @rule(nth=which, names=deeds, then=ends, amount=amounts, fault=faults)
    def work(self, nth: int, names: list[str], then: str, amount: int, fault: Fault) -> None:
        """It changes something, and comes to an end, or to a part of it, perhaps not beyond the first commands."""
        visit = self._nth(nth)
        if not visit.is_busy:
            self._change(visit, names)
            self._begin(visit, then)
        visit.go_on(amount, fault, self._pass_by(fault))
        self._settle_visits()

    @rule(nth=recent, names=deeds, amount=amounts, is_async=is_async, fault=faults)
    def update(self, nth: int, names: list[str], amount: int, is_async: bool, fault: Fault) -> None:
        """A task changes something in a session from outside."""
        if (token := self._token(nth)) and len(self.updates) < _MOST:
            marked = [(name, self._mark()) for name in names]
            update = Update(self.performer, _id_of(token), marked, is_async)
            update.go_on(amount, fault, self._pass_by(fault))
            self.updates.append(update)
            self._settle_visits()

    @precondition(lambda self: self._busy())
    @rule(nth=which, amount=amounts, fault=faults)
    def go_on(self, nth: int, amount: int, fault: Fault) -> None:
        """One that stopped between two commands sends the next ones."""
        busy = self._busy()
        busy[nth % len(busy)].go_on(amount, fault, self._pass_by(fault))
        self._settle_visits()

    # Others

    @rule(nth=recent, what=st.sampled_from(["end", "sweep", "die"]), is_async=is_async, fault=faults)
    def interfere(self, nth: int, what: str, is_async: bool, fault: Fault) -> None:
        """Someone ends a session from another device, expired ones are removed, or a worker dies."""
        if what == "sweep":
            store = self.stage.engine().store
            self._drive(Step(store.clear_expired, store.aclear_expired, (self.clock.now,)), is_async, fault)
        elif what == "die" and self.visits:
            self._nth(nth).leave()
            self._settle_visits()
        elif token := self._token(nth):
            self._end(_id_of(token), is_async, fault)

    @rule()
    def reap(self) -> None:
        """What has expired is told of and put away, and then the lists have what is live, and nothing else (I9)."""
        store = self.stage.engine().store
        with self.stage.gate.open():
            if not store.lists_sessions or self.stage.world.sends_twice:
                return  # what is sent once more, long after a session was put away, is nothing that happens
            live_sessions.reap()
            self.model.reaped(self.stage.world.stored())
            listed = store.newest(self.clock.now, 1000)
        if self.stage.world.breaks_rotations:
            return  # a worker can die between the record and its index; the next use mends that, or the next reading
        live = {known.record.id: known.record.expires for known in self.model.live()}
        assert live.keys() >= set(listed), "I9: who is listed is not there"
        surely = {session_id for session_id, expires in live.items() if expires > self.clock.now + INDEX_LAG}
        assert surely <= set(listed), "I9: who is there is not listed"

    @rule(seconds=st.sampled_from([1, 4, 31, _LONG, _LONG + 1, 300]), beyond=st.sampled_from(_BEYOND_EXPIRY))
    def time_passes(self, seconds: int, beyond: int | None) -> None:
        """So many seconds, or until that much before or after the expiry of the oldest session that is live."""
        live = self.model.live()
        if beyond is not None and live:
            seconds = max(0, live[0].record.expires + beyond - self.clock.now)
        self.wait(seconds)

    def wait(self, seconds: int) -> None:
        self.stage.gate.postponed.clear()  # or they have come by now
        self.stalled = {worker: self.stalled.get(worker, 0) + seconds for worker in self._busy()}
        for worker, stalled in self.stalled.items():
            if stalled > _LONG:
                worker.leave()
        self._settle_visits()
        if seconds > LEASE:
            self.performer.may_be_busy = False
        self.clock.advance(seconds)
        with self.stage.gate.open():
            self.stage.world.age(seconds)
        self.model.pass_time(self.clock.now)

    @precondition(lambda self: self.stage.gate.postponed)
    @rule()
    def copies_arrive(self) -> None:
        """What readers have put into a cache gets there."""
        while self.stage.gate.postponed:
            self.stage.gate.postponed.pop(0)()

    # What always holds

    @invariant()
    def stored_is_what_was_acknowledged(self) -> None:
        with self.stage.gate.open():
            self.model.check(self.stage.world.stored())

    def teardown(self) -> None:
        for worker in (*self.visits, *self.updates):
            worker.leave()
        with self.stage.gate.open():
            for token in self.tokens:
                Visit(self.performer, Way(token)).arrive(Fault(), _nobody)
        super().teardown()

    # Helpers

    def _way(self, nth: int, other: int, *rest: bool) -> Way:
        return Way(self._token(nth), self._token(other), *rest)

    def _token(self, nth: int) -> str | None:
        """The newest one of a live session, or the nth after it; then those that are dead; none, beyond all."""
        live = {known.record.id for known in self.model.live()}
        ordered = sorted(self.tokens, key=lambda token: _id_of(token) not in live)
        return ordered[nth] if nth < len(ordered) else None

    def _nth(self, nth: int) -> Visit:
        return self.visits[nth % len(self.visits)]

    def _busy(self) -> list[Worker]:
        return [worker for worker in (*self.visits, *self.updates) if worker.is_busy]

    def _mark(self) -> str:
        self.marks += 1
        return str(self.marks)

    def _settle_visits(self) -> None:
        self.updates = [update for update in self.updates if not update.is_over]
        for visit in [visit for visit in self.visits if visit.is_over]:
            self.visits.remove(visit)
            self._hear(visit)

    def _hear(self, visit: Visit) -> None:
        token = visit.token
        if visit.is_heard and token is not None and token not in self.tokens:
            self.tokens.append(token)

    def _change(self, visit: Visit, names: list[str]) -> None:
        if not visit.is_over:
            for name in names:
                visit.do(name, self._mark())

    def _begin(self, visit: Visit, then: str) -> None:
        if then in SIGN_INS:
            if visit.way.is_bound and visit.reader.user in (None, then):
                visit.sign_in(then, SIGN_INS[then])
            then = "commit"
        if visit.has_lease:
            then = "give" if then in ("commit", "take") else then
        elif then == "give up":
            then = "commit"
        if not visit.is_over:
            visit.begin(then)

    def _visit(
        self,
        way: Way,
        names: list[str],
        then: str = "commit",
        fault: Fault = _NONE,
        meanwhile: Meanwhile = _nobody,
    ) -> None:
        visit = Visit(self.performer, way)
        visit.arrive(_NONE, meanwhile)
        self._change(visit, names)
        for end in (then, "commit", "commit"):
            if not visit.is_over:
                self._begin(visit, end)
                visit.go_on(ALL, fault, meanwhile)
        self._hear(visit)

    def _end(self, session_id: str, is_async: bool, fault: Fault) -> None:
        self._drive(next(live_sessions._ending(session_id, EndReason.ENDED_BY_USER)), is_async, fault)

    def _drive(self, step: Step, is_async: bool, fault: Fault) -> None:
        """What nobody's request does."""
        with suppress(StoreUnavailable, Crash, Cancelled):
            self.performer.perform(step, Reader(), fault, is_async, self._pass_by(fault))

    def _pass_by(self, fault: Fault) -> Meanwhile:
        """Somebody does something to the session that a verb is about, in the middle of it."""

        def meanwhile(call: Call) -> None:
            if fault.kind is Kind.VERB_REPEATED_LATER and not self.stage.world.sends_twice and fault.deed != "end":
                return  # nobody repeats it so late
            token = next((token for token in self.tokens if _id_of(token) == call.about), None)
            if token is not None and fault.deed == "end":
                self._end(call.about, False, _NONE)
            elif token is not None:
                self._visit(Way(token), ["count", "visit", "go"] if fault.deed == "commit" else [], fault.deed)

        return meanwhile


def _id_of(token: str) -> str:
    return tokens.digest(token)
