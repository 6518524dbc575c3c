"""`session_readonly`: what changes the session raises, what nothing announces is undone, and ending goes through."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.template.response import TemplateResponse
from django.test import RequestFactory
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.sessions import CartLine, ShopSession
from tests.web.browser import ID, ApiClient, Browser
from tests.web.conftest import NewBrowser
from tests.web.kinds import Body, Kind, each_kind_and_part
from tests.web.options.conftest import Look, Meanwhile
from tests.web.signing import Request, cart, put_in_cart, sign_in, state, status, who
from tests.web.urls import address
from typed_sessions import live_sessions
from typed_sessions.auth import login, logout
from typed_sessions.backends.base import SessionStore
from typed_sessions.decorators import session_exclusive, session_passive, session_readonly
from typed_sessions.exceptions import MissingSession, SessionReadOnly
from typed_sessions.testing.engines import Clock, Configure, Verbs

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.usefixtures("engine", "clock")

OURS = "typed_sessions.middleware.TypedSessionMiddleware"


def read(request: Any) -> str:
    return f"{[line.sku for line in request.typed_session.cart]} {request.session['seen']}"


def change(request: Any) -> None:
    """Changes what no assignment announces, in a field and in the bag."""
    request.typed_session.cart[0].quantity = 7
    request.typed_session.visited.add("here")
    request.session["list"].append(2)


@pytest.fixture
def visitor(browser: Browser) -> Browser:
    """Has a cart, and a list in the bag."""

    def begin(request: Request) -> None:
        request.typed_session.cart.append(CartLine("tea"))
        request.session.update({"seen": "tea", "list": [1]})

    browser.visit(begin)
    return browser


def expect_as_it_was(visitor: Browser) -> None:
    def look(request: Request) -> str:
        session = request.typed_session
        return f"{session.cart[0].quantity} {session.visited} {session.currency} {sorted(request.session.items())}"

    assert visitor.visit(look).text == "1 set() EUR [('list', [1]), ('seen', 'tea')]"


@each_kind_and_part
def test_wherever_it_stands(visitor: Browser, verbs: Verbs, kind: Kind) -> None:
    """On everything that can be a view, and around a part of one, reading costs what it costs, assignment raises at
    once, and nested changes raise at the end and are undone.
    """

    def refused(request: Any) -> str:
        for name in ("field", "item"):
            with pytest.raises(SessionReadOnly):
                CHANGES[name][0](getattr(request, "_request", request))
        return read(request)

    for body, code in ((read, 200), (refused, 200), (change, 500)):
        verbs.take()
        answer = visitor.visit(kind(session_readonly, body))
        assert (answer.status, answer.ours) == (code, {})
        assert verbs.take() == ["load"]
        if code == 200:
            assert answer.text.strip('"') == "['tea'] tea"
    expect_as_it_was(visitor)


def test_session_that_nobody_uses(visitor: Browser, verbs: Verbs) -> None:
    """The option by itself loads nothing."""
    verbs.take()
    assert visitor.visit(session_readonly(lambda request: "page")).text == "page"
    assert verbs.take() == []


CHANGES: dict[str, tuple[Callable[[Any], object], tuple[str, ...]]] = {
    "field": (lambda request: setattr(request.typed_session, "currency", "USD"), ("currency",)),
    "field of itself": (lambda request: setattr(request.typed_session, "currency", "EUR"), ("currency",)),
    "item": (lambda request: request.session.__setitem__("x", 1), ("session['x']",)),
    "del": (lambda request: request.session.__delitem__("seen"), ("session['seen']",)),
    "pop": (lambda request: request.session.pop("seen"), ("session['seen']",)),
    "setdefault": (lambda request: request.session.setdefault("x", 1), ("session['x']",)),
    "update": (lambda request: request.session.update({"x": 1, "y": 2}), ("session['x']", "session['y']")),
    "pairs": (lambda request: request.session.update([("x", 1)]), ()),
    "clear": (lambda request: request.session.clear(), ()),
    "set_expiry": (lambda request: request.session.set_expiry(60), ("session['_session_expiry']",)),
    "replaced": (lambda request: setattr(request, "typed_session", ShopSession()), ("typed_session",)),
    "save": (lambda request: request.session.save(), ()),
    "create": (lambda request: request.session.create(), ()),
    "cycle_key": (lambda request: request.session.cycle_key(), ()),
}
"""What changes the session, and what the error says was to be changed."""
ASYNC_CHANGES: dict[str, Callable[[Any], Any]] = {
    "item": lambda request: request.session.aset("x", 1),
    "pop": lambda request: request.session.apop("seen"),
    "setdefault": lambda request: request.session.asetdefault("x", 1),
    "update": lambda request: request.session.aupdate({"x": 1, "y": 2}),
    "set_expiry": lambda request: request.session.aset_expiry(60),
    "save": lambda request: request.session.asave(),
    "create": lambda request: request.session.acreate(),
    "cycle_key": lambda request: request.session.acycle_key(),
}


@pytest.mark.parametrize("handler", ["wsgi"], indirect=True)
@pytest.mark.parametrize("name", CHANGES)
def test_change_is_refused(visitor: Browser, engine: type[SessionStore], name: str) -> None:
    """Whatever announces itself as a change raises at once, says what it would have changed, and changes nothing."""
    do, fields = CHANGES[name]

    @session_readonly
    def view(request: Any) -> str:
        with pytest.raises(SessionReadOnly, match="session_readonly stands around it") as caught:
            do(request)
        assert caught.value.fields == fields
        assert str(caught.value).startswith(f"{', '.join(fields) or 'The session'} cannot be changed here")
        return "done"

    answer = visitor.visit(view)
    assert (answer.text, answer.ours) == ("done", {})
    expect_as_it_was(visitor)
    assert visitor.visit(session_readonly(do)).status == 500  # where nobody catches it
    expect_as_it_was(visitor)


@pytest.mark.parametrize("handler", ["asgi"], indirect=True)
@pytest.mark.parametrize("name", ASYNC_CHANGES)
def test_async_change_is_refused(visitor: Browser, name: str) -> None:
    """The ways that async code has raise the same."""

    @session_readonly
    async def view(request: Any) -> str:
        with pytest.raises(SessionReadOnly) as caught:
            await ASYNC_CHANGES[name](request)
        assert caught.value.fields == CHANGES[name][1]
        return "done"

    assert visitor.visit(view).text == "done"
    expect_as_it_was(visitor)


def test_what_is_no_change(visitor: Browser) -> None:
    """Methods that may change something, and need not, are let through when they do not."""

    async def also(request: Any) -> str:
        async with session_readonly(request):
            assert await request.session.apop("missing", None) is None
            assert await request.session.asetdefault("seen", "x") == "tea"
        return "done"

    @session_readonly
    def view(request: Any) -> str:
        assert request.session.pop("missing", None) is None
        assert request.session.setdefault("seen", "x") == "tea"
        with pytest.raises(KeyError):
            request.session.pop("missing")
        return "done"

    assert (visitor.visit(view).text, visitor.visit(also).text) == ("done", "done")


def test_nested_change_is_undone_before_it_is_told(visitor: Browser, verbs: Verbs) -> None:
    """Behind the block the session is as it was, in the object that others hold, and there is nothing to save; what is
    changed then is saved.
    """

    def view(request: Request) -> str:
        session = request.typed_session
        with pytest.raises(SessionReadOnly) as caught, session_readonly(request):
            change(request)
        assert caught.value.fields == ("cart", "visited", "session['list']")
        assert request.typed_session is session
        session.page_views += int(request.GET["views"])
        return f"{session.cart[0].quantity} {session.visited} {request.session['list']}"

    verbs.take()
    assert visitor.visit(view, "views=0").text == "1 set() [1]"
    assert verbs.take() == ["load"]
    assert visitor.visit(view, "views=1").text == "1 set() [1]"
    assert verbs.take() == ["load", "save"]
    expect_as_it_was(visitor)
    assert visitor.visit(lambda request: request.typed_session.page_views).text == "1"


def test_wrong_type_deep_inside(visitor: Browser) -> None:
    """What could not even be stored is named and undone like any other change, and so is what is beside it."""

    def spoil(request: Any, wrong: object) -> None:
        change(request)
        request.typed_session.cart[0].quantity = wrong
        request.session["list"].append(object())

    def view(request: Any) -> str:
        for wrong in ("x", object()):
            with pytest.raises(SessionReadOnly) as caught, session_readonly(request):
                spoil(request, wrong)
            assert "cart" in caught.value.fields
            assert request.typed_session.visited == set()
            assert request.session["list"] == [1]
        return "done"

    assert visitor.visit(view).text == "done"
    expect_as_it_was(visitor)


def test_what_could_not_be_stored_before(visitor: Browser) -> None:
    """What others had put there, and no session can hold, stays theirs: only what the part has changed is undone."""

    def view(request: Any) -> str:
        session, wrong = request.typed_session, object()
        session.currency = wrong
        request.session["wrong"] = wrong
        with pytest.raises(SessionReadOnly) as caught, session_readonly(request):
            change(request)
        assert caught.value.fields == ("cart", "visited", "session['list']")
        assert (session.currency, request.session["wrong"], request.session["list"]) == (wrong, wrong, [1])
        session.cart[0].quantity = wrong
        with pytest.raises(SessionReadOnly) as caught, session_readonly(request):
            session.cart[0].quantity = 3  # in place of what nobody has kept
        assert (caught.value.fields, session.cart[0].quantity) == (("cart",), 3)
        request.typed_session = ShopSession(cart=[CartLine("tea")])
        del request.session["wrong"]
        return "done"

    assert visitor.visit(view).text == "done"
    expect_as_it_was(visitor)


@pytest.mark.parametrize("wrong", [3, object()], ids=["storable", "not storable"])
def test_error_of_the_view(visitor: Browser, wrong: object) -> None:
    """What the view raises by itself goes through; nested changes are undone all the same."""

    @session_readonly
    def view(request: Any) -> None:
        change(request)
        request.typed_session.cart[0].quantity = wrong
        raise Http404("no such page")

    @session_readonly
    async def async_view(request: Any) -> None:
        await request.session.aget("seen")
        change(request)
        request.typed_session.cart[0].quantity = wrong
        raise Http404

    for each in (view, async_view):
        assert visitor.visit(each).status == 404
        expect_as_it_was(visitor)


@pytest.mark.parametrize("is_lazy", [False, True])
def test_answer_that_says_something_went_wrong(visitor: Browser, in_template: Any, is_lazy: bool) -> None:
    """An answer of 500 and above goes out, rendered lazily or not, and nested changes are undone."""
    page = in_template("own words")

    @session_readonly
    def view(request: Any) -> HttpResponse:
        change(request)
        if is_lazy:
            return TemplateResponse(request, page, status=503)
        return HttpResponse("own words", status=503)

    answer = visitor.visit(view)
    assert (answer.status, answer.text) == (503, "own words")
    expect_as_it_was(visitor)


def test_page_that_is_rendered_later(visitor: Browser, in_template: Callable[[str], str]) -> None:
    """The template of such a view may read the session and not change it; behind it middleware may."""
    pages = {
        "read": in_template("{{ request.typed_session.currency }}"),
        "nested": in_template("{{ request.typed_session.cart.clear }}"),
        "said": in_template("{{ request.session.clear }}"),
    }

    @session_readonly
    def view(request: Any) -> TemplateResponse:
        return TemplateResponse(request, pages[request.GET["page"]])

    @session_readonly
    async def async_view(request: Any) -> TemplateResponse:
        await request.session.aget_typed_session()
        return TemplateResponse(request, pages[request.GET["page"]])

    for each in (view, async_view):
        assert visitor.visit(each, "page=read").text == "EUR"
        for page in ("nested", "said"):
            assert visitor.visit(each, f"page={page}").status == 500
            expect_as_it_was(visitor)

    def around(request: Any) -> str:
        text = view(request).render().text
        request.typed_session.page_views += 1
        return f"{text} {request.typed_session.page_views}"

    assert visitor.visit(around, "page=read").text == "EUR 1"


def test_rendering_that_fails(visitor: Browser, in_template: Callable[[str], str]) -> None:
    """If the page cannot be rendered, what was changed before is undone too, whatever the visitor is answered."""
    page = in_template("{{ request.typed_session.cart.clear }}{{ fail }}")

    def fail() -> None:
        raise Http404

    @session_readonly
    def view(request: Any) -> TemplateResponse:
        return TemplateResponse(request, page, {"fail": fail})

    assert visitor.visit(view).status == 404
    expect_as_it_was(visitor)


class Around:
    """A middleware that changes the session before and after the view."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        if iscoroutinefunction(self.get_response):
            return self._acall(request)
        self._change(request)
        response = self.get_response(request)
        self._change(request)
        return response

    async def _acall(self, request: Any) -> Any:
        await request.session.aget("list")
        await request.session.aget_typed_session()
        self._change(request)
        response = await self.get_response(request)
        self._change(request)
        return response

    def _change(self, request: Any) -> None:
        request.typed_session.page_views += 1
        request.typed_session.cart.append(CartLine("gift"))
        request.session.setdefault("list", []).append(0)


