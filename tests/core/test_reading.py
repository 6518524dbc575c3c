"""Reading is tolerant: what cannot be read costs its field alone, and nothing in the store (contract §8)."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from django.core.exceptions import ImproperlyConfigured, ValidationError

from tests.core.classes import Checked, CheckingSession, Color, Derived, Item, Limited
from tests.core.records import ID, changed, class_with, opened, plain, record_of, saved, values_of
from tests.sessions import CartLine, ShopSession
from typed_sessions import AuthUserSession, session_field
from typed_sessions.codec import codec_for
from typed_sessions.formats import JSON, MSGPACK, Format

CART = [{"sku": "a", "quantity": 1}, {"sku": "b", "quantity": "two"}]


def test_one_bad_field_takes_its_default_and_the_others_live(format: Format) -> None:
    """A field that cannot be read has its default; all others have what was stored."""
    record = record_of({"cart": CART, "currency": "USD", "page_views": 5}, format=format)
    session = opened(ShopSession, record, format=format).session
    assert session == ShopSession(currency="USD", page_views=5)


def test_what_cannot_be_read_is_told_with_its_path(format: Format, caplog: pytest.LogCaptureFixture) -> None:
    """The copy and a log line say which session, where in it, and why."""
    copy = opened(ShopSession, record_of({"cart": CART}, format=format), format=format)
    with caplog.at_level(logging.WARNING, "typed_sessions"):
        _ = copy.session
    (unreadable,) = copy.unreadable
    assert unreadable == ("ShopSession.cart[1].quantity", "expected int, got str")
    (line,) = caplog.messages
    assert line.startswith(f"Session {ID}: ShopSession.cart[1].quantity cannot be read and takes its default")


def test_what_cannot_be_read_is_kept_in_the_store(format: Format) -> None:
    """Saves of other fields and of the bag leave the unreadable value as it was, for the release that can read it."""
    record = record_of({"cart": CART, "page_views": 5}, format=format)
    for views in (6, 7):
        record = changed(record, ShopSession, format, page_views=views)
        assert plain(record) == {"cart": CART, "page_views": views}
    copy = opened(ShopSession, record, format=format)
    assert copy.session.cart == []
    record = saved(copy, {"key": "value"})
    assert plain(record) == {"cart": CART, "page_views": 7}


def test_a_new_value_replaces_what_could_not_be_read(format: Format) -> None:
    """Once this release sets the field, its value is the one that counts."""
    record = changed(record_of({"cart": CART}, format=format), ShopSession, format, cart=[CartLine("new")])
    copy = opened(ShopSession, record, format=format)
    assert copy.session.cart == [CartLine("new")]
    assert copy.unreadable == []


def test_reading_what_cannot_be_read_writes_nothing(format: Format) -> None:
    """A record that is merely looked at stays as it is, however much of it cannot be read."""
    copy = opened(ShopSession, record_of({"cart": CART, "currency": 5}, format=format), format=format)
    assert copy.session == ShopSession()
    assert copy.content({}) is None


UNREADABLE: dict[str, tuple[Any, Any]] = {
    "int": (int, "five"),
    "none": (str, None),
    "enum of a later release": (Color, "green"),
    "limit": (Limited, {"amount": 11}),
    "dataclass of another shape": (Item, []),
    "missing field of a dataclass": (CartLine, {}),
    "too long for an int": (list[int], [1, "1" * 5_000]),
    "refused by __post_init__": (Checked, {"amount": -1}),
    "any error of __post_init__": (Checked, {"amount": 101}),
    "any error of an inner __post_init__": (dict[str, list[Checked]], {"a": [{"amount": 101}]}),
}


@pytest.mark.parametrize(("hint", "stored"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_r36_whatever_is_wrong_with_a_value_the_visitor_gets_a_session(hint: Any, stored: Any, format: Format) -> None:
    """No stored value makes reading fail: the field takes its default and is told of."""
    session_class = class_with(hint, default="the default")
    record = record_of({"value": stored, "email": "a@example.org"}, type="Sample", format=format)
    copy = opened(session_class, record, format=format)
    assert (copy.session.value, copy.session.email) == ("the default", "a@example.org")
    assert all(where.startswith("Sample.value") for where, _ in copy.unreadable)
    assert len(copy.unreadable) == 1


@pytest.mark.parametrize("error", [ValueError, TypeError, LookupError, AttributeError, ValidationError, RuntimeError])
def test_a_combination_that_the_class_refuses_is_no_server_error(error: type[Exception], format: Format) -> None:
    """What `__post_init__` of the session class raises costs the fields, not the visitor's page, and nothing stored."""

    @dataclass
    class Refusing(CheckingSession):
        pass

    Refusing.error = error
    stored = {"count": -1, "items": ["a"]}
    copy = opened(Refusing, record_of(stored, type="Refusing", format=format), format=format)
    assert copy.session == Refusing()
    assert [where for where, _ in copy.unreadable] == ["Refusing"]
    copy.session.email = "a@example.org"
    assert plain(saved(copy)) == {**stored, "email": "a@example.org"}


