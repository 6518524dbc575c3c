"""What a session holds, laid out for its owner to read: everything but the token and what is marked secret."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings as django_settings
from django.http import HttpRequest

from typed_sessions import AuthUserSession
from typed_sessions.conf import settings
from typed_sessions.session import field_options

from .sessions import ShopSession


@dataclass(frozen=True)
class Entry:
    name: str
    type: str
    value: str
    hidden: bool


@dataclass(frozen=True)
class Cookie:
    name: str
    meaning: str
    present: bool


@dataclass(frozen=True)
class Description:
    class_name: str
    own: list[Entry]
    """Fields the shop declares."""
    inherited: list[Entry]
    """Fields of ``AuthUserSession``."""
    bag: list[str]
    """Keys of Django's own mapping, ``request.session``, in the same record."""
    cookies: list[Cookie]


def describe(request: HttpRequest, session: ShopSession) -> Description:
    entries = {entry.name: entry for entry in _entries(session)}
    base = {declared.name for declared in dataclasses.fields(AuthUserSession)}
    return Description(
        class_name=type(session).__name__,
        own=[entry for name, entry in entries.items() if name not in base],
        inherited=[entry for name, entry in entries.items() if name in base],
        bag=sorted(request.session.keys()),
        cookies=_cookies(request),
    )


def _entries(session: ShopSession) -> typing.Iterator[Entry]:
    options, hints = field_options(type(session)), typing.get_type_hints(type(session))
    for declared in dataclasses.fields(session):
        hidden = options[declared.name].secret
        yield Entry(
            name=declared.name,
            type=_type_name(hints[declared.name]),
            value="" if hidden else _readable(getattr(session, declared.name)),
            hidden=hidden,
        )


def _type_name(hint: Any) -> str:
    if isinstance(hint, type) and not typing.get_args(hint):
        return hint.__name__
    for module in ("typing.", f"{ShopSession.__module__}."):
        hint = str(hint).replace(module, "")
    return str(hint)


def _readable(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if dataclasses.is_dataclass(value):
        inside = (f"{part.name}={_readable(getattr(value, part.name))}" for part in dataclasses.fields(value))
        return f"{type(value).__name__}({', '.join(inside)})"
    if isinstance(value, list):
        return "[" + ",\n ".join(map(_readable, value)) + "]"
    return repr(value)


def _cookies(request: HttpRequest) -> list[Cookie]:
    ours = settings()
    known = {
        django_settings.SESSION_COOKIE_NAME: "until the browser closes",
        ours.perm_cookie_name: f"for {ours.perm_expiry.days} days",
        ours.option_cookie_name: "which of the two counts",
    }
    return [Cookie(name, meaning, name in request.COOKIES) for name, meaning in known.items()]
