"""Sessions that expire: told of within one pass of a reaper, with their last state, and nothing of them is left."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django_redis import get_redis_connection

from tests.life.conftest import few, on
from tests.life.ears import EVENTS, HOOK, SIGNAL, Ears
from tests.life.site import DAY, Site, id_of
from tests.web.stored import spoil, what_stays
from typed_sessions import EndReason, urn
from typed_sessions.backends.base import SessionStore
from typed_sessions.stores.record import GRACE
from typed_sessions.testing.engines import Clock, Configure

pytestmark = pytest.mark.django_db(transaction=True)

IDLE, ABSOLUTE = EndReason.EXPIRED_IDLE, EndReason.EXPIRED_ABSOLUTE
TEMP, PERM = 14 * DAY, 28 * DAY
on_redis = on("redis-sync", "redis-async")


def beyond(clock: Clock, lifetime: int) -> None:
    """From now on, what was last used before is over for everybody."""
    clock.advance(lifetime + GRACE + 1)


def test_r33_idle_session_is_told_of(site: Site, ears: Ears, clock: Clock) -> None:
    """One pass tells of every session that nobody has used for its lifetime, with the last state, and of no other."""
    visitor, browser, remembered = site.visitor(), site.signed_in(), site.signed_in(remember=True)
    beyond(clock, TEMP)
    assert site.reap() == (2, 0)
    told = ears.take()
    assert sorted((one.by, one.id, one.reason, one.cart, one.name) for one in told) == sorted(
        (by, id_of(owner), IDLE, ("tea",), name)
        for by in (HOOK, EVENTS, SIGNAL)
        for owner, name in ((visitor, None), (browser, "ada"))
    )
    assert site.reap() == (0, 0)
    clock.advance(PERM - TEMP)
    assert site.reap() == (1, 0)
    assert ears.ends() == [(id_of(remembered), IDLE)]


def test_r33_not_before_the_grace(site: Site, ears: Ears, clock: Clock) -> None:
    """A session that is over, but that a request which began in time may still save, is not told of yet."""
    browser = site.signed_in()
    clock.advance(TEMP)
    for passed in (0, GRACE - 1):
        clock.advance(passed)
        assert site.reap() == (0, 0)
    assert ears.take() == []
    clock.advance(2)
    assert site.reap() == (1, 0)
    assert ears.ends() == [(id_of(browser), IDLE)]


def test_absolute_end_is_told_of(site: Site, ears: Ears, clock: Clock, configure: Configure) -> None:
    """A session that was used until its absolute end is told of with that reason."""
    configure(ABSOLUTE_EXPIRY=timedelta(days=20))
    browser = site.signed_in()
    for _ in range(2):
        clock.advance(10 * DAY - 60)
        browser.visit(site.views.look)
    clock.advance(120 + GRACE + 1)
    assert site.reap() == (1, 0)
    assert ears.ends() == [(id_of(browser), ABSOLUTE)]


@few
def test_request_and_user(site: Site, ears: Ears, clock: Clock) -> None:
    """There is no request, and the user is the session's, if there still is one."""
    site.signed_in()
    site.visitor()
    beyond(clock, TEMP)
    site.reap()
    assert {(request, user and user.pk) for request, user in ears.heard} == {(None, site.user.pk), (None, None)}
    ears.take()
    site.signed_in(User.objects.create_user("grace"))
    User.objects.filter(username="grace")._raw_delete(User.objects.db)  # past every signal
    beyond(clock, TEMP)
    site.reap()
    assert [user for _, user in ears.heard] == [None]
    assert {one.name for one in ears.take()} == {"grace"}


def test_visitor_who_comes_back(site: Site, ears: Ears, clock: Clock) -> None:
    """Whose session was told of finds it expired, not lost; looking at it tells nobody again."""
    browser = site.signed_in()
    copies = [browser.copy() for _ in range(2)]
    beyond(clock, TEMP)
    site.reap()
    assert copies[0].visit(site.status).text.startswith("expired ")
    copies[1].visit(site.views.sign_out)
    assert site.reap() == (0, 0)
    assert ears.ends() == [(id_of(browser), IDLE)]


def test_visitor_who_comes_before_the_reaper(site: Site, ears: Ears, clock: Clock) -> None:
    """A visitor who finds the session expired takes nothing from the reaper, which tells of it once."""
    browser = site.signed_in()
    ended = id_of(browser)
    beyond(clock, TEMP)
    assert browser.visit(site.status).text == "expired expired_idle"
    site.reap()
    assert ears.ends() == [(ended, IDLE)]


