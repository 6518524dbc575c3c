"""A browser in front of Django's real handlers, whose cookies can be looked at, kept, swapped and forged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookies import Morsel, SimpleCookie
from typing import Any
from urllib.parse import urlencode

from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import AsyncRequestFactory, RequestFactory

from tests.web.urls import View, address

ID, PID, OPT = "ss-id", "ss-pid", "ss-opt"
OURS = (ID, PID, OPT)
X_ID, X_PID, X_OPT = "X-ss-id", "X-ss-pid", "X-ss-opt"


def is_deleted(morsel: Morsel[str]) -> bool:
    return morsel["max-age"] in (0, "0")


def place_of(morsel: Morsel[str]) -> tuple[str, str]:
    """Domain and path: with its name, what makes it another cookie."""
    return morsel["domain"], morsel["path"]


@dataclass(frozen=True)
class Answer:
    """A response, as it went over the wire."""

    status: int
    lines: list[tuple[str, str]]
    text: str

    def __getitem__(self, header: str) -> str:
        """The header's value; empty if it was not sent."""
        return ", ".join(value for name, value in self.lines if name.lower() == header.lower())

    @property
    def cookies(self) -> dict[str, Morsel[str]]:
        """What Set-Cookie says, by name; without what is deleted where this site has set nothing."""
        own = (settings.SESSION_COOKIE_DOMAIN or "", settings.SESSION_COOKIE_PATH)
        return {morsel.key: morsel for morsel in self.morsels if place_of(morsel) == own or not is_deleted(morsel)}

    @property
    def morsels(self) -> list[Morsel[str]]:
        """What Set-Cookie says, line by line."""
        lines = [value for name, value in self.lines if name.lower() == "set-cookie"]
        return [morsel for line in lines for morsel in SimpleCookie(line).values()]

    @property
    def ours(self) -> dict[str, str]:
        """The cookies of this app that were set, with their values; an empty one was deleted."""
        return {name: morsel.value for name, morsel in self.cookies.items() if name in OURS}

    @property
    def told(self) -> dict[str, str]:
        """The response headers of this app, with their values."""
        return {name: self[name] for name in (X_ID, X_PID, X_OPT) if self[name]}


Headers = Mapping[str, str]
Ask = Callable[[str, str, str, Headers], Answer]
"""Method, path, form and headers of a request."""


class Wsgi:
    """The handler of a WSGI server."""

    def __init__(self) -> None:
        self._handler: Any = WSGIHandler()

    def __call__(self, method: str, path: str, form: str, headers: Headers) -> Answer:
        environ = RequestFactory().generic(method, path, form, FORM, headers=headers).environ
        started: list[Any] = []
        response = self._handler(environ, lambda *args: started.extend(args))
        text = b"".join(response).decode()
        response.close()
        return Answer(int(started[0][:3]), started[1], text)


class Asgi:
    """The handler of an ASGI server; `ask` is for those who are on the event loop already."""

    def __init__(self) -> None:
        self._handler: Any = ASGIHandler()

    def __call__(self, method: str, path: str, form: str, headers: Headers) -> Answer:
        return async_to_sync(self.ask)(method, path, form, headers)

    async def ask(self, method: str, path: str, form: str, headers: Headers, *also: tuple[bytes, bytes]) -> Answer:
        """`also` are headers as they come over the wire, so that one can come twice."""
        scope: Any = AsyncRequestFactory().generic(method, path, form, FORM, headers=headers).scope
        # The factory adds cookies of its own, of which there are none, and two lines of cookies are not one.
        scope["headers"] = [line for line in scope["headers"] if line != (b"cookie", b"")] + list(also)
        incoming = [{"type": "http.request", "body": form.encode()}]
        sent: list[Any] = []

        async def receive() -> Any:
            return incoming.pop() if incoming else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        await self._handler(scope, receive, send)
        lines = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
        return Answer(sent[0]["status"], lines, b"".join(part.get("body", b"") for part in sent[1:]).decode())


