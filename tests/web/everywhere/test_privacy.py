"""What is written to a visitor's device, what of a user can be found, and that all of it can be erased."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest

from tests.checks.findings import run_in_new_process
from tests.engines.rows import rows
from tests.web.browser import ID, OURS, PID, ApiClient, Browser
from tests.web.conftest import PASSWORD, NewBrowser
from tests.web.everywhere.visitors import NewVisitor, is_nobody, is_signed_in, tokens_of
from tests.web.matrix import TRANSACTIONAL, each_engine_once, each_way
from tests.web.signing import Request, async_sign_in, cart, put_in_cart, sign_in, sign_out, status, who
from tests.web.stored import count, raw_records
from typed_sessions import tokens
from typed_sessions.auth import login
from typed_sessions.backends.base import SessionStore
from typed_sessions.live import live_sessions
from typed_sessions.stores.record import GRACE, TOMBSTONE_LIFE
from typed_sessions.testing.engines import Clock, Configure, Verbs

if TYPE_CHECKING:
    from pytest_django import Settings

DAY = 24 * 3600
USER = "X-UAId"

pytestmark = pytest.mark.usefixtures("engine", "clock")

listing = pytest.mark.parametrize(
    ("engine", "handler"), [("db", "wsgi"), ("redis", "asgi"), ("cached_db", "wsgi")], indirect=True
)
"""The engines that can list sessions."""


def page(request: Request) -> str:
    return "a page that does not look at the session"


def allow(request: HttpRequest) -> bool:
    return request.COOKIES.get("agreed") == "yes"


def refuse(request: HttpRequest) -> bool:
    return False


async def refuse_asynchronously(request: HttpRequest) -> bool:
    return False


def ask_the_session(request: Request) -> bool:
    return "agreed" in request.typed_session.visited


def ask_the_user(request: HttpRequest) -> bool:
    return request.user.is_authenticated


def ask_the_database(request: HttpRequest) -> bool:
    return User.objects.filter(last_name="Lovelace").exists()


def fail(request: HttpRequest) -> bool:
    raise RuntimeError("consent of mine")


@each_engine_once
def test_s93_nothing_is_written_to_the_device_of_who_only_looks(browser: Browser) -> None:
    """By default a visitor who leaves nothing gets no cookie, and one who does gets the temporary one alone."""
    for view in (page, who, cart, status):
        assert browser.visit(view).ours == {}
    assert browser.visit(put_in_cart()).ours.keys() == {ID}
    assert browser.visit(who).ours == {}


@each_engine_once
@pytest.mark.parametrize("consent", [None, "allow", "refuse", "fail"])
def test_s93_permanent_cookie_only_for_who_asked_to_be_remembered(
    browser: Browser, user: User, configure: Configure, consent: str | None
) -> None:
    """By default the permanent cookie comes with "remember me", whatever CONSENT says, and goes at sign-out."""
    configure(CONSENT=consent and f"{__name__}.{consent}")
    browser.visit(put_in_cart())
    browser.visit(sign_in(user))
    assert PID not in browser.cookies
    browser.visit(sign_out)
    browser.visit(sign_in(user, remember=True))
    assert PID in browser.cookies
    assert is_signed_in(browser)
    browser.visit(sign_in(user))
    assert PID not in browser.cookies
    browser.visit(sign_out)
    assert not browser.cookies.keys() & set(OURS)


@each_engine_once
def test_s93_always(browser: Browser, engine: type[SessionStore], configure: Configure, verbs: Verbs) -> None:
    """With PERMANENT_ID="always" every browser is given an id to recognise it by, once; it opens nothing, is kept
    nowhere, and costs no access to the store.
    """
    configure(PERMANENT_ID="always")
    answer = browser.visit(page)
    assert answer.ours.keys() == {PID}
    assert answer.cookies[PID]["max-age"] == str(28 * DAY)
    assert answer["Cache-Control"] == "private, no-store"
    assert browser.visit(page).ours == {}
    for option in ("temp", "perm"):
        assert browser.copy(ss_opt=option).visit(status).text == "fresh -"
    assert verbs.take() == []
    assert count(engine) == 0


@each_engine_once
@pytest.mark.parametrize("remember", [False, True])
def test_s93_consent(
    browser: Browser, user: User, configure: Configure, remember: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the visitor's consent nobody is given a permanent id or the user's cookie, and all else works the same.

    A CONSENT that raises is logged, and is none.
    """
    for name in ("refuse", "fail", "allow"):
        configure(PERMANENT_ID="always", USER_COOKIE=True, CONSENT=f"{__name__}.{name}")
        visitor = Browser(browser.ask)
        assert visitor.visit(page).ours == {}
        assert visitor.visit(put_in_cart()).ours.keys() == {ID}
        visitor.visit(sign_in(user, remember))
        assert (PID in visitor.cookies) is remember
        assert USER not in visitor.cookies
        assert is_signed_in(visitor)
        assert visitor.visit(cart).text == "['a'] a"
        visitor.visit(sign_out)
        assert not visitor.cookies.keys() & set(OURS)
    assert "consent of mine" in caplog.text
    agreed = browser.copy(agreed="yes")
    assert agreed.visit(page).ours.keys() == {PID}
    agreed.visit(sign_in(user, remember))
    assert agreed.cookies[USER] == str(user.pk)
    assert PID in agreed.cookies


