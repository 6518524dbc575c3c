"""Visitors by either transport, who can be asked the same things."""

from __future__ import annotations

from typing import Protocol

from tests.web.browser import ID, OPT, PID, X_ID, X_OPT, X_PID, ApiClient, Ask, Browser
from tests.web.signing import status, who

Visitor = Browser | ApiClient


class NewVisitor(Protocol):
    def __call__(self) -> Visitor: ...


def client_of(transport: str, ask: Ask) -> Visitor:
    return ApiClient(ask) if transport == "header" else Browser(ask)


def with_token(visitor: Visitor, token: str, mode: str) -> Visitor:
    """A stranger who has got hold of a token, and sends it as one of this mode."""
    if isinstance(visitor, ApiClient):
        return ApiClient(visitor.ask, {X_PID: token, X_OPT: "perm"} if mode == "perm" else {X_ID: token})
    return Browser(visitor.ask, {PID: token, OPT: "perm"} if mode == "perm" else {ID: token})


def tokens_of(visitor: Visitor) -> set[str]:
    """Every token that the visitor holds."""
    held = visitor.sent if isinstance(visitor, ApiClient) else visitor.cookies
    return {held[name] for name in (ID, PID, X_ID, X_PID) if held.get(name)}


def is_signed_in(visitor: Visitor, name: str = "ada") -> bool:
    return visitor.visit(who).text.startswith(f"{name} {name} ")


def is_nobody(visitor: Visitor) -> bool:
    """Whether the site takes the visitor for nobody: a browser gets a page, and a client by header gets 401."""
    answer = visitor.visit(who)
    if isinstance(visitor, ApiClient):
        return answer.status == 401
    return answer.status == 200 and answer.text == "anonymous anonymous None"


def why(visitor: Visitor) -> str:
    """What the site says became of the session: its status, and the reason of its end."""
    return visitor.visit(status).text
