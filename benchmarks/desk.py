"""A member of staff at the admin's pages of live sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import path

from typed_sessions import live_sessions
from typed_sessions.admin import LiveSessionAdmin

from .questions import EACH, FIRST_USER, PAGE, SIGNED_IN, address

urlpatterns = [path("admin/", admin.site.urls)]

SETTINGS: Final[dict[str, Any]] = {
    "ROOT_URLCONF": __name__,
    "MIDDLEWARE": [
        "django.middleware.security.SecurityMiddleware",
        "typed_sessions.middleware.TypedSessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
}
"""What the admin wants besides an engine."""
_LIST = "/admin/typed_sessions/livesession/"
_TIMES = 10

Visit = tuple[str, int, Callable[[], object]]


def visits(sessions: int) -> Iterator[Visit]:
    """What is looked at, how often, and how; by a superuser, who sees all."""
    client = Client(SERVER_NAME="shop.example.com")
    client.force_login(_staff(sessions))
    [shown] = (session.id for session in live_sessions.recent(1, offset=PAGE))
    sort = LiveSessionAdmin.list_display.index("expires_in") + 1  # the boxes to tick come first
    lists = {"": {}, "permanent": {"mode": "perm"}, "anonymous": {"signed_in": "no"}, "past hour": {"seen": "hour"}}
    lists |= {"not for a day": {"seen": "older"}, "expiring": {"expires": "week"}, "by expiry": {"o": str(sort)}}
    for name, query in lists.items():
        named = f"admin, {name}: " if name else "admin: "
        last = _pages(client, query)
        for words, page in (("page 1", 1), ("middle page", max(last // 2, 1)), ("last page", last)):
            yield f"{named}{words}", _TIMES, _visit(client, "", {**query, "p": page})
    for name, text in (("a name", "user7"), ("an address", address(7)), ("an id", shown)):
        yield f"admin, search for {name}", _TIMES, _visit(client, "", {"q": text})
    yield "admin, page of one", _TIMES, _visit(client, f"{shown}/change/", {})
    yield "admin, live part", _TIMES, _visit(client, "live/", {})


def _staff(sessions: int) -> User:
    """The users that sessions are of, and one who looks at them."""
    users = range(sessions // (SIGNED_IN * EACH))
    User.objects.bulk_create(
        (User(pk=FIRST_USER + user, username=f"user{user}") for user in users), batch_size=5000, ignore_conflicts=True
    )
    return User.objects.filter(is_superuser=True).first() or User.objects.create_superuser("staff")


def _pages(client: Client, query: dict[str, str]) -> int:
    """How many the list has."""
    response: Any = client.get(_LIST, query)
    found: int = response.context_data["cl"].paginator.num_pages
    return found


def _visit(client: Client, where: str, query: dict[str, Any]) -> Callable[[], object]:
    def get() -> None:
        response = client.get(_LIST + where, query)
        assert response.status_code == 200, (where, query, response)

    return get
