"""The filters beside the list of live sessions."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.admin.conftest import LIST, Begin, Desk, few, ids
from typed_sessions import SessionMode
from typed_sessions.backends.base import SessionStore
from typed_sessions.stores.record import Record
from typed_sessions.stores.selection import EVERYTHING, Selection
from typed_sessions.testing.engines import Clock

MINUTE, HOUR, DAY = 60, 3600, 86_400
SHOWN = {
    "mode=temp": ["ada", "visitor"],
    "mode=perm": ["ada's other", "old visitor"],
    "signed_in=yes": ["ada", "ada's other"],
    "signed_in=no": ["visitor", "old visitor"],
    "seen=5min": ["ada"],
    "seen=hour": ["ada", "ada's other"],
    "seen=day": ["ada", "ada's other", "visitor"],
    "seen=older": ["old visitor"],
    "expires=hour": ["ada"],
    "expires=day": ["ada", "ada's other"],
    "expires=week": ["ada", "ada's other", "visitor"],
    "mode=perm&signed_in=no": ["old visitor"],
    "mode=temp&signed_in=yes&seen=hour": ["ada"],
    "mode=perm&expires=week": ["ada's other"],
    "q=ada&mode=perm": ["ada's other"],
    "q=ada&seen=5min": ["ada"],
    "q=ada&expires=day": ["ada", "ada's other"],
}
"""By query string, the names of sessions in the order of the list."""


def links(text: str) -> dict[str, str]:
    """The links of the filters, by what they say."""
    sidebar = text.partition('id="changelist-filter"')[2]
    found = re.findall(r'<a href="(\?[^"]*)">([^<]+)</a>', sidebar.replace("\n", " "))
    return {unescape(words).strip(): unescape(link) for link, words in found}


@pytest.fixture
def shop(begin: Begin, user: User, clock: Clock) -> dict[str, Record]:
    """Sessions of all kinds."""
    return {
        "ada": begin(user, ago=2 * MINUTE, expires=clock.now + 30 * MINUTE),
        "ada's other": begin(user, ago=30 * MINUTE, mode=SessionMode.PERM, expires=clock.now + 5 * HOUR),
        "visitor": begin(ago=5 * HOUR, expires=clock.now + 5 * DAY),
        "old visitor": begin(ago=2 * DAY, mode=SessionMode.PERM, expires=clock.now + 20 * DAY),
    }


def test_filters(desk: Callable[[User], Desk], shop: dict[str, Record], root: User) -> None:
    """Each filter and several at once show the sessions that they say, on every engine: by time of expiry the one that
    expires soonest first, and else the one that was used last.
    """
    at = desk(root)
    for query, expected in SHOWN.items():
        found = [session_id for session_id in ids(at.get(query=query)) if session_id != at.id]
        assert found == [shop[name].id for name in expected], query


@few
def test_filter_of_user(desk: Callable[[User], Desk], shop: dict[str, Record], root: User, user: User) -> None:
    """A list about one user says so among the filters, and can be left there."""
    at = desk(root)
    found = at.get(query=f"user={user.pk}")
    assert ids(found) == [shop["ada"].id, shop["ada's other"].id]
    assert links(found.text)["ada"] == f"?user={user.pk}"
    assert 'id="changelist-filter"' in found.text
    assert "ada" not in links(at.get().text)


@few
def test_filter_of_user_who_is_no_more(desk: Callable[[User], Desk], begin: Begin, root: User) -> None:
    """A user who was deleted is told by the primary key."""
    record = begin(User(pk=4711))
    found = desk(root).get(query="user=4711")
    assert ids(found) == [record.id]
    assert links(found.text)["4711"] == "?user=4711"


@few
def test_filter_of_user_without_sessions(
    desk: Callable[[User], Desk], root: User, user: User, staff: Callable[..., User]
) -> None:
    """The name of a user stands there only if the list has a session of that user: nobody can read names by keys."""
    at = desk(staff("view_livesession"))
    for person in (root, user):
        assert links(at.get(query=f"user={person.pk}").text)[str(person.pk)] == f"?user={person.pk}"


@few
def test_times_exclude_each_other(desk: Callable[[User], Desk], shop: dict[str, Record], root: User) -> None:
    """A link of one filter of time takes the other and the order out of the address, and leaves the rest."""
    at = desk(root)
    found = links(at.get(query="seen=hour&mode=temp&o=3").text)
    assert found["within a day"] == "?expires=day&mode=temp"
    assert found["in the past day"] == "?mode=temp&seen=day"
    assert found["permanent"] == "?mode=perm&o=3&seen=hour"
    assert links(at.get(query="expires=day&o=3").text)["in the past hour"] == "?seen=hour"


@few
@pytest.mark.parametrize(("query", "columns"), [("seen=day", {"last_seen"}), ("expires=week", {"expires_in"})])
def test_order_within_a_time(
    desk: Callable[[User], Desk], shop: dict[str, Record], root: User, query: str, columns: set[str]
) -> None:
    """With a filter of time the list can be sorted by that alone; another order in the address changes nothing."""
    at = desk(root)
    found = at.get(query=query)
    assert set(re.findall(r"sortable column-(\w+)", found.text)) == columns
    own, other = (3, 6) if query.startswith("seen") else (6, 3)
    assert ids(at.get(query=f"{query}&o=-{own}")) == ids(at.get(query=f"{query}&o={own}"))[::-1]
    assert ids(at.get(query=f"{query}&o={other}")) == ids(found)


@few
@pytest.mark.parametrize("query", ["mode=prem", "signed_in=", "seen=month", "user=x", "seen=hour&expires=hour"])
def test_mistyped(desk: Callable[[User], Desk], root: User, query: str) -> None:
    """What no filter offers is an error, and not the list of all: that could be ended as a whole."""
    answer = desk(root).browser.get(f"{LIST}?{query}")
    assert (answer.status, answer["location"]) == (302, f"{LIST}?e=1")
    answer = desk(root).browser.get(f"{LIST}end-matching/?{query}")
    assert (answer.status, answer["location"]) == (302, f"{LIST}?e=1")


@few
@pytest.mark.parametrize("lookup", ["pk", "id", "id__in", "user__in", "user__exact", "mode__exact", "q__in"])
def test_other_lookups(desk: Callable[[User], Desk], begin: Begin, root: User, user: User, lookup: str) -> None:
    """What the page could not say in words is nothing to filter by, nor to end sessions by."""
    record = begin(user)
    at = desk(root)
    for value in (record.id, user.pk, "temp"):
        for path in ("", "end-matching/"):
            answer = at.browser.get(f"{LIST}{path}?{lookup}={value}")
            assert (answer.status, answer["location"]) == (302, f"{LIST}?e=1")


@pytest.mark.parametrize("query", ["seen=5min", "seen=older", "expires=day"])
def test_one_way_within_a_minute(
    desk: Callable[[User], Desk],
    begin: Begin,
    root: User,
    engine: type[SessionStore],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    query: str,
) -> None:
    """Within a minute, a filter of time asks the store for the same, which may have kept the way to a far page."""
    begin()
    at = desk(root)
    asked: list[Selection] = []
    original = type(engine().store).count

    def count(self: Any, now: int, selection: Selection = EVERYTHING) -> int:
        asked.append(selection)
        return original(self, now, selection)

    monkeypatch.setattr(type(engine().store), "count", count)
    clock.advance(-clock.now % 60 + (1 if query.startswith("expires") else 0))
    for seconds in (0, 59, 1):
        clock.advance(seconds)
        at.get(query=query)
    first, second, third = asked
    assert first == second != third