def test_missing_fields_have_their_defaults(format: Format) -> None:
    """A field that was added since takes its default, one of its own for every session, and that is no change."""
    sessions = []
    for _ in range(2):
        copy = opened(ShopSession, record_of({"page_views": 5}, format=format), format=format)
        assert copy.session == ShopSession(page_views=5)
        assert copy.unreadable == []
        assert copy.content({}) is None
        sessions.append(copy.session)
    assert sessions[0].cart is not sessions[1].cart
    assert sessions[0].visited is not sessions[1].visited


def test_missing_fields_of_inner_dataclasses_have_their_defaults(format: Format) -> None:
    """A field that was added to a nested dataclass takes its default and can be set; reading is no change."""
    record = record_of({"cart": [{"sku": "a"}]}, format=format)
    copy = opened(ShopSession, record, format=format)
    assert copy.session.cart == [CartLine("a")]
    assert copy.content({}) is None
    copy.session.cart[0].quantity = 2
    copy.session.cart[0].options["x"] = ["y"]
    again = opened(ShopSession, saved(copy), format=format).session
    assert again.cart == [CartLine("a", 2, options={"x": ["y"]})]


def test_missing_init_false_fields_of_inner_dataclasses_can_be_set(format: Format) -> None:
    """Also where the default is a class attribute until somebody sets it."""
    session_class = class_with(Derived)
    record = record_of({"value": {"amount": 1}}, type="Sample", format=format)
    copy = opened(session_class, record, format=format)
    assert (copy.session.value.note, copy.session.value.history) == ("none", [])
    assert copy.content({}) is None
    copy.session.value.note = "changed"
    copy.session.value.history.append(5)
    again = opened(session_class, saved(copy), format=format).session.value
    assert (again.note, again.history, again.amount) == ("changed", [5], 1)


@dataclass
class OtherDefaults(AuthUserSession):
    """Defaults that are not empty, so that emptiness has to be stored."""

    note: str = "unset"
    sizes: list[int] = field(default_factory=lambda: [1, 2])
    owner: str | None = "nobody"
    table: dict[str, int] = field(default_factory=lambda: {"a": 1})
    count: int = 5
    flag: bool = True
    rest: str = ""


def test_emptied_fields_stay_empty(format: Format) -> None:
    """A field emptied by the visitor stays empty, whatever its default; one never set is its default."""
    values: dict[str, Any] = {"note": "", "sizes": [], "owner": None, "table": {}, "count": 0, "flag": False}
    record = changed(None, OtherDefaults, format, **values)
    session = opened(OtherDefaults, record, format=format).session
    assert {name: getattr(session, name) for name in values} == values
    record = changed(record, OtherDefaults, format, **values_of(OtherDefaults()))
    assert opened(OtherDefaults, record, format=format).session == OtherDefaults()


def test_a_field_set_and_emptied_again_is_empty(format: Format) -> None:
    """Emptying a field that was stored is a change like any other."""
    record = changed(None, ShopSession, format, gift_note="text", cart=[CartLine("a")], email="a@example.org")
    record = changed(record, ShopSession, format, gift_note="", cart=[], email=None)
    assert opened(ShopSession, record, format=format).session == ShopSession()


def test_duplicate_keys_are_no_error(format: Format) -> None:
    """A hand-written record with a field twice is read; one of the two counts."""
    twice = b'{"page_views":1,"page_views":2}' if format is JSON else b"\x82" + 2 * (b"\xaapage_views" + b"\x07")
    copy = opened(ShopSession, record_of(twice, format=format), format=format)
    assert copy.session.page_views in (1, 2, 7)
    assert copy.unreadable == []


def test_a_class_that_cannot_be_stored_has_no_codec() -> None:
    """A class with problems is a configuration error with the problem's words, wherever it gets in."""
    with pytest.raises(ImproperlyConfigured, match=r"^Sample\.value is builtins\.complex"):
        codec_for(class_with(complex), JSON)


def test_a_codec_is_built_once() -> None:
    """A class has one codec in each format, kept for the life of the process."""
    assert codec_for(ShopSession, JSON) is codec_for(ShopSession, JSON)
    assert codec_for(ShopSession, JSON) is not codec_for(ShopSession, MSGPACK)


