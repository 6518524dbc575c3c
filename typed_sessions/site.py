"""The project's engine, sessions and users, as whoever looks after a site asks for them: commands and the admin."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from importlib import import_module
from typing import Any

from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db.models import IntegerField

from . import clock, conf, tokens
from .backends.base import SessionStore
from .backends.facts import Facts
from .exceptions import UnreadableRecord
from .live import live_sessions
from .session import TypedSession, attach
from .states import EndReason, SessionStatus
from .stores.base import Store
from .stores.record import Record

_URN = tokens.urn("")
_PAGE = 1000


class AskedWrongly(ValueError):
    """What was asked for makes no sense here; the text says why."""


class NotThere(LookupError):
    """What was asked for is not there; the text says what."""


def engine() -> SessionStore:
    """Raises ``ImproperlyConfigured`` for an engine that is none of ours."""
    try:
        found = import_module(django_settings.SESSION_ENGINE).SessionStore()
    except (ImportError, AttributeError):
        found = None
    if isinstance(found, SessionStore):
        return found
    raise ImproperlyConfigured(
        f"SESSION_ENGINE is {django_settings.SESSION_ENGINE!r}, and no engine of typed_sessions."
    )


def store() -> Store:
    return engine().store


def listing_store() -> Store:
    """The store, if it knows what it holds; raises ``AskedWrongly``."""
    found = store()
    if not found.lists_sessions:
        raise AskedWrongly(
            f"{django_settings.SESSION_ENGINE} cannot list its sessions: a cache does not know what it holds. "
            "Use the redis, db or cached_db engine, or name a session by its id."
        )
    return found


def record_of(session: Any) -> Record:
    """What a session of ``live_sessions`` was made of."""
    record: Record = session._known.record
    return record


def session_of(record: Record) -> TypedSession:
    """The typed session that ``record`` holds. It belongs to no request, and is not saved."""
    facts = Facts()
    facts.record, facts.status = record, SessionStatus.LIVE
    session: TypedSession = engine().copy_of(record).session
    attach(session, facts)
    return session


def session_id(given: str) -> str:
    """The id that somebody wrote, with or without the words in front of it. Raises ``AskedWrongly``."""
    found = given.strip().removeprefix(_URN)
    if not tokens.is_well_formed(found):
        raise AskedWrongly(f"{shortened(given)} is no id of a session: those are 40 lower-case hex digits.")
    return found if conf.settings().hash_ids else _tokens_of([found]).get(found, found)


def end_one(session_id: str) -> bool:
    """Ends a session, as ``ended_by_staff``, and reads again to prove it (REQ-S61). Whether there was one to end.

    Also one that cannot be read, of which nobody can say whether it was live.
    """
    was_there = _is_there(session_id)
    has_ended = live_sessions.end(session_id, EndReason.ENDED_BY_STAFF)
    return (has_ended or was_there) and not _is_there(session_id)


def _is_there(session_id: str) -> bool:
    try:
        found = store().load(session_id)
    except UnreadableRecord:
        return True
    return isinstance(found, Record) and found.is_live(clock.now())


def shortened(given: str) -> str:
    """Not all of it: somebody may have pasted a token instead of an id (REQ-S84)."""
    found = given.strip().removeprefix(_URN)
    return repr(found if len(found) <= 12 else f"{found[:8]}…")


def ids_of(shown: Iterable[str]) -> list[str]:
    """The ids, as the store has them, of what was shown; what can be none is left out, and with ``HASH_IDS=False`` what
    is none of a live session.
    """
    wanted = {text for text in shown if tokens.is_well_formed(text)}
    return list(wanted) if conf.settings().hash_ids else list(_tokens_of(wanted).values())


def _tokens_of(wanted: Collection[str]) -> dict[str, str]:
    """With ``HASH_IDS=False`` an id is a token, which is never shown, and has to be found by what was shown."""
    there, offset, known = store(), 0, dict[str, str]()
    while there.lists_sessions and len(known) < len(wanted) and (page := there.newest(clock.now(), _PAGE, offset)):
        known.update((shown, found) for found in page if (shown := str(tokens.shown(found))) in wanted)
        offset += _PAGE
    return known


def key_of(given: str) -> str:
    """The primary key, as records have it, of the user with that name or key; the name is what people sign in with.

    Raises ``AskedWrongly`` for what is the name of one and the key of another, and ``NotThere``.
    """
    model: Any = get_user_model()
    named = model._default_manager.filter(**{model.USERNAME_FIELD: given}).first()
    numbered = _by_key(model, given)
    if named is not None and numbered is not None and named.pk != numbered.pk:
        raise AskedWrongly(f"{given!r} is the name of one user, and the primary key of another. Say it the other way.")
    user = named or numbered
    if user is not None:
        return key_of_user(user)
    gone = written_key(given)
    if gone is not None and live_sessions.count_for(gone):
        return gone
    raise NotThere(f"There is no user with the {model.USERNAME_FIELD} or primary key {given!r}.")


def key_of_user(user: Any) -> str:
    """The primary key as records have it."""
    return str(user._meta.pk.value_to_string(user))


def written_key(given: str) -> str | None:
    """A primary key as records have it, of a user who may have been deleted; ``None`` for what can be none."""
    model: Any = get_user_model()
    return key_of_user(model(pk=model._meta.pk.to_python(given))) if _is_key(model, given) else None


def names_of(keys: Iterable[str | None]) -> dict[str, str]:
    """The names of those who still are users, by the primary keys that records have."""
    return {key: user.get_username() for key, user in users_of(keys).items()}


def users_of(keys: Iterable[str | None]) -> dict[str, Any]:
    """Those who still are users, by the primary keys that records have, with one statement."""
    model: Any = get_user_model()
    valid = {key for key in keys if key is not None and _is_key(model, key)}
    found = model._base_manager.filter(pk__in=valid) if valid else ()
    return {key_of_user(user): user for user in found}


def _by_key(model: Any, given: str) -> Any:
    return model._default_manager.filter(pk=given).first() if _is_key(model, given) else None


def _is_key(model: Any, given: str) -> bool:
    field = model._meta.pk
    while field.is_relation:
        field = field.target_field
    try:
        value = field.to_python(given)
        field.get_prep_value(value)
        if isinstance(field, IntegerField):
            field.run_validators(value)  # a database raises errors of its own for what is too large
    except (ValidationError, ValueError, TypeError):
        return False
    return "\0" not in given
