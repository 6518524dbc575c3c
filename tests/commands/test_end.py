"""`typed_sessions end`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.commands.conftest import UNKNOWN, Run, Terminal, damage, id_of
from tests.engines.rows import UseEngine
from tests.web.browser import Browser
from tests.web.signing import status
from typed_sessions import EndReason, live_sessions, tokens
from typed_sessions.backends.base import SessionStore
from typed_sessions.live import LiveSessions
from typed_sessions.signals import on_ended
from typed_sessions.testing.engines import Clock
from typed_sessions.testing.stores import new_record

pytestmark = pytest.mark.usefixtures("engine")
few = pytest.mark.parametrize("engine", ["db", "redis"], indirect=True)


def test_s62_one(run: Run, signed_in: Callable[..., Browser], user: User) -> None:
    """A session ends at once, as ended by staff, and its visitor and whoever listens are told."""
    browser, other = signed_in(user), signed_in(user)
    heard: list[Any] = []

    def listen(session: Any, reason: EndReason, **_: object) -> None:
        heard.append((session.id, reason))

    on_ended.connect(listen)
    try:
        said = run("end", id_of(browser))
    finally:
        on_ended.disconnect(listen)
    assert (said.code, said.out, said.err) == (0, "1 session ended.\n", "")
    assert heard == [(id_of(browser), EndReason.ENDED_BY_STAFF)]
    assert browser.visit(status).text == "ended ended_by_staff"
    assert other.visit(status).text == "live -"


def test_several(run: Run, signed_in: Callable[..., Browser], user: User) -> None:
    """Several ids end several sessions, and one that is given twice counts once."""
    browsers = [signed_in(user) for _ in range(3)]
    ids = [id_of(browser) for browser in browsers]
    said = run("end", ids[0], tokens.urn(ids[1]), ids[0], "--json")
    assert (said.code, said.json) == (0, {"ended": 2, "left": 0})
    assert [browser.visit(status).text for browser in browsers] == ["ended ended_by_staff"] * 2 + ["live -"]


def test_s61_nothing_to_end(run: Run, signed_in: Callable[..., Browser], user: User) -> None:
    """That nothing was ended is an error, of one id among several too."""
    browser = signed_in(user)
    said = run("end", UNKNOWN)
    assert (said.code, said.out) == (1, "")
    assert "There was nothing to end." not in said.err
    assert "1 of the sessions that were to end are still there, or were not there to end." in said.err
    said = run("end", id_of(browser), UNKNOWN)
    assert (said.code, said.out) == (1, "1 session ended.\n")
    assert run("end", id_of(browser)).code == 1
    said = run("end", "--user", "ada", "--json")
    assert (said.code, said.json, said.err) == (1, {"ended": 0, "left": 0}, "There was nothing to end.")
    assert run("end", "--all", "--yes").code == 1


@few
def test_s61_forced_miss(
    run: Run, signed_in: Callable[..., Browser], user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a session is still there afterwards, that is an error, whatever ending it has answered."""
    browser = signed_in(user)
    monkeypatch.setattr(LiveSessions, "end", lambda *args, **kwargs: True)
    monkeypatch.setattr(LiveSessions, "end_for_user", lambda *args, **kwargs: 1)
    monkeypatch.setattr(LiveSessions, "end_all", lambda *args, **kwargs: 1)
    for arguments in ([id_of(browser)], ["--user", "ada"], ["--all", "--yes"]):
        said = run("end", *arguments, "--json")
        assert said.code == 1
        assert said.json["left"] == 1
        assert "still there" in said.err


def test_s62_of_a_user(
    run: Run, signed_in: Callable[..., Browser], user: User, other_user: User, engine: type[SessionStore]
) -> None:
    """All sessions of a user end, by name or key, and those of others stay."""
    browsers, other = [signed_in(user), signed_in(user, remember=True)], signed_in(other_user)
    said = run("end", "--user", "ada")
    assert (said.code, said.out) == (0, "2 sessions ended.\n")
    assert [browser.visit(status).text for browser in browsers] == ["ended ended_by_staff"] * 2
    assert other.visit(status).text == "live -"
    assert run("end", "--user", other_user.pk, "--json").json == {"ended": 1, "left": 0}


