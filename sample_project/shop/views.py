"""The shop's pages. Every view that needs the session says ``get_session(request, ShopSession)`` and has it typed."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import LoginView, redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST, require_safe
from django.views.generic import TemplateView

from typed_sessions import TypedSessionMixin, aget_session, get_session
from typed_sessions.auth import login, logout

from . import cart as carts
from .forms import MOST, CurrencyForm, GiftNoteForm, QuantityForm, SignInForm
from .inspection import describe
from .products import CATALOGUE, Product
from .sessions import CartLine, ShopSession, Visit

REMEMBERED_VISITS = 5


@require_safe
def products(request: HttpRequest) -> HttpResponse:
    return render(request, "shop/products.html", {"products": CATALOGUE.values()})


@require_safe
def product(request: HttpRequest, sku: str) -> HttpResponse:
    shown = _product_or_404(sku)
    session = get_session(request, ShopSession)
    earlier = [visit for visit in session.recently_viewed if visit.sku != sku]
    session.page_views += 1
    session.recently_viewed = [Visit(sku, timezone.now()), *earlier][:REMEMBERED_VISITS]
    seen = [CATALOGUE[visit.sku] for visit in earlier if visit.sku in CATALOGUE]
    return render(request, "shop/product.html", {"product": shown, "seen": seen[:4], "most": MOST})


@require_safe
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
async def cart_summary(request: HttpRequest) -> JsonResponse:
    """For the badge in the header, which is out of date after the browser's Back button."""
    session = await aget_session(request, ShopSession)
    return JsonResponse({"items": session.item_count})


@require_POST
def add_to_cart(request: HttpRequest, sku: str) -> HttpResponse:
    added = _product_or_404(sku)
    form = QuantityForm(request.POST)
    wanted: int = form.cleaned_data["quantity"] if form.is_valid() else 1
    session = get_session(request, ShopSession)
    if line := session.line(sku):
        line.quantity = min(line.quantity + wanted, MOST)
    else:
        session.cart.append(CartLine(sku, wanted))
    messages.success(request, f"{added.name} is in your cart.")
    return _back(request, "cart")


@require_POST
def change_quantity(request: HttpRequest, sku: str) -> HttpResponse:
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
def order(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:  # signed out in another tab, say
        return redirect_to_login(reverse("cart"))
    session = get_session(request, ShopSession)
    if session.cart:
        session.cart, session.gift_note = [], ""
        messages.success(request, f"Thank you, {session.display_name}. In a real shop your order would be on its way.")
    return redirect("cart")


@require_POST
def choose_currency(request: HttpRequest) -> HttpResponse:
    form = CurrencyForm(request.POST)
    if form.is_valid():
        get_session(request, ShopSession).currency = form.cleaned_data["currency"]
    return _back(request, "products")


class SignIn(LoginView):
    form_class = SignInForm
    template_name = "shop/sign_in.html"
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        login(self.request, form.get_user(), remember=form.cleaned_data["remember"])
        return HttpResponseRedirect(self.get_success_url())


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


def _product_or_404(sku: str) -> Product:
    if found := CATALOGUE.get(sku):
        return found
    raise Http404(f"No product {sku}.")


def _back(request: HttpRequest, otherwise: str) -> HttpResponse:
    """To the page the form was on. An address of another site is not one of ours, whoever put it into the form."""
    there = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(there, {request.get_host()}, require_https=request.is_secure())
    return redirect(there if safe else otherwise)
