"""`typed_sessions reap`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import OperationalError
from django_redis import get_redis_connection

from tests.commands.conftest import Run, run_command
from tests.engines.rows import UseEngine
from tests.servers.redis import RedisServer
from tests.settings import RUN_DIR
from tests.stores.tools import NAMES
from tests.web.browser import Browser
from tests.web.stored import what_stays
from tests.web_servers.servers import ROOT
from typed_sessions import EndReason, live_sessions, tokens
from typed_sessions.backends.base import SessionStore
from typed_sessions.exceptions import StoreUnavailable
from typed_sessions.live import LiveSessions
from typed_sessions.management import site
from typed_sessions.signals import on_ended
from typed_sessions.stores.record import GRACE
from typed_sessions.testing.engines import Clock
from typed_sessions.testing.stores import new_record

DAY = 86_400
few = pytest.mark.parametrize("engine", ["db", "redis"], indirect=True)


@pytest.fixture
def heard() -> Iterator[list[EndReason]]:
    """Why the sessions ended whose end was told."""
    reasons: list[EndReason] = []

    def listen(session: Any, reason: EndReason, **_: object) -> None:
        reasons.append(reason)

    on_ended.connect(listen)
    yield reasons
    on_ended.disconnect(listen)


def overdue(engine: type[SessionStore], clock: Clock, count: int) -> None:
    """As many sessions that have expired, and whose tokens are too old to be taken for lost ones."""
    store = engine().store
    for _ in range(count):
        assert store.create(new_record(store, modified=clock.now - 40 * DAY, expires=clock.now + 10))
    clock.advance(11 + GRACE)


def test_once(
    run: Run,
    engine: type[SessionStore],
    visitor: Callable[[], Browser],
    signed_in: Callable[..., Browser],
    user: User,
    clock: Clock,
    heard: list[EndReason],
) -> None:
    """Whatever has expired is announced once, and nothing else."""
    visitor()
    signed_in(user, remember=True)
    heard.clear()
    said = run("reap", "--json")
    assert (said.code, said.json["ended"], heard) == (0, 0, [])
    clock.advance(20 * DAY)
    said = run("reap", "--json")
    assert (said.json["ended"], said.json["missed"], said.json["at"][:10]) == (1, 0, "2027-02-04")
    assert heard == [EndReason.EXPIRED_IDLE]
    assert run("reap").out.startswith("0 expired and announced")
    assert run("reap", "-v", 0).out == ""
    assert live_sessions.count() == 1


def test_in_batches(run: Run, engine: type[SessionStore], clock: Clock, heard: list[EndReason]) -> None:
    """Many are announced batch by batch, with progress on a terminal, and nothing is left of them."""
    overdue(engine, clock, 25)
    said = run("reap", "--batch", 10, terminal=True)
    assert said.out.startswith("25 expired and announced")
    assert said.err == "\r10 sessions announced\r20 sessions announced\n"
    assert len(heard) == 25
    assert what_stays(engine) == []


@few
def test_limit(run: Run, engine: type[SessionStore], clock: Clock, heard: list[EndReason]) -> None:
    """With `--limit` no more are announced at a time."""
    overdue(engine, clock, 10)
    assert [run("reap", "--limit", 4, "--batch", 3, "--json").json["ended"] for _ in range(4)] == [4, 4, 2, 0]
    assert len(heard) == 10


@few
def test_others_without_a_terminal(run: Run, engine: type[SessionStore], clock: Clock) -> None:
    """Without a terminal there is progress with -v 2 alone, line by line."""
    overdue(engine, clock, 5)
    assert run("reap", "--limit", 3, "--batch", 1).err == ""
    overdue(engine, clock, 8)
    assert run("reap", "--batch", 5, "-v", 2).err == "5 sessions announced\n10 sessions announced\n"


@pytest.mark.parametrize("engine", ["redis", "cluster"], indirect=True)
def test_missed(run: Run, engine: type[SessionStore], clock: Clock, heard: list[EndReason]) -> None:
    """What was gone before a reaper came is told as such."""
    overdue(engine, clock, 3)
    client: Any = get_redis_connection(settings.SESSION_CACHE_ALIAS)
    for session_id in (member for key in NAMES.all_expiry for member in client.zrange(key, 0, -1)):
        client.delete(tokens.urn(session_id.decode()))
    said = run("reap", "--json")
    assert (said.json["ended"], said.json["missed"], heard) == (0, 3, [])


@contextmanager
def _each_time(monkeypatch: pytest.MonkeyPatch, *acts: Callable[[], object]) -> Iterator[list[int]]:
    """Each time that something is to be reaped, the next of `acts` comes first; the last one ends the reaper."""
    done: list[int] = []
    reap = LiveSessions.reap

    def reaping(self: LiveSessions, *args: Any, **kwargs: Any) -> Any:
        done.append(len(done))
        acts[done[-1]]()
        return reap(self, *args, **kwargs)

    monkeypatch.setattr(LiveSessions, "reap", reaping)
    # It comes to the next turn at once.
    monkeypatch.setattr(threading.Event, "wait", lambda self, timeout=None: self.is_set())
    yield done
    monkeypatch.undo()


def _stop() -> None:
    signal.raise_signal(signal.SIGTERM)


def test_forever(
    run: Run, engine: type[SessionStore], clock: Clock, monkeypatch: pytest.MonkeyPatch, heard: list[EndReason]
) -> None:
    """It goes on until a signal comes, finishes what it is at, and tells of each time that something was to be done."""
    before = signal.getsignal(signal.SIGTERM)
    overdue(engine, clock, 3)
    with _each_time(monkeypatch, lambda: None, lambda: overdue(engine, clock, 2), lambda: None, _stop) as done:
        said = run("reap", "--forever", "--json")
    assert (said.code, done) == (0, [0, 1, 2, 3])
    assert [json.loads(line)["ended"] for line in said.out.splitlines()] == [3, 2]
    assert len(heard) == 5
    assert signal.getsignal(signal.SIGTERM) is before


@few
def test_a_signal_between_batches(
    run: Run, engine: type[SessionStore], clock: Clock, monkeypatch: pytest.MonkeyPatch, heard: list[EndReason]
) -> None:
    """What is under way is finished, and what would come after that is left for the next time."""
    overdue(engine, clock, 12)
    with _each_time(monkeypatch, _stop):
        said = run("reap", "--batch", 5)
    assert said.out.startswith("5 expired and announced")
    assert len(heard) == 5


@few
def test_a_second_signal(run: Run, engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks twice does not want to wait."""

    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with _each_time(monkeypatch, twice), pytest.raises(KeyboardInterrupt):
        run("reap", "--forever")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@few
