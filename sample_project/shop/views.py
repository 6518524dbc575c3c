"""The shop's pages. Every view that needs the session says ``get_session(request, ShopSession)`` and has it typed."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe
from django.views.generic import TemplateView

from typed_sessions import TypedSessionMixin, aget_session, get_session, live_sessions
from typed_sessions.auth import logout
from typed_sessions.decorators import recent_auth_required, session_exclusive, session_passive, session_readonly

from . import cart as carts
from . import devices, endings, orders
from .forms import CurrencyForm, EmailForm, GiftNoteForm, QuantityForm
from .inspection import describe
from .products import CATALOGUE, Product
from .sessions import MOST, ShopSession, Visit, latest

CONFIRMED_FOR = 300
"""Seconds after which something sensitive asks for the password again."""


@require_safe
@session_readonly
def products(request: HttpRequest) -> HttpResponse:
    return render(request, "shop/products.html", {"products": CATALOGUE.values()})


@require_safe
def product(request: HttpRequest, sku: str) -> HttpResponse:
    shown = _product_or_404(sku)
    session = get_session(request, ShopSession)
    earlier = [visit for visit in session.recently_viewed if visit.sku != sku]
    session.page_views += 1
    session.recently_viewed = latest([Visit(sku, timezone.now()), *earlier])
    seen = [CATALOGUE[visit.sku] for visit in earlier if visit.sku in CATALOGUE]
    return render(request, "shop/product.html", {"product": shown, "seen": seen[:4], "most": MOST})


@require_safe
@session_readonly
def cart(request: HttpRequest) -> HttpResponse:
    session = get_session(request, ShopSession)
    context = {
        "rows": carts.rows(session),
        "total": carts.total(session),
        "form": GiftNoteForm(initial={"gift_note": session.gift_note}),
        "most": MOST,
    }
    return render(request, "shop/cart.html", context)


@require_GET
@session_passive
@session_readonly
async def cart_summary(request: HttpRequest) -> JsonResponse:
    """For the badge in the header. Pages ask by themselves, which must keep nobody signed in: so it is passive."""
    session = await aget_session(request, ShopSession)
    return JsonResponse({"items": session.item_count, "is_authenticated": session.is_authenticated})


@require_POST
def add_to_cart(request: HttpRequest, sku: str) -> HttpResponse:
    added = _product_or_404(sku)
    form = QuantityForm(request.POST)
    wanted: int = form.cleaned_data["quantity"] if form.is_valid() else 1
    get_session(request, ShopSession).add(sku, wanted)
    messages.success(request, f"{added.name} is in your cart.")
    return _back(request, "cart")


@require_POST
@session_exclusive
def change_quantity(request: HttpRequest, sku: str) -> HttpResponse:
    """Exclusive, as the form says how many there are to be: the differences of two such forms must not add up."""
    session = get_session(request, ShopSession)
    line, form = session.line(sku), QuantityForm(request.POST)
    if line and form.is_valid():
        line.quantity = form.cleaned_data["quantity"]  # a change deep inside: seen and saved
        if line.quantity == 0:
            session.cart.remove(line)
    return redirect("cart")


@require_POST
def clear_cart(request: HttpRequest) -> HttpResponse:
    get_session(request, ShopSession).cart.clear()
    return redirect("cart")


@require_POST
def write_gift_note(request: HttpRequest) -> HttpResponse:
    form = GiftNoteForm(request.POST)
    if form.is_valid():
        get_session(request, ShopSession).gift_note = form.cleaned_data["gift_note"]
        messages.success(request, "Your note is kept with the cart.")
    return redirect("cart")


@require_POST
@session_exclusive(wait=10, lease=30)
def order(request: HttpRequest) -> HttpResponse:
    """Exclusive, so that a double click makes one order: the second request finds an empty cart."""
    if not request.user.is_authenticated:  # signed out in another tab, say
        return redirect_to_login(reverse("cart"))
    session = get_session(request, ShopSession)
    if session.cart:
        customer: Any = request.user
        placed = orders.place(customer, session)
        session.cart, session.gift_note = [], ""
        thanks = f"Thank you, {session.display_name}. In a real shop, order {placed.pk} would be on its way."
        messages.success(request, thanks)
    return redirect("cart")


@login_required
@require_safe
@session_readonly
def my_orders(request: HttpRequest) -> HttpResponse:
    return render(request, "shop/orders.html", {"orders": orders.of(cast("User", request.user))})


@require_POST
def choose_currency(request: HttpRequest) -> HttpResponse:
    form = CurrencyForm(request.POST)
    if form.is_valid():
        get_session(request, ShopSession).currency = form.cleaned_data["currency"]
    return _back(request, "products")


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("signed-out")


@require_safe
def signed_out(request: HttpRequest) -> HttpResponse:
    return render(request, "shop/signed_out.html")


class Account(LoginRequiredMixin, TypedSessionMixin[ShopSession], TemplateView):
    """What the session holds; in a class-based view, ``self.typed_session`` is the typed one."""

    template_name = "shop/account.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        session = self.typed_session
        return super().get_context_data(session=session, holds=describe(self.request, session), **kwargs)


@login_required
@require_safe
def my_devices(request: HttpRequest) -> HttpResponse:
    """Every session of the customer, and what it is used with; and those that have ended lately, and why."""
    session = get_session(request, ShopSession)
    context = {"devices": devices.of(request.user, session), "ended": endings.of(cast("User", request.user))}
    return render(request, "shop/devices.html", context)


@login_required
@require_POST
def end_device(request: HttpRequest, session_id: str) -> HttpResponse:
    """Signs the customer out on another device. An id is no secret, so it has to be that of a session of theirs."""
    own = devices.of(request.user, get_session(request, ShopSession))
    device = next((each for each in own if each.id == session_id and not each.is_this), None)
    if device and live_sessions.end(device.id):
        messages.success(request, f"{device.name} is signed out.")
    else:
        messages.info(request, "That session has ended already.")
    return redirect("devices")


@login_required
@require_POST
def end_other_devices(request: HttpRequest) -> HttpResponse:
    ended = live_sessions.end_for_user(request.user, keep=get_session(request, ShopSession).id)
    messages.success(request, f"{ended} other {'device is' if ended == 1 else 'devices are'} signed out.")
    return redirect("devices")


@recent_auth_required(CONFIRMED_FOR, url="confirm-password")
@require_http_methods(["GET", "HEAD", "POST"])
def change_email(request: HttpRequest) -> HttpResponse:
    """A thief of the session must not get the account with it."""
    user = cast("User", request.user)
    form = EmailForm(request.POST or None, initial={"email": user.email})
    if form.is_valid():
        user.email = form.cleaned_data["email"]
        user.save(update_fields=["email"])
        get_session(request, ShopSession).email = user.email  # filled in at sign-in, and shown until the next one
        messages.success(request, f"Your e-mail address is {user.email} now.")
        return redirect("account")
    return render(request, "shop/change_email.html", {"form": form, "minutes": CONFIRMED_FOR // 60})


def _product_or_404(sku: str) -> Product:
    if found := CATALOGUE.get(sku):
        return found
    raise Http404(f"No product {sku}.")


def _back(request: HttpRequest, otherwise: str) -> HttpResponse:
    """To the page the form was on. An address of another site is not one of ours, whoever put it into the form."""
    there = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(there, {request.get_host()}, require_https=request.is_secure())
    return redirect(there if safe else otherwise)
