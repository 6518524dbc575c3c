"""Serializers made from session classes: every type there and back, and nothing in that would not come back."""

from __future__ import annotations

from dataclasses import dataclass, fields, make_dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import QueryDict
from rest_framework.renderers import HTMLFormRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.rest_framework.clients import SESSION, Caller
from tests.rest_framework.conftest import Configure, NewCaller
from tests.rest_framework.sessions import ApiSession, Box, Colour, EveryType, Floor, Line, Size
from tests.rest_framework.urls import address
from typed_sessions import TypedSession, get_session, live_sessions, session_field
from typed_sessions.exceptions import SessionFieldError
from typed_sessions.rest_framework import session_serializer
from typed_sessions.rest_framework.serializers import CurrentSessionSerializer, current_session_serializer
from typed_sessions.session import engine_of

EVERY_TYPE = "tests.rest_framework.sessions.EveryType"

A_LINE: Any = {"sku": "a", "quantity": 1, "price": "0.00", "parts": []}

VALUES: list[tuple[str, Any, Any]] = [
    ("text", "☃", "☃"),
    ("number", -3, -3),
    ("number", 2**60, 2**60),
    ("ratio", 0.5, 0.5),
    ("ratio", 2, 2.0),
    ("flag", True, True),
    ("raw", "AP8=", b"\x00\xff"),
    ("anything", {"a": [1, None, "b"]}, {"a": [1, None, "b"]}),
    ("amount", "1.2345", Decimal("1.2345")),
    ("amount", "1.10", Decimal("1.10")),
    ("moment", "2026-05-04T03:02:01.500000Z", datetime(2026, 5, 4, 3, 2, 1, 500_000, tzinfo=timezone.utc)),
    ("day", "2026-05-04", date(2026, 5, 4)),
    ("hour", "03:02:01", time(3, 2, 1)),
    ("span", "P1DT2S", timedelta(days=1, seconds=2)),
    ("key", str(UUID(int=7)), UUID(int=7)),
    ("colour", "blue", Colour.BLUE),
    ("size", "l", Size.LARGE),
    ("floor", 1, Floor.FIRST),
    ("visited", [3], {3}),
    ("tags", ["tea"], frozenset(["tea"])),
    ("pair", [1, "a"], (1, "a")),
    ("row", [1, 2, 3], (1, 2, 3)),
    ("plain", [1, "a", None], [1, "a", None]),
    ("days", {"2026-05-04": 1}, {date(2026, 5, 4): 1}),
    ("choice", "b", "b"),
    ("choice", 1, 1),
    ("choice", None, None),
    ("either", "a", "a"),
    ("either", 1, 1),
    ("maybe", None, None),
    (
        "maybe",
        {"sku": "a", "quantity": 2, "price": "1.00", "parts": []},
        Line("a", 2, Decimal("1.00")),
    ),
    (
        "lines",
        [{**A_LINE, "parts": [A_LINE]}],
        [Line("a", parts=[Line("a")])],
    ),
    ("box", {"item": 5}, Box(5)),
    ("share", 100, 100),
    ("code", "abc", "abc"),
    (
        "lines_by_day",
        {"2026-05-04": [A_LINE]},
        {date(2026, 5, 4): [Line("a")]},
    ),
]


def serializer_of(session: TypedSession, data: Any) -> Any:
    """Without a request, a serializer reads and validates, and only saving needs one."""
    return session_serializer(type(session))(session, data=data, partial=True)


