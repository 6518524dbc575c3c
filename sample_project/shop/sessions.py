"""What the shop remembers of a visitor, as a dataclass: this is the whole declaration."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from typed_sessions import AuthUserSession, session_field


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
    cart: list[CartLine] = field(default_factory=list)
    currency: str = "EUR"
    page_views: int = session_field(default=0, merge="add")
    recently_viewed: list[Visit] = field(default_factory=list)
    gift_note: str = session_field(default="", secret=True)

    @property
    def item_count(self) -> int:
        """How many things are in the cart."""
        return sum(line.quantity for line in self.cart)

    def line(self, sku: str) -> CartLine | None:
        return next((line for line in self.cart if line.sku == sku), None)

    def on_authenticated(self, request: HttpRequest | None, user: AbstractBaseUser) -> None:
        if request and self.cart:
            messages.info(request, "Your cart came with you.", fail_silently=True)
