"""The clients and views of `Django REST framework` in the docs, against a server."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import Group, User
from pytest_django.live_server_helper import LiveServer
from requests import HTTPError
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from tests.test_docs import Project, blocks, docs, project, settings_blocks, settings_of
from typed_sessions import SessionMode, clock, live_sessions
from typed_sessions.models import StoredSession

if TYPE_CHECKING:
    from pytest_django import Settings

__all__ = ["project"]

PAGE = docs("rest-framework")


@pytest.fixture
def site(
    project: Project,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    live_server: LiveServer,
    transactional_db: None,
) -> str:
    """The page's project, on the page's first settings; the address of its server."""
    for name, value in settings_of(settings_blocks(PAGE)[0]).items():
        setattr(settings, name, value)
    # Which REST framework reads once, when it is imported.
    monkeypatch.setattr(APIView, "authentication_classes", api_settings.DEFAULT_AUTHENTICATION_CLASSES)
    project(PAGE)
    settings.ROOT_URLCONF = importlib.import_module("shop.urls")
    return str(live_server.url)


@pytest.fixture(params=["program.Program", "browser.Browser"])
def client(request: pytest.FixtureRequest, site: str) -> Any:
    """A client of the page."""
    module, name = request.param.split(".")
    return getattr(importlib.import_module(f"shop.{module}"), name)(site)


@pytest.fixture
def ada(transactional_db: None) -> User:
    return User.objects.create_user("ada", password="secret")


def test_client_signs_in_and_out(client: Any, ada: User) -> None:
    """Both clients sign in, to be remembered, are the user, change a field, and are nobody after they sign out."""
    with pytest.raises(HTTPError, match="401"):
        client.sign_in("ada", "wrong")
    client.sign_in("ada", "secret")
    (session,) = live_sessions.for_user(ada)
    assert session.mode is SessionMode.PERM
    assert client.ask("PATCH", "/api/session/", {"cart": [{"sku": "cup", "quantity": 2}]}).ok
    shown = client.ask("GET", "/api/session/").json()
    assert (shown["user_name"], shown["cart"]) == ("ada", [{"sku": "cup", "quantity": 2}])
    client.sign_out()
    assert live_sessions.for_user(ada) == []
    assert client.ask("GET", "/api/session/").json()["user_name"] is None


def test_refusal_is_the_one_that_is_shown(client: Any) -> None:
    """A value that a field cannot hold is refused in the words of the page."""
    (shown,) = [json.loads(block.text) for block in blocks(PAGE, "json")]
    answer = client.ask("PATCH", "/api/session/", {"cart": [{"sku": "cup", "quantity": 101}]})
    assert (answer.status_code, answer.json()) == (400, shown)


def test_views_of_the_page(client: Any, ada: User) -> None:
    """The invoice is for accountants who have just signed in, and ending others for staff."""
    assert client.ask("GET", "/api/invoice/").status_code == 401
    client.sign_in("ada", "secret")
    assert client.ask("GET", "/api/invoice/").status_code == 403
    assert client.ask("DELETE", "/api/sessions-of-staff/").status_code == 403
    ada.groups.add(Group.objects.create(name="accounting"))
    User.objects.update(is_staff=True)
    assert client.ask("GET", "/api/invoice/").json() == {"of": "ada", "currency": "EUR"}
    assert client.ask("DELETE", "/api/sessions-of-staff/").json() == {"ended": 0}


def test_what_views_say_of_the_session(client: Any, ada: User) -> None:
    """An order takes what is in the cart, once, and waits while another request has the session."""
    client.sign_in("ada", "secret")
    client.ask("PATCH", "/api/session/", {"cart": [{"sku": "cup"}]})
    (session,) = live_sessions.for_user(ada)
    assert client.ask("GET", "/api/cart-count/").json() == {"lines": 1}
    stored = StoredSession.objects.filter(pk=session.id)
    stored.update(lease=f"{clock.now() + 30} another")
    assert client.ask("POST", "/api/order/").status_code == 503
    stored.update(lease="")
    assert [client.ask("POST", "/api/order/").json() for _ in range(2)] == [{"lines": 1}, {"lines": 0}]


def test_rates_of_the_page(client: Any, ada: User, settings: Settings) -> None:
    """The rates that the page shows are taken."""
    settings.REST_FRAMEWORK = settings_of(settings_blocks(PAGE)[1])["REST_FRAMEWORK"]
    found = []
    for _ in range(11):
        with pytest.raises(HTTPError) as refused:
            client.sign_in("ada", "wrong")
        assert refused.value.response is not None
        found.append(refused.value.response.status_code)
    assert found == [*[401] * 10, 429]
