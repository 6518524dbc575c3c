"""What a save refuses, with the path to it; and what the limits of the formats mean for a session."""

from __future__ import annotations

import collections
import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.utils.functional import lazy

from tests.core.classes import (
    Address,
    AllSlottedSession,
    Checked,
    Color,
    Derived,
    Frozen,
    Item,
    Level,
    Limited,
    LooseSession,
    Node,
    Page,
    Payment,
    Point,
    SlottedSession,
    SpecialItem,
)
from tests.core.records import class_with, opened, record_of, saved
from tests.sessions import CartLine, ShopSession
from typed_sessions.exceptions import SessionFieldError
from typed_sessions.formats import JSON, MSGPACK, Format

MOMENT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=timezone.utc)


def unchecked(cls: type) -> Any:
    """The class for calls that a type checker would refuse."""
    return cls


def refused(session: Any, format: Format) -> SessionFieldError:
    """What a save of `session` complains of, as a first save and as one over a stored record alike.

    Whether the path leads to the value or to its key is left to the words.
    """
    first = opened(type(session), format=format)
    first.session = session
    later = opened(type(session), record_of({}, type=type(session).__name__, format=format), format=format)
    later.session = session
    complaints = []
    for copy in (first, later):
        with pytest.raises(SessionFieldError) as caught:
            copy.content({})
        complaints.append(caught.value)
    assert str(complaints[0]) == str(complaints[1])
    complaints[0].path = complaints[0].path.removesuffix(" (the key)")
    return complaints[0]


def test_a_wrong_type_deep_inside_is_refused_with_its_path(format: Format) -> None:
    """The path reads as the expression that gets there, and the message says what was expected."""
    session = ShopSession(cart=[CartLine("a"), unchecked(CartLine)("b", "three")])
    error = refused(session, format)
    assert error.path == "ShopSession.cart[1].quantity"
    assert error.problem == "expected int, got str"


def test_what_has_no_encoding_is_refused_with_its_path(format: Format) -> None:
    """A value that no format can write is found however deep it is."""
    session = ShopSession(cart=[unchecked(CartLine)("a", options={"x": ["y", object()]})])
    error = refused(session, format)
    assert error.path == "ShopSession.cart[0].options['x'][1]"
    assert error.problem == "is object, which a session cannot hold"


def test_a_refused_save_leaves_the_record_as_it_was(format: Format) -> None:
    """After a refusal nothing was stored, and mending the value is enough to save."""
    record = saved(opened(ShopSession, format=format))
    copy = opened(ShopSession, record, format=format)
    copy.session.page_views = unchecked(str)("many")
    with pytest.raises(SessionFieldError, match=r"^ShopSession\.page_views: expected int, got str\. .* not saved"):
        copy.content({})
    assert copy.record is record
    copy.session.page_views = 5
    assert opened(ShopSession, saved(copy), format=format).session.page_views == 5


