"""django-easy-audit: what is done, by whom, in a table of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Group, User
from django.core.serializers import serialize

from tests.ecosystem.people import PASSWORD, rows_of, sign_in
from tests.web.browser import Browser
from tests.web.signing import Request, put_in_cart, sign_out, who, write_to
from typed_sessions.backends import db
from typed_sessions.backends.base import SessionStore
from typed_sessions.models import StoredSession
from typed_sessions.testing.engines import Verbs

# The package writes when a transaction is committed.
pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "a note that nobody else may read"


@pytest.fixture(autouse=True)
def _engine(engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch) -> None:
    """The package looks the engine up when it is imported."""
    monkeypatch.setattr("easyaudit.signals.request_signals.session_engine", sys.modules[engine.__module__])


def make_group(request: Request) -> None:
    Group.objects.create(name="readers")


@pytest.mark.parametrize("remember", [False, True])
def test_users_of_events(browser: Browser, user: User, remember: bool) -> None:
    """Events of models and of signing in and out have their user; those of requests only in temporary sessions."""
    browser.visit(sign_in(user, remember))
    browser.visit(make_group)
    browser.visit(sign_out)
    (made,) = rows_of("easyaudit.CRUDEvent").filter(object_repr="readers")
    assert made.user == user
    assert [(event.login_type, event.user) for event in rows_of("easyaudit.LoginEvent")] == [(0, user), (1, user)]
    known = None if remember else user
    assert [event.user for event in rows_of("easyaudit.RequestEvent")] == [None, known, known]


def test_cost(browser: Browser, user: User, verbs: Verbs) -> None:
    """As the page tells: for the event of a request the session is read once more."""
    browser.visit(sign_in(user))
    verbs.take()
    browser.visit(who)
    assert verbs.take() == ["load", "load"]


def what_is_audited() -> str:
    """The rows of the table of changes, as text."""
    return str(serialize("json", rows_of("easyaudit.CRUDEvent")))


def write_secrets(browser: Browser, user: User) -> list[str]:
    """A visitor's secret, and the tokens of a user; both came to be by new rows."""
    browser.visit(put_in_cart())
    browser.visit(write_to("gift_note", SECRET))
    browser.get("/allauth/login/")
    browser.post("/allauth/login/", login="ada", password=PASSWORD)
    browser.visit(make_group)
    return [SECRET, browser.token]


def test_sessions_are_not_copied(browser: Browser, user: User) -> None:
    """Neither what is in a session nor a token, which other packages store, gets into the audit."""
    secrets = write_secrets(browser, user)
    audited = what_is_audited()
    assert "readers" in audited
    assert [secret for secret in secrets if secret in audited] == []


@pytest.fixture
def as_delivered() -> Iterator[None]:
    """Without the models that the page excludes."""
    excluded = sys.modules["easyaudit.settings"].UNREGISTERED_CLASSES
    before = [*excluded]
    excluded[:] = [model for model in excluded if model.__name__ not in ("StoredSession", "UserSession", "UserVisit")]
    assert len(excluded) == len(before) - 3
    yield
    excluded[:] = before


@pytest.mark.usefixtures("as_delivered")
def test_as_it_is_delivered(browser: Browser, user: User, engine: type[SessionStore]) -> None:
    """As the page warns: by itself it copies new sessions of the database, and tokens from the tables of others."""
    secret, token = write_secrets(browser, user)
    audited = what_is_audited()
    assert token in audited
    assert (secret in audited) is issubclass(engine, db.SessionStore)
    assert (StoredSession._meta.label_lower in audited) is issubclass(engine, db.SessionStore)