@each_engine_once
def test_s93_consent_that_is_a_coroutine(browser: Browser, user: User, configure: Configure) -> None:
    """A CONSENT that is async is awaited, or is none; that it answers at all is no consent."""
    configure(PERMANENT_ID="always", USER_COOKIE=True, CONSENT=f"{__name__}.refuse_asynchronously")
    assert browser.visit(page).ours == {}
    assert not browser.visit(sign_in(user)).cookies.keys() & {PID, USER}


@TRANSACTIONAL
@pytest.mark.parametrize("consent", ["ask_the_session", "ask_the_user", "ask_the_database"])
@pytest.mark.parametrize("engine", rows("db", "redis"), indirect=True)
def test_s93_consent_asks_where_it_is_kept(
    browser: Browser, user: User, configure: Configure, consent: str, caplog: pytest.LogCaptureFixture
) -> None:
    """CONSENT may ask the session, the user and the database, on sync and on async servers, on every page."""

    def agree(request: Request) -> None:
        request.typed_session.visited.add("agreed")
        login(request, user)

    browser.visit(agree)
    configure(PERMANENT_ID="always", USER_COOKIE=True, CONSENT=f"{__name__}.{consent}")
    assert browser.visit(page).ours.keys() == {PID}
    browser.visit(sign_in(user))
    assert browser.cookies[USER] == str(user.pk)
    assert "no consent" not in caplog.text


@each_engine_once
def test_s93_consent_that_is_taken_back(browser: Browser, user: User, configure: Configure) -> None:
    """Who agrees no more, and signs in again, is not told the old id or the user's key once more."""
    configure(PERMANENT_ID="always", USER_COOKIE=True, CONSENT=f"{__name__}.allow")
    agreed = browser.copy(agreed="yes")
    agreed.visit(sign_in(user))
    assert {PID, USER} <= agreed.cookies.keys()
    agreed.cookies["agreed"] = "no"
    agreed.visit(sign_in(user))
    assert not {PID, USER} & agreed.cookies.keys()
    assert is_signed_in(agreed)


@each_engine_once
def test_s93_headers_are_no_device(new_browser: NewBrowser, user: User, configure: Configure) -> None:
    """A client that sends headers is given no permanent id that it has not asked for."""
    configure(PERMANENT_ID="always", USER_COOKIE=True, HEADERS=["/"])
    client = ApiClient(new_browser().ask)
    for view in (page, put_in_cart(), sign_in(user)):
        answer = client.visit(view)
        assert not answer.cookies.keys() & {*OURS, USER}
        assert "X-ss-pid" not in answer.told


@each_engine_once
@pytest.mark.parametrize("remember", [False, True])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_s95_id_of_a_visitor_is_no_credential(
    browser: Browser,
    engine: type[SessionStore],
    user: User,
    configure: Configure,
    remember: bool,
    asynchronous: bool,
) -> None:
    """What an anonymous browser was recognised by never opens the session of whoever signs in with it later."""
    configure(PERMANENT_ID="always")
    browser.visit(page)
    browser.visit(put_in_cart())
    before = browser.copy()
    browser.visit((async_sign_in if asynchronous else sign_in)(user, remember))
    assert is_signed_in(browser)
    assert not set(before.cookies.values()) & {browser.cookies[ID], browser.cookies.get(PID)}
    for option in ("temp", "perm"):
        assert is_nobody(before.copy(ss_opt=option))
    assert not engine().exists(before.cookies[PID])
    signed_in = browser.copy()
    browser.visit(sign_out)
    browser.visit(page)
    assert browser.cookies[PID] not in signed_in.cookies.values()