@pytest.mark.parametrize(("name", "told", "value"), VALUES, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("engine", ["db", "redis", "msgpack"], indirect=True)
@pytest.mark.usefixtures("engine")
def test_every_type_there_and_back(by_header: Caller, configure: Configure, name: str, told: Any, value: Any) -> None:
    """A value of any type that a session can hold arrives as what it is, and is shown as it came."""
    configure(SESSION_CLASS=EVERY_TYPE)
    answer = by_header.patch(SESSION, {name: told})
    assert (answer.status_code, answer.json()[name]) == (200, told)
    assert by_header.get(SESSION).json()[name] == told
    stored = getattr(live_sessions.get(answer.json()["id"]), name)
    assert (stored, type(stored)) == (value, type(value))


def test_all_types_are_among_the_values() -> None:
    """Each field of the class of every type is tested."""
    assert {name for name, _, _ in VALUES} == {declared.name for declared in fields(EveryType)}


@pytest.mark.parametrize(
    ("name", "told", "problem"),
    [
        ("number", "3", "Expected int, got str"),
        ("number", True, "Expected int, got bool"),
        ("ratio", float("inf"), "Expected float, got null"),
        ("raw", "?", "Invalid base64 encoded string"),
        ("amount", "much", "Invalid decimal string"),
        ("day", "2026-13-01", "Invalid RFC3339 encoded date"),
        ("colour", "green", "Invalid enum value 'green'"),
        ("size", "xl", "Invalid enum value 'xl'"),
        ("pair", [1], "Expected array of length 2"),
        ("pair", [1, 2], "[1]: Expected str, got int"),
        ("days", {"monday": 1}, "key: Invalid RFC3339 encoded date"),
        ("lines_by_day", {"2026-05-04": [], "x": []}, "key: Invalid RFC3339 encoded date"),
        ("anything", {"a": object()}, "is object, which a session cannot hold"),
        ("choice", "c", "Invalid enum value 'c'"),
        ("maybe", {"sku": "a", "quantity": None}, ".quantity: Expected int, got null"),
        ("share", 0, "Expected int >= 1"),
        ("code", "abcd", "Expected str of length <= 3"),
        ("text", "\ud800", "Is no text that can be written."),
        ("text", SimpleUploadedFile("a", b"b"), "is SimpleUploadedFile, which a session cannot hold"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isidentifier() else "",
)
def test_refused_values(name: str, told: Any, problem: str) -> None:
    """What the type of a field does not allow is refused in the field's name, with the place in it."""
    serializer = serializer_of(EveryType(), {name: told})
    assert not serializer.is_valid()
    assert serializer.errors == {name: [problem]}


@pytest.mark.parametrize("engine", ["msgpack"], indirect=True)
@pytest.mark.usefixtures("engine")
def test_value_that_the_store_refuses(caller: Caller, configure: Configure) -> None:
    """What one codec holds and the project's does not is refused like any other, and the session is as it was."""
    configure(SESSION_CLASS=EVERY_TYPE)
    answer = caller.patch(SESSION, {"number": 2**70, "flag": True})
    assert (answer.status_code, list(answer.json())) == (400, ["number"])
    answer = caller.patch(SESSION, {"lines": [{"sku": "a"}, {"sku": "b", "quantity": 2**70}]})
    assert answer.json()["lines"][0].startswith("[1].quantity: ")
    assert not caller.get(SESSION).json()["flag"]


def test_numbers_that_json_does_not_know() -> None:
    """A float that is none is shown as null, as no client could read it."""
    session = EveryType(ratio=float("nan"), anything={"a": [float("inf")]})
    shown = session_serializer(EveryType)(session).data
    assert (shown["ratio"], shown["anything"]) == (None, {"a": [None]})
    assert JSONRenderer().render(shown)


def test_only_open_fields_are_shown() -> None:
    """Fields that say nothing of clients are not shown, and read-only ones are read-only."""
    serializer = session_serializer(ApiSession)()
    changeable = {name for name, field in serializer.fields.items() if not field.read_only}
    assert changeable == {"currency", "cart", "note", "gift", "coupon"}
    assert set(serializer.fields) - changeable == {
        *("user_auth_id", "user_name", "display_name", "first_name", "last_name", "email", "roles", "permissions"),
        "page_views",
    }


def test_secret_fields_are_never_shown() -> None:
    """A secret stays one, even in a class that no project could use."""
    pin = session_field(default="", api="write", secret=True)
    careless: Any = make_dataclass("Careless", [("pin", str, pin)], bases=(TypedSession,))
    assert set(session_serializer(careless)().fields) == set()


def test_serializers_are_made_once() -> None:
    """A class has one serializer of each kind, by which an OpenAPI schema knows it again."""
    assert session_serializer(ApiSession) is session_serializer(ApiSession)
    assert current_session_serializer(ApiSession) is not session_serializer(ApiSession)
    assert issubclass(current_session_serializer(ApiSession), CurrentSessionSerializer)
    assert session_serializer(ApiSession).__name__ == "ApiSessionSerializer"


# Forms


def typed(session: TypedSession, text: str) -> Any:
    """What a form in which somebody typed `text` makes of a session."""
    serializer = serializer_of(session, QueryDict(text))
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("text=tea", {"text": "tea"}),
        ("text=%22tea%22", {"text": "tea"}),
        ("text=5", {"text": "5"}),
        ("text=null", {"text": "null"}),
        ("number=5", {"number": 5}),
        ("flag=true", {"flag": True}),
        ("day=2026-05-04", {"day": date(2026, 5, 4)}),
        ("amount=1.50", {"amount": Decimal("1.50")}),
        ("size=l", {"size": Size.LARGE}),
        ("visited=[1,2]", {"visited": {1, 2}}),
        ("maybe=null", {"maybe": None}),
        ('maybe={"sku": "a"}', {"maybe": Line("a")}),
    ],
)
def test_form_takes_json_and_words(text: str, expected: dict[str, Any]) -> None:
    """In a form stands what JSON would say, or the bare word where the type is one."""
    assert typed(EveryType(), text) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("number=many", "JSON is malformed: invalid character (byte 0)"),
        ('lines=[{"sku": 5}]', "[0].sku: Expected str, got int"),
        ("lines=" + "[" * 5000 + "]" * 5000, "Is nested too deep."),
    ],
    ids=["word", "part", "deep"],
)
def test_form_that_is_refused(text: str, problem: str) -> None:
    """What is wrong in a form is told as it is for JSON."""
    serializer = serializer_of(EveryType(), QueryDict(text))
    assert not serializer.is_valid()
    assert [*serializer.errors.values()] == [[problem]]


