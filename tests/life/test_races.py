"""Reapers, requests and people who end the same session at once, in every order of what they ask of the stores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from tests.concurrency.classes import OpenTab, RaceSession, Tab
from tests.concurrency.conftest import (
    Losing,
    clock,
    configure,
    engine,
    losing,
    open_tab,
    race,
    stops,
    use_engine,
    verbs,
)
from tests.concurrency.interleavings import Race, on_own_loop
from tests.concurrency.stored import found, id_of, stored
from tests.concurrency.test_lost_replies import each_engine
from typed_sessions import EndReason, SessionStatus, conf, live_sessions
from typed_sessions import clock as app_clock
from typed_sessions.backends.base import Commit, SessionStore
from typed_sessions.signals import on_ended
from typed_sessions.stores.record import GRACE, Record, Tombstone, new_nonce
from typed_sessions.stores.redis import INDEX_LAG
from typed_sessions.testing.engines import Clock
from typed_sessions.testing.stores import new_id

__all__ = ["clock", "configure", "engine", "losing", "open_tab", "race", "stops", "use_engine", "verbs"]

pytestmark = pytest.mark.django_db(transaction=True)

IDLE = EndReason.EXPIRED_IDLE
Told = Counter[tuple[str | None, EndReason]]


@pytest.fixture(autouse=True)
def _right_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks at the store's clock, which is not the one of these tests; that would be one more command."""
    monkeypatch.setattr(app_clock, "is_checked", lambda: True)


@pytest.fixture
def told() -> Iterator[Told]:
    """How often the end of each session was told."""
    told: Told = Counter()

    def receive(session: RaceSession, reason: EndReason, **kwargs: Any) -> None:
        told[session.id, reason] += 1

    on_ended.connect(receive)
    yield told
    on_ended.disconnect(receive)


