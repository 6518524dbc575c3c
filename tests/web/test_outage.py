"""A store that does not answer, refuses to write, or has been changed by another request: no page lies about it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.db import connections

from tests.engines.rows import UseEngine, rows
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer
from tests.web.browser import Answer, Browser
from tests.web.conftest import NewBrowser
from tests.web.signing import Request, async_sign_in, cart, put_in_cart, sign_in, sign_out, status, who
from typed_sessions import SessionStatus, aget_session
from typed_sessions.exceptions import StoreUnavailable
from typed_sessions.session import AuthUserSession
from typed_sessions.testing.engines import Verbs, watched

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.hasty


def public(request: Request) -> str:
    return "public"


async def async_public(request: Request) -> str:
    return "public"


def read(request: Request) -> object:
    return request.typed_session.page_views


async def async_read(request: Request) -> object:
    return (await aget_session(request, AuthUserSession)).user_name


def user_name(request: Request) -> object:
    return request.user.get_username()


def item(request: Request) -> object:
    return request.session.get("x")


READS: list[Callable[[Any], Any]] = [read, async_read, user_name, item, put_in_cart(), status]


def expect_unavailable(answer: Answer) -> None:
    """Come again, and keep your cookies."""
    assert answer.status == 503
    assert answer["Retry-After"] == "1"
    assert answer["Cache-Control"] == "no-store"
    assert answer.ours == {}


@pytest.fixture
def valkey_browser(use_engine: UseEngine, valkey: RedisServer, new_browser: NewBrowser, user: User) -> Browser:
    """Signed in to stay, on the redis engine."""
    use_engine("redis")
    browser = new_browser()
    browser.visit(sign_in(user, remember=True))
    browser.visit(put_in_cart())
    return browser


@pytest.fixture
def refuses_writes(valkey: RedisServer) -> Iterator[Callable[[bool], None]]:
    """Makes the server answer NOREPLICAS to whatever would write."""

    def refuse(yes: bool) -> None:
        valkey.run("CONFIG SET", "min-replicas-to-write", int(yes))

    yield refuse
    refuse(False)


def test_r01_store_is_down(valkey_browser: Browser, valkey: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """Without its store a request with a token is a 503 that leaves the cookies alone; when it is back, all goes on."""
    cookies = dict(valkey_browser.cookies)
    valkey.kill()
    for view in READS:
        expect_unavailable(valkey_browser.visit(view))
    assert valkey_browser.cookies == cookies
    assert not any(token in caplog.text for token in cookies.values() if len(token) == 40)
    valkey.start()
    assert valkey_browser.visit(status).text == "lost -"  # this server keeps nothing over a restart
    assert valkey_browser.visit(put_in_cart("b")).status == 200
    assert valkey_browser.visit(cart).text == "['b'] b"


def test_r01_same_session_afterwards(valkey_browser: Browser, valkey: RedisServer) -> None:
    """A session that could not be reached for a while is the same as before."""
    valkey.freeze()
    expect_unavailable(valkey_browser.visit(cart))
    valkey.thaw()
    assert valkey_browser.visit(cart).text == "['a'] a"
    assert valkey_browser.visit(who).text.startswith("ada ada")


@pytest.mark.parametrize("view", [public, async_public])
def test_r02_public_page(valkey_browser: Browser, valkey: RedisServer, view: Callable[[Any], Any]) -> None:
    """A page that does not use the session works without the store, for visitors and for users."""
    valkey.kill()
    for browser in (valkey_browser, Browser(valkey_browser.ask)):
        answer = browser.visit(view)
        assert (answer.status, answer.text, answer.ours) == (200, "public", {})


def test_r02_visitor_who_looks(valkey_browser: Browser, valkey: RedisServer) -> None:
    """A request without a token, or with one that is forged, needs no store to know that it is a new visitor."""
    valkey.kill()
    for cookies in ({}, {"ss_id": "0" * 40}, {"ss_opt": "perm", "ss_pid": "junk"}):
        answer = Browser(valkey_browser.ask).copy(**cookies).visit(who)
        assert (answer.status, answer.text) == (200, "anonymous anonymous None")


@pytest.mark.parametrize("view", [read, async_read])
@pytest.mark.parametrize("fault", ["freeze", "pause", "kill"])
def test_r03_within_a_second(
    valkey_browser: Browser, valkey: RedisServer, view: Callable[[Any], Any], fault: str
) -> None:
    """However the store fails to answer, the visitor has the 503 within a second."""
    if fault == "pause":
        valkey.pause(30)
    else:
        getattr(valkey, fault)()
    began = time.monotonic()
    expect_unavailable(valkey_browser.visit(view))
    assert time.monotonic() - began < 1
    if fault != "kill":
        valkey.client().close()


def test_r04_ignored_exceptions(
    valkey_browser: Browser, valkey: RedisServer, settings: Settings, new_browser: NewBrowser
) -> None:
    """An alias that is told to ignore exceptions ends no session and tries nothing ten thousand times."""
    caches: dict[str, Any] = settings.CACHES
    options = {**caches["valkey"]["OPTIONS"], "IGNORE_EXCEPTIONS": True}
    settings.CACHES = {**caches, "valkey": {**caches["valkey"], "OPTIONS": options}}
    valkey.kill()
    began = time.monotonic()
    expect_unavailable(valkey_browser.visit(read))
    expect_unavailable(Browser(valkey_browser.ask).visit(put_in_cart()))
    assert time.monotonic() - began < 1


def test_r06_recovery(valkey_browser: Browser, valkey: RedisServer, user: User) -> None:
    """With the store back everything works at once, three times over, without a restart of ours."""
    for _ in range(3):
        valkey.kill()
        expect_unavailable(valkey_browser.visit(read))
        valkey.start()
        assert valkey_browser.visit(sign_in(user, remember=True)).status == 200
        assert valkey_browser.visit(who).text.startswith("ada ada")


def test_r07_writes_are_refused(valkey_browser: Browser, refuses_writes: Callable[[bool], None]) -> None:
    """A store that only refuses to write serves who reads, and who writes gets the 503."""
    refuses_writes(True)
    assert valkey_browser.visit(cart).text == "['a'] a"
    expect_unavailable(valkey_browser.visit(put_in_cart("b")))
    expect_unavailable(valkey_browser.visit(sign_out))
    refuses_writes(False)
    assert valkey_browser.visit(cart).text == "['a'] a"


@pytest.mark.parametrize("path", [sign_in, async_sign_in])
def test_r08_sign_in_is_never_half_done(
    valkey_browser: Browser, refuses_writes: Callable[[bool], None], user: User, path: Callable[[User, bool], Any]
) -> None:
    """A sign-in that cannot be stored sets no cookie, and leaves the visitor's session as it was."""
    visitor = Browser(valkey_browser.ask)
    visitor.visit(put_in_cart("mine"))
    refuses_writes(True)
    for browser in (visitor, Browser(valkey_browser.ask)):
        expect_unavailable(browser.visit(path(user, True)))
        assert browser.visit(who).text.startswith("anonymous anonymous")
    refuses_writes(False)
    assert visitor.visit(cart).text == "['mine'] mine"


