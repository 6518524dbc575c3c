"""When a session is over it is over: after sign-out, after its time, after a new password, and with its account."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib import auth
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, transaction
from rest_framework.request import Request as RestRequest
from rest_framework.response import Response
from rest_framework.views import APIView

from tests import settings as configured
from tests.engines.rows import rows
from tests.web.browser import OURS, ApiClient, Browser
from tests.web.conftest import PASSWORD, NewBrowser
from tests.web.everywhere.visitors import NewVisitor, Visitor, tokens_of, with_token
from tests.web.matrix import TRANSACTIONAL, each_engine_once, each_way
from tests.web.signing import Request, put_in_cart, sign_in, sign_out, state, status
from tests.web.stored import count, raw_records
from tests.web.urls import View, address
from typed_sessions import EndReason, tokens
from typed_sessions.backends import cache, db
from typed_sessions.backends.base import SessionStore
from typed_sessions.live import live_sessions
from typed_sessions.stores.record import Tombstone
from typed_sessions.testing.engines import Clock, Configure

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

DAY = 24 * 3600
NEW = "an even better one"
AGE = 60
"""Seconds, where users are kept in sessions."""

pytestmark = pytest.mark.usefixtures("engine", "clock")


def me(request: Request) -> str:
    """Who the user of the request is, and who the session says."""
    return f"{request.user.get_username() or 'anonymous'} {state(request)}"


async def async_me(request: Request) -> str:
    user = await request.auser()
    return f"{user.get_username() or 'anonymous'} {state(request)}"


@pytest.fixture
def asks(handler: str, engine: type[SessionStore]) -> View:
    """The view of a handler's own kind; with Redis in use, of the other kind."""
    is_own_kind = engine in (db.SessionStore, cache.SessionStore)
    return async_me if (handler == "asgi") is is_own_kind else me


def is_in(visitor: Visitor, asks: View, name: str = "ada") -> bool:
    return visitor.visit(asks).text.startswith(f"{name} {name} ")


def is_out(visitor: Visitor, asks: View) -> bool:
    """A browser is nobody's; a client by header is refused."""
    answer = visitor.visit(asks)
    return answer.status == 401 if isinstance(visitor, ApiClient) else answer.text == "anonymous anonymous None"


def is_thrown_out(visitor: Visitor, asks: View) -> bool:
    """The same, and the browser has let go of our cookies."""
    return is_out(visitor, asks) and not (isinstance(visitor, Browser) and visitor.cookies.keys() & set(OURS))


def reason_of(engine: type[SessionStore], token: str) -> EndReason | None:
    """Why the session of the token ended, by what is left of it in the store; nothing if it lives or never did."""
    found = engine().store.load(tokens.digest(token))
    return found.reason if isinstance(found, Tombstone) else None


# Replay


def end_by_sign_out(visitor: Visitor, user: User, clock: Clock) -> None:
    visitor.visit(sign_out)


def end_by_idle_time(visitor: Visitor, user: User, clock: Clock) -> None:
    clock.advance(28 * DAY)


def end_by_absolute_time(visitor: Visitor, user: User, clock: Clock) -> None:
    for _ in range(9):
        clock.advance(10 * DAY)
        visitor.visit(status)


def end_one(visitor: Visitor, user: User, clock: Clock) -> None:
    assert live_sessions.end(tokens.digest(visitor.token))


def end_all(visitor: Visitor, user: User, clock: Clock) -> None:
    if live_sessions.can_list:
        assert live_sessions.end_for_user(user) == 1
    else:
        live_sessions.end(tokens.digest(visitor.token))


def end_by_new_password(visitor: Visitor, user: User, clock: Clock) -> None:
    user.set_password(NEW)
    user.save()


def end_by_switching_off(visitor: Visitor, user: User, clock: Clock) -> None:
    user.is_active = False
    user.save()


def end_by_deletion(visitor: Visitor, user: User, clock: Clock) -> None:
    user.delete()


ENDS = [
    end_by_sign_out,
    end_by_idle_time,
    end_by_absolute_time,
    end_one,
    end_all,
    end_by_new_password,
    end_by_switching_off,
    end_by_deletion,
]


