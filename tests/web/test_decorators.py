"""Decorators of views: without a session, and with a recent sign-in, on everything that can be a view."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.template.response import TemplateResponse
from rest_framework.authentication import BaseAuthentication
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.engines.rows import UseEngine
from tests.web.browser import ID, ApiClient, Browser
from tests.web.kinds import (
    APIS,
    PAGES,
    PARTS,
    Kind,
    Option,
    async_function,
    each_api,
    each_kind,
    each_kind_and_part,
    each_page,
    function,
)
from tests.web.signing import Request, put_in_cart, sign_in, sign_out
from tests.web.urls import address
from typed_sessions.backends.base import SessionStore
from typed_sessions.decorators import recent_auth_required, session_disabled
from typed_sessions.exceptions import SessionDisabled
from typed_sessions.rest_framework import TypedSessionAuthentication
from typed_sessions.testing.engines import Clock, Configure, Verbs

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django import Settings

pytestmark = pytest.mark.usefixtures("engine")

OURS = "typed_sessions.middleware.TypedSessionMiddleware"


@pytest.fixture
def in_template(tmp_path: Path, settings: Settings) -> Callable[[str], str]:
    """`in_template(text)` is the name of a template."""
    settings.TEMPLATES = [{**django_settings.TEMPLATES[0], "DIRS": [tmp_path]}]

    def write(text: str) -> str:
        name = f"{len([*tmp_path.iterdir()])}.html"
        (tmp_path / name).write_text(text)
        return name

    return write


@pytest.fixture
def engine(use_engine: UseEngine, handler: str) -> type[SessionStore]:
    """A decorator does not know the engine: each handler has another one."""
    return use_engine({"wsgi": "db", "asgi": "redis"}[handler])


def nothing(request: Any) -> str:
    return "done"


# session_disabled


def expect_no_session(answer: Any) -> None:
    assert answer.status == 200
    assert answer.ours == {}
    assert "Cookie" not in answer["Vary"]
    assert answer["Cache-Control"] == ""


@each_kind_and_part
def test_s53_view_without_a_session(browser: Browser, verbs: Verbs, clock: Clock, user: User, kind: Kind) -> None:
    """A view that has no session, or all of whose work is done without, asks the store nothing, sets no cookie, and its
    page is the same for everybody.
    """
    view = kind(session_disabled, nothing)
    expect_no_session(browser.visit(view))
    browser.visit(sign_in(user, remember=True))
    clock.advance(3600)
    verbs.take()
    expect_no_session(browser.visit(view))
    assert verbs.take() == []


USES: dict[str, Callable[[Any], object]] = {
    "typed_session": lambda request: request.typed_session,
    "get": lambda request: request.session.get("x"),
    "in": lambda request: "x" in request.session,
    "set": lambda request: request.session.update({"x": 1}),
    "keys": lambda request: [*request.session.keys()],
    "set_expiry": lambda request: request.session.set_expiry(60),
    "user": lambda request: request.user.is_authenticated,
}


@pytest.mark.parametrize(
    ("kind", "use"),
    [
        *((kind, use) for kind in [*PAGES, *APIS, *PARTS] for use in ("typed_session", "set")),
        *((kind, "user") for kind in PAGES),  # REST framework has put its own on the request
    ],
)
def test_session_is_out_of_reach(browser: Browser, verbs: Verbs, user: User, kind: Kind, use: str) -> None:
    """Who asks for the session of such a view after all, or for the user, is told which decorator to take away."""
    told: list[str] = []

    def body(request: Any) -> str:
        with pytest.raises(SessionDisabled) as caught:
            USES[use](getattr(request, "_request", request))
        told.append(str(caught.value))
        return "done"

    browser.visit(sign_in(user))
    verbs.take()
    answer = browser.visit(kind(session_disabled, body))
    assert (answer.status, answer.ours, verbs.take()) == (200, {}, [])
    assert told == ["This view is declared @session_disabled, so it has no session. Take the decorator away."]


@pytest.mark.parametrize("use", USES)
def test_use_that_nobody_catches(browser: Browser, engine: type[SessionStore], user: User, use: str) -> None:
    """It is an error of the view, not of the visitor, whose session stays as it is."""
    browser.visit(sign_in(user))
    cookies = dict(browser.cookies)
    answer = browser.visit(session_disabled(lambda request: USES[use](request)))
    assert (answer.status, answer.ours) == (500, {})
    assert browser.cookies == cookies
    assert browser.visit(lambda request: request.user.get_username()).text == "ada"


def test_async_use(browser: Browser) -> None:
    """The ways that async code has to the session are closed as well."""

    @session_disabled
    async def view(request: Any) -> str:
        for use in (request.session.aget_typed_session, lambda: request.session.aget("x"), request.auser):
            with pytest.raises(SessionDisabled):
                await use()
        return "done"

    assert browser.visit(view).text == "done"


def test_session_is_there_again_behind_the_view(browser: Browser) -> None:
    """What a view calls without a session does not take it away from the view itself."""

    @session_disabled
    def part(request: Request) -> str:
        with pytest.raises(SessionDisabled):
            _ = request.typed_session
        return "part"

    @session_disabled
    def failing_part(request: Request) -> str:
        raise ValueError("of the part")

    def whole(request: Request) -> str:
        with pytest.raises(ValueError, match="of the part"):
            failing_part(request)
        text = part(request)
        request.typed_session.page_views += 1
        return f"{text} {request.typed_session.page_views}"

    assert browser.visit(whole).text == "part 1"


def test_part_without_a_session(browser: Browser) -> None:
    """Within the block there is no session, however deep it is; before and after it there is, also after an error."""

    def view(request: Request) -> str:
        request.typed_session.page_views += 1
        with session_disabled(request), pytest.raises(SessionDisabled):
            _ = request.typed_session
        with pytest.raises(ValueError, match="of the part"), session_disabled(request):
            raise ValueError("of the part")
        request.typed_session.page_views += 1
        return f"part {request.typed_session.page_views}"

    assert browser.visit(view).text == "part 2"
    assert browser.visit(lambda request: request.typed_session.page_views).text == "2"


def test_async_part_without_a_session(browser: Browser) -> None:
    """The same with `async with`."""

    async def view(request: Any) -> str:
        async with session_disabled(request):
            with pytest.raises(SessionDisabled):
                await request.session.aget_typed_session()
        (await request.session.aget_typed_session()).page_views += 1
        return "part"

    assert browser.visit(view).text == "part"
    assert browser.visit(lambda request: request.typed_session.page_views).text == "1"


def test_page_that_is_rendered_later(browser: Browser, in_template: Callable[[str], str]) -> None:
    """A template that is rendered when the view is over has no session either; what comes then has it again."""
    shown = in_template("{{ request.typed_session.currency }}")
    quiet = in_template("nothing of a session")

    @session_disabled
    def view(request: Any) -> TemplateResponse:
        return TemplateResponse(request, quiet if "quiet" in request.GET else shown)

    assert browser.visit(view).status == 500
    expect_no_session(browser.visit(view, "quiet"))

    def around(request: Any) -> str:
        text = view(request).render().text
        request.typed_session.page_views += 1
        return f"{text} {request.typed_session.page_views}"

    assert browser.visit(around, "quiet").text == "nothing of a session 1"


@pytest.mark.parametrize("thing", [type("Thing", (), {}), int])
def test_class_that_is_no_view(thing: type) -> None:
    """A class that answers no requests is told by its name."""
    with pytest.raises(TypeError, match=f"{thing.__name__} is no view"):
        session_disabled(thing)


# recent_auth_required


@each_page
@pytest.mark.parametrize(("age", "is_let_in"), [(0, True), (300, True), (301, False)])
def test_sign_in_that_is_recent_enough(
    browser: Browser, clock: Clock, user: User, settings: Settings, kind: Kind, age: int, is_let_in: bool
) -> None:
    """Up to that many seconds after the sign-in the view answers; later, and however busy the user was, it does not."""
    settings.LOGIN_URL = "/accounts/login/"
    view = kind(recent_auth_required(300), nothing)
    browser.visit(sign_in(user))
    clock.advance(age)
    browser.visit(put_in_cart())
    answer = browser.visit(view, "a=1&b=%C3%BC")
    assert answer.ours == {}
    if is_let_in:
        assert (answer.status, answer.text) == (200, "done")
    else:
        assert answer.status == 302
        target = urlsplit(answer["Location"])
        assert target.path == "/accounts/login/"
        assert parse_qs(target.query) == {"next": [f"{address(view)}?a=1&b=%C3%BC"]}
        assert "Cookie" in answer["Vary"]


@each_page
def test_visitor_is_sent_to_sign_in(browser: Browser, kind: Kind) -> None:
    """Who has not signed in at all is sent the same way, and no session begins."""
    answer = browser.visit(kind(recent_auth_required(300), nothing))
    assert answer.status == 302
    assert answer["Location"].startswith("/accounts/login/?next=/")
    assert answer.ours == {}


@each_page
def test_s59_deactivated_user_is_sent_to_sign_in(browser: Browser, user: User, kind: Kind) -> None:
    """A sign-in of an account that is switched off meanwhile is none, however recent."""
    view = kind(recent_auth_required(300), nothing)
    browser.visit(sign_in(user))
    User.objects.update(is_active=False)
    answer = browser.visit(view)
    assert (answer.status, answer.ours[ID]) == (302, "")


@pytest.mark.parametrize(
    ("url", "there"), [("/confirm/", "/confirm/"), ("password_change", "/accounts/password_change/")]
)
def test_where_to_send_people(browser: Browser, clock: Clock, user: User, url: str, there: str) -> None:
    """`url`, a path or the name of a URL, is for those who are signed in; nobody else can do anything there."""
    view = recent_auth_required(300, url)(nothing)
    assert browser.visit(view)["Location"].startswith("/accounts/login/?next=/")
    browser.visit(sign_in(user))
    clock.advance(301)
    assert browser.visit(view)["Location"].startswith(f"{there}?next=/")
    browser.visit(sign_out)
    assert browser.visit(view)["Location"].startswith("/accounts/login/?next=/")


def test_signing_in_again_is_recent(browser: Browser, clock: Clock, user: User) -> None:
    """A new sign-in of the same user opens the view again; a sign-out closes it."""
    view = recent_auth_required(300)(nothing)
    browser.visit(sign_in(user))
    clock.advance(3600)
    assert browser.visit(view).status == 302
    browser.visit(sign_in(user))
    assert browser.visit(view).text == "done"
    browser.visit(sign_out)
    assert browser.visit(view).status == 302


def said(answer: Any) -> tuple[int, str, str]:
    """Status and code of an answer for programs, and its challenge."""
    assert answer["Content-Type"] == "application/json"
    words = json.loads(answer.text)
    assert words["detail"]
    # REST framework has no code for a visitor.
    return answer.status, words.get("code", "not_authenticated"), answer["WWW-Authenticate"]


CHALLENGE = 'TypedSession header="X-ss-id"'
UNKNOWN = (401, "not_authenticated", CHALLENGE)
TOO_OLD = (403, "reauthentication_required", "")


@each_api
def test_rest_framework_gets_json(browser: Browser, clock: Clock, user: User, kind: Kind) -> None:
    """A view of REST framework redirects nobody: it says what is missing, in JSON."""
    view = kind(recent_auth_required(300), nothing)
    assert said(browser.visit(view)) == UNKNOWN
    browser.visit(sign_in(user))
    assert browser.visit(view).text == '"done"'
    clock.advance(301)
    assert said(browser.visit(view)) == TOO_OLD


class Somebody(BaseAuthentication):
    """Takes a request for the user whom a header names, as a token would."""

    def authenticate(self, request: Any) -> Any:
        name = request.headers.get("Somebody")
        return (User.objects.get(username=name), None) if name else None


@pytest.mark.parametrize("inner", [False, True])
def test_user_of_another_credential(browser: Browser, user: User, other_user: User, inner: bool) -> None:
    """In REST framework it is the session's own sign-in that counts, for the session's own user alone."""

    class Api(APIView):
        authentication_classes = (Somebody, TypedSessionAuthentication)

        def get(self, request: Any) -> Response:
            return Response(str(request.user))

    option = recent_auth_required(300)
    if inner:
        Api.get = option(Api.get)  # type: ignore[method-assign]  # as a decorator in the class would
        view = Api.as_view()
    else:
        view = option(Api).as_view()
    assert browser.visit(view, somebody="grace").status in (401, 403)
    browser.visit(sign_in(user))
    assert browser.visit(view).text == '"ada"'
    assert browser.visit(view, somebody="ada").text == '"ada"'
    assert said(browser.visit(view, somebody="grace")) == TOO_OLD


def test_user_whom_a_middleware_has_put_there(browser: Browser, user: User, other_user: User) -> None:
    """A user who is not the session's has not confirmed anything to it."""
    guarded = recent_auth_required(300)(nothing)

    def view(request: Any) -> Any:
        request.user = other_user
        return guarded(request)

    browser.visit(sign_in(user))
    assert browser.visit(view).status == 302
    assert browser.visit(guarded).text == "done"


