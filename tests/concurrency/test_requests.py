"""Whole requests that meet at one session: signing in and out, new tokens and new passwords (the table in
docs/concurrency.rst).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from tests.concurrency.interleavings import Race
from tests.concurrency.site import SignIn, Views, seen
from tests.concurrency.stored import found
from tests.web.browser import ID, PID, Answer, Browser
from typed_sessions import EndReason, conf
from typed_sessions.backends.base import SessionStore
from typed_sessions.stores.record import Tombstone
from typed_sessions.testing.engines import Clock

pytestmark = pytest.mark.django_db(transaction=True)


def tab(browser: Browser) -> Browser:
    """Another tab, whose request is under way while the browser gets other cookies."""
    return browser.copy()


def is_over(engine: type[SessionStore], token: str, reason: EndReason) -> bool:
    there = found(engine, token)
    return isinstance(there, Tombstone) and there.reason is reason


def refused(answer: Answer) -> bool:
    """Whether a request was told that its session had ended, and nothing else."""
    assert answer.status in (200, 400)
    if answer.status == 200:
        return False
    assert answer.ours == {}
    return True


def test_r28_two_sign_ins_of_one_visitor(
    race: Race, engine: type[SessionStore], new_browser: Callable[[], Browser], views: Views, user: User, time: Clock
) -> None:
    """Both succeed with a session each; the cart goes along into both, or into the first alone."""
    grace = User.objects.create_user("grace")
    put = views.put("book")
    enter = {"ada": views.sign_in(user), "grace": views.sign_in(grace)}
    for round in race:
        browser = new_browser()
        browser.visit(put)
        tabs = {name: tab(browser) for name in enter}
        done = round.run(
            ada=lambda t=tabs: t["ada"].visit(enter["ada"]),  # type: ignore[misc]
            grace=lambda t=tabs: t["grace"].visit(enter["grace"]),  # type: ignore[misc]
        )
        assert [outcome.value.status for outcome in done.values()] == [200, 200]
        sights = [seen(engine, tabs[name]) for name in tabs]
        assert len({browser.token, *(one.token for one in tabs.values())}) == 3
        assert is_over(engine, browser.token, EndReason.ROTATED)
        round.count(" ".join(sights))
    assert set(race.outcomes) == {
        "ada ['book'] grace ['book']",
        "ada [] grace ['book']",
        "ada ['book'] grace []",
    }
    assert engine().store.count(time.now) == 2 * race.rounds


def test_sign_in_against_a_slow_write(
    race: Race, engine: type[SessionStore], new_browser: Callable[[], Browser], views: Views, user: User, time: Clock
) -> None:
    """What was saved before the sign-in goes along; what comes later is a 400 that touches no cookie, whether it had
    loaded before or after.
    """
    enter, put, late = views.sign_in(user), views.put("book"), views.put("late")
    for round in race:
        browser = new_browser()
        browser.visit(put)
        token, other = browser.token, tab(browser)
        done = round.run(
            visitor=lambda b=browser: b.visit(enter),  # type: ignore[misc]
            writer=lambda o=other: o.visit(late),  # type: ignore[misc]
        )
        assert done["visitor"].value.status == 200
        is_refused = refused(done["writer"].value)
        assert seen(engine, browser) == ("ada ['book']" if is_refused else "ada ['book', 'late']")
        assert other.token == token
        assert is_over(engine, token, EndReason.ROTATED)
        round.count("refused" if is_refused else "saved")
    assert set(race.outcomes) == {"refused", "saved"}
    assert engine().store.count(time.now) == race.rounds


def test_r22_sign_out_against_a_slow_write(
    race: Race, engine: type[SessionStore], signed_in: SignIn, views: Views, user: User
) -> None:
    """The session is over; a write has come before, or is a 400 that touches no cookie, or has found the session ended
    and begun another one, of nobody.
    """
    leave, late = views.sign_out, views.put("late")
    for round in race:
        browser = signed_in()
        token, other = browser.token, tab(browser)
        done = round.run(
            visitor=lambda b=browser: b.visit(leave),  # type: ignore[misc]
            writer=lambda o=other: o.visit(late),  # type: ignore[misc]
        )
        assert done["visitor"].value.status == 200
        assert ID not in browser.cookies
        assert is_over(engine, token, EndReason.LOGGED_OUT)
        if refused(done["writer"].value):
            round.count("refused")
        elif other.token == token:
            assert done["writer"].value.text == "ada"
            round.count("saved")
        else:
            assert done["writer"].value.text == "anonymous"
            assert seen(engine, other) == "anonymous ['late']"
            round.count("begun anew")
    assert set(race.outcomes) == {"refused", "saved", "begun anew"}


def test_r23_sign_out_against_a_slow_touch(
    race: Race, engine: type[SessionStore], signed_in: SignIn, views: Views, user: User, time: Clock
) -> None:
    """Who only reads is answered as ever; the session stays over, and its cookie is set again by nobody who touched it
    after the end.
    """
    leave, look = views.sign_out, views.look
    for round in race:
        browser = signed_in(remember=True)
        token, other = browser.token, tab(browser)
        time.advance(conf.settings().touch_interval)
        done = round.run(
            visitor=lambda b=browser: b.visit(leave),  # type: ignore[misc]
            reader=lambda o=other: o.visit(look),  # type: ignore[misc]
        )
        assert [outcome.value.status for outcome in done.values()] == [200, 200]
        assert is_over(engine, token, EndReason.LOGGED_OUT)
        assert PID not in browser.cookies
        answer = done["reader"].value
        assert answer.text == ("ada []" if answer.text.startswith("ada") else "anonymous []")
        was_first = any(step.split()[0] == "visitor" for step in round.trace[-2:])
        if answer.ours.get(PID):  # it slid before the end
            assert answer.ours[PID] == token and was_first
        round.count(f"{answer.text.split()[0]} {'slid' if answer.ours.get(PID) else 'did not slide'}")
    assert set(race.outcomes) == {"ada slid", "ada did not slide", "anonymous did not slide"}
    assert engine().store.count(time.now) == 0


@pytest.mark.parametrize("does", ["reads", "writes"])
def test_r27_new_token_against_another_tab(
    race: Race,
    engine: type[SessionStore],
    signed_in: SignIn,
    views: Views,
    user: User,
    time: Clock,
    does: str,
) -> None:
    """There is one live session, under the new token, in whatever order the answers arrive. The other tab has come
    before; or it is a visitor's for this once, and touches no cookie, and what it writes is a 400.
    """
    rotate, act = views.rotate, views.put("late") if does == "writes" else views.look
    for round in race:
        browser = signed_in()
        token, other = browser.token, tab(browser)
        done = round.run(
            rotator=lambda b=browser: b.visit(rotate),  # type: ignore[misc]
            tab=lambda o=other: o.visit(act),  # type: ignore[misc]
        )
        assert done["rotator"].value.status == 200
        answer = done["tab"].value
        is_refused = refused(answer)
        assert answer.ours == {}
        assert is_over(engine, token, EndReason.ROTATED)
        written = does == "writes" and not is_refused
        browser.keep(answer)
        assert seen(engine, browser) == f"ada {['late'] if written else []}"
        round.count("refused" if is_refused else answer.text)
    assert set(race.outcomes) == ({"ada", "refused"} if does == "writes" else {"ada []", "anonymous []"})
    assert engine().store.count(time.now) == race.rounds


def test_new_password_against_a_slow_write(
    race: Race, engine: type[SessionStore], signed_in: SignIn, views: Views, user: User, time: Clock
) -> None:
    """Who changes the password stays signed in under a new token, with what was saved in time. A late write is a 400;
    and who loads the session when the password is another and the token is not yet, is signed out of it.
    """
    change, late = views.change_password, views.put("late")
    for round in race:
        User.objects.filter(pk=user.pk).update(password=user.password)
        browser = signed_in()
        token, other = browser.token, tab(browser)
        done = round.run(
            visitor=lambda b=browser: b.visit(change),  # type: ignore[misc]
            writer=lambda o=other: o.visit(late),  # type: ignore[misc]
        )
        assert done["visitor"].value.status == 200, round.trace
        assert token != browser.token
        assert isinstance(found(engine, token), Tombstone)
        if refused(done["writer"].value):
            outcome = "refused"
        else:
            outcome = "saved" if done["writer"].value.text == "ada" else "signed out"
        assert seen(engine, browser) == ("ada ['late']" if outcome == "saved" else "ada []")
        round.count(outcome)
    assert set(race.outcomes) == {"refused", "saved", "signed out"}
