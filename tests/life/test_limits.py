"""`MAX_SESSIONS_PER_USER`: exactly as many sessions as are allowed, however many sign in at a time."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as django_settings
from django.contrib import auth
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.urls import path

from tests.concurrency_crowds.crowds import at_once
from tests.life.conftest import few, on
from tests.life.ears import Ears
from tests.life.site import DAY, Site, id_of
from tests.web.browser import ID, PID, Browser
from tests.web.conftest import PASSWORD
from tests.web.stored import raw_records
from tests.web.urls import urlpatterns as pages
from typed_sessions import EndReason, live_sessions
from typed_sessions.auth import login
from typed_sessions.backends.base import SessionStore
from typed_sessions.exceptions import SignInRefused, StoreUnavailable
from typed_sessions.forms import SignInForm
from typed_sessions.testing.engines import Clock, Configure, Verbs

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db(transaction=True)

CROWD, CAP = 20, 3
OVER = EndReason.OVER_LIMIT


@pytest.fixture
def end_oldest(configure: Configure, ears: Ears) -> None:
    configure(MAX_SESSIONS_PER_USER=CAP)


@pytest.fixture
def refuse(configure: Configure, ears: Ears) -> None:
    configure(MAX_SESSIONS_PER_USER=CAP, ON_LIMIT="refuse")


def live_ids(site: Site) -> set[str]:
    return {session.id for session in live_sessions.for_user(site.user)}


def sign_in(site: Site, browser: Browser, remember: bool = False) -> int:
    return browser.visit(site.views.sign_in(site.user, remember)).status


# The oldest sign-in ends


@pytest.mark.usefixtures("end_oldest")
def test_s63_oldest_sign_in_ends(site: Site, ears: Ears, clock: Clock, other_user: User) -> None:
    """Who signs in once too often stays, whose sign-in is the longest ago does not, and that browser is told why."""
    site.signed_in(other_user)
    browsers = []
    for number in range(CAP + 2):
        clock.advance(60)
        browsers.append(site.signed_in(remember=number % 2 == 0))
    assert live_ids(site) == {id_of(browser) for browser in browsers[2:]}
    assert ears.ends() == [(id_of(browser), OVER) for browser in browsers[:2]]
    assert [browser.visit(site.status).text for browser in browsers] == ["ended over_limit"] * 2 + ["live -"] * CAP
    assert live_sessions.count_for(other_user) == 1


@pytest.mark.usefixtures("end_oldest")
def test_s63_within_one_second(site: Site, ears: Ears) -> None:
    """Of sign-ins in one second it is known which came first, and the newest stay."""
    browsers = [site.signed_in() for _ in range(2 * CAP)]
    assert live_ids(site) == {id_of(browser) for browser in browsers[-CAP:]}
    assert ears.ends() == [(id_of(browser), OVER) for browser in browsers[:-CAP]]


@pytest.mark.usefixtures("end_oldest")
def test_s63_twenty_at_once(site: Site, ears: Ears) -> None:
    """Of twenty sign-ins at a time exactly three are live in the end, and seventeen are told of as over the limit."""
    browsers = [site.new_browser() for _ in range(CROWD)]
    assert at_once([partial(sign_in, site, browser) for browser in browsers]) == [200] * CROWD
    live = live_ids(site)
    assert len(live) == CAP
    ended = {id_of(browser) for browser in browsers} - live
    assert ears.counted() == Counter({(session_id, OVER): 1 for session_id in ended})
    assert Counter(browser.visit(site.status).text for browser in browsers) == {"live -": 3, "ended over_limit": 17}


@few
@pytest.mark.usefixtures("end_oldest")
def test_the_sign_in_counts_not_the_use(site: Site, clock: Clock) -> None:
    """A session that is used, saved or rotated does not get younger by it, and one that signs in again does."""
    first, second, third = (site.signed_in() for _ in range(CAP))
    clock.advance(3600)
    first.visit(site.views.put("cup"))
    first.visit(site.views.rotate)
    second.visit(site.views.sign_in(site.user))
    fourth = site.signed_in()
    assert live_ids(site) == {id_of(browser) for browser in (second, third, fourth)}


@few
@pytest.mark.usefixtures("end_oldest")
def test_what_does_not_count(site: Site, ears: Ears, clock: Clock, configure: Configure) -> None:
    """Sessions that have expired, those of visitors and those that were replaced take nobody's place."""
    configure(PERM_EXPIRY=timedelta(days=365))
    long = site.signed_in(remember=True)
    for _ in range(CAP - 1):
        site.signed_in()
    clock.advance(15 * DAY)
    site.visitor()
    browser = site.signed_in()
    for _ in range(CAP + 1):
        browser.visit(site.views.sign_in(site.user))
    assert live_ids(site) == {id_of(long), id_of(browser)}
    assert OVER not in {reason for _, reason in ears.ends()}


