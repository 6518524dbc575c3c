"""Requests that went wrong once, where options of views, errors and other requests came together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.models import User
from django.core.exceptions import SynchronousOnlyOperation
from django.http import HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.views import View as ViewClass
from django.views.decorators.csrf import csrf_exempt

from tests.sessions import CartLine
from tests.web.browser import Browser
from tests.web.conftest import NewBrowser
from tests.web.options.conftest import Look, Meanwhile, TakeTurn
from tests.web.signing import cart, put_in_cart, sign_in, who, write_to
from tests.web.urls import View
from typed_sessions import EndReason, tokens
from typed_sessions.auth import alogin, login
from typed_sessions.backends.base import SessionStore
from typed_sessions.decorators import session_disabled, session_exclusive, session_readonly
from typed_sessions.exceptions import SessionConflict, SessionLeaseLost
from typed_sessions.models import StoredSession
from typed_sessions.stores.record import LONGEST_LEASE
from typed_sessions.testing.engines import Clock, Configure, Verbs

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.usefixtures("engine", "clock")

DAY = 86_400
at_once = session_exclusive(wait=0)


def currency(request: Any) -> str:
    return str(request.typed_session.currency)


to_dollars = write_to("currency", "USD")


@pytest.fixture
def visitor(clock: Clock, browser: Browser) -> Browser:
    browser.visit(put_in_cart("tea"))
    return browser


# What stands around what


def stacked(option: Any) -> View:
    @method_decorator([option, csrf_exempt], name="dispatch")
    class Page(ViewClass):
        async def get(self, request: Any) -> HttpResponse:
            return HttpResponse(str(await request.body_of_the_view(request)))

    return Page.as_view()


def stacked_the_other_way(option: Any) -> View:
    @method_decorator([csrf_exempt, option], name="dispatch")
    class Page(ViewClass):
        async def get(self, request: Any) -> HttpResponse:
            return HttpResponse(str(await request.body_of_the_view(request)))

    return Page.as_view()


def below_a_plain_decorator(option: Any) -> View:
    """The decorator does not say that what it wraps is async."""

    def plain(view: View) -> View:
        return wraps(view)(lambda request: view(request))

    @option  # type: ignore[untyped-decorator]
    @plain
    async def page(request: Any) -> Any:
        return HttpResponse(str(await request.body_of_the_view(request)))

    return page  # type: ignore[no-any-return]


async def finished(answer: Awaitable[Any]) -> Any:
    return await answer


@pytest.mark.parametrize("make", [stacked, stacked_the_other_way, below_a_plain_decorator])
def test_async_view_below_other_decorators(visitor: Browser, meanwhile: Meanwhile, record_of: Look, make: Any) -> None:
    """An option lasts as long as the async view does, however many decorators are between them."""
    exclusive, read_only = make(session_exclusive), make(session_readonly)

    async def turn(request: Any) -> int:
        (await request.session.aget_typed_session()).currency = "USD"
        return (await sync_to_async(meanwhile(visitor).visit)(at_once(currency))).status

    async def change(request: Any) -> None:
        (await request.session.aget_typed_session()).currency = "GBP"

    def called_by_django(view: View, body: Any) -> View:
        def handler(request: Any) -> Any:
            request.body_of_the_view = body
            return async_to_sync(finished)(view(request))

        return handler

    assert visitor.visit(called_by_django(exclusive, turn)).text == "503"
    assert record_of(visitor).lease is None
    assert visitor.visit(called_by_django(read_only, change)).status == 500
    assert visitor.visit(at_once(currency)).text == "USD"


def test_turn_within_what_is_read_only(visitor: Browser, meanwhile: Meanwhile) -> None:
    """What others saved before the turn is no change, and a nested change beside it is still one, and undone."""

    def view(request: Any) -> str:
        cart(request)
        with session_readonly(request):
            meanwhile(visitor).visit(put_in_cart("cup"))
            with session_exclusive(request):
                if "change" in request.GET:
                    request.typed_session.cart.append(CartLine("mine"))
        return cart(request)

    assert visitor.visit(view).text == "['tea', 'cup'] cup"
    assert visitor.visit(view, "change").status == 500
    assert visitor.visit(cart).text == "['tea', 'cup', 'cup'] cup"


@pytest.mark.parametrize(("engine", "handler"), [("redis", "asgi")], indirect=True)
def test_plain_with_in_async_code(visitor: Browser, record_of: Look) -> None:
    """`with` would hold up the event loop while it waits for what runs there: it says so, on every engine."""

    async def view(request: Any) -> str:
        with pytest.raises(SynchronousOnlyOperation, match="async with"), session_exclusive(request):
            raise AssertionError
        async with session_exclusive(request):
            return currency(request)

    assert visitor.visit(view).text == "EUR"
    assert record_of(visitor).lease is None


# Responses that are rendered later, or not at all


def test_page_without_a_template(visitor: Browser, record_of: Look) -> None:
    """A turn whose page cannot be rendered is a 500, and nothing of it is saved."""

    @session_exclusive
    def view(request: Any) -> TemplateResponse:
        to_dollars(request)
        return TemplateResponse(request, "there is none.html")

    assert visitor.visit(view).status == 500
    assert visitor.visit(currency).text == "EUR"
    assert record_of(visitor).lease is None


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("code", [200, 500])
def test_page_that_nobody_renders(visitor: Browser, record_of: Look, is_async: bool, code: int) -> None:
    """Who takes from a template response what it needs, and answers by itself, ends the turn with that answer."""

    @session_exclusive
    def page(request: Any) -> TemplateResponse:
        to_dollars(request)
        return TemplateResponse(request, "there is none.html", {"sum": 5})

    @session_exclusive
    async def apage(request: Any) -> TemplateResponse:
        (await request.session.aget_typed_session()).currency = "USD"
        return TemplateResponse(request, "there is none.html", {"sum": 5})

    def view(request: Any) -> JsonResponse:
        return JsonResponse(page(request).context_data, status=code)

    async def aview(request: Any) -> JsonResponse:
        return JsonResponse((await apage(request)).context_data, status=code)

    answer = visitor.visit(aview if is_async else view)
    assert (answer.status, answer.text) == (code, '{"sum": 5}')
    assert visitor.visit(currency).text == ("USD" if code == 200 else "EUR")
    assert record_of(visitor).lease is None


def test_disabled_page_without_a_template(new_browser: NewBrowser, settings: Settings) -> None:
    """The error page may ask for the session, as it does where that has the CSRF token."""
    settings.CSRF_USE_SESSIONS = True

    @session_disabled
    def view(request: Any) -> TemplateResponse:
        return TemplateResponse(request, "there is none.html")

    assert new_browser().visit(view).status == 500


# What the client is told


def by_a_save(request: Any, user: User) -> None:
    login(request, user)
    request.session.save()


def by_a_turn(request: Any, user: User) -> None:
    with session_exclusive(request):
        login(request, user)


@pytest.mark.parametrize("store", [by_a_save, by_a_turn])
def test_new_token_before_an_error(visitor: Browser, user: User, store: Callable[[Any, User], None]) -> None:
    """A token that the view has stored is told, also if what it did then cannot be saved."""

    def view(request: Any) -> None:
        store(request, user)
        request.typed_session.cart = 5

    token = visitor.token
    assert visitor.visit(view).status == 500
    assert visitor.token != token
    assert visitor.visit(who).text.startswith("ada ada ")


def test_new_token_before_a_conflict(visitor: Browser, user: User, configure: Configure) -> None:
    """Likewise where the end of the request is a 409, and in async code."""
    configure(SESSION_CLASS="typed_sessions.testing.engines.ContractSession")

    async def view(request: Any) -> None:
        await alogin(request, user)
        await request.session.asave()
        request.typed_session.note = "mine"
        await sync_to_async(other)(request.session.session_key)

    def other(key: str) -> None:
        visitor.copy(ss_id=key).visit(write_to("note", "theirs"))

    assert visitor.visit(view).status == 409
    assert visitor.visit(who).text.startswith("ada ada ")


# What is undone


def user_of(request: Any) -> str:
    return f"{request.user} {request.typed_session.is_authenticated}"


async def auser_of(request: Any) -> str:
    return f"{await request.auser()} {(await request.session.aget_typed_session()).is_authenticated}"


async def found(user: User) -> User:
    return user


@pytest.mark.parametrize("former", [False, True])
@pytest.mark.parametrize("is_async", [False, True])
def test_sign_in_that_is_undone(visitor: Browser, user: User, other_user: User, former: bool, is_async: bool) -> None:
    """Whom a part that failed has signed in is nobody's user afterwards, for this request as for the next."""
    if former:
        visitor.visit(sign_in(other_user))

    def part(request: Any) -> None:
        with session_exclusive(request):
            login(request, user)
            assert request.user == user
            raise ZeroDivisionError

    def view(request: Any) -> str:
        with pytest.raises(ZeroDivisionError):
            part(request)
        return user_of(request)

    async def apart(request: Any) -> None:
        async with session_exclusive(request):
            await alogin(request, user)
            request.auser = partial(found, user)  # as Django's own does from 6.0 on
            assert await request.auser() == user
            raise ZeroDivisionError

    async def aview(request: Any) -> str:
        with pytest.raises(ZeroDivisionError):
            await apart(request)
        return await auser_of(request)

    assert visitor.visit(aview if is_async else view).text == "AnonymousUser False"
    assert visitor.visit(user_of).text == "AnonymousUser False"


