"""`live_sessions.update`: a change of a stored session from outside its request, repeated while others come first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.dispatch import Signal

from tests.engines.rows import UseEngine
from tests.sessions import CartLine, ShopSession
from tests.web.browser import Browser
from tests.web.matrix import TRANSACTIONAL
from tests.web.options.conftest import Look, TakeTurn
from tests.web.signing import put_in_cart, sign_in, sign_out, status
from tests.web.stored import spoil, wipe
from typed_sessions import SessionMode, SessionStatus, live_sessions, signals, tokens
from typed_sessions.backends import patience
from typed_sessions.backends.base import SessionStore
from typed_sessions.exceptions import SessionFieldError, SessionTooLarge, StoreUnavailable
from typed_sessions.testing.engines import Clock, Configure, Verbs

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.usefixtures("engine", "clock")

Update = Callable[[str, Callable[[Any], object]], Any]
DAY = 86_400


@pytest.fixture(
    params=[
        ("db", "sync"),
        ("redis", "async"),
        ("cache", "async"),
        pytest.param(("cached_db", "sync"), marks=TRANSACTIONAL),
    ],
    ids="-".join,
)
def way(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Every engine, as what is known by its id needs no list; and the verb, or its async twin."""
    engine, way = request.param
    return engine, way


@pytest.fixture
def engine(way: tuple[str, str], use_engine: UseEngine) -> type[SessionStore]:
    return use_engine(way[0])


@pytest.fixture
def handler() -> str:
    """The session is changed from outside its requests."""
    return "wsgi"


@pytest.fixture
def update(way: tuple[str, str]) -> Update:
    return live_sessions.update if way[1] == "sync" else async_to_sync(live_sessions.aupdate)


@pytest.fixture
def visitor(clock: Clock, browser: Browser) -> Browser:
    browser.visit(put_in_cart("tea"))
    return browser


@pytest.fixture
def session_id(visitor: Browser, verbs: Verbs) -> str:
    verbs.take()
    return tokens.digest(visitor.token)


one_engine = pytest.mark.parametrize("way", [("db", "sync"), ("db", "async")], ids="-".join)


def to_dollars(session: ShopSession) -> None:
    session.currency = "USD"


def add_cup(session: ShopSession) -> None:
    session.cart.append(CartLine("cup"))


def count(session: ShopSession) -> None:
    session.page_views += 1


def look(request: Any) -> str:
    session = request.typed_session
    return f"{session.currency} {[line.sku for line in session.cart]} {request.session.get('seen')}"


def test_change(update: Update, visitor: Browser, session_id: str, verbs: Verbs, record_of: Look) -> None:
    """What the function changes, nested or not, is saved by one load and one save, and what is answered is as saved."""
    before = record_of(visitor)
    verbs.take()

    def change(session: ShopSession) -> str:
        assert (session.id, session.status, session.is_new) == (session_id, SessionStatus.LIVE, False)
        to_dollars(session)
        add_cup(session)
        return "which counts for nothing"

    session = update(session_id, change)
    assert verbs.take() == ["load", "save"]
    assert isinstance(session, ShopSession)
    assert (session.currency, [line.sku for line in session.cart]) == ("USD", ["tea", "cup"])
    after = record_of(visitor)
    assert (after.revision, after.bag) == (before.revision + 1, before.bag)
    assert visitor.visit(look).text == "USD ['tea', 'cup'] tea"
    session.currency = "GBP"
    assert visitor.visit(look).text == "USD ['tea', 'cup'] tea"


def test_nothing_changed(update: Update, session_id: str, verbs: Verbs) -> None:
    """A function that changes nothing, or changes it back, costs the load alone."""

    def there_and_back(session: ShopSession) -> None:
        add_cup(session)
        session.cart.pop()
        session.currency = "EUR"

    for change in (lambda session: None, there_and_back):
        assert update(session_id, change).currency == "EUR"
        assert verbs.take() == ["load"]


