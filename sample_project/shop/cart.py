"""The cart as a page shows it: the session's lines next to the products they stand for."""

from __future__ import annotations

from dataclasses import dataclass

from . import money
from .products import CATALOGUE, Product
from .sessions import ShopSession


@dataclass(frozen=True)
class Row:
    product: Product
    quantity: int
    amount: int


def rows(session: ShopSession) -> list[Row]:
    """Lines of products that are still sold; a session may be older than the catalogue."""
    return [
        Row(product, line.quantity, money.convert(product.euros, session.currency) * line.quantity)
        for line in session.cart
        if (product := CATALOGUE.get(line.sku))
    ]


def total(session: ShopSession) -> int:
    return sum(row.amount for row in rows(session))