WRONG: dict[str, tuple[Any, Any, str]] = {
    # the hint, the value, the place after "Sample.value"
    "str in int": (int, "5", ""),
    "float in int": (int, 2.5, ""),
    "whole float in int": (int, 2.0, ""),
    "bool in int": (int, True, ""),
    "int in bool": (bool, 1, ""),
    "str in float": (float, "5", ""),
    "bool in float": (float, True, ""),
    "int in str": (str, 5, ""),
    "date in str": (str, date(2026, 1, 1), ""),
    "datetime in str": (str, MOMENT, ""),
    "naive datetime in str": (str, MOMENT.replace(tzinfo=None), ""),
    "timedelta in str": (str, timedelta(1), ""),
    "Decimal in str": (str, Decimal("1.5"), ""),
    "UUID in str": (str, UUID(int=1), ""),
    "bytes in str": (str, b"bytes", ""),
    "str in bytes": (bytes, "dGV4dA==", ""),
    "list in str": (str, ["a"], ""),
    "str in list": (list[str], "abc", ""),
    "dict in list": (list[str], {"a": 1}, ""),
    "str in date": (date, "2026-01-01", ""),
    "datetime in date": (date, MOMENT, ""),
    "date in datetime": (datetime, date(2026, 1, 1), ""),
    "str in datetime": (datetime, "2026-01-01T00:00:00Z", ""),
    "int in datetime": (datetime, 5, ""),
    "int in timedelta": (timedelta, 5, ""),
    "int in Decimal": (Decimal, 5, ""),
    "float in Decimal": (Decimal, 1.5, ""),
    "str in Decimal": (Decimal, "1.5", ""),
    "str in UUID": (UUID, str(UUID(int=1)), ""),
    "no value of the enum": (Color, "green", ""),
    "value of another enum": (Payment, Color.RED, ""),
    "name of the enum": (Color, "RED", ""),
    "number in IntEnum": (Level, 5, ""),
    "item of a list": (list[int], [1, "2"], "[1]"),
    "item of a set": (set[int], {"a"}, "[0]"),
    "item of a tuple": (tuple[int, str], (1, 2), "[1]"),
    "too short a tuple": (tuple[int, str], (1,), ""),
    "too long a tuple": (tuple[int, str], (1, "a", 2), ""),
    "value of a dict": (dict[str, list[int]], {"a": ["b"]}, "['a'][0]"),
    "value of a dict by int": (dict[int, int], {7: "b"}, "[7]"),
    "value of a dict in a dict": (dict[str, dict[str, int]], {"a": {}, "b": {"c": "d"}}, "['b']['c']"),
    "value of a dict in a list in a dict": (dict[str, list[dict[str, int]]], {"a": [{}, {"b": "c"}]}, "['a'][1]['b']"),
    "field of a dataclass in dicts": (
        dict[str, dict[int, Item]],
        {"a": {5: Item(), 7: unchecked(Item)(quantity="b")}},
        "['a'][7].quantity",
    ),
    "list in a dict in a dataclass": (Item, Item(tags={"a": ["x"], "b": unchecked(list)([5])}), ".tags['b'][0]"),
    "set in a dict": (dict[str, set[int]], {"a": {1}, "b": {"c"}}, "['b'][0]"),
    "key of a dict": (dict[str, int], {5: 1}, "[5]"),
    "key of a dict by int": (dict[int, int], {"a": 1}, "['a']"),
    "text for a number as key": (dict[int, int], {"5": 1}, "['5']"),
    "key of an inner dict": (list[dict[str, int]], [{}, {5: 1}], "[1][5]"),
    "key of tuple": (dict[str, int], {(1, 2): 1}, "[(1, 2)]"),
    "field of a dataclass": (Item, unchecked(Item)(quantity=None), ".quantity"),
    "field of a frozen one": (set[Frozen], {unchecked(Frozen)("a", size="b")}, "[0].size"),
    "field of a generic": (Page[int], Page(["a"]), ".items[0]"),
    "field of a NamedTuple": (Point, unchecked(Point)("a"), "[0]"),
    "key of a TypedDict": (Address, {"street": 5, "number": 5}, ".street"),
    "missing key of a TypedDict": (Address, {"street": "a"}, ""),
    "other dataclass": (Item, Page([], 5), ""),
    "dict for a dataclass": (Item, {"sku": "a"}, ""),
    "dataclass for a dict": (dict[str, int | list[int]], Page([1], 5), ""),
    "list for a tuple": (tuple[int, ...], [1], ""),
    "tuple for a list": (list[int], (1,), ""),
    "list for a set": (set[int], [1, 2], ""),
    "set for a list": (list[int], {1, 2}, ""),
    "limit": (Limited, Limited(11), ".amount"),
    "pattern": (Limited, Limited(code="AB"), ".code"),
    "refused by __post_init__": (list[Checked], [Checked(), _broken := Checked()], "[1]"),
}
_broken.amount = -1


@pytest.mark.parametrize(("hint", "value", "place"), WRONG.values(), ids=WRONG.keys())
def test_a_value_of_the_wrong_type_is_refused_with_its_path(hint: Any, value: Any, place: str, format: Format) -> None:
    """Contract §3: what is not of the declared type is refused at save, also where it would look alike when stored."""
    assert refused(class_with(hint)(value=value), format).path == f"Sample.value{place}"


LOST: dict[str, tuple[Any, Any, str]] = {
    "subclass": (Item, SpecialItem("a", reason="b"), ""),
    "subclass in a list": (list[Item], [Item("a"), SpecialItem("b")], "[1]"),
    "subclass in a dict": (dict[int, Item], {7: SpecialItem("b")}, "[7]"),
    "key that a TypedDict does not declare": (Address, {"street": "a", "number": 1, "floor": 2}, ""),
}


