"""Counts of very many sessions, remembered for a moment: a database counts by going through an index.

A page that refreshes by itself would have it go through a million entries every few seconds, for each who has it open.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .record import Record
from .selection import EVERYTHING, Selection

LARGE = 100_000
"""Sessions from which on a count is remembered. Fewer are counted each time."""
LIFE = 10
"""Seconds for which it is."""
_LISTS = 32
"""Lists whose counts are remembered at once."""


class Count(NamedTuple):
    """Of the sessions of a list."""

    taken: int
    live: int
    signed_in: int | None = None
    """How many of them have a user, where that was asked too."""


class Counts:
    """Of the lists of live sessions, of each database and selection. What this process ends is taken off."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Selection], Count] = {}

    def live(self, alias: str, selection: Selection, now: int, ask: Callable[[], int]) -> int:
        """How many there are, by ``ask`` if that is not known."""
        known = self._fresh(alias, selection, now)
        return known.live if known else self._kept(alias, selection, Count(now, ask())).live

    def by_user(self, alias: str, now: int, ask: Callable[[], tuple[int, int]]) -> tuple[int, int]:
        """Of all how many there are, and in how many of them somebody is signed in."""
        known = self._fresh(alias, EVERYTHING, now)
        if known is None or known.signed_in is None:
            known = self._kept(alias, EVERYTHING, Count(now, *ask()))
        assert known.signed_in is not None
        return known.live, known.signed_in

    def left(self, alias: str, record: Record) -> None:
        """``record`` has ended."""
        for (database, selection), known in list(self._known.items()):
            if database == alias and selection.chooses(record):
                signed_in = None if known.signed_in is None else known.signed_in - (record.user is not None)
                self._known[database, selection] = known._replace(live=known.live - 1, signed_in=signed_in)

    def _fresh(self, alias: str, selection: Selection, now: int) -> Count | None:
        known = self._known.get((alias, selection))
        return known if known and 0 <= now - known.taken < LIFE else None

    def _kept(self, alias: str, selection: Selection, count: Count) -> Count:
        self._known.pop((alias, selection), None)
        if count.live >= LARGE:
            for oldest in list(self._known)[: max(0, len(self._known) - _LISTS + 1)]:
                self._known.pop(oldest, None)  # another thread may have been first
            self._known[alias, selection] = count
        return count