def test_undone_sign_in_of_the_same_user(visitor: Browser, user: User) -> None:
    """Who was signed in before the part still is."""
    visitor.visit(sign_in(user))

    @session_exclusive
    def part(request: Any) -> None:
        login(request, user)
        raise ZeroDivisionError

    def view(request: Any) -> str:
        with pytest.raises(ZeroDivisionError):
            part(request)
        return user_of(request)

    assert visitor.visit(view).text == "ada True"
    assert visitor.visit(user_of).text == "ada True"


def test_sign_in_that_came_second(visitor: Browser, user: User, configure: Configure, meanwhile: Meanwhile) -> None:
    """A conflict that the view catches has signed in nobody."""
    configure(SESSION_CLASS="typed_sessions.testing.engines.ContractSession")

    def view(request: Any) -> str:
        request.typed_session.note = "mine"
        meanwhile(visitor).visit(write_to("note", "theirs"))
        login(request, user)
        with pytest.raises(SessionConflict):
            request.session.save()
        return user_of(request)

    assert visitor.visit(view).text == "AnonymousUser False"
    assert visitor.visit(user_of).text == "AnonymousUser False"


def test_sign_in_that_was_overtaken(visitor: Browser, user: User, clock: Clock, meanwhile: Meanwhile) -> None:
    """Nor has a turn that came to nothing."""

    @session_exclusive(lease=1)
    def part(request: Any) -> None:
        login(request, user)
        clock.advance(3)
        assert meanwhile(visitor).visit(at_once(to_dollars)).status == 200

    def view(request: Any) -> str:
        with pytest.raises(SessionLeaseLost):
            part(request)
        return user_of(request)

    assert visitor.visit(view).text == "AnonymousUser False"
    assert visitor.visit(user_of).text == "AnonymousUser False"


