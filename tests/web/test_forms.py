"""The forms and the view for signing in: remember me, a veto's reason, and the password alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from django import forms
from django.conf import settings as django_settings
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy

from tests.engines.rows import UseEngine
from tests.sessions import ShopSession
from tests.web.browser import ID, OPT, PID, ApiClient, Browser
from tests.web.conftest import PASSWORD
from tests.web.signing import cart, put_in_cart, sign_in, sign_out, state, status, who
from tests.web.urls import View, address
from typed_sessions.backends.base import SessionStore
from typed_sessions.decorators import recent_auth_required
from typed_sessions.forms import ConfirmPasswordForm, RememberMeMixin, SignInForm
from typed_sessions.testing.engines import Clock, Configure
from typed_sessions.views import ConfirmPasswordView

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django import Settings


@dataclass
class ClosedSession(ShopSession):
    """Refuses whoever wants to sign in."""

    reason: ClassVar[object] = "The shop is closed on Sundays."

    def validate(self, request: Any, user: Any) -> object:
        return self.reason


CLOSED = f"{__name__}.{ClosedSession.__name__}"


@pytest.fixture(autouse=True)
def engine(use_engine: UseEngine, handler: str) -> type[SessionStore]:
    """A form does not know the engine: each handler has another one."""
    return use_engine({"wsgi": "db", "asgi": "redis"}[handler])


@pytest.fixture(autouse=True)
def _page(tmp_path: Path, settings: Settings) -> None:
    """The page of a form: its token, its errors, its fields."""
    (tmp_path / "form.html").write_text("{% csrf_token %}{{ form.errors }}|{{ form.remember }}")
    settings.TEMPLATES = [{**django_settings.TEMPLATES[0], "DIRS": [tmp_path]}]


def sign_in_page(form: type[forms.Form] = SignInForm) -> View:
    """Django's own page, with a form of ours."""
    return LoginView.as_view(authentication_form=form, template_name="form.html")


def send(browser: Browser, view: View, password: str = PASSWORD, **form: str) -> Any:
    """Opens the page, and sends its form."""
    browser.visit(view)
    return browser.post(address(view), username="ada", password=password, **form)


@pytest.mark.parametrize("by_default", [False, True])
@pytest.mark.parametrize(("sent", "mode"), [({"remember": "on"}, "perm"), ({}, "temp")])
def test_remember_me_in_djangos_page(
    browser: Browser, user: User, configure: Configure, sent: dict[str, str], mode: str, by_default: bool
) -> None:
    """Django's `LoginView` with our form signs in for as long as was chosen, whatever is chosen by default."""
    configure(REMEMBER_DEFAULT=by_default)
    browser.visit(put_in_cart())
    answer = send(browser, sign_in_page(), **sent)
    assert (answer.status, answer.ours[OPT]) == (302, mode)
    assert browser.visit(who).text.startswith("ada ada")
    assert browser.visit(cart).text == "['a'] a"


@pytest.mark.parametrize("by_default", [False, True])
def test_what_is_ticked_at_first(browser: Browser, configure: Configure, by_default: bool) -> None:
    """The box is ticked where REMEMBER_DEFAULT says so."""
    configure(REMEMBER_DEFAULT=by_default)
    assert ("checked" in browser.visit(sign_in_page()).text.split("|")[1]) is by_default


def test_s13_wrong_password_in_djangos_page(browser: Browser, user: User) -> None:
    """A wrong password, with the box ticked, is Django's own error and changes nothing."""
    browser.visit(put_in_cart())
    before = dict(browser.cookies)
    answer = send(browser, sign_in_page(), "wrong", remember="on")
    assert (answer.status, answer.ours) == (200, {})
    assert "Please enter a correct username and password" in answer.text
    assert {name: browser.cookies[name] for name in before} == before


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("The shop is closed on Sundays.", "The shop is closed on Sundays."),
        (gettext_lazy("Log in"), "Log in"),
        (403, "Please enter a correct username"),
        (HttpResponse("closed"), "Please enter a correct username"),
    ],
    ids=["text", "lazy text", "number", "response"],
)
@pytest.mark.parametrize("sent", [{"remember": "on"}, {}], ids=["perm", "temp"])
def test_veto_in_djangos_page(
    browser: Browser,
    user: User,
    configure: Configure,
    monkeypatch: pytest.MonkeyPatch,
    reason: object,
    shown: str,
    sent: dict[str, str],
) -> None:
    """The reason of a veto is shown if it is a text; the session, and the cookies, stay as they are."""
    configure(SESSION_CLASS=CLOSED)
    monkeypatch.setattr(ClosedSession, "reason", reason)
    browser.visit(put_in_cart())
    token = browser.token
    answer = send(browser, sign_in_page(), **sent)
    assert (answer.status, answer.ours, browser.token) == (200, {}, token)
    assert shown in answer.text
    assert browser.visit(cart).text == "['a'] a"
    assert browser.visit(who).text.startswith("anonymous anonymous")


