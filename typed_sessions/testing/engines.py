"""What every session engine promises, as tests. Subclass ``EngineContract``, give it your engine, and run pytest on it.

    class TestMyEngine(EngineContract):
        @pytest.fixture
        def engine(self, db):
            return my_package.backend.SessionStore

Each test that waits for the store runs twice: through the sync methods of the engine, and through their async twins.
"""

from __future__ import annotations

import inspect
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.http import HttpRequest
from django.test import override_settings

from .. import AuthUserSession, EndReason, SessionMode, SessionStatus, session_field, tokens
from ..backends.base import Commit, SessionStore
from ..exceptions import SessionConflict, SessionFieldError, SessionTooLarge
from ..stores.record import GRACE

__all__ = ["Clock", "ContractSession", "Driven", "EngineContract", "Verbs"]

_DAY = 24 * 3600


@dataclass
class Line:
    sku: str
    amounts: dict[str, list[int]] = field(default_factory=dict)


@dataclass
class ContractSession(AuthUserSession):
    """The session class of these tests."""

    lines: list[Line] = field(default_factory=list)
    views: int = session_field(default=0, merge="add")
    note: str = session_field(default="", merge="refuse")
    name: str = ""


class Clock:
    """The time of tokens, records and expiry; it stands still until a test moves it."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: int) -> None:
        self.now += seconds

    def moment(self) -> datetime:
        moment = datetime.fromtimestamp(self.now, tz=timezone.utc)
        return moment if settings.USE_TZ else moment.astimezone().replace(tzinfo=None)


class Verbs:
    """Stands before the engine's store: notes each verb that is asked of it, and lets others act just before one."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self._actions: dict[str, tuple[Callable[[], object], int]] = {}

    def before(self, verb: str, action: Callable[[], object], times: int = 1) -> None:
        """``action`` happens right before each of the next ``times`` calls of ``verb``."""
        self._actions[verb] = (action, times)

    def take(self) -> list[str]:
        """What was called since the last time this was asked."""
        called, self.called = self.called, []
        return called

    def watch(self, store: object) -> object:
        return _Watched(store, self)

    def note(self, verb: str) -> Callable[[], object]:
        self.called.append(verb)
        action, times = self._actions.pop(verb, (lambda: None, 0))
        if times > 1:
            self._actions[verb] = (action, times - 1)
        return action


