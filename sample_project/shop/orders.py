"""Orders: what is made of a cart."""

from __future__ import annotations

import time

from django.contrib.auth.models import User
from django.db.models import QuerySet

from . import cart as carts
from . import money
from .models import Order
from .sessions import ShopSession

BANK_SECONDS = 0.7
"""What a payment takes, and long enough for a second click."""


def place(customer: User, session: ShopSession) -> Order:
    """Has the cart paid for, and writes down what was in it."""
    time.sleep(BANK_SECONDS)
    lines = [[row.product.name, row.quantity] for row in carts.rows(session)]
    total = money.show(carts.total(session), session.currency)
    return Order.objects.create(customer=customer, lines=lines, total=total)


def of(customer: User) -> QuerySet[Order]:
    """The customer's orders, newest first."""
    return Order.objects.filter(customer=customer)