def test_request_given_by_name(browser: Browser, user: User) -> None:
    """A view may be called with its request by name."""
    guarded = recent_auth_required(300)(nothing)
    browser.visit(sign_in(user))
    assert browser.visit(lambda request: guarded(request=request)).text == "done"


@each_kind
def test_client_by_header_gets_json(
    browser: Browser, configure: Configure, clock: Clock, user: User, kind: Kind
) -> None:
    """A client whose session comes by header is redirected by no view."""
    configure(HEADERS=["/"])
    view, client = kind(recent_auth_required(300), nothing), ApiClient(browser.ask)
    assert said(client.visit(view)) == UNKNOWN
    client.visit(sign_in(user))
    assert client.visit(view).text.strip('"') == "done"
    clock.advance(301)
    assert said(client.visit(view)) == TOO_OLD


@pytest.mark.parametrize("kind", [function, async_function])
def test_without_middleware_of_users(new_site: Callable[..., Browser], clock: Clock, user: User, kind: Kind) -> None:
    """Where no middleware says who the user is, the session alone decides."""
    browser = new_site(OURS)
    view = kind(recent_auth_required(300), nothing)
    assert browser.visit(view).status == 302
    browser.visit(sign_in(user))
    assert browser.visit(view).text == "done"
    clock.advance(301)
    assert browser.visit(view).status == 302


@pytest.mark.parametrize("seconds", [nothing, 0, -1, True, 300.0, "300", None])
def test_seconds_are_asked_for(seconds: Any) -> None:
    """Without a number of seconds the decorator says how it is written, where it stands."""
    with pytest.raises(TypeError, match=r"@recent_auth_required\(300\)"):
        recent_auth_required(seconds)


@pytest.mark.parametrize("option", [session_disabled, recent_auth_required(300)])
@pytest.mark.parametrize("arguments", [(), (5,), (5, 6, None)])
def test_what_is_no_view_is_told(option: Option, arguments: tuple[Any, ...]) -> None:
    """A function that is called without a request is no view, and the error says so."""
    with pytest.raises(TypeError, match="for views, which have the request as their first argument"):
        option(lambda *args: None)(*arguments)


@each_kind
@pytest.mark.parametrize("option", [session_disabled, recent_auth_required(300)])
def test_a_view_stays_itself(option: Option, kind: Kind) -> None:
    """The decorated view keeps name, documentation and arguments, as tools look at them."""

    def view(request: Any, number: int) -> None:
        """Shows a number."""

    decorated = option(view)
    assert (decorated.__name__, decorated.__doc__, decorated.__wrapped__) == ("view", "Shows a number.", view)
