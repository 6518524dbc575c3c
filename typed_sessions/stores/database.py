"""Records in the database, one row each, changed by single statements that say what they expect to find.

No verb holds a row between two statements, so there is nothing to wait for and nothing left locked by a worker that
dies; compare-and-set is the ``WHERE`` of an ``UPDATE``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
from django.db import DatabaseError, IntegrityError, InterfaceError, ProgrammingError, router, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Greatest

from .. import clock
from ..exceptions import StoreUnavailable, UnreadableRecord
from ..formats import JSON, UNREADABLE, Format
from ..models import StoredSession
from ..states import EndReason, SessionMode
from .base import Conflict, Gone, Outcome, Saved, Store
from .record import FORMAT, GRACE, TOMBSTONE_LIFE, Client, Lease, Record, Tombstone, new_nonce

_COLUMNS = (
    "id",
    "mode",
    "type",
    "schema",
    "revision",
    "nonce",
    "user",
    "created",
    "modified",
    "authenticated",
    "seen",
    "expires",
    "until",
    "client",
    "data",
    "bag",
    "lease",
    "end_reason",
)
_CLIENT = JSON.decoder(Client)
_OWNER = 8
"""Characters of the id that a row has besides its key."""
_SWEEP = 1000
"""Rows removed by one statement."""


class DatabaseStore(Store):
    """Uses the database that the routers name for ``StoredSession``."""

    @property
    def is_provisional(self) -> bool:
        return bool(transaction.get_connection(self.alias).in_atomic_block)

    @property
    def format(self) -> Format:
        return JSON

    def load(self, session_id: str) -> Record | Tombstone | None:
        with _store_errors():
            # Not first(), which would have the database sort the one row that there can be.
            row = next(iter(self._rows.filter(pk=session_id).values_list(*_COLUMNS)), None)
        return None if row is None else _found(session_id, row)

    def create(self, record: Record) -> bool:
        with _store_errors():
            try:
                with transaction.atomic(using=self.alias):
                    StoredSession(pk=record.id, **_columns(record)).save(using=self.alias, force_insert=True)
            except IntegrityError:
                # Either the id is taken, or this very record was written and the reply lost.
                return self._rows.filter(pk=record.id, revision=record.revision, nonce=_mark(record)).exists()
        return True

    def save(self, record: Record, base: Record) -> Outcome:
        with _store_errors():
            columns = _columns(record)
            if record.keeps_clocks_of(base):
                del columns["seen"], columns["expires"]
            if self._as_it_was(base).update(**columns):
                return Saved(record)
        return self._what_came_first(record, base)

    def touch(self, record: Record, seen: int, expires: int) -> bool:
        with _store_errors():
            moved = self._rows.filter(pk=record.id, end_reason="").update(
                seen=Greatest(F("seen"), seen), expires=Greatest(F("expires"), expires)
            )
        return moved > 0

    def replace(self, record: Record, base: Record) -> Outcome:
        with _store_errors(), transaction.atomic(using=self.alias):
            if self._as_it_was(base).update(**_buried(EndReason.ROTATED, clock.now())):
                StoredSession(pk=record.id, **_columns(record)).save(using=self.alias, force_insert=True)
                return Saved(record)
        done = self.load(record.id)
        if isinstance(done, Record) and done.nonce == record.nonce:
            return Saved(record)
        return self._what_came_first(record, base)

    def end(self, session_id: str, reason: EndReason, now: int, user: str | None = None) -> Record | None:
        while True:
            try:
                last = self.load(session_id)
            except UnreadableRecord:
                with _store_errors():
                    self._rows.filter(pk=session_id).update(**_buried(reason, now))
                return None
            if not isinstance(last, Record):
                return None
            with _store_errors():
                if self._as_it_was(last).update(**_buried(reason, now)):
                    return last
            # Somebody saved in between; what is ended must be the last state.

    def clear_expired(self, now: int) -> int:
        removed = 0
        while True:
            with _store_errors():
                overdue = list(self._rows.filter(expires__lt=now - GRACE).values_list("pk", flat=True)[:_SWEEP])
                # Again with the condition: a session that was used in between stays.
                # Not delete(), which asks and then deletes by key alone if anybody listens to post_delete.
                removed += self._rows.filter(pk__in=overdue, expires__lt=now - GRACE)._raw_delete(self.alias) or 0
            if len(overdue) < _SWEEP:
                return removed

    def newest(self, now: int, limit: int, offset: int = 0) -> Sequence[str]:
        with _store_errors():
            return list(self._live(now).order_by("-seen", "-pk").values_list("pk", flat=True)[offset : offset + limit])

    def load_many(self, session_ids: Sequence[str]) -> Sequence[Record]:
        found = {}
        with _store_errors():
            for row in self._rows.filter(pk__in=session_ids).values_list(*_COLUMNS):
                with suppress(UnreadableRecord):
                    found[row[0]] = _found(row[0], row)
        there = (found.get(session_id) for session_id in session_ids)
        return [record for record in there if isinstance(record, Record)]

    def of_user(self, user: str, now: int) -> Sequence[str]:
        with _store_errors():
            return list(self._live(now).filter(user=user).order_by("-expires", "-pk").values_list("pk", flat=True))

    def count(self, now: int) -> int:
        with _store_errors():
            return self._live(now).count()

    @property
    def alias(self) -> str:
        """The database that is written to, and read from: a replica may not have heard of a sign-out yet."""
        return router.db_for_write(StoredSession)

    @property
    def _rows(self) -> QuerySet[StoredSession]:
        return QuerySet(StoredSession, using=self.alias)

    def _live(self, now: int) -> QuerySet[StoredSession]:
        return self._rows.filter(expires__gt=now, end_reason="")

    def _as_it_was(self, base: Record) -> QuerySet[StoredSession]:
        return self._rows.filter(pk=base.id, revision=base.revision, nonce=_mark(base), end_reason="")

    def _what_came_first(self, record: Record, base: Record) -> Outcome:
        there = self.load(base.id)
        if not isinstance(there, Record):
            return Gone(there)
        return Saved(record) if (there.revision, there.nonce) == (record.revision, record.nonce) else Conflict(there)


def _mark(record: Record) -> str:
    """The nonce, and whose it is: a row that has got under another id opens nothing there (REQ-S06)."""
    return record.nonce + record.id[-_OWNER:]


def _columns(record: Record) -> dict[str, Any]:
    return {
        "mode": record.mode.value,
        "type": record.type,
        "schema": record.schema,
        "revision": record.revision,
        "nonce": _mark(record),
        "user": record.user,
        "created": record.created,
        "modified": record.modified,
        "authenticated": record.authenticated,
        "seen": record.seen,
        "expires": record.expires,
        "until": record.until,
        "client": JSON.dumps(record.client).decode() if record.client else "",
        "data": bytes(record.data).decode(),
        "bag": bytes(record.bag).decode(),
        "lease": f"{record.lease.until} {record.lease.holder}" if record.lease else "",
        "end_reason": "",
    }


def _buried(reason: EndReason, now: int) -> dict[str, Any]:
    """What a row is when its session has ended; it goes with the next sweep after the tombstone's time."""
    life = now + TOMBSTONE_LIFE - GRACE
    return {
        "end_reason": reason.value,
        "modified": now,
        "expires": life,
        "nonce": new_nonce(),
        "data": "{}",
        "bag": "{}",
        "client": "",
        "lease": "",
    }


