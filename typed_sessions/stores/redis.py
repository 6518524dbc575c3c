"""Records in Redis or Valkey, through the connection of django-redis: one server, Sentinel, or a cluster.

A read is one GET, every other verb one script. On a cluster, where a script may touch one slot only, the index follows
the record by idempotent writes, and a replacement is taken back if its second half fails.
"""

from __future__ import annotations

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
from ..tokens import urn
from . import scripts, wire
from .base import Conflict, Gone, Outcome, Saved, Store
from .record import FORMAT, GRACE, LINGER, TOMBSTONE_LIFE, Record, Tombstone
from .redis_claims import RedisClaims
from .redis_connection import store_errors
from .scripts import Command

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
        return self._found(session_id, self._execute(Command("GET", (self._key(session_id),))))

    async def aload(self, session_id: str) -> Record | Tombstone | None:
        return self._found(session_id, await self._aexecute(Command("GET", (self._key(session_id),))))

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
        write = ("EVAL", scripts.AGAIN.source, 1, self._key(session_id))
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

    def newest(self, now: int, limit: int, offset: int = 0) -> Sequence[str]:
        return drive(self._listing(now, limit, offset))

    async def anewest(self, now: int, limit: int, offset: int = 0) -> Sequence[str]:
        return await adrive(self._listing(now, limit, offset))

    def load_many(self, session_ids: Sequence[str]) -> Sequence[Record]:
        return drive(self._loading_many(session_ids))

    async def aload_many(self, session_ids: Sequence[str]) -> Sequence[Record]:
        return await adrive(self._loading_many(session_ids))

    def of_user(self, user: str, now: int) -> Sequence[str]:
        return drive(self._of_user(user, now))

    async def aof_user(self, user: str, now: int) -> Sequence[str]:
        return await adrive(self._of_user(user, now))

    def count(self, now: int) -> int:
        return int(self._execute(self._count(now)))

    async def acount(self, now: int) -> int:
        return int(await self._aexecute(self._count(now)))

    # What they do

    def _creating(self, record: Record) -> Flow[bool]:
        command = Command(scripts.CREATE, self._keys(record), self._arguments(record))
        if not (yield self._step(command)):
            return False
        yield from self._indexing(record)
        return True

    def _saving(self, record: Record, base: Record) -> Flow[Outcome]:
        is_index_due = _is_index_due(record, base)
        keys = self._keys(record)
        if not is_index_due:
            # Whoever ends all sessions of a user must not miss one: that part of the index never lags.
            keys = (keys[0], *keys[3:])
        keeps = int(record.keeps_clocks_of(base))
        command = Command(scripts.SAVE, keys, (*self._arguments(record), wire.stamp(base), keeps))
        outcome = self._outcome(record, base, (yield self._step(command)))
        if isinstance(outcome, Saved):
            yield from self._indexing(record, forward=bool(keeps), of_user_alone=not is_index_due)
            yield from self._leaving_user(base, record.user)
        return outcome

    def _touching(self, record: Record, seen: int, expires: int) -> Flow[bool]:
        arguments = (seen, expires, _time_to_live(expires), record.id, _index_life(expires), _user_index_life(expires))
        if not (yield self._step(Command(scripts.TOUCH, self._keys(record), arguments))):
            return False
        yield from self._indexing(msgspec.structs.replace(record, seen=seen, expires=expires), forward=True)
        return True

    def _replacing(self, record: Record, base: Record) -> Flow[Outcome]:
        if self._is_cluster:
            return (yield from self._replacing_on_cluster(record, base))
        new, *index = self._keys(record)
        arguments = (*self._arguments(record), wire.stamp(base), _tombstone(EndReason.ROTATED), TOMBSTONE_LIFE, base.id)
        command = Command(scripts.REPLACE, (new, self._key(base.id), *index), arguments)
        outcome = self._outcome(record, base, (yield self._step(command)))
        if isinstance(outcome, Saved):
            yield from self._leaving_user(base, record.user)
        return outcome

    def _replacing_on_cluster(self, record: Record, base: Record) -> Flow[Outcome]:
        if not (yield from self._creating(record)):
            return Gone(None)
        tombstone = _tombstone(EndReason.ROTATED, nonce=record.nonce)
        bury = (tombstone, TOMBSTONE_LIFE, wire.stamp(base), record.nonce)
        burying = self._step(Command(scripts.BURY, (self._key(base.id),), bury))
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
        yield self._step(Command("DEL", (self._key(record.id),)))
        yield from self._leaving_index(record)

    def _ending(self, session_id: str, reason: EndReason, now: int, user: str | None) -> Flow[Record | None]:
        keys = (self._key(session_id), *(() if self._is_cluster else self._index_keys(user)))
        prefix = "" if self._is_cluster or user else self._user_key("")
        lingers = "" if reason in (EndReason.LOGGED_OUT, EndReason.ROTATED) else LINGER  # as record.outlives has it
        arguments = (_tombstone(reason, now), TOMBSTONE_LIFE, lingers, session_id, prefix)
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
        elif format_of(record.data) is not JSON or JSON.dumps(record.user) != f'"{record.user}"'.encode():
            yield from self._leaving_user(record, user)  # the script could not read it
        return record

    def _clearing(self, now: int) -> Flow[int]:
        # Redis removes the records by itself; what is left are the entries that point to them.
        by_seen, by_expiry = self._index_keys(None)
        removed = 0
        while True:
            limits = ("-inf", f"({now - LINGER}", "WITHSCORES", "LIMIT", 0, _SWEEP)
            found = yield self._step(Command("ZRANGEBYSCORE", (by_expiry,), limits))
            expiries = dict(_pairs(found))
            if not expiries:
                return removed
            ids = tuple(expiries)
            seen = yield self._step(Command("ZMSCORE", (by_seen,), ids))
            now_expiring = yield self._step(Command("ZMSCORE", (by_expiry,), ids))
            # Only what nobody has used since: a session that was used has another score, now or when it is removed.
            dead = [
                (member, used, expires)
                for member, used, expires, again in zip(ids, seen, expiries.values(), now_expiring, strict=True)
                if again is not None and float(again) == float(expires)
            ]
            used = [part for member, score, _ in dead if score is not None for part in (member, score)]
            yield self._step(Command(scripts.REMOVE, (by_seen,), tuple(used)))
            overdue = [part for member, _, score in dead for part in (member, score)]
            removed += yield self._step(Command(scripts.REMOVE, (by_expiry,), tuple(overdue)))

    def _indexing(self, record: Record, forward: bool = False, of_user_alone: bool = False) -> Flow[None]:
        """On a cluster: the part of a script that concerns the index."""
        if not self._is_cluster:
            return
        by_seen, by_expiry, *of_user = self._index_keys(record.user)
        life, expires = _index_life(record.expires), record.expires
        for key, score, life_of_key, dead in (
            *(() if of_user_alone else ((by_seen, record.seen, life, ""), (by_expiry, expires, life, ""))),
            *((key, expires, _user_index_life(expires), clock.now() - GRACE) for key in of_user),
        ):
            yield self._step(Command(scripts.INDEX, (key,), (record.id, score, life_of_key, int(forward), dead)))

    def _leaving_index(self, record: Record) -> Flow[None]:
        for key in self._index_keys(record.user):
            yield self._step(Command("ZREM", (key,), (record.id,)))

    def _leaving_user(self, record: Record, staying: str | None) -> Flow[None]:
        """Takes a record out of its user's index, unless it is the one that the script was given."""
        if record.user and record.user != staying:
            yield self._step(Command("ZREM", (self._user_key(record.user),), (record.id,)))

    def _listing(self, now: int, limit: int, offset: int) -> Flow[Sequence[str]]:
        if limit < 1:
            return []
        by_seen, by_expiry = self._index_keys(None)
        if not self._is_cluster:
            arguments = (offset, limit, now, self._key(""))
            return _texts((yield self._step(Command(scripts.NEWEST, (by_seen, by_expiry), arguments))))
        page = yield self._step(Command("ZREVRANGE", (by_seen,), (offset, offset + limit - 1)))
        scores = (yield self._step(Command("ZMSCORE", (by_expiry,), tuple(page)))) if page else []
        expiries = dict(zip(_texts(page), scores, strict=True))
        unexpired = [session_id for session_id, score in expiries.items() if score is None or float(score) > now]
        there = yield from self._resolving(unexpired, by_seen, by_expiry)
        return [session_id for session_id in there if expiries[session_id] is not None]

    def _resolving(self, session_ids: Sequence[str], *index: str) -> Flow[Sequence[str]]:
        """On a cluster: those of whom something is there. The others leave the index."""
        keys = [self._key(session_id) for session_id in session_ids]
        counts = yield from self._each("EXISTS", keys)
        gone = tuple(session_id for session_id, count in zip(session_ids, counts, strict=True) if not count)
        with suppress(StoreUnavailable):  # what takes no writes can still be read
            for key in index if gone else ():
                yield self._step(Command("ZREM", (key,), gone))
        return [session_id for session_id in session_ids if session_id not in gone]

    def _loading_many(self, session_ids: Sequence[str]) -> Flow[Sequence[Record]]:
        keys = [self._key(session_id) for session_id in session_ids]
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
        index = (self._user_key(user), *self._index_keys(None))
        if not self._is_cluster:
            return _texts((yield self._step(Command(scripts.OF_USER, index, (now, self._key(""))))))
        members = _texts((yield self._step(Command("ZREVRANGEBYSCORE", index[:1], ("+inf", f"({now}")))))
        ids = [member for member in members if not member.startswith(scripts.RESERVED)]
        return (yield from self._resolving(ids, *index))

    def _reserve(self, user: str, session_id: str, leaving: Sequence[str], limit: int, now: int, until: int) -> Command:
        arguments = (session_id, limit, now, until, *leaving)
        return Command(scripts.RESERVE, (self._user_key(user),), arguments)

    def _release(self, user: str, session_id: str) -> Command:
        return Command("ZREM", (self._user_key(user),), (scripts.RESERVED + session_id,))

    def _time(self) -> Command:
        return Command(scripts.TIME, (self._index_keys(None)[0],))

    def _count(self, now: int) -> Command:
        return Command("ZCOUNT", (self._index_keys(None)[1],), (f"({now}", "+inf"))

    # Keys, arguments, replies

    def _key(self, session_id: str) -> str:
        return self._prefix + urn(session_id)

    def _user_key(self, user: str) -> str:
        return f"{self._prefix}{urn('by-user')}:{user}"

    def _index_keys(self, user: str | None) -> tuple[str, ...]:
        keys = (self._prefix + urn("by-seen"), self._prefix + urn("by-expiry"))
        return (*keys, self._user_key(user)) if user else keys

    def _keys(self, record: Record) -> tuple[str, ...]:
        return (self._key(record.id), *(() if self._is_cluster else self._index_keys(record.user)))

    def _arguments(self, record: Record) -> tuple[Any, ...]:
        expires = record.expires
        life = (_time_to_live(expires), wire.stamp(record))
        index = (record.id, record.seen, expires, _index_life(expires), _user_index_life(expires), clock.now() - GRACE)
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
        or record.user != base.user
    )


def _time_to_live(expires: int) -> int:
    return max(1, expires + LINGER - clock.now())


def _user_index_life(expires: int) -> int:
    """Of a user's key: what is over is not listed, and whoever announces its end finds it without."""
    return max(1, expires - clock.now())


def _index_life(expires: int) -> int:
    settings = conf.settings()
    return LINGER + max(expires - clock.now(), settings.temp_seconds, settings.perm_seconds)


def _pairs(reply: Sequence[Any]) -> Iterator[tuple[bytes, Any]]:
    """Members and scores of a reply ``WITHSCORES``, which a newer protocol nests."""
    flat = [part for each in reply for part in (each if isinstance(each, list) else [each])]
    return zip(flat[::2], flat[1::2], strict=True)


def _texts(members: Iterable[bytes]) -> list[str]:
    return [member.decode() for member in members]
