"""docs/concurrency.rst: its examples run, and its tables are what happens."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import make_dataclass
from functools import partial
from http.cookies import SimpleCookie
from types import ModuleType
from typing import TYPE_CHECKING, Any, get_args

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import path

from tests.test_docs import README, Project, ada, docs, project, rows, section, session_of, stored, visit
from typed_sessions import (
    AuthUserSession,
    EndReason,
    SessionStatus,
    auth,
    clock,
    conf,
    decorators,
    exceptions,
    get_session,
    session_field,
)
from typed_sessions.backends.db import SessionStore
from typed_sessions.flows import drive
from typed_sessions.middleware import RETRY_AFTER
from typed_sessions.models import StoredSession
from typed_sessions.session import MergeRule, TypedSession

if TYPE_CHECKING:
    from pytest_django import Settings

__all__ = ["ada", "project"]

PAGE = docs("concurrency")


def table(title: str) -> list[list[str]]:
    """The rows of the table under a heading, without its head."""
    return rows(section(PAGE, title))[1:]


def with_cart(**cart: int) -> Any:
    """A session of the page's class that is stored."""
    store = stored()
    store.typed_session.cart = cart
    store.save()
    return store


def tab_of(browser: Client) -> Client:
    """One more tab of a browser, with the cookies that it has now."""
    tab = Client()
    tab.cookies = SimpleCookie({name: cookie.value for name, cookie in browser.cookies.items()})
    return tab


def once(act: Callable[[], object]) -> Callable[..., None]:
    """Does it the first time, and never again."""
    left = [act]

    def meanwhile(*_: object) -> None:
        if left:
            left.pop()()

    return meanwhile


# Rules


def test_every_rule_is_shown() -> None:
    """The table of rules has each word that `merge` takes, in order."""
    shown = [ast.literal_eval(row[0].strip("`")) for row in table("Rules for one field")]
    assert list(dict.fromkeys(shown)) == [*get_args(get_args(MergeRule)[0])]


