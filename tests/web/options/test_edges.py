"""What hardly ever comes about between requests, and is well defined all the same."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import UpdateError
from django.http import HttpResponse
from django.test import RequestFactory

from tests.engines.rows import UseEngine
from typed_sessions import EndReason, SessionMode, users
from typed_sessions.exceptions import SessionLeaseLost
from typed_sessions.flows import drive
from typed_sessions.middleware import TypedSessionMiddleware
from typed_sessions.testing.engines import Clock

pytestmark = pytest.mark.django_db


@pytest.fixture
def engine(use_engine: UseEngine) -> Any:
    return use_engine("db")


def test_late_save_of_a_session_that_was_ended_long_ago(engine: Any, clock: Clock) -> None:
    """Who comes back to a session that is over, and was ended meanwhile, is told that it has ended."""
    first = engine()
    first["step"] = 1
    first.save()
    late = engine(first.session_key)
    late["step"] = 2
    clock.advance(40 * 86_400)
    late.store.end(late.typed_session.id, EndReason.ENDED_BY_STAFF, clock.now)
    with pytest.raises(UpdateError):
        late.save()
    assert late.typed_session.end_reason is EndReason.ENDED_BY_STAFF


def test_sign_in_taken_back_outside_a_request(engine: Any) -> None:
    """Where there is no request, there is no user of it to forget."""
    session = engine()
    session["_auth_user_id"] = "7"
    session.begin_authenticated(SessionMode.TEMP)
    session.take_sign_in_back()
    assert not session.has_signed_in
    assert "_auth_user_id" not in session


def test_sign_in_taken_back_without_async_user(engine: Any) -> None:
    """A request that was made by hand may have no `auser`."""
    request: Any = RequestFactory().get("/")
    request.session = engine()
    users.take_back(request, request.session)
    assert isinstance(request.user, AnonymousUser)
    assert not hasattr(request, "auser")


def test_error_of_a_request_without_our_session() -> None:
    """An exception in a request that has no session of ours is none of our business."""
    middleware = TypedSessionMiddleware(lambda request: HttpResponse())
    assert middleware.process_exception(RequestFactory().get("/"), ValueError()) is None


def test_fence_for_who_looks_again(engine: Any, clock: Clock) -> None:
    """Whose turn is over is told so also where another one has made the session last meanwhile."""
    new = engine()
    new["stock"] = 1
    new.save()
    first = engine(new.session_key)
    stock = first["stock"]
    drive(first.take_lease(1, 30))
    clock.advance(14 * 86_400 - 10)
    second = engine(new.session_key)
    drive(second.take_lease(1, 30))
    second["stock"] -= 1
    drive(second.give_lease_back(saves=True))
    clock.advance(311)
    first["stock"] = stock - 1
    with pytest.raises(SessionLeaseLost):
        drive(first.give_lease_back(saves=True))
