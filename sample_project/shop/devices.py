"""A customer's sessions as they know them: devices, named after what their browsers say of themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from typed_sessions import SessionMode, live_sessions

from .sessions import ShopSession

Kind = Literal["computer", "phone", "program"]

# The first one found counts: most browsers claim to be others as well.
_BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser/": "Samsung Internet",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "Chrome/": "Chrome",
    "CriOS/": "Chrome",
    "Safari/": "Safari",
}
_SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "CrOS": "ChromeOS",
    "Mac OS X": "Mac",
    "Linux": "Linux",
}
_HANDHELD = {"iPhone", "iPad", "Android"}
_LONGEST = 40


@dataclass(frozen=True, kw_only=True)
class Device:
    id: str
    """Of the session; it opens nothing."""
    name: str
    kind: Kind
    address: str
    is_remembered: bool
    signed_in_at: datetime
    last_seen_at: datetime
    is_this: bool
    """Whether it is the one that asks."""


def of(user: object, current: ShopSession) -> list[Device]:
    """The devices on which ``user`` is signed in: the one in use, then the last used first."""
    found = [_device(session, current) for session in live_sessions.for_user(user)]
    return sorted(found, key=lambda device: not device.is_this)


def _device(session: Any, current: ShopSession) -> Device:
    client = session.client_info
    name, kind = named(_agent_of(session))
    return Device(
        id=session.id,
        name=name,
        kind=kind,
        address=client.last_address or client.address if client else "",
        is_remembered=session.mode is SessionMode.PERM,
        signed_in_at=session.authenticated_at,
        last_seen_at=session.last_seen_at,
        is_this=session.id == current.id,
    )


def name_of(session: ShopSession) -> str:
    return named(_agent_of(session))[0]


def _agent_of(session: ShopSession) -> str:
    client = session.client_info
    return client.last_agent or client.agent if client else ""


def named(agent: str) -> tuple[str, Kind]:
    """``Firefox on Windows``. A ``User-Agent`` says what its sender likes: good enough to tell one's own apart."""
    browser = next((name for sign, name in _BROWSERS.items() if sign in agent), "")
    system = next((name for sign, name in _SYSTEMS.items() if sign in agent), "")
    if browser or system:
        return " on ".join(filter(None, [browser, system])), "phone" if system in _HANDHELD else "computer"
    return agent.partition("/")[0].strip()[:_LONGEST] or "Unknown device", "program"
