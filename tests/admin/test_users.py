"""A user's live sessions on that user's own page in the admin."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.admin.conftest import Begin, Desk, few, ids, told
from tests.admin.test_ending import OWN_GOES_ON, TICKED, asked
from tests.engines.rows import UseEngine
from typed_sessions import live_sessions
from typed_sessions.admin import LiveSessionAdmin, ending, users
from typed_sessions.backends.base import SessionStore
from typed_sessions.exceptions import StoreUnavailable
from typed_sessions.stores.record import Record
from typed_sessions.testing.engines import Verbs

OFFICE = "/office/auth/user/"
END = {"action": "end_live_sessions", "index": "0", "select_across": "0"}
STAFF = ("view_user", "view_livesession", "end_livesession")


def line(text: str) -> str:
    """The row about live sessions; empty if there is none."""
    found = re.search(r"<label>Live sessions:</label>.*?<div class=\"readonly\">(.*?)</div>", text, re.DOTALL)
    return re.sub(r"<[^>]+>", "", found.group(1)) if found else ""


def test_row(desk: Callable[[User], Desk], begin: Begin, root: User, user: User, other_user: User) -> None:
    """A user's page says how many live sessions there are, and leads to them and to their end."""
    records = [begin(user, ago=1), begin(user, ago=2), begin(other_user)]
    at = desk(root)
    found = at.get(f"{OFFICE}{user.pk}/change/")
    assert line(found.text) == "2 · show · end all…"
    show, end = re.findall(r'href="(/office/typed_sessions/livesession/[^"]*\?user=[^"]*)"', found.text)
    assert ids(at.get(show)) == [record.id for record in records[:2]]
    question = at.get(end)
    assert "End 2 sessions?" in asked(question)
    assert told(at.submit(question, end)) == ["success: 2 sessions were ended."]
    assert live_sessions.count_for(user) == 0
    assert line(at.get(f"{OFFICE}{user.pk}/change/").text) == "0"


def test_budget(desk: Callable[[User], Desk], begin: Begin, root: User, user: User, verbs: Verbs) -> None:
    """The row costs one question to the store, however many sessions the user has, and no statement of SQL besides."""
    begin(user)
    begin(user)
    at = desk(root)
    at.get(f"{OFFICE}{user.pk}/change/")
    verbs.take()
    with CaptureQueriesContext(connection) as captured:
        at.get(f"{OFFICE}{user.pk}/change/")
    assert verbs.take() == ["load", "of_user"]
    own = [query["sql"] for query in captured if "typed_sessions" in query["sql"]]
    assert all("storedsession" in statement for statement in own)


@few
def test_permissions(
    desk: Callable[[User], Desk], begin: Begin, root: User, user: User, staff: Callable[..., User]
) -> None:
    """Who may not end sees no way to, who may not view sees no row, and superusers have none for others."""
    begin(user)
    begin(root)
    boss, clerk, other = (
        desk(staff(*STAFF, name="boss")),
        desk(staff("view_user", "view_livesession")),
        desk(staff("view_user", "end_livesession", name="other")),
    )
    seen = [line(at.get(f"{OFFICE}{user.pk}/change/").text) for at in (boss, clerk, other)]
    assert seen == ["1 · show · end all…", "1 · show", ""]
    assert line(boss.get(f"{OFFICE}{root.pk}/change/").text) == ""
    assert line(desk(root).get(f"{OFFICE}{root.pk}/change/").text) == "2 · show · end all…"
    assert ["end_live_sessions" in at.get(OFFICE).text for at in (boss, clerk, other)] == [True, False, False]


@few
def test_new_user(desk: Callable[[User], Desk], root: User) -> None:
    """The page that adds a user has no such row."""
    found = desk(root).get(f"{OFFICE}add/")
    assert found.status == 200
    assert line(found.text) == ""


def test_end_all_of_selected_users(
    desk: Callable[[User], Desk],
    begin: Begin,
    root: User,
    user: User,
    other_user: User,
    engine: type[SessionStore],
) -> None:
    """The action says how many sessions each user has, ends all of them, and logs each; others go on."""
    records = [begin(user), begin(user), begin(other_user)]
    kept = begin()
    at = desk(root)
    question = at.post(OFFICE, **END, **{TICKED: [user.pk, other_user.pk]})
    assert asked(question).startswith("End 3 sessions? Your own session goes on, if it is among them.")
    assert sorted(re.findall(r"(\w+: \d)", asked(question))) == ["ada: 2", "grace: 1"]
    assert told(at.submit(question, OFFICE)) == ["success: 3 sessions were ended."]
    assert not any(isinstance(engine().store.load(record.id), Record) for record in records)
    assert isinstance(engine().store.load(kept.id), Record)
    assert {entry.object_id for entry in LogEntry.objects.all()} == {record.id for record in records}
    assert told(at.submit(question, OFFICE)) == ["error: No session was ended."]


@few
def test_own_session_goes_on(desk: Callable[[User], Desk], begin: Begin, root: User) -> None:
    """Who ticks the own name signs out everywhere else."""
    begin(root)
    at = desk(root)
    done = at.submit(at.post(OFFICE, **END, **{TICKED: root.pk}), OFFICE)
    assert told(done) == ["success: 1 session was ended.", OWN_GOES_ON]
    assert [session.id for session in live_sessions.for_user(root)] == [at.id]


