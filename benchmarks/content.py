"""The one session that every engine keeps: 22 scalars, a list of roles, and 10 nested cart items."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec

from typed_sessions import AuthUserSession, session_field

COUNTERS = ("page_views", "searches", "clicks", "wishes", "reviews", "returns", "questions", "coupons")
"""Fields that parallel requests count up, each its own."""
_MORNING = datetime(2026, 1, 2, 9, 30, tzinfo=timezone.utc)
_COLOURS = ("Blue", "White", "Black", "Striped", "Green", "Pink", "Grey", "Yellow", "Brown", "Checked")


@dataclass
class CartItem:
    sku: str
    title: str
    image: str
    added_at: datetime
    quantity: int = 1
    price: Decimal = Decimal("0.00")


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
    visits: int = session_field(default=0, merge="add")
    cart: list[CartItem] = field(default_factory=list)


def typed(items: int = 10) -> ShopSession:
    """The content, for our engines."""
    return ShopSession(
        user_auth_id="1",
        user_auth_name="ada.lovelace",
        user_name="ada.lovelace",
        display_name="Ada Lovelace",
        first_name="Ada",
        last_name="Lovelace",
        email="ada@analytical-engines.example.com",
        auth_provider="django.contrib.auth.backends.ModelBackend",
        referrer_url="https://search.example.com/?q=blue+cotton+shirt",
        roles=["customer", "reviewer", "beta", "newsletter"],
        currency="GBP",
        language="en-GB",
        discount=Decimal("12.50"),
        opened_at=_MORNING,
        page_views=12,
        searches=3,
        clicks=140,
        cart=[_item(number) for number in range(items)],
    )


def _item(number: int) -> CartItem:
    return CartItem(
        sku=f"SKU-{number * 7919:06}",
        title=f"{_COLOURS[number]} cotton shirt, size {40 + number}",
        image=f"products/{number * 104_729:08x}.webp",
        added_at=_MORNING + timedelta(minutes=7 * number),
        quantity=1 + number % 3,
        price=Decimal(f"{19 + number}.90"),
    )


def plain(items: int = 10) -> dict[str, Any]:
    """The same content for Django's engines: a dict of what JSON knows."""
    content: dict[str, Any] = msgspec.to_builtins(typed(items))
    return content
