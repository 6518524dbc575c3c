"""Parts of Django that keep things in the session, and habits of packages that do."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib import auth, messages
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.core import mail
from django.core.management import call_command
from django.db import connection, transaction
from django.http import HttpResponse
from django.utils.functional import LazyObject

from tests.engines.rows import UseEngine, rows
from tests.web.browser import ID, OPT, OURS, PID, Browser
from tests.web.conftest import PASSWORD
from tests.web.signing import Request, cart, put_in_cart, sign_in, status, who
from tests.web.stored import count
from typed_sessions.auth import login
from typed_sessions.backends.base import SessionStore
from typed_sessions.testing.engines import Clock

if TYPE_CHECKING:
    from pytest_django import Settings

DAY = 24 * 3600


@pytest.mark.usefixtures("engine")
def test_messages(new_site: Callable[..., Browser], settings: Settings) -> None:
    """A message that waits in the session is shown once, and then no more."""
    settings.MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
    browser = new_site(*settings.MIDDLEWARE)

    def shown(request: Request) -> str:
        return " ".join(str(message) for message in get_messages(request))

    browser.visit(lambda request: messages.success(request, "Well done"))
    assert browser.visit(shown).text == "Well done"
    assert browser.visit(shown).text == ""


@pytest.mark.usefixtures("engine")
def test_csrf_token_in_the_session(new_site: Callable[..., Browser], settings: Settings, user: User) -> None:
    """With CSRF_USE_SESSIONS a form with the page's token is taken, and one without is not."""
    settings.CSRF_USE_SESSIONS = True
    browser = new_site(*settings.MIDDLEWARE)
    page = browser.get("/admin/login/").text
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', page)
    assert token is not None
    form = {"username": "ada", "password": PASSWORD}
    assert browser.post("/accounts/login/", **form).status == 403
    before = browser.cookies[ID]
    assert browser.post("/accounts/login/", csrfmiddlewaretoken=token[1], **form).status == 302
    assert browser.cookies[ID] != before
    assert browser.visit(who).text.startswith("ada ada")


@pytest.mark.usefixtures("engine")
def test_password_reset(browser: Browser, user: User, settings: Settings) -> None:
    """Django's password reset, which hides its token in the session, works from the mail to the new password."""
    settings.MAILERS = {
        "default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}
    }  # which Django 6.1 asks for
    browser.get("/admin/login/")
    assert browser.post("/accounts/password_reset/", email=user.email).status == 302
    link = re.search(r"http://\w+(/accounts/reset/\S+)", str(mail.outbox[0].body))
    assert link is not None
    form_at = browser.get(link[1])["Location"]
    assert form_at.endswith("set-password/")
    new = "a new and better one"
    assert browser.post(form_at, new_password1=new, new_password2=new).status == 302
    user.refresh_from_db()
    assert user.check_password(new)


@pytest.mark.usefixtures("engine")
def test_test_cookie(browser: Browser) -> None:
    """Django's test cookie tells whether the browser takes cookies."""
    browser.visit(lambda request: request.session.set_test_cookie())
    assert browser.visit(lambda request: request.session.test_cookie_worked()).text == "True"
    browser.visit(lambda request: request.session.delete_test_cookie())
    assert browser.visit(lambda request: request.session.test_cookie_worked()).text == "False"


@pytest.mark.usefixtures("engine")
def test_admin(browser: Browser, user: User) -> None:
    """The admin can be signed in to, used, and signed out of."""
    User.objects.update(is_staff=True, is_superuser=True)
    browser.get("/admin/login/")
    assert browser.post("/admin/login/?next=/admin/", username="ada", password=PASSWORD)["Location"] == "/admin/"
    assert "Site administration" in browser.get("/admin/").text
    assert browser.post("/admin/logout/").status == 200
    assert browser.get("/admin/").status == 302
    assert not browser.cookies.keys() & {ID, OPT, PID}


@pytest.mark.django_db
@pytest.mark.parametrize("row", rows())
def test_clearsessions(row: str, use_engine: UseEngine, clock: Clock) -> None:
    """`manage.py clearsessions` removes what is over, and nothing else."""
    engine = use_engine(row)
    over, live = engine(), engine()
    over.save()
    clock.advance(10 * DAY)
    live.save()
    clock.advance(5 * DAY)
    call_command("clearsessions")
    assert not engine().exists(over.session_key)
    assert engine().exists(live.session_key)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("atomic", [False, True])
@pytest.mark.parametrize("handler", ["wsgi"])
def test_r21_transactions(browser: Browser, user: User, monkeypatch: pytest.MonkeyPatch, atomic: bool) -> None:
    """A failed view's changes to the session are lost, with ATOMIC_REQUESTS or without; a mere rollback keeps them."""
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic)

    def breaks(request: Request) -> None:
        request.typed_session.page_views += 10
        User.objects.update(first_name="changed")
        raise RuntimeError("after the change")

    def rolls_back(request: Request) -> None:
        with transaction.atomic():
            request.typed_session.page_views += 1
            User.objects.update(first_name="changed")
            transaction.set_rollback(True)

    browser.visit(put_in_cart())
    assert browser.visit(breaks).status == 500
    assert browser.visit(rolls_back).status == 200
    assert browser.visit(lambda request: request.typed_session.page_views).text == "1"


# Habits of packages


