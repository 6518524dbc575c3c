"""Every type of contract §9 comes back from a record as it went in, in both formats."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, NewType
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from msgspec import Meta

from tests.core import classes
from tests.core.classes import (
    Address,
    Chain,
    Checked,
    Color,
    Derived,
    Frozen,
    Item,
    KeywordOnly,
    Level,
    Limited,
    Node,
    Page,
    PartialAddress,
    Payment,
    Point,
    Priority,
    Private,
    Rights,
    Slotted,
    Strict,
)
from tests.core.records import class_with, opened, record_of, saved
from typed_sessions import TypedSession, schema
from typed_sessions.formats import JSON, Format

AWARE = datetime(2026, 5, 4, 13, 2, 1, 999_999, tzinfo=timezone.utc)
ATHENS = datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Athens"))
PACKED = UUID("12345678-1234-5678-1234-567812345678")
UserId = NewType("UserId", int)


class Case(NamedTuple):
    hint: Any
    value: Any


def derived() -> Derived:
    made = Derived(5)
    made.note, made.history = "changed", [1, 2]
    return made


CASES = {
    "str": Case(str, 'é ☃ 🎉 "quoted" \\ \0 \x7f \u2028 \r\n'),
    "empty str": Case(str, ""),
    "int": Case(int, -(2**63)),
    "large int": Case(int, 2**64 - 1),
    "float": Case(float, 0.1 + 0.2),
    "small float": Case(float, 5e-324),
    "negative zero": Case(float, -0.0),
    "whole float": Case(float, 3.0),
    "bool": Case(bool, True),
    "none": Case(None, None),
    "bytes": Case(bytes, bytes(range(256))),
    "naive datetime": Case(datetime, datetime(2026, 5, 4, 13, 2, 1, 7)),
    "aware datetime": Case(datetime, AWARE),
    "first datetime": Case(datetime, datetime.min),
    "last datetime": Case(datetime, datetime.max.replace(tzinfo=timezone.utc)),
    "date": Case(date, date(1, 1, 1)),
    "time": Case(time, time(23, 59, 59, 999_999)),
    "aware time": Case(time, time(1, 2, 3, tzinfo=timezone.utc)),
    "timedelta": Case(timedelta, timedelta(days=40, microseconds=1)),
    "negative timedelta": Case(timedelta, -timedelta(seconds=0.5)),
    "Decimal": Case(Decimal, Decimal("-12345678901234567890.1234567890")),
    "Decimal with zeros": Case(Decimal, Decimal("1.00")),
    "Decimal exponent": Case(Decimal, Decimal("1E+30")),
    "UUID": Case(UUID, PACKED),
    "Enum": Case(Color, Color.BLUE),
    "IntEnum": Case(Level, Level.HIGH),
    "IntFlag": Case(Rights, Rights.READ | Rights.ADMIN),
    "no flag": Case(Rights, Rights(0)),
    "TextChoices": Case(Payment, Payment.CASH),
    "IntegerChoices": Case(Priority, Priority.URGENT),
    "Literal": Case(Literal["a", "b", 3], 3),
    "list": Case(list[int], [3, 1, 2, 1]),
    "nested list": Case(list[list[str]], [[], ["a"], ["b", "c"]]),
    "set": Case(set[str], {"b", "a"}),
    "set of enums": Case(set[Color], {Color.RED, Color.BLUE}),
    "set of UUIDs": Case(set[UUID], {PACKED, UUID(int=1)}),
    "set of tuples": Case(set[tuple[int, str]], {(1, "a"), (2, "b")}),
    "mixed set": Case(set[int | str | None], {1, "a", None}),
    "set in a tuple in a dict": Case(dict[str, tuple[set[bytes], ...]], {"a": ({b"a", b"b"}, set())}),
    "frozenset": Case(frozenset[int], frozenset({1, 2})),
    "set of dataclasses": Case(set[Frozen], {Frozen("a"), Frozen("b", 2)}),
    "tuple": Case(tuple[int, str, bool], (1, "a", False)),
    "long tuple": Case(tuple[int, ...], (1, 2, 3)),
    "empty tuple": Case(tuple[()], ()),
    "Sequence": Case(Sequence[int], [1, 2]),
    "NamedTuple": Case(Point, Point(1, 2.5)),
    "TypedDict": Case(Address, {"street": "Main", "number": 5}),
    "partial TypedDict": Case(PartialAddress, {}),
    "dict": Case(dict[str, int], {"b": 1, "a": 2, "": 3}),
    "Mapping": Case(Mapping[str, int], {"a": 1}),
    "MutableMapping": Case(MutableMapping[str, int], {"a": 1}),
    "dict by int": Case(dict[int, str], {-1: "a", 2**40: "b"}),
    "dict by enum": Case(dict[Color, int], {Color.RED: 1}),
    "dict by TextChoices": Case(dict[Payment, int], {Payment.CARD: 1}),
    "dict by IntegerChoices": Case(dict[Priority, int], {Priority.URGENT: 1}),
    "dict by date": Case(dict[date, int], {date(2026, 1, 2): 1}),
    "dict by UUID": Case(dict[UUID, Item], {PACKED: Item("a")}),
    "dict by Decimal": Case(dict[Decimal, int], {Decimal("1.50"): 1}),
    "dict by limited int": Case(dict[Annotated[int, Meta(gt=0, title="key")], int], {1: 2}),
    "dict of sets": Case(dict[str, set[int]], {"a": {1, 2}, "b": set()}),
    "Optional": Case(datetime | None, AWARE),
    "Optional none": Case(datetime | None, None),
    "int or str": Case(int | str, "5"),
    "str or int": Case(int | str, 5),
    "list of unions": Case(list[int | str | list[bool] | None], [1, "a", None, [True]]),
    "Decimal or None": Case(Decimal | int | None, Decimal("5.0")),
    "NewType": Case(UserId, UserId(5)),
    "Annotated": Case(Annotated[int, Meta(gt=0)], 5),
    "constraints": Case(Limited, Limited(10, "xyz")),
    "dataclass": Case(Item, Item("a", 2, Decimal("1.50"), {"x": ["y"]})),
    "dataclass subclass without fields of its own": Case(classes.SpecialItem, classes.SpecialItem("a", reason="b")),
    "optional dataclass": Case(Item | None, Item("a")),
    "list of dataclasses": Case(list[Item], [Item("a"), Item("b", 2)]),
    "dict of dataclasses": Case(dict[int, list[Item]], {5: [Item("a")]}),
    "generic": Case(Page[int], Page([1, 2], 2)),
    "generic of dataclasses": Case(Page[Item], Page([Item("a")], 1)),
    "two generics": Case(tuple[Page[int], Page[Item]], (Page([1]), Page([Item("a")]))),
    "recursive": Case(Node, Node("a", [Node("b", [Node("c")]), Node("d")])),
    "recursive generic": Case(Chain[Decimal], Chain(Decimal("1.0"), Chain(Decimal("2.0")))),
    "frozen": Case(Frozen, Frozen("a", 1)),
    "slots": Case(Slotted, Slotted("a", [1])),
    "kw_only": Case(KeywordOnly, KeywordOnly(name="a", size=1)),
    "frozen, slots and kw_only": Case(Strict, Strict(name="a", size=1)),
    "init=False and __post_init__": Case(Derived, derived()),
    "checked by __post_init__": Case(Checked, Checked(5)),
    "private field and ClassVar": Case(Private, Private(5)),
}


def stored_and_read(session: TypedSession, format: Format) -> Any:
    """`session` after a save, and what the next request reads."""
    copy = opened(type(session), format=format)
    copy.session = session
    again = opened(type(session), saved(copy), format=format)
    assert again.session is not session
    assert again.unreadable == []
    return again.session


def same(one: Any, other: Any) -> bool:
    """Equal and of the same type, however deep."""
    if type(one) is not type(other) or one != other:
        return False
    if dataclasses.is_dataclass(one):
        return all(same(getattr(one, each.name), getattr(other, each.name)) for each in dataclasses.fields(one))
    if isinstance(one, dict):
        return list(one) == list(other) and all(map(same, [*one, *one.values()], [*other, *other.values()]))
    if isinstance(one, (list, tuple)):
        return all(map(same, one, other))
    if isinstance(one, (set, frozenset)):
        return sorted(map(repr, one)) == sorted(map(repr, other))
    return repr(one) == repr(other)


@pytest.mark.parametrize(("hint", "value"), CASES.values(), ids=CASES.keys())
def test_what_is_stored_comes_back(hint: Any, value: Any, format: Format) -> None:
    """A value of each type is the same value of the same type after a save and a load."""
    session_class = class_with(hint, default=None)
    assert schema.problems(session_class) == []
    session = session_class(value=value)
    assert same(stored_and_read(session, format).value, value)


@pytest.mark.parametrize(("hint", "value"), CASES.values(), ids=CASES.keys())
def test_what_is_read_and_left_alone_has_not_changed(hint: Any, value: Any, format: Format) -> None:
    """No type looks changed after it was merely read: nothing would be written."""
    session_class = class_with(hint, default=None)
    copy = opened(session_class, format=format)
    copy.session = session_class(value=value)
    again = opened(session_class, saved(copy), format=format)
    assert again.session.value == value
    assert again.content({}) is None


def test_a_zone_is_kept_as_its_offset_or_as_the_instant(format: Format) -> None:
    """A time in a named zone is the same instant again: with its offset in JSON, in UTC in msgpack."""
    read = stored_and_read(class_with(datetime, AWARE)(value=ATHENS), format).value
    assert read == ATHENS
    assert read.utcoffset() == (timedelta(hours=3) if format is JSON else timedelta(0))


@pytest.mark.parametrize("session_class", [class_with(str, "", TypedSession), class_with(str | None)])
@pytest.mark.parametrize("value", [mark_safe("<b>text</b>"), gettext_lazy("<b>text</b>")], ids=["safe", "lazy"])
def test_marked_and_lazy_strings_are_stored_as_text(session_class: Any, value: Any, format: Format) -> None:
    """What a template or a translation gives can be put in a str field, and is plain text in the next request."""
    assert same(stored_and_read(session_class(value=value), format).value, "<b>text</b>")


def test_text_in_text_is_lazy_too(format: Format) -> None:
    """Lazy and marked strings are text also inside lists, dicts and dataclasses, keys included."""
    session = class_with(dict[str, list[Item]])(value={gettext_lazy("key"): [Item(sku=mark_safe("<i>"))]})
    assert same(stored_and_read(session, format).value, {"key": [Item("<i>")]})


def test_an_int_may_stand_for_a_float(format: Format) -> None:
    """As in every type checker, an int is a good float: alone, in lists, as a dict's value, and in a dataclass."""
    hint = tuple[float, list[float], dict[str, float], float | None, Point]
    value = stored_and_read(class_with(hint)(value=(5, [1, 2.5], {"a": 3}, 4, Point(1, 2))), format).value
    assert value == (5, [1, 2.5], {"a": 3}, 4, Point(1, 2))
    assert isinstance(value[0], float)


