"""Tokens in cookies: a temporary one, a permanent one, and the option that says which of them is in use."""

from __future__ import annotations

import logging
import time
from http.cookies import Morsel
from urllib.parse import quote

from django.conf import settings as django_settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.http import http_date

from .. import conf, consent, tokens
from ..conf import BROWSER_LIMIT
from ..states import SessionMode
from ..tokens import Token
from .presented import Presented, Source, Transport

USER = "X-UAId"
"""Tells a proxy whose request it is. Never read."""

_DEPTH = 4
"""Labels of a domain, and parts of a path, for which a planted cookie is looked."""

logger = logging.getLogger("django.security.typed_sessions")


class Cookies(Transport):
    """The transport of browsers."""

    source = Source.COOKIE

    def read(self, request: HttpRequest) -> Presented:
        """The option cookie only says where to look; anything but ``perm`` means temporary (REQ-S29)."""
        settings, cookies = conf.settings(), request.COOKIES
        option, temp, perm = settings.option_cookie, django_settings.SESSION_COOKIE_NAME, settings.perm_cookie
        if twice := _sent_twice(request.META.get("HTTP_COOKIE", ""), (temp, perm, option)):
            logger.warning("The cookie %s came twice with different values, so none of ours counts", twice)
            return Presented(Source.COOKIE, SessionMode.TEMP, is_ambiguous=True)
        if cookies.get(option) == "perm" and perm in cookies:  # a lost cookie must not orphan the other one's session
            return Presented(Source.COOKIE, SessionMode.PERM, cookies.get(perm), cookies.get(temp))
        return Presented(Source.COOKIE, SessionMode.TEMP, cookies.get(temp), cookies.get(perm))

    def write(
        self,
        request: HttpRequest,
        response: HttpResponseBase,
        token: Token,
        *,
        max_age: int | None,
        user: str | None,
        signed_in: bool,
    ) -> None:
        """Sets the cookie of a stored session, and makes the others agree with it.

        At sign-in both cookies get new tokens, so that none from before is left; that of the other mode opens nothing.
        """
        settings = conf.settings()
        option = settings.option_cookie
        perm, temp = name_of(SessionMode.PERM), name_of(SessionMode.TEMP)
        if settings.user_cookie:
            _tell_user(request, response, user, max_age)
        if token.mode is SessionMode.PERM:
            _set(response, perm, token.text, max_age)
            _set(response, option, token.mode.value, max_age)
            if signed_in:
                _set(response, temp, tokens.issue_blank(SessionMode.TEMP), None)
            return
        _set(response, temp, token.text, max_age)
        was_permanent = request.COOKIES.get(option) == SessionMode.PERM.value
        if perm in request.COOKIES and (signed_in or was_permanent):
            _renew(request, response)
        if signed_in:
            _set(response, option, token.mode.value, _browser_limit(settings.perm_seconds))
        elif was_permanent:
            _delete(response, option)

    def expire(self, request: HttpRequest, response: HttpResponseBase) -> bool:
        """Deletes those of our cookies that the browser sent."""
        sent = [name for name in (*_names(), USER) if name in request.COOKIES]
        for name in sent:
            _delete(response, name)
        if sent and (types := conf.settings().clear_site_data):
            response["Clear-Site-Data"] = ", ".join(f'"{each}"' for each in types)
        return bool(sent)

    def finish(self, request: HttpRequest, response: HttpResponseBase, stale: SessionMode | None) -> bool:
        """Gives every browser a permanent cookie, if the project wants that and the visitor has nothing against it.

        The cookie that names the user goes when nobody is signed in any more.
        """
        tells = _heal(request, response)
        if USER in request.COOKIES and USER not in response.cookies and (stale or not consent.is_given(request)):
            _delete(response, USER)
            tells = True
        if conf.settings().permanent_id == "always" and name_of(SessionMode.PERM) not in response.cookies:
            tells |= _recognise(request, response, is_stale=stale is SessionMode.PERM)
        return tells


