"""`on_ended`: told once for every end of a stored session, with its last state and the reason, on every engine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest

from tests.life.conftest import few
from tests.life.ears import EVENTS, HOOK, SIGNAL, Ears, LifeSession
from tests.life.site import Site, id_of
from tests.web.browser import PID
from tests.web.stored import wipe
from typed_sessions import EndReason, live_sessions
from typed_sessions.backends.base import SessionStore
from typed_sessions.testing.engines import Configure, Verbs

pytestmark = pytest.mark.django_db(transaction=True)

Ends = list[tuple[str | None, EndReason]]
Way = Callable[[Site], Ends]
"""Ends sessions, and answers with those that are to be told, in their order."""


def sign_out(site: Site) -> Ends:
    browser = site.signed_in()
    ended = id_of(browser)
    browser.visit(site.views.sign_out)
    return [(ended, EndReason.LOGGED_OUT)]


def sign_out_by_django(site: Site) -> Ends:
    browser = site.signed_in(remember=True)
    ended = id_of(browser)
    browser.visit(site.sign_out_by_django)
    return [(ended, EndReason.LOGGED_OUT)]


def flush(site: Site) -> Ends:
    browser = site.visitor()
    ended = id_of(browser)
    browser.visit(site.engine_view("flush"))
    return [(ended, EndReason.LOGGED_OUT)]


def delete(site: Site) -> Ends:
    browser = site.visitor()
    ended = id_of(browser)
    browser.visit(site.engine_view("delete"))
    return [(ended, EndReason.LOGGED_OUT)]


def sign_out_with_both_cookies(site: Site) -> Ends:
    browser, other = site.signed_in(), site.signed_in(remember=True)
    both = browser.copy(ss_pid=other.cookies[PID])
    both.visit(site.views.sign_out)
    return [(id_of(browser), EndReason.LOGGED_OUT), (id_of(other), EndReason.LOGGED_OUT)]


def end(site: Site) -> Ends:
    browser = site.signed_in()
    assert site.live.end(id_of(browser)) is True
    return [(id_of(browser), EndReason.ENDED_BY_USER)]


def end_by_staff(site: Site) -> Ends:
    browser = site.visitor()
    assert site.live.end(id_of(browser), EndReason.ENDED_BY_STAFF) is True
    return [(id_of(browser), EndReason.ENDED_BY_STAFF)]


def end_others(site: Site) -> Ends:
    kept, *others = (site.signed_in() for _ in range(3))
    assert site.live.end_for_user(site.user, keep=id_of(kept)) == 2
    return [(id_of(browser), EndReason.ENDED_BY_USER) for browser in others]


def end_all(site: Site) -> Ends:
    browsers = [site.signed_in(), site.visitor(), site.signed_in(remember=True)]
    assert site.live.end_all() == 3
    return [(id_of(browser), EndReason.ENDED_BY_STAFF) for browser in browsers]


def change_password(site: Site) -> Ends:
    browser, other = site.signed_in(), site.signed_in(remember=True)
    ends: Ends = [(id_of(browser), EndReason.ROTATED), (id_of(other), EndReason.PASSWORD_CHANGED)]
    browser.visit(site.views.change_password)
    other.visit(site.views.look)
    assert browser.visit(site.views.look).text == "ada ['tea']"
    return ends


def deactivate(site: Site) -> Ends:
    browsers = [site.signed_in(), site.signed_in(remember=True)]
    site.user.is_active = False
    site.user.save()
    return [(id_of(browser), EndReason.USER_INACTIVE) for browser in browsers]


def deactivate_past_signals(site: Site) -> Ends:
    browser = site.signed_in()
    ended = id_of(browser)
    User.objects.update(is_active=False)
    browser.visit(site.views.look)
    return [(ended, EndReason.USER_INACTIVE)]


def delete_account(site: Site) -> Ends:
    browser = site.signed_in()
    site.user.delete()
    return [(id_of(browser), EndReason.USER_INACTIVE)]


def rotate(site: Site) -> Ends:
    browser = site.signed_in()
    ended = id_of(browser)
    browser.visit(site.views.rotate)
    return [(ended, EndReason.ROTATED)]


def sign_in(site: Site) -> Ends:
    browser = site.visitor()
    ended = id_of(browser)
    browser.visit(site.views.sign_in(site.user, remember=True))
    return [(ended, EndReason.ROTATED)]


def sign_in_again(site: Site) -> Ends:
    browser = site.signed_in()
    ended = id_of(browser)
    browser.visit(site.views.sign_in(site.user))
    return [(ended, EndReason.ROTATED)]


def sign_in_with_both_cookies(site: Site) -> Ends:
    browser, other = site.signed_in(), site.signed_in(remember=True)
    both = browser.copy(ss_pid=other.cookies[PID])
    both.visit(site.views.sign_in(site.user))
    return [(id_of(other), EndReason.ROTATED), (id_of(browser), EndReason.ROTATED)]


def sign_in_of_another(site: Site) -> Ends:
    browser = site.signed_in()
    ended = id_of(browser)
    another = User.objects.create_user("grace")
    browser.visit(site.views.sign_in(another))
    return [(ended, EndReason.LOGGED_OUT)]


WAYS: list[Way] = [
    sign_out,
    sign_out_by_django,
    flush,
    delete,
    sign_out_with_both_cookies,
    end,
    end_by_staff,
    end_others,
    end_all,
    change_password,
    deactivate,
    deactivate_past_signals,
    delete_account,
    rotate,
    sign_in,
    sign_in_again,
    sign_in_with_both_cookies,
    sign_in_of_another,
]


@pytest.mark.parametrize("end", WAYS)
def test_every_end_is_told_once(site: Site, ears: Ears, end: Way) -> None:
    """Whatever ends a session: its class is told, then the events class, then the receivers; once each, of each
    session that has ended, and of no other.
    """
    ends = end(site)
    assert sorted(ears.ends()) == sorted(ends)


@few
@pytest.mark.parametrize("end", WAYS)
def test_last_state_is_told(site: Site, ears: Ears, end: Way) -> None:
    """Who is told of an end finds in the session what was last stored in it, and whose it was."""
    ends = end(site)
    told = ears.take()
    assert len(told) == 3 * len(ends)
    for one in told:
        assert one.cart == ("tea",)
        assert one.name == ("ada" if end not in (flush, delete, end_by_staff, sign_in, end_all) else one.name)


@few
def test_change_in_the_last_request_is_not_told(site: Site, ears: Ears) -> None:
    """What a request has changed and not stored, before it ends the session, is no part of the last state."""
    browser = site.signed_in()

    def view(request: Any) -> None:
        request.typed_session.currency = "USD"
        request.session.flush()

    browser.visit(site.doing(view))
    assert [one.cart for one in ears.take()] == [("tea",)] * 3


@few
@pytest.mark.parametrize(
    ("end", "has_request", "has_user"),
    [
        (sign_out, True, True),
        (sign_out_by_django, True, True),
        (flush, True, False),
        (rotate, True, True),
        (sign_in, True, False),
        (deactivate_past_signals, True, True),
        (end, False, True),
        (end_by_staff, False, False),
        (deactivate, False, True),
    ],
)
def test_request_and_user(site: Site, ears: Ears, end: Way, has_request: bool, has_user: bool) -> None:
    """The signal has the request in which it happened, and whose session it was, or `None` where there is none."""
    end(site)
    for request, user in ears.heard:
        assert isinstance(request, HttpRequest) if has_request else request is None
        assert (user.pk if user else None) == (site.user.pk if has_user else None)


@few
def test_user_who_is_deleted(site: Site, ears: Ears) -> None:
    """Of an account that is no more there is nobody to tell, and the session still says whose it was."""
    delete_account(site)
    [heard] = ears.heard
    assert heard.user is None
    assert {one.name for one in ears.take()} == {"ada"}


@pytest.mark.parametrize("act", ["flush", "delete"])
def test_twice_in_one_request(site: Site, ears: Ears, act: str) -> None:
    """A request that ends its session again and again ends it once."""
    browser = site.signed_in()
    ended = id_of(browser)

    def view(request: Any) -> None:
        for _ in range(2):
            getattr(request.session, act)()

    browser.visit(site.doing(view))
    assert ears.ends() == [(ended, EndReason.LOGGED_OUT)]


def test_ended_already(site: Site, ears: Ears) -> None:
    """What has ended does not end again: not by its visitor, not by a copy of its cookies, not from outside."""
    browser = site.signed_in()
    ended, copies = id_of(browser), [browser.copy() for _ in range(3)]
    browser.visit(site.views.sign_out)
    for copy in copies:
        copy.visit(site.views.sign_out)
    assert site.live.end(ended) is False
    assert site.live.end_for_user(site.user) == 0
    assert site.live.end_all() == 0
    assert ears.ends() == [(ended, EndReason.LOGGED_OUT)]


@few
def test_never_stored(site: Site, ears: Ears, new_browser: Callable[[], Any]) -> None:
    """A session that nobody was told of when it began is not told of when it is given up."""
    browser = new_browser()
    browser.visit(site.engine_view("flush"))

    def view(request: Any) -> None:
        request.typed_session.currency = "USD"
        request.session.cycle_key()
        request.session.flush()

    browser.visit(site.doing(view))
    browser.visit(site.views.sign_out)
    assert site.live.end("0" * 40) is False
    assert ears.take() == []


@few
def test_sign_in_and_out_in_one_request(site: Site, ears: Ears, user: User) -> None:
    """Of a visitor who signs in and out in one request only the session that was stored has ended, and once."""
    from typed_sessions.auth import login, logout

    browser = site.visitor()
    ended = id_of(browser)

    def view(request: Any) -> None:
        login(request, user)
        logout(request)

    browser.visit(site.doing(view))
    assert ears.ends() == [(ended, EndReason.LOGGED_OUT)]


@few
def test_lost_session(site: Site, ears: Ears, engine: type[SessionStore]) -> None:
    """What the store has lost has no last state, and its end is not told."""
    browser = site.signed_in()
    wipe(engine)
    browser.visit(site.views.sign_out)
    assert ears.take() == []


def test_ended_by_another_meanwhile(site: Site, ears: Ears, verbs: Verbs) -> None:
    """Whose session is ended while the request runs is told of no second end."""
    browser = site.signed_in()
    ended = id_of(browser)
    verbs.before("end", lambda: site.live.end(ended, EndReason.ENDED_BY_STAFF))
    browser.visit(site.views.sign_out)
    assert ears.ends() == [(ended, EndReason.ENDED_BY_STAFF)]


# Listeners that raise


@few
@pytest.mark.parametrize("by", [HOOK, EVENTS, SIGNAL])
@pytest.mark.parametrize("end", WAYS)
def test_s92_listener_that_raises(site: Site, ears: Ears, by: str, end: Way, caplog: pytest.LogCaptureFixture) -> None:
    """An error in a listener is logged, and neither stops the end nor keeps it from the other listeners."""

    def fail() -> None:
        raise OSError("the mail server is down")

    ears.when(by, fail)
    with caplog.at_level(logging.ERROR):
        ends = end(site)
    assert sorted(ears.ends()) == sorted(ends)
    assert [record for record in caplog.records if "mail server" in str(record.exc_info and record.exc_info[1])]
    assert all(site.live.get(session_id) is None for session_id, _ in ends)


@few
def test_listener_that_asks(site: Site, ears: Ears) -> None:
    """When an end is told, the session has ended: a listener who looks for it finds nothing."""
    browser = site.signed_in()
    ended = id_of(browser)
    found: list[Any] = []
    ears.when(SIGNAL, lambda: found.extend([live_sessions.get(ended), live_sessions.count_for(site.user)]))
    browser.visit(site.views.sign_out)
    assert found == [None, 0]


@few
def test_session_of_a_former_class(site: Site, ears: Ears, configure: Configure) -> None:
    """What is told is of the class that the project has now."""
    browser = site.signed_in()
    configure(SESSION_CLASS=f"{__name__}.RenamedSession")
    site.live.end(id_of(browser))
    assert [one.by for one in ears.take()] == [HOOK, EVENTS, SIGNAL]


@dataclass
class RenamedSession(LifeSession):
    schema_name = "LifeSession"