@few
def test_superusers_among_them(
    desk: Callable[[User], Desk], begin: Begin, root: User, user: User, staff: Callable[..., User]
) -> None:
    """Superusers who are ticked by others are not named, and their sessions stay."""
    begin(root)
    begin(user)
    at = desk(staff(*STAFF))
    question = at.post(OFFICE, **END, **{TICKED: [root.pk, user.pk]})
    assert "root" not in asked(question)
    assert "End 1 session?" in asked(question)
    assert told(at.post(OFFICE, **END, **{TICKED: [root.pk, user.pk], "post": "yes"})) == [
        "success: 1 session was ended."
    ]
    assert live_sessions.count_for(root) == 1


@few
def test_who_may_not(
    desk: Callable[[User], Desk], begin: Begin, root: User, user: User, staff: Callable[..., User]
) -> None:
    """The form of the action does nothing for who may not end, and nothing from another site (REQ-S87)."""
    begin(user)
    clerk = desk(staff("view_user", "view_livesession"))
    clerk.post(OFFICE, **END, **{TICKED: user.pk, "post": "yes"})
    assert desk(root).post(OFFICE, csrfmiddlewaretoken="x" * 32, **END, **{TICKED: user.pk}).status == 403
    assert live_sessions.count_for(user) == 1


@few
def test_too_many(
    desk: Callable[[User], Desk], begin: Begin, root: User, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More users than one request can do are refused, and not done in part; sessions that are too many for a request
    are told.
    """
    begin(user)
    begin(user)
    at = desk(root)
    question = at.post(OFFICE, **END, **{TICKED: [user.pk]})
    monkeypatch.setattr(ending, "SECONDS", -1.0)
    assert told(at.submit(question, OFFICE)) == [
        "success: 1 session was ended.",
        "warning: There are more: please end them too.",
    ]
    monkeypatch.setattr(users, "LARGEST", 1)
    form = {**END, "select_across": "1"}
    assert told(at.post(OFFICE, **form, **{TICKED: [user.pk]})) == [
        "error: Those are more than 1 users. No session was ended."
    ]
    assert live_sessions.count_for(user) == 1


@few
def test_store_that_fails_while_it_counts(
    desk: Callable[[User], Desk], begin: Begin, root: User, user: User, verbs: Verbs
) -> None:
    """A user whose sessions nobody can count is asked about all the same, as one without."""
    begin(user)
    at = desk(root)

    def fail() -> None:
        raise StoreUnavailable("no answer")

    verbs.before("of_user", fail)
    assert "There is no session to end." in asked(at.post(OFFICE, **END, **{TICKED: user.pk}))


@few
def test_time_is_shared(
    desk: Callable[[User], Desk],
    begin: Begin,
    root: User,
    user: User,
    other_user: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One request takes its time for all users together, and says that there are more."""
    for person in (user, other_user):
        begin(person)
    at = desk(root)
    monkeypatch.setattr(ending, "SECONDS", -1.0)
    form = {TICKED: [user.pk, other_user.pk], "post": "yes"}
    assert told(at.post(OFFICE, **END, **form))[0] == "success: 1 session was ended."
    assert told(at.post(OFFICE, **END, **form))[0] == "success: 1 session was ended."
    assert [live_sessions.count_for(person) for person in (user, other_user)] == [0, 0]


@few
def test_store_away(desk: Callable[[User], Desk], root: User, user: User, verbs: Verbs) -> None:
    """Without an answer of the store the user's page is there all the same."""
    at = desk(root)

    def fail() -> None:
        raise StoreUnavailable("no answer")

    verbs.before("of_user", fail)
    assert line(at.get(f"{OFFICE}{user.pk}/change/").text) == "unknown"


@few
def test_engine_that_cannot_list(use_engine: UseEngine, desk: Callable[[User], Desk], root: User, user: User) -> None:
    """On an engine that cannot list, nobody knows how many there are."""
    use_engine("cache")
    at = desk(root)
    assert line(at.get(f"{OFFICE}{user.pk}/change/").text) == "unknown"
    assert "end_live_sessions" not in at.get(OFFICE).text
    assert at.post(OFFICE, **END, **{TICKED: user.pk, "post": "yes"}).status == 200


@few
def test_site_without_live_sessions(desk: Callable[[User], Desk], begin: Begin, root: User, user: User) -> None:
    """On a site that has no page of live sessions, the row is the number alone."""
    begin(user)
    assert line(desk(root).get(f"/bare/auth/user/{user.pk}/change/").text) == "1"


@few
def test_project_decides(
    desk: Callable[[User], Desk], begin: Begin, root: User, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the site's page of live sessions permits is what the pages of users permit."""
    begin(user)
    at = desk(root)
    monkeypatch.setattr(LiveSessionAdmin, "has_end_permission", lambda self, request, obj=None: False)
    assert line(at.get(f"{OFFICE}{user.pk}/change/").text) == "1 · show"
    assert "end_live_sessions" not in at.get(OFFICE).text
    monkeypatch.setattr(LiveSessionAdmin, "has_view_permission", lambda self, request, obj=None: False)
    assert line(at.get(f"{OFFICE}{user.pk}/change/").text) == ""
