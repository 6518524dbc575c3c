"""A write whose reply is lost, and which is sent again: it is done once, and undoes nothing that came since (REQ-R30).

The caller repeats the verb, as the contract of stores allows, or the client library the command.
"""

from __future__ import annotations

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import UpdateError

from tests.concurrency.classes import OpenTab, Tab
from tests.concurrency.conftest import Losing
from tests.concurrency.interleavings import Race
from tests.concurrency.stored import fields_of, found, stored
from typed_sessions import EndReason, conf
from typed_sessions.backends.base import Commit, SessionStore
from typed_sessions.stores.record import Record, Tombstone
from typed_sessions.testing.engines import Clock

pytestmark = pytest.mark.django_db(transaction=True)

each_engine = pytest.mark.parametrize(
    ("engine", "losing"),
    [
        ("redis", "verb"),
        ("redis", "command"),
        pytest.param("postgres", "verb", marks=pytest.mark.postgres),
        ("db", "verb"),
        ("cached_db", "verb"),
    ],
    indirect=True,
)

each_that_repeats = pytest.mark.parametrize(
    ("engine", "losing"), [("redis", "verb"), ("redis", "command")], indirect=True
)
"""The engine whose client sends a command again by itself, when others may have come between: a database's does not."""


@each_engine
def test_r30_every_write_alone(open_tab: OpenTab, engine: type[SessionStore], losing: Losing, clock: Clock) -> None:
    """A session that is begun, counted in, touched, rotated and ended, each of it with a lost reply, is always one
    session, in which each change was made once.
    """
    with losing():
        session = open_tab().bind()
        session.typed.views += 1
        assert session.commit() is Commit.SAVED
        first = session.key
        session = open_tab(first).bind()
        session.typed.views += 1
        session["also"] = 1
        assert session.commit() is Commit.SAVED
        there = found(engine, first)
        assert isinstance(there, Record) and there.revision == 2
        clock.advance(conf.settings().touch_interval)
        session = open_tab(first).bind()
        assert session.typed.views == 2
        assert session.commit() is Commit.TOUCHED
        session = open_tab(first).bind()
        session.cycle_key()
        session.typed.views += 1
        assert session.commit() is Commit.SAVED
        assert fields_of(engine, session.key).views == 3
        assert isinstance(found(engine, first), Tombstone)
        assert engine().store.count(clock.now) == 1
        open_tab(session.key).bind().flush()
        assert engine().store.count(clock.now) == 0
        assert isinstance(found(engine, session.key), Tombstone)


@each_engine
def test_r30_save_against_the_end(race: Race, open_tab: OpenTab, engine: type[SessionStore], losing: Losing) -> None:
    """A save that is sent again after the session was ended brings nothing back."""
    for round in race:
        key = stored(engine)

        def write(key: str = key) -> Tab:
            with losing():
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
        if done["writer"].error is not None:
            assert isinstance(done["writer"].error, UpdateError)
        elif done["writer"].answer.key != key:  # it had found the end, and began anew
            assert fields_of(engine, done["writer"].answer.key).name == "late"
        round.count("failed" if done["writer"].error else "answered")
    assert set(race.outcomes) == {"failed", "answered"}


@each_engine
def test_r30_touch_against_the_end(race: Race, engine: type[SessionStore], losing: Losing, clock: Clock) -> None:
    """Nor does a touch that is sent again."""
    for round in race:
        key = stored(engine)
        clock.advance(conf.settings().touch_interval)
        session = Tab(engine(key)).bind()
        assert session.typed.name == ""

        def touch(session: Tab = session) -> Commit:
            with losing():
                commit: Commit = session.commit()
                return commit

        done = round.run(reader=touch, ender=engine(key).flush)
        assert done["ender"].error is None
        assert isinstance(found(engine, key), Tombstone)
        round.count(done["reader"].value.value)
    assert set(race.outcomes) == {"touched", "nothing"}


@each_that_repeats
def test_r30_counted_once(race: Race, open_tab: OpenTab, engine: type[SessionStore], losing: Losing) -> None:
    """What is added or appended by a save that is sent again is there once, even if another request saved between."""
    for round in race:
        key = stored(engine, views=10)

        def count(name: str, key: str = key) -> None:
            session = open_tab(key).bind()
            typed = session.typed
            typed.views += 1
            typed.trail.append(name)
            session.commit()

        def count_and_repeat() -> None:
            with losing():
                count("repeated")

        done = round.run(repeated=count_and_repeat, other=lambda c=count: c("other"))  # type: ignore[misc]
        assert [outcome.value for outcome in done.values()] == [None, None]
        typed = fields_of(engine, key)
        assert (sorted(typed.trail), typed.views) == (["other", "repeated"], 12)
        round.count(typed.trail[0])
    assert set(race.outcomes) == {"other", "repeated"}


@each_that_repeats
def test_r30_not_refused_by_itself(race: Race, engine: type[SessionStore], losing: Losing) -> None:
    """A change that was stored is no conflict with itself, when another request has saved another field since."""
    for round in race:
        key = stored(engine, note="before")
        session, other = Tab(engine(key)).bind(), Tab(engine(key)).bind()
        session.typed.note = "mine"
        other.typed.name = "other"

        def write(session: Tab = session) -> None:
            with losing():
                session.commit()

        done = round.run(writer=write, other=other.commit)
        assert [outcome.error for outcome in done.values()] == [None, None]
        typed = fields_of(engine, key)
        assert (typed.note, typed.name) == ("mine", "other")


@each_engine
def test_r30_sign_in(race: Race, engine: type[SessionStore], losing: Losing, clock: Clock) -> None:
    """A sign-in that is sent again is one session, which has what another request saved before it."""
    for round in race:
        key = stored(engine, views=10)
        visitor, writer = Tab(engine(key)).bind(), Tab(engine(key)).bind()
        visitor.sign_in("7")
        writer.typed.views += 1

        def sign_in(visitor: Tab = visitor) -> None:
            with losing():
                visitor.commit()

        done = round.run(visitor=sign_in, writer=writer.commit)
        assert done["visitor"].error is None
        session = Tab(engine(visitor.key))
        assert session[SESSION_KEY] == "7"
        assert session.typed.views == (10 if done["writer"].error else 11)
        assert isinstance(found(engine, key), Tombstone)
        round.count("failed" if done["writer"].error else "saved")
    assert set(race.outcomes) == {"failed", "saved"}
    assert engine().store.count(clock.now) == race.rounds
