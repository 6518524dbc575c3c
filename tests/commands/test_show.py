"""`typed_sessions show`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum

import pytest
from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.auth.models import User

from tests.commands.conftest import UNKNOWN, Run, damage, id_of
from tests.sessions import CartLine, ShopSession
from tests.web.browser import Browser
from tests.web.signing import put_in_cart, sign_out, write_to
from typed_sessions import EndReason, live_sessions, session_field, tokens
from typed_sessions.backends.base import SessionStore
from typed_sessions.shown import plain
from typed_sessions.stores import wire
from typed_sessions.stores.record import Record
from typed_sessions.testing.engines import Clock
from typed_sessions.testing.stores import fields, full_record, new_record

pytestmark = pytest.mark.usefixtures("engine")
few = pytest.mark.parametrize("engine", ["db", "redis"], indirect=True)


def test_facts(
    run: Run, signed_in: Callable[..., Browser], engine: type[SessionStore], user: User, clock: Clock
) -> None:
    """Who, since when, until when, from where, how large, and how often saved."""
    browser = signed_in(user, remember=True)
    began = clock.now
    clock.advance(60)
    browser.visit(put_in_cart("cup"), user_agent="Other/2")
    clock.advance(3600)
    record = engine().store.load(id_of(browser))
    assert isinstance(record, Record)
    facts = run("show", id_of(browser), "--json").json
    for name in ("fields", "bag"):
        del facts[name]

    def at(seconds: int) -> str:
        return datetime.fromtimestamp(seconds, tz=timezone.utc).isoformat()

    assert facts == {
        "id": id_of(browser),
        "urn": tokens.urn(id_of(browser)),
        "status": "live",
        "user": str(user.pk),
        "user_name": "ada",
        "mode": "perm",
        "class": "ShopSession",
        "version": 1,
        "created": at(began),
        "authenticated": at(began),
        "modified": at(began + 60),
        "last_seen": at(began + 60),
        "expires": at(began + 60 + 28 * 86_400),
        "expires_in": 28 * 86_400 - 3600,
        "absolute_end": at(began + 90 * 86_400),
        "address": "127.0.0.1",
        "agent": "Other/2",
        "first_address": "127.0.0.1",
        "first_agent": "",
        "bytes": len(wire.encode(record)),
        "saves": record.revision,
        "unreadable": {},
    }


def test_for_people(run: Run, signed_in: Callable[..., Browser], user: User) -> None:
    """The same by lines: facts, fields and bag."""
    browser = signed_in(user)
    said = run("show", id_of(browser))
    lines = {line[0]: line[1:] for line in said.lines if line}
    assert said.code == 0
    assert lines["id"] == [id_of(browser)]
    assert lines["user"] == [f"ada ({user.pk})"]
    assert lines["expires"][0].endswith("(in 14 d)")
    assert lines["currency"] == ['"EUR"']
    assert lines["cart"][0].startswith('[{"sku": "tea", "quantity": 1, "price": "0.00"')
    assert lines["seen"] == ['"tea"']


def test_urn(run: Run, visitor: Callable[[], Browser]) -> None:
    """An id may be given with what stands before it in the store."""
    session_id = id_of(visitor())
    assert run("show", f"urn:iauthsession:{session_id}", "--json").json == run("show", session_id, "--json").json


def test_s86_secrets(run: Run, signed_in: Callable[..., Browser], user: User) -> None:
    """No token, no secret field, no password hash of Django's and no CSRF secret is told, to people or programs."""
    browser = signed_in(user)
    browser.visit(write_to("gift_note", "for Bob"))

    def put(request: object) -> str:
        session = request.session  # type: ignore[attr-defined]  # a request has one
        session.update({"_csrftoken": "x" * 32, "_password_reset_token": "abc-def"})
        return str(session[HASH_SESSION_KEY])

    digest = browser.visit(put).text
    assert digest
    for options in ([], ["--json"]):
        out = run("show", id_of(browser), *options).out
        for secret in (browser.token, "for Bob", digest, "x" * 32, "abc-def"):
            assert secret not in out
    told = run("show", id_of(browser), "--json").json
    assert told["fields"]["gift_note"] == "(hidden)"
    assert {name for name, value in told["bag"].items() if value == "(hidden)"} == {
        HASH_SESSION_KEY,
        "_csrftoken",
        "_password_reset_token",
    }
    assert told["bag"]["_auth_user_id"] == str(user.pk)


