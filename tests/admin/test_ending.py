"""Ending sessions from the admin."""

from __future__ import annotations

import re
from collections.abc import Callable
from time import time
from typing import Any

import pytest
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.auth.models import User
from django.core import signing

from tests.admin.conftest import ADDRESS, LIST, UNKNOWN, Begin, Desk, few, hidden, ids, told
from tests.commands.conftest import damage
from tests.web.conftest import NewBrowser
from tests.web.signing import sign_in, status
from typed_sessions import EndReason, SessionMode, live_sessions, urn
from typed_sessions.admin import ending
from typed_sessions.backends.base import SessionStore
from typed_sessions.exceptions import StoreUnavailable
from typed_sessions.stores.record import Record, Tombstone
from typed_sessions.stores.selection import EVERYTHING, Selection
from typed_sessions.testing.engines import Clock, Verbs

TICKED = "_selected_action"
END = {"action": "end_selected", "index": "0", "select_across": "0"}
OWN_GOES_ON = "warning: Your own session goes on. Sign out to end it."


@pytest.fixture
def is_live(engine: type[SessionStore]) -> Callable[[str], bool]:
    def ask(session_id: str) -> bool:
        return isinstance(engine().store.load(session_id), Record)

    return ask


def logged() -> list[tuple[str, str, str]]:
    """Who ended what, by the admin's log."""
    entries = LogEntry.objects.filter(action_flag=DELETION).order_by("pk").select_related("user")
    return [(entry.user.get_username(), entry.object_id or "", entry.object_repr) for entry in entries]


def asked(answer: Any) -> str:
    """The question of a page, and what it says besides."""
    found = answer.text.partition('id="content-main">')[2].partition("<form")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found)).strip()


def test_end_selected(
    desk: Callable[[User], Desk],
    begin: Begin,
    root: User,
    user: User,
    new_browser: NewBrowser,
    is_live: Callable[[str], bool],
) -> None:
    """Those that were ticked are asked for, then ended at once; the others go on, and the log has each end."""
    person = new_browser()
    person.visit(sign_in(user))
    session_id = live_sessions.for_user(user)[0].id
    ended, kept = begin(ago=5), begin(ago=10)
    at = desk(root)
    form = {**END, TICKED: [session_id, ended.id]}
    question = at.post(**form)
    assert asked(question).startswith("End 2 sessions? Everybody in them has to sign in again. ada · ")
    assert is_live(session_id)
    done = at.submit(question, "")
    assert told(done) == ["success: 2 sessions were ended."]
    assert [is_live(each) for each in (session_id, ended.id, kept.id, at.id)] == [False, False, True, True]
    assert person.visit(status).text == "ended ended_by_staff"
    assert sorted(logged()) == sorted(("root", each, urn(each)) for each in (session_id, ended.id))
    assert LogEntry.objects.first().change_message == "Ended."  # type: ignore[union-attr]  # there are two


def test_own_session_goes_on(
    desk: Callable[[User], Desk], begin: Begin, root: User, is_live: Callable[[str], bool]
) -> None:
    """Whoever ticks all sessions, or ends all of a user, does not end the session that does it, and is told."""
    other = begin(root)
    at = desk(root)
    question = at.post(**END, **{TICKED: [other.id, at.id]})
    assert asked(question).startswith("End 1 session? Whoever is in it has to sign in again. Your own session is among")
    assert told(at.submit(question, "")) == ["success: 1 session was ended.", OWN_GOES_ON]
    question = at.post(**END, **{TICKED: [at.id]})
    assert "There is no session to end." in asked(question)
    assert 'value="Yes, end"' not in question.text
    assert told(at.submit(question, "")) == [OWN_GOES_ON, "error: No session was ended."]
    assert told(at.submit(at.get(f"{at.id}/end/"), f"{at.id}/end/"))[-1] == "error: No session was ended."
    assert is_live(at.id)


def test_s61_over_already(
    desk: Callable[[User], Desk], begin: Begin, root: User, is_live: Callable[[str], bool]
) -> None:
    """What ended while it was asked is not counted, and that nothing was ended is an error."""
    first, second = begin(), begin()
    at = desk(root)
    question = at.post(**END, **{TICKED: [first.id, second.id]})
    live_sessions.end(first.id)
    assert told(at.submit(question, "")) == ["success: 1 session was ended.", "warning: 1 session was over before."]
    assert told(at.submit(question, "")) == ["warning: 2 sessions were over before.", "error: No session was ended."]
    assert len(logged()) == 1


