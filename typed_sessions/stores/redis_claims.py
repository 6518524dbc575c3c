"""Sessions in Redis that have expired: found by the index, claimed for one caller, and put away when announced.

A claim stands in the record's place, so that one script with one key decides it, on one node and on a cluster. That the
session is also entered among the claimed ones is written before, and its entries in the index go after: whatever comes
between, somebody finds it again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from ..exceptions import UnreadableRecord
from ..flows import Flow, adrive, drive
from ..states import EndReason
from . import scripts, wire
from .base import Claim, Overdue, tombstone_life
from .record import FORMAT, GRACE, Record, Tombstone, new_nonce
from .redis_connection import RedisConnection
from .redis_keys import RedisKeys, without
from .scripts import Command, Script

_CLAIM_LIFE = 86_400
"""Seconds for which what was claimed by somebody who has died waits for somebody else."""
_HEAD = 128
"""Bytes in which a stored value is told from any other of the same key."""


class _Found(NamedTuple):
    """What stands under a key that the index takes for that of an expired session."""

    session_id: str
    key: str
    value: bytes | None
    last: bytes | None
    """The record's bytes, if it can be read."""
    record: Record | None
    reason: EndReason | None
    """Why the session is over; nothing if it is not, or if there is nothing to announce any more."""
    taken_until: int = 0
    """Until when it is somebody else's to announce, if it is."""

    @property
    def head(self) -> bytes:
        return (self.value or b"")[:_HEAD]