def test_looking_extends_nothing(run: Run, visitor: Callable[[], Browser], clock: Clock) -> None:
    """A session that was shown expires when it would have."""
    session_id = id_of(visitor())
    before = live_sessions.get(session_id)
    clock.advance(3600)
    run("show", session_id)
    after = live_sessions.get(session_id)
    assert (after.expires_at, after.last_seen_at) == (before.expires_at, before.last_seen_at)


def test_ended(run: Run, signed_in: Callable[..., Browser], user: User, clock: Clock) -> None:
    """Of a session that ended there is left when, and why."""
    browser, other = signed_in(user), signed_in(user)
    session_id, ended = id_of(browser), datetime.fromtimestamp(clock.now, tz=timezone.utc)
    browser.visit(sign_out)
    live_sessions.end(id_of(other), EndReason.OVER_LIMIT)
    clock.advance(600)
    said = run("show", session_id, "--json")
    assert said.code == 0
    assert said.json == {"id": session_id, "status": "ended", "ended": ended.isoformat(), "reason": "logged_out"}
    assert run("show", id_of(other)).lines[2] == ["reason", "over_limit"]


def test_expired(run: Run, visitor: Callable[[], Browser], clock: Clock) -> None:
    """A session whose time is over is not called live, before a reaper comes and after."""
    session_id = id_of(visitor())
    clock.advance(15 * 86_400)
    assert run("show", session_id, "--json").json["status"] == "expired"
    assert "(in " not in run("show", session_id).out
    live_sessions.reap()
    assert run("show", session_id).code in (0, 1)  # whether a tombstone has to stay is the store's business


def test_unknown(run: Run) -> None:
    """What is no session is an error that tells no more of it than its beginning: it could be a token."""
    said = run("show", UNKNOWN)
    assert (said.code, said.out) == (1, "")
    assert said.err == "There is no session with the id '00000000…', and none that ended a short while ago."
    for text in ("x", "☃", "{lists}:samples", "", UNKNOWN.upper() + "A"):
        said = run("show", text)
        assert said.code == 2
        assert "is no id of a session" in said.err


@few
def test_damaged(run: Run, engine: type[SessionStore]) -> None:
    """A record that cannot be read is an error that says so; a part of one that cannot be read is told."""
    store = engine().store
    broken = new_record(store, type="ShopSession", data=fields(store.format, page_views="many"))
    store.create(broken)
    said = run("show", broken.id, "--json")
    assert list(said.json["unreadable"]) == ["ShopSession.page_views"]
    assert "ShopSession.page_views cannot be read" in run("show", broken.id).err
    damage(engine, broken.id)
    said = run("show", broken.id)
    assert said.code == 1
    assert said.err.startswith("There is a record, and it cannot be read: ")


@few
def test_visitor_without_facts(run: Run, engine: type[SessionStore]) -> None:
    """A session that no request has made has no address, and what is not known is a dash."""
    store = engine().store
    record = new_record(store)
    store.create(record)
    lines = {line[0]: line[1] for line in run("show", record.id).lines if len(line) > 1}
    assert [lines[name] for name in ("user", "address", "agent", "signed in", "at the latest")] == ["-"] * 5


@few
def test_user_who_cannot_be(run: Run, engine: type[SessionStore]) -> None:
    """The user of a session may be of another user model by now."""
    store = engine().store
    record = full_record(store, user="no-number")
    store.create(record)
    assert run("show", record.id, "--json").json["user_name"] is None


class Colour(Enum):
    RED = "red"


@dataclass
class Parts:
    colour: Colour = Colour.RED
    tags: set[int] = field(default_factory=lambda: {2, 1})
    prices: dict[Colour, Decimal] = field(default_factory=lambda: {Colour.RED: Decimal("1.50")})
    pair: tuple[int, bool] = (1, True)
    pin: str = session_field(default="1234", secret=True)
    nothing: None = None


def test_values_for_programs() -> None:
    """Every kind of field has its form in JSON, and what is secret deep within is hidden as well."""
    assert plain([Parts()]) == [
        {
            "colour": "red",
            "tags": [1, 2],
            "prices": {"red": "1.50"},
            "pair": [1, True],
            "pin": "(hidden)",
            "nothing": None,
        }
    ]
    assert plain(CartLine("tea"))["options"] == {}
    assert plain(ShopSession)[:6] == "<class"