@each_engine_once
def test_s95_each_visitor_has_an_id_of_its_own(browser: Browser, configure: Configure) -> None:
    """No two browsers are given the same id, and none is given one that it, or another, has sent."""
    configure(PERMANENT_ID="always")
    seen = set()
    for planted in (None, "junk", "a" * 40):
        visitor = Browser(browser.ask, {PID: planted} if planted else {})
        visitor.visit(put_in_cart())
        seen |= tokens_of(visitor) - {planted}
    assert len(seen) >= 4


# Erasing, listing, retaining


def erase_by_hand(user: User) -> None:
    user.delete()


def erase_by_queryset(user: User) -> None:
    User.objects.filter(pk=user.pk).delete()


@TRANSACTIONAL
@pytest.mark.parametrize("erase", [erase_by_hand, erase_by_queryset])
@pytest.mark.parametrize("transport", ["cookie", "header"], indirect=True)
@listing
def test_s94_erasing_a_user_erases_the_sessions(
    new_visitor: NewVisitor, engine: type[SessionStore], user: User, other_user: User, clock: Clock, erase: Any
) -> None:
    """When a user is deleted, nothing of what a session held of them is left, neither record nor index."""
    expect_erased(new_visitor, engine, user, other_user, clock, lambda: erase(user))


@TRANSACTIONAL
@pytest.mark.parametrize("transport", ["cookie"], indirect=True)
@listing
def test_s94_erasing_in_the_admin(
    new_visitor: NewVisitor, engine: type[SessionStore], user: User, other_user: User, clock: Clock
) -> None:
    """Deleting a user in Django's admin erases as well."""
    User.objects.filter(pk=other_user.pk).update(is_staff=True, is_superuser=True)
    staff = new_visitor()

    def erase() -> None:
        staff.get("/admin/login/")
        staff.post("/admin/login/?next=/admin/", username="grace", password=PASSWORD)
        assert staff.post(f"/admin/auth/user/{user.pk}/delete/", post="yes").status == 302
        staff.visit(sign_out)

    expect_erased(new_visitor, engine, user, other_user, clock, erase)


_BY_A_PROXY = """
from tests.web.everywhere.proxies.models import Customer
from typed_sessions import live_sessions
from typed_sessions.auth import login
from django.contrib.auth.models import User
from django.http import HttpRequest
from typed_sessions.backends.db import SessionStore
call_command("migrate", run_syncdb=True, verbosity=0)
def switch_off(user):
    customer = Customer.objects.get(pk=user.pk)
    customer.is_active = False
    customer.save()
told = []
for name, erase in (
    ("deleted", lambda user: Customer.objects.get(pk=user.pk).delete()),
    ("deleted as many", lambda user: Customer.objects.filter(pk=user.pk).delete()),
    ("switched off", switch_off),
):
    user = User.objects.create_user(name)
    request = HttpRequest()
    request.session = SessionStore()
    login(request, user)
    request.session.save()
    key = user.pk
    before = live_sessions.count_for(key)
    erase(user)
    told.append((name, before, live_sessions.count_for(key)))
print(told)
"""


@pytest.mark.parametrize("engine", rows("db"), indirect=True)
def test_s94_erasing_by_a_proxy() -> None:
    """Projects that manage their users by a proxy of the user model erase as well."""
    before = """
settings.INSTALLED_APPS.append("tests.web.everywhere.proxies")
settings.MIGRATION_MODULES = {name.rpartition(".")[2]: None for name in settings.INSTALLED_APPS}
"""
    said = run_in_new_process(before=before, after=_BY_A_PROXY)
    assert said == "[('deleted', 1, 0), ('deleted as many', 1, 0), ('switched off', 1, 0)]\n"


def expect_erased(
    new_visitor: NewVisitor, engine: type[SessionStore], user: User, other_user: User, clock: Clock, erase: Any
) -> None:
    key, store = str(user.pk), engine().store
    sessions, other = [new_visitor(), new_visitor(), new_visitor()], new_visitor()
    for visitor, remember in zip(sessions, (False, True, True), strict=True):
        visitor.visit(sign_in(user, remember))
        visitor.visit(put_in_cart("canary"))
    other.visit(sign_in(other_user))
    assert len(store.of_user(key, clock.now)) == live_sessions.count_for(user) == 3
    erase()
    assert list(store.of_user(key, clock.now)) == []
    assert live_sessions.count_for(key) == 0
    stored = str(raw_records(engine))
    assert not any(text in stored for text in ("canary", "Lovelace", "ada@example.com"))
    assert list(store.newest(clock.now, 10)) == [tokens.digest(other.token)]
    assert all(is_nobody(visitor) for visitor in sessions)
    assert is_signed_in(other, "grace")


