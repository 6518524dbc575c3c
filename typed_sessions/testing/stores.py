"""The contract of a store, as tests for pytest. A store that passes them can back an engine.

Subclass ``StoreContract`` with a fixture ``store`` that gives the store, empty::

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self) -> Store:
            return MyStore()

For a store that keeps each record as one encoded value, subclass ``ValueStoreContract``, which asks for a fixture
``plant`` too. Every test runs on the verbs and on their async twins. A store in the database needs ``django_db``.
"""

from __future__ import annotations

import asyncio
import secrets
import weakref
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import cycle, product
from typing import Any, TypeVar

import msgspec
import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.test import override_settings

from .. import clock
from ..exceptions import UnreadableRecord
from ..formats import JSON, Format
from ..states import EndReason, SessionMode
from ..stores import wire
from ..stores.base import Claim, Conflict, Gone, Outcome, Overdue, Saved, Store
from ..stores.record import (
    FORMAT,
    GRACE,
    LINGER,
    LONGEST_ADDRESS,
    TOMBSTONE_LIFE,
    Client,
    Lease,
    Record,
    Tombstone,
    new_nonce,
)
from ..stores.selection import EVERYTHING, Selection
from ..stores.statistics import INTERVAL, RECENT, SAMPLES_LIFE, Sample, Tally

T = TypeVar("T")

Plant = Callable[[str, bytes], None]
"""Puts bytes where the record of a session id would be."""

DAY = 86_400
CODECS = ("json", "msgpack")
LEASE = 60
LONG_OVER = GRACE + 60
"""Seconds; whoever held the session in time has saved it by now."""
FULL_HOUR = 1_800_000_000
RELEASED = 1_767_225_600
"""2026-01-01: no clock that is set is before this."""


# To make records with


def new_id() -> str:
    return secrets.token_hex(20)


def new_record(store: Store, **changes: Any) -> Record:
    """A record as the engine would give it to ``store``: of a session that begins now and is used for two weeks."""
    now = clock.now()
    values: dict[str, Any] = {
        "format": FORMAT,
        "seen": now,
        "expires": now + 14 * DAY,
        "revision": 1,
        "nonce": new_nonce(),
        "id": new_id(),
        "mode": SessionMode.TEMP,
        "type": "AuthUserSession",
        "schema": 1,
        "created": now,
        "modified": now,
        "data": fields(store.format, currency="EUR", cart=[{"sku": "tea", "quantity": 2}]),
        "bag": fields(store.format),
    }
    return Record(**{**values, **changes})


def full_record(store: Store, **changes: Any) -> Record:
    """A record with every part that may be missing in others."""
    now = clock.now()
    client = Client(address="192.0.2.7", agent="Browser/1 “β”", last_address="2001:db8::7", last_agent="Browser/2")
    extra = {"user": "7", "authenticated": now - 60, "until": now + 90 * DAY, "mode": SessionMode.PERM}
    return new_record(store, **{**extra, "client": client, "bag": fields(store.format, _auth_user_id="7"), **changes})


def fields(format: Format, **values: Any) -> msgspec.Raw:
    """A map of fields, or a bag, as a record holds it."""
    return msgspec.Raw(format.dumps(values))


def next_save(base: Record, **changes: Any) -> Record:
    """What a request that read ``base`` would save."""
    return msgspec.structs.replace(base, **{"revision": base.revision + 1, "nonce": new_nonce(), **changes})


def successor(base: Record, **changes: Any) -> Record:
    """What a rotation of ``base`` would store under a new id."""
    return msgspec.structs.replace(base, **{"id": new_id(), "revision": 1, "nonce": new_nonce(), **changes})


# To read answers with


def created(store: Store, record: Record) -> Record:
    assert store.create(record) is True
    return record


def saved(outcome: Outcome) -> Record:
    assert isinstance(outcome, Saved), outcome
    return outcome.record


def conflicting(outcome: Outcome) -> Record:
    assert isinstance(outcome, Conflict), outcome
    return outcome.record


def gone(outcome: Outcome) -> EndReason | None:
    """Why it is gone, if that is known."""
    assert isinstance(outcome, Gone), outcome
    return outcome.tombstone.reason if outcome.tombstone else None


def claimed(found: Overdue) -> dict[str, Claim]:
    """The claims by the ids of their sessions, of which each has one at most."""
    claims = {claim.session_id: claim for claim in found.claims}
    assert len(claims) == len(found.claims), found
    return claims


def nothing(found: Overdue) -> bool:
    return not found.claims and not found.missed and found.is_all


def buried(store: Store, session_id: str) -> EndReason:
    """Why a session ended that has left a tombstone."""
    there = store.load(session_id)
    assert isinstance(there, Tombstone), there
    return there.reason


