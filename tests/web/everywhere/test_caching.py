"""What responses tell caches, so that no visitor gets another one's page, cookie or token."""

from __future__ import annotations

import configparser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib import auth
from django.contrib.auth.models import User
from django.core.cache import caches
from django.http import HttpResponse
from django.template import Context, Template
from packaging.requirements import Requirement
from rest_framework.request import Request as RestRequest

from tests.sessions import ShopSession
from tests.web.browser import PID, ApiClient, Browser
from tests.web.conftest import NewBrowser
from tests.web.everywhere.visitors import NewVisitor, Visitor, is_signed_in
from tests.web.matrix import each_engine_once, each_way
from tests.web.signing import (
    Request,
    async_sign_in,
    async_sign_out,
    put_in_cart,
    sign_in,
    sign_out,
    who,
)
from tests.web.urls import View
from typed_sessions import TypedSessionMixin, aget_session, get_session
from typed_sessions.backends.base import SessionStore
from typed_sessions.decorators import session_disabled
from typed_sessions.testing.engines import Clock, Configure, Verbs

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries, Settings

LOCAL_MEMORY = "django.core.cache.backends.locmem.LocMemCache"
ROOT = Path(__file__).resolve().parents[3]
ALL_NAMES = {"Cookie", "X-ss-id", "X-ss-pid", "X-ss-opt", "X-ss-opts"}

pytestmark = pytest.mark.usefixtures("engine")


class Mixed(TypedSessionMixin[ShopSession]):
    def __init__(self, request: Request) -> None:
        self.request = request


def in_a_template(request: Request) -> str:
    return Template("{{ request.typed_session.currency }}").render(Context({"request": request}))


def by_rest_framework(request: Request) -> object:
    wrapped: Any = RestRequest(request)
    return wrapped.typed_session


async def asynchronously(request: Request) -> object:
    return await aget_session(request, ShopSession)


async def item_asynchronously(request: Request) -> object:
    return await request.session.aget("x")


async def keys_asynchronously(request: Request) -> object:
    return list(await request.session.akeys())


async def user_asynchronously(request: Request) -> object:
    return await request.auser()


async def get_user_asynchronously(request: Request) -> object:
    return await auth.aget_user(request)


LOOKS: dict[str, Callable[[Request], object]] = {
    "attribute": lambda request: request.typed_session.currency,
    "typed session": lambda request: request.typed_session,
    "bool": lambda request: bool(request.typed_session),
    "repr": lambda request: repr(request.typed_session),
    "is_authenticated": lambda request: request.typed_session.is_authenticated,
    "status": lambda request: request.typed_session.status,
    "id": lambda request: request.typed_session.id,
    "equality": lambda request: request.typed_session == ShopSession(),
    "get_session": lambda request: get_session(request, ShopSession),
    "of": lambda request: ShopSession.of(request),
    "mixin": lambda request: Mixed(request).typed_session,
    "REST framework": by_rest_framework,
    "template": in_a_template,
    "aget_session": asynchronously,
    "user": lambda request: request.user.is_authenticated,
    "auser": user_asynchronously,
    "get_user": auth.get_user,
    "aget_user": get_user_asynchronously,
    "in": lambda request: "x" in request.session,
    "get": lambda request: request.session.get("x"),
    "aget": item_asynchronously,
    "pop": lambda request: request.session.pop("x", None),
    "keys": lambda request: request.session.keys(),
    "akeys": keys_asynchronously,
    "len": lambda request: len(request.session.keys()),
    "iteration": lambda request: [*request.session.keys()],
    "items": lambda request: len(request.session.items()),
    "has_key": lambda request: request.session.has_key("x"),
    "expiry": lambda request: request.session.get_expiry_age(),
    "load": lambda request: request.session.load() or request.session.get("x"),
}


def varies_with(visitor: Visitor) -> set[str]:
    """What a page that has looked at the session has to vary with on this site."""
    return ALL_NAMES if isinstance(visitor, ApiClient) else {"Cookie"}