@pytest.mark.parametrize("is_read", [True, False])
def test_changes_around_the_view(new_site: Callable[..., Browser], is_read: bool) -> None:
    """What middleware changes around the view is its own affair, and is saved; what the view changes is not."""
    browser = new_site(OURS, f"{__name__}.Around")

    def view(request: Any) -> str:
        if not is_read:
            return "page"
        with suppress(SessionReadOnly), session_readonly(request):
            request.typed_session.cart.clear()
            request.session["list"].clear()
        return "page"

    @session_readonly
    def look(request: Any) -> str:
        session = request.typed_session
        return f"{session.page_views} {len(session.cart)} {request.session['list']}"

    assert browser.visit(session_readonly(view)).status == (500 if is_read else 200)
    if is_read:  # the answer of 500 saves nothing; around a part of the view it is caught
        assert browser.visit(view).status == 200
    assert browser.visit(look).text == "3 3 [0, 0, 0]"


def test_within_each_other(visitor: Browser) -> None:
    """The outermost block counts, and undoes what was changed in any of them."""

    def inside(request: Any, option: Any) -> None:
        with session_readonly(request), session_passive(request):
            change(request)
        with pytest.raises(SessionReadOnly):
            request.typed_session.currency = "USD"
        with option:
            pass
        with pytest.raises(SessionReadOnly):
            request.session["x"] = 1

    def view(request: Any) -> str:
        option = session_readonly(request)
        with pytest.raises(SessionReadOnly), option:
            inside(request, option)
        return "done"

    assert visitor.visit(view).text == "done"
    expect_as_it_was(visitor)
    assert visitor.visit(session_readonly(lambda request: inside(request, session_readonly(request)))).status == 500
    expect_as_it_was(visitor)


