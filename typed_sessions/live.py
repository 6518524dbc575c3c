"""``live_sessions``: the stored sessions from outside, by id and by user, without a request."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model

from . import clock, hooks
from .backends import patience, records
from .backends.base import SessionStore
from .backends.facts import Facts
from .exceptions import StoreUnavailable, UnreadableRecord
from .flows import Flow, Step, adrive, drive
from .session import TypedSession, attach
from .states import EndReason, SessionStatus
from .stores.base import Conflict, Saved
from .stores.record import Record
from .tokens import is_well_formed


class LiveSessions:
    """The sessions of the project's engine. What is answered is typed, belongs to no request, and is not saved.

    ``user`` is a user or a primary key, and ids are those of ``typed_session.id``. The ``cache`` engine cannot list:
    what needs that raises ``NotImplementedError`` there. ``StoreUnavailable`` if the store does not answer, and
    Django's ``ValidationError`` for what can be no primary key of the user model.
    """

    def get(self, session_id: str) -> Any:
        """The session, or ``None`` if there is none, or none any more."""
        return drive(self._getting(session_id))

    async def aget(self, session_id: str) -> Any:
        return await adrive(self._getting(session_id))

    def for_user(self, user: object) -> list[Any]:
        """All sessions in which ``user`` is signed in, the last used first."""
        return drive(self._of_user(user))

    async def afor_user(self, user: object) -> list[Any]:
        return await adrive(self._of_user(user))

    def count_for(self, user: object) -> int:
        """In how many sessions ``user`` is signed in."""
        return drive(self._counting(user))

    async def acount_for(self, user: object) -> int:
        return await adrive(self._counting(user))

    def end(self, session_id: str, reason: EndReason = EndReason.ENDED_BY_USER) -> bool:
        """Ends a session at once. Whether there was one to end."""
        return drive(self._ending(session_id, reason))

    async def aend(self, session_id: str, reason: EndReason = EndReason.ENDED_BY_USER) -> bool:
        return await adrive(self._ending(session_id, reason))

    def end_for_user(self, user: object, keep: str | None = None, reason: EndReason = EndReason.ENDED_BY_USER) -> int:
        """Ends all sessions of ``user`` but the one with the id ``keep``. How many there were."""
        return drive(self._ending_all(user, keep, reason))

    async def aend_for_user(
        self, user: object, keep: str | None = None, reason: EndReason = EndReason.ENDED_BY_USER
    ) -> int:
        return await adrive(self._ending_all(user, keep, reason))

    def update(self, session_id: str, change: Callable[[Any], object]) -> Any:
        """Calls ``change(session)``, saves what that has changed, and answers the session as it is then; ``None``, and
        no call, if there is none any more.

        For tasks, commands and whatever else runs outside the session's own request, or after its answer. If another
        request saves meanwhile, ``change`` is called again with the session as that one left it, so it should do
        nothing else. What it raises goes through, and nothing is saved. The session does not last longer for it.
        Raises ``SessionFieldError`` and ``SessionTooLarge`` as any save does.
        """
        return drive(self._updating(session_id, change))

    async def aupdate(self, session_id: str, change: Callable[[Any], object]) -> Any:
        """``update``, in which ``change`` may be a coroutine function."""
        return await adrive(self._updating(session_id, change))

    @property
    def can_list(self) -> bool:
        """Whether the project's engine is one of ours, and knows the sessions of a user."""
        engine = import_module(django_settings.SESSION_ENGINE).SessionStore
        return issubclass(engine, SessionStore) and engine().store.lists_sessions

    def _getting(self, session_id: str) -> Flow[TypedSession | None]:
        engine = _engine()
        if not is_well_formed(session_id):
            return None
        try:
            found = yield Step(engine.store.load, engine.store.aload, (session_id,))
        except UnreadableRecord:
            return None
        return _typed(engine, found) if _is_live(found) else None

    def _updating(self, session_id: str, change: Callable[[Any], object]) -> Flow[TypedSession | None]:
        engine = _engine()
        store, found = engine.store, None
        for pause in patience.tries(session_id):
            if pause:
                yield pause
            if found is None and is_well_formed(session_id):
                with suppress(UnreadableRecord):
                    found = yield Step(store.load, store.aload, (session_id,))
            if not (isinstance(found, Record) and found.is_live(clock.now())):
                return None
            copy = engine.copy_of(found)
            session = _attached(copy.session, found)
            yield Step(hooks.call, hooks.acall, (change, session))
            content = copy.content(None)
            if content is None:
                return session
            record = records.rewritten(found, content, clock.now())
            records.refuse_too_large(record, store.format)
            outcome = yield Step(store.save, store.asave, (record, found))
            if isinstance(outcome, Saved):
                return _attached(session, record)
            found = outcome.record if isinstance(outcome, Conflict) else outcome.tombstone
        raise StoreUnavailable(f"Session {session_id}: for {patience.SECONDS} s other requests' saves came first")

    def _of_user(self, user: object) -> Flow[list[TypedSession]]:
        engine = _engine()
        store, key = engine.store, _key_of(user)
        ids = yield Step(store.of_user, store.aof_user, (key, clock.now()))
        found = yield Step(store.load_many, store.aload_many, (ids,))
        # The index may be a moment behind, or know a record that has changed hands.
        own = [record for record in found if _is_live(record) and record.user == key]
        return [_typed(engine, record) for record in sorted(own, key=lambda record: -record.seen)]

    def _counting(self, user: object) -> Flow[int]:
        store = _engine().store
        return len((yield Step(store.of_user, store.aof_user, (_key_of(user), clock.now()))))

    def _ending(self, session_id: str, reason: EndReason, user: str | None = None) -> Flow[bool]:
        store = _engine().store
        if not is_well_formed(session_id):
            return False  # the names of other things in the store are none of sessions
        last = yield Step(store.end, store.aend, (session_id, reason, clock.now(), user))
        return _is_live(last)

    def _ending_all(self, user: object, keep: str | None, reason: EndReason) -> Flow[int]:
        store, key = _engine().store, _key_of(user)
        ids = yield Step(store.of_user, store.aof_user, (key, clock.now()))
        ended = 0
        for session_id in ids:
            if session_id != keep:
                ended += yield from self._ending(session_id, reason, key)
        return ended


