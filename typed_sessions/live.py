"""``live_sessions``: the stored sessions from outside, by id and by user, without a request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from importlib import import_module
from math import ceil
from typing import Any, NamedTuple

from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model

from . import clock, hooks, telemetry
from .backends import patience, records
from .backends.base import SessionStore
from .backends.endings import ending, spreading
from .backends.facts import Facts
from .backends.reaping import Reaped
from .exceptions import StoreUnavailable, UnreadableRecord
from .flows import Flow, Step, adrive, drive
from .session import TypedSession, attach
from .states import EndReason, SessionStatus
from .stores.base import Conflict, Saved, Store
from .stores.record import Record
from .stores.selection import EVERYTHING, Selection
from .stores.statistics import INTERVAL, SAMPLES_LIFE, Sample, Statistics
from .tokens import is_well_formed

LARGEST_BATCH = 1000
"""Sessions that one statement or script can claim."""
_PAGE = 500


class LiveSessions:
    """The sessions of the project's engine. What is answered is typed, belongs to no request, and is not saved.

    ``user`` is a user or a primary key, and ids are those of ``typed_session.id``. The ``cache`` engine cannot list:
    what needs that raises ``NotImplementedError`` there. ``StoreUnavailable`` if the store does not answer, and
    Django's ``ValidationError`` for what can be no primary key of the user model.
    """

    def get(self, session_id: str) -> Any:
        """The session, or ``None`` if there is none, or none any more."""
        return drive(self._getting(session_id))

    async def aget(self, session_id: str) -> Any:
        return await adrive(self._getting(session_id))

    def for_user(self, user: object) -> list[Any]:
        """All sessions in which ``user`` is signed in, the last used first."""
        return drive(self._of_user(user))

    async def afor_user(self, user: object) -> list[Any]:
        return await adrive(self._of_user(user))

    def count_for(self, user: object) -> int:
        """In how many sessions ``user`` is signed in."""
        return drive(self._counting(user))

    async def acount_for(self, user: object) -> int:
        return await adrive(self._counting(user))

    def count(self, selection: Selection = EVERYTHING) -> int:
        """How many sessions are live, or how many of ``selection`` are."""
        return drive(self._counting_all(selection))

    async def acount(self, selection: Selection = EVERYTHING) -> int:
        return await adrive(self._counting_all(selection))

    def recent(self, limit: int = 50, offset: int = 0, selection: Selection = EVERYTHING) -> list[Any]:
        """The live sessions, the last used first: ``limit`` of them, without the first ``offset``.

        ``selection`` says which, and may say another order. What is deep in a list that moves is only nearly where it
        was. Raises ``ValueError`` for less than nothing.
        """
        return drive(self._listing(limit, offset, selection))

    async def arecent(self, limit: int = 50, offset: int = 0, selection: Selection = EVERYTHING) -> list[Any]:
        return await adrive(self._listing(limit, offset, selection))

    def statistics(self) -> Statistics:
        """How many sessions there are, and what has happened within the last hour, by all processes together.

        Whoever asks also takes a sample for ``history``, if one is due.
        """
        return drive(self._taking_statistics())

    async def astatistics(self) -> Statistics:
        return await adrive(self._taking_statistics())

    def history(self, since: datetime | None = None) -> list[Sample]:
        """How many sessions there were: a sample for every five minutes, of ``since`` or later, the earliest first.

        They are taken by the reaper, and by whoever asks for ``statistics``, and kept for seven days; where nobody did,
        there are none. Raises ``ValueError`` for a time without time zone.
        """
        return drive(self._telling_history(since))

    async def ahistory(self, since: datetime | None = None) -> list[Sample]:
        return await adrive(self._telling_history(since))

    def end(self, session_id: str, reason: EndReason = EndReason.ENDED_BY_USER) -> bool:
        """Ends a session at once. Whether there was one to end."""
        return drive(self._ending_one(session_id, reason))

    async def aend(self, session_id: str, reason: EndReason = EndReason.ENDED_BY_USER) -> bool:
        return await adrive(self._ending_one(session_id, reason))

    def end_for_user(self, user: object, keep: str | None = None, reason: EndReason = EndReason.ENDED_BY_USER) -> int:
        """Ends all sessions of ``user`` but the one with the id ``keep``. How many there were."""
        return drive(self._ending_all(user, keep, reason))

    async def aend_for_user(
        self, user: object, keep: str | None = None, reason: EndReason = EndReason.ENDED_BY_USER
    ) -> int:
        return await adrive(self._ending_all(user, keep, reason))

    def end_all(
        self,
        before: datetime | None = None,
        reason: EndReason = EndReason.ENDED_BY_STAFF,
        progress: Callable[[int], object] | None = None,
        *,
        selection: Selection = EVERYTHING,
        spare: Callable[[Record], bool] | None = None,
        limit: int | None = None,
    ) -> int:
        """Ends all sessions that began before ``before``, or all that there are; how many there were.

        For an incident, and for a store that was restored from a backup, in which sessions may be back that had ended
        (REQ-R19). ``progress`` is called with the number so far. Of ``selection`` alone, if that is said; those that
        ``spare`` says so of stay, and so do all that are left after ``limit``. Raises ``ValueError`` for a time without
        time zone.
        """
        return drive(self._ending_everything(before, reason, progress, _Target(selection, spare, limit)))

    async def aend_all(
        self,
        before: datetime | None = None,
        reason: EndReason = EndReason.ENDED_BY_STAFF,
        progress: Callable[[int], object] | None = None,
        *,
        selection: Selection = EVERYTHING,
        spare: Callable[[Record], bool] | None = None,
        limit: int | None = None,
    ) -> int:
        return await adrive(self._ending_everything(before, reason, progress, _Target(selection, spare, limit)))

    def reap(self, limit: int | None = None, lease: int = 60, batch: int = 200) -> Reaped:
        """Tells ``on_ended`` for the sessions that have expired, all or ``limit``, and removes what is left of them.

        For ``manage.py typed_sessions reap``, and for a task of your own, every minute or so. Any number may run at
        once: each claims ``batch`` sessions at a time for ``lease`` seconds, which is the time that it has to tell of
        them; what one leaves behind that has died is told by another, so that after a crash ``on_ended`` may be told
        twice for the batch that was under way.
        """
        return drive(self._reaping(limit, lease, batch))

    async def areap(self, limit: int | None = None, lease: int = 60, batch: int = 200) -> Reaped:
        return await adrive(self._reaping(limit, lease, batch))

    def update(self, session_id: str, change: Callable[[Any], object]) -> Any:
        """Calls ``change(session)``, saves what that has changed, and answers the session as it is then; ``None``, and
        no call, if there is none any more.

        For tasks, commands and whatever else runs outside the session's own request, or after its answer. If another
        request saves meanwhile, ``change`` is called again with the session as that one left it, so it should do
        nothing else. What it raises goes through, and nothing is saved. The session does not last longer for it.
        Raises ``SessionFieldError`` and ``SessionTooLarge`` as any save does.
        """
        return drive(self._updating(session_id, change))

    async def aupdate(self, session_id: str, change: Callable[[Any], object]) -> Any:
        """``update``, in which ``change`` may be a coroutine function."""
        return await adrive(self._updating(session_id, change))

    @property
    def can_list(self) -> bool:
        """Whether the project's engine is one of ours, and knows the sessions of a user."""
        engine = import_module(django_settings.SESSION_ENGINE).SessionStore
        return issubclass(engine, SessionStore) and engine().store.lists_sessions

    def _getting(self, session_id: str) -> Flow[TypedSession | None]:
        engine = _engine()
        if not is_well_formed(session_id):
            return None
        try:
            found = yield Step(engine.store.load, engine.store.aload, (session_id,))
        except UnreadableRecord:
            return None
        return _typed(engine, found) if _is_live(found) else None

    def _updating(self, session_id: str, change: Callable[[Any], object]) -> Flow[TypedSession | None]:
        engine = _engine()
        store, found = engine.store, None
        for pause in patience.tries(session_id):
            if pause:
                yield pause
            if found is None and is_well_formed(session_id):
                with suppress(UnreadableRecord):
                    found = yield Step(store.load, store.aload, (session_id,))
                    telemetry.counters.add("reads")
            if not (isinstance(found, Record) and found.is_live(clock.now())):
                return None
            copy = engine.copy_of(found)
            session = _attached(copy.session, found)
            yield Step(hooks.call, hooks.acall, (change, session))
            content = copy.content(None)
            if content is None:
                return session
            record = records.rewritten(found, content, clock.now())
            records.refuse_too_large(record, store.format)
            outcome = yield Step(store.save, store.asave, (record, found))
            if isinstance(outcome, Saved):
                telemetry.counters.add("writes")
                return _attached(session, record)
            telemetry.counters.add("conflicts", times=int(isinstance(outcome, Conflict)))
            found = outcome.record if isinstance(outcome, Conflict) else outcome.tombstone
        raise StoreUnavailable(f"Session {session_id}: for {patience.SECONDS} s other requests' saves came first")

    def _of_user(self, user: object) -> Flow[list[TypedSession]]:
        engine = _engine()
        store, key = engine.store, _key_of(user)
        ids = yield Step(store.of_user, store.aof_user, (key, clock.now()))
        found = yield from _loading(store, ids)
        # The index may be a moment behind, or know a record that has changed hands.
        own = [record for record in found if _is_live(record) and record.user == key]
        return [_typed(engine, record) for record in sorted(own, key=lambda record: -record.seen)]

    def _counting(self, user: object) -> Flow[int]:
        store = _engine().store
        return len((yield Step(store.of_user, store.aof_user, (_key_of(user), clock.now()))))

    def _reaping(self, limit: int | None, lease: int, batch: int) -> Flow[Reaped]:
        if batch < 1 or lease < 1 or (limit is not None and limit < 0):
            raise ValueError(f"batch and lease are 1 or more, and limit is 0 or more: {batch}, {lease}, {limit}.")
        engine = _engine()
        if engine.store.after_commit(_nothing):
            raise RuntimeError("Sessions are reaped outside of transactions, as what was told cannot be rolled back.")
        if not engine.store.lists_sessions:
            yield from self._counting_all(EVERYTHING)  # which says so
        reaped: Reaped = yield from engine.reap(limit, lease, min(batch, LARGEST_BATCH))
        yield from self._taking_statistics()
        return reaped

    def _counting_all(self, selection: Selection) -> Flow[int]:
        store = _engine().store
        counted: int = yield Step(store.count, store.acount, (clock.now(), selection))
        return counted

    def _taking_statistics(self) -> Flow[Statistics]:
        store, now = _engine().store, clock.now()
        live, signed_in = yield Step(store.count_by_user, store.acount_by_user, (now,))
        tally = yield Step(store.tally, store.atally, (now,))
        sample = Sample(now - now % INTERVAL, live, signed_in, tally.started)
        with suppress(StoreUnavailable):  # what takes no writes can still be read
            yield Step(store.keep_sample, store.akeep_sample, (sample,))
        return Statistics(live, signed_in, tally.started, tally.ended)

    def _telling_history(self, since: datetime | None) -> Flow[list[Sample]]:
        store, oldest = _engine().store, clock.now() - SAMPLES_LIFE
        if since is not None:
            oldest = max(oldest, ceil(_with_zone("since", since).timestamp()))
        return list((yield Step(store.samples, store.asamples, (oldest,))))

    def _listing(self, limit: int, offset: int, selection: Selection) -> Flow[list[TypedSession]]:
        if limit < 0 or offset < 0:
            raise ValueError(f"limit and offset count from 0, and are {limit} and {offset}.")
        engine = _engine()
        store, listed = engine.store, []
        for begin in range(offset, offset + limit, _PAGE):  # what is asked at once holds up everybody else's requests
            size = min(_PAGE, offset + limit - begin)
            ids = yield Step(store.newest, store.anewest, (clock.now(), size, begin, selection))
            listed += yield from _loading(store, ids)
            if len(ids) < size:
                break
        return [_typed(engine, record) for record in listed if _is_live(record)]

    def _ending(self, session_id: str, reason: EndReason, user: str | None = None) -> Flow[bool]:
        engine = _engine()
        if not is_well_formed(session_id):
            return False  # the names of other things in the store are none of sessions
        last = yield from ending(engine, session_id, reason, user)
        return _is_live(last)

    def _ending_one(self, session_id: str, reason: EndReason) -> Flow[bool]:
        has_ended = yield from self._ending(session_id, reason)
        if is_well_formed(session_id):
            yield from spreading(_engine().store, session_id)
        return has_ended

    def _ending_everything(
        self,
        before: datetime | None,
        reason: EndReason,
        progress: Callable[[int], object] | None,
        target: _Target,
    ) -> Flow[int]:
        began_before = clock.now() + 1 if before is None else ceil(_with_zone("before", before).timestamp())
        ended = 0
        while True:  # what is used meanwhile may move to pages that have been read
            found = passed_over = 0
            while target.left(ended + found):
                page, size = yield from self._page(target.order, passed_over)
                meant = 0
                for record in page:
                    if not target.left(ended + found):
                        break
                    if record.created < began_before and target.means(record):
                        meant += 1
                        found += yield from self._ending(record.id, reason, record.user)
                if meant:
                    yield from spreading(_engine().store, page[-1].id)
                    if progress is not None:
                        progress(ended + found)
                passed_over += size - meant
                if not size:
                    break
            ended += found
            if not found or not target.left(ended):
                return ended

    def _page(self, selection: Selection, offset: int) -> Flow[tuple[Sequence[Record], int]]:
        """Records of a page, and how many entries the page has."""
        store = _engine().store
        ids = yield Step(store.newest, store.anewest, (clock.now(), _PAGE, offset, selection))
        return (yield Step(store.load_many, store.aload_many, (ids,))), len(ids)

    def _ending_all(self, user: object, keep: str | None, reason: EndReason) -> Flow[int]:
        store, key = _engine().store, _key_of(user)
        ids = yield Step(store.of_user, store.aof_user, (key, clock.now()))
        ended = 0
        for session_id in ids:
            if session_id != keep:
                ended += yield from self._ending(session_id, reason, key)
        for session_id in ids[-1:]:
            yield from spreading(store, session_id)
        return ended


