"""How long a save goes on when others keep coming first."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from typing import Final

from ..flows import Step

SECONDS: Final = 5.0
TRIES: Final = 200
"""Both have to be over before a save gives up. Each of the others got its own save done meanwhile."""
AT_ONCE: Final = 3
"""Tries without a pause between them."""
PAUSE: Final = 0.02
"""Seconds at most before each further try."""


def pause() -> Step:
    """A wait of random length, so that whoever lost meets others the next time."""
    return Step(time.sleep, asyncio.sleep, (random.uniform(0, PAUSE),))


def tries() -> Iterator[Step | None]:
    """What to wait for before each try; nothing before the first few."""
    begun = time.monotonic()
    tried = 0
    while tried < TRIES or time.monotonic() - begun < SECONDS:
        # Not even a sleep of 0: the kernel rounds it up.
        yield None if tried < AT_ONCE else pause()
        tried += 1
