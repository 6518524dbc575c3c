"""The events log: a line for each turn of a session's life, with ids and never a token."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.servers.redis import RedisServer
from tests.web.browser import Browser
from tests.web.matrix import each_engine_once
from tests.web.signing import put_in_cart, sign_in, sign_out, status
from typed_sessions import EndReason, SessionMode, live_sessions, telemetry, tokens
from typed_sessions.testing.engines import Clock, Configure

pytestmark = pytest.mark.usefixtures("engine", "clock")

NAMES = ("session_event", "session_id", "session_reason", "session_user")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that is logged by anybody, however little it says."""
    caplog.set_level(logging.DEBUG)
    return caplog


def turns(log: pytest.LogCaptureFixture) -> list[tuple[Any, ...]]:
    """The parts of each line of the events log."""
    events = [record for record in log.records if record.name == "typed_sessions.events"]
    assert all(record.levelno == logging.INFO for record in events)
    return [tuple(getattr(record, name) for name in NAMES) for record in events]


@each_engine_once
def test_a_line_for_each_turn(browser: Browser, user: User, log: pytest.LogCaptureFixture) -> None:
    """Beginning, new token and end each have a line, whose parts are attributes; what is between has none."""
    browser.visit(put_in_cart())
    first = tokens.digest(browser.token)
    browser.visit(put_in_cart("b"))
    browser.visit(sign_in(user))
    second = tokens.digest(browser.token)
    browser.visit(status)
    browser.visit(sign_out)
    browser.visit(status)
    key = str(user.pk)
    assert turns(log) == [
        ("created", first, "", None),
        ("ended", first, "rotated", None),
        ("ended", second, "logged_out", key),
    ]
    lines = [record.getMessage() for record in log.records if record.name == "typed_sessions.events"]
    assert lines == [
        f"session created id={first}",
        f"session ended id={first} reason=rotated",
        f"session ended id={second} reason=logged_out user={key}",
    ]


def test_ends_from_outside(browser: Browser, user: User, clock: Clock, log: pytest.LogCaptureFixture) -> None:
    """So have the ends that no request has brought about."""
    browser.visit(sign_in(user))
    other = browser.copy("csrftoken")
    other.visit(put_in_cart())
    ended, expired = tokens.digest(browser.token), tokens.digest(other.token)
    log.clear()
    live_sessions.end(ended, EndReason.ENDED_BY_STAFF)
    live_sessions.end(ended, EndReason.ENDED_BY_STAFF)
    clock.advance(15 * 86_400)
    live_sessions.reap()
    assert turns(log) == [("ended", ended, "ended_by_staff", str(user.pk)), ("ended", expired, "expired_idle", None)]


def test_loss(browser: Browser, log: pytest.LogCaptureFixture) -> None:
    """A loss has a line, and a warning for people beside it."""
    token = tokens.issue(SessionMode.TEMP)
    browser.copy(ss_id=token).visit(status)
    assert turns(log) == [("lost", tokens.digest(token), "", None)]
    (warning,) = [record for record in log.records if record.name == "typed_sessions"]
    assert warning.levelno == logging.WARNING
    assert tokens.digest(token) in warning.getMessage()


def test_who_does_not_listen(browser: Browser, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the log is set to warnings, no line is made."""
    log.set_level(logging.WARNING, "typed_sessions.events")
    monkeypatch.setattr(telemetry.events_logger, "info", None)  # would be called in vain
    assert browser.visit(put_in_cart()).status == 200
    assert turns(log) == []


@pytest.mark.hasty
@each_engine_once
def test_s84_no_token_is_logged(
    browser: Browser,
    user: User,
    clock: Clock,
    configure: Configure,
    request: pytest.FixtureRequest,
    log: pytest.LogCaptureFixture,
) -> None:
    """Whatever happens to a session, none of its tokens is in a line, in an attribute of one, or in a traceback."""
    shown = {tokens.issue(SessionMode.TEMP), tokens.issue(SessionMode.PERM)}

    def visit(view: Any, **cookies: str) -> None:
        visitor = browser.copy(**cookies) if cookies else browser
        visitor.visit(view)
        shown.update(value for value in visitor.cookies.values() if len(value) == 40)

    def fails(request: Any) -> None:
        raise ValueError("of the view")

    def is_refused(request: Any) -> None:
        request.typed_session.page_views = "many"

    for view in (put_in_cart(), sign_in(user, True), is_refused, fails, status, sign_out, sign_in(user), fails):
        visit(view)
    for token in tuple(shown):
        visit(status, ss_id=token)
        visit(status, ss_id=f"{token[:-1]}x")
        visit(put_in_cart(), ss_pid=token, ss_opt="perm")
    clock.advance(15 * 86_400)
    visit(status)
    if live_sessions.can_list:
        live_sessions.reap()
    visit(put_in_cart())
    if request.node.callspec.params["engine"] == "redis":
        valkey: RedisServer = request.getfixturevalue("valkey")
        valkey.kill()
        visit(status)
        configure(ON_STORE_ERROR="anonymous")
        visit(status)
    logged = [*log.records, *[vars(record) for record in log.records]]
    assert len(shown) > 5
    assert {event[0] for event in turns(log)} == {"created", "ended", "lost"}
    assert [token for token in shown if token in log.text or token in repr(logged)] == []
