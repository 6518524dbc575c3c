"""``stats``: how many sessions there are, and what their store says of itself."""

from __future__ import annotations

import argparse
from typing import Any, Final

from django.conf import settings as django_settings

from ... import clock
from ...doctor import inspection
from ...live import live_sessions
from .. import site
from ..output import Output, instant, local_time, printable, size
from .base import Verb, add_json

_BYTES: Final = {"used_memory", "max_memory", "bytes"}
_MOMENTS: Final = {"last_snapshot", "unannounced_since"}


class Statistics(Verb):
    """How many sessions are live, how many ends wait to be announced, and facts of the store.

    What web servers have counted, they have counted each for itself: see typed_sessions.telemetry.
    """

    name = "stats"
    help = "how many sessions, and facts of the store"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_json(parser)

    def run(self, out: Output, options: dict[str, Any]) -> None:
        facts = _facts()
        if out.is_json:
            out.json({name: instant(value) if name in _MOMENTS else value for name, value in facts.items()})
        else:
            out.pairs({name.replace("_", " "): _told(name, value) for name, value in facts.items()})


def _facts() -> dict[str, Any]:
    store = site.store()
    looking = inspection(store)
    unannounced = looking.unannounced(clock.now()) if looking else None
    return {
        "engine": django_settings.SESSION_ENGINE,
        "live": live_sessions.count() if store.lists_sessions else None,
        "unannounced": unannounced.count if unannounced else None,
        "unannounced_since": unannounced.since if unannounced else None,
        "claimed": looking.claimed() if looking else None,
        **(looking.facts() if looking else {}),
    }


def _told(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name in _MOMENTS:
        return local_time(value)
    if name in _BYTES:
        return size(value)
    return f"{value:,}" if isinstance(value, int) else printable(value)
