"""The same requests at once on every engine: what is kept of what they change, and what is back after a sign-out."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.db import connections

from . import pages
from .engines import DjangoEngine, OurEngine, SessionEngine
from .moments import between

_VIEW = 0.005
"""Seconds that a view takes between reading the session and saving it."""
_AGO = 600
"""Seconds since the last use of a session whose idle timeout is to slide."""

_UNAVAILABLE = 503


@dataclass(frozen=True)
class Crowd:
    """How many come at once."""

    workers: int = 50
    times: int = 20
    """Requests of each worker, one after the other."""
    keys: int = 64
    """Workers that set a key of their own."""


QUICK = Crowd(workers=8, times=4, keys=8)


@dataclass(frozen=True)
class Meetings:
    """What became of the session of one engine."""

    increments: int
    """There in the end."""
    refused: int
    """Increments whose request was told that it failed."""
    keys: int
    """There in the end, after every worker had read the session before any saved it."""
    nested: bool
    """Whether a change within a list was stored, though nothing was said of it."""
    back_by_save: int
    """Moments of a request that changes the session, at which a sign-out does not last."""
    save_moments: int
    back_by_touch: int
    """Likewise, of a request that only makes the session last longer."""
    touch_moments: int


def engines() -> list[SessionEngine]:
    return [
        *(OurEngine(name, name) for name in ("redis", "cache", "cached_db", "db")),
        *(DjangoEngine(f"Django {name}", name) for name in ("cache", "cached_db", "db")),
    ]


def meet(engine: SessionEngine, crowd: Crowd) -> Meetings:
    """On the servers that the settings name."""
    pages.customer()
    with engine.in_force():
        increments, refused = _increments(engine, crowd)
        keys = _keys(engine, crowd)
        nested = _nested(engine)
        by_save, save_moments = _back(engine, f"{engine.views}/visit", age=0)
    touching: dict[str, Any] = {} if isinstance(engine, OurEngine) else {"SESSION_SAVE_EVERY_REQUEST": True}
    with engine.in_force(**touching):
        by_touch, touch_moments = _back(engine, f"{engine.views}/read", age=_AGO)
    return Meetings(increments, refused, keys, nested, by_save, save_moments, by_touch, touch_moments)


def _increments(engine: SessionEngine, crowd: Crowd) -> tuple[int, int]:
    key, site = engine.begin(None), engine.pages

    def visit(_: int) -> Counter[int]:
        return Counter(site.status(f"{engine.views}/visit", key) for _ in range(crowd.times))

    with _meeting(lambda: time.sleep(_VIEW)):
        answers = sum(_at_once(visit, crowd.workers), Counter[int]())
    return engine.value(key, "visits"), answers.total() - answers[200]


def _keys(engine: SessionEngine, crowd: Crowd) -> int:
    key, site = engine.begin(None), engine.pages
    barrier = threading.Barrier(crowd.keys)
    with _meeting(lambda: barrier.wait(60)):
        _at_once(lambda number: site.status(f"own/{number}", key), crowd.keys)
    found = engine.store(key)
    return sum(f"own {number}" in found for number in range(crowd.keys))


def _nested(engine: SessionEngine) -> bool:
    key = engine.begin(None)
    before = _quantity(engine, key)
    engine.pages.get(f"{engine.views}/nested", key)
    return _quantity(engine, key) > before


def _quantity(engine: SessionEngine, key: str) -> int:
    item = engine.value(key, "cart")[0]
    quantity: int = item["quantity"] if isinstance(item, dict) else item.quantity
    return quantity


def _back(engine: SessionEngine, page: str, age: int) -> tuple[int, int]:
    """At how many moments of a request to ``page`` a sign-out does not last, and how many moments there are."""
    back = moment = 0
    while True:
        key = engine.begin(pages.customer_id(), age=age)
        ask, sign_out = partial(engine.pages.status, page, key), partial(engine.pages.status, "sign-out", key)
        answer = between(moment + 1, ask, sign_out)
        if answer is None:
            return back, moment
        if answer == _UNAVAILABLE:  # our cache engine does one thing after the other: the visitor asks again
            engine.pages.get("sign-out", key)
        moment += 1
        back += engine.store(key).get(SESSION_KEY) is not None


@contextmanager
def _meeting(what: Callable[[], object]) -> Iterator[None]:
    pages.meetings.append(what)
    try:
        yield
    finally:
        pages.meetings.remove(what)


def _at_once(call: Callable[[int], Any], workers: int) -> list[Any]:
    """What as many threads answer, each given its number; they begin together."""
    barrier = threading.Barrier(workers)

    def run(number: int) -> Any:
        try:
            barrier.wait(60)
            return call(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(workers) as threads:
        return list(threads.map(run, range(workers)))


def table(found: dict[str, Meetings], crowd: Crowd) -> tuple[list[str], list[list[str]]]:
    """Head and rows."""
    head = [
        "engine",
        f"{crowd.workers} x {crowd.times} increments",
        "refused",
        f"{crowd.keys} own keys",
        "nested change",
        "signed in again by a save",
        "by a touch",
    ]
    rows = [
        [
            name,
            f"{each.increments} of {crowd.workers * crowd.times}",
            str(each.refused),
            f"{each.keys} of {crowd.keys}",
            "kept" if each.nested else "lost",
            f"{each.back_by_save} of {each.save_moments}",
            f"{each.back_by_touch} of {each.touch_moments}",
        ]
        for name, each in found.items()
    ]
    return head, rows
