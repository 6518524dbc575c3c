"""How often somebody may try to sign in."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import SimpleRateThrottle

from .. import conf
from ..addresses import address_of

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports this module if a project's settings name what is in it

DEFAULT_RATES: Final[Mapping[str, str]] = {"sign-in": "5/min", "sign-in-address": "30/min"}
"""For scopes that ``DEFAULT_THROTTLE_RATES`` says nothing of; ``None`` there is no limit."""


class SignInAddressThrottle(SimpleRateThrottle):
    """Counts the attempts from one address, whoever they are for."""

    scope = "sign-in-address"

    def get_rate(self) -> str | None:
        rates: Any = api_settings.DEFAULT_THROTTLE_RATES  # as it is now, and not when the class was made
        self.THROTTLE_RATES = {**DEFAULT_RATES, **rates}
        return super().get_rate()

    def get_ident(self, request: Request) -> str:
        """The visitor's address by ``TRUSTED_PROXIES``, or by REST framework's ``NUM_PROXIES`` if that alone is set.

        REST framework's own takes ``X-Forwarded-For`` from anybody if ``NUM_PROXIES`` is not set, and whoever guesses
        passwords would send another one each time.
        """
        if api_settings.NUM_PROXIES is None or conf.settings().trusted_proxies:
            return address_of(request._request)
        return str(super().get_ident(request))

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        return self.cache_format % {"scope": self.scope, "ident": self.get_ident(request)}


class SignInThrottle(SignInAddressThrottle):
    """Counts the attempts from one address for one user name."""

    scope = "sign-in"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        user_model: Any = get_user_model()
        told: Any = request.data if isinstance(request.data, Mapping) else {}
        name = unicodedata.normalize("NFKC", str(told.get(user_model.USERNAME_FIELD, ""))).strip().casefold()
        # A digest, as a cache may refuse what people type, and it is none of the cache's business.
        key = sha256(f"{self.get_ident(request)} {name}".encode(errors="surrogatepass")).hexdigest()
        return self.cache_format % {"scope": self.scope, "ident": key}