def test_exclusive_within(visitor: Browser, record_of: Look) -> None:
    """In a read-only view the session may be had for oneself, and is not saved for it."""

    def body(request: Any) -> str:
        with session_exclusive(request):
            assert record_of(visitor).lease is not None
            with pytest.raises(SessionReadOnly):
                request.typed_session.currency = "USD"
            request.typed_session.visited.add("here")
        return "done"

    assert visitor.visit(session_readonly(body)).status == 500
    expect_as_it_was(visitor)
    assert record_of(visitor).lease is None


def test_what_others_save_meanwhile_is_no_change(visitor: Browser, meanwhile: Meanwhile) -> None:
    """What comes in with the lease is neither blamed on the view nor undone."""

    def view(request: Any) -> str:
        assert request.typed_session.currency == "EUR"
        with session_readonly(request):
            meanwhile(visitor).visit(lambda request: setattr(request.typed_session, "currency", "USD"))
            with session_exclusive(request):
                assert request.typed_session.currency == "USD"
        return str(request.typed_session.currency)

    assert visitor.visit(view).text == "USD"
    assert visitor.visit(lambda request: request.typed_session.currency).text == "USD"


def test_change_beside_what_others_save(visitor: Browser, meanwhile: Meanwhile) -> None:
    """What the view then changes in the same field is its own, and goes back to what the others have saved."""

    def view(request: Any) -> str:
        assert len(request.typed_session.cart) == 1
        with pytest.raises(SessionReadOnly) as caught, session_readonly(request):
            wait_and_change(request)
        assert caught.value.fields == ("cart",)
        return cart(request)

    def wait_and_change(request: Any) -> None:
        meanwhile(visitor).visit(put_in_cart("cup"))
        with session_exclusive(request):
            request.typed_session.cart.clear()

    assert visitor.visit(view).text == "['tea', 'cup'] cup"
    assert visitor.visit(cart).text == "['tea', 'cup'] cup"


