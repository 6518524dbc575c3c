"""Two releases of one class side by side on one record: nobody's data is lost (contract §8, R36, R37)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.records import changed, opened, plain, record_of, saved, values_of
from tests.sessions import ShopSession
from typed_sessions import AuthUserSession, session_field
from typed_sessions.formats import JSON, MSGPACK, Format
from typed_sessions.stores.record import Record


@dataclass
class OldLine:
    sku: str = ""
    quantity: int = 1


@dataclass
class NewLine(OldLine):
    gift: bool = False


@dataclass
class OldShop(AuthUserSession):
    schema_name: ClassVar[str] = "shop"

    cart: list[OldLine] = field(default_factory=list)
    views: int = 0
    currency: str = ""
    note: str = ""
    """Renamed to remark."""
    coupon: str | None = None
    """Removed."""
    size: int = 0
    """A list of sizes in the new release."""


@dataclass
class NewShop(AuthUserSession):
    schema_name: ClassVar[str] = "shop"

    cart: list[NewLine] = field(default_factory=list)
    views: int = 0
    currency: str = "EUR"
    remark: str = session_field(default="", renamed_from="note")
    wishes: set[int] = field(default_factory=set)
    """Added."""
    size: list[int] = field(default_factory=list)


FORMATS = [(JSON, JSON), (MSGPACK, MSGPACK), (JSON, MSGPACK), (MSGPACK, JSON)]


@pytest.fixture(params=FORMATS, ids=lambda pair: f"{pair[0].name} and {pair[1].name}")
def formats(request: pytest.FixtureRequest) -> tuple[Format, Format]:
    """The CODEC of the old and of the new release; it may be changed in the same deployment."""
    pair: tuple[Format, Format] = request.param
    return pair


class Site:
    """One stored session, visited by either release in turn."""

    def __init__(self, formats: tuple[Format, Format] = (JSON, JSON)) -> None:
        self.formats = {OldShop: formats[0], NewShop: formats[1]}
        self.record: Record | None = None

    def set(self, release: type[Any], **values: Any) -> None:
        """A request that is served by this release and changes something."""
        self.record = changed(self.record, release, self.formats[release], **values)

    def get(self, release: type[Any]) -> Any:
        """What a request that is served by this release sees; nothing is written by looking."""
        copy = opened(release, self.record, format=self.formats[release])
        if self.record is not None and self.formats[OldShop] is self.formats[NewShop]:
            assert copy.session is not None
            assert copy.content({}) is None
        return copy.session


def test_r37_an_added_field_survives_the_old_release(formats: tuple[Format, Format]) -> None:
    """What only the new release knows is still there after saves of the old one."""
    site = Site(formats)
    site.set(NewShop, wishes={1, 2}, views=1)
    for views in (2, 3):
        site.set(OldShop, views=views)
    assert (site.get(NewShop).wishes, site.get(NewShop).views) == ({1, 2}, 3)


def test_r37_a_removed_field_survives_the_new_release(formats: tuple[Format, Format]) -> None:
    """What only the old release knows is still there after saves of the new one."""
    site = Site(formats)
    site.set(OldShop, coupon="TEN", views=1)
    for views in (2, 3):
        site.set(NewShop, views=views)
    assert (site.get(OldShop).coupon, site.get(OldShop).views) == ("TEN", 3)


def test_r37_a_renamed_field_is_one_field(formats: tuple[Format, Format]) -> None:
    """Each release sees what the other wrote under its own name, back and forth, also when it was emptied."""
    site = Site(formats)
    site.set(OldShop, note="old")
    assert site.get(NewShop).remark == "old"
    for turn in range(3):
        site.set(NewShop, remark=f"new {turn}")
        assert site.get(OldShop).note == f"new {turn}"
        site.set(NewShop, views=turn + 1)
        assert site.get(OldShop).note == f"new {turn}"
        site.set(OldShop, note=f"old {turn}")
        assert site.get(NewShop).remark == f"old {turn}"
        site.set(OldShop, views=turn + 10)
        assert site.get(NewShop).remark == f"old {turn}"
        site.set(OldShop, note="")
        assert site.get(NewShop).remark == ""
        site.set(NewShop, remark="again")
        site.set(NewShop, remark="")
        assert site.get(OldShop).note == ""


def test_r37_a_retyped_field_is_kept_until_somebody_sets_it(formats: tuple[Format, Format]) -> None:
    """A type that the other release cannot read is that release's default, and stays what it was until it is set."""
    site = Site(formats)
    site.set(OldShop, size=42)
    assert site.get(NewShop).size == []
    site.set(NewShop, views=1)
    assert site.get(OldShop).size == 42
    site.set(NewShop, size=[41, 42])
    assert site.get(OldShop).size == 0
    site.set(OldShop, views=2)
    assert site.get(NewShop).size == [41, 42]


