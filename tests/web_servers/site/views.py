"""Signing up, in and out with Django's own functions, a cart, and who it is that asks."""

from __future__ import annotations

from django.contrib.auth import authenticate, login, logout, update_session_auth_hash
from django.contrib.auth.models import User
from django.http import HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.views.decorators.http import require_GET, require_POST

from tests.sessions import CartLine, ShopSession
from typed_sessions import TypedRequest

Request = TypedRequest[ShopSession]


def shown(user: str, session: ShopSession) -> JsonResponse:
    """Who the user is by Django and by the session, and what else the session is."""
    return JsonResponse(
        {
            "user": user,
            "user_of_session": session.user_name or "",
            "cart": [line.sku for line in session.cart],
            "mode": session.mode.value,
            "status": session.status.value,
            "id": session.id,
        }
    )


def _state(request: Request) -> HttpResponse:
    return shown(request.user.get_username(), request.typed_session)


@require_GET
def plain(request: Request) -> HttpResponse:
    """Has no use for a session."""
    return HttpResponse("plain")


@require_GET
def form(request: Request) -> HttpResponse:
    """Gives a browser its CSRF token."""
    return HttpResponse(get_token(request))


@require_GET
def who(request: Request) -> HttpResponse:
    return _state(request)


@require_GET
def session(request: Request) -> HttpResponse:
    """What the typed session says by itself."""
    return shown("", request.typed_session)


@require_POST
def add_to_cart(request: Request) -> HttpResponse:
    request.typed_session.cart.append(CartLine(request.POST["sku"]))
    return _state(request)


@require_POST
def sign_up(request: Request) -> HttpResponse:
    User.objects.create_user(request.POST["username"], password=request.POST["password"])
    return HttpResponse(status=201)


@require_POST
def sign_in(request: Request) -> HttpResponse:
    remember = request.POST["remember"] == "yes"
    user = authenticate(
        request, username=request.POST["username"], password=request.POST["password"], remember=remember
    )
    if user is None:
        return HttpResponse("wrong", status=403)
    login(request, user)
    return _state(request)


@require_POST
def sign_out(request: Request) -> HttpResponse:
    logout(request)
    return _state(request)


@require_POST
def change_password(request: Request) -> HttpResponse:
    user = request.user
    if not isinstance(user, User):
        return HttpResponse("nobody", status=403)
    user.set_password(request.POST["password"])
    user.save()
    update_session_auth_hash(request, user)
    return _state(request)
