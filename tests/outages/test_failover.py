"""A replica takes over, or a backup is restored: nothing that has ended comes back, and nothing is lost in silence."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis.exceptions import RedisError

from tests.engines.rows import UseEngine
from tests.outages.conftest import NewCrowd, NewServer, SignedIn
from tests.outages.expected import VISITORS, expect_every_key_to_end, expect_what_was_acknowledged, losses_told
from tests.outages.visitors import WORKERS
from tests.servers.process import wait_until
from tests.servers.redis import RedisServer
from tests.servers.sentinel import RedisSentinel
from tests.web.browser import Browser
from tests.web.signing import async_sign_out, cart, put_in_cart, sign_out, status, who
from typed_sessions import live_sessions, tokens
from typed_sessions.testing.engines import Configure

SIGN_OUTS = 100
BALLAST = "x" * 1_000_000


@pytest.fixture
def sentinel(use_engine: UseEngine, use_cache: Callable[[str], str], redis_sentinel: RedisSentinel) -> RedisSentinel:
    """Watches the servers of the project's sessions."""
    use_engine("redis")
    use_cache("sentinel")
    return redis_sentinel


def keep_up(sentinel: RedisSentinel) -> None:
    """Until the replica has all that the master has."""
    assert sentinel.master.run("WAIT", 1, 10_000) == 1


@contextmanager
def stalled(sentinel: RedisSentinel) -> Iterator[None]:
    """The replica hangs, with so much that it has not read that what comes now is in the master alone."""
    keep_up(sentinel)
    sentinel.replica.freeze()
    try:
        for number in range(24):
            sentinel.master.run("SET", "of somebody else", BALLAST, "EX", 600 + number)
        yield
    finally:
        sentinel.replica.thaw()


def fail_over(sentinel: RedisSentinel) -> None:
    """Without a word to the replica."""
    sentinel.master.kill()
    sentinel.replica.thaw()
    wait_until(lambda: sentinel.sentinel.view()["port"] == sentinel.replica.port, "the failover")
    wait_until(lambda: sentinel.replica.client().info("replication")["role"] == "master", "the new master")
    with suppress(Exception):  # the first answers after a failover may be errors
        live_sessions.get("0" * 40)


def copies_of(browsers: list[Browser]) -> list[Browser]:
    """Of somebody who has seen the cookies."""
    return [browser.copy() for browser in browsers]


def signed_in(browsers: list[Browser]) -> int:
    """How many of them are somebody to the site."""
    answers = [browser.visit(who) for browser in copies_of(browsers)]
    assert {answer.status for answer in answers} == {200}
    return sum(not answer.text.startswith("anonymous anonymous") for answer in answers)


# Replicas that lag


