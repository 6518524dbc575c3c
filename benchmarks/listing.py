"""Very many sessions in Redis and in the database: what a list of them, a count and an end take, and what is left when
all are over.
"""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain, islice
from statistics import median
from typing import Any, TypeVar

import msgspec
from django.conf import settings
from django.db import connection
from redis import Redis

from typed_sessions import SessionMode, clock, live_sessions, tokens
from typed_sessions.models import Sample, StoredSession, Tally
from typed_sessions.stores import database, scripts
from typed_sessions.stores.record import GRACE, Client, Record, new_nonce
from typed_sessions.stores.redis import RedisStore

from .counting import Counter
from .desk import visits
from .engines import OurEngine
from .questions import AT_ADDRESS, EACH, FIRST_USER, SIGNED_IN, address, questions
from .site import DIRECT, RELAYED
from .timing import seconds_of

_DAY = 86_400
_LIFETIMES = {SessionMode.TEMP: 14 * _DAY, SessionMode.PERM: 28 * _DAY}
_ITEMS = 1
"""In the cart: with it a record has about as many bytes as most have."""
_PERMANENT = 4
"""One session in so many is a permanent one."""
_BATCH = 1000
_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)

T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """Of one operation."""

    first: float
    """Seconds of the first one, which finds nothing remembered."""
    usual: float
    """Median of those after it."""
    first_count: str
    count: str


@dataclass(frozen=True)
class Listed:
    """What was found on one engine."""

    sessions: int
    record: int
    """Bytes of one."""
    seeding: float
    """Seconds."""
    costs: dict[str, Cost]
    load: float
    """Of the machine meanwhile, this included: how many wanted a processor at a time."""
    sizes: dict[str, float]
    """Bytes for each session, by what has them."""
    reaping: float
    """Seconds in which one reaper announced all sessions, each of which had expired."""
    ended: int
    left: dict[str, str]
    """What is there afterwards."""


def listed(
    engine: OurEngine, counter: Counter, sessions: int, tell: Callable[[str], None], is_quick: bool = False
) -> Listed:
    """On the servers that the settings name, which are empty afterwards. ``is_quick``: the counts alone."""
    with engine.in_force():
        kept = _InRedis() if engine.name == "redis" else _InTheDatabase()
        tell(f"{engine.name}: storing {sessions:,} sessions")
        template = _template(engine)
        seeding = seconds_of(kept.seed, _records(template, sessions, is_over=False))
        kept.settle_down()
        sizes = kept.sizes(sessions)
        tell(f"{engine.name}: listing")
        costs = {}
        asked = chain(visits(sessions), questions(lambda: engine.store().store, sessions))
        for name, times, ask in asked:
            costs[name] = _cost(engine, counter, 1 if is_quick else times, ask)
            tell(f"{engine.name}: {name}: {_told(costs[name].first)} ms, {_told(costs[name].usual)} ms")
        load = os.getloadavg()[0]
        kept.clear()
        tell(f"{engine.name}: {sessions:,} sessions that have expired")
        kept.seed(_records(template, sessions, is_over=True))
        kept.settle_down()
        begun = time.perf_counter()
        ended = live_sessions.reap().ended
        reaping = time.perf_counter() - begun
        left = kept.left()
        kept.clear()
    record = kept.bytes_of(next(_records(template, 1, is_over=False)))
    return Listed(sessions, record, seeding, costs, load, sizes, reaping, ended, left)


def _template(engine: OurEngine) -> Record:
    """A record as the engine makes it."""
    key = engine.begin(None, items=_ITEMS)
    found = engine.store().store.load(tokens.digest(key))
    assert isinstance(found, Record)
    engine.delete(key)
    return found


