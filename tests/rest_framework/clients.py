"""Clients of an API, which prove who they are by cookies or by headers."""

from __future__ import annotations

import json
from typing import Any

from rest_framework.test import APIClient

from tests.web.browser import ID, PID, X_ID, X_OPT, X_PID

API = "/api/"
SIGN_IN, SIGN_OUT, SESSION, SESSIONS = (f"{API}{name}/" for name in ("sign-in", "sign-out", "session", "sessions"))


class Caller:
    """Speaks JSON, with the CSRF check that Django's own test client leaves out.

    Looks at every answer: none has a token in its body (REQ-S22).
    """

    def __init__(self) -> None:
        self.client = APIClient(enforce_csrf_checks=True)

    def call(self, method: str, path: str, data: Any = None, **headers: str) -> Any:
        sent = {**self.headers(), **{name.replace("_", "-"): value for name, value in headers.items()}}
        body = {} if data is None else {"data": json.dumps(data), "content_type": "application/json"}
        answer = getattr(self.client, method)(path, **body, headers=sent)
        self.keep(answer)
        assert not any(token.encode() in answer.content for token in self.tokens())
        return answer

    def get(self, path: str, **headers: str) -> Any:
        return self.call("get", path, **headers)

    def post(self, path: str, data: Any = None, **headers: str) -> Any:
        return self.call("post", path, data, **headers)

    def patch(self, path: str, data: Any = None, **headers: str) -> Any:
        return self.call("patch", path, data, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.call("delete", path, **headers)

    def sign_in(self, username: str = "ada", password: str = "a good one", **more: Any) -> Any:
        return self.post(SIGN_IN, {"username": username, "password": password, **more})

    def headers(self) -> dict[str, str]:
        raise NotImplementedError

    def keep(self, answer: Any) -> None:
        """What the client remembers of an answer."""

    def copy(self) -> Any:
        """Another client with the same credentials."""
        raise NotImplementedError

    def tokens(self) -> list[str]:
        """Every token that the client has."""
        raise NotImplementedError


class ByCookie(Caller):
    """A page of the site: keeps cookies, and repeats the CSRF token in a header."""

    def __init__(self) -> None:
        super().__init__()
        self.get(SESSION)

    def headers(self) -> dict[str, str]:
        known = self.client.cookies.get("csrftoken")
        return {"X-CSRFToken": known.value} if known else {}

    def copy(self) -> ByCookie:
        other = ByCookie()
        for name, morsel in self.client.cookies.items():
            other.client.cookies[name] = morsel.value
        return other

    def tokens(self) -> list[str]:
        cookies = self.client.cookies
        return [cookies[name].value for name in (ID, PID) if name in cookies and cookies[name].value]


class ByHeader(Caller):
    """A program: announces itself by the option alone, and sends back the token that it was told last.

    It gets no cookie, whatever it asks for (REQ-S23).
    """

    def __init__(self) -> None:
        super().__init__()
        self.sent = {X_OPT: "temp"}

    def headers(self) -> dict[str, str]:
        return self.sent

    def keep(self, answer: Any) -> None:
        assert not answer.cookies
        self.sent = {name: answer[name] for name in (X_ID, X_PID, X_OPT) if answer.has_header(name)} or self.sent

    def copy(self) -> ByHeader:
        other = ByHeader()
        other.sent = dict(self.sent)
        return other

    def tokens(self) -> list[str]:
        return [value for name, value in self.sent.items() if name != X_OPT]