def test_r37_a_changed_default_does_not_undo_a_choice(formats: tuple[Format, Format]) -> None:
    """A value chosen under one release is the value under the other, whatever their defaults are."""
    site = Site(formats)
    assert (site.get(OldShop).currency, site.get(NewShop).currency) == ("", "EUR")
    site.set(OldShop, currency="EUR")
    assert site.get(NewShop).currency == "EUR"
    site.set(NewShop, currency="")
    assert (site.get(OldShop).currency, site.get(NewShop).currency) == ("", "")
    site.set(OldShop, currency="USD")
    site.set(OldShop, currency="")
    assert (site.get(OldShop).currency, site.get(NewShop).currency) == ("", "")


def test_r37_a_field_added_to_an_inner_dataclass(format: Format) -> None:
    """Inner dataclasses are read with defaults for what is new, and kept whole by a release that leaves them alone."""
    site = Site((format, format))
    site.set(OldShop, cart=[OldLine("a", 2)])
    assert site.get(NewShop).cart == [NewLine("a", 2)]
    site.set(NewShop, cart=[NewLine("a", 2, gift=True)])
    assert site.get(OldShop).cart == [OldLine("a", 2)]
    site.set(OldShop, views=5)
    assert site.get(NewShop).cart == [NewLine("a", 2, gift=True)]


def test_r37_nobody_is_logged_out(formats: tuple[Format, Format]) -> None:
    """The user fields are the same in both releases and stay what they are."""
    site = Site(formats)
    site.set(OldShop, user_auth_id="7", roles=["staff"], meta={"a": "b"})
    for turn in range(3):
        site.set(NewShop, views=2 * turn, remark="x")
        site.set(OldShop, views=2 * turn + 1, coupon="y")
        for release in (OldShop, NewShop):
            session = site.get(release)
            assert (session.user_auth_id, session.roles, session.meta) == ("7", ["staff"], {"a": "b"})


TEXT = st.sampled_from(["", "a", "b", "c"])
CHANGES = st.one_of(
    st.tuples(st.just(OldShop), st.just("note"), TEXT),
    st.tuples(st.just(NewShop), st.just("remark"), TEXT),
    st.tuples(st.just(OldShop), st.just("coupon"), TEXT | st.none()),
    st.tuples(st.just(NewShop), st.just("wishes"), st.sets(st.integers(0, 3))),
    st.tuples(st.sampled_from([OldShop, NewShop]), st.just("views"), st.integers(0, 3)),
    st.tuples(st.sampled_from([OldShop, NewShop]), st.just("email"), TEXT | st.none()),
)


@settings(deadline=None, max_examples=150)
@given(changes=st.lists(CHANGES, min_size=1, max_size=12), pair=st.sampled_from(FORMATS))
def test_r37_whatever_two_releases_do_in_turn_nothing_is_lost(
    changes: list[tuple[type[Any], str, Any]], pair: tuple[Format, Format]
) -> None:
    """After every change, of either release and in either format, both see the last value of every field they know."""
    site = Site(pair)
    last: dict[str, Any] = {"remark": "", "coupon": None, "wishes": set(), "views": 0, "email": None}
    for release, name, value in changes:
        site.set(release, **{name: value})
        last["remark" if name == "note" else name] = value
        old, new = site.get(OldShop), site.get(NewShop)
        assert {
            "remark": old.note, "coupon": old.coupon, "wishes": new.wishes, "views": old.views, "email": old.email,
        } == last  # fmt: skip
        assert {"remark": new.remark, "views": new.views, "email": new.email}.items() <= last.items()