# What goes on all the same


def test_visitor_without_a_session(browser: Browser) -> None:
    """Reading begins no session, and a visitor's session cannot be begun there."""

    @session_readonly
    def view(request: Any) -> str:
        with pytest.raises(SessionReadOnly):
            request.typed_session.currency = "USD"
        with pytest.raises(SessionReadOnly):
            request.session["x"] = 1
        return str(request.typed_session.currency)

    @session_readonly
    def nested(request: Any) -> None:
        request.typed_session.visited.add("here")

    answer = browser.visit(view)
    assert (answer.text, answer.ours) == ("EUR", {})
    answer = browser.visit(nested)
    assert (answer.status, answer.ours) == (500, {})


def test_client_by_header(browser: Browser, configure: Configure) -> None:
    """A client whose session comes by header is treated alike."""
    configure(HEADERS=["/"])
    client = ApiClient(browser.ask)
    client.visit(put_in_cart())
    assert client.visit(session_readonly(cart)).text == "['a'] a"
    assert client.visit(session_readonly(lambda request: request.typed_session.cart.clear())).status == 500
    assert client.visit(cart).text == "['a'] a"


@pytest.mark.parametrize("user_exists", [True, False])
def test_sign_in_is_a_change(visitor: Browser, user: User, other_user: User, user_exists: bool) -> None:
    """Nobody is signed in there, and who was stays signed in with the session as it was."""
    if user_exists:
        visitor.visit(sign_in(user))
    before = visitor.visit(who).text
    answer = visitor.visit(session_readonly(lambda request: login(request, user)))
    assert (answer.status, answer.ours) == (500, {})
    assert visitor.visit(who).text == before


