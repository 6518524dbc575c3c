"""The list of live sessions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test.utils import CaptureQueriesContext, modify_settings

from tests.admin.conftest import ADDRESS, FIREFOX, LIST, Begin, Desk, few, ids, told, total
from tests.engines.rows import UseEngine
from typed_sessions import SessionMode, tokens
from typed_sessions.admin import sessions as page
from typed_sessions.admin.ending import CUT
from typed_sessions.admin.locations import Country
from typed_sessions.backends.base import SessionStore
from typed_sessions.exceptions import StoreUnavailable
from typed_sessions.models import LiveSession
from typed_sessions.stores.record import Client
from typed_sessions.testing.engines import Clock, Verbs
from typed_sessions.testing.stores import fields

if TYPE_CHECKING:
    from pytest_django import Settings

DAY = 86_400
LIVE_PART = ["count_by_user", "tally", "keep_sample", "samples"]
"""What the counters and the chart above the list ask."""


def row(answer: Any, session_id: str) -> str:
    """The text of the session's row."""
    found = next(part for part in answer.text.split("<tr>") if f"/{session_id}/change/" in part)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found.split("</tr>")[0])).strip()


def titles(answer: Any, session_id: str) -> list[str]:
    found = next(part for part in answer.text.split("<tr>") if f"/{session_id}/change/" in part)
    return re.findall(r'title="([^"]*)"', found.split("</tr>")[0])


def test_newest_first(desk: Callable[[User], Desk], begin: Begin, root: User, user: User) -> None:
    """The session that was used last is at the top, and each row leads to the page of its session."""
    old, new = begin(user, ago=100), begin(ago=10)
    at = desk(root)
    found = at.get()
    assert ids(found) == [at.id, new.id, old.id]
    assert total(found) == "3"
    assert at.get(f"{new.id}/change/").status == 200


def test_row(desk: Callable[[User], Desk], begin: Begin, root: User, user: User) -> None:
    """A row says who is signed in, on what and where, since when, and for how long."""
    client = Client(address="192.0.2.1", agent="x", last_address=ADDRESS, last_agent=FIREFOX)
    record = begin(user, ago=180, mode=SessionMode.PERM, client=client)
    found = desk(root).get()
    prefix = f"{record.id[:8]}…"
    words = "ada 3 minutes ago Firefox 140 on Linux 192.0.2.7 in 14 days permanent 3 minutes ago"
    assert row(found, record.id) == f"{prefix} {words}"
    assert f'<a href="/admin/auth/user/{user.pk}/change/">ada</a>' in found.text
    assert FIREFOX in titles(found, record.id)
    assert '<time datetime="2027-01-15T07:57:00+00:00" title="Jan. 15, 2027, 1:57 a.m.">3' in found.text


def test_anonymous_and_deleted(desk: Callable[[User], Desk], begin: Begin, root: User) -> None:
    """Sessions of nobody, and of users who are no more, say so; what is not known is a dash."""
    nobody, deleted = begin(client=None), begin(User(pk=4711))
    found = desk(root).get()
    assert "anonymous just now - - in" in row(found, nobody.id)
    assert "deleted (4711)" in row(found, deleted.id)


def test_this_is_you(desk: Callable[[User], Desk], begin: Begin, root: User) -> None:
    """Of all rows, that of the page's own reader says so."""
    other, at = begin(root), desk(root)
    found = at.get()
    assert "this is you" in row(found, at.id)
    assert "this is you" not in row(found, other.id)


def test_pages(desk: Callable[[User], Desk], begin: Begin, root: User) -> None:
    """Fifty sessions are on a page, and the last page has the others."""
    records = [begin(ago=number) for number in range(1, 60)]
    at = desk(root)
    assert ids(at.get()) == [at.id, *(record.id for record in records[:49])]
    assert ids(at.get(query="p=2")) == [record.id for record in records[49:]]
    assert total(at.get(query="p=2")) == "60"
    assert ids(at.get(query="all=")) == [at.id, *(record.id for record in records)]


