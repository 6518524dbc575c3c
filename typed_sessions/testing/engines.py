"""What every session engine promises, as tests. Subclass ``EngineContract``, give it your engine, and run pytest on it.

    class TestMyEngine(EngineContract):
        @pytest.fixture
        def engine(self, db):
            return my_package.backend.SessionStore

Each test that waits for the store runs twice: through the sync methods of the engine, and through their async twins.
"""

from __future__ import annotations

import inspect
import itertools
import json
import logging
import re
from collections.abc import Callable, Coroutine, Iterator
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
from ..exceptions import SessionConflict, SessionFieldError, SessionTooLarge, StoreUnavailable
from ..stores.record import GRACE
from ..transports import Presented, Source

__all__ = ["Clock", "ContractSession", "Driven", "EngineContract", "Verbs", "stopped_clock", "watched"]

_DAY = 24 * 3600

MALFORMED = (
    *"*?[:%\0☃",
    *(text * 20 for text in ("**", "../", "\r\n", "\0\0", "éé", "☃☃", "' --")),
    *("a" * length for length in (40, 42, 44, 65_536)),
)
"""Text that comes in cookies and is no key."""


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
        self._acting = False

    def before(self, verb: str, action: Callable[[], object], times: int = 1) -> None:
        """``action`` happens right before each of the next ``times`` calls of ``verb``; its own calls do not count."""
        self._actions[verb] = (action, times)

    def take(self) -> list[str]:
        """What was called since the last time this was asked."""
        called, self.called = self.called, []
        return called

    def watch(self, store: object) -> object:
        return _Watched(store, self)

    def arrive(self, verb: str) -> None:
        if self._acting:
            return
        self.called.append(verb)
        action, times = self._actions.pop(verb, (None, 0))
        if action is None:
            return
        if times > 1:
            self._actions[verb] = (action, times - 1)
        self._acting = True
        try:
            action()
        finally:
            self._acting = False


_NO_VERBS = ("after_commit", "checking_clock")


