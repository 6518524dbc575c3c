"""The bag is written by SESSION_SERIALIZER and means what it means in stock Django, in both formats."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.sessions.serializers import JSONSerializer
from django.core.serializers.json import DjangoJSONEncoder

from tests.core.records import opened, record_of, saved
from tests.sessions import ShopSession
from typed_sessions import bag as bags
from typed_sessions.bag import Bag, Serializer
from typed_sessions.exceptions import SessionFieldError
from typed_sessions.formats import JSON, MSGPACK, Format

STOCK = JSONSerializer()


class DjangoTypesSerializer:
    """What the Django documentation recommends for dates: DjangoJSONEncoder. Writes UTF-8, where stock writes ASCII."""

    def dumps(self, obj: Any) -> bytes:
        return json.dumps(obj, cls=DjangoJSONEncoder, ensure_ascii=False).encode()

    def loads(self, data: bytes) -> Any:
        return json.loads(data.decode())


class TaggingSerializer(DjangoTypesSerializer):
    """Gives dates back as dates, as a project's own serializer may."""

    def dumps(self, obj: Any) -> bytes:
        return json.dumps(obj, default=lambda value: {"__moment__": value.isoformat()}).encode()

    def loads(self, data: bytes) -> Any:
        return json.loads(data, object_hook=self._untag)

    def _untag(self, found: dict[str, Any]) -> Any:
        return datetime.fromisoformat(found["__moment__"]) if "__moment__" in found else found


def around(bag: Bag, format: Format, serializer: Serializer = STOCK) -> Bag:
    """The bag of the next request."""
    return bags.read(bags.write(bag, serializer, format), serializer)


MOMENT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=timezone.utc)
VALUES: dict[str, Any] = {
    "text": "é ☃ 🎉 \u2028 \0 \x7f",
    "é": {"ü": ["ß"]},
    "": "",
    "number": 2**53,
    "negative": -(2**63),
    "float": 0.1 + 0.2,
    "large float": 1.7e308,
    "none": None,
    "truth": [True, False],
    "nested": {"a": [{"b": [[]]}, {}]},
    "_auth_user_id": "7",
}


@pytest.mark.parametrize(
    "serializer", [STOCK, DjangoTypesSerializer(), TaggingSerializer()], ids=lambda s: type(s).__name__
)
def test_what_json_knows_comes_back(serializer: Serializer, format: Format) -> None:
    """Whatever JSON can hold is the same in the next request, and in the one after."""
    assert around(VALUES, format, serializer) == VALUES
    assert around(around(VALUES, format, serializer), format, serializer) == VALUES
    assert around({}, format, serializer) == {}


@pytest.mark.parametrize(
    "bag", [{"a": (1, 2)}, {1: "a", 2.5: "b", None: "d"}, {True: "c"}, {"a": {5: {6: 7}}}], ids=repr
)
def test_what_stock_django_changes_is_changed_alike(bag: Any, format: Format) -> None:
    """Tuples become lists and keys become text, exactly as Django's own serializer has it."""
    assert around(bag, format) == STOCK.loads(STOCK.dumps(bag))


def test_the_projects_serializer_is_honoured(format: Format) -> None:
    """A serializer that knows dates and decimals writes them, and one that tags them gives them back."""
    bag = {"moment": MOMENT, "price": Decimal("1.50")}
    assert around(bag, format, DjangoTypesSerializer()) == {"moment": "2026-05-04T03:02:01Z", "price": "1.50"}
    assert around({"moment": [MOMENT]}, format, TaggingSerializer()) == {"moment": [MOMENT]}


def test_a_copy_uses_the_serializer_for_everything(format: Format) -> None:
    """Reading, comparing and merging of the bag all go through the project's serializer."""
    serializer = TaggingSerializer()
    record = saved(opened(ShopSession, format=format, serializer=serializer), {"first": MOMENT})
    copy = opened(ShopSession, record, format=format, serializer=serializer)
    bag = copy.read_bag()
    assert bag == {"first": MOMENT}
    assert copy.content(bag) is None
    other = opened(ShopSession, record, format=format, serializer=serializer)
    theirs = saved(other, {"first": MOMENT, "theirs": MOMENT})
    bag["mine"] = MOMENT
    copy.merge(theirs, bag)
    assert bag == {"first": MOMENT, "theirs": MOMENT, "mine": MOMENT}


