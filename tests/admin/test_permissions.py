"""Who may see sessions, what is in them, and end them: every page and every form, as each member of staff meets it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.admin.conftest import FIREFOX, LIST, Begin, Desk, few, hidden, ids, told
from tests.commands.conftest import damage
from tests.web.browser import Answer, Browser
from tests.web.conftest import NewBrowser
from tests.web.signing import Request, sign_in, status
from typed_sessions import live_sessions, tokens, urn
from typed_sessions.admin import LiveSessionAdmin, permissions
from typed_sessions.admin.permissions import Viewer
from typed_sessions.backends.base import SessionStore
from typed_sessions.stores.record import Client, Record

VIEW, PAYLOAD, END = "view_livesession", "view_livesession_payload", "end_livesession"
TICKED = "_selected_action"
EVIL = "<script>alert(1)</script>\"'>"


def stuffed(request: Request) -> None:
    """Puts something into every part of the session."""
    request.typed_session.currency = "CANARYFIELD"
    request.typed_session.gift_note = "CANARYSECRET"
    request.session["note"] = "CANARYBAG"


@pytest.fixture
def victim(new_browser: NewBrowser, user: User, engine: type[SessionStore]) -> Browser:
    """A user's browser, with a session that has something in it."""
    browser = new_browser()
    browser.visit(sign_in(user), user_agent=FIREFOX)
    browser.visit(stuffed, user_agent=FIREFOX)
    return browser


def pages(session_id: str, user: User) -> list[str]:
    """Everything that can be looked at."""
    one = [f"{LIST}{session_id}/{page}/" for page in ("change", "history", "end", "delete")]
    queries = ("", "?q=ada", f"?user={user.pk}", f"?q={session_id}", "?mode=temp", "?seen=hour", "?expires=week")
    ends = (f"{LIST}end-matching/", f"{LIST}end-matching/?user={user.pk}")
    return [*one, *(LIST + query for query in queries), *ends, f"{LIST}live/", f"{LIST}add/", f"{LIST}{session_id}/"]