def test_no_reason_of_another_is_shown(browser: Browser, user: User, configure: Configure) -> None:
    """A wrong password is told like any, where `validate` would have had something against the user."""
    configure(SESSION_CLASS=CLOSED)
    answer = send(browser, sign_in_page(), "wrong")
    assert "Sundays" not in answer.text
    assert "Please enter a correct username" in answer.text


class AdminForm(RememberMeMixin, AdminAuthenticationForm):
    pass


def test_mixin_in_another_form(browser: Browser, user: User) -> None:
    """The mixin gives any form of Django's the choice, and leaves its rules alone."""
    answer = send(browser, sign_in_page(AdminForm), remember="on")
    assert "for a staff account" in answer.text
    User.objects.update(is_staff=True)
    assert send(browser, sign_in_page(AdminForm), remember="on").ours[OPT] == "perm"


class OwnForm(RememberMeMixin):
    """Asks for nothing else, and signs nobody in."""


def test_mixin_in_a_form_that_signs_nobody_in() -> None:
    """A form of the project's own has the choice among its cleaned data."""
    form = OwnForm({"remember": "on"})
    assert form.is_valid()
    assert form.cleaned_data == {"remember": True}


@pytest.mark.parametrize(("password", "errors"), [(PASSWORD, []), ("wrong", ["invalid_login"])])
def test_form_without_a_request(user: User, password: str, errors: list[str]) -> None:
    """A form that is used outside a request says whether the credentials are good."""
    form = SignInForm(None, {"username": "ada", "password": password})
    form.is_valid()
    assert [error.code for error in form.non_field_errors().as_data()] == errors


# The password alone


def confirm(browser: Browser, password: str, view: View | None = None, **form: str) -> Any:
    """Opens the page that asks for the password, and sends it."""
    view = view or ConfirmPasswordView.as_view()
    shown = browser.visit(view)
    assert shown.status == 200
    assert "no-store" in shown["Cache-Control"]
    return browser.post(address(view), password=password, **form)


@pytest.mark.parametrize("remember", [False, True])
def test_right_password(browser: Browser, user: User, clock: Clock, remember: bool) -> None:
    """A right password is a new sign-in: a new token in the same mode, the same data, and a time of its own."""
    browser.visit(sign_in(user, remember))
    browser.visit(put_in_cart())
    before = browser.copy()
    clock.advance(3600)
    answer = confirm(browser, PASSWORD)
    assert (answer.status, answer["Location"], answer.ours[OPT]) == (
        302,
        "/accounts/profile/",
        "perm" if remember else "temp",
    )
    assert browser.token != before.token
    assert before.visit(status).text == "ended rotated"
    assert browser.visit(cart).text == "['a'] a"
    assert browser.visit(lambda request: request.typed_session.authenticated_at.timestamp()).text == f"{clock.now}.0"


@pytest.mark.parametrize("password", ["wrong", "", PASSWORD.upper(), f" {PASSWORD} "])
def test_s13_wrong_password(browser: Browser, user: User, password: str) -> None:
    """After a wrong password everything is as it was: the session, its token, and who is signed in."""
    browser.visit(sign_in(user, remember=True))
    before = browser.visit(state).text
    answer = confirm(browser, password)
    assert (answer.status, answer.ours) == (200, {})
    assert ("This is not your password." if password else "This field is required.") in answer.text
    assert browser.visit(state).text == before


def test_password_of_another_user(browser: Browser, user: User, other_user: User) -> None:
    """Only the password of whoever is signed in counts, whatever name is sent along."""
    other_user.set_password("hers")
    other_user.save()
    browser.visit(sign_in(user))
    assert confirm(browser, "hers", username="grace").status == 200
    assert browser.visit(who).text.startswith("ada ada")


class AnybodysBackend(ModelBackend):
    """Takes one user's name and password for another one, as an alias of an account might."""

    def authenticate(self, request: Any, username: Any = None, password: Any = None, **kwargs: Any) -> Any:
        return User.objects.get(username="grace") if password == "alias" else None


def test_backend_that_finds_another_user(browser: Browser, user: User, other_user: User, settings: Settings) -> None:
    """Nobody becomes somebody else by confirming a password."""
    browser.visit(sign_in(user))
    settings.AUTHENTICATION_BACKENDS = [*django_settings.AUTHENTICATION_BACKENDS, f"{__name__}.AnybodysBackend"]
    assert "This is not your password." in confirm(browser, "alias").text
    assert browser.visit(who).text.startswith("ada ada")


def test_visitor_has_no_password_to_confirm(browser: Browser, user: User) -> None:
    """Who is not signed in is sent to sign in, from the page and from its form."""
    view = ConfirmPasswordView.as_view()
    browser.get("/admin/login/")  # for its token
    for answer in (browser.visit(view), browser.post(address(view), password=PASSWORD)):
        assert answer.status == 302
        assert answer["Location"].startswith(f"/accounts/login/?next={address(view)}")
    assert browser.visit(who).text.startswith("anonymous anonymous")


