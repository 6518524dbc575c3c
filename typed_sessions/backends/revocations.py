"""The revocation journal: what has ended, written down where a Redis that loses its last seconds cannot lose it too.

A replica that takes over, or a backup that is restored, may bring ended sessions back. Whoever reaps ends them again
(REQ-R15).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from asgiref.sync import sync_to_async
from django.apps import apps
from django.db import DatabaseError, InterfaceError, router, transaction

from .. import conf, tokens
from ..flows import Flow, Step
from ..states import EndReason
from ..stores.base import Store

logger = logging.getLogger("typed_sessions")

_PAGE = 500
_RECENT = 300
"""Seconds for which each reaping looks back, however the store seems."""
_known: dict[int, str] = {}
"""Which incarnation of a store has been told everything, by the store."""


def noting(store: Store, session_id: str, reason: EndReason, now: int) -> Flow[None]:
    """Writes down that a session has ended."""
    if not _is_kept(store):
        return
    try:
        yield Step(_write, sync_to_async(_write), (session_id, reason, now))
    except (DatabaseError, InterfaceError) as error:  # it has ended, and whoever asked for that is not to be told else
        shown = tokens.shown(session_id)
        logger.error("The end of session %s could not be written to the revocation journal: %s", shown, error)


def replaying(store: Store, now: int) -> Flow[int]:
    """Ends again what has come back, and forgets what cannot. Answers how many had come back."""
    if not _is_kept(store):
        return 0
    incarnation = yield Step(store.incarnation, store.aincarnation)
    is_known = incarnation is not None and _known.get(id(store)) == incarnation
    since, after, again = now - _RECENT if is_known else 0, "", 0
    while True:
        page = yield Step(_page, sync_to_async(_page), (since, after))
        reasons = {line.id: EndReason(line.reason) for line in page}
        back = yield Step(store.load_many, store.aload_many, (list(reasons),))
        for record in back:
            yield Step(store.end, store.aend, (record.id, reasons[record.id], now, record.user))
            shown = tokens.shown(record.id)
            logger.warning("Session %s had come back, as from a replica or a backup, and was ended again", shown)
        again += len(back)
        if len(page) < _PAGE:
            break
        after = page[-1].id
    yield Step(_forget, sync_to_async(_forget), (now,))
    if incarnation is not None:
        _known[id(store)] = incarnation
    return again


def _is_kept(store: Store) -> bool:
    return store.may_bring_back and conf.settings().revocation_journal


def _write(session_id: str, reason: EndReason, now: int) -> None:
    settings = conf.settings()
    longest = max(settings.temp_seconds, settings.perm_seconds, settings.absolute_seconds or 0)
    line = _model()(id=session_id, reason=reason.value, ended=now, until=now + longest)
    with transaction.atomic(using=router.db_for_write(_model())):  # so that a failure spoils no transaction around it
        _lines().bulk_create([line], ignore_conflicts=True)


def _page(since: int, after: str) -> Sequence[Any]:
    lines = _lines().filter(ended__gte=since, pk__gt=after)
    return list(lines.order_by("pk")[:_PAGE])


def _forget(now: int) -> None:
    _lines().filter(until__lt=now).delete()


def _lines() -> Any:
    """All of the journal, in the database that is written to."""
    return _model().objects.using(router.db_for_write(_model()))


def _model() -> Any:
    return apps.get_model("typed_sessions", "Revocation")  # which is not loaded yet when this module is
