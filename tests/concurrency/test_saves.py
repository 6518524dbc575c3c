"""A session that ends, moves or is cleared away while another request is using it (REQ-R22 to REQ-R25, R27, R28)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import UpdateError
from django.db.models.signals import post_delete

from tests.concurrency.classes import OpenTab, RaceSession, Tab
from tests.concurrency.interleavings import Outcome, Race
from tests.concurrency.stored import fields_of, found, id_of, stored, writes
from typed_sessions import EndReason, SessionStatus, conf
from typed_sessions.backends.base import Commit, SessionStore
from typed_sessions.stores.record import GRACE, Record, Tombstone
from typed_sessions.stores.redis import INDEX_LAG
from typed_sessions.testing.engines import Clock

pytestmark = pytest.mark.django_db(transaction=True)


def late_save(outcome: Outcome, key: str) -> str:
    """What has become of a request that wrote to a session while that was ended."""
    if outcome.error is not None:
        assert isinstance(outcome.error, UpdateError)
        return "failed"
    session: Tab = outcome.answer
    if session.key == key:
        return "saved before the end"
    assert "kept" not in session
    return "found it ended"


def test_r22_save_after_the_end(race: Race, open_tab: OpenTab, engine: type[SessionStore]) -> None:
    """In whatever order: the session is over, and a save has either come before its end, or failed."""
    for round in race:
        key = stored(engine)

        def write(key: str = key) -> Tab:
            session = open_tab(key).bind()
            session.typed.name = "late"
            session.commit()
            return session

        def end(key: str = key) -> None:
            open_tab(key).bind().flush()

        done = round.run(writer=write, ender=end)
        assert done["ender"].value is None
        there = found(engine, key)
        assert isinstance(there, Tombstone) and there.reason is EndReason.LOGGED_OUT
        outcome = late_save(done["writer"], key)
        assert outcome != "saved before the end" or round.trace[-1].startswith("ender")
        round.count(outcome)
    assert set(race.outcomes) == {"failed", "saved before the end", "found it ended"}


def test_r22_last_state(race: Race, engine: type[SessionStore]) -> None:
    """Whoever ends a session is told its last state: with what was saved in time, and without what was not."""
    for round in race:
        key = stored(engine, views=1)
        session = Tab(engine(key))
        session.typed.views = 2

        def end(key: str = key) -> Record | None:
            return engine().store.end(id_of(key), EndReason.ENDED_BY_STAFF, 0)

        done = round.run(writer=session.save, ender=end)
        last = engine().copy_of(done["ender"].value).session
        assert isinstance(last, RaceSession)
        assert last.views == (1 if done["writer"].error else 2)
        round.count("failed" if done["writer"].error else "saved")
    assert set(race.outcomes) == {"failed", "saved"}


def test_r23_touch_after_the_end(race: Race, open_tab: OpenTab, engine: type[SessionStore], clock: Clock) -> None:
    """A request that only slides the idle timeout brings no session back, and fails nobody."""
    for round in race:
        key = stored(engine)
        clock.advance(conf.settings().touch_interval)

        def read(key: str = key) -> str:
            session = open_tab(key).bind()
            return f"{session.typed.status.value} {session.commit().value}"

        def end(key: str = key) -> None:
            open_tab(key).bind().flush()

        done = round.run(reader=read, ender=end)
        assert done["ender"].value is None
        assert isinstance(found(engine, key), Tombstone)
        assert done["reader"].value != "live touched" or round.trace[-1].startswith("ender")
        round.count(done["reader"].value)
    assert set(race.outcomes) == {"live touched", "live nothing", "ended nothing"}


def test_r24_touch_leaves_the_data(race: Race, open_tab: OpenTab, engine: type[SessionStore], clock: Clock) -> None:
    """A touch takes back nothing of what another request has saved meanwhile, and is no conflict for it."""
    for round in race:
        key = stored(engine, name="before")
        before = clock.now
        clock.advance(conf.settings().touch_interval)

        def read(key: str = key) -> Commit:
            session = open_tab(key).bind()
            assert session.typed.name in ("before", "after")
            commit: Commit = session.commit()
            return commit

        def write(key: str = key) -> None:
            session = open_tab(key).bind()
            session.typed.name = "after"
            session["also"] = "in the bag"
            assert session.commit() is Commit.SAVED

        done = round.run(reader=read, writer=write)
        assert done["writer"].value is None
        assert writes(round, "writer") == 1
        session = Tab(engine(key))
        assert (session.typed.name, session["also"]) == ("after", "in the bag")
        there = found(engine, key)
        assert isinstance(there, Record) and there.revision == 2 and there.seen == clock.now
        assert there.expires == clock.now + conf.settings().temp_seconds > before
        round.count(done["reader"].value.value)
    assert set(race.outcomes) == {"touched", "nothing"}


@pytest.fixture(params=["", "audited"])
def receiver(request: pytest.FixtureRequest) -> Iterator[None]:
    """A package that listens to what becomes of every model makes Django delete row by row."""

    def receive(**_: object) -> None:
        pass

    if request.param:
        post_delete.connect(receive)
    yield
    post_delete.disconnect(receive)


@pytest.mark.usefixtures("receiver")
def test_r25_clearing_against_a_touch(race: Race, engine: type[SessionStore], clock: Clock) -> None:
    """A session that a slow request has refreshed is neither cleared away nor out of the lists: one comes first."""
    for round in race:
        key = stored(engine)
        clock.advance(INDEX_LAG - 1)
        slow = Tab(engine(key)).bind()
        slow.typed.name = "saved again"
        slow.commit()
        # Redis removes the record itself when the grace is over; there is something to race for while the index lags.
        lag = INDEX_LAG - 1 if engine.__module__.endswith("redis") else 0
        clock.advance(conf.settings().temp_seconds + GRACE - 1 - lag)

        def clear() -> None:
            clock.advance(2)
            engine.clear_expired()

        done = round.run(toucher=slow.commit, reaper=clear)
        assert done["reaper"].error is None
        is_live = Tab(engine(key)).typed.status is SessionStatus.LIVE
        assert is_live is (done["toucher"].value is Commit.TOUCHED)
        assert list(engine().store.newest(clock.now, 9)) == [id_of(key)] * is_live
        assert engine().store.count(clock.now) == is_live
        round.count(done["toucher"].value.value)
        engine(key).flush()
        clock.advance(-clock.now % INDEX_LAG)  # rounds begin alike, whatever of the index is due
    assert race.outcomes["touched"]


def test_r25_clearing_against_a_save(race: Race, engine: type[SessionStore], clock: Clock) -> None:
    """A save in the grace either comes first, and then keeps the session, or fails."""
    for round in race:
        key = stored(engine)
        slow = Tab(engine(key)).bind()
        slow.typed.name = "late"
        clock.advance(conf.settings().temp_seconds + GRACE - 1)

        def clear() -> None:
            clock.advance(1)
            engine.clear_expired()

        done = round.run(writer=slow.commit, reaper=clear)
        assert done["reaper"].error is None
        if done["writer"].error is None:
            assert fields_of(engine, key).name == "late"
            assert engine().store.count(clock.now) == 1
        else:
            assert isinstance(done["writer"].error, UpdateError)
            assert not Tab(engine(key)).exists(key)
        round.count("saved" if done["writer"].error is None else "failed")
        engine(key).flush()
        clock.advance(-clock.now % INDEX_LAG)  # as above


def test_r28_two_sign_ins(race: Race, open_tab: OpenTab, engine: type[SessionStore], clock: Clock) -> None:
    """Two sign-ins from one anonymous session are two sessions, and the anonymous one is over."""
    for round in race:
        key = stored(engine, cart=["book"])

        def sign_in(user: str, key: str = key) -> Tab:
            session = open_tab(key).bind()
            session.sign_in(user)
            session.commit()
            return session

        done = round.run(ada=lambda: sign_in("1"), grace=lambda: sign_in("2"))
        one, other = done["ada"].value, done["grace"].value
        assert len({one.key, other.key, key}) == 3
        there = found(engine, key)
        assert isinstance(there, Tombstone) and there.reason is EndReason.ROTATED
        carts = []
        for session, user in ((one, "1"), (other, "2")):
            reopened = Tab(engine(session.key))
            assert reopened[SESSION_KEY] == user
            carts.append(reopened.typed.cart)
        round.count(str(sorted(carts)))
    assert engine().store.count(clock.now) == 2 * race.rounds
    assert set(race.outcomes) == {"[['book'], ['book']]", "[[], ['book']]"}


def test_r28_three_sign_ins(race: Race, engine: type[SessionStore], clock: Clock) -> None:
    """Nor do three get into each other's way, who had all loaded the session before."""
    race.rounds, race.changes = 300, 1
    for round in race:
        key = stored(engine, cart=["book"])
        sessions = [Tab(engine(key)).bind() for _ in range(3)]
        for user, session in enumerate(sessions):
            assert session.typed.name == ""
            session.sign_in(str(user))
        done = round.run(one=sessions[0].commit, two=sessions[1].commit, three=sessions[2].commit)
        assert {outcome.value for outcome in done.values()} == {Commit.SAVED}
        assert len({session.key for session in sessions}) == 3
        for user, session in enumerate(sessions):
            reopened = Tab(engine(session.key))
            assert reopened[SESSION_KEY] == str(user)
            assert reopened.typed.cart == ["book"]
        assert isinstance(found(engine, key), Tombstone)
