"""Prices in the visitor's currency, in whole units."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

Currency = Literal["EUR", "USD", "GBP"]

RATES: dict[Currency, Decimal] = {"EUR": Decimal(1), "USD": Decimal("1.10"), "GBP": Decimal("0.85")}
"""What one euro is worth, for ever: this shop has never heard of a market."""
SIGNS: dict[Currency, str] = {"EUR": "€", "USD": "$", "GBP": "£"}


def convert(euros: int, currency: Currency) -> int:
    return int((euros * RATES[currency]).to_integral_value(ROUND_HALF_UP))


def show(amount: int, currency: Currency) -> str:
    return f"{SIGNS[currency]}{amount:,}"
