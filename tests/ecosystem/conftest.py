"""The tests' project with other packages, as docs/ecosystem.rst sets it up: test_apart.py says how it is run."""

from __future__ import annotations

from django.conf import settings

from tests.ecosystem import page
from tests.engines.rows import configure, use_engine
from tests.web.conftest import _open_connection, browser, clock, engine, handler, new_browser, other_user, user, verbs

__all__ = [
    "_open_connection",
    "browser",
    "clock",
    "configure",
    "engine",
    "handler",
    "new_browser",
    "other_user",
    "use_engine",
    "user",
    "verbs",
]

_APART = "test_apart.py"
_HERE = settings.SETTINGS_MODULE == "tests.ecosystem.settings"
collect_ignore_glob = [_APART] if _HERE else ["test_[!a]*", "test_a[!p]*"]

if _HERE:
    page.install()
