"""Members of staff at the admin, and sessions for them to look at, on every engine that lists."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission, User

from tests.engines.rows import UseEngine, configure, rows, use_engine
from tests.web.browser import Answer, Browser
from tests.web.conftest import (
    PASSWORD,
    NewBrowser,
    _open_connection,
    _views,
    clock,
    new_browser,
    other_user,
    user,
    verbs,
)
from tests.web.signing import sign_in
from typed_sessions import tokens
from typed_sessions.backends.base import SessionStore
from typed_sessions.stores.record import Client, Record
from typed_sessions.testing.engines import Clock
from typed_sessions.testing.stores import fields, new_record

if TYPE_CHECKING:
    from pytest_django import Settings

__all__ = [
    "_open_connection",
    "_views",
    "clock",
    "configure",
    "new_browser",
    "other_user",
    "use_engine",
    "user",
    "verbs",
]

LISTING = rows("db", "redis", "cached_db")
few = pytest.mark.parametrize("engine", ["redis"], indirect=True)
"""For what has nothing to do with the store."""

ADDRESS = "192.0.2.7"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
LIST = "/admin/typed_sessions/livesession/"
UNKNOWN = "0" * 40


class Begin(Protocol):
    """Stores a session that was used `ago` seconds ago, of `user` or of nobody; other facts are those of a record."""

    def __call__(self, user: User | None = None, ago: int = 0, **facts: Any) -> Record: ...


@dataclass
class Desk:
    """A browser in which a member of staff has signed in."""

    browser: Browser
    user: User

    def get(self, path: str = "", query: str = "", **headers: str) -> Answer:
        """A page of live sessions, at the end of all redirections."""
        answer = self.browser.get(f"{_absolute(path)}{'?' if query else ''}{query}", **headers)
        return self._arrived(answer)

    def post(self, path: str = "", query: str = "", /, **form: Any) -> Answer:
        """Sends a form, and goes where that leads to. A value that is a list is sent once for each part."""
        token = self.browser.cookies.get("csrftoken", "")
        body = urlencode({"csrfmiddlewaretoken": token, **form}, doseq=True)
        where = f"{_absolute(path)}{'?' if query else ''}{query}"
        ask = self.browser.ask
        return self._arrived(self.browser.keep(ask("POST", where, body, self.browser.headers())))

    def submit(self, answer: Answer, path: str, query: str = "", /, **changes: Any) -> Answer:
        """Sends the form of a page with what is hidden in it."""
        form: dict[str, Any] = {}
        for name, value in hidden(answer):
            form.setdefault(name, []).append(value)
        form.pop("csrfmiddlewaretoken", None)
        return self.post(path, query, **{**form, **changes})

    def _arrived(self, answer: Answer) -> Answer:
        for _ in range(5):
            if answer.status not in (301, 302):
                return answer
            answer = self.browser.get(answer["location"])
        raise AssertionError(f"No end of redirections: {answer['location']}")

    @property
    def id(self) -> str:
        """Of the session at the desk itself."""
        return tokens.digest(self.browser.token)


def hidden(answer: Answer) -> list[tuple[str, str]]:
    """The hidden fields of the page's forms."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', answer.text)
    return [(name, unescape(value)) for name, value in found]


def ids(answer: Answer) -> list[str]:
    """The sessions in a list, in its order."""
    return re.findall(r"/livesession/(\w{40})/change/", answer.text)


def told(answer: Answer) -> list[str]:
    """The messages on a page, each with its level in front."""
    found = re.findall(r'<li class="(success|warning|error|info)">(.*?)</li>', answer.text, re.DOTALL)
    return [f"{level}: {unescape(text).strip()}" for level, text in found]


def total(answer: Answer) -> str:
    """How many sessions a list says that there are."""
    found = re.search(r"([\d,. ]+) live sessions?\b", re.sub(r"<[^>]+>", " ", answer.text))
    return found.group(1).strip() if found else ""


def _absolute(path: str) -> str:
    return path if path.startswith("/") else LIST + path


@pytest.fixture(autouse=True)
def _pages(_views: None, settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.admin.urls"


@pytest.fixture(params=LISTING)
def engine(request: pytest.FixtureRequest, use_engine: UseEngine) -> type[SessionStore]:
    return use_engine(request.param)


@pytest.fixture
def handler() -> str:
    return "wsgi"


@pytest.fixture
def begin(engine: type[SessionStore], clock: Clock) -> Begin:
    def new(user: User | None = None, ago: int = 0, **facts: Any) -> Record:
        store, seen = engine().store, clock.now - ago
        if user is not None:
            bag = fields(store.format, _auth_user_id=str(user.pk))
            facts = {"user": str(user.pk), "authenticated": seen, "bag": bag, **facts}
        client = Client(address=ADDRESS, agent=FIREFOX)
        facts.setdefault("type", "ShopSession")
        record = new_record(store, **{"seen": seen, "created": seen, "modified": seen, "client": client, **facts})
        assert store.create(record)
        return record

    return new


@pytest.fixture
def root(db: None) -> User:
    """A superuser."""
    return User.objects.create_superuser("root", "root@example.com", PASSWORD)


@pytest.fixture
def staff(db: None) -> Callable[..., User]:
    """`staff(*codenames)` is a member of staff with these permissions."""

    def new(*codenames: str, name: str = "clerk") -> User:
        clerk = User.objects.create_user(name, password=PASSWORD, is_staff=True)
        found = Permission.objects.filter(codename__in=codenames)
        assert len(found) == len(codenames)
        clerk.user_permissions.set(found)
        return clerk

    return new


@pytest.fixture
def desk(engine: type[SessionStore], new_browser: NewBrowser, clock: Clock) -> Callable[[User], Desk]:
    """`desk(user)` is a browser in which this member of staff has signed in."""

    def new(user: User) -> Desk:
        browser = new_browser()
        browser.visit(sign_in(user), user_agent=FIREFOX)
        browser.get("/admin/")
        return Desk(browser, user)

    return new
