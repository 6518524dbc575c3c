"""When a session is over: idle, absolute, by what its class says of it, and by whose clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import User

from tests.life.conftest import LISTING, World, few, on, worlds
from tests.life.ears import Ears
from tests.life.site import DAY, Site, id_of
from tests.sessions import ShopSession
from typed_sessions import EndReason, clock, live_sessions
from typed_sessions.backends.base import SessionStore
from typed_sessions.decorators import session_passive
from typed_sessions.stores.record import GRACE, Record
from typed_sessions.testing.engines import Clock as StoppedClock
from typed_sessions.testing.engines import Configure
from typed_sessions.testing.stores import new_record

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = 3600


@pytest.fixture(params=worlds(*LISTING, "cache-sync", "cache-async"))
def world(request: pytest.FixtureRequest) -> World:
    """Every engine."""
    world: World = request.param
    return world


# Idle and absolute


@pytest.mark.parametrize("remember", [False, True])
def test_s54_idle_timeout(site: Site, clock: StoppedClock, configure: Configure, remember: bool) -> None:
    """A session is there in the last second of its idle lifetime, and not in the next."""
    configure(TEMP_EXPIRY=timedelta(hours=1), PERM_EXPIRY=timedelta(hours=2))
    lifetime = (2 if remember else 1) * HOUR
    browser = site.signed_in(remember=remember)
    clock.advance(lifetime - 1)
    assert browser.visit(site.views.look).text == "ada ['tea']"  # which is a use
    clock.advance(lifetime - 1)
    kept = browser.copy()
    clock.advance(1)
    assert browser.visit(site.status).text == "expired expired_idle"
    assert kept.visit(site.views.look).text == "anonymous []"


@pytest.mark.parametrize("remember", [False, True])
def test_s55_absolute_end(site: Site, clock: StoppedClock, configure: Configure, remember: bool) -> None:
    """A session that is used each minute is over when its time from the sign-in is."""
    configure(ABSOLUTE_EXPIRY=timedelta(minutes=12), TEMP_EXPIRY=timedelta(hours=1))
    browser = site.signed_in(remember=remember)
    for _ in range(11):
        clock.advance(60)
        assert browser.visit(site.views.look).text == "ada ['tea']"
    clock.advance(59)
    assert browser.visit(site.status).text == "live -"
    clock.advance(1)
    assert browser.visit(site.status).text == "expired expired_absolute"


@few
def test_s55_absolute_end_counts_from_the_sign_in(site: Site, clock: StoppedClock, configure: Configure) -> None:
    """Not from the visitor's first page, not from a new token, and anew from each sign-in."""
    configure(ABSOLUTE_EXPIRY=timedelta(hours=2))
    browser = site.visitor()
    clock.advance(5 * HOUR)
    browser.visit(site.views.sign_in(site.user))
    clock.advance(HOUR)
    browser.visit(site.views.rotate)
    clock.advance(HOUR - 60)
    assert browser.visit(site.status).text == "live -"
    browser.visit(site.views.sign_in(site.user))
    clock.advance(2 * HOUR - 1)
    assert browser.visit(site.status).text == "live -"
    clock.advance(1)
    assert browser.visit(site.status).text == "expired expired_absolute"


@few
def test_passive_requests_are_no_use(site: Site, ears: Ears, clock: StoppedClock, configure: Configure) -> None:
    """A page that asks for news each minute keeps nobody signed in, and the reaper tells of the end in time."""
    configure(TEMP_EXPIRY=timedelta(hours=1))
    browser = site.signed_in()
    poll = session_passive(site.views.look)
    for _ in range(59):
        clock.advance(60)
        assert browser.visit(poll).text == "ada ['tea']"
    clock.advance(60)
    assert browser.visit(poll).text == "anonymous []"
    clock.advance(GRACE + 1)
    assert site.reap() == (1, 0)


@few
def test_last_use_moves_forward_only(site: Site, clock: StoppedClock) -> None:
    """A request on a machine whose clock is behind takes nothing of what another one has noted."""
    browser = site.signed_in()
    clock.advance(HOUR)
    browser.visit(site.views.look)
    before = live_sessions.get(id_of(browser))
    clock.advance(-2 * HOUR)
    for view in (site.views.look, site.views.put("cup")):
        assert browser.visit(view).status == 200
    after = live_sessions.get(id_of(browser))
    assert (after.last_seen_at, after.expires_at) == (before.last_seen_at, before.expires_at)


# By the class


@dataclass
class TimedSession(ShopSession):
    """Says itself how long it lasts."""

    idle: ClassVar[Any] = None
    absolute: ClassVar[Any] = None
    """What the methods answer; called with the session if it can be."""

    def lifetime(self) -> Any:
        return self.answer(type(self).idle)

    def absolute_lifetime(self) -> Any:
        return self.answer(type(self).absolute)

    def answer(self, given: Any) -> Any:
        return given(self) if callable(given) else given


