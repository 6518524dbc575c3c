"""Ends that others bring about: what is ended is over for every token, and who ends it is told how much that was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from tests.life.site import DAY, Site, id_of
from tests.web.browser import X_ID, X_OPT, X_PID, ApiClient, Browser
from typed_sessions import EndReason, live_sessions
from typed_sessions.backends.base import SessionStore
from typed_sessions.stores.record import GRACE, Tombstone
from typed_sessions.testing.engines import Clock, Configure

pytestmark = pytest.mark.django_db(transaction=True)

End = Callable[[Site, Browser], object]


def end(site: Site, browser: Browser) -> None:
    site.live.end(id_of(browser))


def end_for_user(site: Site, browser: Browser) -> None:
    site.live.end_for_user(site.user)


def end_all(site: Site, browser: Browser) -> None:
    site.live.end_all()


def sign_in_too_often(site: Site, browser: Browser) -> None:
    site.clock.advance(60)
    site.signed_in()


def reap(site: Site, browser: Browser) -> None:
    site.clock.advance(28 * DAY + GRACE + 1)
    site.reap()


@pytest.mark.parametrize("remember", [False, True])
@pytest.mark.parametrize("ends", [end, end_for_user, end_all, sign_in_too_often, reap])
def test_s57_no_token_is_good_again(site: Site, configure: Configure, ends: End, remember: bool) -> None:
    """Whatever has ended a session: its token opens nothing, by cookie or by header, now or later, and a request by
    header is refused.
    """
    configure(HEADERS=["/"], MAX_SESSIONS_PER_USER=1)
    browser = site.signed_in(remember=remember)
    shown = {X_OPT: "perm" if remember else "temp", X_PID if remember else X_ID: browser.token}
    assert ApiClient(browser.ask, dict(shown)).visit(site.views.look).text == "ada ['tea']"
    ends(site, browser)
    for _ in range(2):
        assert browser.copy().visit(site.views.look).text == "anonymous []"
        assert ApiClient(browser.ask, dict(shown)).visit(site.views.look).status == 401
        assert browser.copy().visit(site.views.put("cup")).text == "anonymous"
        site.clock.advance(3600)


def test_s61_number_is_what_was_ended(site: Site, engine: type[SessionStore], other_user: User) -> None:
    """Who ends sessions is told how many there were, of which each is over, and nothing if there was none."""
    assert (site.live.end_for_user(site.user), site.live.end_all()) == (0, 0)
    browsers = [site.signed_in() for _ in range(3)]
    theirs = [site.signed_in(other_user) for _ in range(2)]
    assert site.live.end(id_of(browsers[0])) is True
    for text in (id_of(browsers[0]), browsers[1].token, id_of(browsers[1])[:-1], "{lists}:samples"):
        assert site.live.end(text) is False
    assert live_sessions.count() == 4
    assert site.live.end_for_user(site.user) == 2
    assert (live_sessions.count_for(site.user), live_sessions.count_for(other_user)) == (0, 2)
    assert site.live.end_all() == 2
    for browser in browsers + theirs:
        assert isinstance(engine().store.load(id_of(browser)), Tombstone)


def test_s62_one_all_of_a_user_and_all(site: Site, other_user: User) -> None:
    """One session, those of a user, those but one, and everybody's can be ended, and others are left alone."""
    first, second, third = (site.signed_in() for _ in range(3))
    theirs, visitor = site.signed_in(other_user), site.visitor()
    site.live.end(id_of(first), EndReason.ENDED_BY_STAFF)
    assert [browser.visit(site.status).text for browser in (first, second)] == ["ended ended_by_staff", "live -"]
    site.live.end_for_user(site.user, keep=id_of(third))
    assert [browser.visit(site.status).text for browser in (second, third)] == ["ended ended_by_user", "live -"]
    site.live.end_for_user(site.user.pk)
    assert [browser.visit(site.status).text for browser in (third, theirs)] == ["ended ended_by_user", "live -"]
    site.live.end_all()
    assert {browser.visit(site.status).text for browser in (theirs, visitor)} == {"ended ended_by_staff"}


def test_s61_what_has_expired_does_not_count(site: Site, clock: Clock) -> None:
    """A session that is over by itself counts as none that somebody has ended."""
    browser = site.signed_in()
    clock.advance(14 * DAY)
    assert site.live.end(id_of(browser)) is False
    assert (site.live.end_for_user(site.user), site.live.end_all()) == (0, 0)