def test_sorting(desk: Callable[[User], Desk], begin: Begin, root: User) -> None:
    """The list can be sorted by last use and by expiry, both ways, and by nothing else."""
    first, last = begin(ago=50), begin(ago=40)
    later = begin(ago=60, expires=first.expires + 90 * DAY)
    at = desk(root)
    by = {name: number for number, name in enumerate(["action_checkbox", *page.LiveSessionAdmin.list_display])}
    assert ids(at.get(query=f"o={by['last_seen']}")) == [later.id, first.id, last.id, at.id]
    by_expiry = ids(at.get(query=f"o={by['expires_in']}"))
    assert by_expiry[-1] == later.id
    assert ids(at.get(query=f"o=-{by['expires_in']}")) == by_expiry[::-1]
    assert ids(at.get(query=f"o={by['owner']}")) == ids(at.get())
    assert set(re.findall(r'<th scope="col" class="sortable column-(\w+)', at.get().text)) == {
        "last_seen",
        "expires_in",
    }


def test_what_is_over_is_not_listed(
    desk: Callable[[User], Desk], begin: Begin, engine: type[SessionStore], root: User, clock: Clock
) -> None:
    """Sessions that have expired are not in the list, whether or not the reaper has been there."""
    begin(expires=clock.now + 50)
    at = desk(root)
    clock.advance(60)
    assert ids(at.get()) == [at.id]


def test_looking_extends_nothing(
    desk: Callable[[User], Desk], begin: Begin, engine: type[SessionStore], root: User, user: User, clock: Clock
) -> None:
    """Whoever looks at sessions, in a list or one by one, leaves each of them but the own one as it was (REQ-S86)."""
    record = begin(user)
    at = desk(root)
    store = engine().store
    before = store.load(record.id)
    clock.advance(300)
    for path, query in (
        ("", ""),
        ("", "q=ada"),
        ("", "seen=hour"),
        (f"{record.id}/change/", ""),
        ("end-matching/", ""),
    ):
        assert at.get(path, query).status == 200
    assert store.load(record.id) == before


def sql(captured: CaptureQueriesContext) -> list[str]:
    """The tables that were asked, in order."""
    found = [re.search(r'(?:FROM|INTO|UPDATE) "(\w+)"', query["sql"]) for query in captured]
    return [match.group(1) for match in found if match]


@pytest.mark.parametrize("query", ["", "p=2", "seen=hour", "mode=temp", "expires=week", "o=3"])
def test_budget(
    desk: Callable[[User], Desk], begin: Begin, root: User, user: User, verbs: Verbs, engine: Any, query: str
) -> None:
    """A page asks the store for a count, a page of ids and their records, and the database for the session, the reader
    and the users on the page, however many sessions there are.
    """
    for number in range(60):
        begin(user, ago=number, expires=1_800_000_000 + DAY)
    at = desk(root)
    at.get(query=query)
    verbs.take()
    with CaptureQueriesContext(connection) as captured:
        assert at.get(query=query).status == 200
    asked = verbs.take()
    assert [verb for verb in asked if verb not in LIVE_PART] == ["load", "count", "newest", "load_many"]
    assert sql(captured).count("auth_user") == 2
    assert set(sql(captured)) <= {"auth_user", "typed_sessions_storedsession", "typed_sessions_sample"} | {
        "typed_sessions_tally"
    }


@pytest.mark.parametrize("query", ["q=ada", "q=192.0.2.7", "user=2"])
def test_budget_of_search(
    desk: Callable[[User], Desk], begin: Begin, root: User, user: User, verbs: Verbs, query: str
) -> None:
    """A search asks one index and for the records that are in it."""
    begin(user)
    begin(user)
    query = query.replace("user=2", f"user={user.pk}")
    at = desk(root)
    at.get(query=query)
    verbs.take()
    with CaptureQueriesContext(connection) as captured:
        found = at.get(query=query)
    index = "at_address" if "192" in query else "of_user"
    assert [verb for verb in verbs.take() if verb not in LIVE_PART] == ["load", index, "load_many"]
    assert sql(captured).count("auth_user") == (3 if query.startswith("q") else 2)
    assert total(found).startswith("2") or "2 results" in found.text


