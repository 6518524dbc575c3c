"""How a token travels. One request uses one way: what came by headers never meets what came by cookies (REQ-S19)."""

from __future__ import annotations

from django.http import HttpRequest

from . import cookies, headers
from .caching import vary
from .headers import CHALLENGE
from .presented import Presented, Source, Transport

__all__ = ["CHALLENGE", "Presented", "Source", "Transport", "by", "read", "vary"]

_COOKIES = cookies.Cookies()
_HEADERS = headers.Headers()


def read(request: HttpRequest) -> Presented:
    """What the request carries, by the one way that counts: headers if it has any of ours and may, else cookies."""
    return (_HEADERS if headers.are_used(request) else _COOKIES).read(request)


def by(source: Source) -> Transport:
    """The transport by which the answer goes, which is the one that the request has come by."""
    return _HEADERS if source is Source.HEADER else _COOKIES
