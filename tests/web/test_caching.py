"""What responses tell caches, so that no visitor gets another one's page or cookie."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from django.contrib import auth
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.template import Context, Template

from tests.engines.rows import UseEngine
from tests.sessions import ShopSession
from tests.web.browser import Browser
from tests.web.conftest import NewBrowser
from tests.web.signing import Request, put_in_cart, sign_in, sign_out, who
from typed_sessions import TypedSessionMixin, aget_session, get_session
from typed_sessions.testing.engines import Verbs

if TYPE_CHECKING:
    from pytest_django import Settings


class Mixed(TypedSessionMixin[ShopSession]):
    def __init__(self, request: Request) -> None:
        self.request = request


def in_a_template(request: Request) -> str:
    return Template("{{ request.typed_session.currency }}").render(Context({"request": request}))


async def asynchronously(request: Request) -> object:
    return await aget_session(request, ShopSession)


async def item_asynchronously(request: Request) -> object:
    return await request.session.aget("x")


LOOKS: dict[str, Callable[[Request], object]] = {
    "attribute": lambda request: request.typed_session.currency,
    "typed session": lambda request: request.typed_session,
    "bool": lambda request: bool(request.typed_session),
    "repr": lambda request: repr(request.typed_session),
    "is_authenticated": lambda request: request.typed_session.is_authenticated,
    "status": lambda request: request.typed_session.status,
    "id": lambda request: request.typed_session.id,
    "get_session": lambda request: get_session(request, ShopSession),
    "of": lambda request: ShopSession.of(request),
    "mixin": lambda request: Mixed(request).typed_session,
    "template": in_a_template,
    "aget_session": asynchronously,
    "user": lambda request: request.user.is_authenticated,
    "get_user": auth.get_user,
    "in": lambda request: "x" in request.session,
    "get": lambda request: request.session.get("x"),
    "aget": item_asynchronously,
    "pop": lambda request: request.session.pop("x", None),
    "keys": lambda request: list(request.session.keys()),
    "items": lambda request: len(request.session.items()),
    "has_key": lambda request: request.session.has_key("x"),
    "expiry": lambda request: request.session.get_expiry_age(),
    "load": lambda request: request.session.load() or request.session.get("x"),
}


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("way", LOOKS)
def test_s47_s50_looking(browser: Browser, user: User, way: str) -> None:
    """A page that looked at the session, in any way, varies with the cookie; of a signed-in user it is private."""
    for private in (False, True):
        answer = browser.visit(LOOKS[way])
        assert answer["Vary"] == "Cookie"
        assert answer["Cache-Control"] == ("private" if private else "")
        assert answer.ours == {}
        browser.visit(sign_in(user))


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("look", [lambda request: request.session.session_key, lambda request: bool(request.session)])
def test_s50_looking_whether_there_is_a_session(
    browser: Browser, user: User, verbs: Verbs, look: Callable[[Request], object]
) -> None:
    """A page that only asked whether there is a key varies with the cookie as well, and costs no access."""
    browser.visit(sign_in(user))
    verbs.take()
    for visitor in (browser, Browser(browser.ask)):
        assert visitor.visit(look)["Vary"] == "Cookie"
    assert verbs.take() == []


def change_a_field(request: Request) -> None:
    request.typed_session.page_views += 1


def change_an_item(request: Request) -> None:
    request.session["x"] = 1


def new_key(request: Request) -> None:
    request.session.cycle_key()


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("change", [change_a_field, change_an_item, new_key])
def test_s48_response_that_sets_a_cookie(browser: Browser, change: Callable[[Request], None]) -> None:
    """A response that sets a cookie of ours is stored nowhere."""
    answer = browser.visit(change)
    assert answer.ours
    assert answer["Vary"] == "Cookie"
    assert answer["Cache-Control"] == "private, no-store"


def test_s48_sign_in_and_out(browser: Browser, user: User) -> None:
    """The answers to a sign-in and to a sign-out are stored nowhere."""
    for view in (sign_in(user, remember=True), sign_out):
        answer = browser.visit(view)
        assert answer["Cache-Control"] == "private, no-store"
        assert "Cookie" in answer["Vary"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("private", "private"),
        ("public, max-age=60", "max-age=60, private"),
        ("max-age=60", "max-age=60, private"),
        ("no-store", "no-store"),
    ],
)
def test_s48_what_the_view_says(browser: Browser, user: User, given: str, expected: str) -> None:
    """A view's own Cache-Control stays, but what sets a cookie or is of a signed-in user is never public."""

    def view(request: Request) -> HttpResponse:
        response = HttpResponse()
        response["Cache-Control"] = given
        change_a_field(request)
        return response

    assert browser.visit(view)["Cache-Control"] == expected
    assert browser.visit(view)["Cache-Control"] == given
    browser.visit(sign_in(user))
    assert browser.visit(view)["Cache-Control"] == expected


def test_vary_of_the_view_stays(browser: Browser) -> None:
    """What a response varies with besides is kept."""

    def view(request: Request) -> HttpResponse:
        change_a_field(request)
        response = HttpResponse()
        response["Vary"] = "Accept-Language"
        return response

    assert browser.visit(view)["Vary"] == "Accept-Language, Cookie"


def test_s47_cache_middleware_gives_nobody_another_ones_page(
    use_engine: UseEngine, settings: Settings, new_browser: NewBrowser, user: User
) -> None:
    """With Django's cache of whole pages in front, a visitor gets neither a user's page nor a user's cookie."""
    use_engine("db")
    settings.CACHE_MIDDLEWARE_ALIAS = "locmem"
    settings.MIDDLEWARE = [
        "django.middleware.cache.UpdateCacheMiddleware",
        *settings.MIDDLEWARE,
        "django.middleware.cache.FetchFromCacheMiddleware",
    ]
    ada, visitor = new_browser(), new_browser()
    shown = []

    def page(request: Request) -> str:
        shown.append(request.user.get_username())
        return f"Hello {request.user.get_username()}"

    ada.visit(sign_in(user))
    for _ in range(2):
        assert ada.visit(page).text == "Hello ada"
        assert visitor.visit(page).text == "Hello "
    assert shown.count("") == 1  # so that there was a cache at work
    cached = put_in_cart()
    answers = [visitor.copy().visit(cached), new_browser().visit(cached)]
    assert len({answer.ours["ss-id"] for answer in answers}) == 2
    assert ada.visit(who).text.startswith("ada ada")
