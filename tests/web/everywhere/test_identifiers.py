"""Tokens and ids (REQ-S02 to REQ-S10): what a client may send, what opens a session, and what never does."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import caches
from django.dispatch import Signal
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django_redis import get_redis_connection

from tests.web.browser import ID, PID, ApiClient, Browser
from tests.web.everywhere.visitors import NewVisitor, is_nobody, is_signed_in, tokens_of, with_token
from tests.web.matrix import each_engine, each_way
from tests.web.signing import cart, put_in_cart, sign_in, sign_out, status, who
from tests.web.stored import count
from typed_sessions import SessionMode, signals, tokens
from typed_sessions.backends import cached_db, db, redis
from typed_sessions.backends.base import SessionStore
from typed_sessions.models import StoredSession
from typed_sessions.stores.byte_cache import byte_cache
from typed_sessions.testing.engines import MALFORMED, Clock, Verbs

MODES = ["temp", "perm"]

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def sent() -> Iterator[list[dict[str, Any]]]:
    """Everything that receivers of this app's signals are given."""
    sent: list[dict[str, Any]] = []

    def receiver(**kwargs: Any) -> None:
        sent.append(kwargs)

    ours = [signal for signal in vars(signals).values() if isinstance(signal, Signal)]
    for signal in ours:
        signal.connect(receiver)
    yield sent
    for signal in ours:
        signal.disconnect(receiver)


def sendable(text: str) -> str:
    """As servers hand on what comes in a header: bytes as characters, without what ends a header."""
    return text.encode().decode("latin-1").replace("\r", "").replace("\n", "").replace("\0", "")


