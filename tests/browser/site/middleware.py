"""What the tests ask of every answer, whatever view gave it."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings as configured
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

TOKENS = ("ss-id", "ss-pid")
# Type checkers have the tests' own settings in mind.
settings: Any = configured


class RecordingMiddleware(MiddlewareMixin):
    """Keeps every answer, without its cookies, in the file `answers`, and the tokens in its cookies in `tokens`."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if isinstance(response, HttpResponse):
            head = f"{response.status_code} {request.path}\n{response.serialize_headers().decode()}\n\n"
            _append("answers", head.encode() + response.content + b"\n")
        if issued := [morsel.value for name in TOKENS if (morsel := response.cookies.get(name)) and morsel.value]:
            _append("tokens", "".join(f"{token}\n" for token in issued).encode())
        return response


def _append(name: str, content: bytes) -> None:
    """In one write: other threads append too."""
    file = os.open(settings.HOME / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, content)
    finally:
        os.close(file)


class AddressMiddleware(MiddlewareMixin):
    """Lets a device say where it is, for all of them are on this machine."""

    def process_request(self, request: HttpRequest) -> None:
        if address := request.headers.get("X-Test-Address"):
            request.META["REMOTE_ADDR"] = address


class PolicyMiddleware(MiddlewareMixin):
    """A strict Content-Security-Policy, unless the theme cannot live with it."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if settings.POLICY:
            response["Content-Security-Policy"] = settings.POLICY
        return response