Timed = Callable[..., None]


@pytest.fixture
def timed(configure: Configure, ears: Ears, monkeypatch: pytest.MonkeyPatch) -> Timed:
    """`timed(idle=..., absolute=...)` says what the class answers."""
    configure(SESSION_CLASS=f"{TimedSession.__module__}.TimedSession")

    def answer(idle: Any = None, absolute: Any = None) -> None:
        monkeypatch.setattr(TimedSession, "idle", staticmethod(idle) if callable(idle) else idle)
        monkeypatch.setattr(TimedSession, "absolute", staticmethod(absolute) if callable(absolute) else absolute)

    return answer


@pytest.mark.parametrize("remember", [False, True])
def test_lifetime_of_a_class(site: Site, timed: Timed, clock: StoppedClock, remember: bool) -> None:
    """What `lifetime` answers takes the place of the settings, for both modes, and slides."""
    timed(idle=timedelta(minutes=30))
    browser = site.signed_in(remember=remember)
    for _ in range(3):
        clock.advance(30 * 60 - 1)
        assert browser.visit(site.status).text == "live -"
    clock.advance(30 * 60)
    assert browser.visit(site.status).text == "expired expired_idle"


@few
def test_lifetime_of_a_user(site: Site, timed: Timed, clock: StoppedClock, other_user: User) -> None:
    """It may depend on the session: whoever signs in has what becomes of it from then on."""
    timed(idle=lambda session: timedelta(minutes=5) if session.user_name == "ada" else None)
    strict, other, visitor = site.signed_in(), site.signed_in(other_user), site.visitor()
    clock.advance(5 * 60)
    assert [browser.visit(site.status).text for browser in (strict, other, visitor)] == [
        "expired expired_idle",
        "live -",
        "live -",
    ]
    visitor.visit(site.views.sign_in(site.user))
    clock.advance(5 * 60 - 1)
    assert visitor.visit(site.status).text == "live -"
    clock.advance(5 * 60)
    assert visitor.visit(site.status).text == "expired expired_idle"


@few
def test_lifetime_that_becomes_shorter(site: Site, timed: Timed, clock: StoppedClock) -> None:
    """A save with a shorter lifetime makes the session end sooner; use alone never does."""
    timed(idle=lambda session: timedelta(hours=1 if session.currency == "EUR" else 9))

    def change(currency: str) -> Any:
        def view(request: Any) -> None:
            request.typed_session.currency = currency

        return site.doing(view)

    browser = site.signed_in()
    browser.visit(change("USD"))
    clock.advance(8 * HOUR)
    assert browser.visit(site.status).text == "live -"
    browser.visit(change("EUR"))
    clock.advance(HOUR)
    assert browser.visit(site.status).text == "expired expired_idle"


@few
def test_lifetime_ends_with_the_absolute_one(site: Site, timed: Timed, clock: StoppedClock) -> None:
    """No lifetime carries a session past its absolute end, which the class may set too, at sign-in."""
    timed(idle=timedelta(days=400), absolute=timedelta(hours=3))
    browser, visitor = site.signed_in(), site.visitor()
    timed(idle=timedelta(days=400), absolute=timedelta(days=900))
    clock.advance(3 * HOUR - 1)
    assert browser.visit(site.views.look).text == "ada ['tea']"
    clock.advance(1)
    assert browser.visit(site.status).text == "expired expired_absolute"
    assert visitor.visit(site.status).text == "live -"
    clock.advance(399 * DAY)
    assert visitor.visit(site.status).text == "live -"


@few
def test_absolute_lifetime_of_a_user(site: Site, timed: Timed, clock: StoppedClock, other_user: User) -> None:
    """`absolute_lifetime` is asked when the user is known."""
    timed(absolute=lambda session: timedelta(hours=1) if session.user_name == "ada" else None)
    browser, other = site.signed_in(), site.signed_in(other_user)
    clock.advance(HOUR)
    assert browser.visit(site.status).text == "expired expired_absolute"
    assert other.visit(site.status).text == "live -"


@few
def test_reaper_goes_by_the_lifetime_of_the_class(site: Site, ears: Ears, timed: Timed, clock: StoppedClock) -> None:
    """What is over by the class's own lifetime is found like any other, and its visitor is told that it expired."""
    timed(idle=timedelta(minutes=5))
    browser = site.signed_in()
    clock.advance(5 * 60 + GRACE + 1)
    assert site.reap() == (1, 0)
    assert browser.visit(site.status).text == "expired expired_idle"