def test_another_saves_meanwhile(update: Update, visitor: Browser, session_id: str, verbs: Verbs) -> None:
    """If another request has saved between load and save, the function is called again with what that one saved."""
    seen: list[Any] = []

    def change(session: ShopSession) -> None:
        seen.append((session.currency, len(session.cart)))
        add_cup(session)

    def others() -> None:
        visitor.visit(lambda request: to_dollars(request.typed_session))
        visitor.visit(put_in_cart("pot"))

    verbs.before("save", others)
    session = update(session_id, change)
    assert verbs.take() == ["load", "save", "save"]
    assert seen == [("EUR", 1), ("USD", 2)]
    assert (session.currency, [line.sku for line in session.cart]) == ("USD", ["tea", "pot", "cup"])
    assert visitor.visit(look).text == "USD ['tea', 'pot', 'cup'] pot"


def test_another_has_done_it_already(update: Update, session_id: str, verbs: Verbs) -> None:
    """If there is nothing left to change then, nothing is written."""
    verbs.before("save", lambda: live_sessions.update(session_id, to_dollars))
    assert update(session_id, to_dollars).currency == "USD"
    assert verbs.take() == ["load", "save"]


def test_others_come_first_again_and_again(update: Update, session_id: str, verbs: Verbs) -> None:
    """It is tried as often as it takes."""
    verbs.before("save", lambda: live_sessions.update(session_id, count), times=10)
    assert update(session_id, add_cup).page_views == 10
    assert verbs.take() == ["load", *["save"] * 11]