def test_of_a_user_but_one(run: Run, signed_in: Callable[..., Browser], user: User, other_user: User) -> None:
    """`--keep` is the session that stays; if it is none of that user's, none ends."""
    first, kept, other = signed_in(user), signed_in(user), signed_in(other_user)
    for wrong in (UNKNOWN, id_of(other)):
        said = run("end", "--user", "ada", "--keep", wrong)
        assert said.code == 1
        assert "None was ended" in said.err
    assert first.visit(status).text == "live -"
    said = run("end", "--user", "ada", "--keep", tokens.urn(id_of(kept)))
    assert (said.code, said.out) == (0, "1 session ended.\n")
    assert first.visit(status).text == "ended ended_by_staff"
    assert kept.visit(status).text == "live -"


def test_s62_all(run: Run, visitor: Callable[[], Browser], signed_in: Callable[..., Browser], user: User) -> None:
    """Everybody's sessions end, and one that begins later does not count as left."""
    browsers = [visitor(), signed_in(user)]
    said = run("end", "--all", "--yes", "-v", "2")
    assert (said.code, said.out) == (0, "2 sessions ended.\n")
    assert "2 sessions ended" in said.err
    assert {browser.visit(status).text for browser in browsers} == {"ended ended_by_staff"}
    assert live_sessions.count() == 0


def test_r19_old_backup(run: Run, visitor: Callable[[], Browser], clock: Clock, settings: Any) -> None:
    """`--before` ends what began before the backup was restored, and leaves who has come since."""
    settings.TIME_ZONE = "Asia/Tokyo"
    old = [visitor(), visitor()]
    clock.advance(1)
    restored = datetime.fromtimestamp(clock.now, tz=timezone.utc)
    new = visitor()
    naive = datetime(2026, 1, 1).isoformat()
    assert run("end", "--all", "--yes", "--before", naive).code == 1
    said = run("end", "--all", "--yes", "--before", restored.isoformat().replace("+00:00", "Z"), "--json")
    assert (said.code, said.json) == (0, {"ended": 2, "left": 0})
    assert {browser.visit(status).text for browser in old} == {"ended ended_by_staff"}
    assert new.visit(status).text == "live -"


@few
@pytest.mark.parametrize(("answer", "ends"), [("yes", True), ("YES ", True), ("y", False), ("", False)])
def test_asking(
    run: Run, visitor: Callable[[], Browser], monkeypatch: pytest.MonkeyPatch, answer: str, ends: bool
) -> None:
    """Somebody at a terminal is asked, with the number of those it concerns, and only a whole yes is one."""
    browser, asked = visitor(), []
    monkeypatch.setattr("sys.stdin", Terminal())

    def ask(question: str) -> str:
        asked.append(question)
        return answer

    monkeypatch.setattr("builtins.input", ask)
    said = run("end", "--all")
    assert said.code == (0 if ends else 2)
    assert (browser.visit(status).text == "live -") is not ends
    assert asked[0].startswith("All sessions (1 now) will end")


@few
def test_nobody_to_ask(run: Run, visitor: Callable[[], Browser]) -> None:
    """Without a terminal and without --yes nothing ends."""
    browser = visitor()
    said = run("end", "--all", "--before", "2030-01-01T00:00:00Z")
    assert said.code == 2
    assert "--yes" in said.err
    assert browser.visit(status).text == "live -"


@few
@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--all", "--yes", UNKNOWN],
        ["--all", "--yes", "--user", "ada"],
        ["--user", "ada", UNKNOWN],
        ["--keep", UNKNOWN, UNKNOWN],
        ["--before", "2026-01-01T00:00:00Z", UNKNOWN],
        ["x"],
    ],
    ids=" ".join,
)
def test_questions_without_sense(run: Run, arguments: list[str], visitor: Callable[[], Browser]) -> None:
    """What is said too much or too little is refused, and nothing ends."""
    browser = visitor()
    said = run("end", *arguments)
    assert (said.code, said.out) == (2, "")
    assert browser.visit(status).text == "live -"


@few
def test_no_instant(run: Run) -> None:
    """What is no instant is refused with an example of one."""
    assert "is no instant such as" in run("end", "--all", "--yes", "--before", "yesterday").err


@few
def test_damaged(run: Run, engine: type[SessionStore]) -> None:
    """A record that nobody can read can be ended too."""
    store = engine().store
    record = new_record(store)
    store.create(record)
    damage(engine, record.id)
    assert run("end", record.id).out == "1 session ended.\n"
    assert run("end", record.id).code == 1


def test_engine_that_cannot_list(run: Run, use_engine: UseEngine, db: None) -> None:
    """One session can be ended by its id on every engine."""
    engine = use_engine("cache")
    store = engine().store
    record = new_record(store)
    store.create(record)
    assert run("end", record.id).code == 0
    assert run("show", record.id, "--json").json["reason"] == "ended_by_staff"
