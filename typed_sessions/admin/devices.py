"""What a user agent says: which browser, on which system, and what kind of device that is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from django.db.models import TextChoices
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

LONGEST: Final = 256
"""Characters; no more are stored, and no more are looked at."""
_SHORT: Final = 60

_LINUXES: Final = ("Linux", "Debian", "Fedora", "Gentoo", "Linux Mint", "Red Hat", "SUSE", "Ubuntu")
_DESKTOPS: Final = frozenset(("Windows", "Mac OS X", "Chrome OS", "FreeBSD", "NetBSD", "OpenBSD", "Solaris", *_LINUXES))
_PHONES: Final = frozenset(("BlackBerry OS", "KaiOS", "Symbian OS", "Windows Phone"))
_PROGRAMS: Final = re.compile(
    r"(?i)\bbot\b|crawler|spider|headless|phantomjs"
    r"|^(?:curl|wget|python|aiohttp|go-http|java/|libwww|node|axios|undici|postman|insomnia|httpie)"
)
_TELEVISIONS: Final = re.compile(r"(?i)\btv\b|smart-?tv|google-?tv|apple-?tv|bravia|hbbtv|\baft[a-z]+\b|\bcrkey\b")
_SAID_BY_SYSTEM: Final = re.compile(r"\bMobile | (?:iOS|Mobile)\b")
"""In the name of a browser."""
_NAMES: Final = {"Mac OS X": "macOS", "Chrome OS": "ChromeOS"}


class Kind(TextChoices):
    """``BOT`` is any program that nobody sits in front of."""

    DESKTOP = "desktop", gettext_lazy("desktop")
    PHONE = "phone", gettext_lazy("phone")
    TABLET = "tablet", gettext_lazy("tablet")
    BOT = "bot", gettext_lazy("bot")
    UNKNOWN = "unknown", gettext_lazy("unknown")


@dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """A text is empty if the agent does not say it."""

    agent: str = ""
    """As it came, up to ``LONGEST`` characters."""
    browser: str = ""
    """With its major version."""
    system: str = ""
    """Without a version: browsers no longer tell the true one."""
    kind: Kind = Kind.UNKNOWN

    @property
    def text(self) -> str:
        """In a few words, such as "Firefox 140 on Linux"; the beginning of an agent that says nothing."""
        if self.browser and self.system:
            return _("%(browser)s on %(system)s") % {"browser": self.browser, "system": self.system}
        return self.browser or self.system or self._beginning

    @property
    def _beginning(self) -> str:
        return self.agent if len(self.agent) <= _SHORT else f"{self.agent[:_SHORT]}…"


def device_of(agent: str) -> Device:
    """What a user agent says; it may be any text, and lies as it likes."""
    return _parsed(agent[:LONGEST])


@lru_cache(maxsize=1024)
def _parsed(agent: str) -> Device:
    import ua_parser  # loads its thousand patterns, of no use to a site without the admin

    try:
        found = ua_parser.parse(agent).with_defaults()
    except Exception:  # patterns and what is taken out of their groups come from data; a row is shown in any case
        return Device(agent=agent)
    family, system, device = found.user_agent.family, found.os.family, found.device
    return Device(
        agent=agent,
        browser="" if family in ("Other", system) else _browser(family, found.user_agent.major),
        system="" if system == "Other" else _NAMES.get(system, system),
        kind=_kind(agent, system, f"{device.family} {device.brand} {device.model}"),
    )


def _browser(family: str, major: str | None) -> str:
    name = _SAID_BY_SYSTEM.sub("", family)
    return f"{name} {major}" if major else name


def _kind(agent: str, system: str, device: str) -> Kind:
    if "Spider" in device or _PROGRAMS.search(agent):
        return Kind.BOT
    if _TELEVISIONS.search(agent):
        return Kind.UNKNOWN
    if system in _DESKTOPS:
        return Kind.DESKTOP
    # A browser on Android says "Mobile" on a phone, and nothing on a tablet.
    silent = system == "Android" and agent.startswith("Mozilla/") and "Mobile" not in agent
    if silent or "iPad" in device or "Tablet" in device:
        return Kind.TABLET
    is_phone = system in _PHONES or "iPhone" in device or "Smartphone" in device or "Mobile" in agent
    return Kind.PHONE if is_phone else Kind.UNKNOWN
