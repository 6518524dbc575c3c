"""The shop: one page that says who is signed in and what became of the session, and one that puts something into it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from tests.sessions import CartLine, ShopSession
from typed_sessions import get_session


def home(request: HttpRequest) -> HttpResponse:
    return render(request, "home.html")


def add_to_cart(request: HttpRequest) -> HttpResponse:
    session = get_session(request, ShopSession)
    session.cart.append(CartLine(request.GET.get("sku", "<b>teapot</b>"), 2))
    session.gift_note = "for nobody else's eyes"
    request.session["visited"] = ["/", "/cart/"]
    return redirect("home")


def favicon(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=204)
