"""The contract that is shipped, on every store and everything that it runs on."""

from __future__ import annotations

import pytest

from tests.stores.conftest import KINDS, MakeStore, stores
from typed_sessions.stores.base import Store
from typed_sessions.testing.stores import StoreContract, ValueStoreContract

_ROWS = [name for name in KINDS if name.startswith(("sqlite", "postgres"))]


class TestRows(StoreContract):
    """Stores whose records are rows of a table."""

    @pytest.fixture(params=stores(*_ROWS))
    def store(self, request: pytest.FixtureRequest, make_store: MakeStore) -> Store:
        return make_store(request.param)


class TestValues(ValueStoreContract):
    """Stores whose records are single values."""

    @pytest.fixture(params=stores(*(name for name in KINDS if name not in _ROWS)))
    def store(self, request: pytest.FixtureRequest, make_store: MakeStore) -> Store:
        return make_store(request.param)
