"""What stands in for a queryset, and what the rest of Django makes of a model without a table."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import model_ngettext
from django.contrib.auth.models import Permission, User
from django.core.exceptions import FieldError
from django.core.management import call_command
from django.core.paginator import Paginator
from django.db.models import Q

from tests.admin.conftest import Begin, Desk, few
from typed_sessions.admin import LiveSessionAdmin
from typed_sessions.admin import queryset as module
from typed_sessions.admin.permissions import Viewer
from typed_sessions.admin.queryset import SessionQuery
from typed_sessions.backends.base import SessionStore
from typed_sessions.models import LiveSession
from typed_sessions.stores.selection import Selection
from typed_sessions.testing.engines import Clock, Verbs


@pytest.fixture
def query(engine: type[SessionStore], root: User) -> SessionQuery:
    return SessionQuery(Viewer(SimpleNamespace(user=root), admin.site))  # type: ignore[arg-type]  # what is looked at


def ids(rows: Any) -> list[str]:
    return [row.pk for row in rows]


class Asked:
    """Stands before a queryset, and notes what is asked of it."""

    def __init__(self, query: SessionQuery, names: set[str]) -> None:
        self._query, self._names = query, names

    def __getattr__(self, name: str) -> Any:
        self._names.add(name)
        found = getattr(self._query, name)
        return (lambda *args, **kwargs: self._wrapped(found(*args, **kwargs))) if callable(found) else found

    def _wrapped(self, answer: Any) -> Any:
        return Asked(answer, self._names) if isinstance(answer, SessionQuery) else answer

    def __len__(self) -> int:
        self._names.add("__len__")
        return len(self._query)

    def __iter__(self) -> Any:
        self._names.add("__iter__")
        return iter(self._query)

    def __getitem__(self, part: Any) -> Any:
        self._names.add("__getitem__")
        return self._wrapped(self._query[part])


@few
def test_what_django_asks(
    desk: Callable[[User], Desk], begin: Begin, root: User, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Django's own list asks nothing but what is known here: another version that asks for more is seen by this."""
    for _ in range(60):
        begin(user)
    at = desk(root)
    names: set[str] = set()
    original = LiveSessionAdmin.get_queryset
    monkeypatch.setattr(LiveSessionAdmin, "get_queryset", lambda self, request: Asked(original(self, request), names))
    for each in ("", "p=2", "all=1", "q=ada", "mode=temp", "o=3", f"user={user.pk}", "_popup=1"):
        assert at.get(query=each).status == 200
    assert names <= {
        "__getitem__", "__iter__", "__len__", "_clone", "choose", "count", "distinct", "filter", "is_cut", "order_by",
        "ordered", "query", "restricted", "totally_ordered", "viewer", "wanted",
    }  # fmt: skip


def test_like_a_queryset(query: SessionQuery, begin: Begin, user: User) -> None:
    """It counts, slices, iterates and finds, and its clones share what was loaded."""
    records = [begin(user, ago=number) for number in range(4)]
    expected = [record.id for record in records]
    assert query.count() == len(query) == 4
    assert ids(query) == ids(query.all()) == ids(query.using("default").distinct()) == expected
    assert ids(query[1:3]) == expected[1:3]
    assert query[1].pk == expected[1]
    assert ids(query[2:]) == expected[2:]
    assert bool(query)
    assert query.exists()
    assert not query.none()
    assert not query.none().exists()
    assert query.get(pk=expected[0]).pk == expected[0]
    with pytest.raises(LiveSession.DoesNotExist):
        query.get(pk="0" * 40)
    with pytest.raises(LiveSession.MultipleObjectsReturned):
        query.get(user=user.pk)