@pytest.mark.parametrize("needy", ["LoginRequiredMiddleware", "CsrfViewMiddleware"])
def test_r01_middleware_needs_the_session(
    valkey_browser: Browser,
    valkey: RedisServer,
    new_site: Callable[..., Browser],
    settings: Settings,
    needy: str,
) -> None:
    """It is a 503 also if another middleware, and not the view, asks for the session."""
    paths = {
        "LoginRequiredMiddleware": "django.contrib.auth.middleware.LoginRequiredMiddleware",
        "CsrfViewMiddleware": "django.middleware.csrf.CsrfViewMiddleware",
    }
    settings.CSRF_USE_SESSIONS = needy == "CsrfViewMiddleware"
    site = new_site(
        "typed_sessions.middleware.TypedSessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        paths[needy],
    )
    valkey.kill()
    expect_unavailable(Browser(site.ask, valkey_browser.cookies).visit(public))


def test_view_may_go_on(valkey_browser: Browser, valkey: RedisServer) -> None:
    """A view that catches the error answers what it likes and is told the state; cookies and store stay as they are."""
    told: list[SessionStatus] = []

    def view(request: Request) -> str:
        with pytest.raises(StoreUnavailable):
            _ = request.typed_session
        told.append(request.session.facts.status)  # type: ignore[attr-defined]  # of our engines
        return "without you"

    valkey.kill()
    answer = valkey_browser.visit(view)
    assert (answer.status, answer.text, answer.ours) == (200, "without you", {})
    assert told == [SessionStatus.UNAVAILABLE]