@each_way
@pytest.mark.parametrize("mode", MODES)
def test_s02_what_is_no_token_reaches_nobody(
    new_visitor: NewVisitor,
    engine: type[SessionStore],
    verbs: Verbs,
    sent: list[dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
    mode: str,
) -> None:
    """Whatever is sent in a token's place opens nothing, and no store, log or receiver learns of it."""
    caplog.set_level(logging.DEBUG)
    visitor = new_visitor()
    for text in (*MALFORMED, "", " ", '"…"' * 10, "%0d%0a" * 9, "a" * 39):
        value = sendable(text)
        stranger = with_token(visitor, value, mode)
        assert is_nobody(stranger), ascii(text[:50])
        stranger.visit(sign_out)
        if len(value.strip()) > 8:
            assert value not in caplog.text
    assert verbs.take() == []
    assert sent == []
    assert count(engine) == 0


@each_way
@pytest.mark.parametrize("mode", MODES)
def test_s02_forged_token_costs_nothing(new_visitor: NewVisitor, verbs: Verbs, mode: str) -> None:
    """A token with one character changed is told from a genuine one without the store."""
    visitor = new_visitor()
    genuine = tokens.issue(SessionMode(mode))
    for place in range(0, 40, 3):
        forged = genuine[:place] + ("0" if genuine[place] != "0" else "1") + genuine[place + 1 :]
        assert is_nobody(with_token(visitor, forged, mode))
    assert verbs.take() == []


@each_way
@pytest.mark.parametrize("mode", MODES)
def test_s03_unknown_token_is_never_adopted(
    new_visitor: NewVisitor, engine: type[SessionStore], verbs: Verbs, mode: str
) -> None:
    """A genuine token that the store does not know costs one read, and whatever is stored then has another."""
    presented = tokens.issue(SessionMode(mode))
    stranger = with_token(new_visitor(), presented, mode)
    assert is_nobody(stranger)
    assert verbs.take() == ["load"]
    answer = stranger.visit(put_in_cart())
    if isinstance(stranger, ApiClient):
        assert (answer.status, answer.told) == (401, {})
        assert count(engine) == 0
        stranger.forget()
        stranger.visit(put_in_cart())
    assert presented not in tokens_of(stranger)
    assert stranger.visit(cart).text == "['a'] a"
    assert not engine().exists(presented)
    assert count(engine) == 1


@each_way
def test_s05_id_is_no_token(new_visitor: NewVisitor, user: User, verbs: Verbs) -> None:
    """The id, which logs and pages show, opens nothing, and costs nothing."""
    visitor = new_visitor()
    handle = visitor.visit(sign_in(user)).text.split()[1]
    assert handle == tokens.digest(visitor.token)
    verbs.take()
    for text in (handle, tokens.urn(handle)):
        for mode in MODES:
            assert is_nobody(with_token(visitor, text, mode))
    assert verbs.take() == []


def move(engine: type[SessionStore], mine: str, theirs: str) -> None:
    """What is stored for one token is put in the place of what is stored for another."""
    source, target = tokens.digest(mine), tokens.digest(theirs)
    if issubclass(engine, db.SessionStore):
        StoredSession.objects.filter(pk=target).delete()
        StoredSession.objects.filter(pk=source).update(id=target)
    elif issubclass(engine, redis.SessionStore):
        get_redis_connection(settings.SESSION_CACHE_ALIAS).rename(tokens.urn(source), tokens.urn(target))
    else:
        cache = byte_cache(settings.SESSION_CACHE_ALIAS)
        assert cache.get(tokens.urn(source))
        cache.set(tokens.urn(target), cache.get(tokens.urn(source)), 60)


@each_way
def test_s06_record_of_another_opens_nothing(
    new_visitor: NewVisitor,
    engine: type[SessionStore],
    user: User,
    other_user: User,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A record in another one's place is nobody's, and the security log is told once a request, without the token."""
    ada, grace = new_visitor(), new_visitor()
    ada.visit(sign_in(user))
    grace.visit(sign_in(other_user))
    grace.visit(put_in_cart("canary"))
    if issubclass(engine, cached_db.SessionStore):
        caches[settings.SESSION_CACHE_ALIAS].clear()  # the marks that the writes have left
        assert is_signed_in(ada)
        assert is_signed_in(grace, "grace")  # both are copied now
    move(engine, grace.token, ada.token)
    caplog.clear()
    answer = ada.visit(who)
    assert "grace" not in answer.text
    if issubclass(engine, cached_db.SessionStore):
        assert answer.text.startswith("ada ada")  # the copy was wrong, and the database is right
    else:
        assert answer.text == "anonymous anonymous None" or answer.status == 401
    told = [record for record in caplog.records if "typed_sessions" in record.name]
    assert len(told) == 1
    assert tokens.digest(ada.token) in told[0].getMessage()
    assert ada.token not in caplog.text
    assert "canary" not in ada.visit(cart).text


@each_way
@pytest.mark.parametrize("remember", [False, True])
def test_s07_token_of_the_other_mode_opens_nothing(
    new_visitor: NewVisitor, user: User, verbs: Verbs, remember: bool
) -> None:
    """A temporary token in the permanent place, or the other way about, opens nothing, and the store is not asked."""
    visitor = new_visitor()
    visitor.visit(sign_in(user, remember))
    verbs.take()
    wrong = with_token(visitor, visitor.token, "temp" if remember else "perm")
    assert is_nobody(wrong)
    answer = wrong.visit(status)
    assert answer.text == "rejected -" or answer.status == 401
    assert verbs.take() == []
    assert is_signed_in(visitor)


def windows(text: str, width: int = 8) -> set[str]:
    """Every run of characters in it, so that what was derived from another by cutting or shifting is found."""
    return {text[start : start + width] for start in range(31 - width)}


def test_s08_draws_are_independent() -> None:
    """In 10,000 sign-ins both tokens and the CSRF secret have no run of characters in common, and none comes again."""
    seen: set[str] = set()
    for _ in range(10_000):
        request = HttpRequest()
        get_token(request)
        drawn = [tokens.issue(SessionMode.TEMP), tokens.issue(SessionMode.PERM), request.META["CSRF_COOKIE"].lower()]
        assert len(set.union(*map(windows, drawn))) == sum(len(windows(text)) for text in drawn)
        seen.update(text[:31] for text in drawn)
    assert len(seen) == 30_000


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(("engine", "handler"), [("cache", "wsgi")], indirect=True)
def test_s08_cookies_tell_nothing_of_each_other(browser: Browser, user: User) -> None:
    """So it is with the cookies that sign-ins set, one after the other in one browser."""
    seen: set[str] = set()
    for times in range(1, 501):
        browser.visit(sign_in(user, remember=True))
        drawn = [browser.cookies[name].lower() for name in (ID, PID, "csrftoken")]
        assert len(set.union(*map(windows, drawn))) == sum(len(windows(text)) for text in drawn)
        seen.update(text[:31] for text in drawn)
        assert len(seen) == 3 * times


@each_way
@pytest.mark.parametrize("end", ["expired", "signed out", "flushed"])
def test_s09_dead_token_never_lives_again(
    new_visitor: NewVisitor, engine: type[SessionStore], user: User, clock: Clock, end: str
) -> None:
    """A session that has expired or ended stays so, whatever its visitor does, and the next one has another token."""
    visitor = new_visitor()
    visitor.visit(sign_in(user))
    token = visitor.token
    dead = visitor.copy()
    if end == "expired":
        clock.advance(15 * 24 * 3600)
    else:
        visitor.copy().visit(sign_out if end == "signed out" else lambda request: request.session.flush())
    assert is_nobody(dead)
    for view in (put_in_cart(), sign_in(user)):
        later = dead.copy()
        answer = later.visit(view)
        if isinstance(later, ApiClient):
            assert (answer.status, answer.told) == (401, {})
            later.forget()
            later.visit(view)
        assert later.token != token
        assert not engine().exists(token)
        assert is_nobody(dead)


@each_way
def test_s10_empty_token_is_shared_by_nobody(new_visitor: NewVisitor, engine: type[SessionStore], user: User) -> None:
    """Visitors with an empty token have no session in common, and each gets a token."""
    first, second = (with_token(new_visitor(), "", mode) for mode in MODES)
    for visitor, sku in ((first, "a"), (second, "b")):
        answer = visitor.visit(put_in_cart(sku))
        if isinstance(visitor, ApiClient):
            assert answer.status == 401
            visitor.forget()
            visitor.visit(put_in_cart(sku))
    assert first.visit(cart).text == "['a'] a"
    assert second.visit(cart).text == "['b'] b"
    assert len(tokens_of(first) | tokens_of(second)) == 2
    assert count(engine) == 2


@each_engine
@pytest.mark.parametrize("key", [None, "", " "])
@pytest.mark.django_db
def test_s10_empty_key_of_the_engine(engine: type[SessionStore], key: str | None) -> None:
    """The engine neither finds nor deletes anything by an empty key, and saves under a key of its own."""
    session = engine(key)
    session["color"] = "red"
    session.save()
    stored = session.session_key
    assert stored
    assert stored != key
    assert not engine().exists(key)
    engine(key).delete(key)
    engine().delete(key)
    assert engine(key).load() == {}
    assert engine(stored)["color"] == "red"
