"""docs/admin.rst: its examples run, and what it says of the admin is what the admin does."""

from __future__ import annotations

import importlib
import re
import sys
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path

from tests.engines.rows import UseEngine, use_engine
from tests.test_docs import Project, ada, docs, project, rows, section, session_of, words
from typed_sessions import live_sessions
from typed_sessions.admin import LiveSessionAdmin, chart, ending, queryset
from typed_sessions.models import LiveSession
from typed_sessions.stores.statistics import INTERVAL, RECENT, SAMPLES_LIFE

if TYPE_CHECKING:
    from pytest_django import Settings

__all__ = ["ada", "project", "use_engine"]

PAGE = docs("admin")
LIST = "/admin/typed_sessions/livesession/"


def table(title: str) -> list[list[str]]:
    """The rows of the table under a heading, without its head."""
    return rows(section(PAGE, title))[1:]


@pytest.fixture
def shop(project: Project, settings: Settings, db: None) -> Any:
    """`shop(name)` imports a module of the page's project, whose admin is under ``/admin/`` from then on."""
    project(PAGE)
    views: Any = settings.ROOT_URLCONF

    def load(name: str) -> Any:
        module = importlib.import_module(f"shop.{name}")
        site = getattr(module, "office", admin.site)
        views.urlpatterns.append(path("admin/", site.urls))
        return module

    return load