def test_two_releases_at_once_merge(formats: tuple[Format, Format]) -> None:
    """Requests served by both releases at once keep each other's changes, also of unknown and renamed fields."""
    old_format, new_format = formats
    record = changed(None, OldShop, old_format, note="a", coupon="TEN")
    new = opened(NewShop, record, format=new_format)
    new.session.wishes = {5}
    record = changed(record, OldShop, old_format, note="b", views=1)
    new.merge(record, None)
    assert (new.session.remark, new.session.views, new.session.wishes) == ("b", 1, {5})
    old = opened(OldShop, record, format=old_format)
    old.session.coupon = "TWENTY"
    record = saved(new)
    old.merge(record, None)
    record = saved(old)
    seen = opened(NewShop, record, format=new_format).session
    assert (seen.remark, seen.views, seen.wishes) == ("b", 1, {5})
    assert opened(OldShop, record, format=old_format).session.coupon == "TWENTY"


@dataclass
class FirstName(AuthUserSession):
    schema_name: ClassVar[str] = "thrice"
    a: str = ""


@dataclass
class SecondName(AuthUserSession):
    schema_name: ClassVar[str] = "thrice"
    b: str = session_field(default="", renamed_from="a")


@dataclass
class ThirdName(AuthUserSession):
    schema_name: ClassVar[str] = "thrice"
    c: str = session_field(default="", renamed_from=("b", "a"))


NAMES: list[tuple[type[Any], str]] = [(FirstName, "a"), (SecondName, "b"), (ThirdName, "c")]


@pytest.mark.parametrize("writer", NAMES, ids=lambda pair: pair[0].__name__)
@pytest.mark.parametrize("after", NAMES, ids=lambda pair: pair[0].__name__)
def test_a_field_renamed_twice(writer: tuple[type[Any], str], after: tuple[type[Any], str], format: Format) -> None:
    """Three releases and two renames: whoever writes, and whoever writes over it, all read the same."""
    record: Record | None = None
    for (release, name), value in ((writer, "first"), (after, "second"), (writer, "third"), (after, "")):
        record = changed(record, release, format, **{name: value})
        for reader, known in NAMES:
            assert getattr(opened(reader, record, format=format).session, known) == value


def test_the_former_name_goes_when_it_is_no_longer_listed(format: Format) -> None:
    """Once no release lists the former name, a record may keep it: it is carried like any unknown field."""

    @dataclass
    class Later(AuthUserSession):
        schema_name: ClassVar[str] = "shop"
        remark: str = ""

    record = changed(None, NewShop, format, remark="text")
    assert plain(record)["note"] == "text"
    record = changed(record, Later, format, remark="later")
    assert opened(Later, record, format=format).session.remark == "later"


@dataclass
class Renamed(AuthUserSession):
    """What ShopSession may be called after a refactoring."""

    schema_name: ClassVar[str] = "ShopSession"
    page_views: int = 0


@dataclass
class Foreign(AuthUserSession):
    """Another class with a field of the same name and another meaning."""

    page_views: str = "none"


@dataclass
class Third(AuthUserSession):
    page_views: float = 0.5


def test_a_renamed_class_keeps_its_records(format: Format) -> None:
    """With `schema_name` a class may be renamed, and the records of its former name are its own."""
    record = changed(None, ShopSession, format, page_views=5)
    assert record.type == "ShopSession"
    copy = opened(Renamed, record, format=format)
    assert copy.session.page_views == 5
    assert copy.unreadable == []
    assert changed(record, Renamed, format, page_views=6).type == "ShopSession"


def test_s69_a_record_of_another_class_is_not_cast(format: Format) -> None:
    """A record of class A asked for as B is a fresh B, and says how to adopt it if that is what was meant."""
    record = changed(None, ShopSession, format, page_views=5, email="a@example.org")
    copy = opened(Foreign, record, format=format)
    assert copy.session == Foreign()
    (unreadable,) = copy.unreadable
    assert unreadable.where == "ShopSession"
    assert "schema_name = 'ShopSession'" in unreadable.problem


def test_classes_that_take_turns_keep_their_own_fields(formats: tuple[Format, Format]) -> None:
    """A rollback, or a switch of SESSION_CLASS and back: each class finds its own fields again, under its name."""
    pages: list[tuple[type[Any], list[Any]]] = [(ShopSession, [1, 2]), (Foreign, ["a", "b"]), (Third, [1.5, 2.5])]
    record: Record | None = None
    for turn in (0, 1):
        for place, (session_class, values) in enumerate(pages):
            record = changed(record, session_class, formats[place % 2], page_views=values[turn])
            assert record.type == session_class.__name__
    for session_class, values in pages:
        assert opened(session_class, record, format=formats[0]).session.page_views == values[1]


