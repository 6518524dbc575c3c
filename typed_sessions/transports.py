"""How a token travels: the three cookies, read from a request and written to a response."""

from __future__ import annotations

import time
from typing import NamedTuple

from django.conf import settings as django_settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.http import http_date

from . import conf, tokens
from .conf import BROWSER_LIMIT
from .states import SessionMode
from .tokens import Token


class Presented(NamedTuple):
    """What a browser sent: the text for the mode it says it is in, and the other cookie's."""

    mode: SessionMode
    token: str | None
    other: str | None

    @property
    def superseded(self) -> tuple[str, ...]:
        """The id that the other cookie opens, if it is genuine."""
        other = tokens.read(self.other)
        return (other.id,) if other and not other.is_blank else ()


def cookie_name(mode: SessionMode) -> str:
    return conf.settings().perm_cookie_name if mode is SessionMode.PERM else django_settings.SESSION_COOKIE_NAME


def read(request: HttpRequest) -> Presented:
    """What the request carries. The option cookie only says where to look; anything but ``perm`` means temporary."""
    cookies = request.COOKIES
    option = cookies.get(conf.settings().option_cookie_name)
    mode, other = SessionMode.TEMP, SessionMode.PERM
    if option == SessionMode.PERM.value:
        mode, other = other, mode
    return Presented(mode, cookies.get(cookie_name(mode)), cookies.get(cookie_name(other)))


def write(request: HttpRequest, response: HttpResponseBase, token: Token, max_age: int | None, signed_in: bool) -> None:
    """Sets the cookie of a stored session, and makes the others agree with it.

    ``max_age`` is in seconds, ``None`` until the browser closes. At sign-in both cookies get new tokens, so that none
    from before is left; the one of the other mode opens nothing.
    """
    option = conf.settings().option_cookie_name
    perm, temp = cookie_name(SessionMode.PERM), cookie_name(SessionMode.TEMP)
    if token.mode is SessionMode.PERM:
        _set(response, perm, token.text, max_age)
        _set(response, option, token.mode.value, max_age)
        if signed_in:
            _set(response, temp, tokens.issue_blank(), None)
        return
    _set(response, temp, token.text, max_age)
    if perm in request.COOKIES and (signed_in or request.COOKIES.get(option) == SessionMode.PERM.value):
        _delete(response, perm)
    if signed_in:
        _set(response, option, token.mode.value, _browser_limit(conf.settings().perm_seconds))
    elif request.COOKIES.get(option) == SessionMode.PERM.value:
        _delete(response, option)


def expire(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Deletes those of our cookies that the browser sent. Whether there were any."""
    names = (cookie_name(SessionMode.TEMP), cookie_name(SessionMode.PERM), conf.settings().option_cookie_name)
    sent = [name for name in names if name in request.COOKIES]
    for name in sent:
        _delete(response, name)
    return bool(sent)


def vary(response: HttpResponseBase, sets_cookies: bool, is_authenticated: bool) -> None:
    """Tells caches that the page depends on the session, and keeps them from giving one visitor's to another."""
    patch_vary_headers(response, ("Cookie",))
    if sets_cookies and not response.has_header("Cache-Control"):
        patch_cache_control(response, private=True, no_store=True)
    elif (sets_cookies or is_authenticated) and "no-store" not in response.get("Cache-Control", ""):
        patch_cache_control(response, private=True)


def _browser_limit(seconds: int) -> int:
    return min(seconds, int(BROWSER_LIMIT.total_seconds()))


def _set(response: HttpResponseBase, name: str, value: str, max_age: int | None) -> None:
    expires = None
    if max_age is not None:
        max_age = _browser_limit(max_age)
        expires = http_date(time.time() + max_age)
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        expires=expires,
        domain=django_settings.SESSION_COOKIE_DOMAIN,
        path=django_settings.SESSION_COOKIE_PATH,
        secure=django_settings.SESSION_COOKIE_SECURE or False,
        httponly=django_settings.SESSION_COOKIE_HTTPONLY or False,
        samesite=django_settings.SESSION_COOKIE_SAMESITE,
    )


def _delete(response: HttpResponseBase, name: str) -> None:
    response.delete_cookie(
        name,
        path=django_settings.SESSION_COOKIE_PATH,
        domain=django_settings.SESSION_COOKIE_DOMAIN,
        samesite=django_settings.SESSION_COOKIE_SAMESITE,
    )
    if django_settings.SESSION_COOKIE_SECURE:
        # A browser does not let an insecure response remove a secure cookie.
        response.cookies[name]["secure"] = True
