"""Two hundred visitors click through six pages, and meanwhile a server is emptied, evicts, or crashes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from django.db import connections
from redis.exceptions import OutOfMemoryError

from tests.engines.rows import UseEngine
from tests.outages.conftest import NewCrowd
from tests.outages.expected import VISITORS, expect_every_key_to_end, expect_what_was_acknowledged, losses_told
from tests.outages.visitors import Journal
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer
from tests.stores.tools import keys
from typed_sessions import urn

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

FILLER, ROOM = "x" * 2000, 200_000

Fault = Callable[[RedisServer, Journal], None]


def _emptied(valkey: RedisServer, journal: Journal) -> None:
    valkey.client().flushall()


def _restarted(valkey: RedisServer, journal: Journal) -> None:
    """It keeps nothing over a restart."""
    valkey.kill()
    journal.wait(30)
    valkey.start()


def _evicting(valkey: RedisServer, journal: Journal) -> None:
    """Until a good part of the sessions is gone."""
    sessions = [key for key in keys(valkey) if re.fullmatch(urn("[0-9a-f]{40}"), key)]
    before = valkey.client().info()
    size, evicted = before["used_memory"], before["evicted_keys"]
    valkey.run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru", "maxmemory", size + ROOM)

    def is_enough() -> bool:
        lasting = valkey.run("EXISTS", *sessions) if sessions else 0
        return bool(
            valkey.client().info("stats")["evicted_keys"] > evicted + VISITORS and lasting <= len(sessions) * 0.8
        )

    number = 0
    while not is_enough():
        number += 1
        with suppress(OutOfMemoryError):  # when it does not keep up
            valkey.run("SET", f"of somebody else {number}", FILLER, "EX", 600)


FAULTS: dict[str, Fault] = {"emptied": _emptied, "evicting": _evicting, "restarted": _restarted}


@pytest.fixture(params=FAULTS)
def fault(request: pytest.FixtureRequest, valkey: RedisServer) -> Iterator[Fault]:
    """What happens to the Redis."""
    yield FAULTS[request.param]
    if not valkey.running:
        valkey.start()
    valkey.run("CONFIG", "SET", "maxmemory", 0, "maxmemory-policy", "noeviction")


def test_r38_nobody_loses_a_thing(
    fault: Fault, new_crowd: NewCrowd, use_engine: UseEngine, valkey: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """With cached_db nobody notices what becomes of the cache: each page finds all that was there, and the same id."""
    use_engine("cached_db")
    crowd = new_crowd(VISITORS, False)
    with losses_told(caplog) as told, crowd.clicking() as journal:
        journal.wait(VISITORS * 3)
        fault(valkey, journal)
    assert told == []
    expect_what_was_acknowledged(crowd)
    expect_every_key_to_end(valkey)


@pytest.mark.parametrize("row", ["db", "cached_db"])
def test_r20_database_crashes(
    row: str, new_crowd: NewCrowd, use_engine: UseEngine, postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    """While the database is away visitors are asked to come again, and then they find all that was acknowledged."""
    use_engine(row)
    crowd = new_crowd(VISITORS, False)
    for visitor in crowd.visitors:
        visitor.users_may_be_away = True
    with losses_told(caplog) as told, crowd.clicking() as journal:
        journal.wait(VISITORS * 3)
        postgres.kill()
        try:
            journal.wait(VISITORS, "refused")
        finally:
            postgres.start()
            connections["postgres"].close()
    assert told == []
    expect_what_was_acknowledged(crowd)


def test_r11_every_loss_is_told(
    fault: Fault, new_crowd: NewCrowd, use_engine: UseEngine, valkey: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """With redis alone what is lost is said to be lost, once, to visitor, site and log, and one sign-in helps."""
    use_engine("redis")
    crowd = new_crowd(VISITORS, True)
    with losses_told(caplog) as told, crowd.clicking() as journal:
        journal.wait(VISITORS * 3)
        fault(valkey, journal)
    assert journal.count("lost") > VISITORS / 10
    assert Counter(told) == Counter(journal.of("lost"))
    expect_what_was_acknowledged(crowd)
    expect_every_key_to_end(valkey)