@pytest.mark.django_db
@pytest.mark.parametrize("row", table("Rules for one field"), ids=lambda row: f"{row[0]} {row[1]}")
def test_rules_give_what_is_shown(row: list[str], settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two requests that make of a field what the table has leave in it what the table has."""
    rule, base, first, second, left = (ast.literal_eval(cell.strip("`")) for cell in row[:5])
    kinds: dict[type, Any] = {set: set[str], dict: dict[str, int], list: list[str]}
    value = session_field(default_factory=lambda: base, merge=rule)
    fields = [("value", kinds.get(type(base), type(base)), value)]
    monkeypatch.setattr(sys.modules[__name__], "Merged", make_dataclass("Merged", fields, bases=(TypedSession,)), False)
    settings.TYPED_SESSIONS = {"SESSION_CLASS": f"{__name__}.Merged"}
    key = stored().session_key
    stores: list[Any] = [SessionStore(key), SessionStore(key)]
    for store, made in zip(stores, (first, second), strict=True):
        assert store.typed_session.value == base
        store.typed_session.value = made
    stores[0].save()
    if rule == "refuse":
        with pytest.raises(exceptions.SessionConflict, match="value was changed"):
            stores[1].save()
    else:
        stores[1].save()
    kept: Any = SessionStore(key).typed_session
    assert kept.value == left


def test_errors_are_those_of_readme() -> None:
    """What the visitor gets is in both tables the same."""
    shown = {row[0]: row[-1] for row in table("Conflicts")}
    of_readme = {row[0].removesuffix(" (Django's)"): row[-1] for row in rows(section(README, "Errors"))}
    assert len(shown) == 6
    assert {name: answer[:3] for name, answer in shown.items()} == {name: of_readme[name][:3] for name in shown}


def test_every_option_is_explained() -> None:
    """The page has each of the three options, with the defaults that they have."""
    explained = re.findall(r"^``(session_\w+)``$", section(PAGE, "What a view can say"), re.M)
    assert explained == ["session_readonly", "session_passive", "session_exclusive"]
    assert inspect.getfullargspec(decorators.session_exclusive).kwonlydefaults == {"wait": 5, "lease": 30}
    assert "``session_exclusive(wait=5, lease=30)``" in section(PAGE, "One request at a time")


# Views


@pytest.mark.django_db
def test_read_only_and_passive_views(client: Client, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both show the session. The first makes it last longer, and the one that a script asks does not."""
    project(PAGE)
    visit(client, with_cart(cup=2))
    before = session_of(client).expires_at
    later = clock.now() + conf.settings().touch_interval
    monkeypatch.setattr(clock, "now", lambda: later)
    assert client.get("/cart_count/").json() == {"items": 2, "signed_in": False}
    assert session_of(client).expires_at == before
    assert client.get("/summary/").json() == {"cart": {"cup": 2}, "currency": "EUR"}
    assert session_of(client).expires_at > before


@pytest.mark.django_db
def test_field_that_refuses(client: Client, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two requests that change it at once, the first is stored; the second gets a 409, which may be the view's."""
    views = project(PAGE)
    for act, words in (
        ("choose", b"The session was changed by another request. Please try again."),
        ("use", b"You have just used TEA in another tab."),
    ):
        visit(client, with_cart())
        meanwhile = once(lambda: tab_of(client).get("/use_coupon/TEA/"))

        def get_early(*asked: Any, then: Callable[..., None] = meanwhile) -> Any:
            session = get_session(*asked)
            then()
            return session

        monkeypatch.setattr(views, "get_session", get_early)
        answer = client.get(f"/{act}_coupon/MILK/")
        assert (answer.status_code, answer.content) == (409, words)
        assert session_of(client).coupon == "TEA"


@pytest.mark.django_db
def test_one_checkout_at_a_time(client: Client, project: Project) -> None:
    """While another request has the session, a click waits, in vain if need be; the next one finds an empty cart."""
    project(PAGE)
    store = with_cart(cup=1)
    visit(client, store)
    other = SessionStore(store.session_key)
    drive(other.take_lease(0, 30))
    busy = client.post("/Checkout/")
    assert (busy.status_code, busy["Retry-After"]) == (503, str(RETRY_AFTER))
    assert client.get("/Checkout/").json() == {"cup": 1}
    drive(other.give_lease_back(saves=True))
    assert [client.post("/Checkout/").json() for _ in range(2)] == [{"bought": {"cup": 1}}, {"bought": {}}]


@pytest.mark.django_db
def test_part_of_a_view(client: Client, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It finds what was saved in the part of another request that came later, and was there first."""
    views = project(PAGE)
    visit(client, with_cart())
    meanwhile = once(lambda: tab_of(client).get("/draw/"))

    def monotonic() -> float:
        meanwhile()
        return 0.0

    monkeypatch.setattr(views, "monotonic", monotonic)
    assert client.get("/draw/").json()["steps"] == ["step 1", "step 2"] == session_of(client).steps


async def test_part_of_an_async_view(db: None, async_client: AsyncClient, project: Project) -> None:
    """It is saved at its end."""
    project(PAGE)
    store = await sync_to_async(stored)()
    async_client.cookies["ss-id"] = store.session_key
    await async_client.get("/draw_later/")
    assert (await async_client.get("/draw_later/")).json() == {"steps": ["step 1", "step 2"]}


@pytest.mark.django_db
def test_view_with_a_transaction(client: Client, project: Project) -> None:
    """It stands outside of ATOMIC_REQUESTS, and orders what is in the cart once."""
    views = project(PAGE)
    visit(client, with_cart(cup=1))
    assert views.order._non_atomic_requests == {"default"}
    assert [client.get("/order/").json()["bought"] for _ in range(2)] == [{"cup": 1}, {}]


@pytest.mark.django_db
def test_body_of_a_streaming_response(client: Client, project: Project) -> None:
    """What it changes by the id of the session is stored."""
    project(PAGE)
    response: Any = client.get("/export/")
    assert b"".join(response.streaming_content) == b"0\n1\n2\n"
    assert session_of(client).exported == 1


@pytest.mark.django_db
def test_tasks(project: Project) -> None:
    """They change the session that has this id, and tell if there is none any more."""
    project(PAGE)
    tasks = importlib.import_module("shop.tasks")
    apply_async = async_to_sync(tasks.apply_discount_async)
    store = with_cart(cup=1)
    before = store.typed_session.id
    for apply, sku in ((tasks.apply_discount, "cup"), (apply_async, "pot")):
        assert apply(before, sku)
        kept: Any = SessionStore(store.session_key).typed_session
        assert kept.coupon == f"ten-percent-on-{sku}"
    store.cycle_key()
    assert (tasks.apply_discount(before, "cup"), apply_async(before, "cup")) == (False, False)


@pytest.mark.django_db
def test_order_of_readme(client: Client, project: Project) -> None:
    """A double click finds an empty cart."""
    project(README)
    client.get("/add_to_cart/teapot/")
    assert [client.get("/order/").json()["bought"] for _ in range(2)] == [1, 0]


# Races


class Site:
    """One view, which loads the session, lets something happen meanwhile, and then does what its address says."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.meanwhile: Callable[[], None] = lambda: None
        self.browser = Client()
        self.tab = Client()

    def view(self, request: HttpRequest, act: str) -> HttpResponse:
        session: Any = get_session(request, AuthUserSession)
        found = f"{session.status.value} {session.end_reason.value if session.end_reason else ''}"
        self.meanwhile()
        acts: dict[str, Callable[[], object]] = {
            "read": lambda: None,
            "change": partial(session.cart.update, pot=1),
            "sign-in": partial(auth.login, request, self.user),
            "sign-out": partial(auth.logout, request),
            "new-token": request.session.cycle_key,
            "new-password": partial(self.change_password, request),
        }
        acts[act]()
        return HttpResponse(found)

    def change_password(self, request: HttpRequest) -> None:
        self.user.set_password("another")
        self.user.save()
        update_session_auth_hash(request, self.user)

    def begin(self, *acts: str) -> str:
        """The key of a session with a cup in its cart, in the browser that is used from now on."""
        store = with_cart(cup=1)
        self.browser = Client()
        visit(self.browser, store)
        for act in acts:
            self.ask(act)
        return str(self.browser.cookies["ss-id"].value)

    def ask(self, act: str, while_tab: str = "") -> Any:
        """The answer to a request of the browser, during which another tab of it has done something."""
        tab = self.tab = tab_of(self.browser)
        if while_tab:
            self.meanwhile = once(lambda: tab.get(f"/{while_tab}/"))
        return self.browser.get(f"/{act}/")


def cart_of(browser: Client) -> dict[str, int]:
    """What is in the cart of a session that has to be live."""
    session = session_of(browser)
    assert session.status is SessionStatus.LIVE
    cart: dict[str, int] = session.cart
    return cart


def state_of(key: str) -> tuple[SessionStatus, EndReason | None]:
    session = SessionStore(key).typed_session
    return session.status, session.end_reason


def refused(answer: Any) -> bool:
    """Whether it is a 400 that touches no cookie."""
    return bool(answer.status_code == 400 and not answer.cookies)


def two_sign_ins(site: Site) -> None:
    key = site.begin()
    assert site.ask("sign-in", while_tab="sign-in").status_code == 200
    assert site.tab.cookies["ss-id"].value != site.browser.cookies["ss-id"].value
    assert cart_of(site.tab) == cart_of(site.browser) == {"cup": 1}
    assert state_of(key) == (SessionStatus.ENDED, EndReason.ROTATED)


def sign_in_and_change(site: Site) -> None:
    site.begin()
    assert refused(site.ask("change", while_tab="sign-in"))
    assert cart_of(site.tab) == {"cup": 1}
    site.begin()
    assert site.ask("sign-in", while_tab="change").status_code == 200
    assert cart_of(site.browser) == {"cup": 1, "pot": 1}


def sign_out_and_change(site: Site) -> None:
    key = site.begin("sign-in")
    assert refused(site.ask("change", while_tab="sign-out"))
    assert state_of(key) == (SessionStatus.ENDED, EndReason.LOGGED_OUT)


def sign_out_and_read(site: Site) -> None:
    key = site.begin("sign-in")
    StoredSession.objects.update(seen=0)  # a touch is due
    answer = site.ask("read", while_tab="sign-out")
    assert (answer.status_code, answer.content, {*answer.cookies}) == (200, b"live ", set())
    assert state_of(key) == (SessionStatus.ENDED, EndReason.LOGGED_OUT)


def new_token_and_change(site: Site) -> None:
    site.begin()
    assert refused(site.ask("change", while_tab="new-token"))
    assert cart_of(site.tab) == {"cup": 1}


def new_token_and_old_cookie(site: Site, settings: Settings) -> None:
    old = Client()
    old.cookies["ss-id"] = key = site.begin()
    site.ask("new-token")
    answer = old.get("/read/")
    assert (answer.status_code, answer.content, {*answer.cookies}) == (200, b"ended rotated", set())
    assert refused(old.get("/change/"))
    assert cart_of(site.browser) == {"cup": 1}
    settings.TYPED_SESSIONS = {**settings.TYPED_SESSIONS, "HEADERS": ["/"]}
    by_header = Client().get("/read/", headers={"X-ss-id": key})
    assert (by_header.status_code, by_header.json()["code"]) == (401, "rotated")
    assert old.get("/sign-out/").cookies["ss-id"]["max-age"] == 0
    old.cookies["ss-id"] = key
    assert old.get("/sign-in/").status_code == 200
    assert session_of(old).is_authenticated


def new_token_and_old_cookie_later(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    key = site.begin()
    site.ask("new-token")
    old = Client()
    old.cookies["ss-id"] = key
    later = clock.now() + 61
    monkeypatch.setattr(clock, "now", lambda: later)
    assert old.get("/change/").status_code == 200
    assert cart_of(old) == {"pot": 1}
    assert cart_of(site.browser) == {"cup": 1}


def new_password_and_change(site: Site) -> None:
    site.begin("sign-in")
    device = Client()
    device.cookies["ss-id"] = key = site.begin("sign-in")
    assert refused(site.ask("change", while_tab="new-password"))
    site.user.set_password("a third")
    site.meanwhile = once(site.user.save)
    assert refused(device.get("/change/"))
    assert state_of(key)[0] is SessionStatus.ENDED


def expiry_and_change(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for seconds, is_late in ((29, False), (32, True)):
        site.begin()
        after = session_of(site.browser).expires_at.timestamp() + seconds
        site.meanwhile = once(partial(monkeypatch.setattr, clock, "now", lambda after=int(after): after))
        answer = site.browser.get("/change/")
        assert (answer.status_code, refused(answer)) == ((400, True) if is_late else (200, False))
        assert is_late or cart_of(site.browser) == {"cup": 1, "pot": 1}


RACES: dict[str, Callable[..., None]] = {
    "two sign-ins from an anonymous session": two_sign_ins,
    "sign-in, and a late change": sign_in_and_change,
    "sign-out, and a late change": sign_out_and_change,
    "sign-out, and a late request that reads": sign_out_and_read,
    "new token, and a late change": new_token_and_change,
    "new token, and the old cookie": new_token_and_old_cookie,
    "the same, later": new_token_and_old_cookie_later,
    "new password, and a late change": new_password_and_change,
    "expiry, and a late change": expiry_and_change,
}


@pytest.mark.parametrize("race", [row[0] for row in table("Races and their outcome")])
def test_races_end_as_is_shown(
    race: str, project: Project, settings: Settings, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each race of the table has the outcome that the table has."""
    project(PAGE)
    site, urls = Site(ada), ModuleType("urls_of_races")
    vars(urls)["urlpatterns"] = [path("<str:act>/", site.view)]
    settings.ROOT_URLCONF = urls
    given = {"site": site, "settings": settings, "monkeypatch": monkeypatch}
    run = RACES[race]
    run(**{name: given[name] for name in inspect.signature(run).parameters})


def test_every_race_is_shown() -> None:
    """The table has all the races that are run here."""
    assert [row[0] for row in table("Races and their outcome")] == list(RACES)
