"""What the migrations do with sessions that are there already."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.db import connections

from tests.stores.conftest import MakeStore, stores
from typed_sessions import EndReason, clock
from typed_sessions.models import StoredSession
from typed_sessions.stores.base import Store
from typed_sessions.stores.record import Client
from typed_sessions.testing.stores import created, new_record

if TYPE_CHECKING:
    from pytest_django import Settings


@pytest.fixture(params=stores("sqlite", "postgres"))
def store(request: pytest.FixtureRequest, make_store: MakeStore) -> Store:
    return make_store(request.param)


def test_addresses_are_filled_in(store: Store, database_alias: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions from before there were addresses to search by are found by them, and damaged ones stay as they are."""
    migration = import_module("typed_sessions.migrations.0006_addresses")
    monkeypatch.setattr(migration, "PART", 2)
    clients = [Client(address=f"192.0.2.{n}", last_address="0:0::1" if n % 2 else "") for n in range(6)]
    ids = [created(store, new_record(store, client=client)).id for client in (*clients, None, Client(address="x" * 46))]
    rows: Any = StoredSession.objects.using(database_alias)
    rows.filter(pk=ids[0]).update(client="{")
    rows.filter(pk=ids[1]).update(client='["192.0.2.1"]')
    store.end(ids[5], EndReason.LOGGED_OUT, clock.now())
    rows.update(address=None, last_address=None)
    migration.fill(apps, SimpleNamespace(connection=connections[database_alias]))
    now = clock.now()
    found = [list(store.at_address(f"192.0.2.{n}", now, 9)) for n in range(6)]
    assert found == [[], [], [ids[2]], [ids[3]], [ids[4]], []]
    assert list(store.at_address("::1", now, 9)) == [ids[3]]


def test_addresses_are_filled_in_where_the_table_is(settings: Settings) -> None:
    """A database that has other tables is left alone, and nothing is asked of it."""
    settings.DATABASE_ROUTERS = [SimpleNamespace(allow_migrate=lambda db, app, **hints: app != "typed_sessions")]
    migration = import_module("typed_sessions.migrations.0006_addresses")
    migration.fill(apps, SimpleNamespace(connection=connections["default"]))
