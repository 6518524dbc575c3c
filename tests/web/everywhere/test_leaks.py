"""No token anywhere: not in a store, a log, a signal, an exception, or a report of an error."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.exceptions import DisallowedHost
from django.db import connection
from django.dispatch import Signal
from django.http import HttpResponse
from django.utils.log import AdminEmailHandler
from django.views.debug import get_default_exception_reporter_filter

from tests.servers.redis import RedisServer
from tests.web.browser import ID, PID, Answer, ApiClient, Browser
from tests.web.conftest import PASSWORD, NewBrowser
from tests.web.everywhere.visitors import NewVisitor, Visitor, tokens_of, with_token
from tests.web.matrix import TRANSACTIONAL, each_engine_once, each_way
from tests.web.signing import Request, async_sign_in, async_sign_out, cart, put_in_cart, sign_in, status, who
from tests.web.stored import raw_records
from tests.web.traffic import Monitor, monitored
from tests.web.urls import View
from typed_sessions import signals
from typed_sessions.backends import redis
from typed_sessions.backends.base import SessionStore
from typed_sessions.debug import TypedSessionExceptionReporterFilter
from typed_sessions.exceptions import StoreUnavailable
from typed_sessions.live import live_sessions
from typed_sessions.testing.engines import Clock, Configure, Verbs

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.usefixtures("engine")

OUR_SIGNALS = [signal for signal in vars(signals).values() if isinstance(signal, Signal)]


def wrong_type(request: Request) -> None:
    request.typed_session.page_views = "many"  # type: ignore[assignment]  # what is refused


def too_large(request: Request) -> None:
    request.session["text"] = "x" * 100_000


def unserializable(request: Request) -> None:
    request.session["text"] = object()


@pytest.fixture
def sent() -> Iterator[list[str]]:
    """What receivers were given, as a log would show it."""
    sent: list[str] = []

    def receiver(**kwargs: Any) -> None:
        sent.extend(f"{value!r} {value!s}" for value in kwargs.values())

    for signal in OUR_SIGNALS:
        signal.connect(receiver)
    yield sent
    for signal in OUR_SIGNALS:
        signal.disconnect(receiver)


def live_through(
    visitor: Visitor, user: User, engine: type[SessionStore], verbs: Verbs, clock: Clock, configure: Configure
) -> set[str]:
    """Everything that can happen to a session, with the tokens it had."""
    seen: set[str] = set()

    def refused(request: Request) -> None:
        assert authenticate(request, username="ada", password="wrong", remember=True) is None

    def go(*views: View) -> None:
        for view in views:
            clock.advance(100)
            visitor.visit(view)
            seen.update(tokens_of(visitor))

    go(who, put_in_cart(), wrong_type, too_large, unserializable, refused)
    go(sign_in(user, remember=True), cart, async_sign_in(user), status, sign_in(user, remember=True), async_sign_out)
    if isinstance(visitor, ApiClient):
        assert visitor.visit(who).status == 401
        visitor.forget()
    configure(USER_SNAPSHOT_AGE=60, USER_COOKIE=True, PERMANENT_ID="always", CLEAR_SITE_DATA=["cache"])
    go(put_in_cart(), who, sign_in(user), lambda request: request.user.is_staff, put_in_cart())
    token = visitor.token
    verbs.before("save", lambda: engine(token).flush())
    assert visitor.visit(put_in_cart()).status == 400
    for mode in ("temp", "perm"):
        for made_up in (token, token[:-1] + "!", token[:-1] + ("0" if token[-1] != "0" else "1")):
            with_token(visitor, made_up, mode).visit(status)
    Browser(visitor.ask).visit(status, cookie=f"ss-id={token}; ss-id={min(seen)}")
    fresh = ApiClient(visitor.ask) if isinstance(visitor, ApiClient) else Browser(visitor.ask)
    fresh.visit(sign_in(user))
    handle = fresh.visit(who).text.split()[-1]
    assert live_sessions.get(handle)
    if live_sessions.can_list:
        assert str(live_sessions.for_user(user))
    assert live_sessions.end(handle)
    fresh.visit(status)
    return seen | tokens_of(fresh) | {token}


@each_way
def test_s04_s84_no_token_anywhere(
    new_visitor: NewVisitor,
    engine: type[SessionStore],
    user: User,
    clock: Clock,
    verbs: Verbs,
    configure: Configure,
    sent: list[str],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    """No token is in the store, in what the store was asked, in a log at its lowest level, or in what receivers got."""
    server: RedisServer = request.getfixturevalue("valkey")
    configure(CODEC="msgpack" if issubclass(engine, redis.SessionStore) else "json")
    caplog.set_level(logging.DEBUG)
    with monitored(server) as monitor:
        seen = live_through(new_visitor(), user, engine, verbs, clock, configure)
        commands = _asked(monitor)
    assert len(seen) >= 6
    for_sql = [record for record in caplog.records if record.name.startswith("django.db")]
    others = [record for record in caplog.records if not record.name.startswith("django.db")]
    logged = [caplog.text, *(str(vars(record)) for record in others)]
    stored = [str(raw_records(engine)), *_dump(server)]
    expect_none(seen, logged, [str(vars(record)) for record in for_sql], commands, sent, stored, [*capfd.readouterr()])
    assert "ShopSession.page_views" in caplog.text
    assert sent


def _asked(monitor: Monitor) -> list[str]:
    return monitor.take()


def _dump(server: RedisServer) -> list[str]:
    """Everything in Redis and in the database."""
    connection.ensure_connection()
    assert connection.connection is not None
    client: Any = server.client()
    read = {b"string": client.get, b"zset": lambda key: client.zrange(key, 0, -1), b"hash": client.hgetall}
    values = [str((key, read[client.type(key)](key))) for key in client.keys("*")]
    return [*values, *connection.connection.iterdump()]


def expect_none(seen: set[str], *places: list[str]) -> None:
    for place in places:
        for text in place:
            for token in seen:
                assert token not in text
                # Nor the random part of it, which the rest can be worked out from.
                assert token[:20] not in text


@each_way
def test_s84_errors_and_representations(new_visitor: NewVisitor, user: User, engine: type[SessionStore]) -> None:
    """Nothing that a view can print of its session has the token in it, but the key itself."""
    visitor = new_visitor()
    visitor.visit(sign_in(user))

    def view(request: Request) -> str:
        session = request.typed_session
        engine = request.session
        things = [request, session, engine, session.urn, session.client_info, *vars(engine).values()]
        things += session.__dict__.values()
        return " ".join(f"{thing!r} {thing!s}" for thing in things if thing != engine.session_key)

    text = visitor.visit(view).text
    assert "ada" in text
    assert visitor.token not in text


@each_way
def test_s84_exceptions(new_visitor: NewVisitor, user: User, verbs: Verbs) -> None:
    """No exception that a view can catch has the token in what it says or holds."""
    visitor = new_visitor()
    visitor.visit(sign_in(user))
    caught: list[BaseException] = []

    def view(request: Request) -> None:
        for spoil in (wrong_type, too_large, unserializable, put_in_cart()):
            try:
                spoil(request)
                verbs.before("save", _no_answer)
                request.session.save()
            except Exception as error:
                caught.append(error)
            request.session.pop("text", None)
            request.typed_session.page_views = 0

    assert visitor.visit(view).status < 600
    assert len(caught) >= 4
    held = [f"{error!r} {error!s} {vars(error)} {error.args}" for error in caught]
    expect_none({visitor.token}, held)


def _no_answer() -> None:
    raise StoreUnavailable("The store does not answer, says the test.")


@each_engine_once
@pytest.mark.parametrize("transport", ["cookie"], indirect=True)
def test_s84_pickles(new_visitor: NewVisitor, user: User) -> None:
    """The engine's session refuses to be pickled, and a pickled typed session has its fields and no token."""
    visitor = new_visitor()
    visitor.visit(sign_in(user, remember=True))
    pickled: list[bytes] = []

    def view(request: Request) -> None:
        with pytest.raises(TypeError, match="typed_session"):
            pickle.dumps(request.session)
        pickled.append(pickle.dumps(request.typed_session))

    assert visitor.visit(view).status == 200
    assert not any(token.encode() in pickled[0] for token in tokens_of(visitor))
    again = pickle.loads(pickled[0])
    assert (again.user_name, again.id, again.is_authenticated) == ("ada", None, False)


