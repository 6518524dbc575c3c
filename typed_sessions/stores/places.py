"""Where deep pages of a long list begin. No database finds the 500,000th entry of an index but by counting up to it.

So the way there is gone once, in steps, and what stands at each step is remembered for a moment. A page then begins at
the last step before it, and costs what the first page does, plus less than one step.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db.models import Q, QuerySet

STEP = 10_000
"""Entries of an index that may be passed over for one page, in milliseconds. Pages before the first step are exact."""
LIFE = 60
"""Seconds after which the way is gone anew. Deep pages are off by as many sessions as come, move and end meanwhile."""


class Place(NamedTuple):
    """The last entry of a step, in the order of the list."""

    rank: int
    """How many entries there are up to it, and with it."""
    seen: int
    session_id: str


class Places:
    """Of the list of live sessions, by last use, of each database of the process.

    Threads may go the same way at the same time: what one remembers takes the place of what another has.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, tuple[Place, ...]]] = {}

    def page(self, live: QuerySet[Any], now: int, limit: int, offset: int) -> list[str]:
        """Ids of ``live`` sessions, the one last used first, without the first ``offset`` of them."""
        place = self._before(offset, live, now) if offset >= STEP else None
        if place:
            live = _behind(live, place)
            offset -= place.rank
        return list(_in_order(live).values_list("pk", flat=True)[offset : offset + limit])

    def left(self, alias: str, seen: int, session_id: str) -> None:
        """A session has ended: who ends one after the other and goes on from where they were must miss none."""
        begun, places = self._known.get(alias, (0, ()))
        if places:
            behind = [(place.seen, place.session_id) <= (seen, session_id) for place in places]
            pairs = zip(places, behind, strict=True)
            self._known[alias] = begun, tuple(place._replace(rank=place.rank - is_behind) for place, is_behind in pairs)

    def _before(self, offset: int, live: QuerySet[Any], now: int) -> Place | None:
        """The last place that is not beyond ``offset``, if the list is as long as a step."""
        begun, places = self._known.get(live.db, (now, ()))
        if not 0 <= now - begun < LIFE:
            begun, places = now, ()
        while (places[-1].rank if places else 0) + STEP <= offset:
            rest = _in_order(_behind(live, places[-1]) if places else live)
            found = list(rest.values_list("seen", "pk")[STEP - 1 : STEP])
            if not found:
                break
            places = (*places, Place((places[-1].rank if places else 0) + STEP, *found[0]))
        self._known[live.db] = begun, places
        return next((place for place in reversed(places) if place.rank <= offset), None)


def _in_order(live: QuerySet[Any]) -> QuerySet[Any]:
    return live.order_by("-seen", "-pk")


def _behind(live: QuerySet[Any], place: Place) -> QuerySet[Any]:
    # The first condition is where an index is entered, and the second one is for those used in the same second.
    return live.filter(Q(seen__lt=place.seen) | Q(pk__lt=place.session_id), seen__lte=place.seen)
