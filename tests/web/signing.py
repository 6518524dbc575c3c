"""Views that the tests sign in and out with, by every path there is."""

from __future__ import annotations

from typing import Any

from django.contrib import auth
from django.contrib.auth.models import User

from tests.sessions import CartLine, ShopSession
from tests.web.urls import View
from typed_sessions import TypedRequest
from typed_sessions.auth import alogin, alogout, login, logout

Request = TypedRequest[ShopSession]


def sign_in(user: User, remember: bool | None = None) -> View:
    """Signs the user in, and shows whether the session knows it at once, and its id."""

    def view(request: Request) -> str:
        login(request, user, remember)
        return state(request)

    return view


def async_sign_in(user: User, remember: bool | None = None) -> View:
    async def view(request: Request) -> str:
        await alogin(request, user, remember)
        return state(request)

    return view


def sign_out(request: Request) -> str:
    logout(request)
    return state(request)


async def async_sign_out(request: Request) -> str:
    await alogout(request)
    return state(request)


def state(request: Request) -> str:
    """Who the session says is signed in, and its id."""
    session = request.typed_session
    return f"{session.user_name if session.is_authenticated else 'anonymous'} {session.id}"


def who(request: Request) -> str:
    """Who the user is by Django, and who by the session."""
    user: Any = auth.get_user(request)
    return f"{user.get_username() or 'anonymous'} {state(request)}"


def status(request: Request) -> str:
    session = request.typed_session
    return f"{session.status.value} {session.end_reason.value if session.end_reason else '-'}"


def put_in_cart(sku: str = "a") -> View:
    def view(request: Request) -> str:
        request.typed_session.cart.append(CartLine(sku))
        request.session["seen"] = sku
        return state(request)

    return view


def cart(request: Request) -> str:
    """What is in the cart, and in the bag."""
    return f"{[line.sku for line in request.typed_session.cart]} {request.session.get('seen')}"


def write_to(field: str, value: object) -> View:
    """Sets one field of the session."""

    def view(request: Request) -> None:
        setattr(request.typed_session, field, value)

    return view
