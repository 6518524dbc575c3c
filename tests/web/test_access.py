"""How views get hold of their session: one object for everybody who has the request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

import pytest
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.contrib.sessions.backends.signed_cookies import SessionStore as CookieSessionStore
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.test import RequestFactory
from django.views.generic import TemplateView, View
from rest_framework.request import Request as RestRequest
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.sessions import CartLine, ShopSession
from tests.web.browser import Browser
from tests.web.signing import Request, write_to
from typed_sessions import (
    AuthUserSession,
    TypedRequest,
    TypedSession,
    TypedSessionMixin,
    aget_session,
    get_session,
)
from typed_sessions.access import SessionAttribute
from typed_sessions.middleware import TypedSessionMiddleware

if TYPE_CHECKING:
    from pytest_django import Settings

seen: list[object] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


def note(session: object) -> str:
    """For templates too."""
    seen.append(session)
    return ""


class Noting:
    """A middleware that looks at the session before and after the view."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: Request) -> Any:
        if iscoroutinefunction(self.get_response):
            return self._acall(request)
        note(request.typed_session)
        response = self.get_response(request)
        note(request.typed_session)
        return response

    async def _acall(self, request: Request) -> HttpResponse:
        note(await aget_session(request, ShopSession))
        response = await cast("Awaitable[HttpResponse]", self.get_response(request))
        note(await aget_session(request, ShopSession))
        return response


class Page(TypedSessionMixin[ShopSession], TemplateView):
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        note(self.typed_session)
        self.typed_session.cart.append(CartLine("page"))
        return HttpResponse()


