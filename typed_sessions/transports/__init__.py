"""How a token travels. One request uses one way: what came by headers never meets what came by cookies (REQ-S19)."""

from __future__ import annotations

from django.http import HttpRequest

from . import cookies, headers
from .caching import vary
from .cookies import permanent_token
from .headers import CHALLENGE
from .presented import Presented, Source, Transport

__all__ = ["CHALLENGE", "Presented", "Source", "Transport", "of", "permanent_token", "read", "vary"]

_COOKIES = cookies.Cookies()
_HEADERS = headers.Headers()


def of(request: HttpRequest) -> Transport:
    """Headers if the request has any of ours and may have them, else cookies."""
    return _HEADERS if headers.are_used(request) else _COOKIES


def read(request: HttpRequest) -> Presented:
    """What the request carries, by the one way that counts for it."""
    return of(request).read(request)
