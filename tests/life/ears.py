"""Who is told that a session has ended: its class, the events classes and the receivers of the signal, and what of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from tests.sessions import ShopSession
from typed_sessions import AuthEvents, EndReason

HOOK, EVENTS, SIGNAL = "hook", "events", "signal"


class Told(NamedTuple):
    """One telling, with what the listener saw of the session at that time."""

    by: str
    id: str | None
    reason: EndReason
    cart: tuple[str, ...]
    name: str | None
    """The user's, by the session's own field."""


class Heard(NamedTuple):
    """What only the signal tells."""

    request: Any
    user: Any


@dataclass
class LifeSession(ShopSession):
    """Notes its end."""

    told: ClassVar[list[Told]] = []
    heard: ClassVar[list[Heard]] = []
    acts: ClassVar[dict[str, Callable[[], object]]] = {}
    """What listeners do when they have noted it, for tests to set."""

    def note(self, by: str, reason: EndReason) -> None:
        assert isinstance(reason, EndReason)
        self.told.append(Told(by, self.id, reason, tuple(line.sku for line in self.cart), self.user_name))
        self.acts.get(by, bool)()

    def on_ended(self, reason: EndReason) -> None:
        self.note(HOOK, reason)


@dataclass
class AsyncLifeSession(LifeSession):
    """The same with a hook that is a coroutine function."""

    async def on_ended(self, reason: EndReason) -> None:  # type: ignore[override]  # either is allowed
        self.note(HOOK, reason)


class LifeEvents(AuthEvents):
    def on_ended(self, session: LifeSession, reason: EndReason) -> None:
        session.note(EVENTS, reason)


class AsyncLifeEvents(AuthEvents):
    async def on_ended(self, session: LifeSession, reason: EndReason) -> None:  # type: ignore[override]  # as above
        session.note(EVENTS, reason)


def receive(sender: object, session: LifeSession, request: Any, user: Any, reason: EndReason, **kwargs: Any) -> None:
    """A receiver of `on_ended`, for which every argument is there."""
    assert sender is type(session)
    assert kwargs.keys() == {"signal"}
    session.heard.append(Heard(request, user))
    session.note(SIGNAL, reason)


class Ears:
    """What all of them were told since a test asked last."""

    def take(self) -> list[Told]:
        told = list(LifeSession.told)
        LifeSession.told.clear()
        LifeSession.heard.clear()
        return told

    def ends(self) -> list[tuple[str | None, EndReason]]:
        """Which sessions have ended, and why: in the order of the telling, each as it was told to all three."""
        told = self.take()
        ends = [(one.id, one.reason) for one in told if one.by == HOOK]
        for one in ends:
            assert [other.by for other in told if (other.id, other.reason) == one] == [HOOK, EVENTS, SIGNAL]
        assert len(told) == 3 * len(ends), told
        return ends

    def counted(self) -> Counter[tuple[str | None, EndReason]]:
        """How often each end was told to the class, where a telling may come again."""
        return Counter((one.id, one.reason) for one in self.take() if one.by == HOOK)

    @property
    def heard(self) -> list[Heard]:
        return list(LifeSession.heard)

    def when(self, by: str, act: Callable[[], object]) -> None:
        """What the listener does, when it has noted an end."""
        LifeSession.acts[by] = act