class AsyncPage(TypedSessionMixin[ShopSession], View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        note(await self.aget_typed_session())
        return HttpResponse()


class Api(TypedSessionMixin[ShopSession], APIView):
    def get(self, request: RestRequest) -> Response:
        note(self.typed_session)
        note(get_session(request, ShopSession))
        note(ShopSession.of(request))
        note(cast("Any", request).typed_session)
        note(self.request._request.typed_session)
        return Response({"views": self.typed_session.page_views})


def plain(request: TypedRequest[ShopSession]) -> HttpResponse:
    note(request.typed_session)
    note(get_session(request, ShopSession))
    note(get_session(request, AuthUserSession))
    note(get_session(request, TypedSession))
    note(ShopSession.of(request))
    template = engines["django"].from_string("{{ request.typed_session.currency }}")
    return HttpResponse(template.render({"note": note}, request))


async def asynchronous(request: TypedRequest[ShopSession]) -> HttpResponse:
    note(await aget_session(request, ShopSession))
    note(request.typed_session)  # it is loaded by now
    return HttpResponse()


VIEWS: dict[str, Callable[[Any], Any]] = {
    "function": plain,
    "async function": asynchronous,
    "class": Page.as_view(),
    "async class": AsyncPage.as_view(),
    "REST framework": Api.as_view(),
}


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("kind", VIEWS)
def test_one_object(new_site: Callable[..., Browser], settings: Settings, kind: str) -> None:
    """Middleware before and after, and views of every kind, get one and the same object."""
    browser = new_site(*settings.MIDDLEWARE, f"{__name__}.Noting")
    browser.visit(write_to("currency", "USD"))
    seen.clear()
    answer = browser.visit(VIEWS[kind])
    assert answer.status == 200
    assert len(seen) >= 3
    assert len({id(session) for session in seen}) == 1
    assert isinstance(seen[0], ShopSession)
    assert seen[0].currency == "USD"


def test_template(browser: Browser) -> None:
    """A template reads the session from the request."""
    browser.visit(write_to("currency", "USD"))
    assert browser.visit(plain).text == "USD"


def test_mixin_saves(browser: Browser) -> None:
    """What a class-based view changes through its own attribute is saved."""
    browser.visit(VIEWS["class"])
    assert browser.visit(lambda request: [line.sku for line in request.typed_session.cart]).text == "['page']"


@pytest.mark.usefixtures("engine")
def test_replacing(browser: Browser) -> None:
    """Another object of the class can be assigned: everybody gets it from then on, and it is what is saved."""

    def view(request: Request) -> None:
        before = request.typed_session
        replacement = ShopSession(currency="CHF")
        request.typed_session = replacement
        assert request.typed_session is get_session(RestRequest(request), ShopSession) is replacement is not before

    browser.visit(view)
    assert browser.visit(lambda request: request.typed_session.currency).text == "CHF"


def test_replacing_by_the_wrong_class(browser: Browser) -> None:
    """Assigning an object of another class is refused, with both names, and the session stays."""

    def view(request: Request) -> str:
        with pytest.raises(TypeError) as refusal:
            request.typed_session = AuthUserSession()  # type: ignore[assignment]  # what is refused
        return f"{refusal.value} {request.typed_session.currency}"

    text = browser.visit(view).text
    assert "ShopSession" in text
    assert "AuthUserSession" in text
    assert text.endswith("EUR")


def test_asking_for_another_class(browser: Browser) -> None:
    """Asking for a class that is not the project's is an error that names both."""

    class Other(ShopSession):
        pass

    def view(request: Request) -> str:
        with pytest.raises(TypeError, match=r"sessions are ShopSession .* and a Other was asked for"):
            get_session(request, Other)
        return "refused"

    async def async_view(request: Request) -> str:
        with pytest.raises(TypeError, match="a Other was asked for"):
            await aget_session(request, Other)
        return "refused"

    assert browser.visit(view).text == browser.visit(async_view).text == "refused"


def _with_an_engine_of_another_kind() -> HttpRequest:
    request = RequestFactory().get("/")
    request.session = CookieSessionStore()
    return request


@pytest.mark.parametrize("make", [RequestFactory().get, lambda path: _with_an_engine_of_another_kind()])
def test_without_our_middleware(make: Callable[[str], HttpRequest]) -> None:
    """A request that went past our middleware says which line of the settings is missing."""
    request: Any = make("/")
    help_text = "MIDDLEWARE needs 'typed_sessions.middleware.TypedSessionMiddleware'"
    for attempt in (
        lambda: request.typed_session,
        lambda: setattr(request, "typed_session", ShopSession()),
        lambda: get_session(request, ShopSession),
        lambda: get_session(RestRequest(request), ShopSession),
        lambda: ShopSession.of(request),
    ):
        with pytest.raises(ImproperlyConfigured, match=help_text):
            attempt()


async def test_without_our_middleware_async() -> None:
    """The same when it is awaited."""
    with pytest.raises(ImproperlyConfigured, match="MIDDLEWARE needs"):
        await aget_session(RequestFactory().get("/"), ShopSession)


def test_attribute_of_the_class() -> None:
    """On the class the attribute is what puts it on requests."""
    assert isinstance(cast("Any", HttpRequest).typed_session, SessionAttribute)


def test_app_is_not_installed(settings: Settings) -> None:
    """The middleware without the app says so, as no check could."""
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "typed_sessions"]
    with pytest.raises(ImproperlyConfigured, match="typed_sessions"):
        TypedSessionMiddleware(lambda request: HttpResponse())


def test_session_replaced_by_a_view(browser: Browser) -> None:
    """The session that a view puts in the request's place is the one that counts when the response is made."""

    def view(request: Request) -> None:
        request.session["first"] = 1
        request.session = type(request.session)()
        request.session["second"] = 2
        request.session.save()

    browser.visit(view)
    assert browser.visit(lambda request: dict(request.session.items())).text == "{'second': 2}"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_session_taken_away(browser: Browser, asynchronous: bool) -> None:
    """A response whose request has no session any more goes out as it is."""

    def view(request: Request) -> str:
        request.session["first"] = 1
        del request.session
        return "page"

    async def async_view(request: Request) -> str:
        return view(request)

    answer = browser.visit(async_view if asynchronous else view)
    assert (answer.status, answer.text, answer.ours) == (200, "page", {})
