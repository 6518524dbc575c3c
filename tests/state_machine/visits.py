"""Requests, one store command at a time: each is an engine, and perhaps a flow of it that is half-way through."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, cast

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.base import UpdateError
from django.http import HttpRequest

from tests.state_machine.gate import Cancelled, Crash, Fault, Gate, Kind
from tests.state_machine.model import Call, Model, Reader
from tests.state_machine.sessions import DEEDS, Content, MachineSession
from tests.state_machine.worlds import World
from tests.stores.tools import OwnTime
from typed_sessions import SessionMode, SessionStatus, tokens
from typed_sessions.backends import patience
from typed_sessions.backends.base import SessionStore
from typed_sessions.exceptions import SessionBusy, SessionConflict, SessionLeaseLost, StoreUnavailable
from typed_sessions.flows import Flow, Step
from typed_sessions.live import live_sessions
from typed_sessions.stores.base import Store
from typed_sessions.stores.record import GRACE
from typed_sessions.testing.engines import Clock
from typed_sessions.transports import Presented, Source

Meanwhile = Callable[[Call], object]
ALL = 1000
"""Commands; no flow has so many."""


class Stage(NamedTuple):
    """What a machine plays on."""

    world: World
    gate: Gate
    engine: type[SessionStore]
    clock: Clock
    """Of records and expiry."""
    time: OwnTime
    """In which somebody waits for somebody else."""
    loop: asyncio.AbstractEventLoop
    hang_up: Callable[[bool], object]
    """What becomes of the connection of a worker that dies."""
    seen: Counter[str]
    """What has come about, in all examples."""


class Performer:
    """Does the steps of flows, with faults, and tells the model."""

    def __init__(self, stage: Stage, model: Model) -> None:
        self.stage = stage
        self.world, self.gate, self.seen = stage.world, stage.gate, stage.seen
        self.model = model
        self.may_be_busy = False
        """Whether a lease of the store may be in the way, because its holder is dead or in the middle of something."""
        self._failure: Exception | None = None

    def perform(self, step: Step, reader: Reader, fault: Fault, is_async: bool, meanwhile: Meanwhile) -> Any:
        """What the step answers. Raises what it raises, and `Crash`."""
        if step.sync in (time.sleep, patience._wait):
            self.stage.time.sleep(1)
            return None
        if not _asks_store(step):
            return self.run(step, is_async)
        call = self.model.begin(step.sync.__name__, step.args, reader)
        try:
            answer = self._ask(call, step, fault, is_async, meanwhile)
        except (StoreUnavailable, Crash, Cancelled) as error:
            if self._failure is not None:
                raise self._failure from None
            self.seen[f"{call.verb}: {type(error).__name__}"] += 1
            if not isinstance(error, StoreUnavailable):
                self.stage.hang_up(is_async)
            self._settle(call)
            if not (isinstance(error, (Crash, Cancelled)) or "injected" in str(error) or self.may_be_busy):
                raise AssertionError(f"I14: {error!r} for no reason") from error
            raise
        self.seen[f"{call.verb}: {type(answer).__name__}"] += 1
        self.seen[fault.kind.name] += 1
        self.model.acknowledge(call, answer, is_repeated=fault.kind in (Kind.VERB_REPEATED, Kind.REPEATED))
        return answer

    def _ask(self, call: Call, step: Step, fault: Fault, is_async: bool, meanwhile: Meanwhile) -> Any:
        def others() -> None:
            self._settle(call, is_over=False)
            self.model.remember(call)
            try:
                meanwhile(call)
            except Exception as error:
                self._failure = error  # which the store may take for one of its server's
                raise

        self.may_be_busy |= fault.kind is not Kind.NOTHING
        with self.gate.armed(fault, others):
            answer = self.run(step, is_async)
            if fault.kind is Kind.VERB_REPEATED_LATER:
                others()
            if fault.kind in (Kind.VERB_REPEATED, Kind.VERB_REPEATED_LATER):
                answer = self.run(step, is_async)
        return answer

    def _settle(self, call: Call, is_over: bool = True) -> None:
        with self.gate.open():
            self.model.settle(call, self.world.stored(), is_over)

    def run(self, step: Step, is_async: bool) -> Any:
        if is_async and not self.stage.loop.is_running():
            return self.stage.loop.run_until_complete(step.asynchronous(*step.args))
        return step.sync(*step.args)


def _asks_store(step: Step) -> bool:
    return isinstance(getattr(step.sync, "__self__", None), Store)


class Worker:
    """Does a flow, so many commands at a time, and may die in between."""

    def __init__(self, performer: Performer, is_async: bool) -> None:
        self.reader = Reader()
        self.is_over = False
        self._performer = performer
        self._is_async = is_async
        self._flow: Flow[Any] | None = None
        self._step: Step | None = None

    @property
    def is_busy(self) -> bool:
        """Whether it has come to a command which has not been sent yet."""
        return self._step is not None

    def follow(self, flow: Flow[Any]) -> None:
        """Comes to the first command of a flow, which is not sent yet."""
        self._flow = flow
        self._resume(partial(next, flow))

    def go_on(self, commands: int, fault: Fault, meanwhile: Meanwhile) -> None:
        """Sends so many commands of the flow, or what is left of them; `fault` happens at the first one."""
        for _ in range(commands):
            step, flow = self._step, self._flow
            if step is None or flow is None:
                return
            try:
                answer = self._performer.perform(step, self.reader, fault, self._is_async, meanwhile)
            except Crash:
                self.leave()
                return
            except (Exception, Cancelled) as error:
                self._resume(partial(flow.throw, error))
            else:
                self._resume(partial(flow.send, answer))
            if _asks_store(step):
                fault = Fault()

    def leave(self) -> None:
        """The worker is gone, or has answered."""
        flow, self._flow, self._step = self._flow, None, None
        self.is_over = True
        while flow is not None and inspect.getgeneratorstate(flow) != inspect.GEN_CLOSED:
            with suppress(RuntimeError):  # some would go on to put things away
                flow.close()

    def _resume(self, resume: Callable[[], Step]) -> None:
        try:
            self._step = resume()
        except StopIteration as stop:
            self._flow = self._step = None
            self._succeeded(stop.value)
        except Cancelled:
            self.leave()
        except (UpdateError, SessionConflict, SessionBusy, StoreUnavailable) as error:
            self._performer.seen[type(error).__name__] += 1
            self._failed(error)
            self.leave()

    def _succeeded(self, answer: Any) -> None:
        raise NotImplementedError

    def _failed(self, error: Exception) -> None:
        raise NotImplementedError


class Update(Worker):
    """`live_sessions.update`, by a task that is nobody's request."""

    def __init__(self, performer: Performer, session_id: str, deeds: list[tuple[str, str]], is_async: bool) -> None:
        super().__init__(performer, is_async)
        self.reader.begins_anew = self.reader.is_passive = True
        self._session_id = session_id
        self._deeds = deeds
        self.follow(live_sessions._updating(session_id, self._change))

    def _change(self, session: MachineSession) -> None:
        assert session == self.reader.base.session, f"I6: {session} was read, and not {self.reader.base}"
        self.reader.mine = self.reader.base.copy()
        for name, mark in self._deeds:
            DEEDS[name].do(session, {}, mark)
            DEEDS[name].do(self.reader.mine.session, {}, mark)

    def _succeeded(self, answer: Any) -> None:
        if answer is not None:
            assert answer == self.reader.mine.session
            assert not self.reader.has_unsaved, f"I6: {self.reader} was not saved"
        elif self.reader.has_read:
            known, now = self._performer.model.sessions[self._session_id], self._performer.model.now
            assert known.ended or not known.record.is_live(now), f"I6: {self.reader} was not saved, and is {known}"
        self.leave()

    def _failed(self, error: Exception) -> None:
        assert isinstance(error, StoreUnavailable), f"I14: {error!r}"


