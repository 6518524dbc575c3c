"""What the database store promises beyond the contract: few statements, transactions that may wrap it, and its rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from django.db import OperationalError, ProgrammingError, connections, transaction
from django.test.utils import CaptureQueriesContext

from tests.servers.postgres import PostgresServer
from tests.stores.conftest import MakeStore, stores
from typed_sessions import EndReason, clock
from typed_sessions.exceptions import StoreUnavailable, UnreadableRecord
from typed_sessions.models import StoredSession
from typed_sessions.stores import database
from typed_sessions.stores.base import Store
from typed_sessions.stores.database import DatabaseStore
from typed_sessions.stores.record import GRACE, TOMBSTONE_LIFE, Record, Tombstone
from typed_sessions.testing.stores import (
    buried,
    conflicting,
    created,
    full_record,
    gone,
    new_record,
    next_save,
    saved,
    successor,
)

if TYPE_CHECKING:
    from pytest_django import Settings


@pytest.fixture(params=stores("sqlite", "postgres"))
def store(request: pytest.FixtureRequest, make_store: MakeStore) -> Store:
    return make_store(request.param)


@contextmanager
def before(alias: str, statement: str, happens: Callable[[], object]) -> Iterator[None]:
    """Something happens once, just before the first statement of a kind is sent."""
    waiting = True

    def wrapper(execute: Any, sql: str, *rest: Any) -> Any:
        nonlocal waiting
        if waiting and sql.startswith(statement):
            waiting = False
            happens()
        return execute(sql, *rest)

    with connections[alias].execute_wrapper(wrapper):
        yield
    assert not waiting, f"there was no {statement}"


def _refuse() -> None:
    raise OperationalError("the database went away")


# Statements


def test_statements_of_each_verb(store: Store, database_alias: str) -> None:
    """A verb is one statement, or two where it has to find out what stood in its way."""
    base, other = created(store, new_record(store)), new_record(store)
    record, late = next_save(base), next_save(base)
    new = successor(record)
    now = clock.now()
    steps: list[tuple[list[str], Callable[[], object]]] = [
        (["INSERT"], lambda: store.create(other)),
        (["INSERT", "SELECT"], lambda: store.create(other)),
        (["SELECT"], lambda: store.load(base.id)),
        (["UPDATE"], lambda: saved(store.save(record, base))),
        (["UPDATE", "SELECT"], lambda: saved(store.save(record, base))),
        (["UPDATE", "SELECT"], lambda: conflicting(store.save(late, base))),
        (["UPDATE"], lambda: store.touch(record, now, now)),
        (["UPDATE", "INSERT"], lambda: saved(store.replace(new, record))),
        (["UPDATE", "SELECT"], lambda: saved(store.replace(new, record))),
        (["SELECT", "UPDATE"], lambda: store.end(new.id, EndReason.LOGGED_OUT, now)),
        (["SELECT"], lambda: store.end(new.id, EndReason.LOGGED_OUT, now)),
        (["SELECT"], lambda: store.newest(now, 10)),
        (["SELECT"], lambda: store.of_user("7", now)),
        (["SELECT"], lambda: store.count(now)),
    ]
    for expected, step in steps:
        with CaptureQueriesContext(connections[database_alias]) as queries:
            step()
        verbs = [query["sql"].split()[0] for query in queries]
        assert [verb for verb in verbs if verb not in ("SAVEPOINT", "RELEASE", "ROLLBACK")] == expected


def test_nothing_is_locked_for_reading(store: Store, database_alias: str) -> None:
    """No verb takes a row lock that a worker which dies would leave to others."""
    with CaptureQueriesContext(connections[database_alias]) as queries:
        base = created(store, new_record(store))
        saved(store.replace(successor(base), base))
        store.end(base.id, EndReason.LOGGED_OUT, clock.now())
    assert not [query["sql"] for query in queries if "FOR UPDATE" in query["sql"]]


# Transactions


def test_verbs_work_inside_a_transaction(store: Store, database_alias: str) -> None:
    """In a view's transaction a taken id, a conflict or a missing record leaves the transaction usable."""
    taken = created(store, new_record(store))
    with transaction.atomic(using=database_alias):
        assert store.create(new_record(store, id=taken.id)) is False
        assert conflicting(store.save(next_save(taken), next_save(taken))) == taken
        unknown = new_record(store)
        assert gone(store.replace(successor(unknown), unknown)) is None
        record = saved(store.replace(successor(taken), taken))
    assert store.load(record.id) == record