@each_way
def test_s47_s48_s50_looking(new_visitor: NewVisitor, user: User) -> None:
    """A page that looked at the session, in any way, varies with what brings it; of a signed-in user it is private."""
    visitor, signed_in = new_visitor(), new_visitor()
    signed_in.visit(sign_in(user))
    for way, look in LOOKS.items():
        for each, expected in ((visitor, ""), (signed_in, "private")):
            answer = each.visit(look)
            assert (way, answer.status) == (way, 200)
            assert (way, set(answer["Vary"].split(", "))) == (way, varies_with(visitor))
            assert (way, answer["Cache-Control"]) == (way, expected)
            assert (way, answer.ours, answer.told) == (way, {}, {})


@each_way
@pytest.mark.parametrize("look", [lambda request: request.session.session_key, lambda request: bool(request.session)])
def test_s50_looking_whether_there_is_a_session(
    new_visitor: NewVisitor, user: User, verbs: Verbs, look: Callable[[Request], object]
) -> None:
    """A page that only asked whether there is a key varies as well, and costs no access to the store."""
    visitor, other = new_visitor(), new_visitor()
    visitor.visit(sign_in(user))
    verbs.take()
    for each in (visitor, other):
        assert set(each.visit(look)["Vary"].split(", ")) == varies_with(visitor)
    assert verbs.take() == []


def change_a_field(request: Request) -> None:
    request.typed_session.page_views += 1


def change_an_item(request: Request) -> None:
    request.session["x"] = 1


def new_key(request: Request) -> None:
    request.session.cycle_key()


async def change_asynchronously(request: Request) -> None:
    (await aget_session(request, ShopSession)).page_views += 1


@each_way
@pytest.mark.parametrize("change", [change_a_field, change_an_item, new_key, change_asynchronously])
def test_s48_response_that_tells_a_token(new_visitor: NewVisitor, change: View) -> None:
    """A response that sets a cookie of ours, or has a token in a header, is stored nowhere."""
    visitor = new_visitor()
    answer = visitor.visit(change)
    assert answer.ours or answer.told
    assert set(answer["Vary"].split(", ")) == varies_with(visitor)
    assert answer["Cache-Control"] == "private, no-store"


@each_way
def test_s48_sign_in_and_out(new_visitor: NewVisitor, user: User) -> None:
    """The answers to a sign-in and to a sign-out are stored nowhere."""
    visitor = new_visitor()
    for view in (sign_in(user, remember=True), sign_out, async_sign_in(user), async_sign_out):
        answer = visitor.visit(view)
        assert answer["Cache-Control"] == "private, no-store"
        assert varies_with(visitor) <= set(answer["Vary"].split(", "))


@each_way
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("private", "private"),
        ("public, max-age=60", "max-age=60, private"),
        ("max-age=60", "max-age=60, private"),
        ("no-store", "no-store"),
    ],
)
def test_s48_what_the_view_says(new_visitor: NewVisitor, user: User, given: str, expected: str) -> None:
    """A view's own Cache-Control stays, but what tells a token or is of a signed-in user is never public."""
    visitor = new_visitor()

    def view(request: Request) -> HttpResponse:
        response = HttpResponse()
        response["Cache-Control"] = given
        change_a_field(request)
        return response

    assert visitor.visit(view)["Cache-Control"] == expected
    assert visitor.visit(view)["Cache-Control"] == given
    visitor.visit(sign_in(user))
    assert visitor.visit(view)["Cache-Control"] == expected


@each_way
@pytest.mark.parametrize("code", [200, 302, 404, 500])
def test_s48_whatever_the_status(new_visitor: NewVisitor, user: User, code: int) -> None:
    """Of a signed-in user an error or a redirection is as private as a page."""
    visitor = new_visitor()

    def view(request: Request) -> HttpResponse:
        return HttpResponse(who(request), status=code)

    visitor.visit(sign_in(user))
    answer = visitor.visit(view)
    assert "private" in answer["Cache-Control"]
    assert varies_with(visitor) <= set(answer["Vary"].split(", "))