class Way(NamedTuple):
    """How somebody comes: what they present, and which kind of view answers."""

    token: str | None
    other: str | None = None
    is_async: bool = False
    is_bound: bool = True
    is_passive: bool = False


class Visit(Worker):
    """One request."""

    def __init__(self, performer: Performer, way: Way) -> None:
        super().__init__(performer, way.is_async)
        self.way = way
        self.engine = performer.stage.engine(way.token)
        self.has_lease = False
        """Whether it is in a part that is exclusive."""
        self.is_heard = False
        """Whether the client has got a response."""
        self._name = ""
        self._had_lease = False
        """Of the session when what it does now began; one that is not stored has none."""
        self._request = HttpRequest()  # the engine holds it weakly
        self._request.META.update(REMOTE_ADDR="192.0.2.7", HTTP_USER_AGENT="Browser/1")
        self.engine.is_passive = self.reader.is_passive = way.is_passive
        if way.is_bound:
            token = tokens.read(way.token)
            mode = token.mode if token else SessionMode.TEMP
            self.engine.bind(self._request, Presented(Source.COOKIE, mode, way.token, way.other))

    @property
    def token(self) -> str | None:
        """What its client presents from now on."""
        facts = self.engine.facts
        return facts.token.text if facts.token and facts.is_stored and not facts.is_rotated else None

    # What a view does

    def arrive(self, fault: Fault, meanwhile: Meanwhile) -> None:
        """Loads the session, and finds in it what was acknowledged."""
        self._name = "load"
        self.follow(self.engine._showing())
        self.go_on(ALL, fault, meanwhile)
        self.reader.has_loaded = True
        if not self.is_over:
            status = self.engine.facts.status
            assert (status is SessionStatus.LIVE) is self.reader.has_read, f"{status}, and {self.reader} was read"
            self._compare()

    def content(self) -> Content:
        """What the view sees."""
        return Content(cast("MachineSession", self.engine._typed()), cast("dict[str, Any]", self.engine._get_session()))

    def _compare(self) -> None:
        assert self.content() == self.reader.mine, f"I6: {self.content()} is seen, and not {self.reader.mine}"

    def do(self, name: str, mark: str) -> None:
        """Changes fields or keys."""
        DEEDS[name].do(*self.content(), mark)
        DEEDS[name].do(*self.reader.mine, mark)
        self._compare()

    def sign_in(self, user: str, mode: SessionMode) -> None:
        """As Django's `login` does it. Nothing is stored before the end of the request."""
        self.begin("cycle")
        self.go_on(ALL, Fault(), lambda call: None)
        keys = {SESSION_KEY: user, BACKEND_SESSION_KEY: "a.Backend", HASH_SESSION_KEY: "a hash"}
        for key, value in keys.items():
            self.engine[key] = value
        self.engine.begin_authenticated(mode)
        self.reader.mine.bag.update(keys)
        self.reader.user, self.reader.signs_in = user, True

    # How it ends, or a part of it

    def begin(self, name: str) -> None:
        engine = self.engine
        flows: dict[str, Callable[[], Flow[Any]]] = {
            "commit": engine._committing,
            "save": lambda: engine._saving_as_told(False),
            "flush": engine._flushing,
            "cycle": engine._cycling,
            "take": lambda: engine.take_lease(2, 30),
            "give": lambda: engine.give_lease_back(saves=True),
            "give up": lambda: engine.give_lease_back(saves=False),
        }
        self._name, self._had_lease = name, self.reader.lease is not None and engine.facts.record is not None
        if name == "take":
            self.has_lease = True
        elif name == "give up":
            self.reader.undo()
        self.follow(flows[name]())

    def _succeeded(self, answer: Any) -> None:
        match self._name:
            case "flush":
                self.reader.read(None)
                self.reader.remember()
            case "take":
                self.reader.remember()
            case "give" | "give up":
                self.has_lease, self.reader.lease = False, None
        if self._name in ("commit", "save") or (self._name == "give" and self._had_lease):
            assert not self.reader.has_unsaved, f"I6: {self.reader} was not saved, nor refused"
        if self._name in ("give up", "take"):
            self._compare()
        if self._name == "commit":
            self.is_heard = True
            self.leave()

    def _failed(self, error: Exception) -> None:
        model = self._performer.model
        record = self.engine.facts.record
        match error:
            case UpdateError() if record is None:
                # Or it had expired, and somebody who had read it in time has signed in over it a moment ago.
                assert self.reader.is_outdated or self.engine._outdated, f"I2: {error}"
            case UpdateError() if record is not None:
                known = model.sessions[record.id]
                assert known.ended or known.record.overdue(model.now - GRACE), f"I2: {error}, and it is {known}"
            case SessionLeaseLost():
                assert self.reader.is_overtaken, f"{error}, and nobody else has it"
            case SessionConflict():
                assert self.reader.is_refused, f"I6: {error}, and it can be merged: {self.reader}"
            case SessionBusy():
                assert record is not None and model.is_taken(record.id), f"{error}, and nobody has it"