REFUSED: dict[str, tuple[Any, str]] = {
    "object": (object(), "not JSON serializable"),
    "date": (MOMENT, "not JSON serializable"),
    "bytes": (b"bytes", "not JSON serializable"),
    "set": ({1}, "not JSON serializable"),
    "nested": ({"a": [object()]}, "not JSON serializable"),
    "tuple as key": ({(1, 2): 3}, "keys must be"),
    "NaN": (float("nan"), ""),
    "infinity": ([float("-inf")], ""),
    "lone surrogate": ("\ud800", ""),
}


@pytest.mark.parametrize(("value", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_json_cannot_hold_is_refused_with_its_key(value: Any, said: str, format: Format) -> None:
    """The error names the key among the others, and says what the serializer said."""
    with pytest.raises(SessionFieldError) as caught:
        bags.write({"good": 1, "the key": value, "fine": [2]}, STOCK, format)
    assert caught.value.path == "session['the key']"
    assert said in caught.value.problem


def test_a_key_that_json_cannot_hold_is_named(format: Format) -> None:
    """A key that is no text at all is named like a key whose value is wrong."""
    with pytest.raises(SessionFieldError) as caught:
        bags.write({"good": 1, (1, 2): 3}, STOCK, format)  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    assert caught.value.path == "session[(1, 2)]"


def test_a_cycle_is_refused(format: Format) -> None:
    """A value that contains itself has no end on the wire."""
    value: list[Any] = []
    value.append(value)
    with pytest.raises(SessionFieldError, match=r"^session\['the key'\]: .*[Cc]ircular"):
        bags.write({"the key": value}, STOCK, format)


def test_a_value_nested_too_deep_is_refused(format: Format) -> None:
    """What is nested deeper than the serializer or the formats can follow is refused with its key."""
    value: list[Any] = []
    for _ in range(50_000):
        value = [value]
    with pytest.raises(SessionFieldError, match=r"^session\['the key'\]: "):
        bags.write({"the key": value}, STOCK, format)


def test_an_integer_beyond_64_bits() -> None:
    """JSON holds it, as in stock Django; msgpack refuses it with its key."""
    assert around({"a": 2**70}, JSON) == {"a": 2**70}
    with pytest.raises(SessionFieldError, match=r"^session\['a'\]: .*2\*\*63"):
        bags.write({"good": 1, "a": 2**70}, STOCK, MSGPACK)


class Whimsical(JSONSerializer):
    """Fails for keys that do not fit together."""

    def dumps(self, obj: Any) -> bytes:
        if len(obj) > 1:
            raise ValueError("too many keys")
        return super().dumps(obj)


class Foreign(JSONSerializer):
    """Writes something else than JSON, such as a compressed form."""

    def dumps(self, obj: Any) -> bytes:
        return b"\x80\x04K" + super().dumps(obj)


class Listing(JSONSerializer):
    """Reads no mapping."""

    def loads(self, data: bytes) -> Any:
        return [*super().loads(data)]


def test_a_serializer_that_refuses_the_whole_is_told_so(format: Format) -> None:
    """If no single key is to blame, the error is of the bag."""
    with pytest.raises(SessionFieldError) as caught:
        bags.write({"a": 1, "b": 2}, Whimsical(), format)
    assert (caught.value.path, caught.value.problem) == ("session", "too many keys")


def test_s67_a_serializer_that_writes_no_json_is_refused(format: Format) -> None:
    """Nothing but JSON gets into a record, whatever SESSION_SERIALIZER says: no pickle, nothing packed."""
    with pytest.raises(SessionFieldError, match=r"^session\['a'\]: "):
        bags.write({"a": 1}, Foreign(), format)


def test_what_is_read_must_be_a_mapping(format: Format) -> None:
    """A serializer that gives no mapping is an error of the bag, and no other."""
    with pytest.raises(SessionFieldError, match=r"^session: is list, not a mapping"):
        bags.read(bags.write({"a": 1}, STOCK, format), Listing())


def test_s67_a_pickle_in_the_store_is_not_executed(format: Format) -> None:
    """A planted pickle is a damaged bag, and nothing of it runs."""
    bomb = b"\x80\x04\x95\x1c\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x05_exit\x94\x93\x94K\x05\x85\x94R\x94."
    copy = opened(ShopSession, record_of({}, bag=bomb, format=format), format=format)
    assert copy.read_bag() == {}
    with pytest.raises(SessionFieldError):
        bags.read(bomb, STOCK)
