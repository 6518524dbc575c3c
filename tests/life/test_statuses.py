"""What became of a session, as its visitor's next request is told: once, and in the right words."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from django.core.management import call_command
from django.template import engines
from django_redis import get_redis_connection

from tests.life.conftest import LISTING, World, few, on, worlds
from tests.life.site import DAY, Site, id_of
from tests.servers.redis import RedisServer
from tests.sessions import ShopSession
from tests.web.browser import ID, Browser
from tests.web.stored import wipe
from typed_sessions import EndReason, SessionStatus, tokens, urn
from typed_sessions.backends.base import SessionStore
from typed_sessions.signals import on_lost
from typed_sessions.testing.engines import Clock, Configure

pytestmark = pytest.mark.django_db(transaction=True)

listing = on(*LISTING)
on_redis = on("redis-sync", "redis-async")
TOLD_REASONS = [reason for reason in EndReason if reason.status is SessionStatus.ENDED]


@pytest.fixture(params=worlds(*LISTING, "cache-sync", "cache-async"))
def world(request: pytest.FixtureRequest) -> World:
    """Every engine."""
    world: World = request.param
    return world


@pytest.fixture
def lost() -> Iterator[list[dict[str, Any]]]:
    """What `on_lost` was sent with."""
    sent: list[dict[str, Any]] = []

    def receive(sender: object, **kwargs: Any) -> None:
        assert sender is type(kwargs["session"])
        sent.append(kwargs)

    on_lost.connect(receive)
    yield sent
    on_lost.disconnect(receive)


def status_of(site: Site, browser: Browser) -> str:
    return browser.visit(site.status).text


@few
def test_fresh(site: Site) -> None:
    """Who comes without a token is new, and so is who has forgotten theirs."""
    browser = site.new_browser()
    assert status_of(site, browser) == "fresh -"
    assert status_of(site, browser) == "fresh -"
    forgetful = site.signed_in()
    forgetful.cookies.clear()
    assert status_of(site, forgetful) == "fresh -"


def test_live(site: Site) -> None:
    """A session that was found is live, and so is one that this request has stored."""
    assert status_of(site, site.visitor()) == "live -"
    assert status_of(site, site.signed_in(remember=True)) == "live -"

    def view(request: Any) -> str:
        request.session["kept"] = 1
        request.session.save()
        return str(request.typed_session.status.value)

    assert site.new_browser().visit(site.doing(view)).text == "live"


@pytest.mark.parametrize("remember", [False, True])
def test_expired(site: Site, clock: Clock, remember: bool) -> None:
    """A session that nobody has used for long has expired, whether or not anything of it is left."""
    browser = site.signed_in(remember=remember)
    copy = browser.copy()
    clock.advance(28 * DAY)
    assert status_of(site, browser) == "expired expired_idle"
    call_command("clearsessions")
    clock.advance(DAY)
    assert status_of(site, copy).startswith("expired ")


@pytest.mark.parametrize("reason", TOLD_REASONS)
def test_ended(site: Site, reason: EndReason) -> None:
    """Whoever ends a session says why, and its visitor is told."""
    browser = site.signed_in()
    assert site.live.end(id_of(browser), reason) is True
    assert status_of(site, browser) == f"ended {reason.value}"


@few
def test_lost(site: Site, engine: type[SessionStore]) -> None:
    """A session that nobody has ended, and that is not there, is lost."""
    browser = site.signed_in()
    wipe(engine)
    assert status_of(site, browser) == "lost -"


@pytest.mark.parametrize("text", ["x" * 40, "nonsense", "☃", "../" * 14])
@few
def test_rejected(site: Site, text: str) -> None:
    """What is no token of this site is rejected, and was nobody's session."""
    browser = site.new_browser()
    browser.cookies[ID] = text if text.isascii() else "%E2%98%83"
    assert status_of(site, browser) == "rejected -"


@on_redis
def test_unavailable(site: Site, valkey: RedisServer, configure: Configure) -> None:
    """Of a session whose store does not answer nothing is said; a view gets to see that if the project says so."""
    browser = site.signed_in()
    cookies = dict(browser.cookies)
    valkey.stop()
    try:
        assert browser.visit(site.status).status == 503
        configure(ON_STORE_ERROR="anonymous")
        assert status_of(site, browser) == "unavailable -"
        assert browser.cookies == cookies
    finally:
        valkey.start()


# Once


@listing
@pytest.mark.parametrize("happens", ["ended", "expired", "lost"])
def test_told_until_the_next_session_begins(site: Site, engine: type[SessionStore], clock: Clock, happens: str) -> None:
    """Who was told, and begins anew, hears no more of the former session."""
    browser = site.signed_in()
    if happens == "ended":
        site.live.end(id_of(browser), EndReason.ENDED_BY_STAFF)
    elif happens == "expired":
        clock.advance(15 * DAY)
    else:
        wipe(engine)
    assert status_of(site, browser).startswith(happens)
    browser.visit(site.views.put("cup"))
    assert status_of(site, browser) == "live -"
    browser.visit(site.views.sign_out)
    assert status_of(site, browser) == "fresh -"


@few
def test_told_once_by_the_notice(site: Site) -> None:
    """A page that shows the notice has told it: the next request is a new visitor's."""
    template = engines["django"].from_string("{% load typed_sessions %}{% session_notice %}")
    browser = site.signed_in()
    site.live.end(id_of(browser), EndReason.ENDED_BY_STAFF)

    def page(request: Any) -> str:
        return str(template.render({}, request))

    first = browser.visit(site.doing(page)).text
    assert first.strip()
    assert status_of(site, browser) == "fresh -"
    assert not browser.visit(site.doing(page)).text.strip()