@each_way
def test_s94_the_cache_engine_erases_at_the_next_request(
    new_visitor: NewVisitor, engine: type[SessionStore], user: User, clock: Clock
) -> None:
    """Also where sessions cannot be listed: the first request after the deletion finds out, and the record goes."""
    visitor = new_visitor()
    visitor.visit(sign_in(user, remember=True))
    visitor.visit(put_in_cart("canary"))
    user.delete()
    visitor.visit(lambda request: request.user.is_authenticated)
    assert count(engine) == 0
    assert not any(text in str(raw_records(engine)) for text in ("canary", "Lovelace", "ada@example.com"))


@pytest.mark.parametrize("transport", ["cookie", "header"], indirect=True)
@listing
def test_s94_everything_of_a_user_can_be_listed(new_visitor: NewVisitor, user: User, other_user: User) -> None:
    """For an answer to a user who asks: every session that is stored of them, with all that it holds."""
    visitors = [new_visitor(), new_visitor()]
    for number, visitor in enumerate(visitors):
        visitor.visit(put_in_cart(f"sku{number}"))
        visitor.visit(sign_in(user, remember=bool(number)))
    new_visitor().visit(sign_in(other_user))
    listed = live_sessions.for_user(user)
    assert {session.id for session in listed} == {tokens.digest(visitor.token) for visitor in visitors}
    assert {line.sku for session in listed for line in session.cart} == {"sku0", "sku1"}
    assert {session.email for session in listed} == {"ada@example.com"}
    assert all(session.client_info is not None and session.created_at is not None for session in listed)


@pytest.mark.parametrize("engine", rows("cache"), indirect=True)
def test_s94_cache_says_that_it_cannot_list(user: User) -> None:
    """On an engine that cannot list, asking for a user's sessions is an error that says so, and no empty answer."""
    for ask in (live_sessions.for_user, live_sessions.count_for, live_sessions.end_for_user):
        with pytest.raises(NotImplementedError, match="cannot list"):
            ask(user)


@TRANSACTIONAL
@pytest.mark.parametrize("transport", ["cookie"], indirect=True)
@pytest.mark.parametrize(("engine", "handler"), [("db", "wsgi"), ("cached_db", "wsgi")], indirect=True)
def test_s94_nothing_is_retained_beyond_its_time(
    new_visitor: NewVisitor, engine: type[SessionStore], user: User, clock: Clock, settings: Settings
) -> None:
    """What expired, and what is remembered of sessions that ended, goes with `clearsessions` when its time is over."""
    for remember in (False, True):
        new_visitor().visit(sign_in(user, remember))
    gone = new_visitor()
    gone.visit(sign_in(user))
    gone.visit(sign_out)
    clock.advance(28 * DAY + GRACE + TOMBSTONE_LIFE + int(timedelta(minutes=1).total_seconds()))
    engine.clear_expired()
    assert raw_records(engine) == []


@pytest.mark.parametrize("transport", ["cookie", "header"], indirect=True)
@pytest.mark.parametrize(("engine", "handler"), [("redis", "wsgi"), ("cache", "wsgi")], indirect=True)
def test_s94_nothing_is_retained_for_ever(new_visitor: NewVisitor, engine: type[SessionStore], user: User) -> None:
    """What a cache or Redis holds of sessions has a time to live, so that it goes even if nobody clears it."""
    for remember in (False, True):
        visitor = new_visitor()
        visitor.visit(put_in_cart())
        visitor.visit(sign_in(user, remember))
    visitor.visit(sign_out)
    assert all(seconds > 0 for seconds in times_to_live())


def times_to_live() -> list[float]:
    """Seconds that each key of the sessions' cache has; -1 for one that stays for ever."""
    import time

    from django.conf import settings
    from django.core.cache import caches
    from django_redis import get_redis_connection

    if settings.SESSION_CACHE_ALIAS == "locmem":
        ends: dict[str, float | None] = caches["locmem"]._expire_info  # type: ignore[attr-defined]
        return [-1 if end is None else end - time.time() for end in ends.values()]
    client = get_redis_connection(settings.SESSION_CACHE_ALIAS)
    return [client.ttl(key) for key in client.keys("*")]