class RedisClaims(RedisConnection, ABC):
    """The part of the Redis store that announcing needs."""

    def claim_overdue(self, now: int, limit: int, lease: int) -> Overdue:
        return drive(self._claiming(now, limit, lease))

    async def aclaim_overdue(self, now: int, limit: int, lease: int) -> Overdue:
        return await adrive(self._claiming(now, limit, lease))

    def settle(self, claims: Sequence[Claim], now: int) -> None:
        drive(self._settling(claims, now))

    async def asettle(self, claims: Sequence[Claim], now: int) -> None:
        await adrive(self._settling(claims, now))

    @abstractmethod
    def _values(self, keys: Sequence[str]) -> Flow[Sequence[bytes | None]]: ...

    @cached_property
    def _names(self) -> RedisKeys:
        return RedisKeys(self._prefix)

    def _claiming(self, now: int, limit: int, lease: int) -> Flow[Overdue]:
        abandoned = yield self._step(Command(scripts.OVERDUE, (self._names.claimed,), (now, limit)))
        overdue = yield self._step(Command(scripts.OVERDUE, self._names.all_expiry, (now - GRACE, limit)))
        ids = [member.decode() for member in dict.fromkeys([*abandoned, *overdue])][:limit]
        keys = [self._names.record(session_id) for session_id in ids]
        values = yield from self._values(keys)
        found = [_found(*each, now) for each in zip(ids, keys, values, strict=True)]
        yield from self._setting_right([each for each in found if each.record and not each.reason])
        yield from self._leaving_to_others([each for each in found if each.taken_until])
        nothing = [each for each in found if not (each.record or each.reason or each.taken_until)]
        # Who has announced it has taken it out of the index before: what is still there was never announced.
        lost = (each.session_id for each in nothing if each.value is None)
        missed = yield from self._dropping_entries(lost, *self._names.all_expiry)
        yield from self._dropping(each.session_id for each in nothing)
        claims = yield from self._claiming_for_good([each for each in found if each.reason], now, lease)
        return Overdue(claims, missed, is_all=len(ids) < limit)

    def _claiming_for_good(self, found: Sequence[_Found], now: int, lease: int) -> Flow[Sequence[Claim]]:
        if not found:
            return []
        holder, until = new_nonce() + new_nonce(), now + lease
        yield from self._entering_claims((each.session_id, until) for each in found)
        marks = []
        for each in found:
            assert each.reason is not None
            tombstone = Tombstone(format=FORMAT, ended=now, reason=each.reason)
            marks.append(wire.encode_claimed(tombstone, holder, until, each.last))
        pairs = [(each.head, mark) for each, mark in zip(found, marks, strict=True)]
        done = yield from self._scripted(scripts.CLAIM, [each.key for each in found], (_CLAIM_LIFE,), pairs)
        claims = [
            Claim(each.session_id, each.reason, each.record, mark[:_HEAD])
            for each, mark, result in zip(found, marks, done, strict=True)
            if result == 1 and each.reason is not None
        ]
        yield from self._dropping_entries((claim.session_id for claim in claims), *self._names.lists)
        yield from self._dropping(each.session_id for each, result in zip(found, done, strict=True) if result == -1)
        return claims

    def _settling(self, claims: Sequence[Claim], now: int) -> Flow[None]:
        if not claims:
            return
        arguments = [
            (
                claim.mark,
                wire.encode(Tombstone(format=FORMAT, ended=now, reason=claim.reason)),
                tombstone_life(claim, now),
            )
            for claim in claims
        ]
        keys = [self._names.record(claim.session_id) for claim in claims]
        done = yield from self._scripted(scripts.SETTLE, keys, (), arguments)
        # Not what somebody else has taken over since.
        settled = [(claim, result) for claim, result in zip(claims, done, strict=True) if result]
        yield from self._dropping_entries((claim.session_id for claim, _ in settled), self._names.claimed)
        yield from self._counting_events(Counter(claim.reason.value for claim, result in settled if result == 1), now)

    def _counting_events(self, events: Mapping[str, int], now: int) -> Flow[None]:
        fields = [part for event, times in events.items() for part in (f"{now // 60} {event}", times)]
        if fields:
            key = self._tally_key(now)
            yield self._step(Command(scripts.COUNT_EVENTS, (key,), (scripts.TALLY_LIFE, *fields)))

    def _tally_key(self, now: int) -> str:
        return self._names.tally(now // 3600)

    def _entering_claims(self, entries: Iterable[tuple[str, int]]) -> Flow[None]:
        members = tuple(part for session_id, until in entries for part in (until, session_id))
        if members:
            yield self._step(Command("ZADD", (self._names.claimed,), ("GT", *members)))
            yield self._step(Command("EXPIRE", (self._names.claimed,), (_CLAIM_LIFE,)))

    def _leaving_to_others(self, taken: Sequence[_Found]) -> Flow[None]:
        yield from self._entering_claims((each.session_id, each.taken_until) for each in taken)
        yield from self._dropping_entries((each.session_id for each in taken), *self._names.lists)

    def _setting_right(self, live: Sequence[_Found]) -> Flow[None]:
        """The index was behind, or somebody has claimed what was used again, or it stands where it no longer is."""
        for each in live:
            assert each.record is not None
            own = by_seen, by_expiry = self._names.lists_of(each.record)
            yield from self._dropping_entries((each.session_id,), *without(self._names.lists, own))
            yield self._step(Command("ZADD", (by_seen,), ("GT", each.record.seen, each.session_id)))
            yield self._step(Command("ZADD", (by_expiry,), ("GT", each.record.expires, each.session_id)))
        yield from self._dropping_entries((each.session_id for each in live), self._names.claimed)

    def _dropping(self, ids: Iterable[str]) -> Flow[None]:
        """There is nothing to announce any more: somebody has ended it, or it is gone."""
        yield from self._dropping_entries(ids, *self._names.lists, self._names.claimed)

    def _dropping_entries(self, ids: Iterable[str], *keys: str) -> Flow[int]:
        """Takes ``ids`` out of ``keys``, which a cluster keeps together. How many entries that were."""
        members = tuple(ids)
        if not members or not keys:
            return 0
        dropped: int = yield self._step(Command(scripts.DROP, keys, members))
        return dropped

    def _scripted(
        self, script: Script, keys: Sequence[str], common: tuple[Any, ...], each: Sequence[tuple[Any, ...]]
    ) -> Flow[Sequence[int]]:
        """One call of ``script`` on one node; on a cluster, where keys are in different slots, one for each key."""
        if not self._is_cluster:
            return (yield self._step(Command(script, tuple(keys), (*common, *_flat(each))))) or ()
        done = []
        for key, arguments in zip(keys, each, strict=True):
            result = yield self._step(Command(script, (key,), (*common, *arguments)))
            done += result if isinstance(result, list) else [result]
        return done


def _flat(each: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
    return (argument for arguments in each for argument in arguments)


def _found(session_id: str, key: str, value: bytes | None, now: int) -> _Found:
    nothing = _Found(session_id, key, value, None, None, None)
    if value is None:
        return nothing
    try:
        found = wire.decode(session_id, value)
    except UnreadableRecord:
        return nothing._replace(reason=EndReason.UNDECODABLE)
    if isinstance(found, Record):
        reason = found.overdue(now - GRACE)
        return _Found(session_id, key, value, value, found, reason)
    claimed = wire.decode_claimed(value)
    if claimed is None or claimed.until > now:
        return nothing._replace(taken_until=claimed.until if claimed else 0)
    last = bytes(claimed.last)
    try:
        record = wire.decode(session_id, last)
    except UnreadableRecord:
        return nothing._replace(reason=claimed.reason)
    return _Found(session_id, key, value, last, record if isinstance(record, Record) else None, claimed.reason)