@each_way
@pytest.mark.parametrize("end", ENDS)
def test_s57_no_token_is_good_again(
    new_visitor: NewVisitor,
    user: User,
    clock: Clock,
    configure: Configure,
    asks: View,
    end: Callable[[Visitor, User, Clock], None],
) -> None:
    """However a session ended, no token that it ever had opens anything, by cookie or by header, now or later."""
    visitor, seen = new_visitor(), set()
    for view in (put_in_cart(), sign_in(user), sign_in(user, remember=True)):
        visitor.visit(view)
        seen |= tokens_of(visitor)
    assert is_in(visitor, asks)
    last = visitor.token
    end(visitor, user, clock)
    configure(HEADERS=["/"])
    for token in seen:
        for mode in ("temp", "perm"):
            assert is_out(with_token(Browser(visitor.ask), token, mode), asks)
            assert is_out(with_token(ApiClient(visitor.ask), token, mode), asks)
    clock.advance(DAY)
    assert is_out(with_token(Browser(visitor.ask), last, "perm"), asks)


_NODE = """
import json, sys
import django
from django.conf import settings
told = json.loads(sys.argv[1])
for name, value in told["settings"].items():
    setattr(settings, name, value)
settings.ALLOWED_HOSTS = ["*"]
django.setup()
from typed_sessions import clock
clock.now = lambda: told["now"]
from tests.web.browser import ApiClient, Browser, Wsgi
from tests.web.everywhere.visitors import with_token
from tests.web.everywhere.test_revocation import me
settings.ROOT_URLCONF = "tests.web.urls"
site = Wsgi()
for token, mode in told["tokens"]:
    for client in (Browser(site), ApiClient(site)):
        answer = with_token(client, token, mode).visit(me)
        print(answer.status, answer.text.partition(" ")[0])
"""


