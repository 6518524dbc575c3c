"""A site with the routes of the API and views that the tests bring, on both kinds of engines and by both transports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache

from tests.engines.rows import configure, use_engine
from tests.rest_framework import urls
from tests.rest_framework.clients import API, ByCookie, ByHeader, Caller
from tests.web.conftest import clock, engine, other_user, user

if TYPE_CHECKING:
    from pytest_django import Settings

__all__ = ["clock", "configure", "engine", "other_user", "use_engine", "user"]

NewCaller = Callable[[], Caller]
Configure = Callable[..., None]
Api = Callable[..., None]


@pytest.fixture(autouse=True)
def _site(settings: Settings) -> Iterator[None]:
    settings.ROOT_URLCONF = "tests.rest_framework.urls"
    settings.INSTALLED_APPS = [*django_settings.INSTALLED_APPS, "rest_framework", "drf_spectacular"]
    settings.TYPED_SESSIONS = {
        **django_settings.TYPED_SESSIONS,
        "SESSION_CLASS": "tests.rest_framework.sessions.ApiSession",
        "HEADERS": [API],
    }
    settings.REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
    cache.clear()  # of the throttles
    yield
    urls.forget()


@pytest.fixture(params=[ByCookie, ByHeader], ids=["cookie", "header"])
def new_caller(request: pytest.FixtureRequest, db: None) -> NewCaller:
    """Another client in front of the same site, of the transport that the test runs on."""
    made: NewCaller = request.param
    return made


@pytest.fixture
def caller(new_caller: NewCaller) -> Caller:
    return new_caller()


@pytest.fixture
def by_cookie(db: None) -> ByCookie:
    return ByCookie()


@pytest.fixture
def by_header(db: None) -> ByHeader:
    return ByHeader()


@pytest.fixture
def api(settings: Settings) -> Callable[..., None]:
    """`api(UNAUTHENTICATED_USER=None)` changes single keys of REST_FRAMEWORK."""

    def change(**keys: Any) -> None:
        settings.REST_FRAMEWORK = {**getattr(django_settings, "REST_FRAMEWORK", {}), **keys}

    return change