class _Watched:
    def __init__(self, store: object, verbs: Verbs) -> None:
        self._store, self._verbs = store, verbs

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._store, name)
        if iscoroutinefunction(attribute):
            return self._asynchronous(name[1:], attribute)
        return self._sync(name, attribute) if callable(attribute) else attribute

    def _sync(self, name: str, verb: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            action = self._verbs.note(name)
            action()
            return verb(*args)

        return call

    def _asynchronous(self, name: str, verb: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any) -> Any:
            action = self._verbs.note(name)
            await sync_to_async(action)()
            return await verb(*args)

        return call


class Driven:
    """A session of the engine, used through its sync methods, or through their async twins by the same names."""

    def __init__(self, store: SessionStore, asynchronous: bool = False) -> None:
        self.store = store
        self._asynchronous = asynchronous
        self._request = HttpRequest()

    def __getattr__(self, name: str) -> Any:
        twin = getattr(self.store, f"a{name}", None)
        return async_to_sync(twin) if self._asynchronous and twin is not None else getattr(self.store, name)

    @property
    def typed(self) -> ContractSession:
        typed = async_to_sync(self.store.aget_typed_session)() if self._asynchronous else self.store.typed_session
        assert isinstance(typed, ContractSession)
        return typed

    @property
    def key(self) -> str:
        assert self.store.session_key is not None
        return self.store.session_key

    def __getitem__(self, name: str) -> Any:
        return dict(self.items())[name] if self._asynchronous else self.store[name]

    def __setitem__(self, name: str, value: object) -> None:
        if self._asynchronous:
            self.set(name, value)
        else:
            self.store[name] = value

    def __contains__(self, name: str) -> bool:
        return bool(self.has_key(name)) if self._asynchronous else name in self.store

    def bind(self, mode: SessionMode = SessionMode.TEMP, superseded: tuple[str, ...] = ()) -> Driven:
        """Makes it the session of a request, which ends with ``commit``."""
        self.store.bind(self._request, mode, superseded)
        return self

    def sign_in(self, user: str = "7", mode: SessionMode = SessionMode.TEMP) -> None:
        """What Django's login and our receiver do with a session."""
        self.cycle_key()
        self[SESSION_KEY] = user
        self.store.begin_authenticated(mode)


class OpenSession(Protocol):
    def __call__(self, key: str | None = None) -> Driven: ...


class Configure(Protocol):
    def __call__(self, **keys: object) -> None: ...


def status_of(session: Driven) -> tuple[SessionStatus, EndReason | None]:
    """What the engine says of the session it was asked for."""
    typed = session.typed
    return typed.status, typed.end_reason


class _Fixtures:
    @pytest.fixture
    def engine(self) -> type[SessionStore]:
        """The engine under test: override this."""
        raise NotImplementedError("Override the fixture 'engine' with one that returns your SessionStore class.")

    @pytest.fixture(autouse=True)
    def configure(self, engine: type[SessionStore]) -> Iterator[Configure]:
        """``configure(SLIDING=False)`` changes keys of TYPED_SESSIONS, on top of what the project has."""
        with ExitStack() as stack:

            def change(**keys: object) -> None:
                changed = {**getattr(settings, "TYPED_SESSIONS", {}), **keys}
                stack.enter_context(override_settings(TYPED_SESSIONS=changed))

            change(SESSION_CLASS=f"{ContractSession.__module__}.{ContractSession.__qualname__}")
            yield change

    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> Clock:
        """Stands still at a time of its own."""
        clock = Clock(1_800_000_000)
        monkeypatch.setattr("typed_sessions.clock.now", clock)
        monkeypatch.setattr("django.utils.timezone.now", clock.moment)
        return clock

    @pytest.fixture
    def verbs(self, engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch) -> Verbs:
        """What is asked of the store."""
        verbs, store = Verbs(), inspect.getattr_static(engine, "store")
        monkeypatch.setattr(engine, "store", property(lambda session: verbs.watch(store.__get__(session))))
        return verbs

    @pytest.fixture(params=["sync", "async"])
    def open_session(self, engine: type[SessionStore], request: pytest.FixtureRequest) -> OpenSession:
        """``open_session(key)`` is a session of the engine, driven in one of the two ways."""
        return lambda key=None: Driven(engine(key), request.param == "async")


class _Identity(_Fixtures):
    """What Django, its test client and other packages take for granted of a store and its key."""

    def test_is_made_of_a_key_or_nothing(self, engine: type[SessionStore]) -> None:
        """The key is the only argument, by position or as ``session_key``, and may be left out."""
        key = tokens.issue(SessionMode.TEMP)
        assert engine().session_key is None
        assert engine(key).session_key == engine(session_key=key).session_key == key

    def test_making_it_asks_nothing(self, engine: type[SessionStore], verbs: Verbs) -> None:
        """A store that nobody has used has not looked at anything."""
        session = engine(tokens.issue(SessionMode.TEMP))
        assert not session.accessed
        assert not session.modified
        assert not hasattr(session, "_session_cache")
        assert verbs.take() == []

    def test_key_stays_what_it_was(self, open_session: OpenSession) -> None:
        """The key of a live session is the text it was opened with, before and after loading."""
        key = _stored(open_session).key
        session = open_session(key)
        assert session.key == key
        session.load()
        assert session.key == key

    def test_key_fits_other_packages(self, open_session: OpenSession) -> None:
        """A key has at most 40 characters, none of which changes its meaning in a store that ignores case."""
        key = _stored(open_session).key
        assert len(key) <= 40
        assert key.isalnum() and key.isascii() and key == key.lower()

    def test_key_is_read_only(self, engine: type[SessionStore]) -> None:
        """Nobody sets ``session_key``; Django's private setter takes what cannot be a key for none."""
        session = engine()
        with pytest.raises(AttributeError):
            session.session_key = "a" * 32
        for text in ("", None, "1234567"):
            session._session_key = text
            assert session.session_key is None

    def test_looking_whether_it_is_empty_asks_nothing(self, engine: type[SessionStore], verbs: Verbs) -> None:
        """A session with a key is not empty, and nobody has to load it to know."""
        session = engine(tokens.issue(SessionMode.TEMP))
        assert not session.is_empty()
        assert session
        assert engine().is_empty()
        assert not engine()
        assert verbs.take() == []
        assert not session.accessed

    def test_stored_session_without_data_is_not_empty(self, open_session: OpenSession) -> None:
        """A session that is stored and holds nothing is still a session."""
        key = _stored(open_session).key
        session = open_session(key)
        session.load()
        assert session.store
        assert not session.is_empty()

    def test_fields_make_it_more_than_empty(self, open_session: OpenSession) -> None:
        """A new session with a changed field is not empty, and with one that was only read it is."""
        session = open_session()
        assert session.typed.views == 0
        assert session.is_empty()
        session.typed.views = 1
        assert not session.is_empty()

    def test_every_method_that_waits_has_a_twin(self, engine: type[SessionStore]) -> None:
        """Whatever asks the store can be awaited."""
        names = "exists create save delete load flush cycle_key clear_expired commit get_typed_session"
        assert all(iscoroutinefunction(getattr(engine(), f"a{name}")) for name in names.split())


class _Mapping(_Fixtures):
    """``request.session`` as Django documents it, which is the bag of the record."""

    def test_items(self, open_session: OpenSession) -> None:
        """What was put in is there under its key, also when the session is read again."""
        session = open_session()
        session["color"] = "red"
        session.update({"size": 3, "tags": ["a", {"b": None}]})
        session.save()
        for again in (session, open_session(session.key)):
            assert again["color"] == "red"
            assert again.get("size") == 3
            assert sorted(again.keys()) == ["color", "size", "tags"]
            assert dict(again.items()) == {"color": "red", "size": 3, "tags": ["a", {"b": None}]}
            assert ["a", {"b": None}] in list(again.values())

    def test_missing_is_not_none(self, open_session: OpenSession) -> None:
        """What is not there raises or gives the default, and no field of the typed session shows up instead."""
        session = open_session(_stored(open_session).key)
        assert SESSION_KEY not in session
        assert "name" not in session
        assert session.has_key(SESSION_KEY) is False
        assert session.get(SESSION_KEY) is None
        assert session.get(SESSION_KEY, "nobody") == "nobody"
        assert list(session.keys()) == list(session.values()) == list(session.items()) == []
        with pytest.raises(KeyError):
            session[SESSION_KEY]

    def test_reading_is_no_change(self, open_session: OpenSession) -> None:
        """Asking for items marks the session as looked at and not as changed."""
        session = open_session(_stored(open_session, color="red").key)
        assert session.get("color") == "red"
        assert session.pop("missing", "default") == "default"
        assert session.setdefault("color", "blue") == "red"
        assert session.store.accessed
        assert not session.store.modified

    def test_writing_is_a_change(self, open_session: OpenSession) -> None:
        """Setting, updating and taking out mark the session as changed."""
        key = _stored(open_session, color="red").key
        changes: list[Callable[[Driven], object]] = [
            lambda session: session.__setitem__("a", 1),
            lambda session: session.setdefault("a", 1),
            lambda session: session.update({"a": 1}),
            lambda session: session.pop("color"),
            lambda session: session.store.clear(),
        ]
        for change in changes:
            session = open_session(key)
            change(session)
            assert session.store.modified
            assert session.store.accessed

    def test_taking_out(self, open_session: OpenSession) -> None:
        """An item that was taken out is gone, and one that was never there raises."""
        session = open_session(_stored(open_session, color="red", size=3).key)
        assert session.pop("color") == "red"
        with pytest.raises(KeyError):
            session.pop("color")
        session.save()
        assert dict(open_session(session.key).items()) == {"size": 3}

    def test_deleting_an_item(self, engine: type[SessionStore]) -> None:
        """``del`` takes an item out and raises for one that is not there."""
        session = engine()
        session["color"] = "red"
        del session["color"]
        with pytest.raises(KeyError):
            del session["color"]

    def test_clear_does_not_load(self, open_session: OpenSession, verbs: Verbs) -> None:
        """Clearing asks the store nothing, and what is saved then is an empty bag."""
        session = open_session(_stored(open_session, color="red").key)
        verbs.take()
        session.store.clear()
        assert verbs.take() == []
        assert not session.is_empty()
        session.save()
        assert dict(open_session(session.key).items()) == {}

    def test_clear_in_a_request(self, open_session: OpenSession) -> None:
        """A request that does nothing but clear the session leaves an empty bag."""
        session = open_session(_stored(open_session, color="red").key).bind()
        session.store.clear()
        assert session.commit() is Commit.SAVED
        assert dict(open_session(session.key).items()) == {}

    def test_change_inside_a_value(self, open_session: OpenSession) -> None:
        """A list in the bag that a request appends to is saved, without anybody setting ``modified``."""
        session = open_session(_stored(open_session, tags=["a"]).key).bind()
        session["tags"].append("b")
        assert session.commit() is Commit.SAVED
        assert open_session(session.key)["tags"] == ["a", "b"]

    def test_foreign_items_survive(self, open_session: OpenSession) -> None:
        """Items that other packages keep in the session come back as they were."""
        items = {"_messages": '[["__json_message",0,20,"Hi"]]', "_csrftoken": "x" * 64, "hijack_history": ["7", "9"]}
        key = _stored(open_session, **items).key
        assert dict(open_session(key).items()) == items

    def test_serializer_of_the_project(self, open_session: OpenSession) -> None:
        """SESSION_SERIALIZER decides how the bag is written and read."""
        with override_settings(SESSION_SERIALIZER=f"{ShoutingSerializer.__module__}.{ShoutingSerializer.__qualname__}"):
            key = _stored(open_session, color="red").key
            assert open_session(key)["color"] == "RED"

    def test_value_that_cannot_be_stored(self, open_session: OpenSession) -> None:
        """A value without a JSON form is refused with its key, and what is stored stays."""
        session = open_session(_stored(open_session, color="red").key)
        session["color"] = object()
        with pytest.raises(SessionFieldError, match=r"session\['color'\]"):
            session.save()
        assert open_session(session.key)["color"] == "red"

    def test_test_cookie(self, open_session: OpenSession) -> None:
        """Django's test cookie works, by whatever way it is set, and can be deleted again."""
        session = open_session()
        session.set_test_cookie()
        session.save()
        again = open_session(session.key)
        assert again.test_cookie_worked()
        again.delete_test_cookie()
        assert not again.test_cookie_worked()

    def test_encode_and_decode(self, engine: type[SessionStore], caplog: pytest.LogCaptureFixture) -> None:
        """Django's ``encode`` and ``decode`` fit each other; junk is an empty session and a warning."""
        session = engine()
        assert session.decode(session.encode({"color": "red"})) == {"color": "red"}
        with caplog.at_level(logging.WARNING, "django.security.SuspiciousSession"):
            assert session.decode("junk") == {}
        assert "Session data corrupted" in caplog.text


class ShoutingSerializer:
    """Can be told from Django's by what it reads."""

    def dumps(self, obj: Any) -> bytes:
        return json.dumps(obj).encode()

    def loads(self, data: bytes) -> Any:
        return {key: value.upper() for key, value in json.loads(data).items()}


def _stored(open_session: OpenSession, **items: object) -> Driven:
    """A session that has been saved with these items."""
    session = open_session()
    session.update(items)
    session.save()
    return session


class _Keeping(_Fixtures):
    """Storing, finding, rotating and ending."""

    def test_first_save_gives_a_key(self, open_session: OpenSession, verbs: Verbs) -> None:
        """A session without a key gets one when it is saved, in one step of the store."""
        session = open_session()
        session["color"] = "red"
        assert session.store.session_key is None
        session.save()
        assert verbs.take() == ["create"]
        assert open_session(session.key)["color"] == "red"

    def test_create_stores_at_once(self, open_session: OpenSession) -> None:
        """``create`` stores a record under a new key before it returns, and keeps what is in memory."""
        session = open_session(_stored(open_session, color="red").key)
        before = session.key
        session["size"] = 3
        session.typed.views = 2
        session.create()
        assert session.key != before
        assert session.store.modified
        assert session.exists(session.key) is True
        assert open_session(before)["color"] == "red"
        again = open_session(session.key)
        assert (again["color"], again["size"], again.typed.views) == ("red", 3, 2)

    def test_keys_are_all_different(self, open_session: OpenSession) -> None:
        """No two sessions get the same key."""
        assert len({_stored(open_session).key for _ in range(20)}) == 20

    def test_taken_key(self, open_session: OpenSession, monkeypatch: pytest.MonkeyPatch) -> None:
        """A record is never put over another one: a key that is taken is a ``CreateError``, after a bounded search."""
        taken = _stored(open_session, color="red")
        monkeypatch.setattr(tokens, "issue", lambda mode: taken.key)
        for attempt in (lambda: open_session(taken.key).save(must_create=True), open_session().create, open_session().save):
            with pytest.raises(CreateError):
                attempt()
        assert open_session(taken.key)["color"] == "red"

    def test_next_key_if_one_is_taken(self, open_session: OpenSession, monkeypatch: pytest.MonkeyPatch) -> None:
        """A first save that meets a taken key takes the next one."""
        taken, free = _stored(open_session).key, tokens.issue(SessionMode.TEMP)
        keys = iter([taken, free])
        monkeypatch.setattr(tokens, "issue", lambda mode: next(keys))
        assert _stored(open_session).key == free

    def test_save_with_a_key_of_ones_own(self, open_session: OpenSession) -> None:
        """``save(must_create=True)`` stores under a genuine key that nobody uses, and under another for any other text."""
        free = tokens.issue(SessionMode.TEMP)
        session = open_session(free)
        session.save(must_create=True)
        assert session.key == free
        assert session.exists(free) is True
        session = open_session("of-my-own-choice")
        session.save(must_create=True)
        assert session.key != "of-my-own-choice"
        assert session.exists(session.key) is True

    @pytest.mark.parametrize("text", ["", None, "1234567", "a" * 40, "*", "../" * 10])
    def test_nothing_exists_under_what_is_no_key(self, open_session: OpenSession, text: str | None, verbs: Verbs) -> None:
        """Text that cannot be a key has no session, can be deleted without error, and costs nothing."""
        session = open_session()
        assert session.exists(text) is False
        session.delete(text)
        assert verbs.take() == []

    def test_existing(self, open_session: OpenSession) -> None:
        """A key exists while its record lives."""
        session = _stored(open_session)
        assert session.exists(session.key) is True
        assert session.exists(tokens.issue(SessionMode.TEMP)) is False
        session.delete()
        assert session.exists(session.key) is False

    def test_deleting(self, open_session: OpenSession) -> None:
        """``delete`` ends the session of the key, or its own without one, and again does nothing."""
        mine, other = _stored(open_session), _stored(open_session)
        mine.delete(other.key)
        assert status_of(open_session(other.key)) == (SessionStatus.ENDED, EndReason.LOGGED_OUT)
        assert mine.exists(mine.key)
        for _ in range(2):
            mine.delete()
            assert not mine.exists(mine.key)
        open_session().delete()

    def test_flushing(self, open_session: OpenSession) -> None:
        """``flush`` ends the session and leaves one that is new and empty."""
        session = open_session(_stored(open_session, color="red").key)
        before, typed = session.key, session.typed
        session.flush()
        assert session.store.session_key is None
        assert session.store.accessed and session.store.modified and session.store.is_flushed
        assert session.is_empty()
        assert "color" not in session
        assert session.typed is not typed
        assert session.typed.status is SessionStatus.FRESH
        assert (typed.status, typed.end_reason) == (SessionStatus.ENDED, EndReason.LOGGED_OUT)
        assert status_of(open_session(before)) == (SessionStatus.ENDED, EndReason.LOGGED_OUT)

    def test_flushing_before_loading(self, open_session: OpenSession, verbs: Verbs) -> None:
        """``flush`` of a session that nobody has looked at ends it without reading it."""
        key = _stored(open_session).key
        verbs.take()
        open_session(key).flush()
        assert verbs.take() == ["end"]
        assert not open_session().exists(key)

    def test_flushing_nothing(self, open_session: OpenSession, verbs: Verbs) -> None:
        """``flush`` without a session asks the store nothing."""
        open_session().flush()
        assert verbs.take() == []

    def test_flushing_ends_what_else_the_browser_has(self, open_session: OpenSession) -> None:
        """``flush`` in a request ends the session of the other cookie too."""
        mine, other = _stored(open_session), _stored(open_session)
        session = open_session(mine.key).bind(superseded=(_id_of(other),))
        session.flush()
        assert not session.exists(mine.key)
        assert not session.exists(other.key)

    def test_saving_after_flush(self, open_session: OpenSession) -> None:
        """What is saved after ``flush`` is another session, with nothing of the old one."""
        session = open_session(_stored(open_session, color="red").key)
        before = session.key
        session.flush()
        session["size"] = 3
        session.save()
        assert session.key != before
        assert dict(open_session(session.key).items()) == {"size": 3}

    def test_new_key(self, open_session: OpenSession) -> None:
        """``cycle_key`` gives the same content a new key, works before anything is loaded, and ends the old key."""
        before = _stored(open_session, color="red").key
        session = open_session(before)
        session.cycle_key()
        assert session.key != before
        assert session["color"] == "red"
        assert open_session(session.key)["color"] == "red"
        assert session.exists(before) is False
        assert status_of(open_session(before)) == (SessionStatus.ENDED, EndReason.ROTATED)

    def test_new_key_of_a_new_session(self, open_session: OpenSession) -> None:
        """``cycle_key`` of a session that is not stored stores it, with what it holds."""
        session = open_session()
        session["color"] = "red"
        session.cycle_key()
        assert open_session(session.key)["color"] == "red"

    def test_new_key_after_clearing(self, open_session: OpenSession) -> None:
        """``cycle_key`` does not bring back what was cleared before anything was loaded."""
        session = open_session(_stored(open_session, color="red").key)
        session.store.clear()
        session.cycle_key()
        assert dict(open_session(session.key).items()) == {}

    def test_new_key_in_a_request(self, open_session: OpenSession) -> None:
        """In a request a new key takes effect with its end, so that nothing has happened if the request fails."""
        before = _stored(open_session, color="red").key
        session = open_session(before).bind()
        session.cycle_key()
        session["size"] = 3
        assert open_session(before)["color"] == "red"
        assert session.exists(before) is False
        assert not open_session().exists(session.key)
        assert session.commit() is Commit.SAVED
        assert not open_session().exists(before)
        assert dict(open_session(session.key).items()) == {"color": "red", "size": 3}

    def test_key_changed_twice_in_a_request(self, open_session: OpenSession) -> None:
        """Of several new keys in one request the last one counts, and the others open nothing."""
        session = _stored(open_session, color="red").bind()
        keys = [session.key]
        for _ in range(2):
            session.cycle_key()
            keys.append(session.key)
        session.commit()
        assert [open_session().exists(key) for key in keys] == [False, False, True]

    def test_deleting_with_a_new_key_underway(self, open_session: OpenSession) -> None:
        """A session that is deleted between a new key and the end of the request is gone under both."""
        before = _stored(open_session).key
        session = open_session(before).bind()
        session.cycle_key()
        session.flush()
        assert session.commit() is Commit.NOTHING
        assert not open_session().exists(before)

    def test_save_after_the_end(self, open_session: OpenSession) -> None:
        """What another request has ended cannot be saved, and does not come back."""
        session = open_session(_stored(open_session, color="red").key)
        session["color"] = "blue"
        open_session(session.key).flush()
        with pytest.raises(UpdateError) as failure:
            session.save()
        assert session.key not in str(failure.value)
        assert status_of(session) == (SessionStatus.ENDED, EndReason.LOGGED_OUT)
        again = open_session(session.key)
        assert again.load() == {}
        assert again.store.session_key is None

    def test_save_without_change_after_the_end(self, open_session: OpenSession) -> None:
        """Saving what has not changed tells as well that the session is gone."""
        session = open_session(_stored(open_session).key)
        session.load()
        open_session(session.key).flush()
        with pytest.raises(UpdateError):
            session.save()
        assert not session.exists(session.key)

    def test_new_key_after_the_end(self, open_session: OpenSession, verbs: Verbs) -> None:
        """A session that ends while its key is being changed is stored under neither key."""
        session = open_session(_stored(open_session).key).bind()
        before = session.key
        session.cycle_key()
        verbs.before("replace", lambda: open_session(before).store.delete())
        with pytest.raises(UpdateError):
            session.commit()
        assert not open_session().exists(before)
        assert not open_session().exists(session.key)

    def test_r22_end_during_a_save(self, open_session: OpenSession, verbs: Verbs) -> None:
        """A sign-out that arrives between the reading and the writing of another request wins."""
        session = open_session(_stored(open_session).key).bind()
        session["color"] = "blue"
        verbs.before("save", lambda: open_session(session.key).store.delete())
        with pytest.raises(UpdateError):
            session.commit()
        assert not open_session().exists(session.key)

    def test_clearing_what_has_expired(self, open_session: OpenSession, clock: Clock, configure: Configure) -> None:
        """``clear_expired`` removes what is over and its grace too, and nothing else; clearing again does no harm."""
        configure(TEMP_EXPIRY=timedelta(hours=1))
        over = _stored(open_session)
        clock.advance(3600)
        live = _stored(open_session)
        clock.advance(GRACE + 1)
        for _ in range(2):
            over.clear_expired()
            assert over.exists(over.key) is False
            assert live.exists(live.key) is True

    def test_settings_are_read_at_use(self, open_session: OpenSession, configure: Configure) -> None:
        """A setting that changes after the store was made counts."""
        session = open_session()
        for hours in (1, 2):
            configure(TEMP_EXPIRY=timedelta(hours=hours))
            assert session.get_session_cookie_age() == hours * 3600

    def test_id_equals_key_if_asked_for(self, open_session: OpenSession, configure: Configure) -> None:
        """With HASH_IDS=False the id of a session is its key, and everything else is the same."""
        configure(HASH_IDS=False)
        session = open_session(_stored(open_session, color="red").key)
        assert session.typed.id == session.key
        session["color"] = "blue"
        session.save()
        before = session.key
        session.cycle_key()
        assert open_session(session.key)["color"] == "blue"
        assert not session.exists(before)

    def test_id_is_not_the_key(self, open_session: OpenSession) -> None:
        """The id is 40 hex digits from which the key cannot be told, and it opens nothing."""
        session = open_session(_stored(open_session).key)
        handle = session.typed.id
        assert handle is not None
        assert handle != session.key
        assert re.fullmatch(r"[0-9a-f]{40}", handle)
        assert status_of(open_session(handle)) == (SessionStatus.REJECTED, None)


def _id_of(session: Driven) -> str:
    token = tokens.read(session.key)
    assert token is not None
    return token.id


class EngineContract(_Identity, _Mapping, _Keeping):
    """Everything that a session engine promises."""