@pytest.mark.parametrize(("hint", "value", "place"), LOST.values(), ids=LOST.keys())
def test_what_the_declared_type_has_no_room_for_is_refused(hint: Any, value: Any, place: str, format: Format) -> None:
    """Fields of a subclass, and keys that are not declared, would be gone in the next request."""
    error = refused(class_with(hint)(value=value), format)
    assert error.path.startswith("Sample.value")
    assert "lost" in error.problem


UNWRITABLE: dict[str, tuple[Any, Any, str, str]] = {
    # the hint, the value, the place after "Sample.value", what is said
    "model": (Any, User(pk=7), "", r"is a model instance \(auth.User\); store its primary key"),
    "model in a list": (list[Item], [Item(), unchecked(Item)(sku=User())], "[1].sku", "is a model instance"),
    "function": (Any, {"a": [print]}, "['a'][0]", "is builtin_function_or_method"),
    "deque": (list[int], collections.deque([1]), "", "is deque"),
    "complex": (set[Any], {1j}, "[0]", "is complex"),
    "key": (dict[str, int], {object: 1}, "[<class 'object'>]", "is type"),
    "key in a dataclass": (Item, unchecked(Item)(tags={object: []}), ".tags[<class 'object'>]", "is type"),
    "lone surrogate": (str, "\ud800", "", "surrogates not allowed"),
    "lone surrogate in a list": (list[Item], [Item("\udcff")], "[0].sku", "surrogates not allowed"),
    "lone surrogate as key": (dict[str, int], {"a": 1, "\ud800": 1}, r"['\ud800']", "surrogates not allowed"),
}


@pytest.mark.parametrize(("hint", "value", "place", "said"), UNWRITABLE.values(), ids=UNWRITABLE.keys())
def test_what_cannot_be_written_is_refused_with_its_path(
    hint: Any, value: Any, place: str, said: str, format: Format
) -> None:
    """What a format cannot write is named with its path, keys of dicts included."""
    error = refused(class_with(hint)(value=value), format)
    assert error.path == f"Sample.value{place}"
    assert said.replace("\\", "") in error.problem


class Moody(list[int]):
    """How often something is refused before it is let through."""

    def refuse(self) -> None:
        if self:
            raise ValueError(f"refused {self.pop()}")


MOOD = Moody()


@dataclass
class Whimsical:
    """Refuses to be made while it is in the mood."""

    amount: int = 0

    def __post_init__(self) -> None:
        MOOD.refuse()


def test_a_refusal_that_does_not_come_again_is_told_all_the_same(format: Format) -> None:
    """A refusal that depends on the moment is told with the path that is known, and the next save may do."""
    session_class = class_with(dict[str, Whimsical])
    copy = opened(session_class, format=format)
    copy.session.value = {"a": Whimsical(1)}
    MOOD.append(5)
    with pytest.raises(SessionFieldError, match=r"^Sample\.value: refused 5"):
        copy.content({})
    assert opened(session_class, saved(copy), format=format).session.value == {"a": Whimsical(1)}


def test_a_lazy_string_that_fails_once_is_told_all_the_same(format: Format) -> None:
    """A lazy string that cannot be made at this moment is a field error, even if it can when it is looked for."""

    def text() -> str:
        MOOD.refuse()
        return "text"

    copy = opened(ShopSession, format=format)
    copy.session.currency = lazy(text, str)()
    MOOD.append(5)
    with pytest.raises(SessionFieldError, match=r"^ShopSession: refused 5"):
        copy.content({})
    assert opened(ShopSession, saved(copy), format=format).session.currency == "text"


def test_a_value_that_contains_itself_is_refused(format: Format) -> None:
    """A cycle has no end on the wire: it is refused with the place where it closes."""
    node = Node("a", [Node("b")])
    node.children[0].children.append(node)
    error = refused(class_with(Node)(value=node), format)
    assert error.path.startswith("Sample.value.children[0].children[0]")
    assert error.problem == "contains itself"
    items: list[Any] = []
    items.append({"items": items})
    assert refused(class_with(Any)(value=items), format).problem == "contains itself"


def chain_of(depth: int) -> Node:
    chain = Node()
    for _ in range(depth):
        chain = Node("", [chain])
    return chain