@few
def test_s61_what_cannot_be_ended(
    desk: Callable[[User], Desk], begin: Begin, root: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sessions that are still there after all are told as an error, and are not in the log."""
    record, at = begin(), desk(root)
    monkeypatch.setattr("typed_sessions.site.live_sessions.end", lambda session_id, reason: True)
    form = {**END, TICKED: record.id, "post": "yes"}
    assert told(at.post(**form)) == ["error: 1 session could not be ended."]
    done = at.submit(at.get("end-matching/", f"q={record.id}"), "end-matching/", f"q={record.id}")
    assert told(done) == ["error: 1 session could not be ended."]
    assert logged() == []


@few
def test_ticked_whatever_the_filter(
    desk: Callable[[User], Desk], begin: Begin, root: User, is_live: Callable[[str], bool], clock: Clock
) -> None:
    """A session that was ticked ends, even if the filter no longer shows it when that is confirmed."""
    record, at = begin(), desk(root)
    question = at.post("", "seen=5min", **END, **{TICKED: record.id})
    clock.advance(600)
    assert told(at.submit(question, "", "seen=5min")) == ["success: 1 session was ended."]
    assert not is_live(record.id)


@few
def test_nothing_ticked(desk: Callable[[User], Desk], begin: Begin, root: User) -> None:
    """Without a tick nothing is asked, and what is no id of a session ends nothing."""
    begin()
    at = desk(root)
    assert told(at.post(**END))[0].startswith("warning: Items must be selected")
    assert (
        told(at.post(**END, **{TICKED: ["junk", "\0", UNKNOWN], "post": "yes"}))[-1] == "error: No session was ended."
    )


def test_end_one(desk: Callable[[User], Desk], begin: Begin, root: User, is_live: Callable[[str], bool]) -> None:
    """The page of one session leads to one that asks, and its answer ends that session."""
    record, other = begin(), begin()
    at = desk(root)
    path = f"{record.id}/end/"
    question = at.get(path)
    assert asked(question).startswith("End 1 session? Whoever is in it has to sign in again.")
    assert is_live(record.id)
    assert told(at.submit(question, path)) == ["success: 1 session was ended."]
    assert [is_live(record.id), is_live(other.id)] == [False, True]
    assert logged() == [("root", record.id, urn(record.id))]
    assert told(at.submit(question, path))[-1] == "error: No session was ended."
    assert told(at.get(f"{UNKNOWN}/end/")) == [
        "warning: There is no session '00000000…', and none that ended a short while ago."
    ]


@few
def test_end_what_cannot_be_read(
    desk: Callable[[User], Desk], begin: Begin, root: User, engine: type[SessionStore]
) -> None:
    """What is stored and cannot be read can be ended by a superuser."""
    record, at = begin(), desk(root)
    damage(engine, record.id)
    path = f"{record.id}/end/"
    assert told(at.submit(at.get(path), path)) == ["success: 1 session was ended."]
    assert isinstance(engine().store.load(record.id), Tombstone)


def test_end_all_that_match(
    desk: Callable[[User], Desk], begin: Begin, root: User, user: User, is_live: Callable[[str], bool]
) -> None:
    """All that the list shows with a filter are counted, asked for and ended; the others go on."""
    matching = [begin(user, ago=number, mode=SessionMode.PERM) for number in range(60)]
    others = [begin(user), begin()]
    at = desk(root)
    query = "mode=perm&signed_in=yes"
    question = at.get("end-matching/", query)
    assert asked(question) == (
        "End 60 sessions? Everybody in them has to sign in again. mode: permanent, sign-in: signed in"
    )
    done = at.submit(question, "end-matching/", query)
    assert told(done) == ["success: 60 sessions were ended."]
    assert not any(is_live(record.id) for record in matching)
    assert all(is_live(record.id) for record in others)
    assert logged() == [("root", "", "60 live sessions")]
    assert LogEntry.objects.get().change_message == "Ended. mode: permanent, sign-in: signed in"
    assert LogEntry.objects.get().get_admin_url() is None


def test_end_everything(
    desk: Callable[[User], Desk], begin: Begin, root: User, user: User, is_live: Callable[[str], bool]
) -> None:
    """Without a filter all sessions end but the own one, and that is said before and after."""
    records = [begin(user), begin(), begin(root)]
    at = desk(root)
    question = at.get("end-matching/")
    assert "End 3 sessions?" in asked(question)
    assert "All live sessions, of everybody." in asked(question)
    assert "Your own session is among them" in asked(question)
    assert told(at.submit(question, "end-matching/")) == ["success: 3 sessions were ended.", OWN_GOES_ON]
    assert not any(is_live(record.id) for record in records)
    assert is_live(at.id)


def test_end_all_of_a_user(
    desk: Callable[[User], Desk], begin: Begin, root: User, user: User, is_live: Callable[[str], bool], clock: Clock
) -> None:
    """All sessions of a user end, also those that began while it was asked; each of them is in the log."""
    first, other = begin(user), begin()
    at = desk(root)
    query = f"user={user.pk}"
    question = at.get("end-matching/", query)
    assert asked(question).startswith("End 1 session? Whoever is in it has to sign in again. user: ada ada · Firefox")
    clock.advance(60)
    second = begin(user)
    assert told(at.submit(question, "end-matching/", query)) == ["success: 2 sessions were ended."]
    assert [is_live(each.id) for each in (first, second, other)] == [False, False, True]
    assert sorted(entry[1] for entry in logged()) == sorted([first.id, second.id])


@few
def test_end_own_user(desk: Callable[[User], Desk], begin: Begin, root: User, is_live: Callable[[str], bool]) -> None:
    """Who ends all sessions with the own name signs out everywhere else."""
    begin(root)
    begin(root)
    at = desk(root)
    question = at.get("end-matching/", "q=root")
    assert "search: root" in asked(question)
    assert told(at.submit(question, "end-matching/")) == ["success: 2 sessions were ended.", OWN_GOES_ON]
    assert is_live(at.id)


def test_select_across(desk: Callable[[User], Desk], begin: Begin, root: User) -> None:
    """Who selects all sessions across the pages comes to the page that counts them, with the filter of the list."""
    records = [begin(mode=SessionMode.PERM) for _ in range(3)]
    at = desk(root)
    form = {**END, "select_across": "1", TICKED: records[0].id}
    question = at.post("", "mode=perm", **form)
    assert "End 3 sessions?" in asked(question)
    assert "mode: permanent" in asked(question)
    assert len(logged()) == 0


def test_in_parts(
    desk: Callable[[User], Desk],
    begin: Begin,
    root: User,
    is_live: Callable[[str], bool],
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
) -> None:
    """Many sessions end in parts: each request says how many have ended, and the next one goes on from there. What
    begins meanwhile goes on.
    """
    monkeypatch.setattr(ending, "BATCH", 2)
    monkeypatch.setattr(ending, "SECONDS", -1.0)
    records = [begin(mode=SessionMode.PERM) for _ in range(5)]
    at = desk(root)
    shown = at.submit(at.get("end-matching/", "mode=perm"), "end-matching/", "mode=perm")
    assert "2 of 5 sessions have ended." in shown.text
    assert '<progress id="typed-sessions-progress" value="2" max="5">' in shown.text
    assert "data-typed-sessions-continue" in shown.text
    assert sum(is_live(record.id) for record in records) == 3
    clock.advance(5)
    late = begin(mode=SessionMode.PERM)
    shown = at.submit(shown, "end-matching/", "mode=perm")
    assert "4 of 5 sessions have ended." in shown.text
    assert told(at.submit(shown, "end-matching/", "mode=perm")) == ["success: 5 sessions were ended."]
    assert [is_live(record.id) for record in (*records, late)] == [False] * 5 + [True]
    assert [entry[2] for entry in logged()] == ["2 live sessions", "2 live sessions", "1 live session"]


@few
def test_in_parts_of_a_user(
    desk: Callable[[User], Desk], begin: Begin, root: User, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sessions of one user end in parts too, if there are that many."""
    monkeypatch.setattr(ending, "SECONDS", -1.0)
    begin(user)
    begin(user)
    at = desk(root)
    shown = at.submit(at.get("end-matching/", "q=ada"), "end-matching/")
    assert "1 of 2 sessions have ended." in shown.text
    shown = at.submit(shown, "end-matching/")
    assert "2 of 2 sessions have ended." in shown.text
    assert told(at.submit(shown, "end-matching/")) == ["success: 2 sessions were ended."]
    assert len(logged()) == 2


@few
def test_by_index_without_pause(
    desk: Callable[[User], Desk], begin: Begin, root: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While there is time, one request ends one batch after the other."""
    monkeypatch.setattr(ending, "BATCH", 2)
    for _ in range(5):
        begin()
    at = desk(root)
    assert told(at.submit(at.get("end-matching/", "mode=temp"), "end-matching/"))[0] == (
        "success: 5 sessions were ended."
    )


@few
@pytest.mark.parametrize("run", ["", "junk", "a:b:c"])
def test_forged_runs(
    desk: Callable[[User], Desk], begin: Begin, root: User, is_live: Callable[[str], bool], run: str
) -> None:
    """What is to end is signed in the form: without that, or with that of somebody else, it is asked anew."""
    record, at = begin(), desk(root)
    found = at.post("end-matching/", run=run)
    assert "End 1 session?" in asked(found)
    assert told(found) == ["error: That was asked too long ago. No session was ended."]
    other = desk(User.objects.create_superuser("other"))
    theirs = dict(hidden(other.get("end-matching/")))["run"]
    assert told(at.post("end-matching/", run=theirs))[0].startswith("error: That was asked too long ago.")
    assert is_live(record.id)


@few
def test_form_that_is_sent_again(
    desk: Callable[[User], Desk], begin: Begin, root: User, is_live: Callable[[str], bool], clock: Clock
) -> None:
    """A confirmed form ends those that there were when it was asked, however often it is sent."""
    first, at = begin(), desk(root)
    question = at.get("end-matching/")
    clock.advance(60)
    second = begin()
    assert told(at.submit(question, "end-matching/"))[0] == "success: 1 session was ended."
    assert told(at.submit(question, "end-matching/"))[-1] == "error: No session was ended."
    assert [is_live(first.id), is_live(second.id)] == [False, True]


@few
def test_form_of_another_release(
    desk: Callable[[User], Desk], begin: Begin, root: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another release has asked is asked again, as what was asked too long ago."""
    begin()
    at = desk(root)
    with monkeypatch.context() as patch:
        patch.setattr(ending.Run, "signed", lambda self, request: signing.dumps({"odd": 1}, salt=ending._salt(request)))
        question = at.get("end-matching/")
    assert told(at.submit(question, "end-matching/"))[0].startswith("error: That was asked too long ago.")


@few
def test_page_of_what_is_over(desk: Callable[[User], Desk], begin: Begin, root: User, user: User, clock: Clock) -> None:
    """Of a session that has ended or expired, the page that would end it says that there is nothing to end."""
    ended, expired = begin(user), begin(user, expires=clock.now + 5)
    at = desk(root)
    live_sessions.end(ended.id)
    clock.advance(10)
    for record in (ended, expired):
        question = at.get(f"{record.id}/end/")
        assert asked(question).startswith("There is no session to end.")
        assert "anonymous" not in asked(question)
        assert 'value="Yes, end"' not in question.text


@few
def test_form_of_yesterday(
    desk: Callable[[User], Desk], begin: Begin, root: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that asked an hour ago has to ask again."""
    begin()
    at = desk(root)
    question = at.get("end-matching/")
    later = time() + 3601
    monkeypatch.setattr("django.core.signing.time.time", lambda: later)
    assert told(at.submit(question, "end-matching/"))[0].startswith("error: That was asked too long ago.")


@few
def test_nothing_to_end(desk: Callable[[User], Desk], root: User) -> None:
    """Where nothing matches there is nothing to confirm, and a form that is sent all the same ends nothing."""
    at = desk(root)
    question = at.get("end-matching/", "q=nobody")
    assert asked(question).startswith("There is no session to end. search: nobody")
    assert 'value="Yes, end"' not in question.text
    assert told(at.submit(question, "end-matching/", "q=nobody")) == ["error: No session was ended."]


@few
def test_only_by_post(desk: Callable[[User], Desk], begin: Begin, root: User, is_live: Callable[[str], bool]) -> None:
    """Nothing ends by a GET, nor by a form from another site (REQ-S87)."""
    record, at = begin(), desk(root)
    run = dict(hidden(at.get("end-matching/")))["run"]
    at.get(f"{record.id}/end/", "post=yes")
    at.get("", f"action=end_selected&post=yes&index=0&{TICKED}={record.id}")
    at.get("end-matching/", "")
    for path, form in ((f"{record.id}/end/", {}), ("end-matching/", {"run": run}), ("", {**END, "post": "yes"})):
        assert at.post(path, csrfmiddlewaretoken="x" * 32, **form).status == 403
    assert at.browser.ask("DELETE", f"{LIST}{record.id}/end/", "", at.browser.headers()).status in (403, 405)
    assert is_live(record.id)


@few
def test_budget_of_a_page_that_asks(desk: Callable[[User], Desk], begin: Begin, root: User, verbs: Verbs) -> None:
    """Asking whether a million sessions are to end costs a count, and a page of them to tell how many are hidden."""
    for _ in range(60):
        begin()
    at = desk(root)
    verbs.take()
    assert "End 60 sessions?" in asked(at.get("end-matching/"))
    assert verbs.take() == ["load", "count", "load"]


def test_reason(begin: Begin, desk: Callable[[User], Desk], root: User, engine: type[SessionStore]) -> None:
    """The reason that the store keeps is that staff has ended it."""
    records = [begin(), begin(mode=SessionMode.PERM)]
    at = desk(root)
    at.submit(at.get(f"{records[0].id}/end/"), f"{records[0].id}/end/")
    at.submit(at.get("end-matching/", "mode=perm"), "end-matching/")
    for record in records:
        found = engine().store.load(record.id)
        assert isinstance(found, Tombstone)
        assert found.reason is EndReason.ENDED_BY_STAFF


@few
@pytest.mark.parametrize("way", ["selected", "user", "users"])
def test_store_that_fails_in_between(
    desk: Callable[[User], Desk], begin: Begin, root: User, user: User, verbs: Verbs, way: str
) -> None:
    """If the store stops answering, what has ended until then is in the log."""
    records = [begin(user), begin(user)]
    at = desk(root)
    verbs.take()

    def fail() -> None:
        raise StoreUnavailable("no answer")

    def fail_at_the_second() -> None:
        verbs.before("end", fail)

    if way == "user":
        question = at.get("end-matching/", "q=ada")
        verbs.before("end", fail_at_the_second)
        answer = at.submit(question, "end-matching/")
    elif way == "selected":
        verbs.before("end", fail_at_the_second)
        answer = at.post(**END, **{TICKED: [record.id for record in records], "post": "yes"})
    else:
        verbs.before("end", fail_at_the_second)
        answer = at.post("/office/auth/user/", action="end_live_sessions", index="0", post="yes", **{TICKED: user.pk})
    assert answer.status == 503
    assert len(logged()) == 1


@few
def test_page_of_the_list(desk: Callable[[User], Desk], begin: Begin, root: User) -> None:
    """Which page of the list was looked at makes no difference to what ends."""
    record, at = begin(), desk(root)
    assert "End 1 session?" in asked(at.get("end-matching/", "p=7"))
    form = {**END, "select_across": "1", TICKED: record.id}
    assert "End 1 session?" in asked(at.post("", "p=1", **form))


@few
def test_many_of_one_address(
    desk: Callable[[User], Desk], begin: Begin, root: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an address with more sessions than are shown, all end; with more than are looked at, that is told."""
    monkeypatch.setattr("typed_sessions.admin.queryset.LARGEST_SET", 2)
    for number in range(5):
        begin(mode=SessionMode.PERM if number % 2 else SessionMode.TEMP)
    at = desk(root)
    question = at.get("end-matching/", f"q={ADDRESS}&mode=temp")
    assert str(ending.CUT) in asked(question)
    assert told(at.submit(question, "end-matching/")) == ["success: 3 sessions were ended."]
    monkeypatch.setattr("typed_sessions.admin.queryset.LOOKED_AT", 2)
    question = at.get("end-matching/", f"q={ADDRESS}&mode=temp")
    assert told(at.submit(question, "end-matching/")) == [
        f"warning: {ending.CUT}",
        "error: No session was ended.",
    ]


def test_index_that_is_behind(
    desk: Callable[[User], Desk],
    begin: Begin,
    root: User,
    user: User,
    engine: type[SessionStore],
    monkeypatch: pytest.MonkeyPatch,
    is_live: Callable[[str], bool],
) -> None:
    """What an index still has under what it is no more is not ended with it."""
    record, at = begin(user), desk(root)
    question = at.get("end-matching/", "signed_in=no")
    chosen = type(engine().store).newest

    def behind(self: Any, now: int, limit: int, offset: int = 0, selection: Selection = EVERYTHING) -> Any:
        return [record.id][offset:] if selection.signed_in is False else chosen(self, now, limit, offset, selection)

    monkeypatch.setattr(type(engine().store), "newest", behind)
    assert told(at.submit(question, "end-matching/")) == ["error: No session was ended."]
    assert is_live(record.id)


@few
def test_long_lists(desk: Callable[[User], Desk], begin: Begin, root: User, user: User) -> None:
    """A page that asks names the first sessions, and counts all."""
    for _ in range(ending.LISTED + 1):
        begin(user)
    question = desk(root).get("end-matching/", "q=ada")
    assert len(ids(question)) == ending.LISTED
    assert f"End {ending.LISTED + 1} sessions?" in asked(question)
