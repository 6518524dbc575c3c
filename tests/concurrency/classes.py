"""The session class of these tests: a field for each rule by which two changes become one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from typed_sessions import SessionMode, session_field
from typed_sessions.testing.engines import ContractSession, Driven


def longest(base: Any, mine: str, theirs: str) -> str:
    return max(mine, theirs, key=len)


@dataclass
class RaceSession(ContractSession):
    """``views`` are added, two changes of ``note`` are refused, and ``name`` is whose save is the last."""

    cart: list[str] = field(default_factory=list)
    best: int | None = session_field(default=None, merge="max")
    lowest: int | None = session_field(default=None, merge="min")
    visited: set[str] = session_field(default_factory=set, merge="union")
    seen_ads: dict[str, int] = session_field(default_factory=dict, merge="union")
    trail: list[str] = session_field(default_factory=list, merge="append")
    motto: str = session_field(default="", merge=longest)


class Tab(Driven):
    """A request's session of the engine under test."""

    @property
    def typed(self) -> RaceSession:
        typed = super().typed
        assert isinstance(typed, RaceSession)
        return typed

    def bind(self, mode: SessionMode = SessionMode.TEMP, other: str | None = None) -> Tab:
        super().bind(mode, other)
        return self


class OpenTab(Protocol):
    def __call__(self, key: str | None = None) -> Tab: ...
