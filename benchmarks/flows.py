"""What is measured: the verbs of an engine, and whole requests. Setting up is not part of the time."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from time import perf_counter
from typing import Any

from .engines import Engine, NoSessions, OurEngine, SessionEngine, StoringEngine
from .pages import customer_id
from .timing import seconds_of

_AGO = 600
"""Seconds since the last use of a session whose idle timeout is to slide."""


class Flow(ABC):
    """One thing that is done with a session, to be done many times."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name

    @abstractmethod
    def suits(self, engine: Engine) -> bool:
        """Whether the engine can do it."""

    @abstractmethod
    def prepare(self, engine: Engine, times: int) -> Sequence[Any]:
        """What it takes to do it so many times."""

    @abstractmethod
    def run(self, engine: Engine, prepared: Sequence[Any]) -> list[float]:
        """Does it as often as was prepared. Seconds of each, so that a few that were disturbed do not count."""

    def settings(self, engine: Engine) -> Mapping[str, Any]:
        """Settings over the engine's own."""
        return {}


class StoreFlow(Flow):
    """A verb of the engine on a stored, signed-in session; each on one of its own if the verb uses the session up."""

    def __init__(self, name: str, verb: str, uses_up: bool = False) -> None:
        super().__init__(name)
        self._verb, self._uses_up = verb, uses_up

    def suits(self, engine: Engine) -> bool:
        return hasattr(engine, self._verb)

    def prepare(self, engine: Engine, times: int) -> Sequence[str]:
        assert isinstance(engine, StoringEngine)
        if self._uses_up:
            return [engine.begin(customer_id()) for _ in range(times)]
        return [engine.begin(customer_id())] * times

    def run(self, engine: Engine, prepared: Sequence[str]) -> list[float]:
        verb = getattr(engine, self._verb)
        return [seconds_of(verb, key) for key in prepared]


class RequestFlow(Flow):
    """A request to a page, by WSGI. Without sessions it is the request to a page that does nothing."""

    empty_page = "unused"

    def __init__(self, name: str, page: str, begin: Callable[[SessionEngine, int], Sequence[str | None]]) -> None:
        super().__init__(name)
        self._page, self._begin = page, begin

    def suits(self, engine: Engine) -> bool:
        return isinstance(engine, (SessionEngine, NoSessions))

    def prepare(self, engine: Engine, times: int) -> Sequence[str | None]:
        return self._begin(engine, times) if isinstance(engine, SessionEngine) else [None] * times

    def run(self, engine: Engine, prepared: Sequence[str | None]) -> list[float]:
        page, pages = self.page_of(engine), engine.pages
        return [seconds_of(pages.get, page, key) for key in prepared]

    def page_of(self, engine: Engine) -> str:
        return self._page.format(views=engine.views) if engine.views else self.empty_page


class TouchFlow(RequestFlow):
    """A request that reads, when the idle timeout is due to slide. Django's way is to save with every request."""

    def settings(self, engine: Engine) -> Mapping[str, Any]:
        return {} if isinstance(engine, OurEngine) else {"SESSION_SAVE_EVERY_REQUEST": True}


class AsyncRequestFlow(RequestFlow):
    """A request by ASGI to an async view, one after the other in one event loop."""

    empty_page = "aunused"

    def run(self, engine: Engine, prepared: Sequence[str | None]) -> list[float]:
        return self._loop.run_until_complete(self._run(engine, prepared))

    async def _run(self, engine: Engine, prepared: Sequence[str | None]) -> list[float]:
        page, pages = self.page_of(engine), engine.pages
        seconds = []
        for key in prepared:
            begun = perf_counter()
            await pages.aget(page, key)
            seconds.append(perf_counter() - begun)
        return seconds

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.new_event_loop()


def _one(engine: SessionEngine, times: int) -> Sequence[str]:
    return [engine.begin(customer_id())] * times


def _none(engine: SessionEngine, times: int) -> Sequence[None]:
    return [None] * times


def _anonymous(engine: SessionEngine, times: int) -> Sequence[str]:
    return [engine.begin(None) for _ in range(times)]


def _signed_in(engine: SessionEngine, times: int) -> Sequence[str]:
    return [engine.begin(customer_id()) for _ in range(times)]


def _idle(engine: SessionEngine, times: int) -> Sequence[str]:
    return [engine.begin(customer_id(), age=_AGO) for _ in range(times)]


LOAD = StoreFlow("load", "load")
CHANGE = StoreFlow("load and save", "change")
CREATE = StoreFlow("create", "create")
CYCLE = StoreFlow("cycle_key", "cycle", uses_up=True)
DELETE = StoreFlow("delete", "delete", uses_up=True)

UNUSED = RequestFlow("session not used", "unused", _one)
READ = RequestFlow("read", "{views}/read", _one)
READ_AND_CHANGE = RequestFlow("read and change", "{views}/change", _one)
FIRST_SAVE = RequestFlow("first save of a new session", "{views}/first", _none)
SIGN_IN_ANONYMOUS = RequestFlow("sign-in from an anonymous session", "sign-in", _anonymous)
SIGN_IN = RequestFlow("sign-in without a session", "sign-in", _none)
SIGN_OUT = RequestFlow("sign-out", "sign-out", _signed_in)
TOUCH = TouchFlow("touch (sliding)", "{views}/read", _idle)
ASYNC_READ = AsyncRequestFlow("ASGI request that reads", "{views}/aread", _one)

STORE_FLOWS: tuple[Flow, ...] = (LOAD, CHANGE, CREATE, CYCLE, DELETE)
REQUEST_FLOWS: tuple[Flow, ...] = (
    UNUSED, READ, READ_AND_CHANGE, FIRST_SAVE, SIGN_IN_ANONYMOUS, SIGN_IN, SIGN_OUT, TOUCH, ASYNC_READ,
)  # fmt: skip
ALL_FLOWS = (*STORE_FLOWS, *REQUEST_FLOWS)