class EventLoop:
    """The async handler without its server's part, which has a thread for each request: what is counted is ours."""

    def __init__(self) -> None:
        self._handler: Any = ASGIHandler()

    async def ask(self, path: str, cookies: Mapping[str, str]) -> Answer:
        request = AsyncRequestFactory().get(path)
        request.META["HTTP_COOKIE"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        response = await self._handler.get_response_async(request)
        lines = [("Set-Cookie", morsel.OutputString()) for morsel in response.cookies.values()]
        return Answer(response.status_code, [*response.items(), *lines], response.text)


FORM = "application/x-www-form-urlencoded"
HANDLERS: Mapping[str, Callable[[], Ask]] = {"wsgi": Wsgi, "asgi": Asgi}


@dataclass
class Browser:
    """Keeps cookies as a browser does."""

    ask: Ask
    cookies: dict[str, str] = field(default_factory=dict)
    _lasting: set[str] = field(default_factory=set)

    def visit(self, view: View, query: str = "", **headers: str) -> Answer:
        """A request that the view answers."""
        return self.get(f"{address(view)}?{query}", **headers)

    def get(self, path: str, **headers: str) -> Answer:
        return self.keep(self.ask("GET", path, "", self.headers(**headers)))

    def post(self, path: str, **form: str) -> Answer:
        """Sends a form, with the token that was in the page."""
        body = urlencode({"csrfmiddlewaretoken": self.cookies.get("csrftoken", ""), **form})
        return self.keep(self.ask("POST", path, body, self.headers()))

    def headers(self, **headers: str) -> Headers:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookies:
            sent.setdefault("cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        return sent

    def keep(self, answer: Answer) -> Answer:
        for name, morsel in answer.cookies.items():
            if is_deleted(morsel):
                self.cookies.pop(name, None)
                continue
            self.cookies[name] = morsel.value
            (self._lasting.add if morsel["max-age"] or morsel["expires"] else self._lasting.discard)(name)
        return answer

    def close(self) -> None:
        """The browser is closed and opened again."""
        self.cookies = {name: value for name, value in self.cookies.items() if name in self._lasting}

    def copy(self, *names: str, **changes: str) -> Browser:
        """Another browser with these of the cookies, or all, and with others besides."""
        kept = {name: value for name, value in self.cookies.items() if not names or name in names}
        return Browser(self.ask, {**kept, **{name.replace("_", "-"): value for name, value in changes.items()}})

    @property
    def token(self) -> str:
        """Of the session that the option cookie selects."""
        return self.cookies[PID if self.cookies.get(OPT) == "perm" else ID]


@dataclass
class ApiClient:
    """Keeps no cookies: it announces itself by the option alone, and sends back the token that it was told last."""

    ask: Ask
    sent: dict[str, str] = field(default_factory=lambda: {X_OPT: "temp"})

    def visit(self, view: View, query: str = "", **headers: str) -> Answer:
        """A request that the view answers; the headers come on top of the client's own."""
        return self.get(f"{address(view)}?{query}", **headers)

    def get(self, path: str, **headers: str) -> Answer:
        return self.keep(self.ask("GET", path, "", self.headers(**headers)))

    def post(self, path: str, **form: str) -> Answer:
        return self.keep(self.ask("POST", path, urlencode(form), self.headers()))

    def headers(self, **headers: str) -> Headers:
        return {**self.sent, **{name.replace("_", "-"): value for name, value in headers.items()}}

    def keep(self, answer: Answer) -> Answer:
        self.sent = answer.told or self.sent
        return answer

    def forget(self) -> None:
        """The client lets go of its token, and announces itself anew."""
        self.sent = {X_OPT: "temp"}

    def copy(self) -> ApiClient:
        """Another client with the same token."""
        return ApiClient(self.ask, dict(self.sent))

    @property
    def token(self) -> str:
        return self.sent[X_PID if self.sent[X_OPT] == "perm" else X_ID]
