"""``USER_SNAPSHOT_AGE``: the signed-in user kept in the session, so that a request needs no SQL to know who it is.

What is kept are the names and the three flags, never the password's hash. The rest of the row is loaded if it is asked
for. Whatever happens to the account is noticed when the snapshot is over, at the latest that many seconds later.
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import auth
from django.contrib.auth.backends import ModelBackend
from django.db import router
from django.utils.module_loading import import_string

from . import clock, conf
from .backends.base import SessionStore
from .session import AuthUserSession

KEY = "_typed_sessions_user"
"""In the bag."""
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
_KEPT, _SAVED = "_typed_sessions_kept", "_typed_sessions_saved"
_FLAGS = ("is_active", "is_staff", "is_superuser", "first_name", "last_name")


def user_of(engine: SessionStore) -> Any:
    """The user as the session has it, if that is young enough. Loads the session if nobody has yet.

    A request that may change something is worth a look at the account.
    """
    age = conf.settings().user_snapshot_age
    if not age or (engine.request is not None and engine.request.method not in _SAFE_METHODS):
        return None
    kept = engine.get(KEY)
    if not isinstance(kept, dict) or kept.get("user") != engine.get(auth.SESSION_KEY):
        return None
    taken = kept.get("taken")
    if not isinstance(taken, int) or not 0 <= clock.now() - taken < age:
        return None
    return _rebuilt(kept.get("fields"))


async def auser_of(engine: SessionStore) -> Any:
    """``user_of`` for async code."""
    if conf.settings().user_snapshot_age:
        await engine.aget(KEY)
    return user_of(engine)


def renew(engine: SessionStore, user: Any) -> None:
    """Takes a new snapshot of ``user``, and has the session say anew what it says of its user."""
    if take(engine, user):
        session = engine.typed_session
        if isinstance(session, AuthUserSession):
            user.backend = engine[auth.BACKEND_SESSION_KEY]
            session.fill_from_user(user)


async def arenew(engine: SessionStore, user: Any) -> None:
    if conf.settings().user_snapshot_age:
        await sync_to_async(renew)(engine, user)


def take(engine: SessionStore, user: Any) -> bool:
    """Keeps ``user``, who has just come from the database, in the session. Whether that is wanted, and can be done."""
    model = auth.get_user_model()
    if not conf.settings().user_snapshot_age or type(user) is not model or not _is_plain(engine):
        return False
    fields = {name: _plain(user, name) for name in _names(model)}
    engine.note(KEY, {"user": engine[auth.SESSION_KEY], "taken": clock.now(), "fields": fields})
    return True


def freshen(sender: object, instance: Any, using: str, raw: bool = False, **kwargs: object) -> None:
    """Receives ``pre_save`` of the user model: what was taken from a snapshot, and not changed since, is not written
    over what the row has by now. An old flag or name must not come back with another change.
    """
    own = instance.__dict__
    kept = own.get(_KEPT)
    if kept is None or raw or instance._state.adding:
        return
    # By identity: a value that was assigned is meant, even if it is the old one.
    untouched = [name for name, value in kept.items() if own.get(name) is value]
    rows: Any = type(instance)._base_manager.using(using).filter(pk=instance.pk)
    fresh = rows.values(*untouched).first() if untouched else None
    own.update(fresh or {})
    own[_KEPT] = {**kept, **(fresh or {})}  # a new one: a copy of the user may share the old


def mark_saved(sender: object, instance: Any, **kwargs: object) -> None:
    """Receives ``post_save`` of the user model."""
    instance.__dict__[_SAVED] = True


def was_saved(user: Any) -> bool:
    """Whether this very object has been saved since it was found."""
    return _SAVED in user.__dict__


def _is_plain(engine: SessionStore) -> bool:
    """Whether the session's backend gets users as Django's own does, so that there is nothing else to them."""
    backend = import_string(engine[auth.BACKEND_SESSION_KEY])
    return getattr(backend, "get_user", None) is ModelBackend.get_user


def _names(model: Any) -> list[str]:
    """What is kept, in the order of the model's columns."""
    wanted = {model._meta.pk.attname, model.USERNAME_FIELD, getattr(model, "EMAIL_FIELD", ""), *_FLAGS}
    return [field.attname for field in model._meta.concrete_fields if {field.name, field.attname} & wanted]


def _plain(user: Any, name: str) -> Any:
    value = getattr(user, name)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return user._meta.get_field(name).value_to_string(user)


def _rebuilt(fields: Any) -> Any:
    model: Any = auth.get_user_model()
    names = _names(model)
    if not isinstance(fields, dict) or set(fields) != set(names):
        return None  # another release of the project took it
    values = [model._meta.get_field(name).to_python(fields[name]) for name in names]
    user = model.from_db(router.db_for_read(model), names, values)
    user.__dict__[_KEPT] = {name: user.__dict__[name] for name in names if name != model._meta.pk.attname}
    return user
