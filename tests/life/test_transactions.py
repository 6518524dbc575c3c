"""Ends within transactions: told once if the session has ended, when that is certain; not at all if it has not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction

from tests import routers
from tests.life.conftest import World, worlds
from tests.life.ears import SIGNAL, Ears
from tests.life.site import Site, atomic, id_of, undo
from typed_sessions import EndReason, live_sessions
from typed_sessions.auth import login, logout
from typed_sessions.backends import cached_db, db
from typed_sessions.backends.base import SessionStore
from typed_sessions.models import StoredSession
from typed_sessions.stores.record import Tombstone

pytestmark = pytest.mark.django_db(transaction=True)

IN_TABLE = (db.SessionStore, cached_db.SessionStore)

Act = Callable[[Any, Site], object]
"""Ends the session of a request, or that of its browser."""


@pytest.fixture(params=worlds("db-sync", "postgres-sync", "db-async", "cached_db-async", "redis-sync"))
def world(request: pytest.FixtureRequest) -> World:
    """Those that take part in transactions, and one that does not."""
    world: World = request.param
    return world


def is_over(engine: type[SessionStore], session_id: str) -> bool:
    return isinstance(engine().store.load(session_id), Tombstone)


def sign_out(request: Any, site: Site) -> None:
    logout(request)


def flush(request: Any, site: Site) -> None:
    request.session.flush()


def end_own(request: Any, site: Site) -> None:
    live_sessions.end(request.typed_session.id, EndReason.LOGGED_OUT)
    request.session.flush()


def end_twice(request: Any, site: Site) -> None:
    with atomic():
        request.session.flush()
    logout(request)


ACTS: list[Act] = [sign_out, flush, end_own, end_twice]


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("is_undone", [False, True], ids=["committed", "rolled back"])
def test_atomic_block_in_a_view(site: Site, ears: Ears, engine: type[SessionStore], act: Act, is_undone: bool) -> None:
    """A view that ends its session ends it for good, and once, whatever becomes of the transaction around it."""
    browser = site.signed_in()
    ended = id_of(browser)

    def view(request: Any) -> None:
        with atomic():
            act(request, site)
            undo(is_undone)

    browser.visit(site.doing(view))
    assert ears.ends() == [(ended, EndReason.LOGGED_OUT)] * is_over(engine, ended)
    assert is_over(engine, ended) or act is end_own


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("error", [None, PermissionDenied, OSError])
def test_atomic_requests(
    site: Site,
    ears: Ears,
    engine: type[SessionStore],
    change_database: Callable[..., None],
    act: Act,
    error: type[Exception] | None,
) -> None:
    """With ATOMIC_REQUESTS likewise, also where an error is the answer."""
    change_database(ATOMIC_REQUESTS=True)
    site.is_async = False  # Django has it for sync views alone
    site.views._is_async = False
    browser = site.signed_in()
    ended = id_of(browser)

    def view(request: Any) -> None:
        act(request, site)
        if error is not None:
            raise error

    answer = browser.visit(view)
    assert answer.status == (200 if error is None else 403 if error is PermissionDenied else 500)
    assert ears.ends() == [(ended, EndReason.LOGGED_OUT)] * is_over(engine, ended)
    assert is_over(engine, ended) or act is end_own


@pytest.mark.parametrize("is_undone", [False, True], ids=["committed", "rolled back"])
@pytest.mark.parametrize("verb", ["end", "end_for_user", "end_all"])
def test_atomic_block_around_live_sessions(
    site: Site, ears: Ears, engine: type[SessionStore], verb: str, is_undone: bool
) -> None:
    """Without a request, a session that a rollback has saved has not ended, and nobody is told."""
    browser = site.signed_in()
    of_verb: dict[str, list[Any]] = {"end": [id_of(browser)], "end_for_user": [site.user], "end_all": []}
    with atomic():
        getattr(live_sessions, verb)(*of_verb[verb])
        undo(is_undone)
    reason = EndReason.ENDED_BY_STAFF if verb == "end_all" else EndReason.ENDED_BY_USER
    is_ended = is_over(engine, id_of(browser))
    assert is_ended == (not is_undone or not issubclass(engine, IN_TABLE))
    assert ears.ends() == [(id_of(browser), reason)] * is_ended
    assert browser.visit(site.status).text == (f"ended {reason.value}" if is_ended else "live -")


def test_told_when_it_is_certain(site: Site, ears: Ears, engine: type[SessionStore]) -> None:
    """Who is told can ask the database, and finds there what was committed."""
    browser = site.signed_in()
    ended = id_of(browser)
    found: list[Any] = []

    def ask() -> None:
        found.append((transaction.get_connection(routers.alias).in_atomic_block, live_sessions.get(ended)))
        found.append(StoredSession.objects.filter(pk=ended).exclude(end_reason="").exists())

    ears.when(SIGNAL, ask)

    def view(request: Any) -> None:
        with atomic():
            User.objects.create_user("grace")
            logout(request)

    browser.visit(site.doing(view))
    if issubclass(engine, IN_TABLE):
        assert found == [(False, None), True]
    assert ears.ends() == [(ended, EndReason.LOGGED_OUT)]


@pytest.mark.parametrize("is_undone", [False, True], ids=["committed", "rolled back"])
def test_inner_block(site: Site, ears: Ears, engine: type[SessionStore], is_undone: bool) -> None:
    """A savepoint that is undone within a transaction that is not saves the session, and the next end is told."""
    first, second = site.signed_in(), site.signed_in()
    with atomic():
        with atomic():
            live_sessions.end(id_of(first))
            undo(is_undone)
        live_sessions.end(id_of(second))
    over = [id_of(browser) for browser in (first, second) if is_over(engine, id_of(browser))]
    assert ears.ends() == [(session_id, EndReason.ENDED_BY_USER) for session_id in over]
    if id_of(first) not in over:
        assert live_sessions.end(id_of(first)) is True
        assert ears.ends() == [(id_of(first), EndReason.ENDED_BY_USER)]


@pytest.mark.parametrize("is_undone", [False, True], ids=["committed", "rolled back"])
def test_account_that_is_switched_off(site: Site, ears: Ears, is_undone: bool) -> None:
    """The sessions of an account end with the transaction that switches it off, and not if that is undone."""
    browser = site.signed_in()
    with atomic():
        site.user.is_active = False
        site.user.save()
        assert ears.take() == []
        undo(is_undone)
    assert ears.ends() == [(id_of(browser), EndReason.USER_INACTIVE)] * (not is_undone)


@pytest.mark.parametrize("is_undone", [False, True], ids=["committed", "rolled back"])
@pytest.mark.parametrize("saves", [False, True], ids=["with the response", "at once"])
@pytest.mark.parametrize("signs_in", [False, True], ids=["cycle_key", "login"])
def test_rotation(
    site: Site, ears: Ears, engine: type[SessionStore], user: User, is_undone: bool, saves: bool, signs_in: bool
) -> None:
    """The end of the former token is told once if it was replaced, and not if that was taken back."""
    browser = site.visitor()
    former = id_of(browser)

    def view(request: Any) -> None:
        with atomic():
            if signs_in:
                login(request, user)
            else:
                request.session.cycle_key()
            if saves:
                request.session.save()
            undo(is_undone)

    browser.visit(site.doing(view))
    assert ears.ends() == [(former, EndReason.ROTATED)] * is_over(engine, former)
    assert is_over(engine, former) or (saves and is_undone)
