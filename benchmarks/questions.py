"""What is asked of very many sessions: pages of a list and of each filter, counts, statistics, a user, an address."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from typed_sessions import SessionMode, clock, live_sessions
from typed_sessions.stores.base import Store
from typed_sessions.stores.selection import EVERYTHING, Selection

PAGE = 50
FIRST_USER = 1000
SIGNED_IN = 10
"""One session in so many is a user's."""
EACH = 5
"""Sessions of a user."""
AT_ADDRESS = 4
"""Sessions that were first used at an address."""
_TIMES = 30
_ENDED = 200
_DAY = 86_400

Question = tuple[str, int, Callable[[], object]]
"""What it is called, how often it is asked, and how."""


def address(number: int) -> str:
    return f"2001:db8::{number >> 16:x}:{number & 0xFFFF:x}"


def questions(store: Callable[[], Store], sessions: int) -> Iterator[Question]:
    yield from _pages("", EVERYTHING, sessions)
    pages, chance = sessions // PAGE, random.Random(7)
    users, addresses = sessions // (SIGNED_IN * EACH), sessions // AT_ADDRESS
    doomed = iter([session.id for session in live_sessions.recent(_ENDED + 10, offset=PAGE)])
    yield "another page each time", _TIMES, lambda: live_sessions.recent(PAGE, chance.randrange(pages) * PAGE)
    yield f"the {EACH} of a user", _TIMES, lambda: live_sessions.for_user(FIRST_USER + chance.randrange(users))
    yield f"the {AT_ADDRESS} at an address", _TIMES, lambda: _at(store(), address(chance.randrange(addresses)))
    yield "statistics", _TIMES, live_sessions.statistics
    yield "history", _TIMES, live_sessions.history
    for name, selection in _filters().items():
        yield from _pages(f"{name}: ", selection, live_sessions.count(selection))
    yield "end one", _ENDED, lambda: live_sessions.end(next(doomed))


def _pages(name: str, selection: Selection, sessions: int) -> Iterator[Question]:
    """The count, and the first, the middle and the last page."""
    pages = max(sessions // PAGE, 1)
    middle, last = max(pages // 2 - 1, 0) * PAGE, (pages - 1) * PAGE
    yield f"{name}newest {PAGE}" if not name else f"{name}page 1", _TIMES, lambda: _page(selection, 0)
    yield f"{name}middle page", _TIMES, lambda: _page(selection, middle)
    yield f"{name}last page", _TIMES, lambda: _page(selection, last)
    yield f"{name}count", _TIMES, lambda: live_sessions.count(selection)


def _page(selection: Selection, offset: int) -> object:
    found = live_sessions.recent(PAGE, offset, selection)
    assert found, (selection, offset)
    return found


def _at(store: Store, address: str) -> object:
    found = store.load_many(store.at_address(address, clock.now(), PAGE))
    assert found, address
    return found


def _filters() -> dict[str, Selection]:
    """Those of the admin's page."""
    now = clock.now()
    return {
        "permanent": Selection(mode=SessionMode.PERM),
        "signed in": Selection(signed_in=True),
        "anonymous, temporary": Selection(mode=SessionMode.TEMP, signed_in=False),
        "used within an hour": Selection(since=now - 3600),
        "not used for a day": Selection(before=now - _DAY),
        "expiring within a week": Selection(by="expires", ascending=True, before=now + 7 * _DAY),
    }
