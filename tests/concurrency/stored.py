"""Sessions in the store, made and looked at past the requests that meet."""

from __future__ import annotations

from tests.concurrency.classes import RaceSession, Tab
from tests.concurrency.interleavings import Race
from typed_sessions import SessionStatus, tokens
from typed_sessions.backends.base import SessionStore
from typed_sessions.stores.record import Record, Tombstone


def stored(engine: type[SessionStore], **values: object) -> str:
    """The key of a new session with these fields."""
    session = Tab(engine())
    for name, value in values.items():
        setattr(session.typed, name, value)
    session["kept"] = "in the bag"
    session.save()
    return session.key


def id_of(key: str) -> str:
    token = tokens.read(key)
    assert token is not None
    return token.id


def found(engine: type[SessionStore], key: str) -> Record | Tombstone | None:
    """What the store holds under the key."""
    return engine().store.load(id_of(key))


def fields_of(engine: type[SessionStore], key: str) -> RaceSession:
    """The fields of a session that has to be live."""
    session = Tab(engine(key))
    typed = session.typed
    assert session.store.facts.status is SessionStatus.LIVE
    assert isinstance(typed, RaceSession)
    return typed


def writes(race: Race, name: str) -> int:
    """How often the request of this name has sent a record in the last round."""
    return sum(command in ("SAVE", "REPLACE", "CREATE", "UPDATE", "BEGIN") for command in race.commands(name))
