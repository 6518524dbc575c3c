"""The page of one session."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as django_settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext, modify_settings
from django_redis import get_redis_connection

from tests.admin.conftest import ADDRESS, FIREFOX, LIST, Begin, Desk, few, ids
from tests.commands.conftest import damage
from typed_sessions import AuthUserSession, EndReason, SessionMode, live_sessions, session_field, tokens
from typed_sessions.admin import LiveSessionAdmin, details
from typed_sessions.admin.locations import Country
from typed_sessions.admin.values import ITEMS
from typed_sessions.backends.base import SessionStore
from typed_sessions.exceptions import StoreUnavailable
from typed_sessions.models import LiveSession
from typed_sessions.stores import wire
from typed_sessions.stores.record import Client, Lease
from typed_sessions.testing.engines import Clock, Verbs
from typed_sessions.testing.stores import fields

if TYPE_CHECKING:
    from pytest_django import Settings

    from tests.web.browser import Answer

DAY = 86_400
NEW_YEAR = "Jan. 15, 2027, 2 a.m."  # the clock of the tests, in the zone of the settings
ATTACK = "<script>alert(1)</script>\"'>&{{ 7|add:7 }}"
VIEW, PAYLOAD, END = "view_livesession", "view_livesession_payload", "end_livesession"
AtDesk = Callable[[User], Desk]


class Colour(Enum):
    RED = "red"


@dataclass
class Card:
    holder: str = "Ada"
    number: str = session_field(default="4111", secret=True)


@dataclass
class Wallet(AuthUserSession):
    schema_version = 3

    pin: str = session_field(default="", secret=True)
    colour: Colour = session_field(default=Colour.RED, secret=True)
    card: Card = field(default_factory=Card)
    limits: dict[str, int] = field(default_factory=dict)
    balance: int = session_field(default=0, renamed_from="money")


def page(desk: Desk, session_id: str) -> Answer:
    answer = desk.get(f"{session_id}/change/")
    assert answer.status == 200
    return answer


def said(answer: Answer, name: str) -> str:
    """What the page says of one of its facts, in words alone; "" if it does not speak of it."""
    found = answer.text.split(f'<div class="form-row field-{name}">')
    if len(found) == 1:
        return ""
    text = found[1].split('<div class="readonly">')[1].split('<div class="form-row')[0].split("</fieldset>")[0]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", text))).strip()


def table(answer: Answer, name: str) -> dict[str, list[str]]:
    """The rows of fields or of the bag: what stands after the name."""
    part = answer.text.split(f'<div class="form-row field-{name}">')[1].split("</fieldset>")[0]
    rows = re.findall(r'<tr><th scope="row"><code>(.*?)</code></th>(.*?)</tr>', part, re.DOTALL)
    cells = {key: re.split(r'</td><td class="tys-value-of">', rest) for key, rest in rows}
    return {
        key: [unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", one)).strip()) for one in all]
        for key, all in cells.items()
    }


def links(answer: Answer, name: str) -> list[str]:
    part = answer.text.split(f'<div class="form-row field-{name}">')[1].split("</fieldset>")[0]
    return [unescape(url) for url in re.findall(r'href="([^"]+)"', part)]


@pytest.fixture
def wallet(settings: Settings, engine: type[SessionStore]) -> Callable[..., dict[str, Any]]:
    """`wallet(**fields)` is what a record of a `Wallet` holds, which is the project's class from then on."""
    settings.TYPED_SESSIONS = {**settings.TYPED_SESSIONS, "SESSION_CLASS": f"{__name__}.Wallet"}

    def made(**values: Any) -> dict[str, Any]:
        return {"type": "Wallet", "schema": 3, "data": fields(engine().store.format, **values)}

    return made


def test_facts(desk: AtDesk, begin: Begin, root: User, user: User, clock: Clock) -> None:
    """Who, since when, until when, what of, how large, and how often saved."""
    client = Client(address=ADDRESS, agent=FIREFOX)
    record = begin(user, ago=3600, mode=SessionMode.PERM, until=clock.now + 90 * DAY, revision=1234, client=client)
    found = page(desk(root), record.id)
    assert said(found, "identifier") == f"{record.id} urn:iauthsession:{record.id}"
    assert said(found, "of_user") == "ada"
    assert links(found, "of_user")[0] == f"/admin/auth/user/{user.pk}/change/"
    assert said(found, "state") == "signed in"
    assert said(found, "kind") == "permanent"
    assert said(found, "stored_as") == "ShopSession, version 1"
    assert said(found, "size") == f"{len(wire.encode(record))} bytes, saved 1,234 times"
    for name in ("created_at", "signed_in_at", "seen_at", "saved_at"):
        assert said(found, name) == "Jan. 15, 2027, 1 a.m. ( 1 hour ago )"
    assert said(found, "expires_at") == "Jan. 29, 2027, 2 a.m. ( in 14 days )"
    assert said(found, "ends_at") == "April 15, 2027, 3 a.m. ( in 3 months )"
    assert links(found, "ending")[0] == f"{LIST}{record.id}/end/"


