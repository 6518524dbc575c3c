"""``USER_SNAPSHOT_AGE``: the signed-in user kept in the session, so that a request needs no SQL to know who it is.

What is kept are the names and the three flags, never the password's hash. The rest of the row is loaded if it is asked
for. Whatever happens to the account is noticed when the snapshot is over, at the latest that many seconds later.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import auth
from django.db import router

from . import clock, conf
from .backends.base import SessionStore
from .session import AuthUserSession

KEY = "_typed_sessions_user"
"""In the bag."""
_FLAGS = ("is_active", "is_staff", "is_superuser", "first_name", "last_name")


def user_of(engine: SessionStore) -> Any:
    """The user as the session has it, if that is young enough. Loads the session if nobody has yet."""
    age = conf.settings().user_snapshot_age
    if not age:
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
    """Keeps ``user``, who has just come from the database, in the session. Whether that is wanted."""
    model = auth.get_user_model()
    if not conf.settings().user_snapshot_age or not isinstance(user, model):
        return False
    fields = {name: _plain(user, name) for name in _names(model)}
    engine.note(KEY, {"user": engine[auth.SESSION_KEY], "taken": clock.now(), "fields": fields})
    return True


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
    user.save = partial(_save_on_top, user, dict(zip(names, values, strict=True)))
    return user


def _save_on_top(user: Any, kept: dict[str, Any], *args: Any, **kwargs: Any) -> None:
    """``user.save()``, on top of what is stored now: an old flag or name must not come back with another change."""
    user.__dict__.pop("save", None)
    if not args and kwargs.get("update_fields") is None:
        fields = {field.attname for field in user._meta.concrete_fields}
        own = {name: value for name, value in user.__dict__.items() if name in fields}
        changed = {name: value for name, value in own.items() if name not in kept or kept[name] != value}
        user.refresh_from_db()
        for name, value in changed.items():
            setattr(user, name, value)
    user.save(*args, **kwargs)
