"""What hardly ever comes about when sessions end: errors of others, and stores that do not answer just then."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.core.cache import caches

from tests.engines.rows import UseEngine
from typed_sessions import TypedSession, live_sessions
from typed_sessions.backends import endings, limits, loaded, reaping
from typed_sessions.backends.base import SessionStore
from typed_sessions.exceptions import StoreUnavailable
from typed_sessions.flows import drive
from typed_sessions.models import Reservation, Revocation
from typed_sessions.states import EndReason
from typed_sessions.stores.byte_cache import _limited
from typed_sessions.stores.cache import CacheStore
from typed_sessions.testing.engines import Clock
from typed_sessions.tokens import urn

pytestmark = pytest.mark.django_db


@pytest.fixture
def engine(use_engine: UseEngine) -> type[SessionStore]:
    return use_engine("db")


def stored(engine: type[SessionStore]) -> str:
    """The id of a new session."""
    session = engine()
    session["color"] = "red"
    session.save()
    assert session.facts.id is not None
    return session.facts.id


def away(*args: object) -> Any:
    raise StoreUnavailable("it is away")


def test_end_stands_whatever_telling_of_it_raises(
    engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A session whose last state cannot be shown has ended all the same, and the log says so."""
    session_id = stored(engine)
    monkeypatch.setattr("typed_sessions.hooks.is_heard", lambda *args: True)
    monkeypatch.setattr(endings, "as_it_ended", away)
    assert live_sessions.end(session_id) is True
    assert f"Session {session_id} has ended, and on_ended could not be told" in caplog.text


def test_key_of_another_user_model_is_nobody(engine: type[SessionStore]) -> None:
    """A primary key that the user model cannot have belongs to nobody."""
    assert endings.users_of({"not a number"}) == {}


def test_user_who_cannot_be_asked_for_is_left_out(
    engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The end is told without its user if the users' database does not answer."""
    monkeypatch.setattr(endings, "users_of", away)
    assert drive(endings._finding_user("7", None)) is None
    assert "The user 7 of a session that has ended could not be found" in caplog.text


def test_limits_of_a_store_that_is_away(
    engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Who has signed in is signed in, if places cannot be given back or older sessions ended just then."""
    session = engine()
    monkeypatch.setattr(session.store, "release", away)
    monkeypatch.setattr(session.store, "of_user", away)
    drive(limits.releasing(session, "7", "0" * 40))
    drive(limits._ending_oldest(session, "7", 3))
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.ERROR]


def test_losses_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many losses the oldest are forgotten, and may be told again."""
    monkeypatch.setattr(loaded, "_missed", {})
    monkeypatch.setattr(loaded, "_REMEMBERED", 2)
    assert [loaded._is_first_to_miss(name) for name in ("a", "b", "a", "c", "a")] == [True, True, False, True, True]


def test_what_takes_longer_than_its_lease_is_told_later(
    engine: type[SessionStore], clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A reaper whose time is over leaves the rest of its claims to the next."""
    stored(engine)
    clock.advance(15 * 86_400)
    monkeypatch.setattr(reaping, "_SHARE", -1)
    assert live_sessions.reap(lease=5).ended == 0
    assert "took too long" in caplog.text
    monkeypatch.undo()
    later = clock() + 6
    monkeypatch.setattr("typed_sessions.clock.now", lambda: later)
    assert live_sessions.reap().ended == 1


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"lease": 0}, {"limit": -1}])
def test_reaping_by_nonsense_is_refused(engine: type[SessionStore], wrong: dict[str, int]) -> None:
    """A batch or a lease of nothing would never end."""
    with pytest.raises(ValueError, match="batch and lease are 1 or more"):
        live_sessions.reap(**wrong)


def test_reaping_in_a_transaction_is_refused(engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch) -> None:
    """What was told cannot be rolled back."""
    monkeypatch.setattr(engine().store, "after_commit", lambda act: act() is None)
    with pytest.raises(RuntimeError, match="outside of transactions"):
        live_sessions.reap()


def test_rows_are_called_by_their_names() -> None:
    """The rows of the journal and of the places say whose they are."""
    assert str(Reservation(user="7")) == "7"
    assert str(Revocation(id="0" * 40, reason=EndReason.ROTATED.value)) == urn("0" * 40)


def test_lifetimes_are_the_settings_unless_a_class_says_otherwise() -> None:
    """The base class leaves both to the settings."""
    assert TypedSession().lifetime() is None
    assert TypedSession().absolute_lifetime() is None


def test_store_that_knows_no_users_keeps_no_places() -> None:
    """What only a store that lists its sessions can do is refused by others, in words."""
    store = CacheStore("default")
    for verb in (
        lambda: store.reserve("7", "0" * 40, (), 3, 0, 60),
        lambda: store.release("7", "0" * 40),
        lambda: store.settle((), 0),
    ):
        with pytest.raises(NotImplementedError, match="cannot list sessions"):
            verb()
    assert store.incarnation() is None
    assert store.has_spread("0" * 40) is True
    assert store.time() is None


def test_client_without_a_pool_is_taken_as_it_is() -> None:
    """A cluster's client has its limits of time already."""
    client = object()
    assert _limited(client) is client
    assert caches["default"] is not client