def test_sign_out_from_what_has_expired(site: Site, ears: Ears, clock: Clock) -> None:
    """A session that was over by itself before anybody ended it has expired, whoever is the first to say so."""
    browser = site.signed_in()
    beyond(clock, TEMP)
    site.live.end(id_of(browser), EndReason.ENDED_BY_STAFF)
    site.reap()
    assert ears.ends() == [(id_of(browser), IDLE)]


def test_ended_sessions_are_not_told_again(site: Site, ears: Ears, clock: Clock) -> None:
    """What was signed out, ended or rotated is no find for a reaper, however late it comes."""
    first, second, third = (site.signed_in() for _ in range(3))
    site.live.end(id_of(first))
    second.visit(site.views.sign_out)
    third.visit(site.views.rotate)
    ears.take()
    beyond(clock, 2 * PERM)
    assert site.reap() == (1, 0)
    assert ears.ends() == [(id_of(third), IDLE)]


def test_s66_session_in_use_is_left_alone(site: Site, ears: Ears, clock: Clock) -> None:
    """A session that was used in time stays, whatever its index says of an earlier use."""
    browser = site.signed_in()
    for _ in range(5):
        clock.advance(TEMP - 60)
        assert browser.visit(site.views.look).text == "ada ['tea']"
        assert site.reap() == (0, 0)
    beyond(clock, TEMP - 120)
    assert site.reap() == (0, 0)
    assert ears.take() == []
    assert browser.visit(site.status).text == "live -"


@few
def test_limit_and_batches(site: Site, ears: Ears, clock: Clock) -> None:
    """A pass goes batch by batch and ends at its limit; the next one goes on."""
    browsers = [site.visitor() for _ in range(7)]
    beyond(clock, TEMP)
    assert site.reap(limit=3, batch=2) == (3, 0)
    assert site.reap(batch=2) == (4, 0)
    assert site.reap(batch=2) == (0, 0)
    assert sorted(ears.ends()) == sorted((id_of(browser), IDLE) for browser in browsers)


@pytest.mark.parametrize("by", ["clearsessions", "clear_expired"])
def test_djangos_command_reaps(site: Site, ears: Ears, clock: Clock, engine: type[SessionStore], by: str) -> None:
    """Django's `clearsessions`, and what it calls of the engine, tells of what has expired, once."""
    browser = site.signed_in()
    living = site.signed_in(remember=True)
    beyond(clock, TEMP)
    for _ in range(2):
        if by == "clearsessions":
            call_command("clearsessions")
        else:
            site.drive(engine, "clear_expired")
    assert ears.ends() == [(id_of(browser), IDLE)]
    assert living.visit(site.status).text == "live -"


# Reapers that die


def test_r34_claim_whose_reaper_died(site: Site, ears: Ears, clock: Clock, engine: type[SessionStore]) -> None:
    """A reaper that dies between claim and signal loses nothing: when its lease is over, the next one tells."""
    browser = site.signed_in()
    beyond(clock, TEMP)
    assert len(engine().store.claim_overdue(clock(), 10, 60).claims) == 1
    assert site.reap() == (0, 0)
    assert browser.copy().visit(site.status).text == "expired expired_idle"
    clock.advance(61)
    assert site.reap() == (1, 0)
    assert [(one.id, one.cart) for one in ears.take()] == [(id_of(browser), ("tea",))] * 3
    clock.advance(DAY)
    assert site.reap() == (0, 0)


@on("db-sync", "postgres-sync", "cached_db-sync", "redis-sync", "cluster-sync")
@pytest.mark.parametrize("by", [HOOK, SIGNAL])
def test_r34_reaper_that_is_stopped(site: Site, ears: Ears, clock: Clock, by: str) -> None:
    """A reaper that is stopped while it tells of a session leaves this one and the rest to the next, at least once."""
    browsers = [site.signed_in() for _ in range(3)]
    beyond(clock, TEMP)

    def stop() -> None:
        ears.when(by, bool)
        raise SystemExit

    ears.when(by, stop)
    with pytest.raises(SystemExit):
        site.reap(lease=60)
    clock.advance(61)
    site.reap(lease=60)
    told = ears.counted()
    assert set(told) == {(id_of(browser), IDLE) for browser in browsers}
    assert sorted(told.values()) in ([1, 1, 1], [1, 1, 2])
    clock.advance(61)
    assert site.reap() == (0, 0)