@few
@pytest.mark.parametrize(
    "query",
    [
        "p=abc",
        "p=0",
        "p=-1",
        "p=99999999999999999999",
        "p=" + "9" * 5000,
        "p=%D9%A1",
        "o=9.9",
        "o=x",
        "o=-.-1",
        "o=99999999999999999999",
        "nothing=1",
        "id=1",
        "id__in=1,2",
        "user=abc",
        "user=%00",
        "user=99999999999999999999",
        "user=-99999999999999999999",
        "user__password=x",
        "user__isnull=1",
        "mode=nonsense",
        "mode__exact=temp",
        "seen=5min&expires=hour",
        "seen=%00",
        "created__gte=2020",
        "q=%00",
        "q=" + "a" * 10_000,
        "q=%F0%9F%92%A9%E2%80%AE",
        "q='%22%3Cscript%3Ealert(1)%3C/script%3E",
        "e=1",
        "e=1&mode=nonsense",
        "e=1&p=77",
        "all=1&p=3",
        "_facets=True",
        "_popup=1",
        "_to_field=id",
        "%00=1",
        "=",
    ],
)
def test_bad_queries(desk: Callable[[User], Desk], begin: Begin, root: User, query: str) -> None:
    """Whatever stands in the address, there is a page of sessions at the end."""
    begin()
    found = desk(root).get(query=query)
    assert found.status == 200
    assert 'id="changelist"' in found.text
    assert "<script>alert" not in found.text


@few
def test_page_that_is_no_more(desk: Callable[[User], Desk], begin: Begin, root: User) -> None:
    """A page behind the last one leads to the first, and the filter stays."""
    for _ in range(51):
        begin(mode=SessionMode.PERM)
    found = desk(root).browser.get(f"{LIST}?mode=perm&p=7")
    assert (found.status, found["location"]) == (302, f"{LIST}?mode=perm")


@few
def test_field_that_cannot_be_referenced(desk: Callable[[User], Desk], root: User) -> None:
    """What Django itself calls a suspicious operation is a bad request, and no error of the server."""
    assert desk(root).get(query="_to_field=mode").status == 400


@few
def test_store_away(desk: Callable[[User], Desk], root: User, verbs: Verbs) -> None:
    """A store that does not answer while the list is made is a page that says so, with a status that says it too."""
    at = desk(root)

    def fail() -> None:
        raise StoreUnavailable("no answer")

    verbs.before("count", fail)
    found = at.get()
    assert found.status == 503
    assert "The session store does not answer" in found.text


@few
def test_engine_that_cannot_list(use_engine: UseEngine, desk: Callable[[User], Desk], root: User) -> None:
    """On an engine that cannot list, pages of lists say so, and what to use; a session can be found by its id."""
    use_engine("cache")
    at = desk(root)
    for answer in (at.get(), at.get("end-matching/"), at.post("end-matching/", run="x"), at.get(query="q=ada")):
        assert answer.status == 200
        assert "cannot list its sessions" in answer.text
    assert at.get(f"{at.id}/change/").status == 200
    assert "Your own session is among them" in at.get(f"{at.id}/end/").text


