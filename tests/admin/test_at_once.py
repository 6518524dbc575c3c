"""What an end does to a request that is under way, what is written down of it, and what a list does not ask for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.admin.conftest import ADDRESS, Begin, Desk, ids, told
from tests.servers.redis import RedisServer
from tests.web.conftest import NewBrowser
from tests.web.signing import put_in_cart, sign_in, status
from typed_sessions import tokens
from typed_sessions.testing.engines import Clock, Verbs

GROWING = {"keys", "scan", "sscan", "hscan", "zscan", "smembers"}
"""Commands whose work grows with what is stored."""


def test_s90_end_bites_a_request_under_way(
    desk: Callable[[User], Desk], new_browser: NewBrowser, verbs: Verbs, root: User, user: User
) -> None:
    """A request whose session staff ends before it is saved is a 400 that stores nothing, and the next one is told."""
    at, browser = desk(root), new_browser()
    browser.visit(sign_in(user))
    session_id = tokens.digest(browser.token)
    answers: list[Any] = []
    verbs.before("save", lambda: answers.append(at.post(f"{session_id}/end/", post="yes")))
    answer = browser.visit(put_in_cart())
    assert told(answers[0]) == ["success: 1 session was ended."]
    assert (answer.status, answer.ours) == (400, {})
    assert browser.visit(status).text == "ended ended_by_staff"


def test_s91_ends_are_written_down(
    desk: Callable[[User], Desk],
    new_browser: NewBrowser,
    root: User,
    user: User,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The admin's log has who has ended which session, the events log that it ended and why, and neither a token."""
    at, browser = desk(root), new_browser()
    browser.visit(sign_in(user))
    token = browser.token
    session_id = tokens.digest(token)
    with caplog.at_level(logging.INFO, "typed_sessions.events"):
        at.post(f"{session_id}/end/", post="yes")
    (line,) = [record.getMessage() for record in caplog.records if record.name == "typed_sessions.events"]
    assert line == f"session ended id={session_id} reason=ended_by_staff user={user.pk}"
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id, entry.is_deletion()) == (root, session_id, True)
    assert token not in caplog.text + repr(entry.__dict__)


@pytest.mark.parametrize("engine", ["redis"], indirect=True)
@pytest.mark.parametrize("query", ["", "mode=temp", "seen=day", "expires=week&p=2", f"q={ADDRESS}", "q=ada"])
def test_s89_lists_take_indexes_alone(
    desk: Callable[[User], Desk], begin: Begin, root: User, user: User, clock: Clock, valkey: RedisServer, query: str
) -> None:
    """A list, its filters and its search look through no keys, and take the same commands however many there are."""
    at, client = desk(root), valkey.client()
    asked: list[dict[str, int]] = []
    for count in (120, 240):
        for number in range(count):
            begin(user if number % 2 else None, ago=number, expires=clock.now + 86_400)
        at.get("", query)  # has scripts loaded
        client.config_resetstat()
        assert ids(at.get("", query))
        stats: Any = client.info("commandstats")
        asked.append({name.removeprefix("cmdstat_"): used["calls"] for name, used in stats.items()})
    assert asked[0].keys() & GROWING == set()
    sent = ("get", "mget", "evalsha", "zrangebyscore", "hgetall")
    assert [asked[0].get(name) for name in sent] == [asked[1].get(name) for name in sent]


@pytest.mark.parametrize("engine", ["db"], indirect=True)
@pytest.mark.parametrize("query", ["", "mode=temp", "seen=day", "expires=week&p=2", f"q={ADDRESS}", "q=ada"])
def test_s89_lists_take_as_many_statements(
    desk: Callable[[User], Desk], begin: Begin, root: User, user: User, clock: Clock, query: str
) -> None:
    """In the database a list takes the same number of statements however many sessions there are."""
    at = desk(root)
    asked: list[int] = []
    for count in (120, 240):
        for number in range(count):
            begin(user if number % 2 else None, ago=number, expires=clock.now + 86_400)
        at.get("", query)
        with CaptureQueriesContext(connection) as queries:
            assert ids(at.get("", query))
        asked.append(len(queries))
    assert asked[0] == asked[1] <= 15