@few
@pytest.mark.parametrize("by", [HOOK, EVENTS, SIGNAL])
def test_s92_listener_that_raises(
    site: Site, ears: Ears, clock: Clock, by: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An error in a listener is logged; the session counts as told, and the others are told of."""
    browsers = [site.signed_in() for _ in range(3)]
    beyond(clock, TEMP)

    def fail() -> None:
        raise OSError("the mail server is down")

    ears.when(by, fail)
    with caplog.at_level(logging.ERROR):
        assert site.reap() == (3, 0)
    assert sorted(ears.ends()) == sorted((id_of(browser), IDLE) for browser in browsers)
    assert len([record for record in caplog.records if "mail server" in str(record.exc_info)]) == 3
    clock.advance(DAY)
    assert site.reap() == (0, 0)


# Damage and loss


@few
def test_unreadable_record_is_told_of(site: Site, ears: Ears, clock: Clock, engine: type[SessionStore]) -> None:
    """What cannot be read when it is over is told of as that, with the defaults of the class, and is gone then."""
    damaged, whole = site.signed_in(), site.signed_in()
    spoil(engine, damaged.token, b'"cart":[', b'"cart":{[')
    beyond(clock, TEMP)
    assert site.reap() == (2, 0)
    told = {(one.id, one.reason, one.cart) for one in ears.take()}
    assert told == {(id_of(damaged), EndReason.UNDECODABLE, ()), (id_of(whole), IDLE, ("tea",))}
    clock.advance(DAY)
    assert site.reap() == (0, 0)


@on_redis
def test_missed_session(
    site: Site, ears: Ears, clock: Clock, engine: type[SessionStore], caplog: pytest.LogCaptureFixture
) -> None:
    """What the store has removed before any reaper came is counted and warned of, once, and hides no other."""
    gone, there = site.signed_in(), site.signed_in()
    get_redis_connection("valkey").delete(urn(id_of(gone)))
    beyond(clock, TEMP)
    with caplog.at_level(logging.WARNING, "typed_sessions"):
        assert site.reap() == (1, 1)
        assert site.reap() == (0, 0)
    assert ears.ends() == [(id_of(there), IDLE)]
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1


@on_redis
def test_missed_without_reapers(site: Site, ears: Ears, clock: Clock) -> None:
    """Redis itself removes a record an hour after it is over, so that none is kept for ever where nobody reaps."""
    browser = site.signed_in()
    client: Any = get_redis_connection("valkey")
    assert 0 < client.ttl(urn(id_of(browser))) - TEMP <= 2 * 3600
    assert all(client.ttl(key) > 0 for key in client.keys("*"))


@on_redis
def test_r33_without_keyspace_events(site: Site, ears: Ears, clock: Clock) -> None:
    """No notification of Redis is needed, no subscription is made, and no keys are searched through."""
    client: Any = get_redis_connection("valkey")
    assert client.config_get("notify-keyspace-events") == {"notify-keyspace-events": ""}
    client.config_resetstat()
    browser = site.signed_in()
    beyond(clock, TEMP)
    site.reap()
    assert ears.ends() == [(id_of(browser), IDLE)]
    used = {name.partition("_")[2] for name in client.info("commandstats")}
    assert not used & {"keys", "scan", "subscribe", "psubscribe", "ssubscribe"}


# Nothing is left


def test_r14_nothing_is_left(site: Site, clock: Clock, engine: type[SessionStore]) -> None:
    """When all has expired, and was reaped once, nothing of the sessions is left but keys that go by themselves."""
    for remember in (False, True, False):
        site.signed_in(remember=remember)
        site.visitor()
    beyond(clock, PERM)
    assert site.reap() == (6, 0)
    assert what_stays(engine) == []


@on_redis
def test_live_claims_have_an_end(site: Site, clock: Clock, engine: type[SessionStore]) -> None:
    """While an end is announced, every key has a time to live (REQ-R09)."""
    site.signed_in()
    beyond(clock, TEMP)
    engine().store.claim_overdue(clock(), 10, 60)
    client: Any = get_redis_connection("valkey")
    assert client.keys("*")
    assert all(client.ttl(key) > 0 for key in client.keys("*"))
