from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from typed_sessions import EndReason

WORDS: dict[str, str] = {
    EndReason.LOGGED_OUT: "signed out there",
    EndReason.EXPIRED_IDLE: "not used for some time",
    EndReason.EXPIRED_ABSOLUTE: "signed in a long time ago",
    EndReason.ENDED_BY_USER: "signed out from another device",
    EndReason.ENDED_BY_STAFF: "ended by the shop",
    EndReason.PASSWORD_CHANGED: "a new password",
}
"""Why a device is not signed in any more."""


class Order(models.Model):
    objects: ClassVar[models.Manager[Order]]

    customer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="orders")
    placed_at = models.DateTimeField(auto_now_add=True)
    lines = models.JSONField()
    """``[[name, quantity], ...]``, as they were sold."""
    total = models.CharField(max_length=20)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"Order {self.pk}"


class EndedDevice(models.Model):
    """A device on which the customer is not signed in any more."""

    objects: ClassVar[models.Manager[EndedDevice]]

    customer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="ended_devices")
    name = models.CharField(max_length=80)
    reason = models.CharField(max_length=20)
    """The value of an ``EndReason``."""
    ended_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def why(self) -> str:
        return str(WORDS.get(self.reason, self.reason))
