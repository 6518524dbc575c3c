"""Who comes to the site: browsers with cookies, and clients with headers. They keep a list of all they are given."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack
from http.cookiejar import DefaultCookiePolicy
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any

import requests

from tests.web_servers.servers import Site

if TYPE_CHECKING:
    from typing_extensions import Self

ID, PID, OPT = "ss-id", "ss-pid", "ss-opt"
HEADER_ID, HEADER_PID, HEADER_OPT = "X-ss-id", "X-ss-pid", "X-ss-opt"
PASSWORD = "a good one"


class Client(ABC):
    """What both can do, in one form. No answer may be an error of the server, or in the language of the other kind."""

    prefix: str
    """Of the paths that it asks for."""

    def __init__(self, site: Site, issued: set[str]) -> None:
        self.site, self.issued = site, issued
        self.http = requests.Session()
        self.http.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def ask(self, method: str, path: str, **form: str) -> requests.Response:
        """One request. What the answer tells is kept; every token goes to `issued` too."""
        url = self.site.url + self.prefix + path
        response = self.http.request(method, url, data=form, headers=self.shows(), timeout=20)
        assert response.status_code < 500, response.text
        self.learns(response)
        return response

    @abstractmethod
    def shows(self) -> Mapping[str, str]:
        """The headers that say who asks."""

    @abstractmethod
    def learns(self, response: requests.Response) -> None: ...

    @property
    @abstractmethod
    def token(self) -> str:
        """Of the session that is in use."""

    @abstractmethod
    def forget(self) -> None:
        """The client forgets what it has, as if it came for the first time."""

    def who(self, path: str = "/who/") -> Any:
        """What the site says of who asks and of the session; nothing if it does not say."""
        response = self.ask("GET", path)
        return response.json() if response.ok else {"user": "", "user_of_session": "", "cart": []}

    @property
    def user(self) -> str:
        """Who it is that asks, if somebody."""
        said = self.who()
        assert said["user"] == said["user_of_session"]
        return str(said["user"])

    def sign_up(self, name: str = "") -> str:
        """A new user, who is not signed in yet."""
        name = name or f"user-{secrets.token_hex(4)}"
        assert self.ask("POST", "/sign-up/", username=name, password=PASSWORD).status_code == 201
        return name

    def sign_in(self, name: str, remember: bool = False, password: str = PASSWORD) -> requests.Response:
        choice = "yes" if remember else "no"
        return self.ask("POST", "/sign-in/", username=name, password=password, remember=choice)

    def sign_out(self) -> requests.Response:
        return self.ask("POST", "/sign-out/")

    def add_to_cart(self, sku: str) -> requests.Response:
        return self.ask("POST", "/cart/", sku=sku)

    def change_password(self, password: str) -> requests.Response:
        return self.ask("POST", "/password/", password=password)


class Browser(Client):
    """Has a cookie jar, and sends the CSRF token of a page."""

    prefix = ""

    def shows(self) -> Mapping[str, str]:
        return {"X-CSRFToken": self.cookies["csrftoken"]} if "csrftoken" in self.cookies else {}

    def ask(self, method: str, path: str, **form: str) -> requests.Response:
        if method == "POST" and "csrftoken" not in self.cookies:
            super().ask("GET", "/form/")
        return super().ask(method, path, **form)

    def learns(self, response: requests.Response) -> None:
        assert not [name for name in response.headers if name.lower().startswith("x-ss-")]
        self.issued |= {value for name, value in cookies_of(response).items() if name in (ID, PID) and value}

    @property
    def cookies(self) -> dict[str, str]:
        return {cookie.name: cookie.value or "" for cookie in self.http.cookies}

    @property
    def ours(self) -> dict[str, str]:
        return {name: value for name, value in self.cookies.items() if name in (ID, PID, OPT)}

    @property
    def token(self) -> str:
        return self.cookies[PID if self.cookies.get(OPT) == "perm" else ID]

    def forget(self) -> None:
        self.http.cookies.clear()

    def restart(self) -> None:
        """The browser is closed and opened again."""
        self.http.cookies.clear_session_cookies()


class ApiClient(Client):
    """Keeps no cookies, and announces itself by `X-ss-opt` until it has a token."""

    prefix = "/api"

    def __init__(self, site: Site, issued: set[str]) -> None:
        super().__init__(site, issued)
        self.http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.tokens: dict[str, str] = {}
        self.forget()

    def shows(self) -> Mapping[str, str]:
        return self.tokens

    def forget(self) -> None:
        self.tokens = {HEADER_OPT: "temp"}

    def learns(self, response: requests.Response) -> None:
        assert not cookies_of(response).keys() & {ID, PID, OPT}
        told = {name: response.headers[name] for name in (HEADER_ID, HEADER_PID) if name in response.headers}
        if told:
            self.issued |= set(told.values())
            self.tokens = {**told, HEADER_OPT: response.headers[HEADER_OPT]}

    @property
    def token(self) -> str:
        return self.tokens[HEADER_PID if self.tokens[HEADER_OPT] == "perm" else HEADER_ID]


def cookies_of(response: requests.Response) -> dict[str, str]:
    """What Set-Cookie says, by name; deleted ones are empty."""
    found: SimpleCookie = SimpleCookie()
    for line in response.raw.headers.getlist("Set-Cookie"):
        found.load(line)
    return {name: morsel.value for name, morsel in found.items()}


class Visitors:
    """Makes the visitors of a test, and ends their connections after it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.issued: set[str] = set()
        """Every token that any of them was given."""
        self._stack = ExitStack()

    def browser(self) -> Browser:
        return self._stack.enter_context(Browser(self.site, self.issued))

    def api_client(self) -> ApiClient:
        return self._stack.enter_context(ApiClient(self.site, self.issued))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
