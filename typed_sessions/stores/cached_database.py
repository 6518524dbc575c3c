"""Records in the database, with a copy in a shared cache for reading.

The cache is never the truth, and must never answer with what the database no longer holds. So copies are only ever
*added*, by readers, and never written over; a write puts a mark in the copy's place, and while the mark is there
readers go to the database and add nothing. A reader that was slow between its read and its copy leaves the copy out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from django.db import transaction

from .. import clock
from ..exceptions import StoreUnavailable, UnreadableRecord
from ..formats import JSON, Format
from ..states import EndReason
from ..tokens import urn
from . import wire
from .base import Claim, Outcome, Overdue, Store
from .byte_cache import ByteCache, byte_cache
from .cache import store_errors
from .database import DatabaseStore
from .record import LINGER, Record, Tombstone
from .selection import EVERYTHING, Selection
from .statistics import Sample, Tally

T = TypeVar("T")

logger = logging.getLogger("typed_sessions")

MARK = b"-"
MARK_LIFE = 4
"""Seconds after a write in which readers go to the database."""
SLOW_WRITE = 2.0
"""Seconds; a write that took longer marks again, since its first mark may be over."""
SLOW_READ = 1.0
"""Seconds; SLOW_WRITE + SLOW_READ must be less than MARK_LIFE, or an old copy could be added after the mark is over."""
PATIENCE = 0.2
"""Seconds; a cache that took longer to fail is not asked again for the same thing (REQ-R03)."""
LEFT_ALONE = 1.0
"""Seconds in which a cache that did not answer is not read."""
COPY_LIFE = 60
"""Seconds; bounds what a write can hide that went past this store, such as SQL by hand."""


class CachedDatabaseStore(Store):
    """``alias`` names a cache that all processes share."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self._database = DatabaseStore()
        self._left_alone_until = 0.0

    @property
    def is_provisional(self) -> bool:
        return self._is_in_transaction

    @property
    def format(self) -> Format:
        return JSON

    def load(self, session_id: str) -> Record | Tombstone | None:
        copy: bytes | None = self._quietly(lambda: self._cache.get(urn(session_id)), default=MARK)
        if copy is not None and copy != MARK:
            try:
                return wire.decode(session_id, copy)
            except UnreadableRecord as error:
                logger.warning("The cached copy was left aside: %s", error)
                copy = MARK
        if copy == MARK:
            return self._database.load(session_id)
        if self._is_in_transaction:
            # What a transaction sees may be old, or never come true; what is copied is read again when it has ended.
            transaction.on_commit(lambda: self._copy_safely(session_id), using=self._database.alias)
            return self._database.load(session_id)
        return self._load_and_copy(session_id)

    def _load_and_copy(self, session_id: str) -> Record | Tombstone | None:
        begun = time.monotonic()
        there = self._database.load(session_id)
        if isinstance(there, Record) and time.monotonic() - begun < SLOW_READ:
            life = min(COPY_LIFE, there.expires + LINGER - clock.now())
            if life > 0:
                self._quietly(lambda: self._cache.add(urn(session_id), wire.encode(there), life), default=False)
                if time.monotonic() - begun >= SLOW_READ:  # it was held up on the way, and the mark may be over
                    self._mark(session_id)
        return there

    def _copy_safely(self, session_id: str) -> None:
        # After a commit nobody is left to tell of an error to, and the next reader copies.
        with suppress(StoreUnavailable, UnreadableRecord):
            self._load_and_copy(session_id)

    def create(self, record: Record) -> bool:
        return self._database.create(record)  # a new id has no copy to be wrong

    def save(self, record: Record, base: Record) -> Outcome:
        return self._marked(base.id, lambda: self._database.save(record, base))

    def touch(self, record: Record, seen: int, expires: int) -> bool:
        return self._marked(record.id, lambda: self._database.touch(record, seen, expires))

    def replace(self, record: Record, base: Record) -> Outcome:
        return self._marked(base.id, lambda: self._database.replace(record, base), ends=True)

    def end(self, session_id: str, reason: EndReason, now: int, user: str | None = None) -> Record | None:
        return self._marked(session_id, lambda: self._database.end(session_id, reason, now, user), ends=True)

    def claim_overdue(self, now: int, limit: int, lease: int) -> Overdue:
        # Copies may stay: they say themselves that they are over, or are of a record that was used since.
        return self._database.claim_overdue(now, limit, lease)

    def settle(self, claims: Sequence[Claim], now: int) -> None:
        self._database.settle(claims, now)

    def reserve(self, user: str, session_id: str, leaving: Sequence[str], limit: int, now: int, until: int) -> bool:
        return self._database.reserve(user, session_id, leaving, limit, now, until)

    def release(self, user: str, session_id: str) -> None:
        self._database.release(user, session_id)

    def time(self) -> int | None:
        return self._database.time()

    def after_commit(self, act: Callable[[], object]) -> bool:
        return self._database.after_commit(act)

    def clear_expired(self, now: int) -> int:
        return self._database.clear_expired(now)

    def newest(self, now: int, limit: int, offset: int = 0, selection: Selection = EVERYTHING) -> Sequence[str]:
        return self._database.newest(now, limit, offset, selection)

    def load_many(self, session_ids: Sequence[str]) -> Sequence[Record]:
        return self._database.load_many(session_ids)

    def of_user(self, user: str, now: int) -> Sequence[str]:
        return self._database.of_user(user, now)

    def at_address(self, address: str, now: int, limit: int) -> Sequence[str]:
        return self._database.at_address(address, now, limit)

    def count(self, now: int, selection: Selection = EVERYTHING) -> int:
        return self._database.count(now, selection)

    def count_by_user(self, now: int) -> tuple[int, int]:
        return self._database.count_by_user(now)

    def tally(self, now: int) -> Tally:
        return self._database.tally(now)

    def keep_sample(self, sample: Sample) -> bool:
        return self._database.keep_sample(sample)

    def samples(self, since: int) -> Sequence[Sample]:
        return self._database.samples(since)

    @property
    def _is_in_transaction(self) -> bool:
        return self._database.is_provisional

    @property
    def _cache(self) -> ByteCache:
        return byte_cache(self.alias)

    def _marked(self, session_id: str, write: Callable[[], T], ends: bool = False) -> T:
        # A copy that stays would go on signing people in, so a session is not ended before its copy is out of the way.
        is_marked = self._mark(session_id)
        if ends and not is_marked:
            raise StoreUnavailable(
                f"Session {session_id} cannot be ended while the cache {self.alias!r} does not answer"
            )
        begun = time.monotonic()
        try:
            return write()
        finally:
            if self._is_in_transaction:
                # Others see the write when the transaction ends, and nobody knows when that is.
                transaction.on_commit(lambda: self._mark(session_id), using=self._database.alias)
            elif is_marked and time.monotonic() - begun > SLOW_WRITE:
                self._mark(session_id)

    def _mark(self, session_id: str) -> bool:
        """Puts a mark in the copy's place; a full cache at least takes the copy away. Whether either was done."""
        key = urn(session_id)
        try:
            with store_errors(self.alias):
                begun = time.monotonic()
                try:
                    self._cache.set(key, MARK, MARK_LIFE)
                except Exception:  # whatever kind of cache it is
                    if time.monotonic() - begun > PATIENCE:
                        raise
                    self._cache.delete(key)
        except StoreUnavailable as error:
            logger.warning("Session %s may be read as it was for %s seconds: %s", session_id, COPY_LIFE, error)
            return False
        return True

    def _quietly(self, ask: Callable[[], T], default: T) -> T:
        """A cache that is away costs a read of the database, not the request."""
        if time.monotonic() < self._left_alone_until:
            return default
        try:
            with store_errors(self.alias):
                return ask()
        except StoreUnavailable as error:
            logger.warning("Sessions are read from the database alone: %s", error)
            self._left_alone_until = time.monotonic() + LEFT_ALONE
            return default
