"""The contract of a store. Write one class of it, run the contract tests on it, and it can back an engine.

Not found is a value. An exception means that the store is broken: ``StoreUnavailable`` if it did not answer or refused.
Every verb may be repeated without harm, because a reply can be lost and clients of stores repeat by themselves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import NamedTuple

from asgiref.sync import sync_to_async

from .. import clock
from ..conf import settings
from ..exceptions import StoreUnavailable, UnreadableRecord
from ..flows import Flow, Step
from ..formats import Format
from ..states import EndReason, SessionMode
from .record import TOMBSTONE_LIFE, Record, Tombstone
from .selection import EVERYTHING, Selection
from .statistics import Sample, Tally
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


class Claim(NamedTuple):
    """An expired session, for one caller to announce."""

    session_id: str
    reason: EndReason
    record: Record | None
    """Its last state; nothing if that could not be read."""
    mark: bytes
    """By which the store knows the claim."""


class Overdue(NamedTuple):
    """What ``claim_overdue`` has found."""

    claims: Sequence[Claim]
    missed: int = 0
    """Sessions that have expired, and whose last state the store no longer has."""
    is_all: bool = True
    """Whether nothing is left that nobody has claimed."""


class Store(ABC):
    """The verbs, and by default their async twins in a thread."""

    may_bring_back = False
    """Whether what has ended may be there again, by a replica that was behind or a backup."""

    lists_sessions = True
    """Whether ``newest``, ``of_user`` and ``count`` can be answered."""

    @property
    def is_provisional(self) -> bool:
        """Whether what is written now may be taken back, by a transaction around it that is rolled back."""
        return False

    def after_commit(self, act: Callable[[], object]) -> bool:
        """Has ``act`` called when what was written can no longer be taken back; ``False`` if that is so already."""
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

    def claim_overdue(self, now: int, limit: int, lease: int) -> Overdue:
        """Ends the sessions that are over by more than ``GRACE``, ``limit`` at most, for the caller to announce.

        Whoever asks for one of them finds a tombstone, but the last state is kept until ``settle``. Nobody else gets
        them within ``lease`` seconds; who has not settled them by then is taken to have died, and they are given out
        again. A store that cannot list its sessions finds none.
        """
        return Overdue(())

    def settle(self, claims: Sequence[Claim], now: int) -> None:
        """The ends of ``claims`` are announced, and what was kept for that goes.

        A tombstone stays for as long as a token of the session could be taken for one that must open something.
        """
        raise self._cannot_list()

    def reserve(self, user: str, session_id: str, leaving: Sequence[str], limit: int, now: int, until: int) -> bool:
        """Keeps a place for a session of ``user`` that is about to be stored, until ``until`` at most.

        ``False`` if the user has ``limit`` live sessions or places without it and those that are ``leaving``. No two
        callers get the same last place.
        """
        raise self._cannot_list()

    def release(self, user: str, session_id: str) -> None:
        """Gives back what ``reserve`` has kept."""
        raise self._cannot_list()

    @abstractmethod
    def clear_expired(self, now: int) -> int:
        """Removes what is left of sessions that have ended, when its time is over. Answers how much that was."""

    def has_spread(self, session_id: str) -> bool:
        """Whether as many replicas as ``REPLICA_ACKS`` says know by now what became of the session."""
        return True

    async def ahas_spread(self, session_id: str) -> bool:
        return await sync_to_async(self.has_spread)(session_id)

    def incarnation(self) -> str | None:
        """What changes when the store may have gone back in time; ``None`` if that cannot be known."""
        return None

    async def aincarnation(self) -> str | None:
        return await sync_to_async(self.incarnation)()

    def time(self) -> int | None:
        """Seconds since the epoch by the store's own clock, which all machines share; ``None`` if it has none."""
        return None

    def checking_clock(self) -> Flow[None]:
        """Sets this machine's clock right, before anything is ended because of it (REQ-R35)."""
        if not clock.is_checked():
            with suppress(StoreUnavailable):  # who has something to ask will be told by itself
                asked = monotonic()
                moment = yield Step(self.time, self.atime)
                clock.set_by(moment, took=monotonic() - asked)

    def newest(self, now: int, limit: int, offset: int = 0, selection: Selection = EVERYTHING) -> Sequence[str]:
        """Ids of live sessions, the one last used first, or as ``selection`` has it.

        Fewer than ``limit`` also if some of the page have expired, and are still to be announced.
        """
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

    def at_address(self, address: str, now: int, limit: int) -> Sequence[str]:
        """Ids of the live sessions whose client's first or last address is ``address``, ``limit`` at most."""
        raise self._cannot_list()

    def count(self, now: int, selection: Selection = EVERYTHING) -> int:
        """How many sessions are live, or how many of ``selection`` are.

        Of those used within a span, a store may count some that have expired, and are still to be announced; and a
        large count may be some seconds old.
        """
        raise self._cannot_list()

    def count_by_user(self, now: int) -> tuple[int, int]:
        """How many sessions are live, and in how many of them somebody is signed in."""
        return self.count(now), self.count(now, Selection(signed_in=True))

    def tally(self, now: int) -> Tally:
        """What has happened within the last hour, as far as the store knows. An expiry counts when it is announced."""
        return Tally(0, {})

    def keep_sample(self, sample: Sample) -> bool:
        """Keeps ``sample`` for ``SAMPLES_LIFE``, unless there is one of the same time. ``False`` if it keeps none."""
        return False

    def samples(self, since: int) -> Sequence[Sample]:
        """The samples of ``since`` or later, the earliest first, without those of a clock that was ahead."""
        return ()

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

    async def aclaim_overdue(self, now: int, limit: int, lease: int) -> Overdue:
        return await sync_to_async(self.claim_overdue)(now, limit, lease)

    async def areserve(
        self, user: str, session_id: str, leaving: Sequence[str], limit: int, now: int, until: int
    ) -> bool:
        return await sync_to_async(self.reserve)(user, session_id, leaving, limit, now, until)

    async def arelease(self, user: str, session_id: str) -> None:
        await sync_to_async(self.release)(user, session_id)

    async def asettle(self, claims: Sequence[Claim], now: int) -> None:
        await sync_to_async(self.settle)(claims, now)

    async def atime(self) -> int | None:
        return await sync_to_async(self.time)()

    async def anewest(self, now: int, limit: int, offset: int = 0, selection: Selection = EVERYTHING) -> Sequence[str]:
        return await sync_to_async(self.newest)(now, limit, offset, selection)

    async def aload_many(self, session_ids: Sequence[str]) -> Sequence[Record]:
        return await sync_to_async(self.load_many)(session_ids)

    async def aof_user(self, user: str, now: int) -> Sequence[str]:
        return await sync_to_async(self.of_user)(user, now)

    async def aat_address(self, address: str, now: int, limit: int) -> Sequence[str]:
        return await sync_to_async(self.at_address)(address, now, limit)

    async def acount(self, now: int, selection: Selection = EVERYTHING) -> int:
        return await sync_to_async(self.count)(now, selection)

    async def acount_by_user(self, now: int) -> tuple[int, int]:
        return await sync_to_async(self.count_by_user)(now)

    async def atally(self, now: int) -> Tally:
        return await sync_to_async(self.tally)(now)

    async def akeep_sample(self, sample: Sample) -> bool:
        return await sync_to_async(self.keep_sample)(sample)

    async def asamples(self, since: int) -> Sequence[Sample]:
        return await sync_to_async(self.samples)(since)


def tombstone_life(claim: Claim, now: int) -> int:
    """Seconds for which a token of the session could be taken for one that must open something; 0 if it cannot be.

    That is so if the session had less time than its mode gives it.
    """
    if claim.record is None:
        return TOMBSTONE_LIFE
    is_permanent = claim.record.mode is SessionMode.PERM
    lifetime = settings().perm_seconds if is_permanent else settings().temp_seconds
    return max(0, claim.record.modified + lifetime - now)