def test_a_value_nested_too_deep_is_refused(format: Format) -> None:
    """What is nested deeper than anything can follow is refused as a field error, whoever meets the limit first."""
    error = refused(class_with(Node)(value=chain_of(5_000)), format)
    assert error.path.startswith("Sample.value")
    assert "nested too deep" in error.problem


@pytest.mark.parametrize("depth", [20, 100, 200, 400, 800])
def test_what_could_be_saved_can_be_read(format: Format, depth: int) -> None:
    """How deep is too deep depends on the Python. What it did not refuse is read back whole."""
    session = class_with(Node)(value=chain_of(depth))
    copy = opened(type(session), format=format)
    copy.session = session
    try:
        record = saved(copy)
    except SessionFieldError:
        if depth > 100:
            return
        raise
    node = opened(type(session), record, format=format).session.value
    for _ in range(depth):
        [node] = node.children
    assert node == Node()


def test_what_is_shared_becomes_two(format: Format) -> None:
    """An object that is in two places is two equal objects in the next request: a record is a tree."""
    item = Item("a")
    session = class_with(list[Item])(value=[item, item])
    copy = opened(type(session), format=format)
    copy.session = session
    read = opened(type(session), saved(copy), format=format).session.value
    assert read == [item, item]
    assert read[0] is not read[1]


NO_NUMBERS = [math.nan, math.inf, -math.inf]
FLOATS: dict[str, tuple[Any, Any, str]] = {
    # the hint, the value made of the number, the place after "Sample.value"
    "optional": (float | None, lambda number: number, ""),
    "alone in a tuple": (tuple[float], lambda number: (number,), "[0]"),
    "in a set": (set[float], lambda number: {number}, "[0]"),
    "in a list": (list[float], lambda number: [1.0, number], "[1]"),
    "in a list of optional ones": (list[float | None], lambda number: [None, number], "[1]"),
    "in a dict": (dict[str, float], lambda number: {"a": number}, "['a']"),
    "in a NamedTuple": (Point, lambda number: Point(1, number), "[1]"),
    "in a dataclass": (Page[float], lambda number: Page([number]), ".items[0]"),
    "in Any": (Any, lambda number: {"a": [number]}, "['a'][0]"),
}


@pytest.mark.parametrize("number", NO_NUMBERS)
@pytest.mark.parametrize(("hint", "value", "place"), FLOATS.values(), ids=FLOATS.keys())
def test_json_refuses_what_is_no_number(hint: Any, value: Any, place: str, number: float) -> None:
    """JSON has no NaN and no infinity, and would make them null: they are refused with their path and a way out."""
    error = refused(class_with(hint)(value=value(number)), JSON)
    assert error.path == f"Sample.value{place}"
    assert error.problem.startswith(f"is {number}, which JSON cannot hold")


@pytest.mark.parametrize("number", NO_NUMBERS)
@pytest.mark.parametrize(("hint", "value", "place"), FLOATS.values(), ids=FLOATS.keys())
def test_msgpack_holds_what_is_no_number(hint: Any, value: Any, place: str, number: float) -> None:
    """msgpack has NaN and infinity, and an untouched NaN is no change."""
    session_class = class_with(hint)
    copy = opened(session_class, format=MSGPACK)
    copy.session.value = value(number)
    again = opened(session_class, saved(copy), format=MSGPACK)
    assert repr(again.session.value) == repr(value(number))
    assert again.content({}) is None


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**40])
def test_integers_beyond_64_bits(number: int) -> None:
    """JSON holds an int of any size, msgpack 64 bits: a larger one is refused with its path."""
    session_class = class_with(dict[str, int])
    copy = opened(session_class, format=JSON)
    copy.session.value = {"a": number}
    assert opened(session_class, saved(copy), format=JSON).session.value == {"a": number}
    error = refused(session_class(value={"a": number}), MSGPACK)
    assert error.path == "Sample.value['a']"
    assert "2**63" in error.problem


def test_an_integer_too_long_for_python_to_write_is_refused(format: Format) -> None:
    """Python itself writes no int of more than 4300 digits: that is a field error, too."""
    assert refused(class_with(int)(value=10**5_000), format).path == "Sample.value"