@pytest.mark.parametrize("error", [StoreUnavailable("no answer"), OperationalError("no answer")], ids=repr)
def test_store_that_is_down(
    run: Run,
    engine: type[SessionStore],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    """With `--forever` it is told and tried again; without, it is an error."""

    def fail() -> None:
        raise error

    overdue(engine, clock, 2)
    with _each_time(monkeypatch, fail, fail, lambda: None, _stop):
        said = run("reap", "--forever", "--every", 7)
    assert (said.code, said.out.startswith("2 expired and announced")) == (0, True)
    told = "Expired sessions are not announced, and will be tried again in 7 s: no answer"
    assert [record.getMessage() for record in caplog.records if "announced" in record.getMessage()] == [told] * 2
    with _each_time(monkeypatch, fail):
        said = run("reap")
    assert (said.code, "no answer" in said.err) == (1, True)


@pytest.mark.parametrize("engine", ["redis"], indirect=True)
def test_outside_the_main_thread(engine: type[SessionStore]) -> None:
    """Where no signals come it reaps all the same."""
    said: list[Any] = []
    thread = threading.Thread(target=lambda: said.append(run_command("reap", "--json")))
    thread.start()
    thread.join(30)
    assert said[0].json["ended"] == 0


@pytest.fixture
def process(use_engine: UseEngine) -> Iterator[subprocess.Popen[str]]:
    """A reaper that runs for ever, on Valkey."""
    use_engine("redis")
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.commands.redis_settings",
        "TYPED_SESSIONS_RUN_DIR": str(RUN_DIR),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "django", "typed_sessions", "reap", "--forever", "--every", "1", "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def test_as_a_service(process: subprocess.Popen[str], valkey: RedisServer) -> None:
    """A process reaps, outlives its store, reaps again, and ends by SIGTERM as if all were well."""
    store = site.store()
    over = int(time.time()) - GRACE - 10
    lines = _lines(process)

    def expire() -> None:
        assert store.create(new_record(store, seen=over, created=over, modified=over, expires=over))

    expire()
    assert next(lines)["ended"] == 1
    valkey.kill()
    assert process.stderr is not None
    assert process.stderr.readline().startswith("Expired sessions are not announced, and will be tried again in 1 s")
    valkey.start()
    expire()
    assert next(lines)["ended"] == 1
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def _lines(process: subprocess.Popen[str]) -> Iterator[Any]:
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)