# Reports of errors. Under ASGI Django makes them in a thread of its own, with a connection that sees what is committed.


def raises(request: Request) -> None:
    session, key, cookies, headers = request.session, request.session.session_key, request.COOKIES, request.headers
    meta, nested = dict(request.META), {"deep": [("down", {"here": request.session.session_key})]}
    raise RuntimeError(f"of {len(headers) + len(meta) + len(nested) + len(cookies)} things {bool(key and session)}")


async def raises_asynchronously(request: Request) -> None:
    await request.session.aget("x")
    raises(request)


def raises_after_sign_in(user: User) -> View:
    def view(request: Request) -> None:
        sign_in(user, remember=True)(request)
        request.session.save()
        raises(request)

    return view


class Mails(AdminEmailHandler):
    """Of errors, as they would be sent to the administrators."""

    def __init__(self) -> None:
        super().__init__(include_html=True)
        self.sent: list[str] = []

    def send_mail(self, subject: object, message: object, *args: Any, **kwargs: Any) -> None:
        self.sent += [str(subject), str(message), kwargs["html_message"]]


@pytest.fixture
def mails() -> Iterator[list[str]]:
    handler = Mails()
    logging.getLogger("django").addHandler(handler)
    yield handler.sent
    logging.getLogger("django").removeHandler(handler)