def forms(session_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Everything that can be sent."""
    action = {TICKED: session_id, "post": "yes", "select_across": "0"}
    return [
        (LIST, {**action, "action": "end_selected", "index": "0"}),
        (LIST, {**action, "action": "end_selected"}),
        (LIST, {**action, "action": "delete_selected", "index": "0"}),
        (LIST, {**action, "action": "delete_selected"}),
        (LIST, {"_save": "yes", "form-TOTAL_FORMS": "1", "form-0-id": session_id}),
        (f"{LIST}{session_id}/change/", {"mode": "perm", "_save": "yes"}),
        (f"{LIST}{session_id}/change/", {**action, "CHANGE_FORM-action": "end_selected"}),
        (f"{LIST}{session_id}/delete/", {"post": "yes"}),
        (f"{LIST}{session_id}/end/", {}),
        (f"{LIST}end-matching/", {"run": "x"}),
        (f"{LIST}add/", {"id": session_id}),
    ]


def everything(at: Desk, session_id: str, user: User) -> list[Answer]:
    """The answers to all that can be looked at and sent, without errors of the server."""
    found = [at.browser.get(path) for path in pages(session_id, user)]
    found += [at.post(path, **form) for path, form in forms(session_id)]
    assert max(answer.status for answer in found) < 500
    return found


def heard(answer: Answer) -> str:
    """All that an answer tells."""
    return answer.text + "".join(value for _name, value in answer.lines)


def test_s87_who_only_views(
    desk: Callable[[User], Desk], victim: Browser, user: User, staff: Callable[..., User], engine: type[SessionStore]
) -> None:
    """A member of staff who may only view tries everything: there is no token, nothing of what is in the session, and
    no end of it.
    """
    session_id = tokens.digest(victim.token)
    at = desk(staff(VIEW))
    before = engine().store.load(session_id)
    answers = everything(at, session_id, user)
    for answer in answers:
        said = heard(answer)
        assert "CANARY" not in said
        assert victim.token not in said
    assert ids(answers[4])
    assert engine().store.load(session_id) == before
    assert LogEntry.objects.count() == 0
    assert victim.visit(status).text == "live -"


MATRIX = {
    (): (403, 403, 403),
    (PAYLOAD, END): (403, 403, 403),
    (VIEW,): (200, 200, 403),
    (VIEW, PAYLOAD): (200, 200, 403),
    (VIEW, END): (200, 200, 200),
}
"""By permissions: what the list, the page of a session, and a page that ends it answer."""


@few
@pytest.mark.parametrize("codenames", MATRIX, ids=["-".join(each) or "none" for each in MATRIX])
def test_s87_matrix(
    desk: Callable[[User], Desk], begin: Begin, user: User, staff: Callable[..., User], codenames: tuple[str, ...]
) -> None:
    """Each permission opens its own pages; without the one to view, the others open nothing."""
    record, at = begin(user), desk(staff(*codenames))
    paths = ("", f"{record.id}/change/", f"{record.id}/end/")
    assert tuple(at.get(path).status for path in paths) == MATRIX[codenames]
    assert at.get("end-matching/").status == MATRIX[codenames][2]
    assert at.get(f"{record.id}/history/").status == MATRIX[codenames][1]
    assert [at.get(path).status for path in ("add/", f"{record.id}/delete/")] == [403, 403]
    assert ("end_selected" in at.get().text) is (END in codenames and VIEW in codenames)
    assert ("end-matching" in at.get().text) is (END in codenames and VIEW in codenames)
    assert ("Live sessions" in at.browser.get("/admin/").text) is (VIEW in codenames)


@few
def test_s87_ending_needs_its_permission(
    desk: Callable[[User], Desk], begin: Begin, staff: Callable[..., User], root: User, engine: type[SessionStore]
) -> None:
    """A superuser's form is of no use to who may not end; who may has one, and stands in the log for it."""
    record = begin()
    clerk, boss, viewer = desk(staff(VIEW, END, name="boss")), desk(root), desk(staff(VIEW))
    run = dict(hidden(boss.get("end-matching/")))["run"]
    assert viewer.post("end-matching/", run=run).status == 403
    assert viewer.post(f"{record.id}/end/").status == 403
    assert isinstance(engine().store.load(record.id), Record)
    assert told(clerk.submit(clerk.get(f"{record.id}/end/"), f"{record.id}/end/")) == ["success: 1 session was ended."]
    assert LogEntry.objects.get().user == clerk.user


@few
def test_others_are_shown_the_way_out(desk: Callable[[User], Desk], begin: Begin, user: User) -> None:
    """Who is no member of staff is sent to sign in, from each page and by each form."""
    record, at = begin(user), desk(user)
    for path in pages(record.id, user):
        answer = at.browser.get(path)
        assert (answer.status, "/login/" in answer["location"]) == (302, True), path
    for path, form in forms(record.id):
        assert "/login/" in at.browser.post(path, **form)["location"], path


def test_s87_superusers_are_hidden(
    desk: Callable[[User], Desk],
    begin: Begin,
    root: User,
    user: User,
    staff: Callable[..., User],
    engine: type[SessionStore],
) -> None:
    """For staff who are no superusers, a superuser's session is not there: in no list, count, search or page, and none
    of their forms ends it.
    """
    secret, other = begin(root, client=Client(address="192.0.2.50", agent=FIREFOX)), begin(user)
    clerk = desk(staff(VIEW, PAYLOAD, END))
    both = {other.id, clerk.id}
    assert set(ids(clerk.get())) == both
    for query in ("mode=temp", "signed_in=yes", "seen=hour", "expires=week", "all="):
        assert set(ids(clerk.get(query=query))) <= both
    for query in (
        f"q={secret.id}",
        f"q={urn(secret.id)}",
        "q=root",
        "q=192.0.2.50",
        f"user={root.pk}",
    ):
        found = clerk.get(query=query)
        assert ids(found) == []
        assert "0 live sessions" in found.text or "0 results" in found.text
        assert root.email not in found.text
    assert "root" not in clerk.get(query=f"user={root.pk}").text
    for page in ("change", "history", "end"):
        found = clerk.get(f"{secret.id}/{page}/")
        assert told(found) == [
            f"warning: There is no session '{secret.id[:8]}…', and none that ended a short while ago."
        ]
    form = {"action": "end_selected", TICKED: [secret.id], "post": "yes"}
    assert told(clerk.post(**form))[-1] == "error: No session was ended."
    assert told(clerk.post(f"{secret.id}/end/"))[-1].startswith("warning: There is no session")
    for query in (f"user={root.pk}", "q=root", "q=192.0.2.50", f"q={secret.id}"):
        question = clerk.get("end-matching/", query)
        assert "There is no session to end." in question.text
        assert told(clerk.submit(question, "end-matching/", query)) == ["error: No session was ended."]
    question = clerk.get("end-matching/")
    assert "End 1 session?" in question.text
    assert "Sessions of superusers stay." in question.text
    assert told(clerk.submit(question, "end-matching/"))[0] == "success: 1 session was ended."
    assert isinstance(engine().store.load(secret.id), Record)
    assert not isinstance(engine().store.load(other.id), Record)
    assert secret.id in ids(desk(root).get())


@few
def test_s87_among_many(
    desk: Callable[[User], Desk], begin: Begin, root: User, staff: Callable[..., User], engine: type[SessionStore]
) -> None:
    """With more sessions than fit on a page, those of superusers are left out of each page too, and stay when
    all end.
    """
    secret = [begin(root, ago=number) for number in (0, 55)]
    others = [begin(ago=number) for number in range(60)]
    clerk = desk(staff(VIEW, END))
    seen = ids(clerk.get()) + ids(clerk.get(query="p=2"))
    assert sorted(seen) == sorted([clerk.id, *(record.id for record in others)])
    done = clerk.submit(clerk.get("end-matching/"), "end-matching/")
    assert told(done)[0] == "success: 60 sessions were ended."
    assert all(isinstance(engine().store.load(record.id), Record) for record in secret)


@few
def test_s87_who_becomes_superuser_meanwhile(
    desk: Callable[[User], Desk], begin: Begin, user: User, staff: Callable[..., User], engine: type[SessionStore]
) -> None:
    """Whose sessions may end is asked when they end, and not when the form was made."""
    record, clerk = begin(user), desk(staff(VIEW, END))
    question = clerk.get("end-matching/", "q=ada")
    User.objects.filter(pk=user.pk).update(is_superuser=True)
    assert told(clerk.submit(question, "end-matching/")) == ["error: No session was ended."]
    assert isinstance(engine().store.load(record.id), Record)


@few
def test_unreadable(
    desk: Callable[[User], Desk], begin: Begin, root: User, staff: Callable[..., User], engine: type[SessionStore]
) -> None:
    """What cannot be read may be a superuser's, and is there for superusers alone."""
    record, clerk, boss = begin(), desk(staff(VIEW, END)), desk(root)
    damage(engine, record.id)
    assert told(clerk.get(f"{record.id}/change/"))[0].startswith("warning: There is no session")
    assert told(clerk.post(f"{record.id}/end/"))[0].startswith("warning: There is no session")
    assert boss.get(f"{record.id}/end/").status == 200
    assert told(boss.get(f"{record.id}/end/")) == []


@few
def test_ended(desk: Callable[[User], Desk], begin: Begin, staff: Callable[..., User]) -> None:
    """A session that has ended still has its page, without anything to end."""
    record, clerk = begin(), desk(staff(VIEW, END))
    live_sessions.end(record.id)
    assert clerk.get(f"{record.id}/change/").status == 200
    assert told(clerk.get(f"{record.id}/change/")) == []
    question = clerk.get(f"{record.id}/end/")
    assert told(clerk.submit(question, f"{record.id}/end/"))[-1] == "error: No session was ended."


@few
def test_s87_budget_of_ending(
    desk: Callable[[User], Desk], begin: Begin, root: User, staff: Callable[..., User]
) -> None:
    """Whose sessions stay costs one statement, however many end."""
    for number in range(60):
        begin(User.objects.create_user(f"user {number}"))
    begin(root)
    clerk = desk(staff(VIEW, END))
    question = clerk.get("end-matching/", "mode=temp")
    with CaptureQueriesContext(connection) as captured:
        assert told(clerk.submit(question, "end-matching/"))[0] == "success: 60 sessions were ended."
    asked = [
        query["sql"] for query in captured if 'FROM "auth_user"' in query["sql"] and "is_superuser" in query["sql"]
    ]
    assert len([statement for statement in asked if 'WHERE "auth_user"."is_superuser"' in statement]) == 1
    assert len(asked) < 10


@few
def test_s87_superusers_by_another_name(
    desk: Callable[[User], Desk],
    begin: Begin,
    user: User,
    staff: Callable[..., User],
    engine: type[SessionStore],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A user model may know superusers by a property: their sessions are hidden, and stay when all end."""
    record, other, clerk = begin(user), begin(), desk(staff(VIEW, END))
    monkeypatch.setattr(permissions, "_is_superuser", lambda person: getattr(person, "username", "") == "ada")
    monkeypatch.setattr(permissions, "_has_field", lambda: False)
    assert set(ids(clerk.get())) == {other.id, clerk.id}
    for query in ("", "mode=temp"):
        clerk.submit(clerk.get("end-matching/", query), "end-matching/", query)
    assert isinstance(engine().store.load(record.id), Record)
    assert not isinstance(engine().store.load(other.id), Record)


def test_user_model_without_superusers() -> None:
    """Where users are no superusers, nobody's sessions are hidden; and a request need have no session of ours."""

    class Reader:
        user = object()

    viewer = Viewer(Reader(), admin.site)  # type: ignore[arg-type]  # as much of a request as is looked at
    assert viewer.may_see(Reader.user)
    assert viewer.own_key is None
    assert viewer.own_id is None


def test_s86_nothing_is_code(
    desk: Callable[[User], Desk], begin: Begin, root: User, engine: type[SessionStore]
) -> None:
    """What visitors have sent is text on every page, whatever it looks like."""
    evil = User.objects.create_user(EVIL, EVIL)
    record = begin(evil, client=Client(address=EVIL, agent=EVIL))
    at = desk(root)
    for path, query in (
        ("", ""),
        ("", f"user={evil.pk}"),
        (f"{record.id}/change/", ""),
        (f"{record.id}/end/", ""),
        ("end-matching/", f"user={evil.pk}"),
    ):
        found = at.get(path, query)
        assert found.status == 200
        assert "<script>alert" not in found.text
        assert "&lt;script&gt;alert" in found.text


def test_s88_ids_open_nothing(
    desk: Callable[[User], Desk], victim: Browser, root: User, new_browser: NewBrowser
) -> None:
    """What stands in the addresses of the admin is of no use as a token."""
    at = desk(root)
    session_id = tokens.digest(victim.token)
    assert f"{session_id}/change/" in at.get().text
    assert victim.token not in at.get().text
    for cookie in (session_id, urn(session_id)):
        thief = new_browser(ss_id=cookie)
        assert thief.visit(status).text.startswith("rejected")


def test_s86_no_token_anywhere(
    desk: Callable[[User], Desk],
    victim: Browser,
    user: User,
    root: User,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A superuser tries everything: no token is on a page, in an address, in the log, or in the admin's own log."""
    caplog.set_level("DEBUG")
    at = desk(root)
    said = "".join(heard(answer) for answer in everything(at, tokens.digest(victim.token), user))
    entries = [f"{entry.object_id} {entry.object_repr} {entry.change_message}" for entry in LogEntry.objects.all()]
    out = capfd.readouterr()
    for place in (said, caplog.text, "".join(entries), out.out, out.err):
        assert victim.token not in place
    assert at.browser.token not in caplog.text


@few
def test_s87_project_decides(
    desk: Callable[[User], Desk], begin: Begin, root: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project whose page gives these permissions in another way is asked on every page."""
    record, at = begin(), desk(root)
    monkeypatch.setattr(LiveSessionAdmin, "has_end_permission", lambda self, request, obj=None: False)
    monkeypatch.setattr(LiveSessionAdmin, "has_payload_permission", lambda self, request, obj=None: False)
    found = at.get(f"{record.id}/change/")
    assert "/end/" not in found.text
    assert "tea" not in found.text
    assert at.get(f"{record.id}/end/").status == 403
    assert "end_selected" not in at.get().text