@few
@pytest.mark.usefixtures("end_oldest")
def test_limit_that_is_lowered(site: Site, ears: Ears, configure: Configure) -> None:
    """A lower limit holds from the next sign-in on, and none lets everybody stay."""
    browsers = [site.signed_in() for _ in range(CAP)]
    configure(MAX_SESSIONS_PER_USER=1)
    assert live_sessions.count_for(site.user) == CAP
    newest = site.signed_in()
    assert live_ids(site) == {id_of(newest)}
    assert ears.ends() == [(id_of(browser), OVER) for browser in browsers]
    configure(MAX_SESSIONS_PER_USER=None)
    assert live_sessions.count_for(site.user) == 1
    for _ in range(5):
        site.signed_in()
    assert live_sessions.count_for(site.user) == 6


@pytest.mark.usefixtures("end_oldest")
def test_session_that_ends_by_itself_meanwhile(site: Site, ears: Ears, verbs: Verbs) -> None:
    """What its visitor ends while a sign-in makes room has not ended for the limit."""
    first, *_ = (site.signed_in() for _ in range(CAP))
    ended = id_of(first)
    verbs.before("load_many", lambda: live_sessions.end(ended))
    newest = site.signed_in()
    assert id_of(newest) in live_ids(site)
    assert ears.ends() == [(ended, EndReason.ENDED_BY_USER)]


# The sign-in is refused


@pytest.mark.usefixtures("refuse")
def test_s63_sign_in_is_refused(site: Site, ears: Ears, engine: type[SessionStore]) -> None:
    """Who signs in once too often is refused, with what was there before as it was; when another has left, not."""
    browsers = [site.signed_in(remember=number == 1) for number in range(CAP)]
    late = site.visitor()
    cookies, stored = dict(late.cookies), raw_records(engine)
    for remember in (False, True):
        assert sign_in(site, late, remember) == 403
    assert (late.cookies, len(raw_records(engine))) == (cookies, len(stored))
    assert late.visit(site.views.look).text == "anonymous ['tea']"
    assert live_ids(site) == {id_of(browser) for browser in browsers}
    assert ears.take() == []
    browsers[0].visit(site.views.sign_out)
    assert sign_in(site, late) == 200
    assert late.visit(site.views.look).text == "ada ['tea']"


@pytest.mark.usefixtures("refuse")
def test_s63_twenty_refused(site: Site, ears: Ears, engine: type[SessionStore]) -> None:
    """Of twenty sign-ins at a time exactly three succeed, and nothing is stored of the others."""
    browsers = [site.new_browser() for _ in range(CROWD)]
    answers = at_once([partial(sign_in, site, browser) for browser in browsers])
    assert Counter(answers) == {200: CAP, 403: CROWD - CAP}
    succeeded = {id_of(browser) for browser, status in zip(browsers, answers, strict=True) if status == 200}
    assert live_ids(site) == succeeded
    assert engine().store.count(site.clock()) == CAP
    assert ears.take() == []
    assert all(
        not browser.cookies.keys() & {ID, PID}
        for browser, status in zip(browsers, answers, strict=True)
        if status == 403
    )
    browsers[answers.index(200)].visit(site.views.sign_out)
    assert sign_in(site, site.new_browser()) == 200
    assert sign_in(site, site.new_browser()) == 403


@few
@pytest.mark.usefixtures("refuse")
def test_own_session_is_replaced(site: Site, configure: Configure) -> None:
    """Who signs in again where they are signed in already needs no second place: neither with the other lifetime."""
    configure(MAX_SESSIONS_PER_USER=1)
    browser = site.signed_in()
    for remember in (False, True, True, False):
        assert sign_in(site, browser, remember) == 200
    assert live_ids(site) == {id_of(browser)}
    assert sign_in(site, site.new_browser()) == 403


@few
@pytest.mark.usefixtures("refuse")
def test_expired_sessions_take_no_place(site: Site, clock: Clock) -> None:
    """A session that is over has left, before any reaper has been there."""
    for _ in range(CAP):
        site.signed_in()
    clock.advance(14 * DAY)
    assert sign_in(site, site.new_browser()) == 200