def test_cached_db_without_its_cache(
    use_engine: UseEngine, valkey: RedisServer, new_browser: NewBrowser, user: User
) -> None:
    """When the cache is away, cached_db reads and saves; it ends no session, as an old copy might still be served."""
    use_engine("cached_db")
    browser = new_browser()
    browser.visit(put_in_cart())
    valkey.kill()
    assert browser.visit(put_in_cart("b")).status == 200
    assert browser.visit(cart).text == "['a', 'b'] b"
    expect_unavailable(browser.visit(sign_out))
    expect_unavailable(browser.visit(sign_in(user)))
    assert browser.visit(cart).text == "['a', 'b'] b"
    newcomer = Browser(browser.ask)
    newcomer.visit(sign_in(user))
    assert newcomer.visit(who).text.startswith("ada ada")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_r20_database_restarts(postgres: PostgresServer, use_engine: UseEngine, new_browser: NewBrowser) -> None:
    """While the database is away it is a 503, and afterwards the same session as before."""
    use_engine("postgres")
    browser = new_browser()
    browser.visit(put_in_cart())
    postgres.kill()
    try:
        for _ in range(2):
            expect_unavailable(browser.visit(cart))
        assert browser.visit(public).text == "public"
    finally:
        postgres.start()
        connections["postgres"].close()
    assert browser.visit(cart).text == "['a'] a"


# Other requests


@pytest.fixture(params=rows("db", "redis"))
def overtaken(
    request: pytest.FixtureRequest, use_engine: UseEngine, monkeypatch: pytest.MonkeyPatch
) -> tuple[Verbs, type[Any]]:
    """An engine before whose store others can act."""
    engine = use_engine(request.param)
    return watched(engine, monkeypatch), engine


def test_r22_ended_by_another_request(overtaken: tuple[Verbs, type[Any]], new_browser: NewBrowser, user: User) -> None:
    """A request whose session another one ends before it is saved is a 400, sets no cookie and brings nothing back."""
    verbs, engine = overtaken
    browser = new_browser()
    browser.visit(sign_in(user))
    token = browser.cookies["ss-id"]
    verbs.before("save", lambda: engine(token).flush())
    answer = browser.visit(put_in_cart())
    assert (answer.status, answer.ours) == (400, {})
    assert token not in answer.text
    assert not engine().exists(token)
    assert browser.visit(status).text == "ended logged_out"


def test_conflict_of_two_requests(
    overtaken: tuple[Verbs, type[Any]],
    new_browser: NewBrowser,
    configure: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two requests that change what refuses it: the first is saved, and the second is a 409 that saves nothing."""
    configure(SESSION_CLASS="typed_sessions.testing.engines.ContractSession")
    verbs, engine = overtaken
    browser = new_browser()

    def view(request: Any) -> None:
        request.typed_session.note = "mine"
        request.session["also"] = 1

    def first() -> None:
        session = engine(browser.cookies["ss-id"])
        session.typed_session.note = "theirs"
        session.save()

    browser.visit(lambda request: request.session.update({"begun": 1}))
    verbs.before("save", first)
    with caplog.at_level(logging.WARNING, "typed_sessions"):
        answer = browser.visit(view)
    assert (answer.status, answer.ours) == (409, {})
    assert "note was changed by another request" in caplog.text
    assert browser.cookies["ss-id"] not in caplog.text
    assert (
        browser.visit(lambda request: [request.typed_session.note, dict(request.session)]).text
        == "['theirs', {'begun': 1}]"
    )


def test_changes_of_two_requests(overtaken: tuple[Verbs, type[Any]], new_browser: NewBrowser) -> None:
    """Two requests that add to the cart and change a number: both count."""
    verbs, engine = overtaken
    browser = new_browser()
    browser.visit(put_in_cart("a"))

    def first() -> None:
        session = engine(browser.cookies["ss-id"])
        session.typed_session.page_views += 2
        session["other"] = 1
        session.save()

    def view(request: Request) -> None:
        request.typed_session.page_views += 3
        request.session["mine"] = 1

    verbs.before("save", first)
    browser.visit(view)
    shown = browser.visit(lambda request: f"{request.typed_session.page_views} {sorted(request.session.keys())}")
    assert shown.text == "5 ['mine', 'other', 'seen']"
