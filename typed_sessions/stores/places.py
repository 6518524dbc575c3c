"""Where deep pages of a long list begin. No database finds the 500,000th entry of an index but by counting up to it.

So the way there is gone once, in steps, and what stands at each step is remembered for a moment. A page then begins at
the last step before it, and costs what the first page does, plus less than one step.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db.models import Q, QuerySet

from .record import Record
from .selection import Selection

STEP = 10_000
"""Entries of an index that may be passed over for one page, in milliseconds. Pages before the first step are exact."""
LIFE = 60
"""Seconds after which the way is gone anew. Deep pages are off by as many sessions as come, move and end meanwhile."""
_LISTS = 32
"""Lists whose places are remembered at once."""


class Place(NamedTuple):
    """The last entry of a step, in the order of the list."""

    rank: int
    """How many entries there are up to it, and with it."""
    moment: int
    """When it was last used, or expires, whichever the list is ordered by."""
    session_id: str


class _Way(NamedTuple):
    begun: int
    places: tuple[Place, ...] = ()


class Places:
    """Of the lists of live sessions, of each database and selection.

    Threads may go the same way at the same time: what one remembers takes the place of what another has.
    """

    def __init__(self) -> None:
        self._ways: dict[tuple[str, Selection], _Way] = {}

    def page(self, live: QuerySet[Any], selection: Selection, now: int, limit: int, offset: int) -> list[str]:
        """Ids of ``live`` sessions, which are those of ``selection``, in its order, without the first ``offset``."""
        place = self._before(offset, live, selection, now) if offset >= STEP else None
        if place:
            live = _behind(live, selection, place)
            offset -= place.rank
        return list(_in_order(live, selection).values_list("pk", flat=True)[offset : offset + limit])

    def left(self, alias: str, record: Record) -> None:
        """A session has ended: who ends one after the other and goes on from where they were must miss none."""
        for (database, selection), way in list(self._ways.items()):
            if database == alias and way.places and selection.chooses(record):
                places = (place._replace(rank=place.rank - _is_in(place, record, selection)) for place in way.places)
                self._ways[database, selection] = way._replace(places=tuple(places))

    def _before(self, offset: int, live: QuerySet[Any], selection: Selection, now: int) -> Place | None:
        """The last place that is not beyond ``offset``, if the list is as long as a step."""
        way = self._ways.get((live.db, selection), _Way(now))
        if not 0 <= now - way.begun < LIFE:
            way = _Way(now)
        places = way.places
        while (places[-1].rank if places else 0) + STEP <= offset:
            rest = _in_order(_behind(live, selection, places[-1]) if places else live, selection)
            found = list(rest.values_list(selection.by, "pk")[STEP - 1 : STEP])
            if not found:
                break
            places = (*places, Place((places[-1].rank if places else 0) + STEP, *found[0]))
        self._remember(live.db, selection, way._replace(places=places))
        return next((place for place in reversed(places) if place.rank <= offset), None)

    def _remember(self, alias: str, selection: Selection, way: _Way) -> None:
        self._ways.pop((alias, selection), None)
        for oldest in list(self._ways)[: max(0, len(self._ways) - _LISTS + 1)]:
            self._ways.pop(oldest, None)  # another thread may have been first
        self._ways[alias, selection] = way


def _in_order(live: QuerySet[Any], selection: Selection) -> QuerySet[Any]:
    sign = "" if selection.ascending else "-"
    return live.order_by(f"{sign}{selection.by}", f"{sign}pk")


def _behind(live: QuerySet[Any], selection: Selection, place: Place) -> QuerySet[Any]:
    # The one with the equals sign is where an index is entered, the others are for those of the same second.
    side = "gt" if selection.ascending else "lt"
    later = Q(**{f"{selection.by}__{side}": place.moment}) | Q(**{f"pk__{side}": place.session_id})
    return live.filter(later, **{f"{selection.by}__{side}e": place.moment})


def _is_in(place: Place, record: Record, selection: Selection) -> bool:
    """Whether ``record`` stood before ``place`` in the list, or at it."""
    entry = (record.seen if selection.by == "seen" else record.expires, record.id)
    mark = (place.moment, place.session_id)
    return entry <= mark if selection.ascending else mark <= entry