live_sessions = LiveSessions()


def _engine() -> SessionStore:
    engine = import_module(django_settings.SESSION_ENGINE).SessionStore()
    if not isinstance(engine, SessionStore):
        raise ImproperlyConfigured(
            f"live_sessions needs an engine of typed_sessions.backends, and SESSION_ENGINE is "
            f"{django_settings.SESSION_ENGINE!r}."
        )
    return engine


def _typed(engine: SessionStore, record: Record) -> TypedSession:
    return _attached(engine.copy_of(record).session, record)


def _attached(session: TypedSession, record: Record) -> TypedSession:
    facts = Facts()
    facts.record, facts.status = record, SessionStatus.LIVE
    attach(session, facts)
    return session


def _is_live(found: object) -> bool:
    return isinstance(found, Record) and found.is_live(clock.now())


def _key_of(user: object) -> str:
    """The primary key as records have it, which is how Django's auth keys have it (REQ-S60)."""
    model: Any = get_user_model()
    if isinstance(user, Model) and not isinstance(user, model):
        raise TypeError(f"A {model.__name__} or the primary key of one is wanted, and this is a {type(user).__name__}.")
    # A UUID, for one, may be written in many ways.
    owner: Any = user if isinstance(user, Model) else model(pk=model._meta.pk.to_python(user))
    if owner.pk is None or owner.pk == "":
        raise ValueError("A user who is stored, or the primary key of one, is wanted, and this is nobody.")
    return str(owner._meta.pk.value_to_string(owner))