@few
def test_engine_of_somebody_else(desk: Callable[[User], Desk], root: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """On an engine that is none of ours, every page says which it is."""
    at = desk(root)

    def engine() -> None:
        raise ImproperlyConfigured("SESSION_ENGINE is 'x', and no engine of typed_sessions.")

    monkeypatch.setattr("typed_sessions.site.engine", engine)
    for path in ("", "end-matching/", f"{at.id}/change/", f"{at.id}/history/", f"{at.id}/end/"):
        for answer in (at.get(path), *([at.post(path)] if "end" in path else [])):
            assert answer.status == 200
            assert "and no engine of typed_sessions" in answer.text


@few
def test_other_site(desk: Callable[[User], Desk], begin: Begin, root: User, user: User) -> None:
    """On a site of the project's own, every link stays on that site."""
    record = begin(user)
    at = desk(root)
    for path in ("", f"{record.id}/end/", "end-matching/"):
        found = at.get(f"/office/typed_sessions/livesession/{path}")
        assert found.status == 200
        assert f"/office/typed_sessions/livesession/{record.id}/change/" in found.text or path == "end-matching/"
        assert not re.findall(r'(?:href|action)="(/admin/[^"]*)"', found.text)


@few
def test_users_that_may_not_be_seen(
    desk: Callable[[User], Desk], begin: Begin, staff: Callable[..., User], user: User
) -> None:
    """Who may not see users sees their names, and no links to them."""
    record = begin(user)
    found = desk(staff("view_livesession")).get()
    assert " ada " in row(found, record.id)
    assert "/auth/user/" not in found.text


@few
def test_without_time_zones(desk: Callable[[User], Desk], begin: Begin, root: User, settings: Settings) -> None:
    """A project without time zones has the page too."""
    record = begin(ago=7200)
    settings.USE_TZ = False
    assert "2 hours ago" in row(desk(root).get(), record.id)


@few
def test_country(desk: Callable[[User], Desk], begin: Begin, root: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the project knows the countries of addresses, they stand behind them."""
    record = begin()
    monkeypatch.setattr(page, "country_of", lambda address: Country("DE", "Germany"))
    found = desk(root).get()
    assert "192.0.2.7 DE" in row(found, record.id)
    assert "Germany" in titles(found, record.id)


def test_damaged_row(desk: Callable[[User], Desk], begin: Begin, root: User) -> None:
    """One record with times that no calendar has hides no other, and can be looked at, and ended."""
    damaged, other = begin(created=-(2**40), expires=2**40), begin()
    at = desk(root)
    assert set(ids(at.get())) == {damaged.id, other.id, at.id}
    for path in (f"{damaged.id}/change/", f"{damaged.id}/end/", "end-matching/"):
        assert at.get(path).status == 200
    assert told(at.submit(at.get(f"{damaged.id}/end/"), f"{damaged.id}/end/")) == ["success: 1 session was ended."]


@few
def test_ids_that_are_tokens(
    desk: Callable[[User], Desk], begin: Begin, root: User, user: User, configure: Callable[..., None]
) -> None:
    """With `HASH_IDS=False` the list shows digests and no token, and they lead to the sessions."""
    configure(HASH_IDS=False)
    at = desk(root)
    record = begin(user)
    found = at.get()
    shown = str(tokens.shown(record.id))
    assert record.id not in found.text
    assert at.browser.token not in found.text
    assert "this is you" in row(found, str(tokens.shown(at.browser.token)))
    assert at.get(f"{shown}/change/").status == 200
    assert ids(at.get(query=f"q={shown}")) == [shown]


@few
def test_more_than_are_shown(
    desk: Callable[[User], Desk], begin: Begin, root: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an address with more sessions than are shown, the page says that these are not all."""
    monkeypatch.setattr("typed_sessions.admin.queryset.LARGEST_SET", 2)
    for _ in range(3):
        begin()
    found = desk(root).get(query=f"q={ADDRESS}")
    assert len(ids(found)) == 2
    assert told(found) == [f"warning: {CUT}"]


def test_few_among_many(
    desk: Callable[[User], Desk], begin: Begin, root: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among many sessions of one address, those that a filter is about are found, however many others there are; with
    more than are looked at, the page says that there may be others.
    """
    monkeypatch.setattr("typed_sessions.admin.queryset.LARGEST_SET", 3)
    monkeypatch.setattr("typed_sessions.admin.queryset._PAGE", 2)
    rare = [begin(ago=each, mode=SessionMode.PERM).id for each in (1, 70)]
    for number in range(10):
        begin(ago=number + 5)
    at = desk(root)
    found = at.get(query=f"q={ADDRESS}&mode=perm")
    assert (ids(found), told(found)) == (rare, [])
    monkeypatch.setattr("typed_sessions.admin.queryset.LOOKED_AT", 4)
    found = at.get(query=f"q={ADDRESS}&mode=perm")
    assert set(ids(found)) <= set(rare)
    assert told(found) == [f"warning: {CUT}"]


@few
def test_column_of_the_project(
    desk: Callable[[User], Desk], begin: Begin, root: User, engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column of the project's own can have what is in the session, which was loaded with the row."""
    record = begin(type="ShopSession", data=fields(engine().store.format, currency="CHF"))

    def currency(self: page.LiveSessionAdmin, row: LiveSession) -> str | None:
        return self.typed_session(row).currency if row.viewer.may_see_payload else None

    monkeypatch.setattr(page.LiveSessionAdmin, "currency", currency, raising=False)
    monkeypatch.setattr(page.LiveSessionAdmin, "list_display", ("session", "currency"))
    assert row(desk(root).get(), record.id).endswith("CHF")


def test_unfold_is_used_where_it_is_installed() -> None:
    """Where django-unfold is installed, the page is made with its `ModelAdmin`."""
    unfold = pytest.importorskip("unfold.admin")
    with modify_settings(INSTALLED_APPS={"append": ["unfold"]}):
        assert page.admin_base() is unfold.ModelAdmin