class AsyncVerbs(Store):
    """The async twins of a store's verbs, for callers that cannot wait: so both kinds run through the same tests.

    Twins that do their own input and output share one event loop. Those that are the verbs in a thread run in the
    caller's thread, and so in its database transaction.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.lists_sessions = store.lists_sessions
        self._loop = asyncio.new_event_loop()
        self._is_threaded = type(store).aload is Store.aload
        weakref.finalize(self, self._loop.close)

    def _ask(self, verb: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        if self._is_threaded:
            return async_to_sync(verb)(*args)
        return self._loop.run_until_complete(verb(*args))

    @property
    def format(self) -> Format:
        return self._store.format

    def load(self, session_id: str) -> Record | Tombstone | None:
        return self._ask(self._store.aload, session_id)

    def create(self, record: Record) -> bool:
        return self._ask(self._store.acreate, record)

    def save(self, record: Record, base: Record) -> Outcome:
        return self._ask(self._store.asave, record, base)

    def touch(self, record: Record, seen: int, expires: int) -> bool:
        return self._ask(self._store.atouch, record, seen, expires)

    def replace(self, record: Record, base: Record) -> Outcome:
        return self._ask(self._store.areplace, record, base)

    def end(self, session_id: str, reason: EndReason, now: int, user: str | None = None) -> Record | None:
        return self._ask(self._store.aend, session_id, reason, now, user)

    def clear_expired(self, now: int) -> int:
        return self._ask(self._store.aclear_expired, now)

    def claim_overdue(self, now: int, limit: int, lease: int) -> Overdue:
        return self._ask(self._store.aclaim_overdue, now, limit, lease)

    def settle(self, claims: Sequence[Claim], now: int) -> None:
        self._ask(self._store.asettle, claims, now)

    def time(self) -> int | None:
        return self._ask(self._store.atime)

    def newest(self, now: int, limit: int, offset: int = 0, selection: Selection = EVERYTHING) -> Sequence[str]:
        return self._ask(self._store.anewest, now, limit, offset, selection)

    def load_many(self, session_ids: Sequence[str]) -> Sequence[Record]:
        return self._ask(self._store.aload_many, session_ids)

    def of_user(self, user: str, now: int) -> Sequence[str]:
        return self._ask(self._store.aof_user, user, now)

    def at_address(self, address: str, now: int, limit: int) -> Sequence[str]:
        return self._ask(self._store.aat_address, address, now, limit)

    def count(self, now: int, selection: Selection = EVERYTHING) -> int:
        return self._ask(self._store.acount, now, selection)

    def count_by_user(self, now: int) -> tuple[int, int]:
        return self._ask(self._store.acount_by_user, now)

    def tally(self, now: int) -> Tally:
        return self._ask(self._store.atally, now)

    def keep_sample(self, sample: Sample) -> bool:
        return self._ask(self._store.akeep_sample, sample)

    def samples(self, since: int) -> Sequence[Sample]:
        return self._ask(self._store.asamples, since)


class StoreContract:
    """Every verb and every answer, each verb repeated as if its reply had been lost, and two requests at once."""

    @pytest.fixture(params=["sync", "async"])
    def verbs(self, request: pytest.FixtureRequest, store: Store) -> Store:
        """The store under test, by its verbs or by their async twins."""
        return store if request.param == "sync" else AsyncVerbs(store)

    # load

    def test_unknown_id_is_nothing(self, verbs: Store) -> None:
        """There is nothing under an id that was never stored."""
        assert verbs.load(new_id()) is None

    def test_record_is_read_as_it_was_stored(self, verbs: Store) -> None:
        """Every part of a record comes back, and so does the lack of one."""
        for record in (created(verbs, new_record(verbs)), created(verbs, full_record(verbs))):
            assert verbs.load(record.id) == record

    def test_large_record_is_read_as_it_was_stored(self, verbs: Store) -> None:
        """A record of the size that MAX_BYTES allows by default comes back whole, in any script."""
        record = new_record(verbs, data=fields(verbs.format, note="Grüße, 世界 \x00 " * 2500, Straße=1))
        assert verbs.load(created(verbs, record).id) == record

    def test_overdue_record_is_still_there(self, verbs: Store) -> None:
        """Within the grace, whoever ends a session can tell its last state; it is for the reader to call it expired."""
        record = created(verbs, new_record(verbs, expires=clock.now() - 10))
        assert verbs.load(record.id) == record

    # load_many

    def test_records_come_in_the_order_of_their_ids(self, verbs: Store) -> None:
        """Many records are read as each would be, in the order in which they are asked for, overdue ones too."""
        plain, full = created(verbs, new_record(verbs)), created(verbs, full_record(verbs))
        overdue = created(verbs, new_record(verbs, expires=clock.now() - 10))
        for records in ([plain, full, overdue], [overdue, plain], [full], []):
            assert list(verbs.load_many([record.id for record in records])) == records

    def test_what_is_gone_is_left_out(self, verbs: Store) -> None:
        """Among many ids, those that were never stored, and those of sessions that ended, are passed over."""
        first, last = created(verbs, new_record(verbs)), created(verbs, new_record(verbs))
        ended = created(verbs, new_record(verbs))
        verbs.end(ended.id, EndReason.LOGGED_OUT, clock.now())
        assert list(verbs.load_many([new_id(), first.id, ended.id, new_id(), last.id])) == [first, last]
        assert list(verbs.load_many([new_id(), ended.id])) == []

    def test_many_records_are_read(self, verbs: Store) -> None:
        """A list as long as a page of an admin is answered whole."""
        records = [created(verbs, new_record(verbs)) for _ in range(100)]
        assert list(verbs.load_many([record.id for record in records])) == records

    # create

    def test_repeated_create_is_done(self, verbs: Store) -> None:
        """A create whose reply was lost knows its own record."""
        record = created(verbs, new_record(verbs))
        assert verbs.create(record) is True
        assert verbs.load(record.id) == record

    def test_id_of_another_is_taken(self, verbs: Store) -> None:
        """A create never overwrites the record of another."""
        first = created(verbs, new_record(verbs))
        assert verbs.create(new_record(verbs, id=first.id)) is False
        assert verbs.load(first.id) == first

    def test_id_of_an_ended_session_is_taken(self, verbs: Store) -> None:
        """A create does not bring an ended session back, not even the one that it created itself."""
        record = created(verbs, new_record(verbs))
        verbs.end(record.id, EndReason.LOGGED_OUT, clock.now())
        assert verbs.create(record) is False
        assert buried(verbs, record.id) is EndReason.LOGGED_OUT

    # save

    def test_save_takes_the_place_of_its_base(self, verbs: Store) -> None:
        """What was saved last is read."""
        base = created(verbs, new_record(verbs))
        for step in range(3):
            record = next_save(base, bag=fields(verbs.format, step=step), expires=base.expires - 60)
            assert saved(verbs.save(record, base)) == record
            assert verbs.load(base.id) == record
            base = record

    def test_repeated_save_is_saved(self, verbs: Store) -> None:
        """A save whose reply was lost finds itself, not a conflict (REQ-R30)."""
        base = created(verbs, new_record(verbs))
        record = next_save(base)
        for _ in range(3):
            assert saved(verbs.save(record, base)) == record
        assert verbs.load(base.id) == record

    def test_r26_second_save_of_one_base_is_told_of_the_first(self, verbs: Store) -> None:
        """Of two saves with the same base the second changes nothing, and gets the first one's record to merge with."""
        base = created(verbs, full_record(verbs))
        mine, theirs = next_save(base), next_save(base, bag=fields(verbs.format, theirs=1))
        verbs.save(theirs, base)
        assert conflicting(verbs.save(mine, base)) == theirs
        assert verbs.load(base.id) == theirs
        assert saved(verbs.save(next_save(theirs), theirs)).revision == 3

    def test_repeated_save_is_a_conflict_once_another_has_saved(self, verbs: Store) -> None:
        """A save that has been saved over does not claim to be what is stored."""
        base = created(verbs, new_record(verbs))
        mine = saved(verbs.save(next_save(base), base))
        theirs = saved(verbs.save(next_save(mine), mine))
        assert conflicting(verbs.save(mine, base)) == theirs
        assert verbs.load(base.id) == theirs

    def test_r22_save_never_creates(self, verbs: Store) -> None:
        """A save of a record that is not there is gone, and leaves nothing behind."""
        base = new_record(verbs)
        assert gone(verbs.save(next_save(base), base)) is None
        assert verbs.load(base.id) is None

    def test_r22_save_never_brings_an_ended_session_back(self, verbs: Store) -> None:
        """A save in flight while its session ends is told why it is gone."""
        base = created(verbs, new_record(verbs))
        verbs.end(base.id, EndReason.ENDED_BY_STAFF, clock.now())
        assert gone(verbs.save(next_save(base), base)) is EndReason.ENDED_BY_STAFF
        assert buried(verbs, base.id) is EndReason.ENDED_BY_STAFF

    # touch

    def test_touch_moves_the_clocks_and_nothing_else(self, verbs: Store) -> None:
        """Last use and expiry go forward, once and again, and all else stays as it was (REQ-R24)."""
        record = created(verbs, full_record(verbs))
        for later in (0, 60, 60, 3600):
            seen, expires = record.seen + later, record.expires + later
            assert verbs.touch(record, seen, expires) is True
            assert verbs.load(record.id) == msgspec.structs.replace(record, seen=seen, expires=expires)

    @pytest.mark.parametrize(("seen", "expires"), [(-60, -60), (60, -60), (-60, 60)])
    def test_touch_never_moves_a_clock_back(self, verbs: Store, seen: int, expires: int) -> None:
        """A touch that comes late leaves the clocks of the one that overtook it, each by itself."""
        record = created(verbs, new_record(verbs))
        assert verbs.touch(record, record.seen + seen, record.expires + expires) is True
        there = verbs.load(record.id)
        assert isinstance(there, Record)
        assert (there.seen, there.expires) == (record.seen + max(seen, 0), record.expires + max(expires, 0))

    def test_r24_touch_keeps_what_another_has_saved(self, verbs: Store) -> None:
        """A touch by a request that read an older state writes none of it."""
        old = created(verbs, new_record(verbs))
        new = saved(verbs.save(next_save(old, bag=fields(verbs.format, theirs=1)), old))
        assert verbs.touch(old, old.seen + 60, old.expires + 60) is True
        assert verbs.load(old.id) == msgspec.structs.replace(new, seen=old.seen + 60, expires=old.expires + 60)

    def test_save_after_a_touch_is_no_conflict(self, verbs: Store) -> None:
        """A touch by another request does not make a save merge."""
        base = created(verbs, new_record(verbs))
        verbs.touch(base, base.seen + 60, base.expires + 60)
        assert saved(verbs.save(next_save(base), base)).revision == 2

    def test_r23_touch_never_creates(self, verbs: Store) -> None:
        """A touch of nothing, or of what has ended, says so and brings nothing back."""
        unknown, ended = new_record(verbs), created(verbs, new_record(verbs))
        verbs.end(ended.id, EndReason.LOGGED_OUT, clock.now())
        for record in (unknown, ended):
            assert verbs.touch(record, record.seen + 60, record.expires + 60) is False
        assert verbs.load(unknown.id) is None
        assert buried(verbs, ended.id) is EndReason.LOGGED_OUT

    # The lease of a request that has the session for itself

    def test_lease_is_a_part_of_the_record(self, verbs: Store) -> None:
        """A lease is kept as it was saved, over a touch and until a save without it; a store does nothing about it."""
        base = created(verbs, full_record(verbs))
        lease = Lease(holder="0123456789abcdef", until=clock.now() - 60)
        for held in (lease, msgspec.structs.replace(lease, until=clock.now() + 60), None):
            record = saved(verbs.save(next_save(base, lease=held), base))
            verbs.touch(record, record.seen + 60, record.expires + 60)
            base = msgspec.structs.replace(record, seen=record.seen + 60, expires=record.expires + 60)
            assert record.lease == held
            assert verbs.load(base.id) == base
            assert list(verbs.load_many([base.id])) == [base]

    def test_r26_lease_of_another_is_a_conflict(self, verbs: Store) -> None:
        """Of two requests that take a lease at once the second is told of the first one's."""
        base = created(verbs, new_record(verbs))
        mine, theirs = (Lease(holder=holder * 16, until=clock.now() + 60) for holder in "ab")
        saved(verbs.save(next_save(base, lease=theirs), base))
        assert conflicting(verbs.save(next_save(base, lease=mine), base)).lease == theirs

    def test_lease_goes_with_the_session(self, verbs: Store) -> None:
        """Who ends or replaces a session under lease need not know of it, and nothing of it is left."""
        lease = Lease(holder="0123456789abcdef", until=clock.now() + 60)
        ended, replaced = (created(verbs, new_record(verbs, lease=lease)) for _ in range(2))
        assert verbs.end(ended.id, EndReason.LOGGED_OUT, clock.now()) == ended
        record = saved(verbs.replace(successor(replaced, lease=None), replaced))
        assert verbs.load(record.id) == record
        assert buried(verbs, ended.id) is EndReason.LOGGED_OUT
        assert buried(verbs, replaced.id) is EndReason.ROTATED

    # replace

    def test_replacement_leaves_one_live_record(self, verbs: Store) -> None:
        """After a rotation the new id has the record, and the old one a tombstone that says so, however often asked."""
        base = created(verbs, new_record(verbs))
        record = successor(base, user="7", bag=fields(verbs.format, _auth_user_id="7"))
        for _ in range(3):
            assert saved(verbs.replace(record, base)) == record
            assert verbs.load(record.id) == record
            assert buried(verbs, base.id) is EndReason.ROTATED

    def test_r27_nothing_under_the_old_id_reaches_the_new_record(self, verbs: Store) -> None:
        """Requests in flight under the old id can neither save, touch, rotate nor end anything after the rotation."""
        base = created(verbs, new_record(verbs))
        record = saved(verbs.replace(successor(base), base))
        other = successor(base)
        assert gone(verbs.save(next_save(base), base)) is EndReason.ROTATED
        assert verbs.touch(base, base.seen + 60, base.expires + 60) is False
        assert gone(verbs.replace(other, base)) is EndReason.ROTATED
        assert verbs.end(base.id, EndReason.LOGGED_OUT, clock.now()) is None
        assert verbs.load(other.id) is None
        assert verbs.load(record.id) == record

    def test_replacement_of_a_changed_record_is_a_conflict(self, verbs: Store) -> None:
        """A rotation that has not seen the last save does nothing, and gets that save to merge with."""
        base = created(verbs, new_record(verbs))
        theirs = saved(verbs.save(next_save(base), base))
        record = successor(base)
        assert conflicting(verbs.replace(record, base)) == theirs
        assert verbs.load(record.id) is None
        assert verbs.load(base.id) == theirs
        assert saved(verbs.replace(record, theirs)) == record

    def test_replacement_of_what_is_gone_creates_nothing(self, verbs: Store) -> None:
        """There is no new record in place of one that ended or never was."""
        unknown, ended = new_record(verbs), created(verbs, new_record(verbs))
        verbs.end(ended.id, EndReason.PASSWORD_CHANGED, clock.now())
        for base, reason in ((unknown, None), (ended, EndReason.PASSWORD_CHANGED)):
            record = successor(base)
            assert gone(verbs.replace(record, base)) is reason
            assert verbs.load(record.id) is None

    # end

    def test_end_answers_with_the_last_state_and_leaves_the_reason(self, verbs: Store) -> None:
        """Who ends a session gets what it was last, and all others why and when it ended."""
        now = clock.now() + 60
        for reason in EndReason:
            base = created(verbs, full_record(verbs))
            last = saved(verbs.save(next_save(base), base))
            assert verbs.end(base.id, reason, now) == last
            assert verbs.load(base.id) == Tombstone(format=FORMAT, ended=now, reason=reason)

    def test_second_end_does_nothing(self, verbs: Store) -> None:
        """Of two that end a session one gets the last state, and its reason stands."""
        record = created(verbs, full_record(verbs))
        assert verbs.end(record.id, EndReason.LOGGED_OUT, clock.now(), record.user) == record
        assert verbs.end(record.id, EndReason.EXPIRED_IDLE, clock.now() + 60) is None
        assert buried(verbs, record.id) is EndReason.LOGGED_OUT

    def test_end_of_nothing_leaves_nothing(self, verbs: Store) -> None:
        """Ending what is not there is no error, and no tombstone is put for it."""
        session_id = new_id()
        assert verbs.end(session_id, EndReason.LOGGED_OUT, clock.now()) is None
        assert verbs.load(session_id) is None

    def test_overdue_session_can_be_ended(self, verbs: Store) -> None:
        """What expired is ended with its last state like any other."""
        record = created(verbs, new_record(verbs, expires=clock.now() - 10))
        assert verbs.end(record.id, EndReason.EXPIRED_IDLE, clock.now()) == record

    # Lists

    def test_store_that_cannot_list_says_so(self, verbs: Store) -> None:
        """A store answers what is live, or says that it cannot and what to use in its place."""
        now = clock.now()
        for ask in (lambda: verbs.newest(now, 10), lambda: verbs.of_user("7", now), lambda: verbs.count(now)):
            if verbs.lists_sessions:
                assert not ask()
            else:
                with pytest.raises(NotImplementedError, match=r"cannot list sessions; use the .* engine"):
                    ask()

    def test_newest_come_first_in_pages(self, verbs: Store) -> None:
        """Ids are listed by last use, page by page, and a touch brings a session to the front."""
        if not verbs.lists_sessions:
            return
        now = clock.now()
        records = [created(verbs, new_record(verbs, seen=now - age)) for age in (10, 20, 30, 40, 50)]
        ids = [record.id for record in records]
        assert list(verbs.newest(now, 10)) == ids
        assert [list(verbs.newest(now, 2, offset)) for offset in (0, 2, 4, 6)] == [ids[:2], ids[2:4], ids[4:], []]
        assert list(verbs.newest(now, 0)) == []
        verbs.touch(records[3], now, records[3].expires)
        assert list(verbs.newest(now, 2)) == [ids[3], ids[0]]

    def test_lists_are_of_what_is_selected(self, verbs: Store) -> None:
        """Of each kind, of some time, and in either order: the pages of a selection are all of it, each session once,
        also if many were used in the same second, and it is counted as it is listed.
        """
        if not verbs.lists_sessions:
            return
        now = clock.now()
        records = [
            created(verbs, new_record(verbs, mode=mode, user=user, seen=now - age, expires=now + 600 + age % 20))
            for mode in SessionMode
            for user in (None, "7")
            for age in (0, 30, 30, 70)
        ]
        for selection in _selections(now):
            expected = [record for record in records if selection.chooses(record)]
            pages = [list(verbs.newest(now, 7, offset, selection)) for offset in range(0, 21, 7)]
            self._in_order(selection, records, [session_id for page in pages for session_id in page], expected)
            assert [len(page) for page in pages] == [min(7, max(0, len(expected) - size)) for size in (0, 7, 14)]
            assert verbs.count(now, selection) == len(expected), selection
        assert verbs.count_by_user(now) == (len(records), len(records) // 2)

    def _in_order(
        self, selection: Selection, records: Sequence[Record], listed: Sequence[str], expected: Sequence[Record]
    ) -> None:
        assert sorted(listed) == sorted(record.id for record in expected), selection
        moments = {record.id: record.seen if selection.by == "seen" else record.expires for record in records}
        in_order = [moments[session_id] for session_id in listed]
        assert in_order == sorted(in_order, reverse=not selection.ascending), selection

    def test_session_stands_in_one_list(self, verbs: Store) -> None:
        """Whose session it is, and which mode it has, may change: it is listed, and counted, as what it is, and no
        longer as what it was.
        """
        if not verbs.lists_sessions:
            return
        kinds: list[tuple[SessionMode, str | None]] = [
            (SessionMode.PERM, None), (SessionMode.PERM, "7"), (SessionMode.TEMP, "8"), (SessionMode.TEMP, None),
        ]  # fmt: skip
        for change in (next_save, successor):
            base = created(verbs, new_record(verbs))
            self._kinds(verbs, base)
            for mode, user in kinds:
                record = change(base, mode=mode, user=user, seen=base.seen + 1)
                for _ in range(2):
                    saved(verbs.save(record, base) if change is next_save else verbs.replace(record, base))
                self._kinds(verbs, record)
                verbs.touch(record, record.seen, record.expires)
                base = record
            self._kinds(verbs, base)
            verbs.end(base.id, EndReason.LOGGED_OUT, clock.now(), base.user)
            self._kinds(verbs)

    def test_expired_session_stands_in_no_list(self, verbs: Store) -> None:
        """Of whatever kind, what has expired is neither listed nor counted, before and after it is announced."""
        if not verbs.lists_sessions:
            return
        now = clock.now()
        for mode in SessionMode:
            for user in (None, "7"):
                created(verbs, full_record(verbs, mode=mode, user=user, expires=now - LONG_OVER))
        live = created(verbs, new_record(verbs))
        self._kinds(verbs, live)
        for expiring in (Selection(by="expires", before=now + DAY), Selection(by="expires", since=0, before=now)):
            assert (list(verbs.newest(now, 10, 0, expiring)), verbs.count(now, expiring)) == ([], 0)
        found = verbs.claim_overdue(now, 10, LEASE)
        assert len(found.claims) == 4
        self._kinds(verbs, live)
        verbs.settle(found.claims, now)
        self._kinds(verbs, live)
        assert verbs.at_address("192.0.2.7", now, 10) == []

    def _kinds(self, verbs: Store, *live: Record) -> None:
        """That ``live`` is what is listed and counted, each by its kind."""
        now = clock.now()
        for mode, signed_in in product(SessionMode, (False, True)):
            selection = Selection(mode=mode, signed_in=signed_in)
            expected = sorted(record.id for record in live if selection.chooses(record))
            assert sorted(verbs.newest(now, 10, 0, selection)) == expected
            assert verbs.count(now, selection) == len(expected)
            assert sorted(verbs.newest(now, 10, 0, replace(selection, by="expires"))) == expected
        assert verbs.count_by_user(now) == (len(live), sum(record.user is not None for record in live))

    def test_sessions_are_found_by_address(self, verbs: Store) -> None:
        """By the first and by the last address of their client, those that are live, and no more than are asked for."""
        if not verbs.lists_sessions:
            return
        now = clock.now()
        here, there = "192.0.2.7", "2001:db8::7"
        both = created(verbs, full_record(verbs))
        first = created(verbs, full_record(verbs, user=None, client=Client(address=here)))
        last = created(verbs, full_record(verbs, client=Client(address="::1", last_address=there)))
        created(verbs, full_record(verbs, client=Client(address=here), expires=now - 10))
        created(verbs, new_record(verbs))
        for address, records in ((here, [both, first]), (there, [both, last]), ("::1", [last]), ("192.0.2.70", [])):
            assert sorted(verbs.at_address(address, now, 10)) == sorted(record.id for record in records)
        assert set(verbs.at_address(here, now, 1)) < {both.id, first.id}
        assert len(verbs.at_address(here, now, 1)) == 1
        verbs.end(first.id, EndReason.LOGGED_OUT, now)
        assert list(verbs.at_address(here, now, 1)) == [both.id]
        assert list(verbs.at_address(here, both.expires, 10)) == []

    def test_address_is_that_of_now(self, verbs: Store) -> None:
        """Where a session was used in between it is not found, nor is one that goes on under another id."""
        if not verbs.lists_sessions:
            return
        now = clock.now()
        base = created(verbs, new_record(verbs, client=Client(address="192.0.2.1", last_address="192.0.2.2")))
        client = Client(address="192.0.2.1", last_address="192.0.2.3")
        moved = saved(verbs.save(next_save(base, client=client), base))
        assert self._at(verbs, 1, 2, 3) == [[base.id], [], [base.id]]
        new = saved(
            verbs.replace(successor(moved, client=Client(address="192.0.2.3", last_address="192.0.2.4")), moved)
        )
        assert self._at(verbs, 1, 2, 3, 4) == [[], [], [new.id], [new.id]]
        verbs.touch(new, now + 60, new.expires + 60)
        assert self._at(verbs, 3, 4, now=new.expires) == [[new.id], [new.id]]

    def _at(self, verbs: Store, *hosts: int, now: int | None = None) -> list[list[str]]:
        moment = clock.now() if now is None else now
        return [list(verbs.at_address(f"192.0.2.{host}", moment, 10)) for host in hosts]

    def test_what_is_no_address_finds_nothing(self, verbs: Store) -> None:
        """A client may say any text of any length; what can be no address is kept, and nobody is found by it."""
        if not verbs.lists_sessions:
            return
        now = clock.now()
        long = "x" * (LONGEST_ADDRESS + 1)
        for client in (Client(address="", agent="Browser"), Client(address=long, last_address=long * 100), None):
            record = created(verbs, new_record(verbs, client=client))
            assert verbs.load(record.id) == record
        longest = created(verbs, new_record(verbs, client=Client(address="x" * LONGEST_ADDRESS)))
        for address in ("", long, long * 100, "*", "%", "x%"):
            assert list(verbs.at_address(address, now, 10)) == []
        assert list(verbs.at_address("x" * LONGEST_ADDRESS, now, 10)) == [longest.id]

    def test_sessions_are_listed_by_user(self, verbs: Store) -> None:
        """A user's sessions are theirs alone, whatever their primary key looks like (REQ-S60)."""
        if not verbs.lists_sessions:
            return
        now = clock.now()
        users = ("7", "77", "07", "ada@example.org", "*", "ü 世")
        ids = {user: created(verbs, new_record(verbs, user=user)).id for user in users}
        created(verbs, new_record(verbs))
        assert {user: list(verbs.of_user(user, now)) for user in users} == {user: [id] for user, id in ids.items()}
        assert list(verbs.of_user("8", now)) == []

    def test_live_sessions_are_counted(self, verbs: Store) -> None:
        """Every live session counts once, with or without a user."""
        if not verbs.lists_sessions:
            return
        now = clock.now()
        assert verbs.count(now) == 0
        for user in (None, "7", "7"):
            created(verbs, new_record(verbs, user=user))
        assert verbs.count(now) == 3

    @pytest.mark.parametrize("tell", [True, False], ids=["user known", "user unknown"])
    def test_what_has_ended_is_not_listed(self, verbs: Store, tell: bool) -> None:
        """An ended session leaves every list, whether or not the caller knew whose it was."""
        live = created(verbs, new_record(verbs, user="7"))
        for user in (None, "7", 'o"hara', "back\\slash", "new\nline", "ü 世"):
            ended = created(verbs, new_record(verbs, user=user))
            verbs.end(ended.id, EndReason.LOGGED_OUT, clock.now(), user if tell else None)
            self._listed(verbs, clock.now(), live)

    def test_what_has_expired_is_not_listed(self, verbs: Store) -> None:
        """A session is listed until the second in which it expires."""
        now = clock.now()
        short = created(verbs, new_record(verbs, user="7", expires=now + 60))
        long = created(verbs, new_record(verbs, user="7", expires=now + 600))
        self._listed(verbs, now + 59, short, long)
        self._listed(verbs, now + 60, long)

    @pytest.mark.parametrize("verb", ["save", "replace"])
    def test_listed_as_what_it_is_now(self, verbs: Store, verb: str) -> None:
        """After a save or a rotation, repeated or not, a session is listed once, and with the user it has then."""
        for before, after in ((None, None), (None, "7"), ("7", None), ("7", "7"), ("7", "8")):
            base = created(verbs, new_record(verbs, user=before))
            record = (next_save if verb == "save" else successor)(base, user=after)
            for _ in range(2):
                getattr(verbs, verb)(record, base)
                self._listed(verbs, clock.now(), record)
            verbs.end(record.id, EndReason.LOGGED_OUT, clock.now(), after)

    def test_refused_writes_do_not_change_the_lists(self, verbs: Store) -> None:
        """What was not stored is not listed, and what is stored stays listed."""
        record, other = created(verbs, new_record(verbs, user="7")), new_record(verbs, user="8")
        verbs.create(new_record(verbs, id=record.id, user="8"))
        verbs.save(next_save(other), other)
        verbs.save(next_save(record, user="8"), next_save(record))
        verbs.replace(successor(record, user="8"), next_save(record))
        verbs.touch(other, other.seen, other.expires)
        self._listed(verbs, clock.now(), record)

    @pytest.mark.parametrize("step", [30, -30])
    def test_lists_keep_up_with_saves(self, verbs: Store, step: int) -> None:
        """However small its steps, a session that is saved again and again is listed by what it has come to.

        All but the list by which a user's sessions are ended may be a minute behind.
        """
        now = clock.now()
        base = created(verbs, new_record(verbs, user="7", expires=now + 600))
        rival = created(verbs, new_record(verbs, seen=now + 200))
        for _ in range(15):
            record = next_save(base, seen=base.seen + 30, expires=base.expires + step)
            base = saved(verbs.save(record, base))
        self._listed(verbs, base.expires, rival)
        self._listed(verbs, base.expires - 60, base, rival)
        if verbs.lists_sessions:
            assert list(verbs.newest(now, 10)) == [base.id, rival.id]
            assert list(verbs.of_user("7", base.expires - 1)) == [base.id]

    def test_late_touch_does_not_change_the_lists(self, verbs: Store) -> None:
        """A touch that was overtaken by another moves a session neither out of the lists nor back in them."""
        if not verbs.lists_sessions:
            return
        now = clock.now()
        record = created(verbs, new_record(verbs, user="7", expires=now + 60))
        verbs.touch(record, now + 50, now + 600)
        created(verbs, new_record(verbs, seen=now + 40))
        verbs.touch(record, now + 10, now + 70)
        assert next(iter(verbs.newest(now, 1))) == record.id
        assert verbs.count(now + 120) == 2
        assert list(verbs.of_user("7", now + 120)) == [record.id]

    def _listed(self, verbs: Store, now: int, *expected: Record) -> None:
        """That the lists show ``expected``, which is all that is in the store."""
        if not verbs.lists_sessions:
            return
        assert sorted(verbs.newest(now, 100)) == sorted(record.id for record in expected)
        assert verbs.count(now) == len(expected)
        for user in ("7", "8", 'o"hara', "back\\slash", "new\nline", "ü 世"):
            theirs = sorted(record.id for record in expected if record.user == user)
            assert sorted(verbs.of_user(user, now)) == theirs

    # clear_expired

    def test_s66_only_what_has_ended_is_cleared(self, verbs: Store) -> None:
        """A live session stays, and so does one whose end nobody has announced; clearing again finds nothing."""
        now = clock.now()
        live, overdue = created(verbs, new_record(verbs, user="7")), self._overdue(verbs, user="7")
        verbs.end(created(verbs, new_record(verbs, user="7")).id, EndReason.LOGGED_OUT, now - 2 * TOMBSTONE_LIFE)
        verbs.clear_expired(now)
        assert verbs.clear_expired(now) == 0
        assert (verbs.load(live.id), verbs.load(overdue.id)) == (live, overdue)
        self._listed(verbs, now, live)

    def test_r25_session_in_use_is_not_cleared(self, verbs: Store) -> None:
        """A session that was used after it was stored is judged by its new expiry."""
        now = clock.now()
        record = created(verbs, new_record(verbs, user="7", expires=now + 60))
        verbs.touch(record, now, now + 2 * LINGER)
        verbs.clear_expired(now + LINGER + 61)
        assert isinstance(verbs.load(record.id), Record)
        self._listed(verbs, now, record)

    # claim_overdue and settle

    def test_what_is_over_is_claimed_with_its_last_state(self, verbs: Store) -> None:
        """A claim has the session as it was last, and which timeout it has reached."""
        idle = self._overdue(verbs)
        absolute = self._overdue(verbs, until=clock.now() - LONG_OVER)
        last = saved(verbs.save(next_save(idle, bag=fields(verbs.format, theirs=1)), idle))
        found = verbs.claim_overdue(clock.now(), 10, LEASE)
        assert (found.missed, found.is_all) == (0, True)
        if not verbs.lists_sessions:
            assert not found.claims
            return
        reasons = {last.id: EndReason.EXPIRED_IDLE, absolute.id: EndReason.EXPIRED_ABSOLUTE}
        assert {claim.session_id: claim.reason for claim in found.claims} == reasons
        assert {claim.session_id: claim.record for claim in found.claims} == {last.id: last, absolute.id: absolute}

    def test_r33_only_what_is_over_is_claimed(self, verbs: Store) -> None:
        """Nobody is told of the end of a session that lives, that a request may still save, or that was ended."""
        now = clock.now()
        live = created(verbs, new_record(verbs, user="7"))
        late = created(verbs, new_record(verbs, expires=now - GRACE + 1))
        verbs.end(self._overdue(verbs).id, EndReason.LOGGED_OUT, now)
        assert not verbs.claim_overdue(now, 10, LEASE).claims
        assert (verbs.load(live.id), verbs.load(late.id)) == (live, late)
        assert list(claimed(verbs.claim_overdue(now + 2, 10, LEASE))) == [late.id] * verbs.lists_sessions
        assert verbs.load(live.id) == live

    def test_r25_session_in_use_is_not_claimed(self, verbs: Store) -> None:
        """A session that was touched or saved after it was stored is judged by its new expiry."""
        now = clock.now()
        touched, other = self._overdue(verbs), self._overdue(verbs)
        verbs.touch(touched, now, now + DAY)
        verbs.save(next_save(other, seen=now, expires=now + DAY), other)
        assert not verbs.claim_overdue(now, 10, LEASE).claims
        assert isinstance(verbs.load(touched.id), Record)
        assert isinstance(verbs.load(other.id), Record)

    def test_claimed_session_has_ended(self, verbs: Store) -> None:
        """From the moment it is claimed nothing brings a session back, and whoever asks is told why it ended."""
        if not verbs.lists_sessions:
            return
        now = clock.now()
        record = self._overdue(verbs, user="7")
        verbs.claim_overdue(now, 10, LEASE)
        assert buried(verbs, record.id) is EndReason.EXPIRED_IDLE
        assert list(verbs.load_many([record.id])) == []
        assert verbs.create(record) is False
        assert gone(verbs.save(next_save(record), record)) is EndReason.EXPIRED_IDLE
        assert gone(verbs.save(record, record)) is EndReason.EXPIRED_IDLE
        assert verbs.touch(record, now, now + DAY) is False
        assert gone(verbs.replace(successor(record), record)) is EndReason.EXPIRED_IDLE
        assert verbs.end(record.id, EndReason.LOGGED_OUT, now) is None
        assert verbs.end(record.id, EndReason.LOGGED_OUT, now, "7") is None
        assert buried(verbs, record.id) is EndReason.EXPIRED_IDLE
        self._listed(verbs, now - DAY)

    def test_r34_nobody_else_gets_what_is_claimed(self, verbs: Store) -> None:
        """Until the lease is over a session is given out once; what nobody has announced by then is given out again,
        with the same last state.
        """
        if not verbs.lists_sessions:
            return
        now = clock.now()
        record = self._overdue(verbs)
        for round in range(3):
            again = now + round * (LEASE + 1)
            claim = claimed(verbs.claim_overdue(again, 10, LEASE))[record.id]
            assert (claim.record, claim.reason) == (record, EndReason.EXPIRED_IDLE)
            for later in (0, 1, LEASE - 1):
                assert not verbs.claim_overdue(again + later, 10, LEASE).claims
        assert isinstance(verbs.load(record.id), Tombstone)

    def test_r34_what_is_settled_is_not_given_out_again(self, verbs: Store) -> None:
        """Whose end is announced leaves nothing that could be claimed, listed or opened."""
        if not verbs.lists_sessions:
            return
        now = clock.now()
        record = self._overdue(verbs, user="7", modified=now - 100 * DAY)
        found = verbs.claim_overdue(now, 10, LEASE)
        for _ in range(2):
            verbs.settle(found.claims, now)
            assert not verbs.claim_overdue(now + 2 * LEASE, 10, LEASE).claims
        assert verbs.load(record.id) is None
        self._listed(verbs, now - DAY)

    def test_young_token_is_told_of_the_end(self, verbs: Store) -> None:
        """Where a token could be taken for one that must open something, a tombstone stays until it cannot."""
        if not verbs.lists_sessions:
            return
        now = clock.now()
        record = self._overdue(verbs, modified=now - 3600)
        verbs.settle(verbs.claim_overdue(now, 10, LEASE).claims, now)
        verbs.clear_expired(now + DAY)
        assert buried(verbs, record.id) is EndReason.EXPIRED_IDLE

    def test_r34_claim_that_another_has_taken_over(self, verbs: Store) -> None:
        """Who settles after the lease does not take the last state from the one who has the claim now."""
        if not verbs.lists_sessions:
            return
        now = clock.now()
        record = self._overdue(verbs)
        first = verbs.claim_overdue(now, 10, LEASE)
        later = now + LEASE + 1
        second = verbs.claim_overdue(later, 10, LEASE)
        verbs.settle(first.claims, later)
        third = verbs.claim_overdue(later + LEASE + 1, 10, LEASE)
        assert [claim.record for claim in (*second.claims, *third.claims)] == [record, record]
        verbs.settle(third.claims, later)
        assert not verbs.claim_overdue(later + DAY, 10, LEASE).claims

    def test_s66_claims_come_in_batches(self, verbs: Store) -> None:
        """No more are given out than were asked for, each once, and the last batch is known by itself."""
        if not verbs.lists_sessions:
            return
        now = clock.now()
        records = [self._overdue(verbs, user=user) for user in (None, "7", "7", "8", None)]
        met: dict[str, Claim] = {}
        is_all = False
        while not is_all:
            found = verbs.claim_overdue(now, 2, LEASE)
            assert found.claims or found.is_all
            assert len(found.claims) <= 2
            assert not claimed(found).keys() & met.keys()
            met.update(claimed(found))
            verbs.settle(found.claims, now)
            is_all = found.is_all
        assert {session_id: claim.record for session_id, claim in met.items()} == {one.id: one for one in records}
        assert nothing(verbs.claim_overdue(now, 2, LEASE))

    def test_clearing_leaves_what_is_claimed(self, verbs: Store) -> None:
        """Whoever clears up while an end is announced takes nothing from the one who announces it."""
        if not verbs.lists_sessions:
            return
        now = clock.now()
        record = self._overdue(verbs)
        verbs.claim_overdue(now, 10, LEASE)
        verbs.clear_expired(now)
        [claim] = verbs.claim_overdue(now + LEASE + 1, 10, LEASE).claims
        assert claim.record == record

    def test_settling_nothing(self, verbs: Store) -> None:
        """No claims are settled by doing nothing, and what is gone meanwhile is no error."""
        if not verbs.lists_sessions:
            return
        now = clock.now()
        verbs.settle((), now)
        self._overdue(verbs)
        found = verbs.claim_overdue(now, 10, LEASE)
        verbs.settle(found.claims, now)
        verbs.clear_expired(now + 1000 * DAY)
        verbs.settle(found.claims, now + 1000 * DAY)
        assert not verbs.claim_overdue(now + 1000 * DAY, 10, LEASE).claims

    # tally

    @pytest.fixture
    def moment(self, monkeypatch: pytest.MonkeyPatch) -> int:
        """A full hour, at which the clock stands still."""
        monkeypatch.setattr("typed_sessions.clock.now", lambda: FULL_HOUR)
        return FULL_HOUR

    def test_beginnings_are_tallied(self, verbs: Store, moment: int) -> None:
        """A session has begun once, however often that is sent; one that goes on under another id is no new one, and
        neither is one that was saved, touched or refused.
        """
        if not verbs.lists_sessions:
            return
        assert verbs.tally(moment) == (0, {})
        record, other = (new_record(verbs, user=user) for user in (None, "7"))
        for _ in range(2):
            assert verbs.create(record) and verbs.create(other)
        assert verbs.create(new_record(verbs, id=record.id)) is False
        assert verbs.tally(moment) == (2, {})
        changed = saved(verbs.save(next_save(record, user="7"), record))
        verbs.touch(changed, moment + 60, changed.expires + 60)
        for _ in range(2):
            new = saved(verbs.replace(successor(changed), changed))
            assert verbs.tally(moment) == (2, {})
            changed = new

    def test_ends_are_tallied(self, verbs: Store, moment: int) -> None:
        """Each end counts once, by its reason, whatever the session was and whether or not it is known whose."""
        if not verbs.lists_sessions:
            return
        reasons = [EndReason.LOGGED_OUT, EndReason.LOGGED_OUT, EndReason.OVER_LIMIT, EndReason.ROTATED]
        for number, reason in enumerate(reasons):
            record = created(verbs, full_record(verbs))
            for _ in range(2):
                verbs.end(record.id, reason, moment, None if number % 2 else record.user)
        verbs.end(new_id(), EndReason.ENDED_BY_STAFF, moment)
        begun, ended = verbs.tally(moment)
        assert dict(ended) == {EndReason.LOGGED_OUT: 2, EndReason.OVER_LIMIT: 1}
        assert begun == 4 - (begun == 3)  # a session that was ended as if it went on is one that began, or is not

    @pytest.mark.parametrize("life", ["nothing is left", "a tombstone is left", "for a moment"])
    def test_expiry_is_tallied_when_it_is_settled(self, verbs: Store, moment: int, life: str) -> None:
        """What has expired has ended when that was announced, once, for an hour, and whether or not anything of it
        stays.
        """
        if not verbs.lists_sessions:
            return
        ages = {"nothing is left": 100 * DAY, "a tombstone is left": DAY, "for a moment": 14 * DAY - 60}
        changes = {"created": moment - 200 * DAY, "modified": moment - ages[life]}
        self._overdue(verbs, **changes)
        self._overdue(verbs, until=moment - LONG_OVER, **changes)
        found = verbs.claim_overdue(moment, 10, LEASE)
        assert verbs.tally(moment).ended == {}
        expected = {EndReason.EXPIRED_IDLE: 1, EndReason.EXPIRED_ABSOLUTE: 1}
        for later in (0, 0, 30, 600):
            verbs.settle(found.claims, moment + later) if later < 60 else verbs.clear_expired(moment + later)
            assert verbs.tally(moment + later).ended == expected, later
        verbs.clear_expired(moment + RECENT + 120)
        assert verbs.tally(moment + RECENT + 120) == (0, {})

    @pytest.mark.parametrize("begins", [0, -150, 1799], ids=["full hour", "before it", "half an hour"])
    def test_tally_is_of_an_hour(self, verbs: Store, monkeypatch: pytest.MonkeyPatch, begins: int) -> None:
        """What happens counts for as long as it has happened within the last hour, to the minute, also if another hour
        has begun since.
        """
        if not verbs.lists_sessions:
            return
        first = FULL_HOUR + begins
        for later in (0, 300):
            monkeypatch.setattr("typed_sessions.clock.now", lambda later=later: first + later)
            verbs.end(created(verbs, new_record(verbs)).id, EndReason.LOGGED_OUT, first + later)
        for later, number in ((300, 2), (RECENT - 61, 2), (RECENT + 61, 1), (RECENT + 239, 1), (RECENT + 361, 0)):
            verbs.clear_expired(first + later)
            assert verbs.tally(first + later) == (number, {EndReason.LOGGED_OUT: number} if number else {}), later

    # Samples

    def test_first_sample_of_a_time_is_kept(self, verbs: Store) -> None:
        """Of one time the first sample stays, and all are told from the earliest on; or the store says that it keeps
        none.
        """
        first = clock.now() // INTERVAL * INTERVAL - 4 * INTERVAL
        samples = [Sample(first + number * INTERVAL, 10 + number, 5, number) for number in range(4)]
        assert list(verbs.samples(0)) == []
        for sample in (samples[2], samples[0], samples[3], samples[1], Sample(first, 7, 7, 7)):
            assert verbs.keep_sample(sample) is verbs.lists_sessions
        kept = samples if verbs.lists_sessions else []
        assert list(verbs.samples(0)) == kept
        assert list(verbs.samples(samples[1].at)) == kept[1:]
        assert list(verbs.samples(samples[1].at + 1)) == kept[2:]
        assert list(verbs.samples(samples[3].at + 1)) == []

    def test_samples_of_a_clock_that_is_ahead(self, verbs: Store) -> None:
        """A machine whose clock is a year ahead takes no samples away, and its own is not told."""
        if not verbs.lists_sessions:
            return
        sample = Sample(clock.now() // INTERVAL * INTERVAL, 1, 1, 1)
        verbs.keep_sample(sample)
        verbs.keep_sample(sample._replace(at=sample.at + 365 * 86_400))
        assert list(verbs.samples(0)) == [sample]

    def test_old_samples_go(self, verbs: Store) -> None:
        """Samples that are older than SAMPLES_LIFE go when another is taken and what is over is cleared."""
        if not verbs.lists_sessions:
            return
        first = clock.now() // INTERVAL * INTERVAL - SAMPLES_LIFE - INTERVAL
        samples = [Sample(first + later, 1, 1, 1) for later in (0, INTERVAL, SAMPLES_LIFE + INTERVAL)]
        for sample in samples:
            verbs.keep_sample(sample)
        verbs.clear_expired(samples[-1].at)
        assert list(verbs.samples(0)) == samples[1:]

    def _overdue(self, verbs: Store, **changes: Any) -> Record:
        """A session that was not used for long enough, but not for so long that it was forgotten."""
        expires = clock.now() - LONG_OVER
        return created(verbs, full_record(verbs, **{"expires": expires, "mode": SessionMode.TEMP, **changes}))

    # time

    def test_time_is_that_of_all(self, verbs: Store) -> None:
        """A store whose clock all machines share answers in seconds since the epoch; another has none."""
        times = [verbs.time() for _ in range(2)]
        assert times == [None, None] or all(isinstance(one, int) and one > RELEASED for one in times)

    # Both formats

    @pytest.mark.parametrize("codecs", [CODECS, CODECS[::-1]], ids=["to msgpack", "to json"])
    def test_changing_codec_logs_nobody_out(self, verbs: Store, codecs: tuple[str, str]) -> None:
        """Records that were stored before CODEC changed are read, touched, saved, rotated and ended after it."""
        now = clock.now()
        with _codec(codecs[0]):
            records = [created(verbs, full_record(verbs, expires=now + 60 + number)) for number in range(4)]
        with _codec(codecs[1]):
            touched, other, rotated, ended = records
            assert [verbs.load(record.id) for record in records] == records
            assert verbs.touch(touched, now + 60, now + 600) is True
            assert verbs.load(touched.id) == msgspec.structs.replace(touched, seen=now + 60, expires=now + 600)
            new = next_save(other, data=fields(verbs.format, currency="USD"), bag=fields(verbs.format))
            assert saved(verbs.save(new, other)) == verbs.load(new.id) == new
            assert conflicting(verbs.save(next_save(other), other)) == new
            new = successor(rotated, data=fields(verbs.format), bag=fields(verbs.format))
            assert saved(verbs.replace(new, rotated)) == verbs.load(new.id) == new
            assert verbs.end(ended.id, EndReason.LOGGED_OUT, now) == ended

    @pytest.mark.parametrize("codecs", [CODECS, CODECS[::-1]], ids=["to msgpack", "to json"])
    def test_changing_codec_loses_no_claim(self, verbs: Store, codecs: tuple[str, str]) -> None:
        """Sessions that were stored, and ends that were claimed, before CODEC changed are announced after it."""
        if not verbs.lists_sessions:
            return
        now = clock.now()
        with _codec(codecs[0]):
            first = self._overdue(verbs)
            verbs.claim_overdue(now, 10, LEASE)
            second = self._overdue(verbs)
        with _codec(codecs[1]):
            found = verbs.claim_overdue(now + LEASE + 1, 10, LEASE)
            records = {session_id: claim.record for session_id, claim in claimed(found).items()}
            assert records == {first.id: first, second.id: second}
            assert buried(verbs, first.id) is EndReason.EXPIRED_IDLE
            verbs.settle(found.claims, now)
            assert not verbs.claim_overdue(now + DAY, 10, LEASE).claims


def _selections(now: int) -> Iterator[Selection]:
    """Of each kind, of some time, and in each order."""
    bounds: dict[str, list[tuple[int | None, int | None]]] = {
        "seen": [(None, None), (now - 30, None), (None, now - 30), (now - 69, now)],
        "expires": [(None, None), (now + 610, None), (None, now + 610), (now + 601, now + 1000)],
    }
    orders = cycle((False, True, True, False, True))
    for by, mode, signed_in in product(bounds, (None, *SessionMode), (None, False, True)):
        for since, before in bounds[by]:
            selection = Selection(mode=mode, signed_in=signed_in, ascending=next(orders), since=since, before=before)
            yield selection if by == "seen" else replace(selection, by="expires")


def _codec(name: str) -> override_settings:
    return override_settings(TYPED_SESSIONS={**getattr(django_settings, "TYPED_SESSIONS", {}), "CODEC": name})


# What a pickle would have to do: nothing that is ever done.
_PICKLE = b"cbuiltins\nexec\n(S'raise SystemExit(\"a pickle was loaded\")'\ntR."
_HEAD = b'{"format":1,"seen":1767225600,"expires":1767229200,"revision":1,"nonce":"00000000",'

UNREADABLE_VALUES: dict[str, bytes] = {
    "empty": b"",
    "random": b"\x93\xf7\x00\xc1\xde\xad\xbe\xef" * 8,
    "text": b"seen by nobody",
    "pickle": _PICKLE,
    "pickle, newer": b"\x80\x04\x95\x15\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x04seen\x94K\x01s.",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + b"\x00" * 64,
    "JSON of another kind": b'["format","seen"]',
    "another object": b'{"seen":1}',
    "nothing in it": b"{}",
    "head of a record": _HEAD,
    "not a number": _HEAD.replace(b"1767225600", b"NaN") + b'"id":"x"}',
    "beyond numbers": _HEAD.replace(b"1767225600", b"1e999") + b'"id":"x"}',
    "deep": b'{"seen":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "deep msgpack": b"\x81\xa4seen" + b"\x91" * 10_000 + b"\xc0",
    "long msgpack": b"\xdf\xff\xff\xff\xff\xa4seen\xdd\xff\xff\xff\xff",
}
"""What may stand in a store by accident or malice (REQ-S71)."""


class ValueStoreContract(StoreContract):
    """As ``StoreContract``, for stores that keep a record as one value; ``plant(id, value)`` puts any bytes there."""

    @pytest.mark.parametrize("value", UNREADABLE_VALUES.values(), ids=UNREADABLE_VALUES)
    def test_s71_unreadable_value_is_an_error_and_can_be_ended(self, verbs: Store, plant: Plant, value: bytes) -> None:
        """What is not a record is never a session; its id is taken until it is ended."""
        session_id = new_id()
        plant(session_id, value)
        self._unreadable(verbs, session_id)

    @pytest.mark.parametrize("codec", CODECS)
    def test_s71_truncated_record_is_unreadable(self, verbs: Store, plant: Plant, codec: str) -> None:
        """No part of a record is taken for the whole."""
        with _codec(codec):
            record = new_record(verbs)
            whole = wire.encode(record)
        for length in (1, 20, 60, 100, len(whole) - 1):
            plant(record.id, whole[:length])
            with pytest.raises(UnreadableRecord):
                verbs.load(record.id)
        self._unreadable(verbs, record.id)

    def test_s06_record_of_another_id_is_unreadable(self, verbs: Store, plant: Plant) -> None:
        """A record under the key of another session is nobody's."""
        session_id = new_id()
        plant(session_id, wire.encode(new_record(verbs)))
        self._unreadable(verbs, session_id)

    def test_record_of_a_later_envelope_is_unreadable(self, verbs: Store, plant: Plant) -> None:
        """What a later release laid out in another way is not guessed at."""
        record = new_record(verbs, format=FORMAT + 1)
        plant(record.id, wire.encode(record))
        self._unreadable(verbs, record.id)

    def test_tombstone_of_an_unknown_reason_is_unreadable(self, verbs: Store, plant: Plant) -> None:
        """A session that a later release ended, for a reason of its own, is nobody's, and stays ended."""
        record = new_record(verbs)
        plant(record.id, b'{"format":1,"ended":1767225600,"reason":"os.system"}')
        with pytest.raises(UnreadableRecord):
            verbs.load(record.id)
        assert verbs.create(record) is False
        assert verbs.end(record.id, EndReason.UNDECODABLE, clock.now()) is None

    def test_unreadable_value_hides_no_other(self, verbs: Store, plant: Plant) -> None:
        """Among many ids, what cannot be read is passed over, and so is the record of another."""
        first, last = created(verbs, new_record(verbs)), created(verbs, new_record(verbs))
        ids = [new_id() for _ in range(3)]
        values = (UNREADABLE_VALUES["random"], UNREADABLE_VALUES["head of a record"], wire.encode(new_record(verbs)))
        for session_id, value in zip(ids, values, strict=True):
            plant(session_id, value)
        assert list(verbs.load_many([ids[0], first.id, *ids[1:], last.id])) == [first, last]

    @pytest.mark.parametrize("value", UNREADABLE_VALUES.values(), ids=UNREADABLE_VALUES)
    def test_end_of_an_unreadable_value_is_claimed(self, verbs: Store, plant: Plant, value: bytes) -> None:
        """What takes the place of a record is over when that would have been, without a last state, and stops nobody
        from getting the others.
        """
        if not verbs.lists_sessions:
            return
        now = clock.now()
        damaged, whole = self._overdue(verbs, user="7"), self._overdue(verbs)
        plant(damaged.id, value)
        found = verbs.claim_overdue(now, 10, LEASE)
        told = {session_id: (claim.reason, claim.record) for session_id, claim in claimed(found).items()}
        assert told == {damaged.id: (EndReason.UNDECODABLE, None), whole.id: (EndReason.EXPIRED_IDLE, whole)}
        assert buried(verbs, damaged.id) is EndReason.UNDECODABLE
        assert claimed(verbs.claim_overdue(now + LEASE + 1, 10, LEASE)).keys() == told.keys()
        verbs.settle(found.claims, now + LEASE + 1)
        verbs.settle(verbs.claim_overdue(now + 3 * LEASE, 10, LEASE).claims, now + 3 * LEASE)
        assert nothing(verbs.claim_overdue(now + DAY, 10, LEASE))

    def test_readable_value_is_a_record(self, verbs: Store, plant: Plant) -> None:
        """What is planted where a record would be is read as one: else the tests of unreadable values show nothing."""
        for record in (new_record(verbs), new_record(verbs, data=fields(JSON), bag=fields(JSON))):
            plant(record.id, wire.encode(record))
            assert verbs.load(record.id) == record

    def _unreadable(self, verbs: Store, session_id: str) -> None:
        """That there is no way to read, take or change what is stored, and one to be rid of it."""
        base = new_record(verbs, id=session_id)
        with pytest.raises(UnreadableRecord, match=session_id):
            verbs.load(session_id)
        assert verbs.create(base) is False
        with suppress(UnreadableRecord):
            gone(verbs.save(next_save(base), base))
        assert verbs.end(session_id, EndReason.UNDECODABLE, clock.now()) is None
        assert buried(verbs, session_id) is EndReason.UNDECODABLE
