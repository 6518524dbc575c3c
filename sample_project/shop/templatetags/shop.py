from __future__ import annotations

from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.timesince import timesince

from .. import money
from ..money import Currency
from ..products import Product

register = template.Library()


@register.simple_tag
def currencies() -> list[Currency]:
    return list(money.RATES)


@register.filter
def price(product: Product, currency: Currency) -> str:
    return money.show(money.convert(product.euros, currency), currency)


@register.filter
def amount(value: int, currency: Currency) -> str:
    return money.show(value, currency)


@register.filter
def ago(value: datetime | None) -> str:
    """``3 minutes ago``, in the largest unit alone."""
    if value is None:
        return ""
    return "just now" if timezone.now() - value < timedelta(minutes=1) else f"{timesince(value, depth=1)} ago"


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
