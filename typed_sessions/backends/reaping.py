"""Reaping: finding the sessions that have expired, telling of their ends, and putting away what is left of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from asgiref.sync import sync_to_async

from .. import clock, hooks, telemetry
from ..codec import configured_codec
from ..flows import Flow, Step
from ..session import TypedSession, attach
from ..states import EndReason
from ..stores.base import Claim
from . import endings, revocations
from .facts import Facts
from .loaded import LoadedSession

_SHARE = 0.8
"""Of a lease, the part in which its sessions are told."""

logger = logging.getLogger("typed_sessions")


class Reaped(NamedTuple):
    """What a reaping has done."""

    ended: int = 0
    """Sessions that had expired, and whose end has been told."""
    missed: int = 0
    """Sessions that had expired, and were gone before anybody came to tell."""
    returned: int = 0
    """Sessions that had ended before, had come back by a replica or a backup, and were ended again."""
    cleared: int = 0
    """Tombstones, or entries of the index, whose time was over."""


def reaping(engine: LoadedSession, limit: int | None, lease: int, batch: int) -> Flow[Reaped]:
    """Tells of all sessions that have expired, or of ``limit``, in batches, each claimed for ``lease`` seconds."""
    store = engine.store
    yield from store.checking_clock()
    returned = yield from revocations.replaying(store, clock.now())
    ended = missed = 0
    while limit is None or ended < limit:
        size = batch if limit is None else min(batch, limit - ended)
        overdue = yield Step(store.claim_overdue, store.aclaim_overdue, (clock.now(), size, lease))
        missed += overdue.missed
        told = yield from _announcing(engine, overdue.claims, time.monotonic() + lease * _SHARE)
        if told:
            yield Step(store.settle, store.asettle, (told, clock.now()))
        ended += len(told)
        if overdue.is_all:
            break
    if missed:
        telemetry.counters.add("missed", times=missed)
        logger.warning(
            "%s sessions had expired and were gone before on_ended could be told. Run 'manage.py typed_sessions reap "
            "--forever', or at least once in an hour; or the store has lost them.",
            missed,
        )
    cleared = yield Step(store.clear_expired, store.aclear_expired, (clock.now(),))
    return Reaped(ended, missed, returned, cleared)


def _announcing(engine: LoadedSession, claims: Sequence[Claim], deadline: float) -> Flow[Sequence[Claim]]:
    """Tells of ``claims`` in the time that there is for it, and answers with those that were told."""
    session_class = configured_codec(engine.store.format).session_class
    users: dict[str, Any] = {}
    if hooks.is_heard("on_ended", session_class):
        keys = {claim.record.user for claim in claims if claim.record and claim.record.user}
        users = (yield Step(endings.users_of, sync_to_async(endings.users_of), (keys,))) if keys else {}
    for done, claim in enumerate(claims):
        if time.monotonic() > deadline:  # others may be given the rest at any moment
            logger.warning("Receivers of on_ended took too long for %s sessions; some are told later", len(claims))
            return claims[:done]
        if claim.record is None:
            yield from _announcing_unreadable(claim, session_class)
        else:
            user = users.get(claim.record.user or "")
            yield from endings.announcing(engine, claim.record, claim.reason, user=user, is_user_known=True)
    return claims


def _announcing_unreadable(claim: Claim, session_class: type[TypedSession]) -> Flow[None]:
    """Nothing of it could be read: what is told is a session of defaults, which has ended as undecodable."""
    session, facts, reason = session_class(), Facts(), EndReason.UNDECODABLE
    facts.known_id, facts.status, facts.end_reason = claim.session_id, reason.status, reason
    attach(session, facts)
    logger.warning("Session %s has expired, and its last state could not be read", claim.session_id)
    yield from endings.announcing_unknown(session, reason)