@each_engine_once
@pytest.mark.parametrize("sent", [{"X_ss_id": "junk"}, {"X_ss_id": ""}, {"X_ss_pid": "junk", "X_ss_opt": "perm"}])
def test_s48_refusal_of_a_token(new_browser: NewBrowser, configure: Configure, sent: dict[str, str]) -> None:
    """That a token was refused is told to the one who sent it, and to no other through a cache."""
    configure(HEADERS=["/"])
    answer = new_browser().visit(who, **sent)
    assert answer.status == 401
    assert "no-store" in answer["Cache-Control"]
    assert set(answer["Vary"].split(", ")) >= ALL_NAMES


@each_way
def test_vary_of_the_view_stays(new_visitor: NewVisitor) -> None:
    """What a response varies with besides is kept."""
    visitor = new_visitor()

    def view(request: Request) -> HttpResponse:
        change_a_field(request)
        response = HttpResponse()
        response["Vary"] = "Accept-Language"
        return response

    assert set(visitor.visit(view)["Vary"].split(", ")) == {"Accept-Language", *varies_with(visitor)}


@each_engine_once
def test_s47_headers_are_named_where_they_count(browser: Browser, user: User, configure: Configure) -> None:
    """Pages under the paths of HEADERS vary with the headers also for a browser; the others with the cookie alone."""
    browser.visit(sign_in(user))
    for prefixes, expected in ((["/sync/"], ALL_NAMES), (["/api/"], {"Cookie"}), ([], {"Cookie"})):
        configure(HEADERS=prefixes)
        assert set(browser.visit(who)["Vary"].split(", ")) == expected


@pytest.fixture
def behind_a_cache(settings: Settings) -> None:
    """Django's cache of whole pages stands in front of the site."""
    settings.CACHES = {**settings.CACHES, "pages": {"BACKEND": LOCAL_MEMORY, "LOCATION": "pages"}}
    settings.CACHE_MIDDLEWARE_ALIAS = "pages"
    caches["pages"].clear()
    settings.MIDDLEWARE = [
        "django.middleware.cache.UpdateCacheMiddleware",
        *settings.MIDDLEWARE,
        "django.middleware.cache.FetchFromCacheMiddleware",
    ]


@each_way
@pytest.mark.usefixtures("behind_a_cache")
def test_s47_cache_gives_nobody_another_one_s_page(
    new_visitor: NewVisitor, new_browser: NewBrowser, user: User, other_user: User
) -> None:
    """With Django's cache of whole pages in front, nobody gets a user's page, or a user's token, but that user."""
    ada, grace, visitor = new_visitor(), new_visitor(), new_visitor()
    plain = new_browser()
    shown: list[str] = []

    def page(request: Request) -> str:
        shown.append(request.user.get_username())
        return f"Hello {request.user.get_username()}"

    assert ada.visit(sign_in(user)).status == 200
    assert grace.visit(sign_in(other_user, remember=True)).status == 200
    for _ in range(2):
        assert ada.visit(page).text == "Hello ada"
        assert grace.visit(page).text == "Hello grace"
        assert visitor.visit(page).text == "Hello "
        assert plain.visit(page).text == "Hello "
    assert shown.count("") <= 2  # so that there was a cache at work
    cached = put_in_cart()
    beginning = [new_visitor(), new_visitor()]
    for each in beginning:
        each.visit(cached)
    tokens = {each.token for each in beginning}
    assert len(tokens) == 2
    assert is_signed_in(ada)


