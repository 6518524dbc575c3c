"""`live_sessions.statistics` and `history`, and `end_all` of some sessions: what the admin's page stands on."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from tests.life.conftest import few, on
from tests.life.ears import Ears
from tests.life.site import DAY, Site, id_of
from typed_sessions import EndReason, SessionMode
from typed_sessions.backends.base import SessionStore
from typed_sessions.stores.record import Record
from typed_sessions.stores.selection import Selection
from typed_sessions.stores.statistics import INTERVAL, RECENT, SAMPLES_LIFE, Sample
from typed_sessions.testing.engines import Clock

TEMP, PERM = 14 * DAY, 28 * DAY


def at(moment: int) -> datetime:
    return datetime.fromtimestamp(moment, tz=timezone.utc)


# Statistics


def test_statistics_of_a_site(site: Site) -> None:
    """Who is there is counted, and what has begun and ended within the hour: a sign-in is neither, whatever it does to
    the id.
    """
    assert site.live.statistics() == (0, 0, 0, {})
    site.visitor()
    leaving, thrown_out, staying = (site.signed_in(remember=remember) for remember in (False, True, False))
    leaving.visit(site.sign_out_by_django)
    site.live.end(id_of(thrown_out), EndReason.ENDED_BY_STAFF)
    staying.visit(site.engine_view("cycle_key"))
    found = site.live.statistics()
    assert (found.live, found.signed_in, found.anonymous, found.started) == (2, 1, 1, 4)
    assert dict(found.ended) == {EndReason.LOGGED_OUT: 1, EndReason.ENDED_BY_STAFF: 1}


def test_statistics_forget_after_an_hour(site: Site, clock: Clock) -> None:
    """What happened more than an hour ago, to the minute, is not told any more; what is live still is."""
    site.visitor()
    site.live.end(id_of(site.signed_in()))
    clock.advance(RECENT - 60)
    assert site.live.statistics() == (1, 0, 2, {EndReason.ENDED_BY_USER: 1})
    clock.advance(120)
    assert site.live.statistics() == (1, 0, 0, {})


def test_expiry_counts_when_it_is_announced(site: Site, clock: Clock, ears: Ears) -> None:
    """A session that has expired is not live from that moment on, and has ended when a reaper says so."""
    for _ in range(3):
        site.visitor()
    clock.advance(TEMP + 60)
    assert site.live.statistics() == (0, 0, 0, {})
    assert site.reap() == (3, 0)
    assert site.live.statistics() == (0, 0, 0, {EndReason.EXPIRED_IDLE: 3})
    assert len(ears.ends()) == 3


# History


def test_history_is_a_sample_every_five_minutes(site: Site, clock: Clock) -> None:
    """Each interval has the numbers of the moment at which somebody first asked, and the earliest come first."""
    begun = clock.now - clock.now % INTERVAL
    assert site.live.history() == []
    site.live.statistics()
    site.visitor()
    site.live.statistics()
    assert site.live.history() == [Sample(begun, 0, 0, 0)]
    clock.advance(INTERVAL)
    site.signed_in()
    site.live.statistics()
    clock.advance(2 * INTERVAL)
    site.live.statistics()
    later = [Sample(begun + INTERVAL, 2, 1, 2), Sample(begun + 3 * INTERVAL, 2, 1, 2)]
    assert site.live.history() == [Sample(begun, 0, 0, 0), *later]
    assert site.live.history(at(begun + 1)) == later
    assert site.live.history(since=at(begun + 3 * INTERVAL)) == later[1:]
    assert site.live.history(at(begun + 3 * INTERVAL) + timedelta(microseconds=1)) == []


def test_reaper_takes_samples(site: Site, clock: Clock) -> None:
    """Where a reaper runs there is a history, also if nobody looks at the statistics."""
    site.visitor()
    site.reap()
    assert site.live.history() == [Sample(clock.now - clock.now % INTERVAL, 1, 0, 1)]


def test_history_is_of_a_week(site: Site, clock: Clock) -> None:
    """Samples are told, and kept, for seven days, whenever anybody wants them from."""
    first = clock.now - clock.now % INTERVAL
    for _ in range(4):
        site.live.statistics()
        clock.advance(SAMPLES_LIFE // 2)
    assert [sample.at - first for sample in site.live.history()] == [SAMPLES_LIFE, SAMPLES_LIFE * 3 // 2]
    assert site.live.history(at(0)) == site.live.history()
    clock.advance(1)
    assert [sample.at - first for sample in site.live.history()] == [SAMPLES_LIFE * 3 // 2]


@few
def test_history_needs_a_time_zone(site: Site) -> None:
    """A moment that could be any of several is none."""
    with pytest.raises(ValueError, match="since needs a time zone"):
        site.live.history(datetime(2026, 1, 1))  # which is what is wrong with it


# Ending some


def test_ending_those_of_a_selection(site: Site, clock: Clock, ears: Ears) -> None:
    """Only what is selected ends, by mode, by whether somebody is signed in, and by when it was used."""
    visitor, temporary, permanent = site.visitor(), site.signed_in(), site.signed_in(remember=True)
    clock.advance(3600)
    recent = site.visitor()
    old = Selection(signed_in=False, before=clock.now - 60)
    for selection, ended in (
        (Selection(mode=SessionMode.PERM), permanent),
        (Selection(signed_in=True), temporary),
        (old, visitor),
    ):
        assert site.live.count(selection) == 1
        assert site.live.end_all(selection=selection) == 1
        assert site.live.end_all(selection=selection) == site.live.count(selection) == 0
        assert ears.ends()[-1] == (id_of(ended), EndReason.ENDED_BY_STAFF)
    assert [session.id for session in site.live.recent()] == [id_of(recent)]


def test_sparing_some(site: Site) -> None:
    """Those that are to be spared stay, however many pages of them come first."""
    kept, ended = [site.signed_in() for _ in range(2)], [site.visitor() for _ in range(3)]
    asked: list[str] = []

    def has_user(record: Record) -> bool:
        asked.append(record.id)
        return record.user is not None

    assert site.live.end_all(spare=has_user) == 3
    assert {session.id for session in site.live.recent()} == {id_of(browser) for browser in kept}
    assert set(asked) == {id_of(browser) for browser in (*kept, *ended)}


def test_ending_in_parts(site: Site, ears: Ears, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a limit so many end at once, what would expire first first, and the next call goes on; pages make no
    difference.
    """
    monkeypatch.setattr("typed_sessions.live._PAGE", 2)
    browsers = []
    for number in range(7):
        site.clock.advance(1)
        browsers.append((site.signed_in if number % 3 == 0 else site.visitor)())
    visitors = [id_of(browser) for number, browser in enumerate(browsers) if number % 3]
    heard: list[int] = []
    assert site.live.end_all(limit=0) == 0
    parts = [
        site.live.end_all(limit=3, spare=lambda record: record.user is not None, progress=heard.append)
        for _ in range(3)
    ]
    assert parts == [3, 1, 0]
    assert heard == [1, 2, 3, 1]
    assert [session_id for session_id, _ in ears.ends()] == visitors
    assert site.live.count() == 3


@on("redis-sync", "db-async")
def test_pages_of_a_selection(site: Site, clock: Clock, engine: type[SessionStore]) -> None:
    """What is recent can be had in another order, and of some, page by page."""
    browsers = []
    for remember in (True, False, True):
        clock.advance(60)
        browsers.append(site.signed_in(remember=remember))
    site.visitor()
    soonest = Selection(signed_in=True, by="expires", ascending=True)
    pages = [[session.id for session in site.live.recent(2, offset, soonest)] for offset in (0, 2, 4)]
    assert pages == [[id_of(browsers[1]), id_of(browsers[0])], [id_of(browsers[2])], []]
