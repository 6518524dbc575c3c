"""No token anywhere: not in a store, not in a log, not in what receivers and exceptions say."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.dispatch import Signal

from tests.engines.rows import UseEngine, rows
from tests.servers.redis import RedisServer
from tests.web.browser import ID, PID, Browser
from tests.web.conftest import NewBrowser
from tests.web.signing import Request, cart, put_in_cart, sign_in, sign_out, status, who
from tests.web.stored import raw_records
from tests.web.traffic import Monitor, monitored
from typed_sessions import signals
from typed_sessions.backends.base import SessionStore
from typed_sessions.testing.engines import Clock, Verbs, watched

if TYPE_CHECKING:
    from pytest_django import Settings

SIGNALS: list[Signal] = [signals.on_created, signals.on_authenticated, signals.on_logout, signals.on_undecodable]


def fails(request: Request) -> None:
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

    for signal in SIGNALS:
        signal.connect(receiver)
    yield sent
    for signal in SIGNALS:
        signal.disconnect(receiver)


def live_through(browser: Browser, user: User, engine: type[SessionStore], verbs: Verbs, clock: Clock) -> set[str]:
    """Everything that can happen to a session, with the tokens it had."""
    tokens_seen: set[str] = set()
    views = [
        who,
        put_in_cart(),
        fails,
        too_large,
        unserializable,
        sign_in(user, remember=True),
        cart,
        sign_in(user),
        status,
    ]
    for view in [*views, sign_in(user, remember=True), sign_out, put_in_cart(), who]:
        clock.advance(100)
        browser.visit(view)
        tokens_seen |= {browser.cookies[name] for name in (ID, PID) if name in browser.cookies}
    token = browser.cookies[ID]
    verbs.before("save", lambda: engine(token).flush())
    assert browser.visit(put_in_cart()).status == 400
    browser.copy(ss_id=token[:-1] + "!").visit(status)
    browser.copy(ss_opt="perm", ss_pid=token).visit(status)
    browser.visit(put_in_cart())
    return tokens_seen | {browser.cookies[ID]}


@pytest.mark.parametrize("row", rows("db", "redis", "msgpack", "cached_db", "cache"))
def test_s04_s84_no_token_anywhere(
    row: str,
    use_engine: UseEngine,
    new_browser: NewBrowser,
    user: User,
    clock: Clock,
    sent: list[str],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """No token is in the store, in what the store was asked, in a log at its lowest level, or in what receivers got."""
    engine = use_engine(row)
    server: RedisServer = request.getfixturevalue("valkey")
    caplog.set_level(logging.DEBUG)
    with monitored(server) as monitor:
        tokens_seen = live_through(new_browser(), user, engine, watched(engine, monkeypatch), clock)
        commands = _asked(monitor)
    assert len(tokens_seen) >= 6
    written = [
        caplog.text,
        *(str(vars(record)) for record in caplog.records if not record.name.startswith("django.db")),
    ]
    statements = [str(vars(record)) for record in caplog.records if record.name.startswith("django.db")]
    _expect_none(tokens_seen, written, statements, commands, sent, [_dump(server)], [*capfd.readouterr()])
    assert "ShopSession.page_views" in caplog.text
    if row in ("redis", "msgpack"):
        assert commands
        assert raw_records(engine)


def _asked(monitor: Monitor) -> list[str]:
    return monitor.take()


def _dump(server: RedisServer) -> str:
    """Everything in Redis and in the database."""
    connection.ensure_connection()
    assert connection.connection is not None
    parts = [str((key, server.client().type(key), _value(server, key))) for key in server.client().keys("*")]
    return "\n".join([*parts, *connection.connection.iterdump()])


def _value(server: RedisServer, key: bytes | str) -> object:
    client: Any = server.client()
    return client.get(key) if client.type(key) == b"string" else client.zrange(key, 0, -1)


def _expect_none(tokens_seen: set[str], *places: list[str]) -> None:
    for place in places:
        for text in place:
            for token in tokens_seen:
                assert token not in text
                # Nor the random part of it, which the rest can be worked out from.
                assert token[:20] not in text


def test_s84_errors_and_representations(browser: Browser, user: User, engine: type[SessionStore]) -> None:
    """Nothing that a view can print of its session has the token in it, but the key itself."""
    browser.visit(sign_in(user))

    def view(request: Request) -> str:
        session = request.typed_session
        things = [session, request.session, *vars(request.session).values(), session.urn, *(session.__dict__.values())]
        return " ".join(f"{thing!r} {thing!s}" for thing in things if thing != request.session.session_key)

    text = browser.visit(view).text
    assert "ada" in text
    assert browser.cookies[ID] not in text


def test_s85_page_of_an_error(browser: Browser, user: User, settings: Settings) -> None:
    """REQ-S04: a failing page shows no token to the visitor."""
    browser.visit(sign_in(user))
    answer = browser.visit(fails)
    assert answer.status == 500
    assert browser.cookies[ID] not in answer.text


def test_s84_pickles(browser: Browser, user: User) -> None:
    """The engine's session refuses to be pickled, and a pickled typed session has its fields and no token."""
    browser.visit(sign_in(user, remember=True))
    pickled: list[bytes] = []

    def view(request: Request) -> None:
        with pytest.raises(TypeError, match="typed_session"):
            pickle.dumps(request.session)
        pickled.append(pickle.dumps(request.typed_session))

    assert browser.visit(view).status == 200
    assert not any(value.encode() in pickled[0] for value in browser.cookies.values() if len(value) == 40)
    again = pickle.loads(pickled[0])
    assert (again.user_name, again.id, again.is_authenticated) == ("ada", None, False)
