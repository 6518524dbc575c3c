"""``show``: everything about one session."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ... import clock, tokens
from ...exceptions import UnreadableRecord
from ...shown import HIDDEN, bag_of, fields_of
from ...states import SessionStatus
from ...stores import wire
from ...stores.record import Record, Tombstone
from .. import site
from ..output import Output, instant, local_time, not_there, printable, size, span
from .base import Verb, add_json
from .listing import described


class Show(Verb):
    """Facts, fields and bag of one session, or why and when it ended. Looking at it does not extend it."""

    name = "show"
    help = "everything about one session"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("id", help="the session's id, with or without urn:iauthsession: in front")
        add_json(parser)

    def run(self, out: Output, options: dict[str, Any]) -> None:
        session_id = site.session_id(options["id"])
        try:
            found = site.store().load(session_id)
        except UnreadableRecord as error:
            not_there(f"There is a record, and it cannot be read: {printable(error)}")
        if isinstance(found, Record):
            _show(out, found)
        elif isinstance(found, Tombstone):
            _show_end(out, session_id, found)
        else:
            given = site.shortened(options["id"])
            not_there(f"There is no session with the id {given}, and none that ended a short while ago.")


def _show_end(out: Output, session_id: str, tombstone: Tombstone) -> None:
    shown, reason = tokens.shown(session_id), tombstone.reason.value
    if out.is_json:
        out.json(
            {"id": shown, "status": tombstone.reason.status.value, "ended": instant(tombstone.ended), "reason": reason}
        )
    else:
        out.pairs({"id": str(shown), "ended": local_time(tombstone.ended), "reason": reason})


def _show(out: Output, record: Record) -> None:
    copy = site.engine().copy_of(record)
    fields, bag = fields_of(copy.session), bag_of(copy.read_bag())
    unreadable = {part.where: part.problem for part in copy.unreadable}
    if out.is_json:
        out.json({**_facts(record), "fields": fields, "bag": bag, "unreadable": unreadable})
        return
    out.pairs(_told(record))
    for title, parts in (("fields", fields), ("bag", bag)):
        out.line()
        out.line(title, "MIGRATE_HEADING")
        out.pairs({printable(name): _text(value) for name, value in parts.items()})
    for path, problem in unreadable.items():
        out.note(f"{printable(path)} cannot be read: {printable(problem)}")


def _text(value: object) -> str:
    return HIDDEN if value is HIDDEN else printable(json.dumps(value, ensure_ascii=False))


def _facts(record: Record) -> dict[str, Any]:
    """For programs."""
    overdue = record.overdue(clock.now())
    return {
        **described(record, site.names_of([record.user])),
        "urn": tokens.urn(str(tokens.shown(record.id))),
        "status": (overdue.status if overdue else SessionStatus.LIVE).value,
        "class": record.type,
        "version": record.schema,
        "authenticated": instant(record.authenticated),
        "modified": instant(record.modified),
        "absolute_end": instant(record.until),
        "first_address": record.client.address if record.client else "",
        "first_agent": record.client.agent if record.client else "",
        "bytes": len(wire.encode(record)),
        "saves": record.revision,
    }


def _told(record: Record) -> dict[str, str]:
    """For people."""
    facts = _facts(record)
    user = "-" if record.user is None else f"{facts['user_name'] or '?'} ({record.user})"
    expires = local_time(record.expires)
    lines = {
        "id": facts["id"],
        "urn": facts["urn"],
        "status": facts["status"],
        "user": user,
        "mode": facts["mode"],
        "class": f"{record.type}, version {record.schema}",
        "created": local_time(record.created),
        "signed in": local_time(record.authenticated),
        "last saved": local_time(record.modified),
        "last seen": local_time(record.seen),
        "expires": f"{expires} (in {span(facts['expires_in'])})" if facts["status"] == "live" else expires,
        "at the latest": local_time(record.until),
        "address": facts["address"] or "-",
        "agent": facts["agent"] or "-",
        "first address": facts["first_address"] or "-",
        "first agent": facts["first_agent"] or "-",
        "size": size(facts["bytes"]),
        "saves": str(facts["saves"]),
    }
    return {name: printable(value) for name, value in lines.items()}