@pytest.mark.parametrize("end", [logout, lambda request: request.session.flush()], ids=["logout", "flush"])
def test_ending_goes_through(visitor: Browser, user: User, end: Body) -> None:
    """To end the session is no change of it; what begins after it is as read-only as before."""
    visitor.visit(sign_in(user))
    kept = visitor.copy()

    @session_readonly
    def view(request: Any) -> str:
        end(request)
        with pytest.raises(SessionReadOnly):
            request.typed_session.currency = "USD"
        return state(request)

    answer = visitor.visit(view)
    assert (answer.text, answer.ours[ID]) == ("anonymous None", "")
    assert kept.visit(status).text == "ended logged_out"


def test_object_of_the_session_that_ended(visitor: Browser) -> None:
    """Behind the block the restraint is over also for the object of the session that ended in it."""

    def view(request: Any) -> str:
        session = request.typed_session
        with session_readonly(request):
            logout(request)
        session.currency = "USD"
        return str(session.currency)

    assert visitor.visit(view).text == "USD"


@pytest.mark.parametrize("change", [{"is_active": False}, {"password": "another"}])
def test_revoked_account(visitor: Browser, user: User, change: dict[str, object]) -> None:
    """A sign-in that is not good any more ends in such a view as in any."""
    visitor.visit(sign_in(user))
    User.objects.update(**change)

    @session_readonly
    def view(request: Any) -> str:
        return f"{request.user.is_authenticated} {request.typed_session.is_authenticated}"

    answer = visitor.visit(view)
    assert (answer.status, answer.text, answer.ours[ID]) == (200, "False False", "")