def test_what_is_saved_within_a_turn_stays(visitor: Browser, record_of: Look) -> None:
    """An exception undoes what came after the save, and not the save; what was pending before it is stored by it."""

    @session_exclusive
    def part(request: Any) -> None:
        request.typed_session.currency = "within"
        request.session.save()
        request.typed_session.currency = "after"
        raise ZeroDivisionError

    def view(request: Any) -> str:
        request.typed_session.currency = "before"
        with pytest.raises(ZeroDivisionError):
            part(request)
        return currency(request)

    assert visitor.visit(view).text == "within"
    assert visitor.visit(currency).text == "within"
    assert record_of(visitor).lease is None


# Beside other requests


def test_values_held_over_a_save(visitor: Browser, meanwhile: Meanwhile) -> None:
    """What a save that merged found unchanged by others is still the object that the view holds."""
    visitor.visit(lambda request: request.session.update({"prefs": {}}))

    def view(request: Any) -> None:
        lines, prefs = request.typed_session.cart, request.session["prefs"]
        request.typed_session.page_views += 1
        meanwhile(visitor).visit(to_dollars)
        meanwhile(visitor).visit(lambda other: other.session.update({"seen": "cup"}))
        request.session.save()
        lines.append(CartLine("mine"))
        prefs["also"] = "mine"

    def look(request: Any) -> str:
        return f"{cart(request)} {request.session['prefs']} {currency(request)}"

    assert visitor.visit(view).status == 200
    assert visitor.visit(look).text == "['tea', 'mine'] cup {'also': 'mine'} USD"