@few
@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        (method, wrong)
        for method in ("lifetime", "absolute_lifetime")
        for wrong in (3600, 0, "1h", timedelta(0), timedelta(seconds=-1), timedelta(milliseconds=5), timedelta.max)
    ],
)
def test_lifetime_that_is_none(
    site: Site, timed: Timed, engine: type[SessionStore], method: str, wrong: object
) -> None:
    """What is no time that a session could last is an error that names the method and what it answered."""
    timed(**{"idle" if method == "lifetime" else "absolute": wrong})
    session = engine()
    session["_auth_user_id"] = str(site.user.pk)
    with pytest.raises(TypeError, match=rf"TimedSession\.{method}\(\) must be a timedelta .*not ") as raised:
        session.save()
    assert repr(wrong) in str(raised.value)


@few
def test_lifetime_that_raises(site: Site, timed: Timed, engine: type[SessionStore]) -> None:
    """An error of the method is the project's, and goes through; nothing is stored."""

    def fail(session: TimedSession) -> None:
        raise ZeroDivisionError

    timed(idle=fail)
    session = engine()
    session["kept"] = 1
    with pytest.raises(ZeroDivisionError):
        session.save()


# By whose clock


class Machine:
    """What the module `time` says on a machine whose clock is wrong."""

    CLOCK_REALTIME = 0

    def __init__(self, skew: int) -> None:
        self.skew = skew

    def time(self) -> float:
        return time.time() + self.skew

    def clock_gettime(self, which: int) -> float:
        return self.time()

    def monotonic(self) -> float:
        return time.monotonic()


Node = Callable[[int], AbstractContextManager[None]]


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    """`with node(skew):` what happens is on a machine that has just begun, and whose clock is wrong by so much."""

    @contextmanager
    def on(skew: int) -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(clock, "time", Machine(skew))
            patch.setattr(clock, "_offset", 0)
            patch.setattr(clock, "_checked", None)
            patch.setattr(clock, "_latest", 0)
            yield

    return on


@pytest.fixture
def real_site(ears: Ears, new_browser: Any, way: str, user: User) -> Site:
    """A site whose clock runs."""
    return Site(new_browser, way == "async", user, StoppedClock(0))


with_clocks = on("postgres-sync", "redis-sync", "redis-async", "cluster-async")
"""Those whose store has a clock that all machines share."""


@with_clocks
@pytest.mark.parametrize("skew", [DAY, -HOUR, 100 * DAY])
def test_r35_wrong_clock_ends_nobodys_session(
    real_site: Site, ears: Ears, node: Node, configure: Configure, skew: int
) -> None:
    """On a machine whose clock is wrong, sessions of others are live, and its reaper finds nothing."""
    site = real_site
    configure(TEMP_EXPIRY=timedelta(minutes=30))
    first, second = site.signed_in(), site.signed_in(remember=True)
    with node(skew):
        assert site.reap() == (0, 0)
    with node(skew):
        assert first.visit(site.views.look).text == "ada ['tea']"
        assert second.visit(site.views.look).text == "ada ['tea']"
        assert site.reap() == (0, 0)
    assert first.visit(site.status).text == "live -"
    assert second.visit(site.status).text == "live -"
    assert ears.take() == []


@with_clocks
@pytest.mark.parametrize("skew", [DAY, -HOUR])
def test_r35_nobody_lives_longer_than_the_error(
    real_site: Site, engine: type[SessionStore], node: Node, configure: Configure, skew: int
) -> None:
    """A session that a machine with a wrong clock has made or used ends at most that error later than it should."""
    site = real_site
    configure(ABSOLUTE_EXPIRY=timedelta(hours=2), TEMP_EXPIRY=timedelta(hours=1))
    elsewhere = site.signed_in()
    begun = int(time.time())
    with node(skew):
        browser = site.signed_in()
        elsewhere.visit(site.views.put("cup"))
    for one, slack in ((browser, abs(skew)), (elsewhere, abs(skew))):
        record = engine().store.load(id_of(one))
        assert isinstance(record, Record)
        assert record.until is not None
        assert record.expires <= record.until <= begun + 2 * HOUR + slack + 60
    untouched = engine().store.load(id_of(elsewhere))
    assert isinstance(untouched, Record)
    assert untouched.until is not None
    assert untouched.until <= begun + 2 * HOUR


@with_clocks
def test_r35_clock_is_set_right(real_site: Site, node: Node) -> None:
    """Who has asked the store goes by its clock from then on, for tokens and records alike."""
    with node(DAY):
        real_site.reap()
        assert abs(clock.now() - time.time()) <= clock.TOLERANCE + 2


@with_clocks
def test_r35_what_is_over_is_over(real_site: Site, ears: Ears, engine: type[SessionStore], node: Node) -> None:
    """What has expired by the store's clock is told of by a reaper whose own clock is behind."""
    site = real_site
    over = int(time.time()) - GRACE - 60
    record = new_record(engine().store, seen=over - 60, expires=over, type="LifeSession")
    assert engine().store.create(record)
    with node(-HOUR):
        assert site.reap() == (1, 0)
    assert ears.ends() == [(record.id, EndReason.EXPIRED_IDLE)]