def name_of(mode: SessionMode) -> str:
    return conf.settings().perm_cookie if mode is SessionMode.PERM else django_settings.SESSION_COOKIE_NAME


def _recognise(request: HttpRequest, response: HttpResponseBase, is_stale: bool) -> bool:
    """Sees to the permanent cookie of a browser in which nobody need be signed in. Whether there was anything to do."""
    perm = name_of(SessionMode.PERM)
    there = tokens.read(request.COOKIES.get(perm))
    if perm in request.COOKIES and not is_stale and not (there and there.is_blank):
        return False
    is_wanted = consent.is_given(request)
    if is_wanted and (is_stale or perm not in request.COOKIES):
        _set(response, perm, tokens.issue_blank(SessionMode.PERM), conf.settings().perm_seconds)
        return True
    if not is_wanted and perm in request.COOKIES:
        _delete(response, perm)  # the consent with which it was given has been withdrawn
        return True
    return False


def _heal(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Of a cookie that came twice, deletes every other that this host can, so that the next sign-in is seen again.

    A neighbouring host may have planted it, or this site, with another ``SESSION_COOKIE_DOMAIN`` or ``_PATH``.
    """
    name = _sent_twice(request.META.get("HTTP_COOKIE", ""), _names())
    if name is None:
        return False
    ours = ((django_settings.SESSION_COOKIE_DOMAIN or "").lstrip("."), django_settings.SESSION_COOKIE_PATH)
    for domain in ("", *_domains(request.META.get("HTTP_HOST", ""))):
        for path in _paths(request.path):
            if (domain, path) != ours:
                gone: Morsel[str] = Morsel()
                gone.set(name, "", "")
                gone.update({"domain": domain, "path": path, "max-age": "0", "expires": http_date(0)})
                gone["secure"] = django_settings.SESSION_COOKIE_SECURE
                # One name has one place in the mapping, and may have many lines in the response.
                dict.__setitem__(response.cookies, f"{name} {domain} {path}", gone)
    return True


def _domains(host: str) -> list[str]:
    """The domains that a cookie of ``host`` can have."""
    labels = host.partition(":")[0].lower().split(".")
    if labels[-1].isdigit() or not all(label.replace("-", "").isalnum() for label in labels):
        return []
    return [".".join(labels[start:]) for start in range(max(0, len(labels) - _DEPTH), len(labels) - 1)]


def _paths(path: str) -> list[str]:
    """The paths that a cookie sent to ``path`` can have, from the root down."""
    parts = quote(path).strip("/").split("/")[: _DEPTH - 1]
    longer = ["/" + "/".join(parts[: end + 1]) for end in range(len(parts)) if parts[0]]
    return ["/", *longer, *(f"{each}/" for each in longer)]


def _names() -> tuple[str, str, str]:
    return (name_of(SessionMode.TEMP), name_of(SessionMode.PERM), conf.settings().option_cookie)


def _sent_twice(header: str, names: tuple[str, ...]) -> str | None:
    """The cookie of ours that came with two values, of which no order says which one is ours (REQ-S27)."""
    for name in names:
        if header.count(name) > 1 and len(set(_values(header, name))) > 1:
            return name
    return None


def _values(header: str, name: str) -> list[str]:
    pairs = (part.partition("=") for part in header.split(";"))
    return [value.strip() for key, _, value in pairs if key.strip() == name]


def _renew(request: HttpRequest, response: HttpResponseBase) -> None:
    """Nothing of an old permanent cookie stays: it goes, or is replaced by one that opens nothing."""
    if conf.settings().permanent_id == "always" and consent.is_given(request):
        blank = tokens.issue_blank(SessionMode.PERM)
        _set(response, name_of(SessionMode.PERM), blank, conf.settings().perm_seconds)
    else:
        _delete(response, name_of(SessionMode.PERM))


def _tell_user(request: HttpRequest, response: HttpResponseBase, user: str | None, max_age: int | None) -> None:
    if user is not None and consent.is_given(request):
        _set(response, USER, user, max_age)
    elif USER in request.COOKIES:
        _delete(response, USER)


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
