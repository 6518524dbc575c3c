"""The one session that every engine keeps: 21 scalars, a list of roles, and 10 nested cart items; 2.0 kB of JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import msgspec

from typed_sessions import AuthUserSession

COUNTERS = ("page_views", "searches", "clicks", "wishes", "reviews", "returns", "questions", "coupons")
"""Fields that parallel requests count up, each its own."""


@dataclass
class CartItem:
    sku: str
    title: str
    quantity: int = 1
    price: Decimal = Decimal("0.00")
    currency: str = "EUR"
    options: dict[str, str] = field(default_factory=dict)


@dataclass
class ShopSession(AuthUserSession):
    currency: str = "EUR"
    language: str = "en"
    discount: Decimal = Decimal("0.00")
    opened_at: datetime | None = None
    page_views: int = 0
    searches: int = 0
    clicks: int = 0
    wishes: int = 0
    reviews: int = 0
    returns: int = 0
    questions: int = 0
    coupons: int = 0
    cart: list[CartItem] = field(default_factory=list)


def typed() -> ShopSession:
    """The content, for our engines."""
    return ShopSession(
        user_auth_id="1",
        user_auth_name="ada.lovelace",
        user_name="ada.lovelace",
        display_name="Ada Lovelace",
        first_name="Ada",
        last_name="Lovelace",
        email="ada.lovelace@example.com",
        auth_provider="django.contrib.auth.backends.ModelBackend",
        referrer_url="https://shop.example.com/products/?page=3",
        roles=["customer", "reviewer", "beta", "newsletter"],
        currency="GBP",
        language="en-GB",
        discount=Decimal("12.50"),
        opened_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
        page_views=12,
        searches=3,
        clicks=140,
        cart=[_item(number) for number in range(10)],
    )


def _item(number: int) -> CartItem:
    return CartItem(
        sku=f"SKU-{number:06}",
        title=f"Blue cotton shirt, model {number}",
        quantity=1 + number % 3,
        price=Decimal(f"{19 + number}.90"),
        currency="GBP",
        options={"size": "M", "colour": "blue"},
    )


def plain() -> dict[str, Any]:
    """The same content for Django's engines: a dict of what JSON knows."""
    content: dict[str, Any] = msgspec.to_builtins(typed())
    return content
