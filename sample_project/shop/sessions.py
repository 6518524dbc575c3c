"""What the shop remembers of a visitor, as a dataclass: this is the whole declaration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from typed_sessions import AuthUserSession, session_field

from .money import Currency

MOST = 20
"""Of one thing in one cart."""
REMEMBERED_VISITS = 5


@dataclass
class CartLine:
    sku: str
    quantity: int = 1


@dataclass
class Visit:
    sku: str
    at: datetime


def merged_carts(base: list[CartLine], mine: list[CartLine], theirs: list[CartLine]) -> list[CartLine]:
    """After two tabs have changed the cart at once: what either has put in or taken out counts."""
    before, here, there = ({line.sku: line.quantity for line in cart} for cart in (base, mine, theirs))
    wanted = {sku: there.get(sku, 0) + here.get(sku, 0) - before.get(sku, 0) for sku in {**there, **here}}
    return [CartLine(sku, min(quantity, MOST)) for sku, quantity in wanted.items() if quantity > 0]


def latest(visits: Iterable[Visit]) -> list[Visit]:
    """The last visit to each product, newest first."""
    by_sku = {visit.sku: visit for visit in sorted(visits, key=lambda visit: visit.at)}
    return sorted(by_sku.values(), key=lambda visit: visit.at, reverse=True)[:REMEMBERED_VISITS]


def merged_visits(base: list[Visit], mine: list[Visit], theirs: list[Visit]) -> list[Visit]:
    """After two products were opened at once, each in a tab of its own."""
    return latest([*mine, *theirs])


@dataclass
class ShopSession(AuthUserSession):
    cart: list[CartLine] = session_field(default_factory=list, merge=merged_carts, api="read")
    currency: Currency = session_field(default="EUR", api="write")
    page_views: int = session_field(default=0, merge="add")
    recently_viewed: list[Visit] = session_field(default_factory=list, merge=merged_visits)
    gift_note: str = session_field(default="", secret=True)

    @property
    def item_count(self) -> int:
        """How many things are in the cart."""
        return sum(line.quantity for line in self.cart)

    def line(self, sku: str) -> CartLine | None:
        return next((line for line in self.cart if line.sku == sku), None)

    def add(self, sku: str, quantity: int) -> None:
        """Puts so many more into the cart, and never more than ``MOST``."""
        if line := self.line(sku):
            line.quantity = min(line.quantity + quantity, MOST)
        else:
            self.cart.append(CartLine(sku, quantity))

    def on_authenticated(self, request: HttpRequest | None, user: AbstractBaseUser) -> None:
        if request and self.cart and not self.was_authenticated:  # who confirms the password has been here all along
            messages.info(request, "Your cart came with you.", fail_silently=True)