@pytest.mark.parametrize("view", [sign_out, async_sign_out])
def test_r15_sign_outs_come_back_no_more(
    view: Callable[[Any], Any],
    sentinel: RedisSentinel,
    visitors: SignedIn,
    configure: Configure,
    telling: list[tuple[str, str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Sign-outs that a replica had not heard of when it took over are done again by the next reaping."""
    configure(REVOCATION_JOURNAL=True)
    browsers = visitors(SIGN_OUTS)
    thieves = copies_of(browsers)
    ids = {token.id for thief in thieves if (token := tokens.read(thief.token))}
    with stalled(sentinel):
        for browser in browsers:
            assert browser.visit(view).status == 200
        fail_over(sentinel)
    assert signed_in(thieves) == SIGN_OUTS, "the replica had heard of them, and nothing is shown"
    with caplog.at_level(logging.WARNING, "typed_sessions"):
        live_sessions.reap()
    assert signed_in(thieves) == 0
    assert [thief.visit(status).text for thief in thieves] == ["ended logged_out"] * SIGN_OUTS
    assert Counter(told for told in telling if told[0] == "logged_out") == Counter(("logged_out", each) for each in ids)
    assert ids == {each for each in ids if each in caplog.text}
    assert not any(thief.token in caplog.text for thief in thieves)
    expect_every_key_to_end(sentinel.replica)


def test_r15_those_who_stay_stay(sentinel: RedisSentinel, visitors: SignedIn, configure: Configure) -> None:
    """Reaping after a failover ends nobody who has not ended, and no session that began since."""
    configure(REVOCATION_JOURNAL=True)
    browsers = visitors(6)
    for browser in browsers[:3]:
        browser.visit(sign_out)
    keep_up(sentinel)
    fail_over(sentinel)
    newcomer = Browser(browsers[0].ask)
    newcomer.visit(put_in_cart())
    live_sessions.reap()
    assert signed_in(browsers) == 3
    assert newcomer.visit(cart).text == "['a'] a"


@pytest.mark.parametrize("view", [sign_out, async_sign_out])
def test_r15_sign_out_waits_for_replicas(
    view: Callable[[Any], Any], sentinel: RedisSentinel, visitors: SignedIn, configure: Configure
) -> None:
    """With REPLICA_ACKS a sign-out that no replica has heard of does not claim to be one, until it is."""
    configure(REPLICA_ACKS=1)
    (browser,) = visitors(1)
    (thief,) = copies_of([browser])
    before = dict(browser.cookies)
    with stalled(sentinel):
        answer = browser.visit(view)
        assert (answer.status, answer["Retry-After"], answer.ours) == (503, "1", {})
        assert browser.cookies == before
        sentinel.replica.thaw()
        keep_up(sentinel)
        answer = browser.visit(view)
        assert (answer.status, browser.cookies.keys() & {"ss-id", "ss-pid"}) == (200, set())
        fail_over(sentinel)
    assert signed_in([thief]) == 0


def test_r15_replica_that_keeps_up(sentinel: RedisSentinel, visitors: SignedIn, configure: Configure) -> None:
    """With REPLICA_ACKS a sign-out that was acknowledged is one after any failover."""
    configure(REPLICA_ACKS=1)
    browsers = visitors(20)
    thieves = copies_of(browsers)
    for browser in browsers:
        assert browser.visit(sign_out).status == 200
    fail_over(sentinel)
    assert signed_in(thieves) == 0


# Backups


@pytest.fixture
def snapshot(new_server: NewServer, use_engine: UseEngine) -> tuple[RedisServer, Callable[[], None]]:
    """A server whose state was kept, once somebody has called for it, and comes back when it is restarted."""
    use_engine("redis")
    server = new_server("--dir", ".")

    def restore() -> None:
        server.kill()
        server.start()
        with suppress(RedisError):
            server.run("PING")

    return server, restore


def test_r19_old_backup(snapshot: tuple[RedisServer, Callable[[], None]], visitors: SignedIn) -> None:
    """After an old backup was restored one call ends all that is in it."""
    server, restore = snapshot
    browsers = visitors(5)
    thieves = copies_of(browsers)
    server.run("SAVE")
    for browser in browsers[:3]:
        browser.visit(sign_out)
    restore()
    assert signed_in(thieves) == 5
    assert live_sessions.end_all() == 5
    assert signed_in(thieves) == 0
    assert {thief.visit(status).text for thief in thieves} == {"ended ended_by_staff"}
    assert live_sessions.end_all() == 0
    expect_every_key_to_end(server)


def test_r19_sessions_since_the_backup(snapshot: tuple[RedisServer, Callable[[], None]], visitors: SignedIn) -> None:
    """Those that began after the backup was restored can be left alone."""
    server, restore = snapshot
    (browser,) = visitors(1)
    (thief,) = copies_of([browser])
    server.run("SAVE")
    browser.visit(sign_out)
    restore()
    instant = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(seconds=1)
    wait_until(lambda: datetime.now(timezone.utc) > instant, "the next second")
    newcomer = Browser(browser.ask)
    newcomer.visit(put_in_cart())
    assert live_sessions.end_all(before=instant) == 1
    assert signed_in([thief]) == 0
    assert newcomer.visit(cart).text == "['a'] a"


def test_r19_journal_is_enough(
    snapshot: tuple[RedisServer, Callable[[], None]], visitors: SignedIn, configure: Configure
) -> None:
    """With a journal the next reaping ends again what had ended since the backup, and nothing besides."""
    configure(REVOCATION_JOURNAL=True)
    server, restore = snapshot
    browsers = visitors(5)
    thieves = copies_of(browsers)
    live_sessions.reap()
    server.run("SAVE")
    for browser in browsers[:3]:
        browser.visit(sign_out)
    live_sessions.reap()
    restore()
    live_sessions.reap()
    assert [signed_in([thief]) for thief in thieves] == [0, 0, 0, 1, 1]
    expect_every_key_to_end(server)


# Crowds


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_r16_failover_under_load(
    sentinel: RedisSentinel, new_crowd: NewCrowd, caplog: pytest.LogCaptureFixture
) -> None:
    """While a replica takes over visitors are asked to come again; what it has heard of is all there."""
    crowd = new_crowd(VISITORS, False)
    with losses_told(caplog) as told, crowd.clicking() as journal:
        journal.wait(VISITORS * 3)
        sentinel.master.client().client_pause(30_000, all=False)  # nothing is acknowledged any more
        keep_up(sentinel)
        sentinel.kill_master()
    assert told == []
    assert journal.count("refused")
    expect_what_was_acknowledged(crowd)
    expect_every_key_to_end(sentinel.replica)


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_r10_killed_with_a_log(
    new_server: NewServer, use_engine: UseEngine, new_crowd: NewCrowd, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that writes a log of its own loses nothing that was acknowledged when it is killed, three times."""
    use_engine("redis")
    server = new_server("--appendonly", "yes", "--appendfsync", "everysec")
    crowd = new_crowd(VISITORS, False)
    with losses_told(caplog) as told, crowd.clicking() as journal:
        for _ in range(3):
            journal.wait(VISITORS)
            server.kill()
            journal.wait(WORKERS, "refused")
            server.start()
    assert told == []
    expect_what_was_acknowledged(crowd)
    expect_every_key_to_end(server)
