"""How checks say what they found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple

from ..exceptions import StoreUnavailable


class Level(str, Enum):
    """How bad a finding is."""

    OK = "ok"
    UNKNOWN = "unknown"
    """The check could not look, because the store did not answer or its user may not ask."""
    WARNING = "warning"
    """Sessions work, and some of them, or some of what they promise, can be lost."""
    ERROR = "error"
    """Sessions do not work, or not as they should."""


class Finding(NamedTuple):
    """What one check has found. ``advice`` is what to do, if there is anything."""

    check: str
    level: Level
    found: str
    advice: str = ""


Findings = Sequence[Finding]


class Check(NamedTuple):
    """A check and its name. ``look`` may raise ``StoreUnavailable``."""

    name: str
    look: Callable[[str], Findings]


def counted(count: int, one: str, many: str = "") -> str:
    """``1 key``, ``2,000 keys``."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def good(name: str, found: str) -> Findings:
    return [Finding(name, Level.OK, found)]


def warn(name: str, found: str, advice: str) -> Findings:
    return [Finding(name, Level.WARNING, found, advice)]


def fail(name: str, found: str, advice: str) -> Findings:
    return [Finding(name, Level.ERROR, found, advice)]


def run(check: Check) -> Findings:
    """What the check finds; that it could not look, if it could not."""
    try:
        return check.look(check.name)
    except StoreUnavailable as error:
        advice = "Let the store answer, or look at this yourself if its user may not ask."
        return [Finding(check.name, Level.UNKNOWN, f"could not look: {error}", advice)]
