"""What the shop does when a session ends, whoever or whatever has ended it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.dispatch import receiver

from typed_sessions import EndReason
from typed_sessions.signals import on_ended

from . import devices
from .models import EndedDevice
from .sessions import ShopSession

_SHOWN = 5


@receiver(on_ended, sender=ShopSession)
def write_down(session: ShopSession, user: User | None, reason: EndReason, **kwargs: Any) -> None:
    """For My devices. Told at once, and by ``manage.py typed_sessions reap`` for what has expired."""
    if user is not None and reason is not EndReason.ROTATED:  # which goes on, under a new token
        EndedDevice.objects.create(customer=user, name=devices.name_of(session), reason=reason.value)


def of(customer: User) -> QuerySet[EndedDevice]:
    """Where the customer was signed in lately, the last one first."""
    return EndedDevice.objects.filter(customer=customer)[:_SHOWN]