def test_pages_of_pages(query: SessionQuery, begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long list is counted by the store, sliced by the store, and streamed in parts by who iterates over it."""
    monkeypatch.setattr(module, "ONE_PAGE", 3)
    monkeypatch.setattr(module, "_PAGE", 4)
    expected = [begin(ago=number).id for number in range(10)]
    assert query.all().count() == 10
    assert ids(iter(query)) == expected
    assert ids(query[2:9]) == expected[2:9]
    assert ids(query[2:9][1:3]) == expected[3:5]
    assert [ids(page.object_list) for page in Paginator(query, 6)] == [expected[:6], expected[6:]]
    assert len(query) == 10
    assert ids(query) == expected
    assert not query.is_cut


@few
def test_filters(query: SessionQuery, begin: Begin, user: User, other_user: User) -> None:
    """It filters by id and by user, by several of each, and by both."""
    first, second, third = begin(user, ago=1), begin(user, ago=2), begin(other_user, ago=3)
    assert ids(query.filter(pk__in=[third.id, first.id])) == [first.id, third.id]
    assert ids(query.filter(id__exact=second.id)) == [second.id]
    assert ids(query.filter(user=str(user.pk))) == [first.id, second.id]
    assert ids(query.filter(user__in=[user.pk, other_user.pk])) == [first.id, second.id, third.id]
    assert ids(query.filter(Q(pk=first.id) | Q(pk=third.id), user=user.pk)) == [first.id]
    assert ids(query.filter(Q(user=user.pk) | Q(pk=third.id))) == [first.id, second.id, third.id]
    assert ids(query.filter(Q())) == ids(query)


@few
@pytest.mark.parametrize(
    ("condition", "error"),
    [
        (Q(mode="temp"), FieldError),
        (Q(created__gte=1), FieldError),
        (Q(pk__startswith="a"), FieldError),
        (~Q(pk="a"), FieldError),
        (Q(Q(pk="a") & Q(user=1)) | Q(pk="b"), FieldError),
        (Q(user="nobody"), ValueError),
    ],
)
def test_other_filters(query: SessionQuery, condition: Q, error: type[Exception]) -> None:
    """What stores have no index of is an error, and not a list of all."""
    with pytest.raises(error):
        query.filter(condition)


def test_orders(query: SessionQuery, begin: Begin) -> None:
    """It has the orders of the store, the first that it knows of those that are asked for."""
    one, two = begin(ago=1, expires=1_800_000_900), begin(ago=2, expires=1_800_000_800)
    assert ids(query.order_by("-seen", "-pk")) == [one.id, two.id]
    assert ids(query.order_by("pk", "seen")) == [two.id, one.id]
    assert ids(query.order_by("expires")) == [two.id, one.id]
    assert ids(query.order_by("-expires")) == [one.id, two.id]
    assert query.order_by("pk").wanted.selection == Selection()
    assert query.choose(since=5).order_by("expires").wanted.selection == Selection(since=5)


@few
def test_loaded_once(query: SessionQuery, begin: Begin, verbs: Verbs) -> None:
    """What was loaded to count it is not loaded again to show it."""
    begin()
    begin()
    verbs.take()
    assert query.count() == 2
    assert len(query._clone()) == 2
    assert len(query[0:2]) == 2
    assert verbs.take() == ["count", "newest", "load_many"]


def test_rows_that_have_moved(
    query: SessionQuery, begin: Begin, engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """A record that no longer is what the list is about is left out, as one that has expired is."""
    record = begin(ago=5, expires=clock.now + 60)
    monkeypatch.setattr(type(engine().store), "newest", lambda self, now, limit, offset=0, chosen=None: [record.id])
    assert ids(query.choose(since=1_800_000_000)[0:1]) == []
    assert ids(query[0:1]) == [record.id]
    clock.advance(60)
    assert ids(query[0:1]) == []


@few
def test_ids_that_are_tokens(query: SessionQuery, begin: Begin, configure: Callable[..., None]) -> None:
    """With `HASH_IDS=False` sessions are found by the digests that are shown, with one look at all of them."""
    configure(HASH_IDS=False)
    records = [begin(ago=number) for number in range(3)]
    shown = ids(query.all())
    assert not set(shown) & {record.id for record in records}
    assert ids(query.filter(pk__in=[shown[2], shown[0], "0" * 40])) == [shown[0], shown[2]]


def test_words() -> None:
    """Django's own words for a number of objects know it."""
    query: Any = SessionQuery(Viewer(SimpleNamespace(user=None), admin.site))  # type: ignore[arg-type]  # not looked at
    assert model_ngettext(query, 2) == "live sessions"
    assert model_ngettext(query, 1) == "live session"


def test_without_time_zones(query: SessionQuery, begin: Begin, settings: Any) -> None:
    """Times of rows are as the project has them, with a time zone or without."""
    begin()
    assert query.all()[0].seen.tzinfo is not None
    settings.USE_TZ = False
    assert SessionQuery(query.viewer)[0].seen.tzinfo is None


@pytest.mark.django_db(databases="__all__")
def test_rest_of_django() -> None:
    """The model has no table, and no command of Django's minds that (REQ-S87)."""
    out = StringIO()
    call_command("check", stdout=out, fail_level="WARNING")
    call_command("makemigrations", "typed_sessions", check=True, dry_run=True, stdout=out)
    call_command("dumpdata", stdout=out, exclude=["contenttypes", "auth.permission"])
    call_command("migrate", stdout=out)
    assert '"model": "typed_sessions.livesession"' not in out.getvalue()
    assert list(LiveSession.objects.all()) == []
    assert set(Permission.objects.filter(content_type__model="livesession").values_list("codename", flat=True)) == {
        "view_livesession",
        "view_livesession_payload",
        "end_livesession",
    }