@pytest.mark.parametrize("is_async", [False, True])
def test_hash_after_a_new_secret_key(visitor: Browser, user: User, settings: Settings, is_async: bool) -> None:
    """After a change of SECRET_KEY the sign-in gets its new hash, and a new token as Django has it."""
    visitor.visit(sign_in(user))
    token = visitor.token
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "new, and long enough for all of them"

    @session_readonly
    def view(request: Any) -> str:
        return f"{request.user} {request.typed_session.user_name}"

    @session_readonly
    async def async_view(request: Any) -> str:
        return f"{await request.auser()} {(await request.session.aget_typed_session()).user_name}"

    answer = visitor.visit(async_view if is_async else view)
    assert (answer.status, answer.text) == (200, "ada ada")
    assert answer.ours[ID] != token
    settings.SECRET_KEY_FALLBACKS = []
    assert visitor.visit(view).text == "ada ada"


@pytest.mark.parametrize("is_async", [False, True])
def test_snapshot_of_the_user(visitor: Browser, user: User, configure: Configure, clock: Clock, is_async: bool) -> None:
    """A new snapshot is taken, the fields that show the user are filled anew, and both are stored."""
    configure(USER_SNAPSHOT_AGE=60)
    visitor.visit(sign_in(user))
    User.objects.update(first_name="Augusta")
    clock.advance(61)

    @session_readonly
    def view(request: Any) -> str:
        return f"{request.user.first_name} {request.typed_session.first_name}"

    @session_readonly
    async def async_view(request: Any) -> str:
        return f"{(await request.auser()).first_name} {(await request.session.aget_typed_session()).first_name}"

    assert visitor.visit(async_view if is_async else view).text == "Augusta Augusta"
    User.objects.update(first_name="Ada")  # which the snapshot does not know
    assert visitor.visit(view).text == "Augusta Augusta"


def test_snapshot_beside_a_nested_change(visitor: Browser, user: User, configure: Configure, clock: Clock) -> None:
    """What the framework has written stands when the view's own changes are undone."""
    configure(USER_SNAPSHOT_AGE=60)
    visitor.visit(sign_in(user))
    User.objects.update(first_name="Augusta")
    clock.advance(61)

    def show(request: Any) -> None:
        assert request.user.first_name == "Augusta"
        change(request)

    def view(request: Any) -> str:
        with pytest.raises(SessionReadOnly) as caught, session_readonly(request):
            show(request)
        assert caught.value.fields == ("cart", "visited", "session['list']")
        return str(request.typed_session.first_name)

    assert visitor.visit(view).text == "Augusta"
    assert visitor.visit(lambda request: request.typed_session.first_name).text == "Augusta"
    assert visitor.visit(who).text.startswith("ada ada ")


def test_messages_are_of_the_middleware(visitor: Browser, settings: Settings) -> None:
    """A message for the next page is kept in the session, as middleware around the view stores it."""
    settings.MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

    @session_readonly
    def view(request: Any) -> str:
        messages.info(request, "saved")
        return "page"

    @session_readonly
    def show(request: Any) -> str:
        return str([str(message) for message in messages.get_messages(request)])

    assert visitor.visit(view).text == "page"
    assert [visitor.visit(show).text for _ in range(2)] == ["['saved']", "[]"]