def test_s37_form_of_another_site(browser: Browser, user: User) -> None:
    """Without the token of forms the password is not looked at."""
    view = ConfirmPasswordView.as_view()
    browser.visit(sign_in(user))
    browser.visit(view)
    answer = browser.copy(ID, OPT).post(address(view), password=PASSWORD)
    assert answer.status == 403


@pytest.mark.parametrize(
    ("target", "leads_to"),
    [
        ("/orders/?page=2", "/orders/?page=2"),
        ("", "/accounts/profile/"),
        ("https://evil.example/", "/accounts/profile/"),
        ("//evil.example/", "/accounts/profile/"),
        ("javascript:alert(1)", "/accounts/profile/"),
    ],
)
def test_next_stays_on_this_site(browser: Browser, user: User, target: str, leads_to: str) -> None:
    """The page goes on to `next`, in the form or in its address, if that is on this site."""
    browser.visit(sign_in(user))
    assert confirm(browser, PASSWORD, next=target)["Location"] == leads_to
    view = ConfirmPasswordView.as_view()
    shown = browser.visit(view, f"next={target}").text
    assert (f'name="next" value="{target}"' in shown) is (leads_to == target or not target)


@pytest.mark.parametrize(("page", "leads_to"), [("login", "/accounts/login/"), ("/there/", "/there/")])
def test_where_the_page_leads(browser: Browser, user: User, page: str, leads_to: str) -> None:
    """`next_page` is where the page goes on to unless it is told, as with Django's own."""
    browser.visit(sign_in(user))
    view = ConfirmPasswordView.as_view(next_page=page)
    assert confirm(browser, PASSWORD, view)["Location"] == leads_to
    assert confirm(browser, PASSWORD, view, next="/orders/")["Location"] == "/orders/"


def test_page_asks_by_name(browser: Browser, user: User) -> None:
    """The page says whose password it wants, keeps that name to itself as text, and has one field."""
    User.objects.update(username="<b>ada</b>")
    browser.visit(sign_in(User.objects.get()))
    shown = browser.visit(ConfirmPasswordView.as_view()).text
    assert "&lt;b&gt;ada&lt;/b&gt;" in shown
    assert "<b>" not in shown
    assert shown.count("<input") == 3  # the token of forms, the password, next
    assert 'autocomplete="current-password"' in shown


def test_veto_while_confirming(
    browser: Browser, user: User, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whom `validate` refuses meanwhile is told why, and stays signed in as before."""
    monkeypatch.setattr(ClosedSession, "reason", None)
    configure(SESSION_CLASS=CLOSED)
    browser.visit(sign_in(user))
    before = browser.visit(state).text
    monkeypatch.setattr(ClosedSession, "reason", "The shop is closed on Sundays.")
    answer = confirm(browser, PASSWORD)
    assert (answer.status, answer.ours) == (200, {})
    assert "The shop is closed on Sundays." in answer.text
    assert browser.visit(state).text == before


def test_way_of_a_guarded_page(browser: Browser, user: User, clock: Clock, settings: Settings) -> None:
    """From a page that wants a recent sign-in, over the password, back to it: once, and again when that is too old."""
    confirming = ConfirmPasswordView.as_view()
    guarded = recent_auth_required(300, address(confirming))(lambda request: "the orders")
    browser.visit(sign_in(user, remember=True))
    for _ in range(2):
        clock.advance(301)
        sent_to = browser.visit(guarded, "page=2")["Location"]
        assert sent_to.startswith(f"{address(confirming)}?next=")
        browser.get(sent_to)
        back = browser.post(sent_to, password=PASSWORD)["Location"]
        assert back == f"{address(guarded)}?page=2"
        assert browser.get(back).text == "the orders"
        assert PID in browser.cookies


def test_form_of_a_deactivated_user(user: User) -> None:
    """The form itself lets nobody through whom the backend does not."""
    request = HttpRequest()
    form = ConfirmPasswordForm({"password": PASSWORD}, request=request, user=user)
    assert form.is_valid()
    assert form.confirmed == user
    User.objects.update(is_active=False)
    form = ConfirmPasswordForm({"password": PASSWORD}, request=request, user=user)
    assert not form.is_valid()
    assert form.confirmed is None


def test_confirming_by_header(browser: Browser, user: User, configure: Configure, clock: Clock) -> None:
    """A program may confirm a password too: it learns its new token in a header."""
    configure(HEADERS=["/"])
    client, view = ApiClient(browser.ask), ConfirmPasswordView.as_view()
    client.visit(sign_in(user))
    before = client.copy()
    clock.advance(3600)
    assert client.post(address(view), password=PASSWORD).status == 302
    assert client.token != before.token
    assert before.visit(who).status == 401
    client.visit(sign_out)