def staff(name: str, *codenames: str) -> User:
    clerk = User.objects.create_user(name, password="secret", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return clerk


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def looks_at(user: User, where: str = LIST) -> str:
    return unescape(signed_in(user).get(where).content.decode())


# Its examples


def test_another_site_has_the_page(shop: Any, ada: User) -> None:
    """On the page's own AdminSite the list is as on Django's, and its links lead to that site."""
    shop("office")
    Client().force_login(ada)
    root = User.objects.create_superuser("root")
    page = looks_at(root)
    assert ">ada<" in page or "ada</td>" in page
    assert re.findall(rf"{LIST}\w{{40}}/change/", page)


def test_page_of_a_user(shop: Any, ada: User) -> None:
    """The page of a user leads to their sessions and to the end of them, and the list of users has the action."""
    shop("admin")
    customer = signed_in(ada)
    page = looks_at(User.objects.create_superuser("root"), f"/admin/auth/user/{ada.pk}/change/")
    links = re.findall(rf'href="({LIST}[^"]*\?user={ada.pk})"', page)
    assert links == [f"{LIST}?user={ada.pk}", f"{LIST}end-matching/?user={ada.pk}"]
    assert session_of(customer).id in looks_at(User.objects.get(username="root"), links[0])
    assert "End all sessions of selected users" in looks_at(User.objects.get(username="root"), "/admin/auth/user/")


def test_class_of_ones_own(shop: Any, client: Client, ada: User) -> None:
    """The added column shows what is in a session to those who may see that, and the narrower permission holds."""
    shop("live_admin")
    client.force_login(ada)
    sessions = sys.modules["shop.sessions"]
    store: Any = client.session
    store.typed_session.cart = [sessions.CartLine("cup"), sessions.CartLine("pot")]
    store.save()
    watcher = staff("watcher", "view_livesession")
    ender = staff("ender", "view_livesession", "view_livesession_payload", "end_livesession")
    cell = r'<td class="field-in_the_cart">(.*?)</td>'
    assert set(re.findall(cell, looks_at(watcher))) == {"-"}
    assert "2" in re.findall(cell, looks_at(ender))
    where = f"{LIST}{session_of(client).id}/"
    assert "/end/" not in looks_at(ender, f"{where}change/")
    assert signed_in(ender).get(f"{where}end/").status_code == 403
    ender.groups.add(Group.objects.create(name="security"))
    assert "/end/" in looks_at(ender, f"{where}change/")
    assert signed_in(ender).get(f"{where}end/").status_code == 200


def test_numbers_for_pages_of_ones_own(shop: Any, client: Client, ada: User) -> None:
    """The view tells what the live part of the page shows."""
    shop("admin")
    for _ in range(2):
        signed_in(ada)
    client.post("/add_to_cart/cup/")
    assert client.get("/numbers/").json() == {"live": 2, "anonymous": 0, "signed out": 0, "most": 2}


# What it costs


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Grows by one with each command to Redis."""
    connections = pytest.importorskip("redis.connection")
    commands: list[object] = []
    send = connections.AbstractConnection.send_packed_command

    def noting(connection: object, command: object, *args: object, **options: object) -> None:
        commands.append(command)
        send(connection, command, *args, **options)

    monkeypatch.setattr(connections.AbstractConnection, "send_packed_command", noting)
    return commands


@pytest.mark.parametrize(("engine", "column"), [("redis", 1), ("db", 2)])
def test_table_of_costs(
    shop: Any, use_engine: UseEngine, engine: str, column: int, sent: list[object], ada: User
) -> None:
    """Each part of a page takes as many commands and statements as the table says."""
    use_engine(engine)
    shop("admin")
    root = signed_in(User.objects.create_superuser("root"))
    for _ in range(2):
        signed_in(ada)
    (session, _) = live_sessions.for_user(ada)

    def costs(where: str) -> tuple[int, int]:
        root.get(where)  # scripts are loaded, and content types are known
        sent.clear()
        with CaptureQueriesContext(connection) as queries:
            assert root.get(where).status_code == 200
        of_users = sum('FROM "auth_user"' in query["sql"] for query in queries)
        return len(sent) + len(queries) - of_users - 1, of_users - 1  # without those for the operator

    told = [(int(row[column]), int(row[3].split(",")[0])) for row in table("What it costs")]
    rows_of, live_part, one, others = told
    assert costs(LIST) == (rows_of[0] + live_part[0], rows_of[1] + live_part[1])
    assert costs(f"{LIST}live/") == live_part
    assert costs(f"{LIST}{session.id}/change/") == (one[0] + others[0], one[1] + others[1])


# What it says


def test_table_of_permissions() -> None:
    """It has the permissions of the model, and no other."""
    meta = LiveSession._meta
    given = [f"{verb}_{meta.model_name}" for verb in meta.default_permissions]
    assert [row[0].strip("`") for row in table("Who may see what")] == [*given, *(name for name, _ in meta.permissions)]


def test_words_of_the_page_are_those_of_the_admin() -> None:
    """What a reader is told to click on is called so."""
    root = Path(ending.__file__).parents[1]
    files = [*(root / "admin").glob("*.py"), *(root / "templates").rglob("*.html")]
    text = " ".join(file.read_text(encoding="utf-8") for file in files)
    text = text.replace("%(verbose_name_plural)s", str(LiveSession._meta.verbose_name_plural))
    named = [words(name) for name in re.findall(r"\*([A-Z][^*]+)\*", PAGE.read_text(encoding="utf-8"))]
    assert len(named) > 6
    assert [name for name in named if name not in text and name.lower() not in text] == []


FIGURES = [
    ("refreshes every 10 seconds", "const EVERY = 10_000", 10_000),
    ("of two seconds each", ending.SECONDS, 2),
    ("every five minutes", INTERVAL, 300),
    ("within the last hour", RECENT, 3600),
    ("Samples are kept for a week", SAMPLES_LIFE, 7 * 86_400),
    ("the last 24 hours or 7 days", tuple(chart.RANGES), ("day", "week")),
    ("up to 10,000 sessions are looked at", queryset.LOOKED_AT, 10_000),
    ("until 1,000 are found", queryset.LARGEST_SET, 1000),
    ("``list_per_page`` is 50", LiveSessionAdmin.list_per_page, 50),
]


@pytest.mark.parametrize(("told", "actual", "figure"), FIGURES, ids=str)
def test_figures_are_those_of_the_code(told: str, actual: object, figure: object) -> None:
    """A figure that the page names is the one in the code."""
    assert told in words(PAGE.read_text(encoding="utf-8"))
    if isinstance(actual, str):
        script = Path(ending.__file__).parents[1] / "static/typed_sessions/admin.js"
        assert actual in script.read_text(encoding="utf-8")
    else:
        assert actual == figure


def test_pictures_are_there() -> None:
    """Each picture of the page is a file, and is described for those who do not see it."""
    text = PAGE.read_text(encoding="utf-8")
    pictures = re.findall(r"^\.\. image:: (\S+)\n   :alt: \S+", text, re.M)
    assert len(pictures) == text.count(".. image::") > 0
    assert [picture for picture in pictures if not (PAGE.parent / picture).is_file()] == []
