"""Records in any Django cache. For development and memcached: a cache may drop what it holds, and cannot list it.

Django's cache API has no compare-and-set, so a write holds a short lease on its record while it looks and writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import msgspec

from .. import clock
from ..exceptions import StoreUnavailable, UnreadableRecord
from ..states import EndReason
from ..tokens import urn
from . import wire
from .base import Conflict, Gone, Outcome, Saved, Store
from .byte_cache import ByteCache, byte_cache
from .record import FORMAT, LINGER, TOMBSTONE_LIFE, Record, Tombstone, new_nonce, outlives

T = TypeVar("T")

LEASE = 5
"""Seconds after which the lease of a worker that died is free again."""
WAIT = 1.0
"""Seconds that a write waits for another one of the same session."""


class CacheStore(Store):
    """``alias`` names an entry of ``CACHES``."""

    lists_sessions = False

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def load(self, session_id: str) -> Record | Tombstone | None:
        with store_errors(self.alias):
            value = self._cache.get(urn(session_id))
        return None if value is None else wire.decode(session_id, value)

    def create(self, record: Record) -> bool:
        with store_errors(self.alias):
            if self._cache.add(urn(record.id), wire.encode(record), _time_to_live(record.expires)):
                return True
        try:
            there = self.load(record.id)
        except UnreadableRecord:
            return False
        return isinstance(there, Record) and there.nonce == record.nonce

    def save(self, record: Record, base: Record) -> Outcome:
        with self._lease(base.id) as is_held:
            there = self.load(base.id)
            outcome = _compared(record, base, there)
            if outcome is None and isinstance(there, Record) and record.keeps_clocks_of(base):
                record = msgspec.structs.replace(record, seen=there.seen, expires=there.expires)
            return outcome or self._put(record, is_held)

    def touch(self, record: Record, seen: int, expires: int) -> bool:
        with self._lease(record.id) as is_held:
            there = self.load(record.id)
            if not isinstance(there, Record):
                return False
            moved = msgspec.structs.replace(there, seen=max(seen, there.seen), expires=max(expires, there.expires))
            self._put(moved, is_held)
            return True

    def replace(self, record: Record, base: Record) -> Outcome:
        with self._lease(base.id) as is_held:
            done = self.load(record.id)
            if isinstance(done, Record) and done.nonce == record.nonce:
                return Saved(record)
            outcome = _compared(record, base, self.load(base.id))
            if outcome is None:
                outcome = self._put(record, is_held)
                try:
                    self._bury_at_last(base.id, EndReason.ROTATED, clock.now())
                except StoreUnavailable:
                    # Two live sessions for one browser would outlive the sign-out of one of them (REQ-S18).
                    with suppress(StoreUnavailable), store_errors(self.alias):
                        self._cache.delete(urn(record.id))
                    raise
            return outcome

    def end(self, session_id: str, reason: EndReason, now: int, user: str | None = None) -> Record | None:
        with self._lease(session_id):
            try:
                last = self.load(session_id)
            except UnreadableRecord:
                self._bury(session_id, reason, now)
                return None
            if not isinstance(last, Record):
                return None
            self._bury(session_id, reason, now, outlives(last, reason, now))
            return last

    def clear_expired(self, now: int) -> int:
        return 0  # the cache does it

    @property
    def _cache(self) -> ByteCache:
        return byte_cache(self.alias)

    def _put(self, record: Record, is_held: Callable[[], bool]) -> Saved:
        with store_errors(self.alias):
            if not is_held():
                raise StoreUnavailable(f"Session {record.id}: this request was too slow, and another has gone on")
            self._cache.set(urn(record.id), wire.encode(record), _time_to_live(record.expires))
        return Saved(record)

    def _bury_at_last(self, session_id: str, reason: EndReason, now: int) -> None:
        """``_bury``, once more if the reply was lost: what it did is not known then."""
        try:
            self._bury(session_id, reason, now)
        except StoreUnavailable:
            self._bury(session_id, reason, now)

    def _bury(self, session_id: str, reason: EndReason, now: int, life: int = TOMBSTONE_LIFE) -> None:
        tombstone = wire.encode(Tombstone(format=FORMAT, ended=now, reason=reason))
        with store_errors(self.alias):
            self._cache.set(urn(session_id), tombstone, life)

    @contextmanager
    def _lease(self, session_id: str) -> Iterator[Callable[[], bool]]:
        """Yields a way to ask whether the lease is still this request's."""
        key, mine = f"{urn(session_id)}:lease", new_nonce().encode()

        def is_held() -> bool:
            return bool(self._cache.get(key) == mine)

        deadline = time.monotonic() + WAIT
        with store_errors(self.alias):
            while not self._cache.add(key, mine, LEASE):
                if time.monotonic() > deadline:
                    raise StoreUnavailable(f"Session {session_id}: another request has been writing it for {WAIT} s")
                time.sleep(0.002)
        try:
            yield is_held
        finally:
            with store_errors(self.alias):
                if is_held():
                    self._cache.delete(key)


def _compared(record: Record, base: Record, there: Record | Tombstone | None) -> Outcome | None:
    """What stands in the way of saving, or says that it has been done; nothing if ``base`` is still there."""
    if not isinstance(there, Record):
        return Gone(there)
    if (there.revision, there.nonce) == (record.revision, record.nonce):
        return Saved(record)
    return None if (there.revision, there.nonce) == (base.revision, base.nonce) else Conflict(there)


def _time_to_live(expires: int) -> int:
    return max(1, expires + LINGER - clock.now())


@contextmanager
def store_errors(alias: str) -> Iterator[None]:
    """Whatever a cache backend raises when its server is away; each has errors of its own."""
    try:
        yield
    except StoreUnavailable:
        raise
    except Exception as error:
        raise StoreUnavailable(f"The cache {alias!r} did not answer: {type(error).__name__}: {error}") from error