def test_csrf_token_in_the_session(new_browser: NewBrowser, settings: Settings) -> None:
    """With CSRF_USE_SESSIONS the token of a form on such a page is stored, and opens the view that it is sent to."""
    settings.CSRF_USE_SESSIONS = True
    browser = new_browser()

    @session_readonly
    def view(request: Any) -> str:
        return get_token(request) if request.method == "GET" else "taken"

    token = browser.visit(view).text
    assert browser.post(address(view), csrfmiddlewaretoken=token).text == "taken"
    assert browser.post(address(view), csrfmiddlewaretoken="x" * 64).status == 403


def test_sliding_goes_on(visitor: Browser, clock: Clock, verbs: Verbs, record_of: Look) -> None:
    """A page that is only read is a use of the session all the same."""
    before = record_of(visitor)
    clock.advance(3600)
    verbs.take()
    assert visitor.visit(session_readonly(read)).status == 200
    assert verbs.take() == ["load", "touch"]
    assert record_of(visitor).expires == before.expires + 3600


def test_every_request_saves(visitor: Browser, settings: Settings, clock: Clock, record_of: Look) -> None:
    """SESSION_SAVE_EVERY_REQUEST goes on too, and stores no change."""
    settings.SESSION_SAVE_EVERY_REQUEST = True
    before = record_of(visitor)
    clock.advance(10)
    assert visitor.visit(session_readonly(read)).status == 200
    after = record_of(visitor)
    assert (after.expires, after.data, after.bag) == (before.expires + 10, before.data, before.bag)


def test_saving_when_told(visitor: Browser, configure: Configure) -> None:
    """With SAVE="explicit" it is the same."""
    configure(SAVE="explicit")
    for do in (CHANGES["field"][0], CHANGES["save"][0], change):
        assert visitor.visit(session_readonly(do)).status == 500
        expect_as_it_was(visitor)


# What it stands on


def test_async_view_that_does_not_look_like_one(visitor: Browser) -> None:
    """What a plain function hands on to be awaited is restrained until it has been."""

    async def inner(request: Any) -> str:
        await request.session.aget_typed_session()
        if "change" in request.GET:
            change(request)
        with pytest.raises(SessionReadOnly):
            await request.session.aset("x", 1)
        return "done"

    @session_readonly
    def hidden(request: Any) -> Any:
        return inner(request)

    async def view(request: Any) -> Any:
        answer = await hidden(request)
        await request.session.aset("seen", "tea")
        return answer

    assert visitor.visit(view).text == "done"
    assert visitor.visit(view, "change").status == 500
    expect_as_it_was(visitor)


def test_request_of_rest_framework(visitor: Browser) -> None:
    """`with` takes REST framework's request too."""

    class Api(APIView):
        def get(self, request: Any) -> Response:
            with pytest.raises(SessionReadOnly), session_readonly(request):
                request.session["x"] = 1
            request.session["x"] = 2
            return Response("done")

    assert visitor.visit(Api.as_view()).text == '"done"'
    assert visitor.visit(lambda request: request.session["x"]).text == "2"


def test_request_without_a_typed_session() -> None:
    """A request that did not come through the middleware is told what is missing."""
    request = RequestFactory().get("/")
    with pytest.raises(MissingSession, match="TypedSessionMiddleware"):
        session_readonly(request)
    with pytest.raises(MissingSession, match="TypedSessionMiddleware"):
        session_readonly(lambda request: "page")(request)


@pytest.mark.parametrize("thing", [None, 5, "view", ShopSession()])
def test_what_is_neither_view_nor_request(thing: Any) -> None:
    """Anything else is told as what it is."""
    with pytest.raises(TypeError, match="is neither a view nor a request"):
        session_readonly(thing)


def test_update_from_outside(visitor: Browser) -> None:
    """What is said to be changed by itself, past the request, is changed."""

    @session_readonly
    def view(request: Any) -> str:
        session = live_sessions.update(request.typed_session.id, lambda session: setattr(session, "currency", "USD"))
        return f"{session.currency} {request.typed_session.currency}"

    assert visitor.visit(view).text == "USD EUR"
    assert visitor.visit(lambda request: request.typed_session.currency).text == "USD"