def test_r21_rollback_takes_the_verbs_back(store: Store, database_alias: str) -> None:
    """What was done in a transaction that failed was never done."""
    base, other, ended = (created(store, new_record(store)) for _ in range(3))
    new = new_record(store)
    with transaction.atomic(using=database_alias):
        store.create(new)
        store.save(next_save(base), base)
        store.replace(successor(other), other)
        store.end(ended.id, EndReason.LOGGED_OUT, clock.now())
        transaction.set_rollback(True, using=database_alias)
    assert store.load(new.id) is None
    assert [store.load(record.id) for record in (base, other, ended)] == [base, other, ended]
    assert store.count(clock.now()) == 3


def test_replacement_is_whole_or_not_at_all(store: Store, database_alias: str) -> None:
    """When the new record cannot be written the old one is still there."""
    base = created(store, new_record(store))
    record = successor(base)
    with before(database_alias, "INSERT", _refuse), pytest.raises(StoreUnavailable):
        store.replace(record, base)
    assert store.load(base.id) == base
    assert store.load(record.id) is None


# Errors


def test_database_error_is_unavailable(store: Store, database_alias: str) -> None:
    """Whatever the database says in place of an answer, nobody takes it for the lack of a session."""
    record, now = created(store, new_record(store)), clock.now()
    verbs: list[tuple[str, Callable[[], object]]] = [
        ("SELECT", lambda: store.load(record.id)),
        ("INSERT", lambda: store.create(new_record(store))),
        ("UPDATE", lambda: store.save(next_save(record), record)),
        ("UPDATE", lambda: store.touch(record, now, now)),
        ("UPDATE", lambda: store.replace(successor(record), record)),
        ("SELECT", lambda: store.end(record.id, EndReason.LOGGED_OUT, now)),
        ("UPDATE", lambda: store.end(record.id, EndReason.LOGGED_OUT, now)),
        ("SELECT", lambda: store.clear_expired(now)),
        ("SELECT", lambda: store.newest(now, 10)),
        ("SELECT", lambda: store.of_user("7", now)),
        ("SELECT", lambda: store.count(now)),
    ]
    for statement, verb in verbs:
        refused = pytest.raises(StoreUnavailable, match="OperationalError: the database went away")
        with before(database_alias, statement, _refuse), refused, transaction.atomic(using=database_alias):
            verb()
    assert store.load(record.id) == record


def test_mistake_of_the_project_is_no_outage(store: Store, database_alias: str) -> None:
    """A missing migration or a broken transaction is not to be waited for, and is told as what it is."""

    def mistake() -> None:
        raise ProgrammingError("there is no such table")

    with pytest.raises(ProgrammingError), before(database_alias, "SELECT", mistake):
        store.load(new_record(store).id)
    with transaction.atomic(using=database_alias):
        transaction.set_rollback(True, using=database_alias)
        with pytest.raises(transaction.TransactionManagementError):
            store.create(new_record(store))


def test_error_while_ending_an_unreadable_row_is_unavailable(store: Store, database_alias: str) -> None:
    """Also the row that nobody can read is ended, or is told to be still there."""
    record = created(store, new_record(store))
    StoredSession.objects.filter(pk=record.id).update(data="[")
    with before(database_alias, "UPDATE", _refuse), pytest.raises(StoreUnavailable):
        store.end(record.id, EndReason.UNDECODABLE, clock.now())


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_r20_lost_connection_is_unavailable(make_store: MakeStore, postgres: PostgresServer) -> None:
    """A connection that the server ended is an error once; the next request has a new one and finds its session."""
    store = make_store("postgres")
    record = created(store, new_record(store))
    connection = connections["postgres"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    import psycopg

    with psycopg.connect(host=str(postgres.home), port=5432, user="postgres", dbname="postgres") as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])
    with pytest.raises(StoreUnavailable):
        store.load(record.id)
    connection.close_if_unusable_or_obsolete()
    assert store.load(record.id) == record


