"""The same views for an event loop."""

from __future__ import annotations

from django.contrib.auth import aauthenticate, alogin, alogout, aupdate_session_auth_hash
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.views.decorators.http import require_GET, require_POST

from tests.sessions import CartLine, ShopSession
from tests.web_servers.site.views import Request, shown
from typed_sessions import aget_session


async def _state(request: Request) -> HttpResponse:
    user = await request.auser()
    return shown(user.get_username(), await aget_session(request, ShopSession))


@require_GET
async def plain(request: Request) -> HttpResponse:
    return HttpResponse("plain")


@require_GET
async def form(request: Request) -> HttpResponse:
    return HttpResponse(get_token(request))


@require_GET
async def who(request: Request) -> HttpResponse:
    return await _state(request)


@require_GET
async def session(request: Request) -> HttpResponse:
    return shown("", await aget_session(request, ShopSession))


@require_POST
async def add_to_cart(request: Request) -> HttpResponse:
    session = await aget_session(request, ShopSession)
    session.cart.append(CartLine(request.POST["sku"]))
    return await _state(request)


@require_POST
async def sign_up(request: Request) -> HttpResponse:
    await User.objects.acreate_user(request.POST["username"], password=request.POST["password"])
    return HttpResponse(status=201)


@require_POST
async def sign_in(request: Request) -> HttpResponse:
    remember = request.POST["remember"] == "yes"
    user = await aauthenticate(
        request, username=request.POST["username"], password=request.POST["password"], remember=remember
    )
    if user is None:
        return HttpResponse("wrong", status=403)
    await alogin(request, user)
    return await _state(request)


@require_POST
async def sign_out(request: Request) -> HttpResponse:
    await alogout(request)
    return await _state(request)


@require_POST
async def change_password(request: Request) -> HttpResponse:
    user = await request.auser()
    if not isinstance(user, User):
        return HttpResponse("nobody", status=403)
    user.set_password(request.POST["password"])
    await user.asave()
    await aupdate_session_auth_hash(request, user)
    return await _state(request)