def test_password_that_the_request_itself_has_changed(
    visitor: Browser, user: User, verbs: Verbs, engine: type[SessionStore], clock: Clock
) -> None:
    """Another request may end the session for the old password just before the new token is stored: who has changed it
    stays signed in. To whom only the token is new, the session has ended.
    """

    def change(request: Any) -> None:
        request.user.set_password("another one")
        request.user.save()
        update_session_auth_hash(request, request.user)

    for view, code in ((lambda request: request.session.cycle_key(), 400), (change, 200)):
        visitor.visit(sign_in(user))
        session_id = tokens.digest(visitor.token)

        def end(session_id: str = session_id) -> None:
            engine().store.end(session_id, EndReason.PASSWORD_CHANGED, clock())

        verbs.before("replace", end)
        assert visitor.visit(view).status == code
    assert visitor.visit(who).text.startswith("ada ada ")


# Clocks, and leases that are none


@pytest.mark.parametrize("ahead", [DAY, LONGEST_LEASE + 1])
def test_lease_of_a_clock_that_was_ahead(visitor: Browser, clock: Clock, take_turn: TakeTurn, ahead: int) -> None:
    """A turn that nobody ended keeps others out for as long as a turn can last, and no longer."""
    clock.advance(ahead)
    take_turn(visitor)
    assert visitor.visit(at_once(cart)).status == 503
    clock.advance(-ahead)
    assert visitor.visit(at_once(cart)).text == "['tea'] tea"


def test_longest_lease(visitor: Browser, meanwhile: Meanwhile) -> None:
    """The longest lease that can be asked for is one."""

    @session_exclusive(lease=LONGEST_LEASE)
    def view(request: Any) -> int:
        return meanwhile(visitor).visit(at_once(currency)).status

    assert visitor.visit(view).text == "503"


def test_clock_that_is_behind(visitor: Browser, clock: Clock, configure: Configure, record_of: Look) -> None:
    """A save of a machine whose clock is behind moves neither the last use back nor the end."""
    configure(TEMP_EXPIRY=timedelta(minutes=30))
    visitor.visit(put_in_cart("cup"))
    before = record_of(visitor)
    clock.advance(-3600)
    visitor.visit(to_dollars)
    after = record_of(visitor)
    assert (after.seen, after.expires) == (before.seen, before.expires)
    clock.advance(3600)
    assert visitor.visit(currency).text == "USD"


@pytest.mark.parametrize(("engine", "handler"), [("db", "wsgi")], indirect=True)
@pytest.mark.parametrize("lease", ["soon somebody", "5", "²34 somebody"])
def test_lease_that_cannot_be_read(visitor: Browser, lease: str) -> None:
    """It is none, and the session goes on."""
    StoredSession.objects.update(lease=lease)
    assert visitor.visit(cart).text == "['tea'] tea"
    assert visitor.visit(at_once(put_in_cart("cup"))).status == 200
    assert visitor.visit(cart).text == "['tea', 'cup'] cup"
