"""Prices in the visitor's currency, in whole units."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

RATES = {"EUR": Decimal(1), "USD": Decimal("1.10"), "GBP": Decimal("0.85")}
"""What one euro is worth, for ever: this shop has never heard of a market."""
SIGNS = {"EUR": "€", "USD": "$", "GBP": "£"}


def convert(euros: int, currency: str) -> int:
    return int((euros * RATES[_offered(currency)]).to_integral_value(ROUND_HALF_UP))


def show(amount: int, currency: str) -> str:
    return f"{SIGNS[_offered(currency)]}{amount:,}"


def _offered(currency: str) -> str:
    """A session may have been written by a release that offered more."""
    return currency if currency in RATES else "EUR"