def failing_views(user: User) -> list[View]:
    return [raises, raises_asynchronously, wrong_type, too_large, unserializable, raises_after_sign_in(user)]


def expect_reports(texts: list[str], seen: set[str]) -> None:
    """They are reports of our requests, and hold no token."""
    assert any(name in text for text in texts for name in ("HTTP_COOKIE", "HTTP_X_SS_PID", "HTTP_X_SS_ID"))
    expect_none(seen, texts)


@TRANSACTIONAL
@each_way
def test_s85_mail_of_an_error(
    new_visitor: NewVisitor, user: User, mails: list[str], configure: Configure, handler: str
) -> None:
    """The mail that tells of a failing page, as text and as HTML, holds none of the tokens that came or were made."""
    configure(USER_COOKIE=True)
    visitor, seen = new_visitor(), set()
    visitor.visit(put_in_cart())
    seen |= tokens_of(visitor)
    visitor.visit(sign_in(user, remember=handler == "wsgi"))
    seen |= tokens_of(visitor)
    for view in failing_views(user):
        mails.clear()
        assert visitor.visit(view).status == 500
        seen |= tokens_of(visitor)
        assert len(mails) >= 3
        expect_reports(mails, seen)


@TRANSACTIONAL
@each_way
def test_s85_debug_page(new_visitor: NewVisitor, user: User, settings: Settings, handler: str) -> None:
    """Django's page of an error, for people and for machines, holds none of the tokens that came or were made."""
    settings.DEBUG = True
    visitor, seen = new_visitor(), set()
    visitor.visit(put_in_cart())
    visitor.visit(sign_in(user, remember=handler == "asgi"))
    pages = [(view, "text/html") for view in failing_views(user)]
    for view, accept in [*pages, (raises, "text/plain")]:
        seen |= tokens_of(visitor)
        answer = visitor.visit(view, Accept=accept)
        assert answer.status == 500
        seen |= tokens_of(visitor)
        expect_reports([answer.text], seen)