class _Watched:
    def __init__(self, store: object, verbs: Verbs) -> None:
        self._store, self._verbs = store, verbs

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._store, name)
        if iscoroutinefunction(attribute):
            return self._asynchronous(name[1:], attribute)
        is_verb = callable(attribute) and name not in _NO_VERBS
        return self._sync(name, attribute) if is_verb else attribute

    def _sync(self, name: str, verb: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            self._verbs.arrive(name)
            return verb(*args)

        return call

    def _asynchronous(self, name: str, verb: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any) -> Any:
            await sync_to_async(self._verbs.arrive)(name)
            return await verb(*args)

        return call


Awaiting = Callable[[Callable[..., Coroutine[Any, Any, Any]]], Callable[..., Any]]
"""Makes a function of a coroutine function, as ``async_to_sync`` does."""


class Driven:
    """A session of the engine, used through its sync methods, or through their async twins by the same names."""

    def __init__(self, store: SessionStore, awaiting: Awaiting | None = None) -> None:
        self.store = store
        self._awaiting = awaiting
        self._request = HttpRequest()

    def __getattr__(self, name: str) -> Any:
        twin = getattr(self.store, f"a{name}", None)
        return self._awaiting(twin) if self._awaiting and twin is not None else getattr(self.store, name)

    @property
    def typed(self) -> ContractSession:
        typed = self._awaiting(self.store.aget_typed_session)() if self._awaiting else self.store.typed_session
        assert isinstance(typed, ContractSession)
        return typed

    @property
    def key(self) -> str:
        key = self.store.session_key
        assert isinstance(key, str)
        return key

    def __getitem__(self, name: str) -> Any:
        return dict(self.items())[name] if self._awaiting else self.store[name]

    def __setitem__(self, name: str, value: object) -> None:
        if self._awaiting:
            self.set(name, value)
        else:
            self.store[name] = value

    def __contains__(self, name: str) -> bool:
        return bool(self.has_key(name)) if self._awaiting else name in self.store

    def bind(self, mode: SessionMode = SessionMode.TEMP, other: str | None = None) -> Driven:
        """Makes it the session of a request, which ends with ``commit``; ``other`` is what came in the other cookie."""
        presented = Presented(Source.COOKIE, mode, self.store.session_key, other)
        self.store.bind(self._request, presented)
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


def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of this app and of Django, stopped."""
    clock = Clock(1_800_000_000)
    monkeypatch.setattr("typed_sessions.clock.now", clock)
    monkeypatch.setattr("django.utils.timezone.now", clock.moment)
    return clock


def watched(engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch) -> Verbs:
    """What is asked of the store of ``engine`` from now on."""
    verbs, store = Verbs(), inspect.getattr_static(engine, "store")

    def between(session: SessionStore) -> object:
        return verbs.watch(store.__get__(session, engine) if hasattr(store, "__get__") else store)

    monkeypatch.setattr(engine, "store", property(between))
    return verbs


class _Fixtures:
    """What the tests need besides ``engine``, which the subclass gives."""

    @pytest.fixture(autouse=True)
    def configure(self, engine: type[SessionStore]) -> Iterator[Configure]:
        """``configure(SLIDING=False)`` changes keys of TYPED_SESSIONS, on top of what the project has."""
        with ExitStack() as stack:

            def change(**keys: object) -> None:
                changed = {**getattr(settings, "TYPED_SESSIONS", {}), **keys}
                stack.enter_context(override_settings(TYPED_SESSIONS=changed))

            change(SESSION_CLASS=f"{ContractSession.__module__}.{ContractSession.__qualname__}")
            yield change

    @pytest.fixture(autouse=True)
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> Clock:
        """Stands still at a time of its own."""
        return stopped_clock(monkeypatch)

    @pytest.fixture
    def verbs(self, engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch) -> Verbs:
        """What is asked of the store."""
        return watched(engine, monkeypatch)

    @pytest.fixture(params=["sync", "async"])
    def open_session(self, engine: type[SessionStore], request: pytest.FixtureRequest) -> OpenSession:
        """``open_session(key)`` is a session of the engine, driven in one of the two ways."""
        return lambda key=None: Driven(engine(key), async_to_sync if request.param == "async" else None)


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
            setattr(session, "session_key", "a" * 32)  # noqa: B010  # type checkers know that it cannot be set
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
        with pytest.raises(CreateError):
            open_session(taken.key).save(must_create=True)
        for attempt in (open_session().create, open_session().save):
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
        """``save(must_create=True)`` stores under a genuine key that is free, and under a new one for other text."""
        free = tokens.issue(SessionMode.TEMP)
        session = open_session(free)
        session.save(must_create=True)
        assert session.key == free
        assert session.exists(free) is True
        session = open_session("of-my-own-choice")
        session.save(must_create=True)
        assert session.key != "of-my-own-choice"
        assert session.exists(session.key) is True

    def test_nothing_exists_under_what_is_no_key(self, open_session: OpenSession, verbs: Verbs) -> None:
        """Text that cannot be a key has no session, can be deleted without error, and costs nothing."""
        session = open_session()
        for text in (None, "", *MALFORMED):
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
        session = open_session(mine.key).bind(other=other.key)
        session.flush()
        assert not session.exists(mine.key)
        assert not session.exists(other.key)

    def test_flushing_half_done(self, open_session: OpenSession, verbs: Verbs) -> None:
        """``flush`` that cannot end the session of the other cookie does not claim to have done so."""
        other = _stored(open_session)
        session = open_session().bind(other=other.key)
        verbs.before("end", _no_answer)
        with pytest.raises(StoreUnavailable):
            session.flush()
        assert session.exists(other.key)

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


class _Typed(_Fixtures):
    """The session dataclass, and the bag beside it."""

    def test_one_record_holds_both(self, open_session: OpenSession, verbs: Verbs) -> None:
        """Fields and bag are stored in one step and read in one step."""
        session = open_session().bind()
        session["color"] = "red"
        session.typed.lines.append(Line("a"))
        session.commit()
        again = open_session(session.key)
        assert again["color"] == "red"
        assert again.typed.lines == [Line("a")]
        assert again.get_expiry_age() > 0
        assert verbs.take() == ["create", "load"]

    def test_change_however_deep(self, open_session: OpenSession) -> None:
        """A change to a list in a dict in a dataclass in a list is saved."""
        session = open_session().bind()
        session.typed.lines.append(Line("a", {"size": [1]}))
        session.commit()
        again = open_session(session.key).bind()
        again.typed.lines[0].amounts["size"].append(2)
        assert again.commit() is Commit.SAVED
        assert open_session(session.key).typed.lines == [Line("a", {"size": [1, 2]})]

    def test_looking_is_no_change(self, open_session: OpenSession, verbs: Verbs) -> None:
        """A request that reads fields and bag writes nothing, and one that changes them back neither."""
        key = _stored(open_session, color="red").key
        verbs.take()
        session = open_session(key).bind()
        assert session.typed.views == 0
        assert session["color"] == "red"
        session.typed.views += 1
        session.typed.views -= 1
        assert session.commit() is Commit.NOTHING
        assert verbs.take() == ["load"]

    def test_unused_session_costs_nothing(self, open_session: OpenSession, verbs: Verbs) -> None:
        """A request that does not look at its session asks the store nothing, with and without a key."""
        key = _stored(open_session).key
        verbs.take()
        assert open_session(key).bind().commit() is Commit.NOTHING
        assert open_session().bind().commit() is Commit.NOTHING
        assert verbs.take() == []

    def test_s78_looking_stores_nothing(self, open_session: OpenSession, verbs: Verbs) -> None:
        """A visitor without a session, who only looks, leaves no record."""
        session = open_session().bind()
        assert session.typed.is_new
        assert session.get("color") is None
        assert session.commit() is Commit.NOTHING
        assert session.store.session_key is None
        assert verbs.take() == []

    def test_changed_field_alone_makes_a_session(self, open_session: OpenSession) -> None:
        """A visitor whose only change is one field gets a session."""
        session = open_session().bind()
        session.typed.views = 1
        assert session.commit() is Commit.SAVED
        assert open_session(session.key).typed.views == 1

    def test_saving_after_loading(self, open_session: OpenSession) -> None:
        """Loading the bag again forgets what was changed in memory, fields and bag alike."""
        session = open_session(_stored(open_session, color="red").key)
        session.typed.views = 5
        session["color"] = "blue"
        assert session.load() == {"color": "red"}
        assert session.typed.views == 0

    def test_same_object(self, open_session: OpenSession) -> None:
        """The typed session is one object as long as the session is not loaded anew, also after a save."""
        session = open_session()
        typed = session.typed
        typed.views = 1
        session.save()
        assert session.typed is typed
        typed.views = 2
        session.save()
        assert open_session(session.key).typed.views == 2

    def test_facts(self, open_session: OpenSession, clock: Clock) -> None:
        """The framework's facts follow the session: nothing before it is stored, and then id and times."""
        session = open_session().bind()
        typed = session.typed
        assert (typed.id, typed.urn, typed.is_new, typed.created_at, typed.expires_at) == (None, None, True, None, None)
        assert typed.time_to_live() is None
        typed.views = 1
        session.commit()
        assert typed.urn == f"urn:iauthsession:{typed.id}"
        assert not typed.is_new
        assert typed.mode is SessionMode.TEMP
        began = datetime.fromtimestamp(clock.now, tz=timezone.utc)
        assert (typed.created_at, typed.last_modified, typed.last_seen_at) == (began, began, began)
        assert typed.authenticated_at is None
        assert typed.time_to_live() == timedelta(days=14)
        clock.advance(100)
        typed.views = 2
        session.save()
        assert (typed.created_at, typed.last_modified) == (began, began + timedelta(seconds=100))

    def test_replacing_the_object(self, open_session: OpenSession) -> None:
        """Another object of the class can take the session's place, and is what is stored then."""
        session = open_session(_stored(open_session).key).bind()
        assert session.typed.name == ""
        replacement = ContractSession(name="Ada")
        session.store.typed_session = replacement
        assert session.typed is replacement
        assert replacement.id is not None
        assert session.commit() is Commit.SAVED
        assert open_session(session.key).typed.name == "Ada"

    def test_replacing_by_something_else(self, engine: type[SessionStore]) -> None:
        """Nothing but the project's session class can be put in the session's place."""
        session = engine()
        for wrong in (AuthUserSession(), {"views": 1}, None):
            with pytest.raises(TypeError, match="must be a ContractSession"):
                session.typed_session = wrong  # type: ignore[assignment]  # what is refused

    def test_wrong_type(self, open_session: OpenSession) -> None:
        """A value of the wrong type is refused with the field's path, and the record stays as it was."""
        session = open_session(_stored(open_session, color="red").key).bind()
        session.typed.lines.append(Line("a", {"size": ["big"]}))  # type: ignore[list-item]  # what is refused
        session["color"] = "blue"
        with pytest.raises(SessionFieldError) as failure:
            session.commit()
        assert failure.value.path == "ContractSession.lines[0].amounts['size'][0]"
        again = open_session(session.key)
        assert again["color"] == "red"
        assert again.typed.lines == []

    def test_wrong_type_in_a_new_session(self, open_session: OpenSession, verbs: Verbs) -> None:
        """A session that cannot be written does not begin."""
        session = open_session().bind()
        session.typed.views = "many"  # type: ignore[assignment]  # what is refused
        with pytest.raises(SessionFieldError, match=r"ContractSession\.views"):
            session.commit()
        assert verbs.take() == []

    def test_too_large(self, open_session: OpenSession, configure: Configure) -> None:
        """A record beyond MAX_BYTES is refused, with its largest parts by name, and what is stored stays."""
        configure(MAX_BYTES=2000)
        session = open_session(_stored(open_session, color="red").key)
        session["text"] = "x" * 300
        session.typed.name = "x" * 2000
        with pytest.raises(SessionTooLarge, match=r"name \(2,00\d bytes\), session\['text'\]") as failure:
            session.save()
        assert failure.value.size > failure.value.limit == 2000
        assert dict(open_session(session.key).items()) == {"color": "red"}

    def test_as_large_as_allowed(self, open_session: OpenSession, configure: Configure) -> None:
        """The limit is for the record as it is encoded, so content close to it still fits."""
        configure(MAX_BYTES=2000)
        session = open_session()
        session["text"] = "x" * 1300
        session.save()
        assert len(open_session(session.key)["text"]) == 1300

    def test_saved_only_when_told(self, open_session: OpenSession, configure: Configure) -> None:
        """With SAVE="explicit" a change is saved after ``save()`` or ``modified = True``, and otherwise lost."""
        configure(SAVE="explicit")
        key = _stored(open_session).key
        session = open_session(key).bind()
        session.typed.views = 1
        assert session.commit() is Commit.NOTHING
        assert open_session(key).typed.views == 0
        session.store.modified = True
        assert session.commit() is Commit.SAVED
        assert open_session(key).typed.views == 1
        session.typed.views = 2
        session.save()
        assert open_session(key).typed.views == 2


class _Status(_Fixtures):
    """What became of the session that was asked for."""

    def test_fresh(self, open_session: OpenSession) -> None:
        """Without a key there is nothing to tell."""
        assert status_of(open_session()) == (SessionStatus.FRESH, None)

    def test_live(self, open_session: OpenSession) -> None:
        """A session that is found lives, and so does one that has just been stored."""
        session = _stored(open_session)
        assert status_of(session) == status_of(open_session(session.key)) == (SessionStatus.LIVE, None)

    def test_expired(self, open_session: OpenSession, clock: Clock, configure: Configure) -> None:
        """A session is usable until the last second of its idle lifetime, and not in the one after."""
        configure(TEMP_EXPIRY=timedelta(hours=1))
        key = _stored(open_session, color="red").key
        clock.advance(3599)
        assert open_session(key)["color"] == "red"
        clock.advance(1)
        session = open_session(key)
        assert session.load() == {}
        assert session.store.session_key is None
        assert status_of(session) == (SessionStatus.EXPIRED, EndReason.EXPIRED_IDLE)
        assert session.exists(key) is False

    def test_s09_expired_key_never_lives_again(self, open_session: OpenSession, clock: Clock) -> None:
        """What is saved after a session expired is another one."""
        key = _stored(open_session, color="red").key
        clock.advance(15 * _DAY)
        session = open_session(key)
        session["size"] = 3
        session.save()
        assert session.key != key
        assert dict(open_session(session.key).items()) == {"size": 3}
        assert not session.exists(key)

    @pytest.mark.parametrize(("mode", "days"), [(SessionMode.TEMP, 14), (SessionMode.PERM, 28)])
    def test_lost_or_expired(self, open_session: OpenSession, clock: Clock, mode: SessionMode, days: int) -> None:
        """A genuine key without a record is lost while it could still live, and has expired afterwards."""
        key = tokens.issue(mode)
        clock.advance(days * _DAY - 60)
        assert status_of(open_session(key)) == (SessionStatus.LOST, None)
        clock.advance(60)
        assert status_of(open_session(key)) == (SessionStatus.EXPIRED, None)

    def test_s03_unknown_key_is_never_adopted(self, open_session: OpenSession) -> None:
        """A genuine key that opens nothing is forgotten, and what is saved gets another."""
        key = tokens.issue(SessionMode.TEMP)
        session = open_session(key)
        assert session.load() == {}
        assert session.store.session_key is None
        session["color"] = "red"
        session.save()
        assert session.key != key
        assert not session.exists(key)

    def test_s02_malformed_key(self, open_session: OpenSession, verbs: Verbs) -> None:
        """Text that no server of ours made is rejected before the store is asked."""
        for text in MALFORMED:
            session = open_session(text)
            assert session.load() == {}
            assert status_of(session) == (SessionStatus.REJECTED, None), ascii(text[:50])
            assert session.store.session_key is None
        assert verbs.take() == []

    def test_s02_forged_key(self, open_session: OpenSession, verbs: Verbs) -> None:
        """A key that differs from a genuine one in any place is rejected before the store is asked."""
        key = _stored(open_session).key
        verbs.take()
        for place in range(len(key)):
            forged = key[:place] + ("b" if key[place] == "a" else "a") + key[place + 1 :]
            assert status_of(open_session(forged)) == (SessionStatus.REJECTED, None)
        assert status_of(open_session(key.upper())) == (SessionStatus.REJECTED, None)
        assert verbs.take() == []

    def test_s07_key_of_the_other_cookie(self, open_session: OpenSession, verbs: Verbs) -> None:
        """A temporary key in the permanent cookie opens nothing, and the other way about."""
        temporary = _stored(open_session).key
        session = open_session().bind()
        session.sign_in(mode=SessionMode.PERM)
        session.commit()
        verbs.take()
        for key, mode in ((temporary, SessionMode.PERM), (session.key, SessionMode.TEMP)):
            assert status_of(open_session(key).bind(mode)) == (SessionStatus.REJECTED, None)
        assert verbs.take() == []

    def test_blank_key(self, open_session: OpenSession, verbs: Verbs) -> None:
        """A key that was issued to open nothing opens nothing, without asking, and is never adopted."""
        blank = tokens.issue_blank(SessionMode.TEMP)
        session = open_session(blank)
        assert status_of(session) == (SessionStatus.FRESH, None)
        assert not session.exists(blank)
        session["color"] = "red"
        session.save()
        assert session.key != blank
        assert verbs.take() == ["create"]

    def test_s10_no_key(self, open_session: OpenSession) -> None:
        """An empty key neither loads nor deletes anything, and what is saved under it gets a key of its own."""
        first, second = open_session(""), open_session("")
        first["color"], second["color"] = "red", "blue"
        first.save()
        second.save()
        assert first.key != second.key
        assert open_session("").load() == {}


class _Lifetime(_Fixtures):
    """How long a session lives."""

    def test_idle_lifetime_by_mode(self, open_session: OpenSession, configure: Configure) -> None:
        """A temporary session lives TEMP_EXPIRY, and a permanent one PERM_EXPIRY."""
        configure(TEMP_EXPIRY=timedelta(hours=1), PERM_EXPIRY=timedelta(hours=5))
        temporary, permanent = open_session().bind(), open_session().bind()
        temporary.sign_in()
        permanent.sign_in(mode=SessionMode.PERM)
        for session, hours in ((temporary, 1), (permanent, 5)):
            session.commit()
            assert session.typed.time_to_live() == timedelta(hours=hours)
            assert open_session(session.key).get_expiry_age() == hours * 3600
        assert permanent.typed.mode is SessionMode.PERM

    def test_lifetime_of_django(self, open_session: OpenSession, configure: Configure) -> None:
        """Without TEMP_EXPIRY it is SESSION_COOKIE_AGE that counts."""
        configure(TEMP_EXPIRY=None)
        with override_settings(SESSION_COOKIE_AGE=1234):
            session = _stored(open_session)
        assert session.typed.time_to_live() == timedelta(seconds=1234)

    def test_seconds(self, open_session: OpenSession, clock: Clock) -> None:
        """``set_expiry`` with seconds counts from the last change."""
        session = open_session()
        session.set_expiry(300)
        session.save()
        clock.advance(200)
        session["color"] = "red"
        session.save()
        clock.advance(299)
        assert open_session(session.key)["color"] == "red"
        clock.advance(1)
        assert status_of(open_session(session.key)) == (SessionStatus.EXPIRED, EndReason.EXPIRED_IDLE)

    @pytest.mark.parametrize("form", ["datetime", "timedelta"])
    def test_fixed_end(self, open_session: OpenSession, clock: Clock, form: str) -> None:
        """``set_expiry`` with a moment or a span fixes the end, which no later change moves."""
        session = open_session()
        span = timedelta(seconds=300)
        session.set_expiry(clock.moment() + span if form == "datetime" else span)
        end = session.get_expiry_date()
        session.save()
        clock.advance(200)
        session["color"] = "red"
        session.save()
        assert session.get_expiry_age() == 100
        assert open_session(session.key).get_expiry_date() == end
        clock.advance(100)
        assert status_of(open_session(session.key)) == (SessionStatus.EXPIRED, EndReason.EXPIRED_IDLE)

    def test_browser_close(self, open_session: OpenSession, configure: Configure) -> None:
        """``set_expiry(0)`` ends the cookie with the browser, and the record after the idle lifetime."""
        configure(TEMP_EXPIRY=timedelta(hours=1))
        with override_settings(SESSION_EXPIRE_AT_BROWSER_CLOSE=False):
            session = open_session()
            assert session.get_expire_at_browser_close() is False
            session.set_expiry(0)
            session.save()
            again = open_session(session.key)
            assert again.get_expire_at_browser_close() is True
            assert again.typed.time_to_live() == timedelta(hours=1)
            assert again.store.get_cookie_age() is None

    def test_back_to_the_default(self, open_session: OpenSession) -> None:
        """``set_expiry(None)`` takes back what was set, and may be repeated."""
        session = open_session()
        session.set_expiry(300)
        for _ in range(2):
            session.set_expiry(None)
        session.save()
        assert "_session_expiry" not in session
        assert session.typed.time_to_live() == timedelta(days=14)

    @pytest.mark.parametrize("form", ["seconds", "datetime", "timedelta"])
    def test_end_in_the_past(self, open_session: OpenSession, clock: Clock, form: str) -> None:
        """An end that is over already is saved without error, and the session is gone."""
        past = {"seconds": -3600, "datetime": clock.moment() - timedelta(hours=1), "timedelta": timedelta(hours=-1)}
        session = open_session(_stored(open_session, color="red").key)
        session.set_expiry(past[form])
        session.save()
        again = open_session(session.key)
        assert again.load() == {}
        assert again.typed.status is SessionStatus.EXPIRED
        new = open_session()
        new.set_expiry(past[form])
        new.save()
        assert not new.exists(new.key)

    def test_end_of_one_field_change(self, open_session: OpenSession, clock: Clock) -> None:
        """A custom end stays in force when only a field is changed."""
        session = open_session()
        session.set_expiry(300)
        session.save()
        again = open_session(session.key).bind()
        again.typed.views = 1
        again.commit()
        assert again.typed.time_to_live() == timedelta(seconds=300)

    def test_custom_end_as_an_item(self, open_session: OpenSession) -> None:
        """The custom end is an item that other packages read, move to another session, and write."""
        session = open_session()
        session.set_expiry(300)
        session.save()
        end = open_session(session.key)["_session_expiry"]
        assert end == 300
        other = open_session()
        other["_session_expiry"] = end
        other.save()
        assert other.typed.time_to_live() == timedelta(seconds=300)

    @pytest.mark.parametrize("value", [10**15, "never", [1], "9999-12-31T23:59:59+00:00"])
    def test_custom_end_that_is_none(self, open_session: OpenSession, value: object) -> None:
        """An item that stands for no end, or for one beyond all calendars, breaks nothing."""
        session = open_session().bind()
        session["_session_expiry"] = value
        session["color"] = "red"
        assert session.commit() is Commit.SAVED
        again = open_session(session.key).bind()
        assert again["color"] == "red"
        assert again.commit() is Commit.NOTHING

    def test_asking_with_an_expiry_loads_nothing(self, open_session: OpenSession, verbs: Verbs, clock: Clock) -> None:
        """``get_expiry_age`` and ``get_expiry_date`` with ``expiry`` are arithmetic."""
        session = open_session(tokens.issue(SessionMode.TEMP))
        now = clock.moment()
        assert session.get_expiry_age(modification=now, expiry=60) == 60
        assert session.get_expiry_age(modification=now, expiry=now + timedelta(hours=1)) == 3600
        assert session.get_expiry_date(modification=now, expiry=60) == now + timedelta(seconds=60)
        assert verbs.take() == []

    def test_use_extends_it(self, open_session: OpenSession, clock: Clock, verbs: Verbs) -> None:
        """A request that only looks moves the end of the idle lifetime, once in TOUCH_INTERVAL seconds."""
        key = _stored(open_session, color="red").key
        verbs.take()
        for seconds, expected in ((59, Commit.NOTHING), (1, Commit.TOUCHED), (59, Commit.NOTHING), (1, Commit.TOUCHED)):
            clock.advance(seconds)
            session = open_session(key).bind()
            assert session["color"] == "red"
            assert session.commit() is expected
        assert verbs.take() == ["load", "load", "touch"] * 2
        again = open_session(key).typed
        assert again.time_to_live() == timedelta(days=14)
        assert again.last_seen_at == datetime.fromtimestamp(clock.now, tz=timezone.utc)
        assert again.last_modified == again.created_at

    def test_interval_of_extending(self, open_session: OpenSession, clock: Clock, configure: Configure) -> None:
        """TOUCH_INTERVAL says how often, and 0 extends with each second."""
        configure(TOUCH_INTERVAL=0)
        key = _stored(open_session, color="red").key
        clock.advance(1)
        session = open_session(key).bind()
        session.load()
        session.get("color")
        assert session.commit() is Commit.TOUCHED

    def test_no_extending(self, open_session: OpenSession, clock: Clock, configure: Configure) -> None:
        """With SLIDING=False use does not move the end, and a save does."""
        configure(SLIDING=False)
        key = _stored(open_session, color="red").key
        clock.advance(_DAY)
        session = open_session(key).bind()
        assert session["color"] == "red"
        assert session.commit() is Commit.NOTHING
        assert session.typed.time_to_live() == timedelta(days=13)
        session.typed.views = 1
        assert session.commit() is Commit.SAVED
        assert session.typed.time_to_live() == timedelta(days=14)

    def test_save_without_change_extends(self, open_session: OpenSession, clock: Clock, verbs: Verbs) -> None:
        """A save of what is stored already moves the end and writes no data."""
        session = open_session(_stored(open_session, color="red").key)
        session.load()
        clock.advance(_DAY)
        verbs.take()
        session.save()
        assert verbs.take() == ["touch"]
        assert open_session(session.key).typed.time_to_live() == timedelta(days=14)

    def test_fixed_end_is_not_extended(self, open_session: OpenSession, clock: Clock) -> None:
        """A fixed end stays where it is, however often the session is used."""
        session = open_session()
        session.set_expiry(timedelta(hours=1))
        session.save()
        clock.advance(1800)
        again = open_session(session.key).bind()
        again.load()
        assert again.typed.views == 0
        assert again.commit() is Commit.NOTHING
        assert again.typed.time_to_live() == timedelta(minutes=30)

    def test_s55_absolute_end(self, open_session: OpenSession, clock: Clock, configure: Configure) -> None:
        """No use and no custom end carries a signed-in session past ABSOLUTE_EXPIRY."""
        configure(TEMP_EXPIRY=timedelta(hours=1), ABSOLUTE_EXPIRY=timedelta(hours=2))
        session = open_session().bind()
        session.sign_in()
        session.commit()
        again = session
        for _ in range(3):
            clock.advance(30 * 60)
            again = open_session(session.key).bind()
            again.set_expiry(_DAY)
            again.typed.views += 1
            again.commit()
        assert again.typed.time_to_live() == timedelta(minutes=30)
        clock.advance(30 * 60 - 1)
        last = open_session(session.key).bind()
        assert last.typed.views == 3
        assert last.commit() is Commit.NOTHING
        clock.advance(1)
        assert status_of(open_session(session.key)) == (SessionStatus.EXPIRED, EndReason.EXPIRED_ABSOLUTE)

    def test_no_absolute_end(self, open_session: OpenSession, clock: Clock, configure: Configure) -> None:
        """Visitors have no absolute end, and neither has anybody with ABSOLUTE_EXPIRY=None."""
        configure(TEMP_EXPIRY=timedelta(hours=1), ABSOLUTE_EXPIRY=timedelta(hours=2))
        visitor = open_session().bind()
        visitor.typed.views = 1
        visitor.commit()
        configure(ABSOLUTE_EXPIRY=None)
        user = open_session().bind()
        user.sign_in()
        user.commit()
        for _ in range(6):
            clock.advance(30 * 60)
            for session in (visitor, user):
                again = open_session(session.key).bind()
                assert again.typed.status is SessionStatus.LIVE
                assert again.commit() is Commit.TOUCHED

    def test_clock_that_goes_back(self, open_session: OpenSession, clock: Clock) -> None:
        """A server whose clock is behind neither ends a session nor shortens it."""
        session = _stored(open_session, color="red")
        clock.advance(-3600)
        again = open_session(session.key).bind()
        again["color"] = "blue"
        assert again.commit() is Commit.SAVED
        clock.advance(3600)
        assert again.typed.last_seen_at == session.typed.last_seen_at


class _Together(_Fixtures):
    """Two requests at once."""

    def test_different_fields(self, open_session: OpenSession) -> None:
        """What two requests change in different fields and items is all kept."""
        key = _stored(open_session, color="red", size=3, shape="round").key
        first, second = open_session(key).bind(), open_session(key).bind()
        first.typed.name, second.typed.views = "Ada", 2
        first["color"], second["size"] = "blue", 4
        second.pop("shape")
        first.commit()
        second.commit()
        assert (second.typed.name, second["color"]) == ("Ada", "blue")
        again = open_session(key)
        assert (again.typed.name, again.typed.views) == ("Ada", 2)
        assert dict(again.items()) == {"color": "blue", "size": 4}

    def test_same_field(self, open_session: OpenSession) -> None:
        """The later save of one field wins, or the field's rule decides."""
        key = _stored(open_session).key
        first, second = open_session(key).bind(), open_session(key).bind()
        first.typed.name, second.typed.name = "Ada", "Grace"
        first.typed.views, second.typed.views = 2, 3
        first.commit()
        second.commit()
        again = open_session(key).typed
        assert (again.name, again.views) == ("Grace", 5)

    def test_bag_alone(self, open_session: OpenSession) -> None:
        """Requests that use nothing but items do not lose each other's."""
        key = _stored(open_session).key
        first, second = open_session(key), open_session(key)
        first["color"], second["size"] = "blue", 4
        first.save()
        second.save()
        assert dict(open_session(key).items()) == {"color": "blue", "size": 4}

    def test_refused(self, open_session: OpenSession) -> None:
        """Two changes of a field that refuses that are a conflict: the first stands, and the second saves nothing."""
        key = _stored(open_session).key
        first, second = open_session(key).bind(), open_session(key).bind()
        first.typed.note, second.typed.note = "one", "two"
        second["color"] = "red"
        first.commit()
        with pytest.raises(SessionConflict) as failure:
            second.commit()
        assert failure.value.fields == ("note",)
        assert key not in str(failure.value)
        again = open_session(key)
        assert again.typed.note == "one"
        assert "color" not in again

    def test_new_key_meets_a_save(self, open_session: OpenSession, verbs: Verbs) -> None:
        """What is saved while another request changes the key comes along."""
        key = _stored(open_session, color="red").key
        session = open_session(key).bind()
        session.cycle_key()
        verbs.before("replace", lambda: self._save(open_session, key))
        session.commit()
        assert dict(open_session(session.key).items()) == {"color": "red", "other": 1}

    def test_sign_in_meets_a_sign_out(self, open_session: OpenSession, verbs: Verbs) -> None:
        """Whoever has just signed in is signed in, also if the visitor's session ends in that moment."""
        key = _stored(open_session, color="red").key
        session = open_session(key).bind()
        session.sign_in("7")
        verbs.before("replace", lambda: open_session(key).store.delete())
        assert session.commit() is Commit.SAVED
        assert open_session(session.key)[SESSION_KEY] == "7"
        assert not open_session().exists(key)

    def test_r28_two_sign_ins(self, open_session: OpenSession, verbs: Verbs) -> None:
        """Of two sign-ins from one visitor's session at once each gets a session of its own."""
        key = _stored(open_session, color="red").key
        first, second = open_session(key).bind(), open_session(key).bind()
        first.sign_in("7")
        second.sign_in("8")
        first.commit()
        second.commit()
        assert first.key != second.key
        assert [open_session(session.key)[SESSION_KEY] for session in (first, second)] == ["7", "8"]
        assert not open_session().exists(key)

    def test_save_after_a_new_key(self, open_session: OpenSession) -> None:
        """A request in flight under the old key cannot save, and learns that the key was changed."""
        late = open_session(_stored(open_session).key)
        late["color"] = "red"
        open_session(late.key).cycle_key()
        with pytest.raises(UpdateError):
            late.save()
        assert status_of(late) == (SessionStatus.ENDED, EndReason.ROTATED)

    def test_r24_extending_writes_no_data(self, open_session: OpenSession, clock: Clock) -> None:
        """A slow request that only extends the session leaves what others have saved."""
        key = _stored(open_session, color="red").key
        clock.advance(3600)
        slow = open_session(key).bind()
        assert slow["color"] == "red"
        self._save(open_session, key)
        assert slow.commit() is Commit.TOUCHED
        assert dict(open_session(key).items()) == {"color": "red", "other": 1}

    def test_r23_extending_brings_nothing_back(self, open_session: OpenSession, clock: Clock, verbs: Verbs) -> None:
        """A request that extends a session which ends in that moment does no harm and no good."""
        key = _stored(open_session, color="red").key
        clock.advance(3600)
        session = open_session(key).bind()
        assert session["color"] == "red"
        verbs.before("touch", lambda: open_session(key).store.delete())
        assert session.commit() is Commit.NOTHING
        assert not open_session().exists(key)

    @pytest.mark.parametrize("rotates", [False, True])
    def test_always_second(
        self, open_session: OpenSession, verbs: Verbs, monkeypatch: pytest.MonkeyPatch, rotates: bool
    ) -> None:
        """A save that others get ahead of for ever gives up as if the store did not answer."""
        monkeypatch.setattr("typed_sessions.backends.patience.SECONDS", 0.03)
        monkeypatch.setattr("typed_sessions.backends.patience.TRIES", 5)
        key = _stored(open_session).key
        session = open_session(key).bind()
        if rotates:
            session.cycle_key()
        session["color"] = "red"
        numbers = itertools.count()
        verb = "replace" if rotates else "save"
        verbs.before(verb, lambda: self._save(open_session, key, next(numbers)), times=10_000)
        with pytest.raises(StoreUnavailable, match="saves came first") as failure:
            session.commit()
        assert key not in str(failure.value)
        assert "color" not in open_session(key)

    def test_often_second(self, open_session: OpenSession, verbs: Verbs) -> None:
        """A save that others get ahead of a few times is done after them, with what they saved."""
        key = _stored(open_session).key
        session = open_session(key).bind()
        session["color"] = "red"
        numbers = itertools.count(1)
        verbs.before("save", lambda: self._save(open_session, key, next(numbers)), times=6)
        assert session.commit() is Commit.SAVED
        assert dict(open_session(key).items()) == {"color": "red", "other": 6}

    def _save(self, open_session: OpenSession, key: str, value: int = 1) -> None:
        session = open_session(key).store
        session["other"] = value
        session.save()

    def test_s17_another_user(self, open_session: OpenSession, clock: Clock) -> None:
        """Signing in as somebody else begins a lifetime of its own."""
        session = open_session().bind()
        session.sign_in("7")
        session.commit()
        first = session.typed.authenticated_at
        assert first == datetime.fromtimestamp(clock.now, tz=timezone.utc)
        clock.advance(60)
        session["color"] = "red"
        session.commit()
        assert session.typed.authenticated_at == first
        session.sign_in("8")
        session.commit()
        again = open_session(session.key).typed
        assert again.authenticated_at == datetime.fromtimestamp(clock.now, tz=timezone.utc)
        assert again.is_authenticated

    def test_signing_in_again(self, open_session: OpenSession, clock: Clock, configure: Configure) -> None:
        """A user who shows credentials again gets the absolute lifetime anew."""
        configure(ABSOLUTE_EXPIRY=timedelta(hours=2))
        session = open_session().bind()
        for _ in range(3):
            session.sign_in("7")
            session.commit()
            again = open_session(session.key).typed
            assert again.authenticated_at == datetime.fromtimestamp(clock.now, tz=timezone.utc)
            assert again.time_to_live() == timedelta(hours=2)
            clock.advance(3600)

    def test_s33_sign_in_ends_what_the_browser_had(self, open_session: OpenSession) -> None:
        """Signing in ends the sessions of both cookies that the browser came with, stored before or new."""
        for stored in (True, False):
            mine, other = _stored(open_session), _stored(open_session)
            session = open_session(mine.key if stored else None).bind(other=other.key)
            session.sign_in()
            session.commit()
            assert not session.exists(other.key)
            assert session.exists(mine.key) is not stored
            assert session.exists(session.key)

    def test_s18_sign_in_half_done(self, open_session: OpenSession, verbs: Verbs) -> None:
        """A sign-in that cannot end the session of the other cookie does not take place."""
        mine, other = _stored(open_session), _stored(open_session)
        session = open_session(mine.key).bind(other=other.key)
        session.sign_in("7")
        verbs.before("end", _no_answer)
        with pytest.raises(StoreUnavailable):
            session.commit()
        assert not open_session().exists(session.key)
        assert SESSION_KEY not in open_session(mine.key)

    def test_truth_about_the_user(self, open_session: OpenSession) -> None:
        """Whether somebody is signed in follows Django's own keys, before and after loading the bag."""
        session = open_session().bind()
        assert not _has_user(session)
        session.sign_in("7")
        assert _has_user(session)
        session.commit()
        again = open_session(session.key).bind()
        assert _has_user(again)
        assert again.pop(SESSION_KEY) == "7"
        assert not _has_user(again)
        again.commit()
        assert not _has_user(open_session(session.key))
        assert open_session(session.key).typed.authenticated_at is None


def _no_answer() -> None:
    raise StoreUnavailable("The store does not answer, says the test.")


def _has_user(session: Driven) -> bool:
    return session.typed.is_authenticated


class EngineContract(_Identity, _Mapping, _Keeping, _Typed, _Status, _Lifetime, _Together):
    """Everything that a session engine promises."""
