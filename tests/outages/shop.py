"""The pages of a shop. Each says what it found in the session, and then changes something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse

from tests.sessions import CartLine, ShopSession
from typed_sessions import SessionStatus, TypedRequest, aget_session
from typed_sessions.auth import alogin, login

Request = TypedRequest[ShopSession]


def _enter(request: Request, mark: str) -> None:
    """The visitor's canary, in a field and in the bag."""
    request.typed_session.gift_note = mark
    request.session["canary"] = mark


def _add(request: Request, mark: str) -> None:
    if mark not in skus(request.typed_session):
        request.typed_session.cart.append(CartLine(mark, options={"engraving": []}))


def _engrave(request: Request, mark: str) -> None:
    """Deep in what is there already, if anything is."""
    if request.typed_session.cart and mark not in engraved(request.typed_session):
        request.typed_session.cart[0].options["engraving"].append(mark)


def _sign_in(request: Request, mark: str) -> None:
    user, _ = User.objects.get_or_create(username=mark)
    login(request, user, remember=request.GET["remember"] == "yes")


def _look(request: Request, mark: str) -> None:
    pass


PAGES: Mapping[str, Callable[[Request, str], None]] = {
    "enter": _enter,
    "add": _add,
    "engrave": _engrave,
    "sign-in": _sign_in,
    "look": _look,
}
"""What can be done, with a mark that nobody else has. Done again it is no other thing."""


def skus(session: ShopSession) -> list[str]:
    return [line.sku for line in session.cart]


def engraved(session: ShopSession) -> list[str]:
    return [mark for line in session.cart for mark in line.options["engraving"]]


def found_in(session: ShopSession, canary: object) -> dict[str, Any]:
    """What a visitor left in the session, and ``canary``, which is that in the bag."""
    return {
        "notes": [session.gift_note, canary or ""],
        "cart": skus(session),
        "engraved": engraved(session),
        "user": session.user_name or "",
    }


def _shown(request: Request, session: ShopSession, canary: object) -> HttpResponse:
    """What was found. A page for ``members`` sends everybody else to the sign-in."""
    found = {**found_in(session, canary), "status": session.status.value, "id": session.id}
    if "members" in request.GET and not session.is_authenticated:
        return HttpResponseRedirect(f"/sign-in/?why={session.status.value}")
    if session.status is SessionStatus.LOST:
        session.landing_page = "we are sorry"  # begins another session, whatever the page does
    return JsonResponse(found)


def page(request: Request, name: str) -> HttpResponse:
    response = _shown(request, request.typed_session, request.session.get("canary"))
    if response.status_code == 200:
        PAGES[name](request, request.GET["mark"])
    return response


async def async_page(request: Request, name: str) -> HttpResponse:
    session, mark = await aget_session(request, ShopSession), request.GET["mark"]
    response = _shown(request, session, await request.session.aget("canary"))
    if response.status_code != 200:
        return response
    if name == "enter":
        session.gift_note = mark
        await request.session.aset("canary", mark)
    elif name == "sign-in":
        user, _ = await User.objects.aget_or_create(username=mark)
        await alogin(request, user, remember=request.GET["remember"] == "yes")
    else:
        PAGES[name](request, mark)
    return response
