"""What has to be true of every response there is, looked at while other tests make them."""

from __future__ import annotations

from collections.abc import Iterator
from http.cookies import Morsel

from django.conf import settings

from tests.web.browser import X_ID, X_OPT, X_PID, Answer, Ask, Headers
from typed_sessions import conf

LONGEST = 400 * 24 * 3600
HEADERS_OF_OURS = (X_ID, X_PID, X_OPT, "X-ss-opts")


class Inspected:
    """Asks on, and lets no answer through that breaks a rule."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def __call__(self, method: str, path: str, form: str, headers: Headers) -> Answer:
        answer = self._ask(method, path, form, headers)
        found = list(faults(path, headers, answer))
        assert not found, found
        return answer


def faults(path: str, headers: Headers, answer: Answer) -> Iterator[str]:
    """What is wrong with an answer (REQ-S23, S41, S42, S44, S47, S48)."""
    by_header = _counts(path) and any(name.lower() in _lower(HEADERS_OF_OURS) for name in headers)
    ours = {name: morsel for name, morsel in answer.cookies.items() if name in _names()}
    for name, morsel in ours.items():
        if by_header:
            yield f"{name} is set for a client that sends headers"
        if headers.get("cookie", "").count(f"{name}=") > 1 and not morsel.value:
            continue  # what somebody planted beside ours is deleted as they may have set it
        yield from _faults_of_a_cookie(name, morsel)
    if answer.told and not by_header:
        yield "a token is told in a header to a client that sends none"
    if ours or answer.told:
        said = answer["Cache-Control"]
        if "no-store" not in said and "private" not in said:
            yield f"a token may be cached: {said!r}"
        expected = {"Cookie", *(HEADERS_OF_OURS if _counts(path) else ())}
        if missing := expected - set(answer["Vary"].split(", ")):
            yield f"a token is told, and the page does not vary with {missing}"


def _faults_of_a_cookie(name: str, morsel: Morsel[str]) -> Iterator[str]:
    expected = {
        "path": settings.SESSION_COOKIE_PATH,
        "domain": settings.SESSION_COOKIE_DOMAIN or "",
        "samesite": settings.SESSION_COOKIE_SAMESITE,
        "secure": settings.SESSION_COOKIE_SECURE or "",
    }
    for attribute, value in expected.items():
        if morsel[attribute] != value:
            yield f"{name} has {attribute}={morsel[attribute]!r}, not {value!r}"
    if morsel["max-age"] in (0, "0"):
        return
    if bool(morsel["httponly"]) is not settings.SESSION_COOKIE_HTTPONLY:
        yield f"{name} has httponly={morsel['httponly']!r}"
    if int(morsel["max-age"] or 0) > LONGEST:
        yield f"{name} is to last longer than browsers allow"
    if len(name) + len(morsel.value) > 64:
        yield f"{name} is longer than 64 bytes"


def _names() -> set[str]:
    own = conf.settings()
    return {settings.SESSION_COOKIE_NAME, own.perm_cookie, own.option_cookie, "X-UAId"}


def _counts(path: str) -> bool:
    return path.startswith(tuple(conf.settings().headers))


def _lower(names: tuple[str, ...]) -> set[str]:
    return {name.lower() for name in names}
