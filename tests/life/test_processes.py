"""Reapers as processes, of which one is killed (REQ-R34), and what is left of ten thousand sessions (REQ-R14)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connections
from django_redis import get_redis_connection

from tests.life.conftest import on
from tests.servers.process import wait_until
from tests.settings import RUN_DIR
from tests.stores.tools import NAMES, goes_by_itself, is_tally
from tests.web.stored import raw_records
from tests.web_servers.servers import ROOT
from typed_sessions import live_sessions
from typed_sessions.backends.base import SessionStore
from typed_sessions.formats import Format
from typed_sessions.models import StoredSession
from typed_sessions.stores import database
from typed_sessions.stores.record import GRACE, Record
from typed_sessions.stores.statistics import SAMPLES_LIFE
from typed_sessions.testing.engines import Configure
from typed_sessions.testing.stores import fields, new_record

pytestmark = [
    pytest.mark.django_db(transaction=True),
    on("postgres-sync", "redis-sync"),
]

TOTAL, BATCH, LEASE = 10_000, 100, 2
_SETTINGS = ("SESSION_ENGINE", "SESSION_CACHE_ALIAS", "TYPED_SESSIONS")
_DATABASE = ("ENGINE", "NAME", "USER", "HOST", "PORT", "OPTIONS")


def fill(engine: type[SessionStore], format: Format) -> dict[str, int]:
    """As many sessions that were over a while ago; the number that is in each, by its id."""
    store, over = engine().store, int(time.time()) - GRACE - 10
    records = [
        new_record(
            store,
            seen=over - 60,
            created=over - 60,
            modified=over - 100 * 86_400,
            expires=over,
            user=str(number % 100) if number % 2 else None,
            type="ShopSession",
            data=fields(format, page_views=number),
        )
        for number in range(TOTAL)
    ]
    _store(engine, records)
    return {record.id: number for number, record in enumerate(records)}


def _store(engine: type[SessionStore], records: list[Record]) -> None:
    if engine.__module__.endswith("redis"):
        for record in records:
            assert engine().store.create(record)
    else:
        rows = [StoredSession(pk=record.id, **database._columns(record)) for record in records]
        StoredSession.objects.bulk_create(rows, batch_size=1000)


@contextmanager
def reaping(name: str, notes: Path, alias: str) -> Iterator[subprocess.Popen[str]]:
    """A reaper that is ready to begin."""
    entry = connections[alias].settings_dict
    task = {
        "name": name,
        "notes": str(notes),
        "total": TOTAL,
        "batch": BATCH,
        "lease": LEASE,
        "database": {key: entry[key] for key in _DATABASE},
        "settings": {key: getattr(settings, key) for key in _SETTINGS},
    }
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TYPED_SESSIONS_RUN_DIR": str(RUN_DIR),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "tests.life.reaper", json.dumps(task, default=str)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def begin(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def lines(notes: Path) -> list[list[str]]:
    return [line.split() for line in notes.read_text().splitlines()]


def test_r34_two_reapers_of_which_one_is_killed(
    engine: type[SessionStore], tmp_path: Path, database_alias: str
) -> None:
    """Two reapers tell of ten thousand sessions, each of it once; when one is killed half way, the other one tells of
    what that had claimed, when its lease is over. Twice are told at most those of the batch that was under way.
    """
    numbers = fill(engine, engine().store.format)
    notes = tmp_path / "told"
    notes.touch()
    with reaping("first", notes, database_alias) as first, reaping("second", notes, database_alias) as second:
        begin(first)
        wait_until(lambda: len(lines(notes)) > BATCH, "the first one to be at it")
        begin(second)
        wait_until(lambda: len(lines(notes)) >= TOTAL // 2, "half of them to be told of")
        first.kill()
        first.wait(10)
        assert second.wait(120) == 0
    told = lines(notes)
    assert {session_id: int(views) for session_id, _, views, _ in told} == numbers
    assert {reason for _, reason, _, _ in told} == {"expired_idle"}
    assert {name for *_, name in told} == {"first", "second"}
    again = {session_id for session_id, times in Counter(line[0] for line in told).items() if times > 1}
    assert len(again) <= BATCH
    for session_id in again:
        assert [name for one, *_, name in told if one == session_id] == ["first", "second"]
    wait_until(lambda: nothing_is_left(engine), "the lease of the dead one")


def test_r14_nothing_of_ten_thousand_is_left(engine: type[SessionStore], configure: Configure) -> None:
    """After everything has expired and one reaper has been there, no row, no key and no entry of an index is left."""
    fill(engine, engine().store.format)
    reaped = live_sessions.reap()
    assert (reaped.ended, reaped.missed) == (TOTAL, 0)
    if engine.__module__.endswith("redis"):
        client: Any = get_redis_connection("valkey")
        for key in client.keys("*"):
            assert goes_by_itself(key.decode())
            assert 0 < client.ttl(key) <= (1 if b":by-user:" in key else SAMPLES_LIFE)
    wait_until(lambda: nothing_counts(engine), "the keys of users to go by themselves")


def nothing_is_left(engine: type[SessionStore]) -> bool:
    """What a dead reaper has told of and not put away goes with the next one, and the keys of users by themselves."""
    live_sessions.reap()
    return nothing_counts(engine)


def nothing_counts(engine: type[SessionStore]) -> bool:
    """That there is no trace of any session; numbers of how many there were are kept for a while."""
    if not engine.__module__.endswith("redis"):
        return raw_records(engine) == []
    return all(is_tally(one[0].decode()) or one[0].decode() == NAMES.samples for one in raw_records(engine))