@dataclass
class Upgraded(AuthUserSession):
    """Has the price in cents since version 2, and a list of skus since version 3."""

    schema_version: ClassVar[int] = 3
    seen: ClassVar[list[tuple[int, dict[str, Any]]]] = []

    cents: int = 0
    skus: list[str] = field(default_factory=list)
    note: str = session_field(default="", renamed_from="remark")

    @classmethod
    def upgrade(cls, version: int, data: dict[str, Any]) -> dict[str, Any]:
        cls.seen.append((version, dict(data)))
        if version < 2:
            data["cents"] = int(float(data.pop("price")) * 100)
        if version < 3:
            data["skus"] = data.pop("sku").split()
        return data


@pytest.fixture
def upgrades() -> list[tuple[int, dict[str, Any]]]:
    """The calls of `Upgraded.upgrade` in this test."""
    Upgraded.seen.clear()
    return Upgraded.seen


def test_upgrade_gets_version_and_plain_data(upgrades: list[Any], format: Format) -> None:
    """`upgrade` is called once with the stored version and fields, and what it returns is read."""
    stored = {"price": "1.50", "sku": "a b", "remark": "text", "unknown": [1]}
    copy = opened(Upgraded, record_of(stored, type="Upgraded", schema=1, format=format), format=format)
    assert (copy.session.cents, copy.session.skus, copy.session.note) == (150, ["a", "b"], "text")
    assert upgrades == [(1, stored)]
    assert copy.unreadable == []


def test_an_upgrade_is_no_change_until_something_is_saved(upgrades: list[Any], format: Format) -> None:
    """Reading an old record writes nothing; the first change stores it upgraded, with the new version."""
    record = record_of({"cents": 5, "sku": "a", "unknown": 1}, type="Upgraded", schema=2, format=format)
    copy = opened(Upgraded, record, format=format)
    assert copy.session.skus == ["a"]
    assert copy.content({}) is None
    record = changed(record, Upgraded, format, cents=6)
    assert record.schema == 3
    assert plain(record)["skus"] == ["a"]
    assert plain(record)["unknown"] == 1
    upgrades.clear()
    assert opened(Upgraded, record, format=format).session.skus == ["a"]
    assert upgrades == []


def test_a_record_of_a_later_version_is_not_upgraded(upgrades: list[Any], format: Format) -> None:
    """An older release reads what it knows of a newer one's record, and leaves the newer version in it."""
    record = record_of({"cents": 5, "skus": ["a"], "later": True}, type="Upgraded", schema=4, format=format)
    record = changed(record, Upgraded, format, cents=6)
    assert upgrades == []
    assert record.schema == 4
    assert plain(record)["later"] is True


BROKEN_UPGRADES: dict[str, Any] = {
    "raises": {"sku": "a"},
    "raises another": {"price": [], "sku": "a"},
}


@pytest.mark.parametrize("stored", BROKEN_UPGRADES.values(), ids=BROKEN_UPGRADES.keys())
def test_a_raising_upgrade_is_no_server_error(stored: dict[str, Any], upgrades: list[Any], format: Format) -> None:
    """Whatever `upgrade` raises is told, the session has what can be read without it, and the stored data stays."""
    stored = {**stored, "email": "a@example.org"}
    record = record_of(stored, type="Upgraded", schema=1, format=format)
    copy = opened(Upgraded, record, format=format)
    assert copy.session == Upgraded(email="a@example.org")
    (unreadable,) = copy.unreadable
    assert unreadable.where == "Upgraded"
    assert unreadable.problem.startswith("upgrade from version 1 failed: ")
    assert plain(changed(record, Upgraded, format, cents=7)).items() >= stored.items()


def test_a_mended_upgrade_still_finds_what_a_broken_one_left(
    upgrades: list[Any], format: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that could not be upgraded keeps its version through saves, so that the next release can upgrade it."""

    def broken(version: int, data: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError("broken")

    record = record_of({"cents": 5, "sku": "a b"}, type="Upgraded", schema=2, format=format)
    with monkeypatch.context() as patched:
        patched.setattr(Upgraded, "upgrade", broken)
        record = changed(record, Upgraded, format, email="a@example.org")
    session = opened(Upgraded, record, format=format).session
    assert (session.cents, session.skus, session.email) == (5, ["a", "b"], "a@example.org")


@pytest.mark.parametrize("answer", [None, 5, {"cents": object()}, {5: 1}], ids=["none", "number", "object", "key"])
def test_nonsense_from_upgrade_is_no_server_error(answer: Any, format: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `upgrade` returns may be anything but data: then it failed."""
    monkeypatch.setattr(Upgraded, "upgrade", lambda version, data: answer)
    copy = opened(Upgraded, record_of({"cents": 5}, type="Upgraded", format=format), format=format)
    assert copy.session.cents in (0, 5)
    assert copy.unreadable
    copy.session.email = "a@example.org"
    assert opened(Upgraded, saved(copy), format=format).session.email == "a@example.org"