@contextmanager
def receiving(signal: Any, receiver: Callable[..., None], first: bool) -> Iterator[None]:
    """Connects a receiver of a package, before or after ours."""
    signal.connect(receiver)
    if first:
        signal.receivers.insert(0, signal.receivers.pop())
    signal.sender_receivers_cache.clear()
    try:
        yield
    finally:
        signal.disconnect(receiver)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("always", [False, True])
@pytest.mark.parametrize("visited", [False, True])
def test_creating_in_the_signal_of_a_sign_in(
    browser: Browser, engine: type[SessionStore], user: User, other_user: User, first: bool, always: bool, visited: bool
) -> None:
    """A package that creates the session while somebody signs in leaves one session, signed in, with its data."""

    def receiver(request: Request, **kwargs: Any) -> None:
        if always or request.session.session_key is None:
            request.session.create()

    if visited:
        browser.visit(put_in_cart())
    visitor = browser.copy()
    with receiving(auth.user_logged_in, receiver, first):
        browser.visit(sign_in(user, remember=True))
        assert browser.visit(who).text.startswith("ada ada")
        assert browser.visit(cart).text == ("['a'] a" if visited else "[] None")
        assert count(engine) == 1
        assert visitor.visit(who).text == "anonymous anonymous None"
        browser.visit(sign_in(other_user, remember=True))
    assert browser.visit(who).text.startswith("grace grace")
    assert browser.visit(cart).text == "[] None"
    assert count(engine) == 1


@pytest.mark.usefixtures("engine")
def test_taking_somebody_elses_place(browser: Browser, user: User, other_user: User, clock: Clock) -> None:
    """A package that signs staff in as somebody else, and keeps the session's custom end by its item, keeps it."""

    def take_place(request: Request) -> None:
        history = [*request.session.get("hijack_history", []), str(request.user.pk)]
        end = request.session["_session_expiry"]
        login(request, other_user)
        request.session["_session_expiry"] = end
        request.session["hijack_history"] = history

    browser.visit(sign_in(user))
    browser.visit(lambda request: request.session.set_expiry(600))
    browser.visit(take_place)
    assert browser.visit(who).text.startswith("grace grace")
    assert browser.visit(lambda request: request.session["hijack_history"]).text == f"['{user.pk}']"
    assert browser.visit(lambda request: request.typed_session.time_to_live()).text == "0:10:00"


class ScopeSession(LazyObject):  # type: ignore[type-arg]  # generic in its stubs only
    """How a package for WebSockets hands a session around."""

    def _setup(self) -> None:
        raise ValueError("before the session was resolved")


@pytest.mark.django_db
@pytest.mark.parametrize("row", rows("db", "redis", "cached_db", "cache"))
async def test_session_on_the_event_loop(row: str, use_engine: UseEngine) -> None:
    """After `aload` the sync getters wait for nothing, so that they may be used on the event loop."""
    engine = use_engine(row)
    stored = engine()
    await stored.aset("color", "red")
    await stored.asave()
    for key in (stored.session_key, None):
        scope: Any = ScopeSession()
        scope._wrapped = engine(key)
        await scope.aload()
        assert scope.is_empty() is (key is None)
        assert not scope.modified
        assert scope.get_expire_at_browser_close() is True
        assert scope.get_expiry_age() == 14 * DAY
        assert scope.get("color") == ("red" if key else None)
        scope["size"] = 3
        assert scope.modified
        await scope.asave()
        assert await engine(scope.session_key).aget("size") == 3


@pytest.mark.usefixtures("engine")
def test_reading_a_session_by_its_key(browser: Browser, engine: type[SessionStore], user: User) -> None:
    """A package that logs who did what finds the user by the cookie alone."""
    browser.visit(sign_in(user))
    assert engine(session_key=browser.cookies[ID]).load()["_auth_user_id"] == str(user.pk)
    assert engine(session_key="unknown").load() == {}


@pytest.mark.usefixtures("engine")
def test_key_in_a_column(browser: Browser, user: User) -> None:
    """The key that a package keeps beside its own data, in 40 characters, is the next request's key."""
    browser.visit(sign_in(user))
    kept = browser.visit(lambda request: request.session.session_key).text
    assert kept == browser.cookies[ID]
    assert len(kept) <= 40


@pytest.mark.usefixtures("engine")
def test_saving_in_the_view(browser: Browser) -> None:
    """A view that needs the key at once saves, and its later changes are saved as well."""

    def view(request: Request) -> str:
        request.session["first"] = 1
        request.session.save()
        key = request.session.session_key
        request.session["second"] = 2
        request.typed_session.page_views += 1
        return str(key)

    answer = browser.visit(view)
    assert answer.text == answer.ours[ID]
    shown = browser.visit(lambda request: f"{dict(request.session.items())} {request.typed_session.page_views}")
    assert shown.text == "{'first': 1, 'second': 2} 1"


def test_refused_save_is_logged(browser: Browser, caplog: pytest.LogCaptureFixture) -> None:
    """A change that cannot be stored is a 500 whose log line has the field's path; what was stored stays."""

    def view(request: Request) -> HttpResponse:
        request.typed_session.cart.append("a")  # type: ignore[arg-type]  # what is refused
        return HttpResponse()

    browser.visit(put_in_cart())
    with caplog.at_level(logging.ERROR, "django.request"):
        answer = browser.visit(view)
    assert (answer.status, {name: answer.cookies.get(name) for name in OURS}) == (500, dict.fromkeys(OURS))
    assert "ShopSession.cart[1]" in caplog.text
    assert browser.visit(cart).text == "['a'] a"
    assert browser.visit(status).text == "live -"