def test_s69_a_stranger_s_save_does_not_take_the_fields(format: Format) -> None:
    """While another class has the record, our fields lie under our name, and theirs are not ours."""
    record = changed(None, ShopSession, format, page_views=5)
    record = changed(record, Foreign, format, page_views="many")
    assert plain(record)["ShopSession/page_views"] == 5
    assert plain(record)["page_views"] == "many"


def test_a_bag_may_be_saved_before_the_fields(format: Format) -> None:
    """A save of the bag alone does not make another class's fields ours, when a field is saved later in the request."""
    record = changed(None, ShopSession, format, page_views=5)
    copy = opened(Foreign, record, format=format)
    assert copy.session.page_views == "none"
    record = saved(copy, {"key": 1})
    copy.session.email = "a@example.org"
    record = saved(copy, {"key": 1})
    assert opened(Foreign, record, format=format).session == Foreign(email="a@example.org")
    assert opened(ShopSession, record, format=format).session.page_views == 5


def test_a_session_may_be_assigned_unread(format: Format) -> None:
    """An object assigned before anything was read still takes nothing from another class, and goes by its old names."""
    record = changed(None, ShopSession, format, page_views=5)
    copy = opened(Foreign, record, format=format)
    copy.session = Foreign(email="a@example.org")
    assert opened(ShopSession, saved(copy), format=format).session.page_views == 5
    record = changed(None, OldShop, format, note="text", coupon="TEN")
    new = opened(NewShop, record, format=format)
    new.session = NewShop(remark="text", currency="", views=1)
    record = saved(new)
    assert opened(OldShop, record, format=format).session == OldShop(note="text", coupon="TEN", views=1)


@dataclass
class FirstVersion(AuthUserSession):
    schema_name: ClassVar[str] = "versions"
    price: str = ""
    views: int = 0


@dataclass
class SecondVersion(AuthUserSession):
    schema_name: ClassVar[str] = "versions"
    schema_version: ClassVar[int] = 2
    cents: int = 0
    views: int = 0

    @classmethod
    def upgrade(cls, version: int, data: dict[str, Any]) -> dict[str, Any]:
        return {"cents": int(data.get("price") or 0) * 100, **data}


def test_a_bag_saved_first_does_not_skip_the_upgrade(format: Format) -> None:
    """A save of the bag alone leaves an old record old, so that the fields are upgraded when they are saved."""
    record = changed(None, FirstVersion, format, price="3")
    copy = opened(SecondVersion, record, format=format)
    assert copy.session.cents == 300
    record = saved(copy, {"key": 1})
    assert opened(SecondVersion, record, format=format).session.cents == 300
    copy.session.views = 1
    record = saved(copy, {"key": 1})
    assert opened(SecondVersion, record, format=format).session == SecondVersion(cents=300, views=1)


def test_versions_side_by_side(formats: tuple[Format, Format]) -> None:
    """An old release goes on with the fields it knows of a record that a newer version has upgraded."""
    old_format, new_format = formats
    record = changed(None, FirstVersion, old_format, price="3", views=1)
    for views in (2, 4):
        record = changed(record, SecondVersion, new_format, views=views)
        assert opened(FirstVersion, record, format=old_format).session.price == "3"
        record = changed(record, FirstVersion, old_format, views=views + 1)
        seen = opened(SecondVersion, record, format=new_format).session
        assert (seen.cents, seen.views) == (300, views + 1)
    assert record.schema == 2


MOMENT = datetime(2026, 5, 4, 3, 2, 1, 7, tzinfo=timezone.utc)


def test_a_merge_keeps_the_later_version(format: Format) -> None:
    """When a later release saved first, the merged record stays one of its version, which nobody upgrades again."""
    record = changed(None, FirstVersion, format, price="3")
    old = opened(FirstVersion, record, format=format)
    old.session.views = 1
    later = changed(record, SecondVersion, format, cents=500)
    assert later.schema == 2
    old.merge(later, None)
    record = saved(old)
    assert record.schema == 2
    assert opened(SecondVersion, record, format=format).session == SecondVersion(cents=500, views=1)


