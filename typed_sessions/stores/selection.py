"""Which of the live sessions a list is about, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..states import SessionMode
from .record import Record


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What every store that can list finds by its indexes alone. Times are seconds since the epoch."""

    mode: SessionMode | None = None
    """Only those of this mode."""
    signed_in: bool | None = None
    """Only those in which somebody is signed in, or only those in which nobody is."""
    by: Literal["seen", "expires"] = "seen"
    """The order, by last use or by expiry; and what ``since`` and ``before`` are about."""
    ascending: bool = False
    """The earliest first, and not the latest."""
    since: int | None = None
    """Only those that were used, or expire, then or later."""
    before: int | None = None
    """Only those that were used, or expire, earlier than that."""

    def chooses(self, record: Record) -> bool:
        """Whether ``record`` is one of them."""
        moment = record.seen if self.by == "seen" else record.expires
        return (
            self.mode in (None, record.mode)
            and self.signed_in in (None, record.user is not None)
            and (self.since is None or moment >= self.since)
            and (self.before is None or moment < self.before)
        )


EVERYTHING = Selection()
"""All live sessions, the one last used first."""
