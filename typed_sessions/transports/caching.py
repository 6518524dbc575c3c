"""What a shared cache must know of a response, so that it gives nobody the page of another."""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control, patch_vary_headers

from . import headers


def vary(request: HttpRequest, response: HttpResponseBase, tells_token: bool, is_authenticated: bool) -> None:
    """Tells caches that the page depends on the session, and keeps those that matter out of them (REQ-S47, REQ-S48)."""
    patch_vary_headers(response, ("Cookie", *headers.NAMES) if headers.are_accepted(request) else ("Cookie",))
    if tells_token and not response.has_header("Cache-Control"):
        patch_cache_control(response, private=True, no_store=True)
    elif (tells_token or is_authenticated) and "no-store" not in response.get("Cache-Control", ""):
        patch_cache_control(response, private=True)