@dataclass
class Typed(AuthUserSession):
    """Values that the two formats write differently."""

    schema_name: ClassVar[str] = "typed"
    blob: bytes = b""
    size: int = 0
    ratio: float | None = None
    moment: datetime | None = None
    price: Decimal = Decimal(0)


@dataclass
class Ignorant(AuthUserSession):
    """A release that knows none of them."""

    schema_name: ClassVar[str] = "typed"
    other: int = 0


@pytest.mark.parametrize("pair", FORMATS, ids=lambda pair: f"{pair[0].name} to {pair[1].name}")
def test_codec_may_be_switched(pair: tuple[Format, Format]) -> None:
    """Records of the former CODEC are read, looking at them writes nothing, and the first change writes the new one."""
    source, target = pair
    record = changed(None, Typed, source, blob=b"\xff\x00", size=5)
    copy = opened(Typed, record, format=target)
    assert (copy.session.blob, copy.session.size) == (b"\xff\x00", 5)
    assert copy.unreadable == []
    copy.session.size = 6
    record = saved(copy, {"key": "value"})
    assert opened(Typed, record, format=target).session.blob == b"\xff\x00"
    assert opened(Typed, record, format=source).session.size == 6


@pytest.mark.parametrize("pair", FORMATS, ids=lambda pair: f"{pair[0].name} to {pair[1].name}")
def test_unknown_fields_survive_a_switch_of_codec(pair: tuple[Format, Format]) -> None:
    """What a release does not know is carried through a change of format, times and decimals included."""
    source, target = pair
    values = {"size": 5, "ratio": 0.5, "moment": MOMENT, "price": Decimal("1.50")}
    record = changed(None, Typed, source, **values)
    record = changed(record, Ignorant, target, other=1)
    assert values_of(opened(Typed, record, format=target).session).items() >= values.items()


def test_what_the_new_codec_cannot_hold_is_no_server_error() -> None:
    """An int beyond 64 bits, fine in JSON, costs its field alone when CODEC becomes msgpack."""
    record = changed(None, Typed, JSON, size=2**70, blob=b"x")
    copy = opened(Typed, record, format=MSGPACK)
    assert (copy.session.size, copy.session.blob) == (0, b"x")
    assert [where for where, _ in copy.unreadable] == ["typed.size"]
    copy.session.blob = b"y"
    assert opened(Typed, saved(copy), format=MSGPACK).session.blob == b"y"


def test_what_the_new_codec_cannot_hold_of_a_bag_costs_its_key_alone() -> None:
    """An int beyond 64 bits in the bag is readable as before, and goes when the record is written as msgpack."""
    record = saved(opened(ShopSession), {"large": 2**70, "small": 1})
    copy = opened(ShopSession, record, format=MSGPACK)
    bag = copy.read_bag()
    assert bag == {"large": 2**70, "small": 1}
    copy.session.page_views = 1
    again = opened(ShopSession, saved(copy, bag), format=MSGPACK)
    assert (again.session.page_views, again.read_bag()) == (1, {"small": 1})


def test_what_json_cannot_hold_is_told_when_the_codec_is_switched() -> None:
    """A NaN, fine in msgpack, costs its field alone when CODEC becomes JSON, and not in silence."""
    record = changed(None, Typed, MSGPACK, ratio=float("nan"), size=5)
    copy = opened(Typed, record, format=JSON)
    assert (copy.session.ratio, copy.session.size) == (None, 5)
    assert [where for where, _ in copy.unreadable] == ["typed.ratio"]


def test_a_bag_is_switched_with_the_fields(formats: tuple[Format, Format]) -> None:
    """The bag of a record in the former format is read, is no change by itself, and is kept by saves of fields."""
    source, target = formats
    record = record_of({"page_views": 1}, bag={"key": [1, "é", None]}, format=source)
    copy = opened(ShopSession, record, format=target)
    assert copy.read_bag() == {"key": [1, "é", None]}
    assert copy.content(copy.read_bag()) is None
    copy.session.page_views = 2
    again = opened(ShopSession, saved(copy), format=target)
    assert again.read_bag() == {"key": [1, "é", None]}
    bag = again.read_bag()
    bag["key"].append(2.5)
    last = opened(ShopSession, saved(again, bag), format=source)
    assert last.read_bag() == {"key": [1, "é", None, 2.5]}
    assert last.session.page_views == 2
