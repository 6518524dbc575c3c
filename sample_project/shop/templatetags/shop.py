from __future__ import annotations

from datetime import timedelta

from django import template

from .. import money
from ..products import Product

register = template.Library()


@register.simple_tag
def currencies() -> list[str]:
    return list(money.RATES)


@register.filter
def price(product: Product, currency: str) -> str:
    return money.show(money.convert(product.euros, currency), currency)


@register.filter
def amount(value: int, currency: str) -> str:
    return money.show(value, currency)


@register.filter
def span(value: timedelta | None) -> str:
    """``27 d 23 h``, or the two largest units of any other span."""
    if value is None:
        return ""
    minutes, seconds = divmod(int(value.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    first = next((place for place, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count) or "0 s"