@pytest.fixture(params=["sync"])
def live(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`live("reap")` calls the verb of `live_sessions`, or its twin."""
    if request.param == "sync":
        return lambda verb, *args: getattr(live_sessions, verb)(*args)
    return lambda verb, *args: on_own_loop(getattr(live_sessions, f"a{verb}"))(*args)


each_way = pytest.mark.parametrize(
    ("engine", "live"),
    [
        ("redis", "sync"),
        ("redis", "async"),
        pytest.param("postgres", "sync", marks=pytest.mark.postgres),
        ("db", "sync"),
    ],
    indirect=True,
)
two_ways = pytest.mark.parametrize(
    ("engine", "live"), [("redis", "sync"), pytest.param("postgres", "sync", marks=pytest.mark.postgres)], indirect=True
)
"""Where there are too many orders to meet them on every engine."""


def lag_of(engine: type[SessionStore]) -> int:
    """Seconds that an index may be behind what is stored."""
    return INDEX_LAG - 1 if engine.__module__.endswith("redis") else 0


def begin_alike(clock: Clock) -> None:
    """The next round begins as this one did, whatever of the index is due."""
    clock.advance(-clock.now % INDEX_LAG)


@each_way
def test_r25_reaping_against_a_touch(
    race: Race, engine: type[SessionStore], clock: Clock, told: Told, live: Callable[..., Any]
) -> None:
    """A slow request that extends the session, or the reaper that tells of its end: one of them comes first, and the
    session is live, or it is over and told of once.
    """
    for round in race:
        key = stored(engine)
        clock.advance(INDEX_LAG - 1)
        slow = Tab(engine(key)).bind()
        slow.typed.name = "saved again"
        slow.commit()
        # While the index lags, it calls a session overdue that is not.
        clock.advance(conf.settings().temp_seconds + GRACE - 1 - lag_of(engine))

        def reap() -> None:
            clock.advance(2)
            live("reap")

        done = round.run(toucher=slow.commit, reaper=reap)
        assert done["reaper"].error is None
        is_live = Tab(engine(key)).typed.status is SessionStatus.LIVE
        assert is_live is (done["toucher"].error is None and done["toucher"].answer is Commit.TOUCHED)
        assert told == ({} if is_live else {(id_of(key), IDLE): 1})
        assert list(engine().store.newest(clock.now, 9)) == [id_of(key)] * is_live
        round.count("live" if is_live else "over")
        engine(key).flush()
        told.clear()
        begin_alike(clock)
    assert race.outcomes["live"]


@two_ways
def test_r25_reaping_against_a_save(
    race: Race, engine: type[SessionStore], clock: Clock, told: Told, live: Callable[..., Any]
) -> None:
    """Likewise a request that saves in the grace; what the reaper tells has nothing of a save that failed."""
    for round in race:
        key = stored(engine)
        slow = Tab(engine(key)).bind()
        slow.typed.name = "late"
        clock.advance(conf.settings().temp_seconds + GRACE - 1)

        def reap() -> None:
            clock.advance(2)
            live("reap")

        done = round.run(writer=slow.commit, reaper=reap)
        assert done["reaper"].error is None
        is_live = Tab(engine(key)).typed.status is SessionStatus.LIVE
        assert is_live is (done["writer"].error is None)
        assert told == ({} if is_live else {(id_of(key), IDLE): 1})
        round.count("live" if is_live else "over")
        engine(key).flush()
        told.clear()
        begin_alike(clock)
    assert race.outcomes["over"]


@each_way
def test_r34_two_reapers(
    race: Race, engine: type[SessionStore], clock: Clock, told: Told, live: Callable[..., Any]
) -> None:
    """Of several sessions two reapers tell each once between them, none is missed, and nothing is left."""
    kept = found(engine, stored(engine))
    assert isinstance(kept, Record)
    race.rounds //= 2  # each reaper takes statistics too: there are more orders than of other verbs
    for round in race:
        over = clock() - GRACE - 60
        changes = {"seen": over - 60, "modified": over - 100 * 86_400, "expires": over}
        records = [msgspec.structs.replace(kept, id=new_id(), nonce=new_nonce(), **changes) for _ in range(2)]
        for record in records:
            assert engine().store.create(record)
        done = round.run(one=lambda: live("reap"), other=lambda: live("reap"))
        assert told == {(record.id, IDLE): 1 for record in records}
        one, other = done["one"].value, done["other"].value
        assert (one.ended + other.ended, one.missed + other.missed) == (2, 0)
        assert [engine().store.load(record.id) for record in records] == [None, None]
        told.clear()
        round.count(f"{one.ended}")
    assert set(race.outcomes) >= {"0", "2"}
    clock.advance(3600)
    assert live("reap").ended == 0


@two_ways
def test_r34_reaper_that_stops_beside_another(
    race: Race, engine: type[SessionStore], clock: Clock, told: Told, live: Callable[..., Any]
) -> None:
    """Whatever two reapers have done to each other's claims: what the one has not told when it dies, the next one
    tells.
    """
    kept = found(engine, stored(engine))
    assert isinstance(kept, Record)
    race.rounds //= 4
    for round in race:
        over = clock() - GRACE - 60
        changes = {"seen": over - 60, "modified": over - 100 * 86_400, "expires": over}
        record = msgspec.structs.replace(kept, id=new_id(), nonce=new_nonce(), **changes)
        assert engine().store.create(record)
        done = round.run(dies=lambda: engine().store.claim_overdue(clock(), 10, 60), other=lambda: live("reap"))
        died_with = len(done["dies"].value.claims)
        assert told == ({} if died_with else {(record.id, IDLE): 1})
        clock.advance(61)
        live("reap")
        assert told == {(record.id, IDLE): 1}
        assert engine().store.load(record.id) is None
        told.clear()
        round.count(f"{died_with}")
    assert set(race.outcomes) == {"0", "1"}


@each_way
def test_two_ends(
    race: Race, open_tab: OpenTab, engine: type[SessionStore], told: Told, live: Callable[..., Any]
) -> None:
    """A sign-out and an end from outside: one of them ends the session, and it is told once, with that one's reason."""
    race.rounds //= 4
    for round in race:
        key = stored(engine)
        done = round.run(
            visitor=lambda key=key: open_tab(key).bind().flush(),  # type: ignore[misc]  # of the loop's variable
            staff=lambda key=key: live("end", id_of(key), EndReason.ENDED_BY_STAFF),  # type: ignore[misc]
        )
        assert [outcome.error for outcome in done.values()] == [None, None]
        there = found(engine, key)
        assert isinstance(there, Tombstone)
        assert done["staff"].answer is (there.reason is EndReason.ENDED_BY_STAFF)
        assert told == {(id_of(key), there.reason): 1}
        told.clear()
        round.count(there.reason.value)
    assert set(race.outcomes) == {"logged_out", "ended_by_staff"}


@two_ways
def test_end_of_what_moves(
    race: Race, open_tab: OpenTab, engine: type[SessionStore], told: Told, live: Callable[..., Any]
) -> None:
    """A new token against a sign-out by the old one: the old token's end is told once, and the new one's if it ends."""
    race.rounds //= 4
    for round in race:
        key = stored(engine)
        session = open_tab(key).bind()
        assert session.typed.name == ""
        session.cycle_key()
        done = round.run(mover=session.commit, ender=lambda key=key: open_tab(key).bind().flush())  # type: ignore[misc]
        assert done["ender"].error is None
        there = found(engine, key)
        assert isinstance(there, Tombstone)
        assert told == {(id_of(key), there.reason): 1}
        if done["mover"].error is None:
            assert isinstance(found(engine, session.key), Record)
            engine(session.key).flush()
        told.clear()
        round.count(there.reason.value)
    assert set(race.outcomes) == {"logged_out", "rotated"}


# Lost replies


@each_engine
@pytest.mark.parametrize("act", ["flush", "cycle_key"])
def test_r30_end_whose_reply_was_lost(
    race: Race, open_tab: OpenTab, engine: type[SessionStore], losing: Losing, told: Told, act: str
) -> None:
    """An end that is sent again, because nobody heard that it was done, is told once at most, and a new token's is."""
    key = stored(engine)

    def end() -> None:
        with losing():
            session = open_tab(key).bind()
            assert session.typed.name == ""
            getattr(session, act)()
            if act == "cycle_key":
                session.commit()

    outcome, _ = race.alone(end)
    assert outcome.error is None
    there = found(engine, key)
    assert isinstance(there, Tombstone)
    once = {(id_of(key), there.reason): 1}
    assert told == once or (act == "flush" and told == {})


@each_engine
def test_r30_reaping_with_lost_replies(
    race: Race, engine: type[SessionStore], losing: Losing, told: Told, clock: Clock
) -> None:
    """A reaper whose replies are lost tells of what it has claimed at least once, when its own lease is over."""
    key = stored(engine)
    clock.advance(conf.settings().temp_seconds + GRACE + 2)

    def reap() -> None:
        with losing():
            live_sessions.reap(lease=60)

    for _ in range(2):
        assert race.alone(reap)[0].error is None
        clock.advance(61)
    assert race.alone(live_sessions.reap)[0].error is None
    assert set(told) == {(id_of(key), IDLE)}
    assert found(engine, key) is None or isinstance(found(engine, key), Tombstone)