# Rows


def test_row_can_be_read_with_sql(store: Store) -> None:
    """The envelope is columns, fields and bag are JSON that a person can read, whatever CODEC says."""
    record = created(store, full_record(store))
    row = StoredSession.objects.get(pk=record.id)
    assert (row.user, row.mode, row.revision, row.expires) == ("7", "perm", 1, record.expires)
    assert json.loads(row.data) == {"currency": "EUR", "cart": [{"sku": "tea", "quantity": 2}]}
    assert json.loads(row.bag) == {"_auth_user_id": "7"}
    assert str(row) == f"urn:iauthsession:{record.id}"


def test_database_holds_json_for_any_codec(store: Store, settings: Settings) -> None:
    """CODEC is for stores that hold a record as one value."""
    settings.TYPED_SESSIONS = {**settings.TYPED_SESSIONS, "CODEC": "msgpack"}
    record = created(store, full_record(store))
    assert json.loads(StoredSession.objects.get(pk=record.id).data)["currency"] == "EUR"


def test_tombstone_holds_no_data(store: Store) -> None:
    """Nothing of what a session held stays in the database after it ended."""
    record = created(store, full_record(store))
    store.end(record.id, EndReason.LOGGED_OUT, clock.now())
    row = StoredSession.objects.get(pk=record.id)
    assert (row.data, row.bag, row.client) == ("{}", "{}", "")


@pytest.mark.parametrize(
    "columns",
    [
        {"data": "[1]"},
        {"data": ""},
        {"data": '{"a": NaN}'},
        {"data": '{"a": ' + "[" * 10_000 + "]" * 10_000 + "}"},
        {"data": '{"a": 1'},
        {"bag": "null"},
        {"client": "["},
        {"client": '{"address": 1}'},
        {"mode": "x"},
        {"end_reason": "os.system"},
    ],
    ids=lambda columns: "-".join(f"{name} {value[:10]}" for name, value in columns.items()),
)
def test_s71_unreadable_row_is_an_error_and_can_be_ended(store: Store, columns: dict[str, str]) -> None:
    """A damaged row is never a session; its id is taken until it is ended."""
    record = created(store, new_record(store))
    StoredSession.objects.filter(pk=record.id).update(**columns)
    with pytest.raises(UnreadableRecord, match=record.id):
        store.load(record.id)
    assert store.create(new_record(store, id=record.id)) is False
    assert store.end(record.id, EndReason.UNDECODABLE, clock.now()) is None
    assert buried(store, record.id) is EndReason.UNDECODABLE


def test_s77_upper_case_id_misses(store: Store) -> None:
    """Ids are compared letter by letter."""
    record = created(store, new_record(store, id="abcdef" + "0" * 34))
    assert store.load(record.id.upper()) is None
    assert store.end(record.id.upper(), EndReason.LOGGED_OUT, clock.now()) is None
    assert store.load(record.id) == record


class ReadsElsewhere:
    """A router for a project that reads from a replica."""

    def db_for_read(self, model: type, **hints: Any) -> str:
        return "replica"

    def db_for_write(self, model: type, **hints: Any) -> str:
        return "default"


@pytest.mark.django_db
def test_r17_replica_is_never_read(settings: Settings) -> None:
    """Sessions are read where they are written, whatever the router says of reading."""
    settings.DATABASE_ROUTERS = ["tests.stores.test_database.ReadsElsewhere"]
    store = DatabaseStore()
    assert store.alias == "default"
    base = created(store, new_record(store, user="7"))
    record = saved(store.save(next_save(base), base))
    assert store.load(record.id) == record
    assert store.touch(record, record.seen, record.expires) is True
    assert list(store.of_user("7", clock.now())) == list(store.newest(clock.now(), 1)) == [record.id]
    new = saved(store.replace(successor(record), record))
    assert store.end(new.id, EndReason.LOGGED_OUT, clock.now()) == new
    assert (store.count(clock.now()), store.clear_expired(clock.now())) == (0, 0)


