"""The session class of the tests: a shop's, with every kind of field that a test asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from typed_sessions import AuthUserSession, session_field


@dataclass
class CartLine:
    sku: str
    quantity: int = 1
    price: Decimal = Decimal("0.00")
    options: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class ShopSession(AuthUserSession):
    cart: list[CartLine] = field(default_factory=list)
    currency: str = "EUR"
    page_views: int = session_field(default=0, merge="add")
    visited: set[str] = session_field(default_factory=set, merge="union")
    gift_note: str = session_field(default="", secret=True)
    landing_page: str = session_field(default="", carry_over=False)
