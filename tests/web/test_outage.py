"""A store that does not answer, refuses to write, or has been changed by another request: no page lies about it."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.db import connections

from tests.engines.rows import UseEngine, rows
from tests.servers.postgres import PostgresServer
from tests.servers.process import new_path, wait_until
from tests.servers.redis import RedisServer
from tests.sessions import CartLine, ShopSession
from tests.web.browser import Answer, Browser
from tests.web.conftest import NewBrowser
from tests.web.signing import (
    Request,
    async_sign_in,
    async_sign_out,
    cart,
    put_in_cart,
    sign_in,
    sign_out,
    status,
    who,
)
from typed_sessions import SessionStatus, aget_session
from typed_sessions.conf import TIME_LIMITS
from typed_sessions.decorators import session_passive, session_readonly, session_required
from typed_sessions.exceptions import StoreUnavailable
from typed_sessions.session import AuthUserSession
from typed_sessions.testing.engines import Configure, Verbs, watched

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


HUNG = 2.5
"""Seconds: more than a request with several commands takes on a busy machine, and less than the first of them would
take by the defaults of the client."""


@pytest.mark.parametrize("fault", ["freeze", "pause"])
def test_r03_hung_cache(use_engine: UseEngine, valkey: RedisServer, new_browser: NewBrowser, fault: str) -> None:
    """A cache that hangs costs cached_db no more time than it costs redis, whatever is asked of the session."""
    use_engine("cached_db")
    browser = new_browser()
    browser.visit(put_in_cart())
    if fault == "pause":
        valkey.pause(30)
    else:
        valkey.freeze()
    for view, answer in {cart: "['a'] a", async_cart: "['a'] a", put_in_cart("b"): None}.items():
        began = time.monotonic()
        answered = browser.visit(view)
        assert time.monotonic() - began < HUNG
        assert answered.status == 200
        assert answer in (answered.text, None)
    began = time.monotonic()
    expect_unavailable(browser.visit(sign_out))
    assert time.monotonic() - began < HUNG


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


# Every store


ON_POSTGRES = (pytest.mark.postgres, pytest.mark.django_db(transaction=True))


class Outage:
    """A store that can be taken away from a browser that is signed in, and keeps what it has."""

    def __init__(self, browser: Browser, stop: Callable[[], object], start: Callable[[], object]) -> None:
        self.browser, self._stop, self._start = browser, stop, start

    @contextmanager
    def lasting(self) -> Iterator[Browser]:
        """For this block. Afterwards everything is as it was before: no request has lost or changed a thing."""
        cookies = dict(self.browser.cookies)
        self._stop()
        try:
            yield self.browser
        finally:
            self._start()
        assert self.browser.cookies == cookies
        assert self.browser.visit(cart).text == "['a'] a"
        assert self.browser.visit(who).text.startswith("ada ada")


def _cut_off(valkey: RedisServer) -> None:
    """Nobody reaches the server any more, which has all that it had."""
    (valkey.home / "redis.sock").rename(valkey.home / "elsewhere.sock")
    valkey.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def _connected(valkey: RedisServer) -> None:
    (valkey.home / "elsewhere.sock").rename(valkey.home / "redis.sock")


def _restarted(postgres: PostgresServer) -> None:
    postgres.start()
    connections["postgres"].close()


@pytest.fixture(params=["redis", pytest.param("db", marks=ON_POSTGRES), pytest.param("cached_db", marks=ON_POSTGRES)])
def outage(request: pytest.FixtureRequest, use_engine: UseEngine, new_browser: NewBrowser, user: User) -> Outage:
    """Of the server that has the sessions, on each engine that has one."""
    use_engine(request.param)
    browser = new_browser()
    browser.visit(sign_in(user, remember=True))
    browser.visit(put_in_cart())
    if request.param == "redis":
        valkey: RedisServer = request.getfixturevalue("valkey")
        return Outage(browser, lambda: _cut_off(valkey), lambda: _connected(valkey))
    postgres: PostgresServer = request.getfixturevalue("postgres")
    return Outage(browser, postgres.kill, lambda: _restarted(postgres))


async def async_who(request: Request) -> str:
    """As `who`, without a thread."""
    user: Any = await request.auser()
    session = await aget_session(request, ShopSession)
    name = session.user_name if session.is_authenticated else "anonymous"
    return f"{user.get_username() or 'anonymous'} {name} {session.id}"


async def async_cart(request: Request) -> str:
    session = await aget_session(request, ShopSession)
    return f"{[line.sku for line in session.cart]} {await request.session.aget('seen')}"


async def async_put_in_cart(request: Request) -> None:
    (await aget_session(request, ShopSession)).cart.append(CartLine("a"))


def set_field(request: Request) -> None:
    request.typed_session.page_views = 7


def set_key(request: Request) -> None:
    request.session["x"] = 1


async def async_set_key(request: Request) -> None:
    await request.session.aset("x", 1)


def put_another_in_its_place(request: Request) -> None:
    request.typed_session = ShopSession()


def rotate(request: Request) -> None:
    request.session.cycle_key()


def flush(request: Request) -> None:
    request.session.flush()


def save(request: Request) -> None:
    request.session.save()


def last_longer(request: Request) -> None:
    request.session.set_expiry(60)


CHANGES: list[Callable[[Any], Any]] = [
    put_in_cart(),
    async_put_in_cart,
    set_field,
    set_key,
    async_set_key,
    put_another_in_its_place,
    rotate,
    save,
    last_longer,
]
ENDS: list[Callable[[Any], Any]] = [sign_out, async_sign_out, flush]


def test_r01_every_store(outage: Outage, user: User) -> None:
    """Without its store each request that asks for the session is a 503 that leaves the cookies alone."""
    signing = [sign_in(user), async_sign_in(user)]
    with outage.lasting() as browser:
        for view in [*READS, who, async_who, cart, async_cart, *CHANGES, *ENDS, *signing]:
            expect_unavailable(browser.visit(view))


def test_r02_every_store(outage: Outage) -> None:
    """Without its store the site serves whoever has no token, or one that is forged, or looks at what is public."""
    with outage.lasting() as browser:
        for view in (public, async_public):
            assert browser.visit(view).text == "public"
        for cookies in ({}, {"ss_id": "0" * 40}, {"ss_opt": "perm", "ss_pid": "junk"}):
            visitor = Browser(browser.ask).copy(**cookies)
            for view in (who, async_who):
                answer = visitor.visit(view)
                assert (answer.status, answer.text, answer.ours) == (200, "anonymous anonymous None", {})


def test_r06_every_store(outage: Outage) -> None:
    """The first request after an outage is served as if there had been none, three times over."""
    for _ in range(3):
        with outage.lasting() as browser:
            for view in (cart, async_cart):
                expect_unavailable(browser.visit(view))


# Pages that go on without the session


GoOn = Callable[[Callable[[Any], Any]], Callable[[Any], Any]]


@pytest.fixture(params=["project", "view"])
def go_on(request: pytest.FixtureRequest, configure: Configure) -> GoOn:
    """Makes views go on without the store: by the setting, or each for itself."""
    if request.param == "project":
        configure(ON_STORE_ERROR="anonymous")
        return lambda view: view
    return session_required(on_unavailable="anonymous")


def facts_of(request: Request) -> object:
    """What pages ask of a session, and what they would show."""
    session = request.typed_session
    facts = [session.status.value, session.is_authenticated, session.id, session.is_new, session.expires_at]
    return [*facts, len(session.cart), session.user_name, dict(request.session), request.user.is_anonymous]


async def async_facts_of(request: Request) -> object:
    session = await aget_session(request, ShopSession)
    facts = [session.status.value, session.is_authenticated, session.id, session.is_new, session.expires_at]
    user: Any = await request.auser()
    return [*facts, len(session.cart), session.user_name, dict(await request.session.aitems()), user.is_anonymous]


def test_r01_pages_that_go_on(outage: Outage, go_on: GoOn) -> None:
    """A page that can do without shows what it shows to nobody in particular, and says why; the cookies stay."""
    views = {view: go_on(view) for view in (facts_of, async_facts_of, who, async_who, cart, async_cart)}
    with outage.lasting() as browser:
        told = {view.__name__: browser.visit(views[view]) for view in views}
    assert {(answer.status, *answer.ours) for answer in told.values()} == {(200,)}
    nobody = "['unavailable', False, None, True, None, 0, None, {}, True]"
    assert told["facts_of"].text.replace("''", "None") == told["async_facts_of"].text.replace("''", "None") == nobody
    assert told["who"].text == told["async_who"].text == "anonymous anonymous None"
    assert told["cart"].text == told["async_cart"].text == "[] None"


def test_r01_changes_on_pages_that_go_on(outage: Outage, go_on: GoOn, user: User) -> None:
    """What would change the session, end it, or sign in to it, is a 503 also there, and nothing becomes of it."""
    changes = [go_on(view) for view in (*CHANGES, *ENDS, sign_in(user, remember=True), async_sign_in(user))]
    with outage.lasting() as browser:
        for view in changes:
            expect_unavailable(browser.visit(view))


def test_r01_options_of_pages_that_go_on(outage: Outage, go_on: GoOn) -> None:
    """A page that declares its session to be only read, or not to be used by it, goes on too."""
    views = [go_on(option(view)) for option in (session_readonly, session_passive) for view in (who, async_who)]
    with outage.lasting() as browser:
        assert {browser.visit(view).text for view in views} == {"anonymous anonymous None"}


def test_r01_pages_that_go_on_are_kept_by_no_cache(outage: Outage, go_on: GoOn) -> None:
    """What is shown without the session is not shown again when it is there."""
    view = go_on(who)
    with outage.lasting() as browser:
        answer = browser.visit(view)
    assert "Cookie" in answer["Vary"]
    assert "no-store" in answer["Cache-Control"]


def test_r01_the_store_is_asked_once(valkey_browser: Browser, valkey: RedisServer, go_on: GoOn) -> None:
    """A page that goes on does not wait for a store that hangs each time that it looks at the session."""
    view = go_on(facts_of)
    valkey.freeze()
    began = time.monotonic()
    assert valkey_browser.visit(view).status == 200
    assert time.monotonic() - began < 2 * TIME_LIMITS["socket_timeout"]
    valkey.thaw()


def test_r01_views_that_do_not_go_on(outage: Outage, configure: Configure) -> None:
    """One view that goes on is not all of them, and one that needs a session needs it also if the others do not."""
    lenient, strict = session_required(on_unavailable="anonymous")(who), session_required(who)
    with outage.lasting() as browser:
        assert browser.visit(lenient).status == 200
        expect_unavailable(browser.visit(who))
        configure(ON_STORE_ERROR="anonymous")
        expect_unavailable(browser.visit(strict))


def test_r01_visitors_of_a_site_that_goes_on(outage: Outage, configure: Configure) -> None:
    """Who has no token is a new visitor to such a site, as ever; whoever wants to begin a session is told to wait."""
    configure(ON_STORE_ERROR="anonymous")
    with outage.lasting() as browser:
        visitor = Browser(browser.ask)
        assert visitor.visit(status).text == "fresh -"
        for view in (put_in_cart(), async_put_in_cart):
            expect_unavailable(visitor.visit(view))


# Servers that refuse to write


Refusal = Callable[[RedisServer], Callable[[], object]]


def _full(server: RedisServer) -> Callable[[], object]:
    server.run("CONFIG", "SET", "maxmemory", 1)
    return lambda: server.run("CONFIG", "SET", "maxmemory", 0)


def _read_only(server: RedisServer) -> Callable[[], object]:
    server.run("REPLICAOF", "127.0.0.1", 1)
    return lambda: server.run("REPLICAOF", "NO", "ONE")


def _alone(server: RedisServer) -> Callable[[], object]:
    server.run("CONFIG", "SET", "min-replicas-to-write", 1)
    return lambda: server.run("CONFIG", "SET", "min-replicas-to-write", 0)


def _unable_to_save(server: RedisServer) -> Callable[[], object]:
    server.run("CONFIG", "SET", "save", "3600 1")
    shutil.rmtree(server.client().config_get("dir")["dir"] or "")
    server.run("BGSAVE")
    wait_until(
        lambda: server.client().info("persistence")["rdb_last_bgsave_status"] == "err", "the failure of the snapshot"
    )
    return lambda: server.run("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")


REFUSALS: dict[str, Refusal] = {
    "OOM": _full,
    "READONLY": _read_only,
    "NOREPLICAS": _alone,
    "MISCONF": _unable_to_save,
}


@pytest.fixture
def expendable(valkey: RedisServer, settings: Settings) -> Iterator[RedisServer]:
    """A server of its own, which the redis engine uses, with a directory that may vanish."""
    directory = new_path()
    directory.mkdir()
    try:
        with RedisServer(valkey.binary, "--dir", str(directory)) as server:
            entry = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url}
            settings.CACHES = {**settings.CACHES, "expendable": entry}
            yield server
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.parametrize("goes_on", [False, True], ids=["error", "anonymous"])
@pytest.mark.parametrize("refusal", REFUSALS)
def test_r07_writes_are_refused(
    refusal: str,
    goes_on: bool,
    expendable: RedisServer,
    use_engine: UseEngine,
    settings: Settings,
    new_browser: NewBrowser,
    configure: Configure,
    user: User,
) -> None:
    """A server that only refuses to write serves who reads, and who writes gets the 503, whatever pages do without."""
    use_engine("redis")
    settings.SESSION_CACHE_ALIAS = "expendable"
    if goes_on:
        configure(ON_STORE_ERROR="anonymous")
    browser = new_browser()
    browser.visit(sign_in(user, remember=True))
    browser.visit(put_in_cart())
    allow = REFUSALS[refusal](expendable)
    for view in (*CHANGES, sign_in(user), async_sign_in(user)):
        expect_unavailable(browser.visit(view))
    for view in (cart, async_cart):
        assert browser.visit(view).text == "['a'] a"
    if refusal == "OOM":  # where there is no memory for a tombstone the session ends without one
        assert browser.visit(sign_out).ours == {"ss-id": "", "ss-pid": "", "ss-opt": ""}
        assert browser.visit(who).text == "anonymous anonymous None"
    else:
        for view in ENDS:
            expect_unavailable(browser.visit(view))
        assert browser.visit(who).text.startswith("ada ada")
    allow()
    assert browser.visit(put_in_cart("b")).status == 200
    assert browser.visit(cart).text == ("['b'] b" if refusal == "OOM" else "['a', 'b'] b")


# Databases


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