def _found(session_id: str, columns: Sequence[Any]) -> Record | Tombstone:
    row = dict(zip(_COLUMNS, columns, strict=True))
    reason, mark = row.pop("end_reason"), row["nonce"]
    if row["id"] != session_id or not (reason or mark.endswith(session_id[-_OWNER:])):
        raise UnreadableRecord(f"Session {session_id}: the stored row is that of another session")
    try:
        row["nonce"] = mark[:-_OWNER]
        if reason:
            return Tombstone(format=FORMAT, ended=row["modified"], reason=EndReason(reason))
        client = _CLIENT.decode(row.pop("client") or "{}")
        until, _, holder = row.pop("lease").partition(" ")
        for name in ("data", "bag"):
            raw = row[name].encode()
            JSON.split(raw)
            row[name] = msgspec.Raw(raw)
        return Record(
            format=FORMAT,
            mode=SessionMode(row.pop("mode")),
            client=client if client != Client() else None,
            lease=Lease(holder=holder, until=int(until)) if holder and until.isdecimal() else None,
            **row,
        )
    except UNREADABLE as error:
        raise UnreadableRecord(f"Session {session_id}: the stored row is not a record ({error})") from error


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except (ProgrammingError, transaction.TransactionManagementError):
        raise  # a mistake of the project's, such as no migration, is not to be waited for
    except (DatabaseError, InterfaceError) as error:
        raise StoreUnavailable(f"The database did not do what was asked: {type(error).__name__}: {error}") from error