def test_an_undeclared_attribute_of_the_session_is_refused(format: Format) -> None:
    """`session.curency = "USD"` is most likely a misspelling, and would be lost: it is told at save."""
    copy = opened(ShopSession, saved(opened(ShopSession, format=format)), format=format)
    unchecked_session: Any = copy.session
    unchecked_session.curency = "USD"
    with pytest.raises(SessionFieldError, match=r"^ShopSession\.curency: is not a field"):
        copy.content({})
    del unchecked_session.curency
    assert copy.content({}) is None


@dataclass
class Caching(ShopSession):
    """Keeps something for the request."""

    @cached_property
    def total(self) -> int:
        return sum(line.quantity for line in self.cart)


def test_what_a_session_keeps_for_the_request_is_not_stored(format: Format) -> None:
    """A cached property and attributes that begin with an underscore live for the request: they are no change."""
    copy = opened(Caching, saved(opened(Caching, format=format)), format=format)
    assert copy.session.total == 0
    copy.session.__dict__["_seen"] = object()
    assert copy.content({}) is None
    copy.session.cart = [CartLine("a")]
    again = opened(Caching, saved(copy), format=format).session
    assert vars(again).keys().isdisjoint({"total", "_seen"})
    assert again.total == 1


def test_an_undeclared_attribute_deeper_inside_is_not_stored(format: Format) -> None:
    """An attribute that a nested dataclass does not declare is not stored, and is no change."""
    copy = opened(ShopSession, format=format)
    copy.session.cart = [CartLine("a")]
    copy = opened(ShopSession, saved(copy), format=format)
    copy.session.cart[0].__dict__["other"] = 5
    assert copy.content({}) is None
    copy.session.page_views = 1
    assert not hasattr(opened(ShopSession, saved(copy), format=format).session.cart[0], "other")


def test_with_slots_an_undeclared_attribute_of_a_dataclass_is_an_error() -> None:
    """With slots=True Python itself refuses what is not declared, where no base of the class has a dict."""
    with pytest.raises(AttributeError):
        unchecked(AllSlottedSession)().other = 5


def test_values_in_slots_are_checked_like_others(format: Format) -> None:
    """Where a value is kept makes no difference to what is refused."""
    assert refused(unchecked(SlottedSession)(count="a"), format).path == "SlottedSession.count"


def test_a_plain_float_that_is_no_number_is_refused_by_json() -> None:
    """A field that must be a float says the same of NaN as one that may be None."""
    error = refused(class_with(float, 0.0)(value=math.nan), JSON)
    assert (error.path, error.problem[:27]) == ("Sample.value", "is nan, which JSON cannot h")


def test_a_deleted_field_is_its_default_again(format: Format) -> None:
    """`del session.currency` leaves the class's default, which is what the next request reads."""
    record = saved(opened(ShopSession, format=format))
    copy = opened(ShopSession, record, format=format)
    copy.session.currency = "USD"
    copy = opened(ShopSession, saved(copy), format=format)
    del copy.session.currency
    assert copy.session.currency == "EUR"
    assert opened(ShopSession, saved(copy), format=format).session.currency == "EUR"


def test_computed_fields_may_be_changed(format: Format) -> None:
    """What `__post_init__` computes anew at every load may differ from what was stored, and costs no write."""
    session_class = class_with(Derived)
    copy = opened(session_class, format=format)
    copy.session.value = Derived(5)
    copy.session.value.amount = 6
    again = opened(session_class, saved(copy), format=format)
    assert (again.session.value.amount, again.session.value.doubled) == (6, 12)
    assert again.content({}) is None


def test_only_what_was_changed_is_checked(format: Format) -> None:
    """A save does not fail for a field that nobody touched."""
    stored = saved(opened(LooseSession, format=format))
    copy = opened(LooseSession, stored, format=format)
    copy.session.anything = {"a": [1, "b", None, {"c": True}]}
    assert opened(LooseSession, saved(copy), format=format).session.anything == {"a": [1, "b", None, {"c": True}]}


def test_what_any_holds_comes_back_as_plain_values(format: Format) -> None:
    """An `Any` keeps what JSON knows; sets and dataclasses in it are lists and dicts afterwards, as it warns."""
    copy = opened(LooseSession, format=format)
    copy.session.anything = [{1}, Item("a"), Decimal("1.0"), (1,), {"a": None}]
    again = opened(LooseSession, saved(copy), format=format)
    item = {"sku": "a", "quantity": 1, "price": "0", "tags": {}}
    assert again.session.anything == [[1], item, "1.0", [1], {"a": None}]
    assert again.content({}) is None