@each_way
def test_s85_other_pages_of_django(new_visitor: NewVisitor, user: User, settings: Settings) -> None:
    """Nor do the pages for what is not there, and for what is forbidden, whether or not DEBUG is on."""
    visitor = new_visitor()
    visitor.visit(sign_in(user, remember=True))
    for debug in (False, True):
        settings.DEBUG = debug
        answers = [visitor.get("/nowhere"), visitor.post("/accounts/login/", csrfmiddlewaretoken="x")]
        for answer in answers:
            expect_none(tokens_of(visitor), [_shown(answer)])


def _shown(answer: Answer) -> str:
    """The page, and the headers in which no token is told."""
    told = ("set-cookie", "x-ss-id", "x-ss-pid")
    return answer.text + " ".join(value for name, value in answer.lines if name.lower() not in told)


def outside(get_response: Any) -> Any:
    """A middleware before ours, which fails on the way in."""

    def middleware(request: Any) -> HttpResponse:
        raise RuntimeError("before anybody has looked at the session")

    return middleware


@each_way
def test_s85_error_before_our_middleware(
    new_visitor: NewVisitor, user: User, settings: Settings, mails: list[str], handler: str
) -> None:
    """A report of a request that never reached our middleware holds no token either, be it a wrong host or a fault."""
    visitor = new_visitor()
    visitor.visit(sign_in(user, remember=True))
    settings.DEBUG = debug = handler == "asgi"
    settings.SECURE_SSL_REDIRECT = True
    settings.MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", *settings.MIDDLEWARE]
    failing = another_site(visitor, handler)
    answer = failing.visit(who, host="nobody.invalid")
    assert answer.status == 400
    settings.SECURE_SSL_REDIRECT = False
    settings.MIDDLEWARE = [f"{__name__}.outside", *settings.MIDDLEWARE]
    other = another_site(visitor, handler).visit(who)
    assert other.status == 500
    assert DisallowedHost.__name__ in (answer.text if debug else mails[1])
    expect_none(tokens_of(visitor), [answer.text, other.text], mails)


def another_site(visitor: Visitor, handler: str) -> Visitor:
    """The same visitor in front of a site that has begun anew, with other middleware."""
    from tests.web.browser import HANDLERS

    copy = visitor.copy()
    copy.ask = HANDLERS[handler]()
    return copy


class OwnFilter(TypedSessionExceptionReporterFilter):
    """A project's own, which inherits ours as the check asks."""

    cleansed_substitute = "hidden by the shop"


@pytest.fixture
def own_filter(settings: Settings) -> Iterator[None]:
    """The project has one, which Django looks up once."""
    settings.DEFAULT_EXCEPTION_REPORTER_FILTER = f"{__name__}.{OwnFilter.__name__}"
    found: Any = get_default_exception_reporter_filter
    found.cache_clear()
    yield
    found.cache_clear()


@pytest.mark.usefixtures("own_filter")
@pytest.mark.parametrize("transport", ["cookie", "header"], indirect=True)
@pytest.mark.parametrize(("engine", "handler"), [("db", "wsgi")], indirect=True)
def test_s85_filter_of_the_project(new_visitor: NewVisitor, user: User, mails: list[str]) -> None:
    """A project's own filter is left in place, and hides the tokens if it inherits ours."""
    visitor = new_visitor()
    visitor.visit(sign_in(user, remember=True))
    visitor.visit(raises)
    expect_reports(mails, tokens_of(visitor))
    assert OwnFilter.cleansed_substitute in mails[1]


@each_engine_once
def test_s85_sign_in_that_fails(new_browser: NewBrowser, user: User, mails: list[str]) -> None:
    """Nor does the mail of a sign-in that raised hold the token from before it."""
    browser = new_browser()
    browser.visit(put_in_cart())

    def fails(**kwargs: Any) -> None:
        raise RuntimeError("a receiver of Django's signal")

    from django.contrib.auth.signals import user_logged_in

    user_logged_in.connect(fails)
    try:
        browser.get("/admin/login/")
        assert browser.post("/accounts/login/", username="ada", password=PASSWORD).status == 500
    finally:
        user_logged_in.disconnect(fails)
    expect_none({browser.cookies[ID]}, mails)
    assert PID not in browser.cookies