def _records(template: Record, number: int, is_over: bool) -> Iterator[Record]:
    """Sessions of two weeks and of four, more of them of late; ``is_over``: all have expired, and a reaper may come."""
    now = clock.now()
    # No secret: the same sessions each time.
    chance = random.Random(5)
    for index in range(number):
        mode = SessionMode.TEMP if index // SIGNED_IN % _PERMANENT else SessionMode.PERM
        if is_over:
            expires = now - GRACE - 1 - chance.randrange(600)
            seen = expires - _LIFETIMES[mode]
        else:
            seen = now - int((_LIFETIMES[SessionMode.TEMP] - _DAY) * chance.random() ** 2)
            expires = seen + _LIFETIMES[mode]
        signed_in = index % SIGNED_IN == 0
        user = str(FIRST_USER + index // (SIGNED_IN * EACH)) if signed_in else None
        yield msgspec.structs.replace(
            template,
            id=secrets.token_hex(20),
            nonce=new_nonce(),
            mode=mode,
            user=user,
            client=Client(address=address(index // AT_ADDRESS), agent=_AGENT),
            authenticated=seen if signed_in else None,
            created=seen,
            modified=seen,
            seen=seen,
            expires=expires,
        )


def _cost(engine: OurEngine, counter: Counter, times: int, ask: Callable[[], object]) -> Cost:
    first: list[float] = []
    first_count = counter.of(lambda: first.append(seconds_of(ask)))
    usual = median(seconds_of(ask) for _ in range(times))
    with engine.in_force(RELAYED):
        ask()  # connects, and loads scripts
        count = counter.of(ask)
    # The relay is not there at the first time; Redis remembers nothing, so it is as any other.
    return Cost(first[0], usual, str(count) if count.trips else str(first_count), str(count))


class _InRedis:
    def __init__(self) -> None:
        self._store = RedisStore(DIRECT)
        # Not that of the engine, which waits for no more than a second.
        self._client: Any = Redis.from_url(settings.CACHES[DIRECT]["LOCATION"])

    def bytes_of(self, record: Record) -> int:
        return len(self._store._arguments(record)[0])

    def seed(self, records: Iterable[Record]) -> None:
        self._client.script_load(scripts.CREATE.source)
        store, minute = self._store, clock.now() // 60
        for batch in _batches(records):
            with self._client.pipeline(transaction=False) as pipeline:
                for record in batch:
                    keys = (store._names.record(record.id), store._tally_key(minute * 60), *store._index_of(record))
                    arguments = (*store._arguments(record), minute, scripts.TALLY_LIFE)
                    pipeline.evalsha(scripts.CREATE.sha, len(keys), *keys, *arguments)
                pipeline.execute()

    def settle_down(self) -> None:
        """There is nothing to wait for."""

    def sizes(self, sessions: int) -> dict[str, float]:
        names, users, addresses = self._store._names, sessions // (SIGNED_IN * EACH), sessions // AT_ADDRESS
        index = {
            "by last use": self._memory(names.all_seen) / sessions,
            "by expiry": self._memory(names.all_expiry) / sessions,
            "by user": self._memory_of_many([names.user(str(FIRST_USER + user)) for user in range(users)]) / sessions,
            "by address": self._memory_of_many([names.addresses + address(n) for n in range(addresses)]) / sessions,
        }
        whole = self._client.info("memory")["used_memory_dataset"] / sessions
        return {**index, "index": sum(index.values()), "all": whole}

    def _memory(self, keys: Iterable[str]) -> int:
        return sum(self._client.memory_usage(key, samples=0) or 0 for key in keys)

    def _memory_of_many(self, keys: list[str]) -> float:
        """Of all, by some of them."""
        some = random.Random(9).sample(keys, min(len(keys), 500))
        return self._memory(some) / len(some) * len(keys)

    def left(self) -> dict[str, str]:
        deadline = time.monotonic() + 5
        while (keys := self._of_sessions()) and time.monotonic() < deadline:  # those of users have a second to live
            time.sleep(0.1)
        return {"keys": f"{keys:,}"}

    def _of_sessions(self) -> int:
        """How many keys there are, but for the numbers of how many sessions there were."""
        names = self._store._names
        numbers = (names.samples, names.tally(0)[:-1])
        return sum(not key.decode().startswith(numbers) for key in self._client.scan_iter(count=10_000))

    def clear(self) -> None:
        self._client.flushdb()


class _InTheDatabase:
    def bytes_of(self, record: Record) -> int:
        return sum(len(str(value)) for value in database._columns(record).values() if value is not None)

    def seed(self, records: Iterable[Record]) -> None:
        for batch in _batches(records):
            rows = [{"id": record.id, **database._columns(record)} for record in batch]
            if connection.vendor != "postgresql":
                StoredSession.objects.bulk_create(StoredSession(**row) for row in rows)
                continue
            columns = ", ".join(connection.ops.quote_name(name) for name in rows[0])
            with connection.cursor() as cursor, cursor.copy(f"COPY {_table()} ({columns}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(tuple(row.values()))

    def settle_down(self) -> None:
        """What PostgreSQL does by itself a minute later."""
        if connection.vendor == "postgresql":
            _ask("VACUUM ANALYZE")

    def sizes(self, sessions: int) -> dict[str, float]:
        if connection.vendor != "postgresql":
            return {}
        names = {"seen": "by last use", "expiry": "by expiry", "user": "by user", "address": "by address"}
        names["last"] = names["address"]
        found: dict[str, float] = {}
        for name, size in self._indexes():
            what = names.get(name.rpartition("_by_")[2], "of the id")
            found[what] = found.get(what, 0.0) + size / sessions
        return {**found, "index": sum(found.values()), "all": self._whole() / sessions}

    def left(self) -> dict[str, str]:
        rows = {"rows": f"{StoredSession.objects.count():,}"}
        if connection.vendor != "postgresql":
            return rows
        _ask("VACUUM")
        after = f"{self._whole() / 1e6:.1f}"
        _ask("VACUUM FULL")
        return {**rows, "MB after VACUUM": after, "MB after VACUUM FULL": f"{self._whole() / 1e6:.1f}"}

    def clear(self) -> None:
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"TRUNCATE {_table()}, {Tally._meta.db_table}, {Sample._meta.db_table}")
        else:
            for model in (StoredSession, Tally, Sample):
                model.objects.all().delete()

    def _indexes(self) -> list[tuple[str, int]]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT indexrelname, pg_relation_size(indexrelid) FROM pg_stat_user_indexes WHERE relname = %s",
                [_table()],
            )
            return list(cursor.fetchall())

    def _whole(self) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_total_relation_size(%s)", [_table()])
            return int(cursor.fetchone()[0])


def _table() -> str:
    return StoredSession._meta.db_table


def _ask(command: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"{command} {_table()}")


def _batches(records: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(records)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def times(found: dict[str, Listed]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: milliseconds and counts of each operation."""
    head = ["", *(f"{name}{what}" for name in found for what in (", first", ", then"))]
    rows = []
    for operation in next(iter(found.values())).costs:
        row = [operation]
        for each in found.values():
            cost = each.costs[operation]
            row += [f"{_told(cost.first)} ({cost.first_count})", f"{_told(cost.usual)} ({cost.count})"]
        rows.append(row)
    return head, rows


def _told(seconds: float) -> str:
    return f"{seconds * 1e3:.2f}" if seconds < 0.1 else f"{seconds * 1e3:.0f}"


def space(found: dict[str, Listed]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: bytes for each session, and what is left."""
    names = dict.fromkeys(name for each in found.values() for name in each.sizes)
    rows = [
        [
            f"bytes for each session: {name}",
            *(f"{each.sizes[name]:.0f}" if name in each.sizes else "" for each in found.values()),
        ]
        for name in names
    ]
    rows.append(["bytes of a record", *(str(each.record) for each in found.values())])
    rows.append(["load of the machine", *(f"{each.load:.1f}" for each in found.values())])
    rows.append(["stored in a second", *(f"{each.sessions / each.seeding:,.0f}" for each in found.values())])
    rows.append(["expired, and announced by one reaper", *(f"{each.ended:,}" for each in found.values())])
    rows.append(["announced in a second", *(f"{each.ended / each.reaping:,.0f}" for each in found.values())])
    left = [", ".join(f"{what}: {number}" for what, number in each.left.items()) for each in found.values()]
    rows.append(["left after that", *left])
    return ["", *found], rows


def as_json(found: dict[str, Listed]) -> dict[str, Any]:
    return {name: asdict(each) for name, each in found.items()}