def on_another_node(shown: list[tuple[str, str]], clock: Clock) -> list[str]:
    """What another process of the same site answers to these tokens, by cookie and then by header."""
    names = ("SESSION_ENGINE", "SESSION_CACHE_ALIAS", "TYPED_SESSIONS", "SECRET_KEY")
    told = {"settings": {name: getattr(settings, name) for name in names}, "tokens": shown, "now": clock.now}
    done = subprocess.run(
        [sys.executable, "-c", _NODE, json.dumps(told)],
        cwd=Path(__file__).resolve().parents[3],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "TYPED_SESSIONS_RUN_DIR": str(configured.RUN_DIR),
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@TRANSACTIONAL
@pytest.mark.parametrize("handler", ["wsgi"], indirect=True)
@pytest.mark.parametrize("transport", ["cookie"], indirect=True)
@pytest.mark.parametrize("engine", rows("db", "redis", "cached_db"), indirect=True)
def test_s57_nor_on_another_node(
    new_visitor: NewVisitor, new_browser: NewBrowser, user: User, clock: Clock, configure: Configure
) -> None:
    """A session that has ended here is over in every other process of the site; one that lives is known there."""
    configure(HEADERS=["/"])
    living, leaving, thrown_out = new_visitor(), new_visitor(), new_visitor()
    shown: list[tuple[str, str]] = []
    for visitor in (living, leaving, thrown_out):
        visitor.visit(sign_in(user, remember=True))
        shown.append((visitor.token, "perm"))
    leaving.visit(sign_out)
    live_sessions.end(tokens.digest(thrown_out.token))
    assert on_another_node(shown, clock) == ["200 ada"] * 2 + ["200 anonymous", '401 {"detail":'] * 2


# A new password


def change_by_form(visitor: Visitor, user: User) -> None:
    visitor.get("/accounts/password_change/")
    form = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    assert visitor.post("/accounts/password_change/", **form).status == 302


def change_in_the_admin(visitor: Visitor, user: User) -> None:
    """By a user who may, of their own account."""
    page = f"/admin/auth/user/{user.pk}/password/"
    visitor.get(page)
    form = {"password1": NEW, "password2": NEW, "usable_password": "true"}
    assert visitor.post(page, **form).status == 302


class Account(APIView):
    """A project's own API, where people change their password."""

    def patch(self, request: RestRequest) -> Response:
        user = User.objects.get(username=request.user.get_username())
        user.set_password(NEW)
        user.save()
        auth.update_session_auth_hash(request, user)
        return Response({"changed": True})


def change_by_api(visitor: Visitor, user: User) -> None:
    view = Account.as_view()
    path = address(lambda request: view(request).render())
    answer = visitor.keep(visitor.ask("PATCH", path, "", visitor.headers(X_CSRFToken=csrf_of(visitor))))
    assert (answer.status, answer.text) == (200, '{"changed":true}')


def csrf_of(visitor: Visitor) -> str:
    return visitor.cookies["csrftoken"] if isinstance(visitor, Browser) else ""


def change_in_a_view(visitor: Visitor, user: User) -> None:
    def view(request: Request) -> None:
        assert request.user == user  # who is asked for before the password is another, as Django has it
        user.set_password(NEW)
        user.save()
        auth.update_session_auth_hash(request, user)

    visitor.visit(view)


def change_in_an_async_view(visitor: Visitor, user: User) -> None:
    async def view(request: Request) -> None:
        assert await request.auser() == await sync_to_async(lambda: request.user == user and user)()
        user.set_password(NEW)
        await user.asave()
        await auth.aupdate_session_auth_hash(request, user)

    visitor.visit(view)


HERE: list[Callable[[Visitor, User], None]] = [
    change_by_form,
    change_in_the_admin,
    change_by_api,
    change_in_a_view,
    change_in_an_async_view,
]
"""In a session that is told of it, and stays."""


def change_by_command(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getpass", lambda prompt: NEW)  # who sits at the terminal
    call_command("changepassword", "ada")


def change_by_saving(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    user.set_password(NEW)
    user.save()


def change_by_update(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    User.objects.filter(pk=user.pk).update(password=make_password(NEW))


def change_by_sql(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE auth_user SET password = %s WHERE id = %s", [make_password(NEW), user.pk])


ELSEWHERE: list[Callable[[User, pytest.MonkeyPatch], None]] = [
    change_by_command,
    change_by_saving,
    change_by_update,
    change_by_sql,
]
"""Where no session is told of it."""


@each_way
@pytest.mark.parametrize("change", HERE)
def test_s58_new_password_in_a_session(
    new_visitor: NewVisitor,
    engine: type[SessionStore],
    user: User,
    other_user: User,
    asks: View,
    change: Callable[[Visitor, User], None],
) -> None:
    """Who changes the password stays signed in, the same way and under a new token; the user's other sessions end."""
    User.objects.filter(pk=user.pk).update(is_staff=True, is_superuser=True)
    here, there, remembered, others = (new_visitor() for _ in range(4))
    here.visit(sign_in(user, remember=True))
    there.visit(sign_in(user))
    remembered.visit(sign_in(user, remember=True))
    others.visit(sign_in(other_user))
    here.visit(put_in_cart())
    before, there_before = here.copy(), there.copy()
    change(here, user)
    assert is_in(here, asks)
    assert here.token != before.token
    assert here.visit(lambda request: request.typed_session.mode.value).text == "perm"
    assert here.visit(lambda request: len(request.typed_session.cart)).text == "1"
    for visitor in (there, remembered):
        token = visitor.token
        assert is_thrown_out(visitor, asks)
        assert reason_of(engine, token) is EndReason.PASSWORD_CHANGED
    assert is_out(before, asks)
    assert reason_of(engine, before.token if isinstance(before, ApiClient) else "") in (EndReason.ROTATED, None)
    assert is_out(there_before, asks)
    assert is_in(others, asks, "grace")
    assert count(engine) == 2


@each_way
@pytest.mark.parametrize("change", ELSEWHERE)
def test_s58_new_password_past_every_session(
    new_visitor: NewVisitor,
    engine: type[SessionStore],
    user: User,
    other_user: User,
    asks: View,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[User, pytest.MonkeyPatch], None],
) -> None:
    """A password that is changed past every session, by whatever path, ends all of the user's at their next request."""
    sessions, others = [new_visitor(), new_visitor()], new_visitor()
    for visitor, remember in zip(sessions, (True, False), strict=True):
        visitor.visit(sign_in(user, remember))
    others.visit(sign_in(other_user))
    change(user, monkeypatch)
    for visitor in sessions:
        token = visitor.token
        assert is_thrown_out(visitor, asks)
        assert reason_of(engine, token) is EndReason.PASSWORD_CHANGED
    assert is_in(others, asks, "grace")
    assert count(engine) == 1
    assert User.objects.get(pk=user.pk).check_password(NEW)


@each_engine_once
@pytest.mark.parametrize("transport", ["cookie"], indirect=True)
def test_s58_the_browser_is_told_why(new_visitor: NewVisitor, user: User, asks: View) -> None:
    """In the request that finds out, and for the old token after it, the page can say that the password was changed."""
    visitor = new_visitor()
    visitor.visit(sign_in(user))
    before = visitor.copy()
    user.set_password(NEW)
    user.save()

    def view(request: Request) -> str:
        assert request.user.is_anonymous
        return status(request)

    assert visitor.visit(view).text == "ended password_changed"
    assert before.visit(status).text == "ended password_changed"


@each_way
def test_s58_snapshot_is_over_in_time(
    new_visitor: NewVisitor,
    engine: type[SessionStore],
    user: User,
    clock: Clock,
    configure: Configure,
    asks: View,
    django_assert_num_queries: DjangoAssertNumQueries,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With USER_SNAPSHOT_AGE a new password is noticed at the latest after that many seconds, on every path."""
    configure(USER_SNAPSHOT_AGE=AGE)
    for change in ELSEWHERE:
        visitor = new_visitor()
        user.set_password(PASSWORD)
        user.save()
        visitor.visit(sign_in(user))
        token = visitor.token
        clock.advance(AGE - 1)
        change(user, monkeypatch)
        assert is_in(visitor, asks)  # which is what was asked for
        clock.advance(1)
        assert is_thrown_out(visitor, asks)
        assert reason_of(engine, token) is EndReason.PASSWORD_CHANGED


@each_way
def test_s58_s59_no_snapshot_for_what_changes_something(
    new_visitor: NewVisitor, user: User, configure: Configure, asks: View
) -> None:
    """With USER_SNAPSHOT_AGE, too, a POST is answered for nobody whose password was changed or account switched off."""
    configure(USER_SNAPSHOT_AGE=AGE)
    for revoke in (switch_off_by_update, lambda user: User.objects.update(password=make_password(NEW))):
        visitor = new_visitor()
        visitor.get("/admin/login/")  # for the token of forms
        visitor.visit(sign_in(user))
        assert is_in(visitor, asks)
        revoke(user)
        assert is_in(visitor, asks)  # which is what was asked for
        answer = visitor.post(address(asks))
        assert answer.status == 401 if isinstance(visitor, ApiClient) else answer.text == "anonymous anonymous None"
        assert is_out(visitor, asks)
        User.objects.update(is_active=True)


@each_way
@pytest.mark.parametrize("change", [change_by_form, change_by_api, change_in_an_async_view])
def test_s58_snapshot_and_this_session(
    new_visitor: NewVisitor,
    user: User,
    clock: Clock,
    configure: Configure,
    asks: View,
    change: Callable[[Visitor, User], None],
) -> None:
    """With USER_SNAPSHOT_AGE, too, the session in which the password is changed stays, and the others end in time."""
    configure(USER_SNAPSHOT_AGE=AGE)
    User.objects.filter(pk=user.pk).update(is_staff=True, is_superuser=True)
    user.refresh_from_db()
    here, there = new_visitor(), new_visitor()
    for visitor in (here, there):
        visitor.visit(sign_in(user))
    change(here, user)
    clock.advance(AGE)
    assert is_in(here, asks)
    assert is_out(there, asks)
    clock.advance(AGE)
    assert is_in(here, asks)


# Accounts that are no good any more


def switch_off_by_saving(user: User) -> None:
    user.is_active = False
    user.save()


def switch_off_by_update(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def switch_off_by_bulk_update(user: User) -> None:
    user.is_active = False
    User.objects.bulk_update([user], ["is_active"])


def switch_off_by_sql(user: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE auth_user SET is_active = %s WHERE id = %s", [False, user.pk])


def delete(user: User) -> None:
    user.delete()


def delete_by_queryset(user: User) -> None:
    User.objects.filter(pk=user.pk).delete()


def delete_by_sql(user: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM auth_user WHERE id = %s", [user.pk])


ACCOUNT_GOES = [
    switch_off_by_saving,
    switch_off_by_update,
    switch_off_by_bulk_update,
    switch_off_by_sql,
    delete,
    delete_by_queryset,
    delete_by_sql,
]
AT_ONCE = [switch_off_by_saving, delete, delete_by_queryset]


@each_way
@pytest.mark.parametrize("goes", ACCOUNT_GOES)
def test_s59_account_that_is_no_good_any_more(
    new_visitor: NewVisitor,
    engine: type[SessionStore],
    user: User,
    other_user: User,
    asks: View,
    goes: Callable[[User], None],
) -> None:
    """An account is switched off or deleted, by whatever way: from the next request on nobody is in, and records go."""
    sessions, others = [new_visitor(), new_visitor()], new_visitor()
    for visitor, remember in zip(sessions, (True, False), strict=True):
        visitor.visit(sign_in(user, remember))
        visitor.visit(put_in_cart("canary"))
    others.visit(sign_in(other_user))
    goes(user)
    for visitor in sessions:
        token = visitor.token
        assert is_out(visitor, asks) if goes in AT_ONCE else is_thrown_out(visitor, asks)
        assert reason_of(engine, token) is EndReason.USER_INACTIVE
    assert is_in(others, asks, "grace")
    assert count(engine) == 1
    assert "canary" not in str(raw_records(engine))


@TRANSACTIONAL
@pytest.mark.parametrize("goes", AT_ONCE)
@pytest.mark.parametrize("transport", ["cookie"], indirect=True)
@pytest.mark.parametrize(
    ("engine", "handler"), [("db", "wsgi"), ("redis", "asgi"), ("cached_db", "wsgi")], indirect=True
)
def test_s59_records_go_at_once(
    new_visitor: NewVisitor, engine: type[SessionStore], user: User, other_user: User, goes: Callable[[User], None]
) -> None:
    """Where Django tells of it, and the store can list, the sessions end when it is committed, before any request."""
    sessions, others = [new_visitor(), new_visitor()], new_visitor()
    for visitor in sessions:
        visitor.visit(sign_in(user, remember=True))
    others.visit(sign_in(other_user))
    shown = [visitor.token for visitor in sessions]
    with transaction.atomic():
        goes(User.objects.get(pk=user.pk))
        transaction.set_rollback(True)
    assert count(engine) == 3
    with transaction.atomic():
        goes(User.objects.get(pk=user.pk))
        assert count(engine) == 3
    assert count(engine) == 1
    assert {reason_of(engine, token) for token in shown} == {EndReason.USER_INACTIVE}


@each_way
@pytest.mark.parametrize("goes", [switch_off_by_saving, switch_off_by_sql, delete, delete_by_sql])
def test_s59_snapshot_is_over_in_time(
    new_visitor: NewVisitor,
    engine: type[SessionStore],
    user: User,
    clock: Clock,
    configure: Configure,
    asks: View,
    goes: Callable[[User], None],
) -> None:
    """With USER_SNAPSHOT_AGE an account that is no good any more is noticed at the latest after that many seconds."""
    configure(USER_SNAPSHOT_AGE=AGE)
    visitor = new_visitor()
    visitor.visit(sign_in(user, remember=True))
    token = visitor.token
    goes(user)
    clock.advance(AGE)
    assert is_out(visitor, asks) if goes in AT_ONCE else is_thrown_out(visitor, asks)
    assert reason_of(engine, token) is EndReason.USER_INACTIVE


@each_way
def test_s59_nobody_gets_in_by_an_account_that_is_switched_off(new_visitor: NewVisitor, user: User) -> None:
    """Good credentials of an inactive account begin no session."""
    User.objects.update(is_active=False)
    visitor = new_visitor()

    def view(request: Request) -> str:
        return str(auth.authenticate(request, username="ada", password=PASSWORD, remember=True))

    answer = visitor.visit(view)
    assert answer.text == "None"
    assert not answer.ours
    assert not answer.told
    visitor.get("/admin/login/")
    visitor.post("/accounts/login/", username="ada", password=PASSWORD)
    assert visitor.visit(me).text.startswith("anonymous anonymous")


# Users that come from a snapshot


def behind_the_back(user: User) -> None:
    """What others do to the account while a snapshot still shows it as it was."""
    User.objects.filter(pk=user.pk).update(
        first_name="Augusta", email="new@example.com", is_staff=False, is_superuser=False, password=make_password(NEW)
    )


def user_of(request: Request) -> User:
    user = request.user
    assert isinstance(user, User)
    return user


def saves(request: Request) -> None:
    user_of(request).last_name = "Byron"
    user_of(request).save()


def saves_one_field(request: Request) -> None:
    user_of(request).last_name = "Byron"
    user_of(request).save(update_fields=["last_name"])


async def saves_asynchronously(request: Request) -> None:
    user: Any = await request.auser()
    user.last_name = "Byron"
    await user.asave()


def saves_twice(request: Request) -> None:
    user_of(request).save()
    user_of(request).last_name = "Byron"
    user_of(request).save()


def saves_in_full(request: Request) -> None:
    user = user_of(request)
    user.last_name = "Byron"
    user.save(force_update=True, using="default")


def saves_after_reading_more(request: Request) -> None:
    assert user_of(request).date_joined is not None  # which no snapshot has
    user_of(request).last_name = "Byron"
    user_of(request).save()


@pytest.mark.parametrize(
    "view", [saves, saves_one_field, saves_asynchronously, saves_twice, saves_in_full, saves_after_reading_more]
)
@pytest.mark.parametrize("transport", ["cookie"], indirect=True)
@each_engine_once
def test_s58_s59_s64_snapshot_never_writes_what_is_old(
    new_visitor: NewVisitor, user: User, configure: Configure, view: View
) -> None:
    """Saving the user of a request writes what the view changed, on top of what others have changed meanwhile."""
    configure(USER_SNAPSHOT_AGE=AGE)
    User.objects.filter(pk=user.pk).update(is_staff=True, is_superuser=True)
    user.refresh_from_db()
    visitor = new_visitor()
    visitor.visit(sign_in(user))
    behind_the_back(user)
    assert visitor.visit(view).status == 200
    after = User.objects.get(pk=user.pk)
    assert (after.last_name, after.first_name, after.email) == ("Byron", "Augusta", "new@example.com")
    assert (after.is_staff, after.is_superuser, after.is_active) == (False, False, True)
    assert after.check_password(NEW)


@pytest.mark.parametrize("transport", ["cookie"], indirect=True)
@each_engine_once
def test_copy_of_a_user_from_a_snapshot(new_visitor: NewVisitor, user: User, configure: Configure) -> None:
    """A copy of such a user, made by whatever way, is saved as itself."""
    configure(USER_SNAPSHOT_AGE=AGE)
    visitor = new_visitor()
    visitor.visit(sign_in(user))

    def view(request: Request) -> None:
        shallow = copy.copy(user_of(request))
        shallow.last_name = "Byron"
        shallow.save()
        deep = copy.deepcopy(user_of(request))
        deep.first_name = "Augusta"
        deep.save()
        pickled = pickle.loads(pickle.dumps(user_of(request)))
        pickled.email = "new@example.com"
        pickled.save()

    assert visitor.visit(view).status == 200
    after = User.objects.get(pk=user.pk)
    assert (after.last_name, after.first_name, after.email) == ("Byron", "Augusta", "new@example.com")
