"""The shop on the engines, each on what it runs on in production."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import User
from django.db import connections

from tests.engines.rows import configure, use_engine
from tests.outages.visitors import Crowd, Site
from tests.web.browser import Wsgi

if TYPE_CHECKING:
    from pytest_django import Settings

NewCrowd = Callable[[int, bool], Crowd]

__all__ = ["configure", "use_engine"]


@pytest.fixture(autouse=True)
def _shop(settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.outages.shop"


@pytest.fixture
def new_crowd(db: None, database_alias: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[NewCrowd]:
    """`new_crowd(size, may_lose)` makes visitors, with a user for each."""
    monkeypatch.setitem(connections.settings[database_alias], "CONN_MAX_AGE", None)
    sites: list[Site] = []

    def new(size: int, may_lose: bool) -> Crowd:
        sites.append(Site(Wsgi()))  # which reads the settings
        crowd = Crowd(size, sites[-1], may_lose)
        User.objects.bulk_create(User(username=visitor.name) for visitor in crowd.visitors)
        return crowd

    yield new
    for site in sites:
        site.close()
    connections.close_all()
