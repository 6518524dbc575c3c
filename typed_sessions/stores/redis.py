"""Records in Redis or Valkey, through the connection of django-redis: one server, Sentinel, or a cluster.

A read is one GET, every other verb one script. On a cluster, where a script may touch one slot only, the index follows
the record by idempotent writes, and a replacement is taken back if its second half fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from django.core.exceptions import ImproperlyConfigured

from .. import clock, conf
from ..exceptions import StoreUnavailable, UnreadableRecord
from ..flows import Flow, Step, adrive, drive
from ..formats import JSON, format_of
from ..states import EndReason
from . import scripts, wire
from .base import Conflict, Gone, Outcome, Saved, Store
from .record import FORMAT, GRACE, LINGER, TOMBSTONE_LIFE, Record, Tombstone
from .redis_claims import RedisClaims
from .redis_connection import store_errors
from .redis_keys import KINDS, without
from .scripts import Command
from .selection import EVERYTHING, Selection
from .statistics import RECENT, SAMPLES_LIFE, Sample, Tally

ACKS_WITHIN = 0.3
"""Seconds that replicas have to say that they have heard of an end."""
INDEX_LAG = 60
"""Seconds that the index may lag behind a record that is saved again and again."""
_SWEEP = 1000
"""Index entries removed in one round trip."""


class RedisStore(RedisClaims, Store):
    """``alias`` names a cache of django-redis, of which the store takes the connection and the ``KEY_PREFIX``."""

    may_bring_back = True

    # The verbs

    def load(self, session_id: str) -> Record | Tombstone | None:
        return self._found(session_id, self._execute(Command("GET", (self._names.record(session_id),))))

    async def aload(self, session_id: str) -> Record | Tombstone | None:
        return self._found(session_id, await self._aexecute(Command("GET", (self._names.record(session_id),))))

    def create(self, record: Record) -> bool:
        return drive(self._creating(record))

    async def acreate(self, record: Record) -> bool:
        return await adrive(self._creating(record))

    def save(self, record: Record, base: Record) -> Outcome:
        return drive(self._saving(record, base))

    async def asave(self, record: Record, base: Record) -> Outcome:
        return await adrive(self._saving(record, base))

    def touch(self, record: Record, seen: int, expires: int) -> bool:
        return drive(self._touching(record, seen, expires))

    async def atouch(self, record: Record, seen: int, expires: int) -> bool:
        return await adrive(self._touching(record, seen, expires))

    def replace(self, record: Record, base: Record) -> Outcome:
        return drive(self._replacing(record, base))

    async def areplace(self, record: Record, base: Record) -> Outcome:
        return await adrive(self._replacing(record, base))

    def end(self, session_id: str, reason: EndReason, now: int, user: str | None = None) -> Record | None:
        return drive(self._ending(session_id, reason, now, user))

    async def aend(self, session_id: str, reason: EndReason, now: int, user: str | None = None) -> Record | None:
        return await adrive(self._ending(session_id, reason, now, user))

    def reserve(self, user: str, session_id: str, leaving: Sequence[str], limit: int, now: int, until: int) -> bool:
        return bool(self._execute(self._reserve(user, session_id, leaving, limit, now, until)))

    async def areserve(
        self, user: str, session_id: str, leaving: Sequence[str], limit: int, now: int, until: int
    ) -> bool:
        return bool(await self._aexecute(self._reserve(user, session_id, leaving, limit, now, until)))

    def release(self, user: str, session_id: str) -> None:
        self._execute(self._release(user, session_id))

    async def arelease(self, user: str, session_id: str) -> None:
        await self._aexecute(self._release(user, session_id))

    def has_spread(self, session_id: str) -> bool:
        wanted = conf.settings().replica_acks
        if not wanted or self._is_cluster:
            return True
        # Of what other connections have written, only a write of this one can tell: the end once more, in effect.
        write = ("EVAL", scripts.AGAIN.source, 1, self._names.record(session_id))
        with store_errors():
            *_, heard = self._send_all(write, ("WAIT", wanted, int(ACKS_WITHIN * 1000)))
        return int(heard) >= wanted

    def incarnation(self) -> str | None:
        try:
            with store_errors():
                found = self._client.info("server", **self._every_master)
        except StoreUnavailable:
            return None  # it may not be asked, or is away: then everybody else will be told
        servers = [found] if "run_id" in found else found.values()
        return " ".join(sorted(str(server["run_id"]) for server in servers))

    @property
    def _every_master(self) -> dict[str, Any]:
        return {"target_nodes": "primaries"} if self._is_cluster else {}

    def time(self) -> int | None:
        return int(self._execute(self._time()))

    async def atime(self) -> int | None:
        return int(await self._aexecute(self._time()))

    def clear_expired(self, now: int) -> int:
        return drive(self._clearing(now))

    async def aclear_expired(self, now: int) -> int:
        return await adrive(self._clearing(now))

    def newest(self, now: int, limit: int, offset: int = 0, selection: Selection = EVERYTHING) -> Sequence[str]:
        return drive(self._listing(now, limit, offset, selection))

    async def anewest(self, now: int, limit: int, offset: int = 0, selection: Selection = EVERYTHING) -> Sequence[str]:
        return await adrive(self._listing(now, limit, offset, selection))

    def load_many(self, session_ids: Sequence[str]) -> Sequence[Record]:
        return drive(self._loading_many(session_ids))

    async def aload_many(self, session_ids: Sequence[str]) -> Sequence[Record]:
        return await adrive(self._loading_many(session_ids))

    def of_user(self, user: str, now: int) -> Sequence[str]:
        return drive(self._of_user(user, now))

    async def aof_user(self, user: str, now: int) -> Sequence[str]:
        return await adrive(self._of_user(user, now))

    def at_address(self, address: str, now: int, limit: int) -> Sequence[str]:
        return drive(self._at_address(address, now, limit))

    async def aat_address(self, address: str, now: int, limit: int) -> Sequence[str]:
        return await adrive(self._at_address(address, now, limit))

    def count(self, now: int, selection: Selection = EVERYTHING) -> int:
        return sum(self._execute(self._count(now, selection)))

    async def acount(self, now: int, selection: Selection = EVERYTHING) -> int:
        return sum(await self._aexecute(self._count(now, selection)))

    def count_by_user(self, now: int) -> tuple[int, int]:
        return _live_and_signed_in(self._execute(self._count(now, EVERYTHING)))

    async def acount_by_user(self, now: int) -> tuple[int, int]:
        return _live_and_signed_in(await self._aexecute(self._count(now, EVERYTHING)))

    def tally(self, now: int) -> Tally:
        return drive(self._tallying(now))

    async def atally(self, now: int) -> Tally:
        return await adrive(self._tallying(now))

    def keep_sample(self, sample: Sample) -> bool:
        return bool(self._execute(self._keep_sample(sample)))

    async def akeep_sample(self, sample: Sample) -> bool:
        return bool(await self._aexecute(self._keep_sample(sample)))

    def samples(self, since: int) -> Sequence[Sample]:
        return _samples(self._execute(self._samples(since)))

    async def asamples(self, since: int) -> Sequence[Sample]:
        return _samples(await self._aexecute(self._samples(since)))

    # What they do

    def _creating(self, record: Record, is_new: bool = True) -> Flow[bool]:
        """``is_new``: not one that goes on under another id."""
        now = clock.now()
        keys = () if self._is_cluster else (self._tally_key(now), *self._index_of(record))
        arguments = (*self._arguments(record), now // 60, scripts.TALLY_LIFE)
        command = Command(scripts.CREATE, (self._names.record(record.id), *keys), arguments)
        done = yield self._step(command)
        if not done:
            return False
        yield from self._indexing(record)
        if self._is_cluster and is_new and done == 1:
            yield from self._counting_events({"started": 1}, now)
        return True

    def _saving(self, record: Record, base: Record) -> Flow[Outcome]:
        listed = _is_index_due(record, base)
        keeps = int(record.keeps_clocks_of(base))
        # Whoever ends all sessions of a user must not miss one: that part of the index never lags.
        index = self._index_of(record) if listed else self._names.user_of(record)
        left = without(self._index_of(base), self._index_of(record))
        keys = (self._names.record(record.id), *(() if self._is_cluster else (*left, *index)))
        of_index = (0, 0) if self._is_cluster else (int(listed), len(left))
        arguments = (*self._arguments(record), wire.stamp(base), keeps, *of_index)
        outcome = self._outcome(record, base, (yield self._step(Command(scripts.SAVE, keys, arguments))))
        if isinstance(outcome, Saved):
            yield from self._indexing(record, forward=bool(keeps), listed=listed)
            yield from self._leaving_for(record, base)
        return outcome

    def _touching(self, record: Record, seen: int, expires: int) -> Flow[bool]:
        arguments = (seen, expires, _time_to_live(expires), record.id, _index_life(expires), _owner_life(expires))
        keys = (self._names.record(record.id), *(() if self._is_cluster else self._index_of(record)))
        if not (yield self._step(Command(scripts.TOUCH, keys, arguments))):
            return False
        yield from self._indexing(msgspec.structs.replace(record, seen=seen, expires=expires), forward=True)
        return True

    def _replacing(self, record: Record, base: Record) -> Flow[Outcome]:
        if self._is_cluster:
            return (yield from self._replacing_on_cluster(record, base))
        names = self._names
        left = without(names.owners_of(base), names.owners_of(record))
        keys = (names.record(record.id), names.record(base.id), *names.lists_of(base), *left, *self._index_of(record))
        burying = (wire.stamp(base), _tombstone(EndReason.ROTATED), TOMBSTONE_LIFE, base.id, len(left))
        command = Command(scripts.REPLACE, keys, (*self._arguments(record), *burying))
        return self._outcome(record, base, (yield self._step(command)))

    def _replacing_on_cluster(self, record: Record, base: Record) -> Flow[Outcome]:
        if not (yield from self._creating(record, is_new=False)):
            return Gone(None)
        tombstone = _tombstone(EndReason.ROTATED, nonce=record.nonce)
        bury = (tombstone, TOMBSTONE_LIFE, wire.stamp(base), record.nonce)
        burying = self._step(Command(scripts.BURY, (self._names.record(base.id),), bury))
        try:
            try:
                reply = yield burying
            except StoreUnavailable:
                reply = yield burying  # once more, as it may have been done, and the reply lost
        except StoreUnavailable:
            # Two live sessions for one browser would outlive the sign-out of one of them.
            yield from self._undoing(record)
            raise
        outcome = self._outcome(record, base, reply)
        if isinstance(outcome, Saved):
            yield from self._leaving_index(base)
        else:
            yield from self._undoing(record)
        return outcome

    def _undoing(self, record: Record) -> Flow[None]:
        yield self._step(Command("DEL", (self._names.record(record.id),)))
        yield from self._leaving_index(record)

    def _ending(self, session_id: str, reason: EndReason, now: int, user: str | None) -> Flow[Record | None]:
        names, of_user = self._names, () if user is None else (self._names.user(user),)
        index = () if self._is_cluster else (*names.lists, *of_user, self._tally_key(now))
        keys = (names.record(session_id), *index)
        prefix = "" if self._is_cluster or user else names.users
        lingers = "" if reason in (EndReason.LOGGED_OUT, EndReason.ROTATED) else LINGER  # as record.outlives has it
        event = "" if reason is EndReason.ROTATED else f"{now // 60} {reason.value}"
        tombstone = (_tombstone(reason, now), TOMBSTONE_LIFE, lingers)
        arguments = (*tombstone, session_id, prefix, event, scripts.TALLY_LIFE)
        value = yield self._step(Command(scripts.END, keys, arguments))
        if value is None:
            return None
        try:
            record = wire.decode(session_id, value)
        except UnreadableRecord:
            return None
        if not isinstance(record, Record):
            return None
        if self._is_cluster:
            yield from self._leaving_index(record)
            if event:
                yield from self._counting_events({reason.value: 1}, now)
        elif user is None and not _is_legible(record):
            yield from self._leaving_user(record)  # the script could not read whose it was
        return record

    def _clearing(self, now: int) -> Flow[int]:
        # Redis removes the records by itself; what is left are the entries that point to them.
        removed = 0
        while cleared := (yield self._step(Command(scripts.CLEAR, self._names.lists, (now - LINGER, _SWEEP)))):
            removed += cleared
        return removed

    def _indexing(self, record: Record, forward: bool = False, listed: bool = True) -> Flow[None]:
        """On a cluster: the part of a script that concerns the index."""
        if not self._is_cluster:
            return
        if listed:
            arguments = (record.id, _index_life(record.expires), int(forward), "", record.seen, record.expires)
            yield self._step(Command(scripts.INDEX, self._names.lists_of(record), arguments))
        owner = (record.id, _owner_life(record.expires), int(forward), clock.now() - GRACE, record.expires)
        for key in self._names.owners_of(record) if listed else self._names.user_of(record):
            yield self._step(Command(scripts.INDEX, (key,), owner))

    def _leaving_index(self, record: Record) -> Flow[None]:
        yield from self._dropping_entries((record.id,), *self._names.lists)
        yield from self._leaving_user(record)

    def _leaving_for(self, record: Record, base: Record) -> Flow[None]:
        """On a cluster: takes ``base`` out of where it is not, now that it is ``record``."""
        if not self._is_cluster:
            return
        lists = without(self._names.lists_of(base), self._names.lists_of(record))
        yield from self._dropping_entries((base.id,), *lists)
        if base.user != record.user:
            yield from self._leaving_user(base)

    def _leaving_user(self, record: Record) -> Flow[None]:
        if record.user:
            yield self._step(Command("ZREM", (self._names.user(record.user),), (record.id,)))

    def _listing(self, now: int, limit: int, offset: int, selection: Selection) -> Flow[Sequence[str]]:
        if limit < 1:
            return []
        keys = self._lists_for(selection)
        root = "" if self._is_cluster else self._names.root
        arguments = (offset, limit, now, root, *_bounds(selection, now), int(selection.ascending))
        live, halves = map(_texts, (yield self._step(Command(scripts.NEWEST, keys, arguments))))
        if not self._is_cluster:
            return live
        yield from self._resolving(halves)
        return (yield from self._resolving(live))

    def _lists_for(self, selection: Selection) -> tuple[str, ...]:
        """The lists in the order of ``selection``, and then again those by expiry."""
        keys = self._names.lists_for(selection)
        by_seen, by_expiry = keys[: len(keys) // 2], keys[len(keys) // 2 :]
        return (*(by_seen if selection.by == "seen" else by_expiry), *by_expiry)

    def _resolving(self, session_ids: Sequence[str], *owners: str) -> Flow[Sequence[str]]:
        """On a cluster: those of whom something is there. The others leave the index."""
        keys = [self._names.record(session_id) for session_id in session_ids]
        counts = yield from self._each("EXISTS", keys)
        gone = tuple(session_id for session_id, count in zip(session_ids, counts, strict=True) if not count)
        with suppress(StoreUnavailable):  # what takes no writes can still be read
            yield from self._dropping_entries(gone, *self._names.lists)
            for key in owners if gone else ():
                yield self._step(Command("ZREM", (key,), gone))
        return [session_id for session_id in session_ids if session_id not in gone]

    def _loading_many(self, session_ids: Sequence[str]) -> Flow[Sequence[Record]]:
        keys = [self._names.record(session_id) for session_id in session_ids]
        values = yield from self._values(keys)
        found = []
        for session_id, value in zip(session_ids, values, strict=True):
            with suppress(UnreadableRecord):
                found.append(self._found(session_id, value))
        return [record for record in found if isinstance(record, Record)]

    def _values(self, keys: Sequence[str]) -> Flow[Sequence[bytes | None]]:
        if not self._is_cluster:
            return (yield self._step(Command("MGET", tuple(keys)))) if keys else []
        return (yield from self._each("GET", keys))

    def _each(self, name: str, keys: Sequence[str]) -> Flow[Sequence[Any]]:
        """On a cluster, where keys are in different slots: the same command for each, about one round trip for all."""
        return (yield Step(self._execute_each, self._aexecute_each, (name, keys))) if keys else []

    def _of_user(self, user: str, now: int) -> Flow[Sequence[str]]:
        key = self._names.user(user)
        if not self._is_cluster:
            command = Command(scripts.OF_USER, (key, *self._names.lists), (now, self._names.root))
            return _texts((yield self._step(command)))
        members = _texts((yield self._step(Command("ZREVRANGEBYSCORE", (key,), ("+inf", f"({now}")))))
        ids = [member for member in members if not member.startswith(scripts.RESERVED)]
        return (yield from self._resolving(ids, key))

    def _at_address(self, address: str, now: int, limit: int) -> Flow[Sequence[str]]:
        key, found, read = self._names.addresses + address, list[str](), 0
        while len(found) < limit:
            page = ("+inf", f"({now}", "LIMIT", read, limit)
            ids = _texts((yield self._step(Command("ZREVRANGEBYSCORE", (key,), page))))
            # Who ends a session does not know its addresses, so that those that have ended are still here.
            records = yield from self._loading_many(ids)
            there = [record.id for record in records if record.is_live(now) and address in record.addresses]
            gone = without(ids, there)
            if gone:
                with suppress(StoreUnavailable):  # what takes no writes can still be read
                    yield self._step(Command("ZREM", (key,), gone))
            found += there
            read += len(there)
            if len(ids) < limit:
                break
        return found[:limit]

    def _reserve(self, user: str, session_id: str, leaving: Sequence[str], limit: int, now: int, until: int) -> Command:
        arguments = (session_id, limit, now, until, *leaving)
        return Command(scripts.RESERVE, (self._names.user(user),), arguments)

    def _release(self, user: str, session_id: str) -> Command:
        return Command("ZREM", (self._names.user(user),), (scripts.RESERVED + session_id,))

    def _time(self) -> Command:
        return Command(scripts.TIME, (self._names.claimed,))

    def _count(self, now: int, selection: Selection) -> Command:
        return Command(scripts.COUNT, self._lists_for(selection), (now, *_bounds(selection, now)))

    def _tallying(self, now: int) -> Flow[Tally]:
        counts = Counter[str]()
        for hour in (now // 3600 - 1, now // 3600):
            flat = yield self._step(Command("HGETALL", (self._names.tally(hour),)))
            for field, times in _fields(flat):
                minute, event = field.split(" ")
                counts[event] += times if int(minute) > (now - RECENT) // 60 else 0
        ended = {EndReason(event): times for event, times in counts.items() if event != "started" and times}
        return Tally(counts["started"], ended)

    def _keep_sample(self, sample: Sample) -> Command:
        arguments = (sample.at, " ".join(map(str, sample)), SAMPLES_LIFE)
        return Command(scripts.SAMPLE, (self._names.samples,), arguments)

    def _samples(self, since: int) -> Command:
        return Command("ZRANGEBYSCORE", (self._names.samples,), (since, clock.now()))

    # Keys, arguments, replies

    def _index_of(self, record: Record) -> tuple[str, ...]:
        return (*self._names.lists_of(record), *self._names.owners_of(record))

    def _arguments(self, record: Record) -> tuple[Any, ...]:
        expires = record.expires
        life = (_time_to_live(expires), wire.stamp(record))
        index = (record.id, record.seen, expires, _index_life(expires), _owner_life(expires), clock.now() - GRACE)
        return (wire.encode(record), *life, *index)

    def _outcome(self, record: Record, base: Record, reply: list[Any]) -> Outcome:
        if reply[0] == 1:
            return Saved(record)
        there = self._found(base.id, reply[1]) if reply[0] == 0 else None
        if isinstance(there, Record) and there.follows(record):
            return Saved(record)
        return Conflict(there) if isinstance(there, Record) else Gone(there)

    def _found(self, session_id: str, value: bytes | None) -> Record | Tombstone | None:
        if isinstance(value, str):
            raise ImproperlyConfigured(f"CACHES[{self.alias!r}] has decode_responses=True, and records are bytes.")
        return None if value is None else wire.decode(session_id, value)


def _tombstone(reason: EndReason, now: int | None = None, nonce: str = "") -> bytes:
    ended = clock.now() if now is None else now
    return wire.encode(Tombstone(format=FORMAT, ended=ended, reason=reason, nonce=nonce))


def _is_index_due(record: Record, base: Record) -> bool:
    """Whether the index has to follow a save at once. That its clocks lag by less than the grace ends no session."""
    return (
        record.seen // INDEX_LAG != base.seen // INDEX_LAG
        or not 0 <= record.expires - base.expires < INDEX_LAG
        or (record.mode, record.user, record.addresses) != (base.mode, base.user, base.addresses)
    )


def _time_to_live(expires: int) -> int:
    return max(1, expires + LINGER - clock.now())


def _owner_life(expires: int) -> int:
    """Of the key of a user or an address: what is over is not listed, and who announces its end finds it without."""
    return max(1, expires - clock.now())


def _index_life(expires: int) -> int:
    settings = conf.settings()
    return LINGER + max(expires - clock.now(), settings.temp_seconds, settings.perm_seconds)


def _is_legible(record: Record) -> bool:
    """Whether a script can read in the record whose it is."""
    return format_of(record.data) is JSON and JSON.dumps(record.user) == f'"{record.user}"'.encode()


def _bounds(selection: Selection, now: int) -> tuple[int | str, int | str]:
    """The lowest score of what is selected, and the first that is too high. Of expiries, none that is over."""
    since, before = selection.since, selection.before
    if selection.by == "expires":
        since = max(now + 1, since or 0)
    return "-inf" if since is None else since, "+inf" if before is None else before


def _live_and_signed_in(counts: Sequence[int]) -> tuple[int, int]:
    signed_in = (count for count, (_, is_signed_in) in zip(counts, KINDS, strict=True) if is_signed_in)
    return sum(counts), sum(signed_in)


def _fields(reply: Any) -> Iterator[tuple[str, int]]:
    """Of a hash of numbers: pairs, which a newer protocol and some clients make themselves."""
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    return ((field.decode(), int(number)) for field, number in pairs)


def _samples(members: Iterable[bytes]) -> list[Sample]:
    return [Sample(*map(int, member.split())) for member in members]


def _texts(members: Iterable[bytes]) -> list[str]:
    return [member.decode() for member in members]