@each_engine_once
@pytest.mark.usefixtures("behind_a_cache")
@pytest.mark.parametrize("first", ["user", "nobody"])
def test_s47_page_of_one_transport_is_not_the_other_s(
    new_browser: NewBrowser, user: User, configure: Configure, first: str
) -> None:
    """What a client by header was shown is shown to no browser that comes after it, and the other way round."""
    configure(HEADERS=["/"])
    client, browser = ApiClient(new_browser().ask), new_browser()

    def page(request: Request) -> str:
        return f"Hello {request.user.get_username()}"

    if first == "user":
        client.visit(sign_in(user))
        assert client.visit(page).text == "Hello ada"
        assert browser.visit(page).text == "Hello "
        assert client.visit(page).text == "Hello ada"
        return
    assert browser.visit(page).text == "Hello "
    client.visit(sign_in(user))
    assert client.visit(page).text == "Hello ada"
    browser.visit(sign_in(user))
    assert browser.visit(page).text == "Hello ada"
    assert new_browser().visit(page).text == "Hello "


def nothing(request: Request) -> str:
    """A page that does not look at the session."""
    return ""


@each_way
def test_s49_extending_alone(new_visitor: NewVisitor, user: User, clock: Clock, verbs: Verbs) -> None:
    """A page that changed nothing and only extended the session varies, and is private."""
    visitor = new_visitor()
    visitor.visit(sign_in(user, remember=True))
    clock.advance(3600)
    verbs.take()
    answer = visitor.visit(lambda request: bool(request.typed_session))
    assert "touch" in verbs.take()
    assert set(answer["Vary"].split(", ")) == varies_with(visitor)
    assert "private" in answer["Cache-Control"]
    if isinstance(visitor, Browser):
        assert answer.ours
        assert answer["Cache-Control"] == "private, no-store"


@each_engine_once
def test_s49_saving_every_request(browser: Browser, user: User, clock: Clock, settings: Settings) -> None:
    """SESSION_SAVE_EVERY_REQUEST extends a session that the page did not look at, and the answer says it varies."""
    settings.SESSION_SAVE_EVERY_REQUEST = True
    assert browser.visit(nothing).ours == {}
    browser.visit(sign_in(user, remember=True))
    clock.advance(1)
    answer = browser.visit(nothing)
    assert answer.cookies[PID]["max-age"] == str(28 * 24 * 3600)
    assert answer["Vary"] == "Cookie"
    assert answer["Cache-Control"] == "private, no-store"


# Floors


def _floors(lines: str) -> dict[str, str]:
    found = [Requirement(line) for line in lines.split("\n") if line and not line.startswith("django-typed")]
    return {
        each.name: specifier.version for each in found for specifier in each.specifier if specifier.operator == ">="
    }


@pytest.mark.parametrize("engine", ["db"], indirect=True)
def test_s51_no_release_with_known_holes_can_be_installed(engine: type[SessionStore]) -> None:
    """setup.cfg asks for Django, REST framework and redis-py without the known holes, and tox tests exactly those."""
    setup, tox = configparser.ConfigParser(), configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    tox.read(ROOT / "tox.ini")
    options = setup["options"]["install_requires"], setup["options.extras_require"]
    floors = _floors(options[0])
    for extra in ("redis", "drf", "prometheus", "opentelemetry", "geoip", "test"):
        floors = {**_floors(options[1][extra]), **floors}
    for name, least in (("Django", "5.2.19"), ("djangorestframework", "3.18.2"), ("redis", "4.5.4")):
        assert _release(floors[name]) >= _release(least)
    pinned = dict(line.split("==") for line in tox["testenv:floor"]["deps"].split("\n") if line)
    assert {name: _release(pinned[name]) for name in pinned} == {name: _release(floors[name], 3) for name in pinned}


def _release(version: str, parts: int = 3) -> tuple[int, ...]:
    numbers = [int(part) for part in version.split(".")]
    return tuple([*numbers, 0, 0][:parts])


# Clear-Site-Data


