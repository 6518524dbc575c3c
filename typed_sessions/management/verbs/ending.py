"""``end``: one session, those of a user, or all."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import datetime
from math import ceil
from typing import Any

from django.utils import timezone as zones
from django.utils.dateparse import parse_datetime

from ... import clock, tokens
from ...live import live_sessions
from ...states import EndReason
from .. import site
from ..output import Output, asked_wrongly, confirmed, not_there
from .base import Verb, add_json

_STAFF = EndReason.ENDED_BY_STAFF
_PAGE = 1000


class End(Verb):
    """Ends sessions at once, as ended_by_staff, and reads again to prove it.

    That there was nothing to end is an error. After an old backup of the store was restored, 'end --all --before' with
    the moment of that takes back what the backup has brought back, such as sessions that people had signed out of.
    """

    name = "end"
    help = "end sessions"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("ids", nargs="*", metavar="ID", help="end these")
        parser.add_argument("--user", help="end those of this user, by name or primary key")
        parser.add_argument("--keep", metavar="ID", help="with --user: but not this one")
        parser.add_argument("--all", action="store_true", help="end those of everybody; asks before it begins")
        parser.add_argument(
            "--before", type=_instant, metavar="INSTANT", help="with --all: that began before, in ISO 8601"
        )
        parser.add_argument("--yes", action="store_true", help="with --all: do not ask")
        add_json(parser)

    def run(self, out: Output, options: dict[str, Any]) -> None:
        ids, user, everybody = options["ids"], options["user"], options["all"]
        if bool(ids) + (user is not None) + everybody != 1:
            asked_wrongly("Say which sessions to end: some ids, or --user, or --all.")
        if options["keep"] is not None and user is None:
            asked_wrongly("--keep goes with --user.")
        if options["before"] is not None and not everybody:
            asked_wrongly("--before goes with --all.")
        if ids:
            _tell(out, *_end_these(ids))
        elif user is not None:
            _tell(out, *_end_those_of(user, options["keep"]))
        else:
            _tell(out, *_end_all(out, options["before"], options["yes"]))


def _tell(out: Output, ended: int, left: int) -> None:
    if out.is_json:
        out.json({"ended": ended, "left": left})
    elif ended:
        out.line(f"{ended:,} {'session' if ended == 1 else 'sessions'} ended.", "SUCCESS")
    if left:
        not_there(f"{left:,} of the sessions that were to end are still there, or were not there to end.")
    if not ended:
        not_there("There was nothing to end.")


def _end_these(given: list[str]) -> tuple[int, int]:
    ids = {site.session_id(each) for each in given}
    ended = sum(site.end_one(session_id) for session_id in ids)
    return ended, len(ids) - ended


def _end_those_of(user: str, keep: str | None) -> tuple[int, int]:
    site.listing_store()
    key, kept = site.key_of(user), None if keep is None else site.session_id(keep)
    before = _ids_of(key)
    if kept is not None and kept not in before:
        not_there(
            f"The session to keep, {site.shortened(tokens.shown(kept) or '')}, is none of this user. None was ended."
        )
    ended = live_sessions.end_for_user(key, keep=kept, reason=_STAFF)
    return ended, len(_ids_of(key) & before - {kept})


def _ids_of(key: str) -> set[Any]:
    return {session.id for session in live_sessions.for_user(key)}


def _end_all(out: Output, before: datetime | None, is_sure: bool) -> tuple[int, int]:
    site.listing_store()
    which = (
        f"All sessions that began before {before.isoformat()}"
        if before
        else f"All sessions ({live_sessions.count():,} now)"
    )
    if not (is_sure or confirmed(f"{which} will end, and everybody in them has to sign in again.")):
        asked_wrongly("Nobody has said yes. Without a terminal to ask at, --yes says so.")
    begun = clock.now() + 1
    ended = live_sessions.end_all(before, _STAFF, progress=_progress(out, "sessions ended"))
    return ended, _left(ceil(before.timestamp()) if before else begun, _progress(out, "others looked at"))


def _left(before: int, progress: Callable[[int], None]) -> int:
    """How many sessions that began before are there, by another look at all that are."""
    store, offset, left = site.store(), 0, 0
    while ids := store.newest(clock.now(), _PAGE, offset):
        left += sum(record.created < before and record.is_live(clock.now()) for record in store.load_many(ids))
        offset += _PAGE
        progress(offset)
    return left


def _progress(out: Output, what: str) -> Callable[[int], None]:
    return lambda done: out.progress(done, what)


def _instant(text: str) -> datetime:
    moment = parse_datetime(text)
    if moment is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no instant such as 2026-11-21T22:00:00Z")
    return zones.make_aware(moment, zones.get_default_timezone()) if zones.is_naive(moment) else moment