class _Target(NamedTuple):
    """Which sessions are to end, but for when they began."""

    selection: Selection
    spare: Callable[[Record], bool] | None
    limit: int | None

    @property
    def order(self) -> Selection:
        """By expiry, where nothing stands that has expired already; what is used meanwhile moves to pages to come."""
        is_of_a_span = (self.selection.since, self.selection.before) != (None, None)
        return self.selection if is_of_a_span else replace(self.selection, by="expires", ascending=True)

    def means(self, record: Record) -> bool:
        """A list may be a moment behind, so that the record itself is asked."""
        return self.selection.chooses(record) and not (self.spare and self.spare(record))

    def left(self, ended: int) -> bool:
        """Whether more may end."""
        return self.limit is None or ended < self.limit


live_sessions = LiveSessions()


def _with_zone(name: str, moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{name} needs a time zone, as timezone.now() has one, and is {moment!r}.")
    return moment


def _nothing() -> None:
    """Whether it is left for later tells whether there is a transaction."""


def _engine() -> SessionStore:
    engine = import_module(django_settings.SESSION_ENGINE).SessionStore()
    if not isinstance(engine, SessionStore):
        raise ImproperlyConfigured(
            f"live_sessions needs an engine of typed_sessions.backends, and SESSION_ENGINE is "
            f"{django_settings.SESSION_ENGINE!r}."
        )
    return engine


def _loading(store: Store, ids: Sequence[str]) -> Flow[list[Record]]:
    """The records of ``ids``, a page at a time."""
    found: list[Record] = []
    for begin in range(0, len(ids), _PAGE):
        found += yield Step(store.load_many, store.aload_many, (ids[begin : begin + _PAGE],))
    return found


def _typed(engine: SessionStore, record: Record) -> TypedSession:
    return _attached(engine.copy_of(record).session, record)


def _attached(session: TypedSession, record: Record) -> TypedSession:
    facts = Facts()
    facts.record, facts.status = record, SessionStatus.LIVE
    attach(session, facts)
    return session


def _is_live(found: object) -> bool:
    return isinstance(found, Record) and found.is_live(clock.now())


def _key_of(user: object) -> str:
    """The primary key as records have it, which is how Django's auth keys have it (REQ-S60)."""
    model: Any = get_user_model()
    if isinstance(user, Model) and not isinstance(user, model):
        raise TypeError(f"A {model.__name__} or the primary key of one is wanted, and this is a {type(user).__name__}.")
    # A UUID, for one, may be written in many ways.
    owner: Any = user if isinstance(user, Model) else model(pk=model._meta.pk.to_python(user))
    if owner.pk is None or owner.pk == "":
        raise ValueError("A user who is stored, or the primary key of one, is wanted, and this is nobody.")
    return str(owner._meta.pk.value_to_string(owner))
