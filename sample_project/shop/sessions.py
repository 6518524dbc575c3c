"""What the shop remembers of a visitor, as a dataclass: this is the whole declaration."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from typed_sessions import AuthUserSession, session_field

from .money import Currency

MOST = 20
"""Of one thing in one cart."""


@dataclass
class CartLine:
    sku: str
    quantity: int = 1


@dataclass
class Visit:
    sku: str
    at: datetime


@dataclass
class ShopSession(AuthUserSession):
    cart: list[CartLine] = session_field(default_factory=list, api="read")
    currency: Currency = session_field(default="EUR", api="write")
    page_views: int = session_field(default=0, merge="add")
    recently_viewed: list[Visit] = field(default_factory=list)
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
