"""Tokens in headers, for clients that are no browsers: ``X-ss-id``, ``X-ss-pid``, ``X-ss-opt``.

Off unless ``HEADERS`` names path prefixes. One such header in a request, even an empty one, and cookies do not count.
A client without a token announces itself by ``X-ss-opt`` alone; the token of the session that begins, and each new one,
comes back in the header of the same name.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.http import is_same_domain

from .. import conf, tokens
from ..exceptions import InvalidSessionToken
from ..states import SessionMode
from ..tokens import Token
from .presented import Presented, Source, Transport

TEMP, PERM, OPTION = "X-ss-id", "X-ss-pid", "X-ss-opt"
ALIAS = "X-ss-opts"
"""As ServiceStack's documentation spells ``X-ss-opt``."""
NAMES = (TEMP, PERM, OPTION, ALIAS)

CHALLENGE = f'TypedSession header="{TEMP}"'
"""``WWW-Authenticate`` of a 401 (RFC 9110, 11.6.1): how a client that has no good header may show who it is."""

_META = {name: "HTTP_" + name.upper().replace("-", "_") for name in NAMES}
_OF_MODE = {SessionMode.TEMP: TEMP, SessionMode.PERM: PERM}


class Headers(Transport):
    """The transport of requests for which ``are_used`` holds."""

    source = Source.HEADER

    def read(self, request: HttpRequest) -> Presented:
        option, alias = _header(request, OPTION), _header(request, ALIAS)
        said = alias if option is None else option
        mode = SessionMode.PERM if said == SessionMode.PERM.value else SessionMode.TEMP
        other = SessionMode.TEMP if mode is SessionMode.PERM else SessionMode.PERM
        token, other_token = (_header(request, _OF_MODE[each]) for each in (mode, other))
        refusal = _contradiction(option, alias) or _foreign(request) or _wrong(mode, token, other, other_token)
        return Presented(self.source, mode, token, other_token, refusal=refusal)

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
        response[_OF_MODE[token.mode]] = token.text
        response[OPTION] = token.mode.value

    def expire(self, request: HttpRequest, response: HttpResponseBase) -> bool:
        return True  # there is nothing to delete, and yet the answer is for nobody else

    def finish(self, request: HttpRequest, response: HttpResponseBase, stale: SessionMode | None) -> bool:
        return False


def are_accepted(request: HttpRequest) -> bool:
    """Whether headers count on this path."""
    prefixes = conf.settings().headers
    return bool(prefixes) and request.path_info.startswith(tuple(prefixes))


def are_used(request: HttpRequest) -> bool:
    """Whether headers count for this request, so that cookies do not."""
    return are_accepted(request) and any(name in request.META for name in _META.values())


def _header(request: HttpRequest, name: str) -> str | None:
    value: str | None = request.META.get(_META[name])
    return value


def _contradiction(option: str | None, alias: str | None) -> InvalidSessionToken | None:
    if option is None or alias is None or option == alias:
        return None
    return InvalidSessionToken("ambiguous", f"{OPTION} and {ALIAS} say different things; send one of them.")


def _wrong(
    mode: SessionMode, token: str | None, other: SessionMode, other_token: str | None
) -> InvalidSessionToken | None:
    if token is None:
        if other_token is None:
            return None
        wanted = f"{OPTION}: {other.value}" if other is SessionMode.PERM else f"no {OPTION}: perm"
        return InvalidSessionToken(
            "wrong_mode", f"{_OF_MODE[other]} needs {wanted} beside it, so that it is clear which session is meant."
        )
    for name, text, expected in ((_OF_MODE[mode], token, mode), (_OF_MODE[other], other_token, other)):
        if text is not None and ((read := tokens.read(text)) is None or read.mode is not expected):
            return InvalidSessionToken("malformed", f"{name} is none that this site has given out.")
    return None


def _foreign(request: HttpRequest) -> InvalidSessionToken | None:
    """Refuses what a page of another site has sent (REQ-S26). Clients that are no browsers send neither header."""
    origin = request.META.get("HTTP_ORIGIN")
    is_foreign = (
        request.META.get("HTTP_SEC_FETCH_SITE") == "cross-site" if origin is None else not _trusts(request, origin)
    )
    if not is_foreign:
        return None
    return InvalidSessionToken(
        "cross_site", "Session headers are not accepted from pages of other sites; see CSRF_TRUSTED_ORIGINS.", 403
    )


def _trusts(request: HttpRequest, origin: str) -> bool:
    """As Django decides for a form, by ``CSRF_TRUSTED_ORIGINS``."""
    if origin == f"{request.scheme}://{request.get_host()}":
        return True
    try:
        asked = urlsplit(origin)
    except ValueError:
        return False
    for trusted in map(urlsplit, django_settings.CSRF_TRUSTED_ORIGINS):
        host = trusted.netloc.removeprefix("*")
        if trusted.scheme == asked.scheme and is_same_domain(asked.netloc, host):
            return True
    return False