def test_form_is_drawn() -> None:
    """Each field that can be changed has its place in a form, with its value as JSON."""
    serializer = session_serializer(EveryType)(EveryType(lines=[Line("cup")]))
    drawn = HTMLFormRenderer().render(serializer.data, None, {})
    assert [drawn.count(f'name="{declared.name}"') for declared in fields(EveryType)] == [1] * len(fields(EveryType))
    assert "cup" in drawn


# In views of a project


class Settings(APIView):
    """Changes the session by a serializer of the project's own, after something has happened to it."""

    authentication_classes = []
    raised: ClassVar[Exception]
    happens = staticmethod(lambda request: None)

    def patch(self, request: Request) -> Response:
        session = get_session(request, ApiSession)
        assert session.id is not None
        type(self).happens(request)
        context = {"request": request}
        serializer = session_serializer(ApiSession)(session, data=request.data, partial=True, context=context)
        serializer.is_valid(raise_exception=True)
        try:
            serializer.save()
        except Exception as error:
            type(self).raised = error
            raise
        return Response(serializer.data)


def settings_after(happens: Any) -> type[Settings]:
    """The view in which this happens before the change."""
    return type("After", (Settings,), {"happens": staticmethod(happens)})


def another_request(request: Request) -> Any:
    """The same session, in another request at the same time."""
    return type(engine_of(request))(engine_of(request).session_key)


def change_coupon(request: Request) -> None:
    other = another_request(request)
    other.typed_session.coupon = "MILK"
    other.save()


def end(request: Request) -> None:
    assert live_sessions.end(engine_of(request).typed_session.id)


def spoil(request: Request) -> None:
    get_session(request, ApiSession).page_views = "many"  # type: ignore[assignment]  # what is refused


def spoil_bag(request: Request) -> None:
    engine_of(request)["a.b"] = object()


@pytest.mark.usefixtures("engine")
def test_change_in_a_view_of_the_project(caller: Caller) -> None:
    """The serializer of a class stores what it changes, and shows it."""
    caller.patch(SESSION, {"note": "kept"})
    answer = caller.patch(address(Settings), {"currency": "GBP", "roles": ["staff"]})
    assert (answer.status_code, answer.json()["currency"], answer.json()["note"]) == (200, "GBP", "kept")
    assert "id" not in answer.json()
    assert caller.get(SESSION).json()["currency"] == "GBP"


@pytest.mark.usefixtures("engine")
def test_change_that_conflicts(caller: Caller) -> None:
    """A field that refuses to be changed twice at once is a 409, and the first change stands."""
    caller.patch(SESSION, {"coupon": "TEA"})
    answer = caller.patch(address(settings_after(change_coupon)), {"coupon": "OIL"})
    assert (answer.status_code, answer.json()["detail"][:19]) == (409, "The session was cha")
    assert caller.get(SESSION).json()["coupon"] == "MILK"


@pytest.mark.usefixtures("engine")
def test_change_of_a_session_that_has_just_ended(caller: Caller) -> None:
    """A session that ends meanwhile stays ended, and the client is told that nothing was changed."""
    caller.patch(SESSION, {"coupon": "TEA"})
    before = caller.copy()
    answer = caller.patch(address(settings_after(end)), {"coupon": "OIL"})
    assert (answer.status_code, answer.json()["detail"][:17]) == (400, "The session ended")
    assert before.get(SESSION).json().get("coupon", "") == ""


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("happens", [spoil, spoil_bag])
def test_mistake_of_the_view_is_not_blamed_on_the_client(caller: Caller, happens: Any) -> None:
    """A value that the view itself has spoilt is its error, and goes through."""
    caller.patch(SESSION, {"coupon": "TEA"})
    view = settings_after(happens)
    with pytest.raises(SessionFieldError):
        caller.patch(address(view), {"coupon": "OIL"})
    assert isinstance(view.raised, SessionFieldError)
    assert caller.get(SESSION).json()["coupon"] == "TEA"


@dataclass
class Renamed(TypedSession):
    schema_name: ClassVar[str] = "ApiSession"
    money: str = session_field(default="EUR", renamed_from="currency", api="write")


@pytest.mark.usefixtures("engine")
def test_renamed_field(new_caller: NewCaller, configure: Configure) -> None:
    """A class whose field has a former name is read and written under the present one."""
    caller = new_caller()
    caller.patch(SESSION, {"currency": "GBP"})
    configure(SESSION_CLASS=f"{__name__}.Renamed")
    assert caller.get(SESSION).json()["money"] == "GBP"
    assert caller.patch(SESSION, {"money": "USD"}).json()["money"] == "USD"


def test_name_of_errors_of_the_whole(caller: Caller, api: Any) -> None:
    """What no single field is to blame for stands where the project wants it."""
    api(NON_FIELD_ERRORS_KEY="all")
    assert "rest_framework" in django_settings.INSTALLED_APPS
    assert caller.patch(SESSION, {"gift": True}).json() == {"all": ["a gift needs a note"]}
