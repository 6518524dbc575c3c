"""REST framework's pages for people: each route has one, with a form where something can be sent."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from tests.rest_framework.clients import SESSION, SESSIONS, SIGN_IN, SIGN_OUT
from tests.rest_framework.conftest import Configure

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.usefixtures("engine")

PASSWORD = "a good one"


@pytest.fixture
def browser(db: None) -> APIClient:
    """Asks for pages, keeps cookies, and has nothing but the forms in them."""
    return APIClient(enforce_csrf_checks=True, headers={"Accept": "text/html"})


def page(answer: Any) -> str:
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    return str(answer.content.decode())


def csrf_token(text: str) -> str:
    """Where the forms of a page have it, and its script."""
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"|"csrfToken": "(\w+)"', text)
    assert found
    return found[1] or found[2]


def sign_in(browser: APIClient) -> Any:
    form = {"username": "ada", "password": PASSWORD, "remember": "true"}
    token = csrf_token(page(browser.get(SIGN_IN)))
    return browser.post(SIGN_IN, {**form, "csrfmiddlewaretoken": token}, format="multipart")


def test_signing_in_by_the_form(browser: APIClient, user: User) -> None:
    """The page of the sign-in has a form for it, which signs in; the password is in neither page."""
    answer = browser.get(SIGN_IN)
    assert answer.status_code == 405
    text = page(answer)
    assert [name for name in ("username", "password", "remember") if f'name="{name}"' not in text] == []
    assert 'type="password"' in text
    signed_in = sign_in(browser)
    assert (signed_in.status_code, "Ada Lovelace" in page(signed_in)) == (200, True)
    assert '<li class="navbar-text">ada</li>' in page(signed_in)
    assert PASSWORD not in page(signed_in)
    assert {"ss-pid", "ss-opt"} <= set(signed_in.cookies)


def test_form_that_is_refused_is_shown_again(browser: APIClient, user: User) -> None:
    """Wrong credentials are a 401, and an empty form a 400 with what is missing beside it, as pages."""
    token = csrf_token(page(browser.get(SIGN_IN)))
    answer = browser.post(
        SIGN_IN, {"username": "ada", "password": "?", "csrfmiddlewaretoken": token}, format="multipart"
    )
    assert (answer.status_code, "No active account" in page(answer)) == (401, True)
    answer = browser.post(SIGN_IN, {"csrfmiddlewaretoken": token}, format="multipart")
    assert (answer.status_code, "This field is required." in page(answer)) == (400, True)


def test_form_of_another_site_is_refused(browser: APIClient, user: User) -> None:
    """REQ-S36: the form without its token signs nobody in."""
    answer = browser.post(SIGN_IN, {"username": "ada", "password": PASSWORD}, format="multipart")
    assert (answer.status_code, "CSRF Failed" in page(answer)) == (403, True)


@pytest.mark.parametrize("path", [SIGN_IN, SIGN_OUT, SESSION, SESSIONS, f"{SESSIONS}{'0' * 40}/"])
@pytest.mark.parametrize("is_signed_in", [False, True], ids=["visitor", "user"])
def test_every_route_has_a_page(browser: APIClient, user: User, path: str, is_signed_in: bool) -> None:
    """Visitors and users see a page of each route, whatever its status, by GET and by OPTIONS."""
    if is_signed_in:
        sign_in(browser)
    for answer in (browser.get(path), browser.options(path)):
        assert answer.status_code in (200, 401, 405)
        assert "<h1>" in page(answer)


def test_page_of_the_session_has_a_form_to_change_it(browser: APIClient, user: User) -> None:
    """What can be changed stands in the form of the session's page, and what it sends changes the session."""
    sign_in(browser)
    text = page(browser.get(SESSION))
    (content,) = re.findall(r'<textarea[^>]*name="_content"[^>]*>(.*?)</textarea>', text, re.S)
    found = json.loads(html.unescape(content))
    assert {"currency": "EUR", "cart": [], "note": None, "gift": False, "coupon": ""}.items() <= found.items()
    answer = browser.patch(
        SESSION,
        json.dumps({**found, "cart": [{"sku": "cup"}]}),
        content_type="application/json",
        headers={"X-CSRFToken": csrf_token(text)},
    )
    assert (answer.status_code, "cup" in page(answer)) == (200, True)


def test_page_of_the_sessions(browser: APIClient, user: User) -> None:
    """The list is a page too, with a button that ends the others."""
    sign_in(browser)
    text = page(browser.get(SESSIONS))
    assert "is_current" in text
    assert 'data-method="DELETE"' in text


def test_pages_show_no_token(browser: APIClient, user: User, settings: Settings, configure: Configure) -> None:
    """REQ-S22: no page has a token in it."""
    configure(HEADERS=[])
    sign_in(browser)
    tokens = [browser.cookies[name].value for name in ("ss-id", "ss-pid")]
    for path in (SESSION, SESSIONS, SIGN_OUT):
        assert not any(token in page(browser.get(path)) for token in tokens)


def test_values_are_escaped(browser: APIClient, user: User) -> None:
    """What people have put into their session is text in a page, and no markup."""
    sign_in(browser)
    token = csrf_token(page(browser.get(SESSION)))
    answer = browser.patch(
        SESSION,
        json.dumps({"note": "</textarea><script>alert(1)</script>"}),
        content_type="application/json",
        headers={"X-CSRFToken": token},
    )
    assert answer.status_code == 200
    assert "<script>alert" not in page(browser.get(SESSION))
