"""Records in the database, one row each, changed by single statements that say what they expect to find.

No verb holds a row between two statements, so there is nothing to wait for and nothing left locked by a worker that
dies; compare-and-set is the ``WHERE`` of an ``UPDATE``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

import msgspec
from django.db import DatabaseError, IntegrityError, InterfaceError, ProgrammingError, connections, router, transaction
from django.db.models import Case, Count, F, Q, QuerySet, Value, When
from django.db.models.functions import Greatest

from .. import clock, models
from ..exceptions import StoreUnavailable, UnreadableRecord
from ..formats import JSON, UNREADABLE, Format
from ..models import Reservation, StoredSession
from ..states import EndReason, SessionMode
from .base import Claim, Conflict, Gone, Outcome, Overdue, Saved, Store, tombstone_life
from .counts import Counts
from .places import Places
from .record import FORMAT, GRACE, TOMBSTONE_LIFE, Client, Lease, Record, Tombstone, new_nonce, outlives
from .selection import EVERYTHING, Selection
from .statistics import RECENT, SAMPLES_LIFE, Sample, Tally

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
    "place",
    "end_reason",
)
_CLIENT = JSON.decoder(Client)
_CLOCKS = {
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())",
    "mysql": "SELECT unix_timestamp()",
}
"""Databases that run on a machine of their own, and how to ask for its time."""
_OWNER = 8
"""Characters of the id that a row has besides its key."""
_NEW = tuple(reason.value for reason in EndReason if reason is not EndReason.ROTATED)
"""Why rows have ended that go on under no other id."""
_NOT_ENDED = Q(end_reason__lte="")
"""As ``end_reason=""``, by which SQLite, and a database without statistics, prefers the index that begins with it."""
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
                own = self._rows.filter(pk=record.id, revision=record.revision, nonce=_mark(record), end_reason="")
                return own.exists()
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
            now = clock.now()
            life = outlives(base, EndReason.ROTATED, now)
            if self._as_it_was(base).update(**_buried(EndReason.ROTATED, now, life)):
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
                    self._rows.filter(pk=session_id).update(**_buried(reason, now, TOMBSTONE_LIFE))
                return None
            if not isinstance(last, Record):
                return None
            with _store_errors():
                if self._as_it_was(last).update(**_buried(reason, now, outlives(last, reason, now))):
                    for memory in (self._places, self._counts):
                        memory.left(self.alias, last)
                    return last
            # Somebody saved in between; what is ended must be the last state.

    def clear_expired(self, now: int) -> int:
        removed = 0
        with _store_errors():
            models.Tally.objects.using(self.alias).filter(minute__lt=(now - RECENT) // 60).delete()
            models.Sample.objects.using(self.alias).filter(at__lt=now - SAMPLES_LIFE).delete()
        while True:
            with _store_errors():
                over = self._rows.filter(~Q(end_reason=""), expires__lt=now, lease="")
                tombstones = list(over.values_list("pk", flat=True)[:_SWEEP])
                # Again with the condition: what was ended anew in between stays.
                # Not delete(), which asks and then deletes by key alone if anybody listens to post_delete.
                removed += over.filter(pk__in=tombstones)._raw_delete(self.alias) or 0
            if len(tombstones) < _SWEEP:
                return removed

    # Announcing. The row is ended in place; what says that its last state is still to be told is that somebody has a
    # lease on it all the same.

    def claim_overdue(self, now: int, limit: int, lease: int) -> Overdue:
        mark = new_nonce() + new_nonce()
        with _store_errors():
            over = self._rows.filter(expires__lte=now - GRACE)
            free = over.filter(Q(end_reason="") | ~Q(lease="") & Q(lease__lt=f"{now} "))
            found = list(free.order_by("expires").values_list("pk", flat=True)[:limit])
            # Again with the conditions: a session that was used in between stays, and what another has claimed is its.
            free.filter(pk__in=found).update(
                end_reason=Case(
                    When(~Q(end_reason=""), then=F("end_reason")),
                    When(until__isnull=False, expires__gte=F("until"), then=Value(EndReason.EXPIRED_ABSOLUTE.value)),
                    default=Value(EndReason.EXPIRED_IDLE.value),
                ),
                lease=f"{now + lease} {mark}",
            )
            rows = list(self._rows.filter(pk__in=found, lease=f"{now + lease} {mark}").values_list(*_COLUMNS))
        return Overdue([_claim(row, mark.encode()) for row in rows], is_all=len(found) < limit)

    def settle(self, claims: Sequence[Claim], now: int) -> None:
        alike = defaultdict[tuple[bytes, EndReason, int], list[str]](list)
        for claim in claims:
            alike[claim.mark, claim.reason, tombstone_life(claim, now)].append(claim.session_id)
        for (mark, reason, life), ids in alike.items():
            with _store_errors():
                rows = self._rows.filter(pk__in=ids, lease__endswith=f" {mark.decode()}")
                if life:
                    # For an hour it also tells of itself.
                    rows.update(**_buried(reason, now, max(life, TOMBSTONE_LIFE)))
                else:
                    self._tally(reason, now // 60, rows._raw_delete(self.alias) or 0)

    # Places. A row for each user is what those wait for who want one at the same time.

    def reserve(self, user: str, session_id: str, leaving: Sequence[str], limit: int, now: int, until: int) -> bool:
        with _store_errors(), transaction.atomic(using=self.alias):
            places = {place: end for place, end in self._reserved(user).items() if end > now}
            live = self._live(now).filter(user=user).values_list("pk", flat=True)
            if len({*live, *places} - {session_id, *leaving}) >= limit:
                return False
            self._keep_reserved(user, {**places, session_id: until})
        return True

    def release(self, user: str, session_id: str) -> None:
        with _store_errors(), transaction.atomic(using=self.alias):
            places = self._reserved(user)
            places.pop(session_id, None)
            self._keep_reserved(user, places)

    def _reserved(self, user: str) -> dict[str, int]:
        """The places that are kept for ``user``, which nobody else can change until the transaction is over."""
        rows = Reservation.objects.using(self.alias).filter(pk=user)
        if not rows.update(places=F("places")):  # first of all a write, which is what all databases wait for
            with suppress(IntegrityError), transaction.atomic(using=self.alias):
                Reservation(pk=user).save(using=self.alias, force_insert=True)
            rows.update(places=F("places"))
        kept = rows.values_list("places", flat=True).get().split()
        return dict(zip(kept[::2], map(int, kept[1::2]), strict=True))

    def _keep_reserved(self, user: str, places: dict[str, int]) -> None:
        text = " ".join(f"{place} {end}" for place, end in places.items())
        Reservation.objects.using(self.alias).filter(pk=user).update(places=text)

    def time(self) -> int | None:
        clock_of = _CLOCKS.get(connections[self.alias].vendor)
        if clock_of is None:
            return None
        with _store_errors(), connections[self.alias].cursor() as cursor:
            cursor.execute(clock_of)
            return int(cursor.fetchone()[0])

    def after_commit(self, act: Callable[[], object]) -> bool:
        blocks = connections[self.alias].atomic_blocks
        # What only a test would take back counts as done: it looks whether it is.
        if all(getattr(block, "_from_testcase", False) for block in blocks):
            return False
        transaction.on_commit(act, using=self.alias)
        return True

    def newest(self, now: int, limit: int, offset: int = 0, selection: Selection = EVERYTHING) -> Sequence[str]:
        with _store_errors():
            return self._places.page(self._selected(now, selection), selection, now, limit, offset)

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

    def at_address(self, address: str, now: int, limit: int) -> Sequence[str]:
        with _store_errors():
            # Two queries: of one with OR not every database takes both indexes.
            found = [
                row
                for column in ("address", "last_address")
                for row in self._rows.filter(_NOT_ENDED, expires__gt=now, **{column: address})
                .order_by("-seen")
                .values_list("seen", "pk")[:limit]
            ]
        return list(dict.fromkeys(pk for _, pk in sorted(found, reverse=True)))[:limit]

    def count(self, now: int, selection: Selection = EVERYTHING) -> int:
        with _store_errors():
            return self._counts.live(self.alias, selection, now, lambda: self._selected(now, selection).count())

    # Statistics. Rows of sessions that have ended tell of themselves; what is removed at once is tallied.

    def count_by_user(self, now: int) -> tuple[int, int]:
        def ask() -> tuple[int, int]:
            found = self._live(now).aggregate(live=Count("pk"), signed_in=Count("user"))
            return found["live"], found["signed_in"]

        with _store_errors():
            return self._counts.by_user(self.alias, now, ask)

    def tally(self, now: int) -> Tally:
        since = now - RECENT
        with _store_errors():
            # What began since was also used since, and so is found by an index.
            began = self._rows.filter(end_reason__in=("", *_NEW), seen__gte=since, created__gte=since).count()
            ended = self._rows.filter(end_reason__in=_NEW, modified__gte=since, lease="")
            counts = Counter(dict(ended.values_list("end_reason").annotate(Count("pk")).order_by()))
            gone = models.Tally.objects.using(self.alias).filter(minute__gte=since // 60)
            for reason, count in gone.values_list("reason", "count"):
                counts[reason] += count
        return Tally(began, {EndReason(reason): count for reason, count in counts.items()})

    def _tally(self, reason: EndReason, minute: int, count: int) -> None:
        rows = models.Tally.objects.using(self.alias).filter(minute=minute, reason=reason.value)
        if count and not rows.update(count=F("count") + count):
            try:
                with transaction.atomic(using=self.alias):
                    rows.create(minute=minute, reason=reason.value, count=count)
            except IntegrityError:  # another reaper was first
                rows.update(count=F("count") + count)

    def keep_sample(self, sample: Sample) -> bool:
        with _store_errors():
            samples = models.Sample.objects.using(self.alias)
            if not samples.filter(at=sample.at).exists():  # so that most of those who look write nothing
                with transaction.atomic(using=self.alias):  # an error is to leave the request's transaction as it is
                    samples.bulk_create([models.Sample(**sample._asdict())], ignore_conflicts=True)
        return True

    def samples(self, since: int) -> Sequence[Sample]:
        with _store_errors():
            kept = models.Sample.objects.using(self.alias).filter(at__range=(since, clock.now())).order_by("at")
            return [Sample(*row) for row in kept.values_list(*Sample._fields)]

    @property
    def alias(self) -> str:
        """The database that is written to, and read from: a replica may not have heard of a sign-out yet."""
        return router.db_for_write(StoredSession)

    @cached_property
    def _places(self) -> Places:
        return Places()

    @cached_property
    def _counts(self) -> Counts:
        return Counts()

    @property
    def _rows(self) -> QuerySet[StoredSession]:
        return QuerySet(StoredSession, using=self.alias)

    def _live(self, now: int) -> QuerySet[StoredSession]:
        return self._rows.filter(expires__gt=now, end_reason="")

    def _selected(self, now: int, selection: Selection) -> QuerySet[StoredSession]:
        rows = self._live(now) if selection.by == "seen" else self._rows.filter(_NOT_ENDED, expires__gt=now)
        if selection.mode is not None:
            rows = rows.filter(mode=selection.mode.value)
        if selection.signed_in is not None:
            has_user = Q(user__isnull=False)
            rows = rows.filter(has_user if selection.signed_in else ~has_user)
        for bound, moment in (("gte", selection.since), ("lt", selection.before)):
            if moment is not None:
                rows = rows.filter(**{f"{selection.by}__{bound}": moment})
        return rows

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
        **_addresses(record.client or Client()),
        "data": bytes(record.data).decode(),
        "bag": bytes(record.bag).decode(),
        "lease": f"{record.lease.until} {record.lease.holder}" if record.lease else "",
        "place": record.place,
        "end_reason": "",
    }


def _buried(reason: EndReason, now: int, life: int) -> dict[str, Any]:
    """What a row is for ``life`` seconds when its session has ended."""
    return {
        "end_reason": reason.value,
        "modified": now,
        "expires": now + life,
        "nonce": new_nonce(),
        "data": "{}",
        "bag": "{}",
        "client": "",
        "address": None,
        "last_address": None,
        "lease": "",
    }


def _addresses(client: Client) -> dict[str, str | None]:
    named = {"address": client.address, "last_address": client.last_address}
    return {name: address if address in client.addresses else None for name, address in named.items()}


def _claim(columns: Sequence[Any], mark: bytes) -> Claim:
    row: dict[str, Any] = dict(zip(_COLUMNS, columns, strict=True))
    reason = EndReason(row["end_reason"])
    row.update(end_reason="", lease="")
    try:
        last = _found(row["id"], [row[name] for name in _COLUMNS])
    except UnreadableRecord:
        return Claim(row["id"], EndReason.UNDECODABLE, None, mark)
    return Claim(row["id"], reason, last if isinstance(last, Record) else None, mark)


def _found(session_id: str, columns: Sequence[Any]) -> Record | Tombstone:
    row = dict(zip(_COLUMNS, columns, strict=True))
    reason, mark = row.pop("end_reason"), row["nonce"]
    if row["id"] != session_id or not (reason or mark.endswith(session_id[-_OWNER:])):
        raise UnreadableRecord(f"Session {session_id}: the stored row is that of another session")
    try:
        if reason:
            # Of one that is being announced the last state is still there, and so is when it was modified.
            ended = row["expires"] if row["lease"] else row["modified"]
            return Tombstone(format=FORMAT, ended=ended, reason=EndReason(reason))
        row["nonce"] = mark[:-_OWNER]
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