def test_looking_extends_nothing(
    desk: AtDesk, begin: Begin, root: User, user: User, engine: type[SessionStore], clock: Clock
) -> None:
    """The record is the same before and after, also when it is nearly over."""
    record, at = begin(user, ago=100), desk(root)
    clock.advance(3600)
    page(at, record.id)
    assert engine().store.load(record.id) == record


@few
def test_visitor_without_facts(desk: AtDesk, begin: Begin, root: User) -> None:
    """What nobody knows is a dash, and an anonymous session is no user's."""
    found = page(desk(root), begin(client=None).id)
    assert said(found, "of_user") == said(found, "state") == "anonymous"
    assert said(found, "kind") == "temporary"
    for name in ("signed_in_at", "ends_at", "first_use", "last_use"):
        assert said(found, name) == "-"
    assert said(found, "others") == ""


@few
def test_deleted_user(desk: AtDesk, begin: Begin, root: User) -> None:
    """Of a user who is no more there is the key."""
    assert said(page(desk(root), begin(User(pk=4711)).id), "of_user") == "deleted (4711)"


@few
def test_own_session(desk: AtDesk, root: User) -> None:
    """Who looks at their own session is told so, and cannot end it here."""
    at = desk(root)
    found = page(at, at.id)
    assert said(found, "identifier").endswith("this is you")
    assert said(found, "ending") == ""


@few
def test_lease(desk: AtDesk, begin: Begin, root: User, clock: Clock) -> None:
    """That one request has the session for itself is said while it is so."""
    held, over = (begin(lease=Lease(holder="x", until=clock.now + seconds)) for seconds in (1800, -5))
    at = desk(root)
    words = "anonymous; one request has it for itself until Jan. 15, 2027, 2:30 a.m."
    assert said(page(at, held.id), "state") == words
    assert said(page(at, over.id), "state") == "anonymous"


@few
def test_expired(desk: AtDesk, begin: Begin, root: User, clock: Clock) -> None:
    """A session whose time is over, and that nobody has removed yet, is not called live, nor ended once more."""
    record = begin(ago=60, expires=clock.now - 30)
    found = page(desk(root), record.id)
    assert said(found, "state") == "expired, unused"
    assert said(found, "expires_at").endswith("( over )")
    assert said(found, "ending") == ""