# Others in between


def test_end_answers_with_what_was_saved_last(store: Store, database_alias: str) -> None:
    """A save that comes between looking and ending is what the last state is told from."""
    base = created(store, new_record(store))
    last = next_save(base)
    with before(database_alias, "UPDATE", lambda: store.save(last, base)):
        assert store.end(base.id, EndReason.LOGGED_OUT, clock.now()) == last
    assert buried(store, base.id) is EndReason.LOGGED_OUT


def test_end_that_came_second_does_nothing(store: Store, database_alias: str) -> None:
    """Of two that end a session at once, one gets its last state."""
    record = created(store, new_record(store))
    firsts: list[Record | None] = []

    def first() -> None:
        firsts.append(store.end(record.id, EndReason.LOGGED_OUT, clock.now()))

    with before(database_alias, "UPDATE", first):
        assert store.end(record.id, EndReason.EXPIRED_IDLE, clock.now()) is None
    assert firsts == [record]
    assert buried(store, record.id) is EndReason.LOGGED_OUT


def test_s66_overdue_rows_go_in_batches(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep removes tombstones whose time is over, a bounded number of rows at a time, and leaves the others."""
    monkeypatch.setattr(database, "_SWEEP", 2)
    now = clock.now()
    live = [created(store, new_record(store, expires=now + later)) for later in (-GRACE, -1, 60)]
    dead = [created(store, new_record(store)) for _ in range(5)]
    for record in dead:
        store.end(record.id, EndReason.LOGGED_OUT, now - TOMBSTONE_LIFE - 1)
    sizes: list[int] = []

    def count(execute: Any, sql: str, params: Any, *rest: Any) -> Any:
        if sql.startswith(f'DELETE FROM "{StoredSession._meta.db_table}"'):
            sizes.append(len(params) - 3)
        return execute(sql, params, *rest)

    with connections[DatabaseStore().alias].execute_wrapper(count):
        assert store.clear_expired(now) == 5
    assert sizes == [2, 2, 1]
    assert [store.load(record.id) for record in dead] == [None] * 5
    assert [store.load(record.id) for record in live] == live


def test_r25_session_used_during_a_sweep_stays(store: Store, database_alias: str) -> None:
    """A session that is used between being found overdue and being claimed is not claimed."""
    now = clock.now()
    used, dead = (created(store, new_record(store, expires=now - GRACE - 1)) for _ in range(2))
    with before(database_alias, "UPDATE", lambda: store.touch(used, now, now + 600)):
        claims = store.claim_overdue(now, 10, 60).claims
    assert [claim.session_id for claim in claims] == [dead.id]
    assert isinstance(store.load(used.id), Record)
    assert isinstance(store.load(dead.id), Tombstone)


def test_tombstone_goes_with_a_sweep_after_an_hour(store: Store) -> None:
    """Why a session ended is known for an hour."""
    record, now = created(store, new_record(store)), clock.now()
    store.end(record.id, EndReason.LOGGED_OUT, now)
    store.clear_expired(now + TOMBSTONE_LIFE)
    assert isinstance(store.load(record.id), Tombstone)
    assert store.clear_expired(now + TOMBSTONE_LIFE + 1) == 1
    assert store.load(record.id) is None


def test_pages_do_not_overlap(store: Store) -> None:
    """Sessions last used in the same second are on one page each."""
    now = clock.now()
    ids = {created(store, new_record(store, seen=now)).id for _ in range(20)}
    pages = [store.newest(now, 3, offset) for offset in range(0, 21, 3)]
    assert sorted(id for page in pages for id in page) == sorted(ids)
