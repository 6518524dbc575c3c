"""How people get in, and what the packages have noted of them."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth import authenticate
from django.contrib.auth.models import User

from tests.web.browser import Browser
from tests.web.conftest import PASSWORD
from tests.web.signing import Request, state
from tests.web.urls import View
from typed_sessions.auth import login

__all__ = ["PASSWORD", "open_form", "rows_of", "sign_in"]


def sign_in(user: User, remember: bool | None = None) -> View:
    """Signs the user in by name and password, as a view of the project does."""

    def view(request: Request) -> str:
        name = user.get_username()
        found = authenticate(request, username=name, password=PASSWORD, remember=remember)
        assert found is not None
        login(request, found)
        return state(request)

    return view


def open_form(browser: Browser) -> None:
    """A page with a form, from which the browser has the token that a POST needs."""
    assert browser.get("/admin/login/?next=/").status in (200, 302)


def rows_of(model: str) -> Any:
    """The rows of a package's model, oldest first."""
    return apps.get_model(model)._default_manager.order_by("pk")