@few
def test_first_and_last_use(desk: AtDesk, begin: Begin, root: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Address, country and device, and the user agent if it says more; and a way to other sessions of the address."""
    monkeypatch.setattr(details, "country_of", lambda address: Country("DE", "Germany") if address == ADDRESS else None)
    client = Client(address=ADDRESS, agent=FIREFOX, last_address="192.0.2.9", last_agent="")
    found = page(desk(root), begin(client=client).id)
    assert said(found, "first_use") == f"{ADDRESS} , Germany, Firefox 140 on Linux {FIREFOX}"
    assert said(found, "last_use") == "192.0.2.9"
    assert links(found, "last_use")[0] == f"{LIST}?q=192.0.2.9"
    found = page(desk(root), begin(client=Client(agent="Till 7")).id)
    assert said(found, "first_use") == said(found, "last_use") == "Till 7"


def test_fields(desk: AtDesk, begin: Begin, root: User, wallet: Callable[..., dict[str, Any]]) -> None:
    """Each field of the class has its name, its declared type and its value, however deep; a secret is hidden."""
    record = begin(**wallet(pin="1234", card={"holder": "Grace", "number": "4222"}, limits={"a day": 500}))
    found = page(desk(root), record.id)
    rows = table(found, "fields_shown")
    assert list(rows)[-5:] == ["pin", "colour", "card", "limits", "balance"]
    assert rows["pin"] == ["str", "hidden"]
    assert rows["colour"] == ["Colour", "hidden"]
    assert rows["card"] == ["Card", "holder Grace number hidden"]
    assert rows["limits"] == ["dict[str, int]", "a day 500"]
    assert rows["user_name"] == ["str | None", "None"]
    assert "Read as Wallet, version 3" in said(found, "fields_shown")
    assert said(found, "trouble") == ""


def test_bag(desk: AtDesk, begin: Begin, root: User, engine: type[SessionStore]) -> None:
    """Django's mapping is shown as well, without what opens something, and up to some size."""
    many = {f"key {number}": number for number in range(ITEMS)}
    bag = fields(engine().store.format, tab={"open": ["offers"]}, _csrftoken="x" * 32, **many)
    found = page(desk(root), begin(bag=bag).id)
    rows = table(found, "bag_shown")
    assert rows["tab"] == ["open offers"]
    assert rows["_csrftoken"] == ["hidden"]
    assert len(rows) == ITEMS
    assert said(found, "bag_shown").endswith("… 2 more")
    assert said(page(desk(root), begin().id), "bag_shown") == "empty"


@few
def test_s86_nothing_of_a_session_is_html(
    desk: AtDesk, begin: Begin, root: User, engine: type[SessionStore], wallet: Callable[..., dict[str, Any]]
) -> None:
    """Whatever visitors put into fields, bag, user agent, address and what is unknown, it is text and no template."""
    bag = fields(engine().store.format, **{ATTACK: ATTACK, "list": [{ATTACK: [ATTACK]}]})
    client = Client(address=ATTACK, agent=ATTACK, last_address=ATTACK + "2", last_agent=f"Mozilla/5.0 {ATTACK}")
    facts = wallet(user_name=ATTACK, limits={ATTACK: 5}, balance=ATTACK, **{ATTACK: ATTACK})
    user = User.objects.create_user(ATTACK)
    record, other = (begin(user, **{"bag": bag, "client": client, **facts}) for _ in range(2))
    found = page(desk(root), record.id)
    assert "<script>alert" not in found.text
    assert "\"'>&" not in found.text
    assert "{{ 7|add:7 }}" in found.text
    assert other.id in ids(found)
    for name in ("of_user", "first_use", "last_use", "fields_shown", "bag_shown", "trouble", "others"):
        assert "<script>alert(1)" in said(found, name), name


def test_s86_no_secret_and_no_token_in_the_page(
    desk: AtDesk,
    begin: Begin,
    root: User,
    user: User,
    engine: type[SessionStore],
    wallet: Callable[..., dict[str, Any]],
) -> None:
    """Not in fields however deep, not in the bag, and not in what is wrong with a field."""
    facts = wallet(pin="canary-1", card={"number": "canary-2"}, colour="canary-3")
    values: dict[str, Any] = {"_auth_user_id": str(user.pk), "_auth_user_hash": "canary-4", "_csrftoken": "canary-5"}
    values |= {"_password_reset_token": "canary-6", "oauth": {"access_token": "canary-7"}}
    record, at = begin(user, **{**facts, "bag": fields(engine().store.format, **values)}), desk(root)
    found = page(at, record.id)
    assert "canary" not in found.text
    assert at.browser.token not in found.text
    assert "Wallet.colour" in said(found, "trouble")
    assert at.browser.token not in page(at, at.id).text


@few
def test_s86_nothing_of_the_envelope_is_html(desk: AtDesk, begin: Begin, root: User) -> None:
    """Nor what somebody with access to the store could write around it: the class, and the user's key."""
    record = begin(User(pk=ATTACK), type=ATTACK)
    found = page(desk(root), record.id)
    assert "<script>alert" not in found.text
    for name in ("of_user", "stored_as", "trouble"):
        assert "<script>alert(1)" in said(found, name), name


@few
def test_what_this_release_does_not_understand(
    desk: AtDesk, begin: Begin, root: User, wallet: Callable[..., dict[str, Any]]
) -> None:
    """Fields that it cannot read, and those that it does not know, are named; a former name of one is known."""
    record = begin(**wallet(limits={"a": "much"}, card={"holder": 5}, money=7, colours=["blue"]))
    found = page(desk(root), record.id)
    words = said(found, "trouble")
    assert "Wallet.limits" in words
    assert "Wallet.card.holder" in words
    assert words.endswith("This release does not know these fields, and keeps them: colours")
    assert table(found, "fields_shown")["balance"] == ["int", "7"]
    found = page(desk(root), begin(**{**wallet(), "type": "Basket"}).id)
    assert "set schema_name = 'Basket'" in said(found, "trouble")


@few
def test_contents_that_are_none(desk: AtDesk, begin: Begin, root: User, wallet: Callable[..., dict[str, Any]]) -> None:
    """A session whose fields or bag are damaged has a page, which says so."""
    record = begin(**wallet())
    redis, key = get_redis_connection(django_settings.SESSION_CACHE_ALIAS), tokens.urn(record.id)
    whole: Any = redis.get(key)
    redis.set(key, whole.replace(b'"data":{}', b'"data":[1]').replace(b'"bag":{}', b'"bag":[2]'), keepttl=True)
    found = page(desk(root), record.id)
    assert [part in said(found, "trouble") for part in ("Wallet", "session")] == [True, True]
    assert said(found, "bag_shown") == "empty"
    assert table(found, "fields_shown")["balance"] == ["int", "0"]


@few
def test_without_the_permission_there_are_facts_alone(
    desk: AtDesk, begin: Begin, staff: Callable[..., User], user: User, wallet: Callable[..., dict[str, Any]]
) -> None:
    """Who may see sessions, and not what is in them, is told what it takes; nor do the methods tell it."""
    record = begin(user, **wallet(limits={"canary": 5}))
    at = desk(staff(VIEW))
    found = page(at, record.id)
    assert "canary" not in found.text
    assert said(found, "state") == "signed in"
    assert "typed_sessions.view_livesession_payload" in said(found, "withheld")
    assert said(found, "of_user") == "ada"
    assert said(found, "ending") == ""
    for name in ("fields_shown", "bag_shown", "trouble"):
        assert said(found, name) == ""
        request = RequestFactory().get("/")
        request.user = at.user
        shown = LiveSessionAdmin(LiveSession, admin.site)
        row = shown.get_object(request, record.id)
        assert row is not None
        assert getattr(shown, name)(row) == "-"


@few
def test_with_the_permission_there_is_more(
    desk: AtDesk, begin: Begin, staff: Callable[..., User], user: User, wallet: Callable[..., dict[str, Any]]
) -> None:
    """Each permission brings its part."""
    record = begin(user, **wallet(limits={"canary": 5}))
    found = page(desk(staff(VIEW, PAYLOAD, END)), record.id)
    assert table(found, "fields_shown")["limits"] == ["dict[str, int]", "canary 5"]
    assert said(found, "withheld") == ""
    assert links(found, "ending")[0] == f"{LIST}{record.id}/end/"


def test_other_sessions(desk: AtDesk, begin: Begin, root: User, user: User, other_user: User) -> None:
    """Those of the same user, newest first, each with a way to it, and a way to end them all."""
    record, old, new = begin(user, ago=50), begin(user, ago=500), begin(user, ago=5, client=None)
    begin(other_user)
    found = page(desk(root), record.id)
    assert said(found, "others").startswith("Session Last seen Device Address " + f"{new.id[:8]}… just now - - ")
    assert f"{old.id[:8]}… 8 minutes ago Firefox 140 on Linux {ADDRESS} Show all End all" in said(found, "others")
    query = f"?user={user.pk}"
    changes = [f"{LIST}{each.id}/change/" for each in (new, old)]
    assert links(found, "others")[:4] == [*changes, f"{LIST}{query}", f"{LIST}end-matching/{query}"]


@few
def test_other_sessions_have_an_end(
    desk: AtDesk, begin: Begin, root: User, staff: Callable[..., User], user: User
) -> None:
    """A page lists some of many, and the list has all; who may end none is not asked to."""
    first, *_ = [begin(user, ago=number) for number in range(details.OTHERS + 3)]
    found = page(desk(staff(VIEW)), first.id)
    assert len(ids(found)) == details.OTHERS
    assert said(found, "others").endswith("Show all, 2 more")
    assert ids(desk(root).get(links(found, "others")[details.OTHERS]))[-1:] != []


@few
def test_the_only_session(desk: AtDesk, begin: Begin, root: User, user: User) -> None:
    """That there is no other is said, too."""
    at = desk(root)
    assert said(page(at, begin(user).id), "others") == "This is the only one."
    assert "this is you" in said(page(at, begin(root).id), "others")


@few
def test_other_sessions_when_the_store_goes_away(
    desk: AtDesk, begin: Begin, root: User, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read is shown, and what cannot be read says so."""

    class Gone:
        def __init__(self, viewer: object) -> None:
            raise StoreUnavailable("no answer")

    record, at = begin(user), desk(root)
    monkeypatch.setattr(details, "SessionQuery", Gone)
    assert said(page(at, record.id), "others") == "The session store does not answer. Please try again."


@pytest.mark.parametrize("engine", ["cache"], indirect=True)
def test_engine_that_cannot_list(desk: AtDesk, begin: Begin, root: User, user: User) -> None:
    """On a cache a session has its page, and nobody knows the others."""
    record = begin(user)
    found = page(desk(root), record.id)
    assert said(found, "state") == "signed in"
    assert said(found, "others") == ""


def test_ended(desk: AtDesk, begin: Begin, root: User, user: User, clock: Clock) -> None:
    """Of a session that has ended there is when, and why, and nothing to end."""
    record, at = begin(user), desk(root)
    live_sessions.end(record.id, EndReason.PASSWORD_CHANGED)
    clock.advance(600)
    found = page(at, record.id)
    assert said(found, "identifier").startswith(record.id)
    assert said(found, "ended_at") == f"{NEW_YEAR} ( 10 minutes ago )"
    assert said(found, "ended_by") == "password changed"
    for name in ("ending", "state", "fields_shown", "others"):
        assert said(found, name) == ""


def test_unreadable(desk: AtDesk, begin: Begin, root: User, engine: type[SessionStore]) -> None:
    """A record that cannot be read is there, has a reason, and can be ended."""
    record = begin()
    damage(engine, record.id)
    found = page(desk(root), record.id)
    assert said(found, "unreadable").startswith("There is a record, and it cannot be read: the stored ")
    assert record.id not in said(found, "unreadable")
    assert links(found, "ending")[0] == f"{LIST}{record.id}/end/"
    assert said(found, "state") == ""


@few
def test_s86_ids_that_are_tokens(
    desk: AtDesk, root: User, user: User, begin: Begin, settings: Settings, engine: type[SessionStore]
) -> None:
    """With `HASH_IDS=False` the page shows a digest all the same, also of a record that cannot be read."""
    settings.TYPED_SESSIONS = {**settings.TYPED_SESSIONS, "HASH_IDS": False}
    token, broken = (tokens.issue(SessionMode.TEMP) for _ in range(2))
    begin(user, id=token)
    begin(user, id=broken)
    at = desk(root)
    shown, of_broken = tokens.shown(token), tokens.shown(broken)
    found = page(at, str(shown))
    assert said(found, "identifier").startswith(f"{shown} ")
    assert f"{str(of_broken)[:8]}…" in said(found, "others")
    damage(engine, broken)
    page_of_broken = page(at, str(of_broken))
    assert said(page_of_broken, "unreadable") != ""
    for answer in (found, page_of_broken):
        assert token not in answer.text
        assert broken not in answer.text


@few
@pytest.mark.parametrize("theme", ["", "jazzmin"])
def test_themes_and_sites(desk: AtDesk, begin: Begin, root: User, user: User, theme: str) -> None:
    """The page has its parts on another site, and in a theme with templates of its own."""
    pytest.importorskip(theme or "django", reason="the theme comes with the extra ecosystem")
    record, other = begin(user, ago=9), begin(user)
    with modify_settings(INSTALLED_APPS={"prepend": [theme] if theme else []}):
        found = desk(root).get(f"/office/typed_sessions/livesession/{record.id}/change/")
    assert found.status == 200
    assert f"/office/typed_sessions/livesession/{other.id}/change/" in found.text
    assert "/admin/typed_sessions" not in found.text
    assert found.text.count('class="tys-fields"') == 2  # fields and bag


def test_budget(desk: AtDesk, begin: Begin, root: User, user: User, verbs: Verbs) -> None:
    """A page asks the store for the session and for the others of its user, and the database for the reader, and for
    the user twice, however many sessions the user has.
    """
    record, *_ = [begin(user, ago=number) for number in range(10)]
    at = desk(root)
    page(at, record.id)
    verbs.take()
    with CaptureQueriesContext(connection) as captured:
        page(at, record.id)
    assert verbs.take() == ["load", "load", "of_user", "load_many"]
    assert sum('FROM "auth_user"' in query["sql"] for query in captured) == 3
    others = [query["sql"] for query in captured if "typed_sessions_" not in query["sql"]]
    assert len(others) == 3
