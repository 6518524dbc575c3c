"""What Django's list of objects asks of a queryset, answered by the store of the sessions, whichever that is.

No ``QuerySet``, so that what is not here fails at once instead of asking a table that is not there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Final, Literal, NamedTuple, overload

from django.conf import settings as django_settings
from django.core.exceptions import FieldError
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Q

from .. import clock, site, tokens
from ..exceptions import UnreadableRecord
from ..models import LiveSession
from ..stores.base import Store
from ..stores.record import Client, Record, Tombstone
from ..stores.selection import EVERYTHING, Selection
from .moments import aware
from .permissions import Viewer

LARGEST_SET: Final = 1000
"""Sessions of one user or address that are shown."""
LOOKED_AT: Final = 10_000
"""Sessions of one user or address that are looked at, to find those among them that are to be shown."""
ONE_PAGE: Final = 50
"""Up to so many are counted one by one, without those that are hidden."""
_PAGE: Final = 500
_KINDS: Final = {"pk": "id", "id": "id", "user": "user"}
"""What a query string may ask for, besides the filters."""


class Source(NamedTuple):
    """Where sessions are found by what they have, without a list of all."""

    kind: Literal["id", "user", "address"]
    value: str

    def has(self, record: Record) -> bool:
        if self.kind == "user":
            return record.user == self.value
        if self.kind == "address":
            client = record.client
            return client is not None and self.value in (client.address, client.last_address)
        return tokens.shown(record.id) == self.value

    def ids(self, store: Store, now: int) -> Sequence[str]:
        """Of a user or an address, by the store's index of them."""
        if self.kind == "user":
            return store.of_user(self.value, now)[:LOOKED_AT]
        return store.at_address(self.value, now, LOOKED_AT)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which sessions, and in which order."""

    selection: Selection = EVERYTHING
    sources: tuple[frozenset[Source], ...] = ()
    """From each of them; a session is from one if it has any of what that says."""
    now: int = dataclasses.field(default_factory=lambda: clock.now())

    @property
    def is_small(self) -> bool:
        """Whether all of them can be looked at."""
        return bool(self.sources)

    def has(self, record: Record) -> bool:
        return self.selection.chooses(record) and all(
            any(source.has(record) for source in sources) for sources in self.sources
        )


class SessionQuery:
    """The live sessions that ``viewer`` may see, in the order of the store."""

    model = LiveSession
    db = DEFAULT_DB_ALIAS
    ordered = totally_ordered = True
    verbose_name, verbose_name_plural = LiveSession._meta.verbose_name, LiveSession._meta.verbose_name_plural
    query = SimpleNamespace(order_by=(), select_related=True)
    """What the list of objects looks at: no order of its own, and nothing to join."""

    def __init__(
        self, viewer: Viewer, wanted: Wanted | None = None, window: slice | None = None, rows: _Rows | None = None
    ) -> None:
        self.viewer, self.wanted = viewer, wanted or Wanted()
        self._window = window
        self._rows = rows or _Rows()

    # What is asked for, which asks the store for nothing.

    def _clone(self) -> SessionQuery:
        return SessionQuery(self.viewer, self.wanted, self._window, self._rows)

    def all(self) -> SessionQuery:
        return self._clone()

    def using(self, alias: str) -> SessionQuery:
        return self._clone()

    def distinct(self) -> SessionQuery:
        return self._clone()

    def none(self) -> SessionQuery:
        return self.restricted(frozenset())

    def filter(self, *conditions: Q, **lookups: object) -> SessionQuery:
        """By id and user alone; raises ``FieldError`` for anything else, and ``ValueError`` for what can be no user."""
        found = self
        for sources in _sources(Q(*conditions, **lookups)):
            found = found.restricted(sources)
        return found

    def restricted(self, sources: frozenset[Source]) -> SessionQuery:
        """Those that have any of what ``sources`` say."""
        return self._changed(sources=(*self.wanted.sources, sources))

    def choose(self, **changes: Any) -> SessionQuery:
        """With these parts of the ``Selection`` changed."""
        return self._changed(selection=dataclasses.replace(self.wanted.selection, **changes))

    def order_by(self, *names: str) -> SessionQuery:
        """By the first of ``names`` that stores have an order of; others are no error, and change nothing."""
        chosen = self.wanted.selection
        for name in names:
            by = name.removeprefix("-")
            if by in ("seen", "expires") and (by == chosen.by or (chosen.since, chosen.before) == (None, None)):
                return self.choose(by=by, ascending=not name.startswith("-"))
        return self._clone()

    def _changed(self, **changes: Any) -> SessionQuery:
        return SessionQuery(self.viewer, dataclasses.replace(self.wanted, **changes))

    # What asks the store.

    def count(self) -> int:
        """Exact for a small set and for what fits on a page; else what the store counts."""
        if self._window is None and not self.wanted.is_small and self._rows.found is None:
            store = site.listing_store()
            counted = store.count(self.wanted.now, self.wanted.selection)
            if counted > ONE_PAGE:
                return counted
            self._rows.found = self._page(store, 0, ONE_PAGE)
        return len(self)

    def exists(self) -> bool:
        return self.count() > 0

    @property
    def is_cut(self) -> bool:
        """Whether there are more than are looked at, because so many have the same user or address."""
        if self.wanted.is_small:
            self._all()
        return self._rows.is_cut

    def get(self, *conditions: Q, **lookups: object) -> LiveSession:
        found = list(self.filter(*conditions, **lookups))
        if len(found) != 1:
            raise self.model.DoesNotExist if not found else self.model.MultipleObjectsReturned
        return found[0]

    def __len__(self) -> int:
        return len(self._all())

    def __bool__(self) -> bool:
        return bool(self._all())

    def __iter__(self) -> Iterator[LiveSession]:
        if self._window is None and not self.wanted.is_small and self._rows.found is None:
            return self._streamed()
        return iter(self._all())

    @overload
    def __getitem__(self, part: int) -> LiveSession: ...
    @overload
    def __getitem__(self, part: slice) -> SessionQuery | list[LiveSession]: ...
    def __getitem__(self, part: int | slice) -> LiveSession | SessionQuery | list[LiveSession]:
        is_loaded = self._window is not None or self._rows.found is not None or self.wanted.is_small
        if isinstance(part, int) or is_loaded or part.stop is None:
            return self._all()[part]
        return SessionQuery(self.viewer, self.wanted, part)

    def _all(self) -> list[LiveSession]:
        if self._rows.found is None:
            self._rows.found = list(self._loaded() if self._window or self.wanted.is_small else self._streamed())
        return self._rows.found

    def _loaded(self) -> list[LiveSession]:
        store, window = site.listing_store(), self._window
        if window is None:
            return self._small_set(store)
        start, stop = window.start or 0, window.stop
        return self._page(store, start, stop - start)

    def _streamed(self) -> Iterator[LiveSession]:
        """All of them, a part at a time, as there may be a million."""
        store, offset = site.listing_store(), 0
        while ids := store.newest(self.wanted.now, _PAGE, offset, self.wanted.selection):
            yield from rows_of(self._live(store, ids), self.viewer)
            offset += _PAGE

    def _page(self, store: Store, offset: int, limit: int) -> list[LiveSession]:
        ids = store.newest(self.wanted.now, limit, offset, self.wanted.selection)
        return rows_of(self._live(store, ids), self.viewer)

    def _small_set(self, store: Store) -> list[LiveSession]:
        """Those of the first of the sources, as far as they are of the others and of the selection too."""
        ids = self._candidates(store)
        records: list[Record] = []
        for begin in range(0, len(ids), _PAGE):
            records += self._live(store, ids[begin : begin + _PAGE])
            if len(records) >= LARGEST_SET:
                break
        self._rows.is_cut = len(records) >= LARGEST_SET or len(ids) >= LOOKED_AT
        by = self.wanted.selection.by
        records.sort(key=lambda record: (getattr(record, by), record.id), reverse=not self.wanted.selection.ascending)
        return rows_of(records[:LARGEST_SET], self.viewer)

    def _candidates(self, store: Store) -> list[str]:
        first = min(self.wanted.sources, key=lambda sources: any(source.kind != "id" for source in sources))
        found = dict.fromkeys(site.ids_of(source.value for source in first if source.kind == "id"))
        for source in sorted(source for source in first if source.kind != "id"):
            found.update(dict.fromkeys(source.ids(store, self.wanted.now)))
        return list(found)

    def _live(self, store: Store, ids: Sequence[str]) -> list[Record]:
        now = clock.now()
        # For a moment a record can stand in a list where it was before.
        return [each for each in store.load_many(ids) if each.is_live(now) and self.wanted.has(each)]


class _Rows:
    """What was loaded, for a query and its clones."""

    found: list[LiveSession] | None = None
    is_cut = False


def rows_of(records: Sequence[Record], viewer: Viewer) -> list[LiveSession]:
    """Those of ``records`` that ``viewer`` may see, each with its user; one statement for all of them."""
    people = site.users_of(record.user for record in records)
    rows = ((record, people.get(record.user or "")) for record in records)
    return [_row(record, person, viewer) for record, person in rows if viewer.may_see(person)]


def find(shown: str, viewer: Viewer) -> LiveSession | None:
    """The session with this id, also one that has expired or ended, or cannot be read; ``None`` if there is nothing, or
    nothing that ``viewer`` may see.
    """
    for session_id in site.ids_of([shown]):
        try:
            found = site.store().load(session_id)
        except UnreadableRecord as error:
            # Nobody can say whose it is.
            return _remains(shown, viewer, problem=str(error)) if viewer.is_superuser else None
        if isinstance(found, Record):
            return next(iter(rows_of([found], viewer)), None)
        if found is not None:
            return _remains(shown, viewer, tombstone=found)
    return None


def last_of(record: Record) -> tuple[str, str]:
    """Address and user agent of the last use."""
    client = record.client or Client()
    last = (client.last_address, client.last_agent)
    return last if any(last) else (client.address, client.agent)


def _row(record: Record, person: Any, viewer: Viewer) -> LiveSession:
    row = LiveSession(
        id=str(tokens.shown(record.id)),
        user=record.user,
        mode=record.mode.value,
        created=_moment(record.created),
        seen=_moment(record.seen),
        expires=_moment(record.expires),
    )
    return _dressed(row, viewer, record=record, person=person)


def _remains(shown: str, viewer: Viewer, *, tombstone: Tombstone | None = None, problem: str = "") -> LiveSession:
    return _dressed(LiveSession(id=shown), viewer, tombstone=tombstone, problem=problem)


def _dressed(
    row: LiveSession,
    viewer: Viewer,
    *,
    record: Record | None = None,
    person: Any = None,
    tombstone: Tombstone | None = None,
    problem: str = "",
) -> LiveSession:
    row.record, row.person, row.viewer = record, person, viewer
    row.tombstone, row.problem = tombstone, problem
    row._state.adding = False
    return row


def _moment(seconds: int) -> datetime:
    moment = aware(seconds)
    return moment if django_settings.USE_TZ else moment.astimezone().replace(tzinfo=None)


def _sources(condition: Q) -> Iterator[frozenset[Source]]:
    """What has to be so, one after the other."""
    if condition.negated:
        raise FieldError("Live sessions cannot be excluded.")
    children: list[Any] = condition.children
    parts = [list(_sources(part)) if isinstance(part, Q) else [_of_lookup(*part)] for part in children]
    if condition.connector == Q.AND:
        for part in parts:
            yield from part
    elif any(len(part) != 1 for part in parts):
        raise FieldError("Live sessions have either this or that, and no more.")
    else:
        yield frozenset(source for part in parts for source in part[0])


def _of_lookup(lookup: str, value: Any) -> frozenset[Source]:
    name, _, operator = lookup.partition("__")
    kind = _KINDS.get(name)
    if kind is None or operator not in ("", "exact", "in"):
        raise FieldError(f"Live sessions cannot be looked up by {lookup}.")
    values = value if operator == "in" else [value]
    if kind == "user":
        return frozenset(Source("user", _user_key(str(each))) for each in values)
    return frozenset(Source("id", str(each)) for each in values)


def _user_key(given: str) -> str:
    key = site.written_key(given)
    if key is None:
        raise ValueError("That is no primary key of a user.")
    return key
