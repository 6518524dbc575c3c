"""What a request has to show for its session, and the verbs that each way of showing it has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import NamedTuple

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from .. import tokens
from ..exceptions import InvalidSessionToken
from ..states import SessionMode
from ..tokens import Token


class Source(str, Enum):
    """Where the identity of a request came from, and so whether a foreign page could have sent it along."""

    COOKIE = "cookie"
    """By itself, with whatever the browser sends: unsafe methods need a CSRF token."""
    HEADER = "header"
    """Put there on purpose by the client's own code."""


class Presented(NamedTuple):
    """What a client sent: the text for the mode it says it is in, and the one for the other mode."""

    source: Source
    mode: SessionMode
    token: str | None = None
    other: str | None = None
    is_ambiguous: bool = False
    """Whether the client said two things, so that none of them counts."""
    refusal: InvalidSessionToken | None = None
    """Why whoever asks for the session gets an error instead."""

    def __repr__(self) -> str:
        return f"<Presented by {self.source.value}, {self.mode.value}>"

    @property
    def superseded(self) -> tuple[str, ...]:
        """The id that the other token opens, if it is genuine."""
        other = tokens.read(self.other)
        return (other.id,) if other and not other.is_blank else ()


class Transport(ABC):
    """One way for a token to travel."""

    source: Source

    @abstractmethod
    def read(self, request: HttpRequest) -> Presented:
        """What the request carries."""

    @abstractmethod
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
        """Tells the client the token of a stored session. ``max_age`` is in seconds, ``None`` until the browser closes;
        ``user`` is the primary key of who is signed in, and ``signed_in`` whether that was in this request.
        """

    @abstractmethod
    def expire(self, request: HttpRequest, response: HttpResponseBase) -> bool:
        """Tells the client to forget its tokens. Whether there was anything to tell."""

    @abstractmethod
    def finish(self, request: HttpRequest, response: HttpResponseBase, stale: SessionMode | None) -> bool:
        """What a response needs besides. ``stale`` is the mode of a token that was found to open nothing, if it was.
        Whether there was anything to tell.
        """
