"""The contract of a store. Write one class of it, run the contract tests on it, and it can back an engine.

Not found is a value. An exception means that the store is broken: ``StoreUnavailable`` if it did not answer or refused.
Every verb may be repeated without harm, because a reply can be lost and clients of stores repeat by themselves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from asgiref.sync import sync_to_async

from ..exceptions import UnreadableRecord
from ..formats import Format
from ..states import EndReason
from .record import Record, Tombstone
from .wire import chosen_format


class Saved(NamedTuple):
    """The record is stored, by this call or by an earlier one whose reply was lost."""

    record: Record


class Conflict(NamedTuple):
    """Another save came first; ``record`` is what it stored, to merge with and try again."""

    record: Record


class Gone(NamedTuple):
    """There is no such record any more, and a save never brings one back."""

    tombstone: Tombstone | None


Outcome = Saved | Conflict | Gone


class Store(ABC):
    """The verbs, and by default their async twins in a thread."""

    lists_sessions = True
    """Whether ``newest``, ``of_user`` and ``count`` can be answered."""

    @property
    def is_provisional(self) -> bool:
        """Whether what is written now may be taken back, by a transaction around it that is rolled back."""
        return False

    @property
    def format(self) -> Format:
        """How records of this store hold their fields."""
        return chosen_format()

    @abstractmethod
    def load(self, session_id: str) -> Record | Tombstone | None:
        """The record, even if it is overdue; or why there is none; or nothing."""

    @abstractmethod
    def create(self, record: Record) -> bool:
        """Stores a new record. ``False`` if the id is taken by another."""

    @abstractmethod
    def save(self, record: Record, base: Record) -> Outcome:
        """Stores ``record`` in place of ``base``, if ``base`` is still what is stored.

        A touch since is no hindrance; if ``record`` has the clocks of ``base``, those of the touch stay.
        """

    @abstractmethod
    def touch(self, record: Record, seen: int, expires: int) -> bool:
        """Moves the clocks forward, never back, and writes nothing else. ``False`` if there is no such record."""

    @abstractmethod
    def replace(self, record: Record, base: Record) -> Outcome:
        """Rotation: ``record`` is stored under its own id, and ``base`` leaves a tombstone that says ``rotated``."""

    @abstractmethod
    def end(self, session_id: str, reason: EndReason, now: int, user: str | None = None) -> Record | None:
        """Ends a session, leaves a tombstone, and answers with its last state; nothing if there was none to end.

        ``user`` is whose it is, where the caller knows: it may save a round trip.
        """

    @abstractmethod
    def clear_expired(self, now: int) -> int:
        """Removes what is beyond expiry and grace. Answers how many records or index entries went."""

    def newest(self, now: int, limit: int, offset: int = 0) -> Sequence[str]:
        """Ids of live sessions, the one last used first."""
        raise self._cannot_list()

    def load_many(self, session_ids: Sequence[str]) -> Sequence[Record]:
        """The records that are there, in the order of the ids. What is gone or cannot be read is left out."""
        return [record for session_id in session_ids if (record := self._readable(session_id))]

    def _readable(self, session_id: str) -> Record | None:
        try:
            found = self.load(session_id)
        except UnreadableRecord:
            return None
        return found if isinstance(found, Record) else None

    def of_user(self, user: str, now: int) -> Sequence[str]:
        """Ids of the live sessions of a user, given as the primary key's text."""
        raise self._cannot_list()

    def count(self, now: int) -> int:
        """How many sessions are live."""
        raise self._cannot_list()

    def _cannot_list(self) -> NotImplementedError:
        return NotImplementedError(
            f"{type(self).__name__} cannot list sessions; use the redis, db or cached_db engine for that."
        )

    async def aload(self, session_id: str) -> Record | Tombstone | None:
        return await sync_to_async(self.load)(session_id)

    async def acreate(self, record: Record) -> bool:
        return await sync_to_async(self.create)(record)

    async def asave(self, record: Record, base: Record) -> Outcome:
        return await sync_to_async(self.save)(record, base)

    async def atouch(self, record: Record, seen: int, expires: int) -> bool:
        return await sync_to_async(self.touch)(record, seen, expires)

    async def areplace(self, record: Record, base: Record) -> Outcome:
        return await sync_to_async(self.replace)(record, base)

    async def aend(self, session_id: str, reason: EndReason, now: int, user: str | None = None) -> Record | None:
        return await sync_to_async(self.end)(session_id, reason, now, user)

    async def aclear_expired(self, now: int) -> int:
        return await sync_to_async(self.clear_expired)(now)

    async def anewest(self, now: int, limit: int, offset: int = 0) -> Sequence[str]:
        return await sync_to_async(self.newest)(now, limit, offset)

    async def aload_many(self, session_ids: Sequence[str]) -> Sequence[Record]:
        return await sync_to_async(self.load_many)(session_ids)

    async def aof_user(self, user: str, now: int) -> Sequence[str]:
        return await sync_to_async(self.of_user)(user, now)

    async def acount(self, now: int) -> int:
        return await sync_to_async(self.count)(now)
