"""Browsers in front of a site, views of both kinds, and the verbs of `live_sessions` with their twins by one name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from django.contrib import auth
from django.contrib.auth.models import User
from django.db import transaction

from tests import routers
from tests.concurrency.site import Views
from tests.web.browser import Browser
from tests.web.urls import View
from typed_sessions import live_sessions, tokens
from typed_sessions.testing.engines import Clock

DAY = 86_400


class Live:
    """`live_sessions`, by its verbs or by their async twins."""

    def __init__(self, is_async: bool) -> None:
        self._is_async = is_async

    def __getattr__(self, name: str) -> Any:
        return async_to_sync(getattr(live_sessions, f"a{name}")) if self._is_async else getattr(live_sessions, name)


class Site:
    """Browsers come by `visitor` and `signed_in`, each with something in its cart, and so with a session."""

    def __init__(self, new_browser: Callable[[], Browser], is_async: bool, user: User, clock: Clock) -> None:
        self.is_async, self.user, self.clock = is_async, user, clock
        self.views = Views(is_async)
        self.live = Live(is_async)
        self.new_browser = new_browser

    def visitor(self) -> Browser:
        """Somebody who has not signed in."""
        browser = self.new_browser()
        browser.visit(self.views.put("tea"))
        return browser

    def signed_in(self, user: User | None = None, remember: bool = False) -> Browser:
        browser = self.new_browser()
        assert browser.visit(self.views.sign_in(user or self.user, remember)).status == 200
        browser.visit(self.views.put("tea"))
        return browser

    def engine_view(self, act: str) -> View:
        """Calls the method of the engine, or its twin."""

        def view(request: Any) -> None:
            getattr(request.session, act)()

        async def async_view(request: Any) -> None:
            await getattr(request.session, f"a{act}")()

        return async_view if self.is_async else view

    def reap(self, **given: Any) -> tuple[int, int]:
        """One pass of a reaper: how many ends it has told, and how many it has missed."""
        reaped = self.live.reap(**given)
        return reaped.ended, reaped.missed

    def drive(self, owner: Any, verb: str, *args: Any) -> Any:
        """Calls the verb, or awaits its twin."""
        return async_to_sync(getattr(owner, f"a{verb}"))(*args) if self.is_async else getattr(owner, verb)(*args)

    @property
    def sign_out_by_django(self) -> View:
        def view(request: Any) -> None:
            auth.logout(request)

        async def async_view(request: Any) -> None:
            await auth.alogout(request)

        return async_view if self.is_async else view

    def doing(self, act: Callable[[Any], object]) -> View:
        """A view that calls `act(request)`, which is sync and may ask the database."""

        async def async_view(request: Any) -> object:
            return await sync_to_async(act)(request)

        return async_view if self.is_async else act

    @property
    def status(self) -> View:
        """What the session says became of the one that was asked for."""

        def tell(session: Any) -> str:
            return f"{session.status.value} {session.end_reason.value if session.end_reason else '-'}"

        def view(request: Any) -> str:
            return tell(request.typed_session)

        async def async_view(request: Any) -> str:
            return tell(await request.session.aget_typed_session())

        return async_view if self.is_async else view


def atomic() -> transaction.Atomic:
    """A transaction on the database that the test uses."""
    return transaction.atomic(using=routers.alias)


def undo(is_undone: bool) -> None:
    """What is to become of the innermost transaction."""
    transaction.set_rollback(is_undone, using=routers.alias)


def id_of(browser: Browser) -> str:
    """Of the session that the option cookie selects."""
    return tokens.digest(browser.token)
