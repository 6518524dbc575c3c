"""``list``: the live sessions, newest first."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from ... import clock, tokens
from ...live import live_sessions
from ...stores.record import Record
from .. import site
from ..output import Output, instant, local_time, printable, span
from .base import Verb, add_json, at_least

_HEAD = ("ID", "USER", "MODE", "CREATED", "LAST SEEN", "EXPIRES IN", "ADDRESS")


class List(Verb):
    """The live sessions, the one last used first. Looking at them does not extend them."""

    name = "list"
    help = "the live sessions, newest first"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--user", help="of this user alone, by name or primary key")
        parser.add_argument("--limit", type=at_least(1), default=50, help="how many; 50 if it is not said")
        parser.add_argument("--offset", type=at_least(0), default=0, help="how many to leave out first")
        add_json(parser)

    def run(self, out: Output, options: dict[str, Any]) -> None:
        site.listing_store()
        limit, offset = options["limit"], options["offset"]
        if options["user"] is None:
            sessions = live_sessions.recent(limit, offset)
        else:
            sessions = live_sessions.for_user(site.key_of(options["user"]))[offset : offset + limit]
        records = [site.record_of(session) for session in sessions]
        names = site.names_of(record.user for record in records)
        if out.is_json:
            out.json([described(record, names) for record in records])
        elif records:
            out.table(_HEAD, _rows(records, names))
        else:
            out.note("No sessions.")


def described(record: Record, names: dict[str, str]) -> dict[str, Any]:
    """What a list tells of a session to programs."""
    client = record.client
    return {
        "id": tokens.shown(record.id),
        "user": record.user,
        "user_name": names.get(record.user or ""),
        "mode": record.mode.value,
        "created": instant(record.created),
        "last_seen": instant(record.seen),
        "expires": instant(record.expires),
        "expires_in": max(0, record.expires - clock.now()),
        "address": (client.last_address or client.address) if client else "",
        "agent": (client.last_agent or client.agent) if client else "",
    }


def _rows(records: Sequence[Record], names: dict[str, str]) -> list[list[str]]:
    rows = []
    for record in records:
        told = described(record, names)
        user = "-" if record.user is None else f"{names.get(record.user, '?')} ({record.user})"
        times = (local_time(record.created), local_time(record.seen), span(told["expires_in"]))
        cells = (told["id"], user, told["mode"], *times, told["address"] or "-")
        rows.append([printable(cell) for cell in cells])
    return rows
