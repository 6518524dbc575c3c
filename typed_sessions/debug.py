"""What Django's error mail and debug page do not show: cookies and headers that open sessions (REQ-S85)."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings as django_settings
from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter, get_default_exception_reporter_filter

from . import conf, tokens

_WINDOWS = re.compile(rf"(?=([0-9a-z]{{{tokens.LENGTH}}}))")
"""Every place where a token could begin; in a ``repr`` a letter of an escape may stand before it."""
STOCK = "django.views.debug.SafeExceptionReporterFilter"


class TypedSessionExceptionReporterFilter(SafeExceptionReporterFilter):
    """Django's own filter, which knows ``SESSION_COOKIE_NAME`` alone, and ours.

    The app puts it on the requests of a project that has no filter of its own. One that has one lets it inherit this.
    """

    def cleanse_setting(self, key: Any, value: Any) -> Any:
        if isinstance(key, str) and (key.startswith("HTTP_X_SS_") or key in _cookies()):
            return self.cleansed_substitute
        return super().cleanse_setting(key, value)

    def get_traceback_frame_variables(self, request: Any, tb_frame: Any) -> Any:
        shown = super().get_traceback_frame_variables(request, tb_frame)
        return [(name, self.cleansed_substitute if _holds_token(value) else value) for name, value in shown]


class FilterAttribute:
    """``request.exception_reporter_filter``, where Django looks for the filter before it takes the project's.

    Put on ``HttpRequest`` by the app, since a request may fail before it has come to any middleware.
    """

    def __get__(self, request: HttpRequest | None, owner: type | None = None) -> SafeExceptionReporterFilter:
        if django_settings.DEFAULT_EXCEPTION_REPORTER_FILTER == STOCK:
            return _FILTER
        return get_default_exception_reporter_filter()


_FILTER = TypedSessionExceptionReporterFilter()


def _cookies() -> tuple[str, ...]:
    settings = conf.settings()
    return (django_settings.SESSION_COOKIE_NAME, settings.perm_cookie, settings.option_cookie)


def _holds_token(value: object) -> bool:
    """Whether the value of a variable has a genuine token among its words, in whatever it is wrapped in."""
    try:
        text = value if isinstance(value, str) else repr(value)
    except Exception:  # of an object that cannot even be shown
        return False
    return any(tokens.read(window) for window in _WINDOWS.findall(text))
