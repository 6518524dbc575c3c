"""How many sessions there are, and were: what a store can say without looking at each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..states import EndReason

RECENT = 3600
"""Seconds of which ``Tally`` tells."""
INTERVAL = 300
"""Seconds from one sample to the next."""
SAMPLES_LIFE = 7 * 86_400
"""Seconds for which samples are kept."""


class Tally(NamedTuple):
    """What has happened within the last ``RECENT`` seconds, to the minute."""

    started: int
    """Sessions that began. One that goes on under another id, as after a sign-in, is no new one."""
    ended: Mapping[EndReason, int]
    """Sessions that ended, but for those that went on under another id."""


class Sample(NamedTuple):
    """How many sessions there were at one moment."""

    at: int
    """Seconds since the epoch, a multiple of ``INTERVAL``."""
    live: int
    signed_in: int
    started: int
    """Sessions that began within the ``RECENT`` seconds before."""


class Statistics(NamedTuple):
    """How many sessions there are now, and what has happened within the last hour."""

    live: int
    signed_in: int
    started: int
    ended: Mapping[EndReason, int]

    @property
    def anonymous(self) -> int:
        return self.live - self.signed_in