@one_engine
def test_others_come_first_all_the_time(
    update: Update, session_id: str, verbs: Verbs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For as long as any save does; then the store is said not to answer, and nothing is saved."""
    monkeypatch.setattr(patience, "TRIES", 4)
    monkeypatch.setattr(patience, "SECONDS", 0.0)
    verbs.before("save", lambda: live_sessions.update(session_id, count), times=4)
    with pytest.raises(StoreUnavailable, match=f"Session {session_id}: for .* other requests' saves came first"):
        update(session_id, add_cup)
    session = live_sessions.get(session_id)
    assert (session.page_views, len(session.cart)) == (4, 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", [(name, "sync") for name in ("db", "redis", "cache", "cached_db")], ids="-".join)
def test_threads(session_id: str) -> None:
    """Of what many do at once nothing is lost."""
    start = threading.Barrier(4)

    def work(number: int) -> None:
        try:
            start.wait(20)
            for _ in range(5):
                live_sessions.update(session_id, add_cup)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(live_sessions.get(session_id).cart) == 21


ENDS: dict[str, Callable[[type[SessionStore], Browser, Clock], object]] = {
    "ended": lambda engine, browser, clock: live_sessions.end(tokens.digest(browser.token)),
    "logged out": lambda engine, browser, clock: browser.visit(sign_out),
    "expired": lambda engine, browser, clock: clock.advance(14 * DAY),
    "lost": lambda engine, browser, clock: wipe(engine),
    "rotated": lambda engine, browser, clock: browser.visit(lambda request: request.session.cycle_key()),
}


@pytest.mark.parametrize("end", ENDS)
def test_session_that_is_over(
    update: Update, visitor: Browser, session_id: str, engine: type[SessionStore], clock: Clock, verbs: Verbs, end: str
) -> None:
    """Of a session that is over there is nothing to change; the function is not called, and nothing is brought back."""
    ENDS[end](engine, visitor, clock)
    verbs.take()
    assert update(session_id, lambda session: 1 / 0) is None
    assert verbs.take() == ["load"]
    assert live_sessions.get(session_id) is None


@pytest.mark.parametrize("end", ["ended", "lost", "rotated"])
def test_session_that_ends_meanwhile(
    update: Update, visitor: Browser, session_id: str, engine: type[SessionStore], clock: Clock, verbs: Verbs, end: str
) -> None:
    """A session that ends between load and save is not brought back."""
    calls: list[int] = []

    def change(session: ShopSession) -> None:
        calls.append(1)
        add_cup(session)

    verbs.before("save", lambda: ENDS[end](engine, visitor, clock))
    assert update(session_id, change) is None
    assert calls == [1]
    assert live_sessions.get(session_id) is None
    if end == "rotated":
        assert visitor.visit(look).text == "EUR ['tea'] tea"


@one_engine
def test_what_is_no_id(update: Update, visitor: Browser, session_id: str, verbs: Verbs) -> None:
    """An unknown id is nothing, and what can be none does not reach the store; nor does a token."""
    assert update("0" * 40, add_cup) is None
    assert verbs.take() == ["load"]
    for text in ("", "x", "☃", "{lists}:samples", "*", session_id.upper() + "A", session_id + "\n"):
        assert update(text, add_cup) is None
        assert verbs.take() == []
    assert update(visitor.token, add_cup) is None
    assert visitor.visit(look).text == "EUR ['tea'] tea"


@pytest.mark.parametrize("way", [("redis", "sync"), ("redis", "async")], ids="-".join)
def test_record_that_cannot_be_read(
    update: Update, visitor: Browser, session_id: str, engine: type[SessionStore]
) -> None:
    """A damaged record is no session."""
    spoil(engine, visitor.token, b'"revision"', b'"revisiox"')
    assert update(session_id, add_cup) is None


def test_error_of_the_function(update: Update, visitor: Browser, session_id: str, verbs: Verbs) -> None:
    """What the function raises goes through, and nothing is saved."""

    def change(session: ShopSession) -> None:
        add_cup(session)
        raise LookupError("no such cup")

    with pytest.raises(LookupError, match="no such cup"):
        update(session_id, change)
    assert verbs.take() == ["load"]
    assert visitor.visit(look).text == "EUR ['tea'] tea"


def test_what_cannot_be_saved(update: Update, visitor: Browser, session_id: str, record_of: Look) -> None:
    """A wrong type, and too much, are refused as in any save, by where they are, and the record stays as it was."""
    before = record_of(visitor)
    with pytest.raises(SessionFieldError) as caught:
        update(session_id, lambda session: setattr(session.cart[0], "quantity", "many"))
    assert caught.value.path == "ShopSession.cart[0].quantity"
    with pytest.raises(SessionFieldError, match=r"ShopSession\.currency"):
        update(session_id, lambda session: setattr(session, "currency", object()))
    with pytest.raises(SessionTooLarge):
        update(session_id, lambda session: setattr(session, "currency", "x" * 100_000))
    assert record_of(visitor) == before


def test_session_does_not_last_longer(
    update: Update, visitor: Browser, session_id: str, clock: Clock, record_of: Look, user: User
) -> None:
    """Who changes a session from outside is not its visitor: its end, its use, and who uses it stay what they were."""
    visitor.visit(sign_in(user, remember=True))
    before = record_of(visitor)
    clock.advance(3600)
    session = update(before.id, to_dollars)
    after = record_of(visitor)
    kept = ("seen", "expires", "until", "authenticated", "user", "client", "created", "mode", "bag", "id")
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    assert after.modified == before.modified + 3600
    assert session.last_modified.timestamp() == after.modified
    assert (session.mode, session.is_authenticated, session.user_name) == (SessionMode.PERM, True, "ada")
    assert session.expires_at.timestamp() == before.expires


@one_engine
def test_nobody_is_told(update: Update, session_id: str) -> None:
    """It is no turn of the session's life: no signal is sent."""
    told: list[str] = []
    sent = {name: signal for name, signal in vars(signals).items() if isinstance(signal, Signal)}
    receivers = [(signal, lambda name=name, **_: told.append(name)) for name, signal in sent.items()]
    assert "on_created" in sent
    for signal, receiver in receivers:
        signal.connect(receiver)
    try:
        update(session_id, to_dollars)
    finally:
        for signal, receiver in receivers:
            signal.disconnect(receiver)
    assert told == []


def test_coroutine_function(visitor: Browser, session_id: str, verbs: Verbs) -> None:
    """`aupdate` awaits what is to be awaited, however it is written, and again after a conflict."""

    async def change(session: ShopSession, sku: str = "cup") -> None:
        await sync_to_async(len)(sku)
        session.cart.append(CartLine(sku))

    async def run() -> None:
        for each in (change, partial(change, sku="jug"), lambda session: change(session, "tray")):
            assert await live_sessions.aupdate(session_id, each) is not None

    verbs.before("save", lambda: live_sessions.update(session_id, to_dollars))
    async_to_sync(run)()
    assert visitor.visit(look).text == "USD ['tea', 'cup', 'jug', 'tray'] tea"
    live_sessions.update(session_id, change)  # sync code need not know
    assert len(live_sessions.get(session_id).cart) == 5


@one_engine
def test_function_that_asks_the_database(session_id: str, user: User) -> None:
    """A plain function may ask the database, in `aupdate` too."""

    def change(session: ShopSession) -> None:
        session.gift_note = User.objects.get().username

    for run in (live_sessions.update, async_to_sync(live_sessions.aupdate)):
        assert run(session_id, change).gift_note == "ada"


def test_in_the_turn_of_another(
    update: Update, visitor: Browser, session_id: str, record_of: Look, take_turn: TakeTurn
) -> None:
    """It waits for nobody, and leaves the lease of a request that has the session for itself to that."""
    take_turn(visitor)
    lease = record_of(visitor).lease
    assert lease is not None
    update(session_id, to_dollars)
    assert record_of(visitor).lease == lease


@one_engine
def test_in_the_sessions_own_request(visitor: Browser, session_id: str) -> None:
    """Within a request of the session it is another one's save, with which the request's own changes are merged."""

    def view(request: Any) -> str:
        request.typed_session.cart[0].quantity = 2
        live_sessions.update(session_id, to_dollars)
        return str(request.typed_session.currency)

    assert visitor.visit(view).text == "EUR"
    assert live_sessions.get(session_id).currency == "USD"
    assert live_sessions.get(session_id).cart[0].quantity == 2


@one_engine
def test_fields_that_this_release_does_not_know(
    update: Update, visitor: Browser, session_id: str, configure: Configure
) -> None:
    """What another release of the project has stored besides is kept."""
    configure(SESSION_CLASS="typed_sessions.AuthUserSession")
    update(session_id, lambda session: setattr(session, "referrer_url", "/"))
    configure(SESSION_CLASS="tests.sessions.ShopSession")
    assert visitor.visit(look).text == "EUR ['tea'] tea"


@one_engine
def test_store_that_does_not_answer(update: Update, session_id: str, verbs: Verbs) -> None:
    """An outage is an error, and never `None`."""

    def out_of_order() -> None:
        raise StoreUnavailable("out of order")

    for verb in ("load", "save"):
        verbs.before(verb, out_of_order)
        with pytest.raises(StoreUnavailable, match="out of order"):
            update(session_id, to_dollars)
    assert live_sessions.get(session_id).currency == "EUR"


@one_engine
def test_engine_of_django(update: Update, session_id: str, settings: Settings) -> None:
    """Where the project's engine is none of ours, the error names the setting."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    with pytest.raises(ImproperlyConfigured, match=r"SESSION_ENGINE is 'django\.contrib\.sessions\.backends\.db'"):
        update(session_id, to_dollars)


@one_engine
def test_session_whose_visitor_is_told(visitor: Browser, session_id: str) -> None:
    """What was updated shows with the next request, which is in the same session."""
    update = cast("Update", live_sessions.update)
    update(session_id, to_dollars)
    assert visitor.visit(status).text == "live -"
    assert visitor.visit(look).text.startswith("USD")
