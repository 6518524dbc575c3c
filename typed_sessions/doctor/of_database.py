"""Looking into the table of sessions."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, InterfaceError, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Min, Q, QuerySet

from .. import clock
from ..exceptions import StoreUnavailable
from ..models import StoredSession
from ..states import EndReason, SessionMode
from ..stores.database import DatabaseStore
from ..stores.record import GRACE
from .findings import Check, Findings, fail, good
from .inspections import Inspection, Unannounced


class DatabaseInspection(Inspection):
    """Uses the database that the routers name."""

    def probes(self) -> Mapping[str, Callable[[], object]]:
        session_id = secrets.token_hex(20)
        rows = self._rows.filter(pk=session_id)
        return {
            "write": _guarded(lambda: _tombstone(session_id).save(using=self.alias, force_insert=True)),
            "read": _guarded(rows.exists),
            "delete": _guarded(lambda: rows._raw_delete(self.alias)),
        }

    def checks(self, mend: bool) -> Sequence[Check]:
        return (Check("migrations", self._check_migrations),)

    def facts(self) -> Mapping[str, object]:
        now = clock.now()
        with _store_errors():
            live = Q(expires__gt=now, end_reason="")
            counts = self._rows.aggregate(
                rows=Count("pk"),
                signed_in=Count("user", filter=live),
                users=Count("user", filter=live, distinct=True),
            )
        return {"database": self.alias, "vendor": connections[self.alias].vendor, **counts, "bytes": self._bytes()}

    def unannounced(self, now: int) -> Unannounced:
        with _store_errors():
            found = self._rows.filter(expires__lte=now - GRACE, end_reason="").aggregate(
                count=Count("pk"), since=Min("expires")
            )
        return Unannounced(**found)

    def claimed(self) -> int:
        with _store_errors():
            return self._rows.exclude(end_reason="").exclude(lease="").count()

    @property
    def alias(self) -> str:
        return DatabaseStore().alias

    @property
    def _rows(self) -> QuerySet[StoredSession]:
        return QuerySet(StoredSession, using=self.alias)

    def _bytes(self) -> int | None:
        """Of the table with its indexes, where the database knows that without counting."""
        connection = connections[self.alias]
        if connection.vendor != "postgresql":
            return None
        with _store_errors(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_total_relation_size(%s::regclass)", [StoredSession._meta.db_table])
            size: int = cursor.fetchone()[0]
        return size

    def _check_migrations(self, name: str) -> Findings:
        """Whether the table is as this release wants it."""
        with _store_errors():
            executor = MigrationExecutor(connections[self.alias])
            wanted = [key for key in executor.loader.graph.leaf_nodes() if key[0] == "typed_sessions"]
            pending = [
                f"{migration.app_label}.{migration.name}"
                for migration, _ in executor.migration_plan(wanted)
                if migration.app_label == "typed_sessions"
            ]
        if not pending:
            return good(name, "all migrations are applied")
        database = "" if self.alias == "default" else f" --database {self.alias}"
        return fail(name, f"not applied: {', '.join(pending)}", f"Run 'manage.py migrate typed_sessions{database}'.")


def _tombstone(session_id: str) -> StoredSession:
    """A row of a session that has ended, which nobody will look for."""
    now = clock.now()
    return StoredSession(
        pk=session_id, mode=SessionMode.TEMP.value, type="", schema=1, revision=0, nonce="", created=now, modified=now,
        seen=now, expires=now, data="{}", bag="{}", end_reason=EndReason.LOGGED_OUT.value,
    )  # fmt: skip


def _guarded(ask: Callable[[], Any]) -> Callable[[], None]:
    def call() -> None:
        with _store_errors():
            ask()

    return call


@contextmanager
def _store_errors() -> Iterator[None]:
    """Here a table that is not there yet is for another check to tell."""
    try:
        yield
    except (DatabaseError, InterfaceError) as error:
        raise StoreUnavailable(f"The database did not do what was asked: {type(error).__name__}: {error}") from error
