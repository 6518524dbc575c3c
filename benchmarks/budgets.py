"""What the redis engine may cost at most. Ratios are to Django's ``cache`` engine on the same server."""

from __future__ import annotations

from . import flows
from .flows import Flow

REFERENCE = "Django cache"
HELD_TO = ("redis, JSON", "redis, msgpack")

TRIPS: dict[Flow, int] = {
    flows.UNUSED: 0,
    flows.READ: 1,
    flows.READ_AND_CHANGE: 2,
    flows.FIRST_SAVE: 1,
    flows.SIGN_IN_ANONYMOUS: 2,
    flows.SIGN_IN: 1,
    flows.SIGN_OUT: 2,
    flows.TOUCH: 2,
    flows.ASYNC_READ: 1,
}
RATIOS: dict[Flow, float] = {
    flows.LOAD: 0.9,
    flows.CHANGE: 0.65,
    flows.CREATE: 0.4,
    flows.CYCLE: 0.5,
    flows.DELETE: 1.1,
    flows.READ: 0.95,
    flows.READ_AND_CHANGE: 0.7,
    flows.ASYNC_READ: 0.35,
}
LOST_UPDATES = 0
MEMORY_RATIO = 0.8
LISTING_TRIPS = 2
LISTING_MILLISECONDS = 1.0
