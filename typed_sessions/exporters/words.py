"""What the counters are called, and mean, where they are shown to people who run the site."""

from __future__ import annotations

from typing import Final

from ..states import EndReason

OPERATIONS: Final = {"reads": "read", "writes": "write", "touches": "touch"}
"""Counters that are one metric, with these as the label: what was done with stored sessions."""

ENDED: Final = "ended"
"""The counter that has a reason."""

REASONS: Final = tuple(reason.value for reason in EndReason)
"""A session that is lost has not ended; it has a counter of its own."""

MEANINGS: Final = {
    "operations": "Stored sessions that were read, written, or marked as used.",
    "created": "Sessions that began.",
    "conflicts": "Saves that another request's save of the same session came before.",
    "lost": "Sessions that the store did not have any more, though it should.",
    "rejected": "Requests with a token that is none of ours.",
    "unavailable": "Requests for whose session the store did not answer.",
    "missed": "Sessions that had expired and were gone before a reaper came.",
    ENDED: "Sessions that ended, by reason.",
    "live": "Sessions that are live at the moment.",
}

UNITS: Final = {"operations": "{operation}", "conflicts": "{save}", "rejected": "{request}", "unavailable": "{request}"}
"""What is counted, where it is not sessions."""
