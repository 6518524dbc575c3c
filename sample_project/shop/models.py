from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models


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
