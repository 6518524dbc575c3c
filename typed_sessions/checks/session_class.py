"""The project's session dataclass: that it exists, and that each of its fields can be stored and read back."""

from __future__ import annotations

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from .. import conf, schema
from .messages import Messages, check, error, warning


@check("TYPED_SESSIONS['SESSION_CLASS']")
def check_session_class() -> Messages:
    """TYPED_SESSIONS = {"SESSION_CLASS": "shop.sessions.ShopSession"}"""
    try:
        path = conf.settings().session_class
    except ImproperlyConfigured:
        return []  # check_settings tells
    if "SESSION_CLASS" not in getattr(django_settings, "TYPED_SESSIONS", {}):
        return [
            warning(
                23,
                "TYPED_SESSIONS names no SESSION_CLASS, so sessions have no field of your own.",
                'Set TYPED_SESSIONS = {"SESSION_CLASS": "shop.sessions.ShopSession"}, the path of your dataclass.',
            )
        ]
    try:
        session_class = import_string(path)
    except Exception as failure:  # whatever the project's module raises
        return [
            error(
                20,
                f"SESSION_CLASS {path!r} cannot be imported: {type(failure).__name__}: {failure}.",
                "Set it to the dotted path of your session dataclass.",
            )
        ]
    return [
        error(21, f"{where} {what}.", "Sessions cannot be stored before this is corrected.", obj=session_class)
        if serious
        else warning(
            22, f"{where} {what}.", "Silence this check if plain JSON values are what you want.", obj=session_class
        )
        for where, what, serious in schema.problems(session_class)
    ]