# Who comes back late


@listing
@pytest.mark.parametrize("days", [1, 13])
def test_phone_that_comes_back(site: Site, clock: Clock, days: int) -> None:
    """A phone whose session was ended from elsewhere is told so for as long as the session would have waited for it."""
    phone, other = site.signed_in(), site.signed_in(remember=True)
    site.live.end(id_of(phone), EndReason.ENDED_BY_STAFF)
    site.live.end_for_user(site.user)
    for _ in range(days):
        clock.advance(DAY)
        call_command("clearsessions")
    assert status_of(site, phone) == "ended ended_by_staff"
    assert status_of(site, other) == "ended ended_by_user"


@on("redis-sync", "msgpack-async", "cluster-sync")
def test_phone_that_comes_back_to_redis(site: Site, engine: type[SessionStore]) -> None:
    """Redis keeps what it has to tell for that long, and what nobody will ask for only an hour."""
    phone, leaver, mover = site.signed_in(), site.signed_in(remember=True), site.signed_in()
    left, moved = id_of(leaver), id_of(mover)
    site.live.end(id_of(phone), EndReason.ENDED_BY_STAFF)
    leaver.visit(site.views.sign_out)
    mover.visit(site.views.rotate)
    client: Any = get_redis_connection(engine().store.alias)  # type: ignore[attr-defined]  # of this engine's
    lives = [client.ttl(urn(session_id)) for session_id in (id_of(phone), left, moved)]
    assert 14 * DAY - 60 <= lives[0] <= 14 * DAY
    assert all(0 < life <= 3600 for life in lives[1:])


@listing
def test_password_changed_while_away(site: Site, clock: Clock) -> None:
    """A session that was ended for a new password, or for a limit, tells it a week later, too."""
    browser, kept = site.signed_in(), site.signed_in()
    site.live.end_for_user(site.user, id_of(kept), EndReason.PASSWORD_CHANGED)
    clock.advance(7 * DAY)
    call_command("clearsessions")
    assert status_of(site, browser) == "ended password_changed"
    assert status_of(site, kept) == "live -"


# Lost


@listing
def test_loss_is_told(
    site: Site,
    engine: type[SessionStore],
    clock: Clock,
    lost: list[dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A lost session is told of with its id, when its token was issued and the request, and with a warning; once,
    however many of its tokens come back.
    """
    issued = datetime.fromtimestamp(clock() // 60 * 60, tz=timezone.utc)
    browser = site.signed_in()
    gone, copies = id_of(browser), [browser.copy() for _ in range(3)]
    clock.advance(3600)
    wipe(engine)
    with caplog.at_level(logging.WARNING, "typed_sessions"):
        for copy in copies:
            assert status_of(site, copy) == "lost -"
    [sent] = lost
    assert (sent["session_id"], sent["issued"], sent["user"]) == (gone, issued, None)
    assert sent["request"].path.startswith(("/sync/", "/async/"))
    assert isinstance(sent["session"], ShopSession)
    [warning] = [record for record in caplog.records if record.name == "typed_sessions"]
    assert gone in warning.getMessage()
    assert browser.token not in caplog.text


@few
def test_what_is_not_lost(
    site: Site,
    engine: type[SessionStore],
    clock: Clock,
    lost: list[dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither what has expired, was ended or never was, nor a token that somebody has made up, is a loss."""
    expired, ended, forger = site.signed_in(), site.signed_in(), site.new_browser()
    site.live.end(id_of(ended))
    forger.cookies[ID] = "x" * 40
    clock.advance(15 * DAY)
    with caplog.at_level(logging.WARNING, "typed_sessions"):
        for browser in (expired, ended, site.new_browser(), forger):
            browser.visit(site.status)
        assert site.live.get("0" * 40) is None
    assert lost == []
    assert [record for record in caplog.records if record.name == "typed_sessions"] == []


@few
def test_loss_by_the_age_of_the_token(
    site: Site, engine: type[SessionStore], clock: Clock, lost: list[dict[str, Any]]
) -> None:
    """A token that is older than its lifetime need not have lost anything."""
    young, old = site.signed_in(remember=True), site.signed_in()
    clock.advance(14 * DAY)
    wipe(engine)
    assert (status_of(site, young), status_of(site, old)) == ("lost -", "expired -")
    assert [sent["session_id"] for sent in lost] == [id_of(young)]


@few
def test_s92_receiver_that_raises(site: Site, engine: type[SessionStore], lost: list[dict[str, Any]]) -> None:
    """An error in a receiver of `on_lost` keeps no page from the visitor."""

    def fail(**kwargs: Any) -> None:
        raise OSError

    on_lost.connect(fail)
    try:
        browser = site.signed_in()
        wipe(engine)
        assert status_of(site, browser) == "lost -"
    finally:
        on_lost.disconnect(fail)
    assert len(lost) == 1


@few
def test_s03_lost_token_is_never_adopted(site: Site, engine: type[SessionStore]) -> None:
    """What begins after a loss has a token of its own, and nothing opens by the lost one."""
    browser = site.signed_in()
    before = browser.copy()
    wipe(engine)
    browser.visit(site.views.put("cup"))
    assert browser.token != before.token
    assert tokens.digest(before.token) != id_of(browser)
    assert before.visit(site.views.look).text == "anonymous []"
    assert browser.visit(site.views.look).text == "anonymous ['cup']"
