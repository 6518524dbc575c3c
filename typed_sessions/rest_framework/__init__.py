"""Typed sessions in Django REST framework: authentication, permissions, serializers; ``urls`` has the routes."""

from __future__ import annotations

from .authentication import StrictTypedSessionAuthentication, TypedSessionAuthentication
from .permissions import HasPermission, HasRole, RecentAuth
from .serializers import session_serializer
from .throttling import SignInAddressThrottle, SignInThrottle

__all__ = [
    "HasPermission",
    "HasRole",
    "RecentAuth",
    "SignInAddressThrottle",
    "SignInThrottle",
    "StrictTypedSessionAuthentication",
    "TypedSessionAuthentication",
    "session_serializer",
]