@each_way
def test_s52_sign_out_is_stored_nowhere(new_visitor: NewVisitor, user: User) -> None:
    """The answer to a sign-out is stored nowhere, and asks the browser to clear nothing unless the project says so."""
    for leave in (sign_out, async_sign_out, lambda request: request.session.flush()):
        visitor = new_visitor()
        visitor.visit(sign_in(user))
        answer = visitor.visit(leave)
        assert "no-store" in answer["Cache-Control"]
        assert answer["Clear-Site-Data"] == ""


@each_engine_once
@pytest.mark.parametrize("remember", [False, True])
@pytest.mark.parametrize("leave", [sign_out, async_sign_out])
def test_s52_sign_out_clears_what_the_browser_keeps(
    browser: Browser, user: User, configure: Configure, leave: View, remember: bool
) -> None:
    """With CLEAR_SITE_DATA the answer to a sign-out, and no other, has the browser clear what is listed."""
    configure(CLEAR_SITE_DATA=["cache", "storage"])
    assert browser.visit(put_in_cart())["Clear-Site-Data"] == ""
    assert browser.visit(sign_in(user, remember))["Clear-Site-Data"] == ""
    assert browser.visit(who)["Clear-Site-Data"] == ""
    answer = browser.visit(leave)
    assert answer["Clear-Site-Data"] == '"cache", "storage"'
    assert answer["Cache-Control"] == "private, no-store"
    assert browser.visit(who)["Clear-Site-Data"] == ""


@each_engine_once
def test_s52_page_of_django(browser: Browser, user: User, configure: Configure) -> None:
    """Django's own page for signing out clears as well."""
    configure(CLEAR_SITE_DATA=["cache"])
    browser.visit(sign_in(user))
    assert browser.post("/accounts/logout/")["Clear-Site-Data"] == '"cache"'


# Pages that have no use for a session


@session_disabled
def disabled(request: Request) -> str:
    return "up"


async def async_nothing(request: Request) -> str:
    return ""


@each_way
@pytest.mark.parametrize("remember", [False, True])
def test_s53_pages_without_sessions_cost_nothing(
    new_visitor: NewVisitor,
    user: User,
    clock: Clock,
    verbs: Verbs,
    configure: Configure,
    django_assert_num_queries: DjangoAssertNumQueries,
    remember: bool,
) -> None:
    """A page that does not use the session, one that must not, and one that does not exist ask nothing of the store."""
    configure(USER_COOKIE=True, CLEAR_SITE_DATA=["cache"], USER_SNAPSHOT_AGE=60)
    visitor = new_visitor()
    visitor.visit(put_in_cart())
    visitor.visit(sign_in(user, remember))
    clock.advance(3600)
    verbs.take()
    with django_assert_num_queries(0):
        for view in (nothing, async_nothing, disabled):
            answer = visitor.visit(view)
            assert (answer.status, answer.ours, answer.told) == (200, {}, {})
            assert answer["Vary"] == answer["Cache-Control"] == answer["Clear-Site-Data"] == ""
        missing = visitor.get("/static/shop.css")
    assert missing.status == 404
    assert (missing.ours, missing.told) == ({}, {})
    assert verbs.take() == []


@each_engine_once
@pytest.mark.parametrize("sent", [{"ss-id": "junk"}, {"ss-pid": "junk", "ss-opt": "perm"}, {"X-UAId": "1"}, {}])
def test_s53_whatever_is_sent(
    new_browser: NewBrowser, verbs: Verbs, configure: Configure, sent: dict[str, str]
) -> None:
    """A page that does not use the session does not mind what came for one, in cookies or headers."""
    configure(HEADERS=["/"])
    site = new_browser()
    for cookies in ({"ss-id": "junk"}, {"ss-pid": "junk", "ss-opt": "perm"}, {"X-UAId": "1"}, {}):
        for headers in ({}, {"X_ss_id": "junk"}, {"X_ss_pid": "", "X_ss_opt": "perm"}):
            for view in (nothing, async_nothing, disabled):
                answer = Browser(site.ask, cookies).visit(view, **headers)
                assert (answer.status, answer.ours, answer["Vary"]) == (200, {}, "")
    assert verbs.take() == []