ITEMS = [Item("a", 2, Decimal("1.50"), {"x": ["y"]})]
SESSIONS = [
    classes.PlainSession,
    classes.SlottedSession,
    classes.AllSlottedSession,
    classes.KeywordOnlySession,
    *([classes.HalfKeywordOnlySession] if sys.version_info >= (3, 11) else []),  # 3.10 refuses `_: KW_ONLY` as text
    classes.InheritedSession,
    classes.PartlyInitSession,
    classes.IdentitySession,
]


@pytest.mark.parametrize("session_class", SESSIONS)
def test_session_classes_of_every_make(session_class: Any, format: Format) -> None:
    """A session class may have slots, keyword-only fields, bases, mixins, and fields that are not arguments."""
    assert schema.problems(session_class) == []
    copy = opened(session_class, format=format)
    copy.session.count = 5
    copy.session.items = list(ITEMS)
    record = saved(copy)
    for count in (6, 7):
        again = opened(session_class, record, format=format)
        assert (again.session.count, again.session.items) == (count - 1, ITEMS)
        assert again.content({}) is None
        again.session.count = count
        assert again.has_changed_fields()
        record = saved(again)
    last = opened(session_class, record, format=format).session
    assert (last.count, last.items) == (7, ITEMS)


@pytest.mark.parametrize("session_class", SESSIONS)
def test_the_first_change_is_seen_on_every_make_of_class(session_class: Any, format: Format) -> None:
    """A new session that nobody touched differs from nothing, and one field that was set is the one that is stored."""
    copy = opened(session_class, format=format)
    assert copy.session.items == []
    assert not copy.has_changed_fields()
    copy.session.count = 5
    assert copy.has_changed_fields()
    assert opened(session_class, saved(copy), format=format).session.count == 5


@pytest.mark.parametrize("session_class", SESSIONS)
def test_missing_fields_take_their_defaults_on_every_make_of_class(session_class: Any, format: Format) -> None:
    """A field that the record lacks has its default, can be changed, and mutable defaults are nobody else's."""
    record = record_of({}, type=session_class.__name__, format=format)
    copy = opened(session_class, record, format=format)
    assert copy.session.count == session_class().count
    assert copy.content({}) is None
    copy.session.items.append(Item("a"))
    copy.session.count += 1
    again = opened(session_class, saved(copy), format=format).session
    assert (again.count, again.items) == (session_class().count + 1, [Item("a")])
    assert opened(session_class, record, format=format).session.items == []


def test_post_init_runs_when_a_session_is_read(format: Format) -> None:
    """`__post_init__` completes a session that was read as it does one that was made."""
    assert stored_and_read(classes.ComputingSession(count=3), format).parity == "odd"