@on("db-sync", "redis-sync")
@pytest.mark.usefixtures("refuse")
def test_refusal_is_an_exception(site: Site) -> None:
    """`login` raises `SignInRefused` with words for people, and the view may go on without."""
    for _ in range(CAP):
        site.signed_in()
    caught: list[SignInRefused] = []

    def view(request: Any) -> str:
        with pytest.raises(SignInRefused) as raised:
            login(request, site.user)
        caught.append(raised.value)
        request.typed_session.currency = "USD"
        return f"{request.user.is_anonymous} {request.typed_session.is_authenticated}"

    browser = site.new_browser()
    assert browser.visit(view).text == "True False"
    assert "3 times" in str(caught[0].reason)
    assert browser.visit(lambda request: request.typed_session.currency).text == "USD"


@on("db-sync", "redis-sync")
@pytest.mark.usefixtures("refuse")
def test_refusal_by_djangos_login(site: Site, ears: Ears) -> None:
    """Django's own `login`, which asks nobody first, signs nobody in either."""
    for _ in range(CAP):
        site.signed_in()

    def view(request: Any) -> None:
        auth.login(request, site.user, "typed_sessions.auth.TypedSessionBackend")

    browser = site.new_browser()
    assert browser.visit(view).status == 403
    assert browser.visit(site.views.look).text == "anonymous []"
    assert live_sessions.count_for(site.user) == CAP
    assert ears.take() == []


urlpatterns = [path("form/", LoginView.as_view(authentication_form=SignInForm)), *pages]


@few
@pytest.mark.usefixtures("refuse")
@pytest.mark.parametrize("page", ["/form/", "/accounts/login/"])
def test_form_says_why(site: Site, page: str, settings: Settings, tmp_path: Path) -> None:
    """The form shows the reason to whoever has given the right password, and nothing of it to anybody else."""
    settings.ROOT_URLCONF = __name__
    settings.TEMPLATES = [{**django_settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    (tmp_path / "registration").mkdir()
    (tmp_path / "registration/login.html").write_text("{% csrf_token %}{{ form.errors }}")
    for _ in range(CAP):
        site.signed_in()
    browser = site.new_browser()
    browser.get(page)
    answer = browser.post(page, username="ada", password=PASSWORD)
    assert answer.status == 200
    if page == "/form/":
        assert "You are signed in 3 times already" in answer.text
    assert "3 times" not in browser.post(page, username="ada", password="wrong").text
    assert live_sessions.count_for(site.user) == CAP


@few
@pytest.mark.usefixtures("refuse")
def test_session_of_the_other_cookie_is_replaced(site: Site, configure: Configure) -> None:
    """Nor does a browser whose other cookie opens a session of the user, which ends with the sign-in."""
    configure(MAX_SESSIONS_PER_USER=1)
    remembered, visitor = site.signed_in(remember=True), site.visitor()
    both = visitor.copy(ss_pid=remembered.cookies[PID])
    assert sign_in(site, both) == 200
    assert live_ids(site) == {id_of(both)}


@few
@pytest.mark.usefixtures("refuse")
def test_place_is_given_back(site: Site, verbs: Verbs, engine: type[SessionStore]) -> None:
    """A sign-in that fails after its place was taken leaves the place to others at once."""

    def fail() -> None:
        raise StoreUnavailable("for this test")

    for _ in range(CAP - 1):
        site.signed_in()
    verbs.before("create", fail)
    assert sign_in(site, site.new_browser()) == 503
    assert sign_in(site, site.new_browser()) == 200
    assert sign_in(site, site.new_browser()) == 403


# Engines that cannot


@on("cache-sync")
@pytest.mark.parametrize("on_limit", ["end_oldest", "refuse"])
def test_cache_cannot_count(site: Site, configure: Configure, on_limit: str) -> None:
    """On the cache engine, which does not know whose sessions there are, a limit is an error that says so."""
    configure(MAX_SESSIONS_PER_USER=CAP, ON_LIMIT=on_limit)

    def sign_in_at_once(request: Any) -> None:
        login(request, site.user)
        request.session.save()

    def view(request: Any) -> None:
        with pytest.raises(NotImplementedError, match="cannot list sessions; use the redis, db or cached_db"):
            sign_in_at_once(request)

    assert site.new_browser().visit(view).status == 200
