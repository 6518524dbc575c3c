"""A request's copy of a record: what counts as a change, and how a save that came second is merged."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from tests.core.classes import CheckingSession, Item, Page
from tests.core.records import changed, opened, plain, record_of, saved, with_content
from tests.sessions import CartLine, ShopSession
from typed_sessions import AuthUserSession, session_field
from typed_sessions.exceptions import SessionConflict, SessionFieldError
from typed_sessions.formats import JSON, MSGPACK, Format
from typed_sessions.stores.record import Record
from typed_sessions.working_copy import WorkingCopy


@dataclass
class Deep(AuthUserSession):
    """Lists in dataclasses in dicts in lists, and sets wherever sets can be."""

    pages: dict[str, Page[Item]] = field(default_factory=dict)
    rows: list[dict[str, list[Item]]] = field(default_factory=list)
    sets: dict[str, set[int]] = field(default_factory=dict)
    visited: set[int] = field(default_factory=set)
    pair: tuple[list[int], dict[str, int]] = field(default_factory=lambda: ([], {}))
    count: int = 0


def deep() -> Deep:
    return Deep(
        pages={"a": Page([Item("x", tags={"t": ["1"]})], 1), "b": Page()},
        rows=[{"r": [Item("y")]}, {}],
        sets={"s": {1, 2}},
        visited={0, 8},
        pair=([1], {"k": 1}),
    )


def stored(session: AuthUserSession, format: Format, bag: dict[str, Any] | None = None) -> Record:
    """A record that holds `session`."""
    copy = opened(type(session), format=format)
    copy.session = session
    return saved(copy, bag)


MUTATIONS: dict[str, tuple[Callable[[Deep], Any], str]] = {
    # what a view does, and the one field that it changes
    "field": (lambda s: setattr(s, "count", 1), "count"),
    "inherited field": (lambda s: setattr(s, "email", "a@example.org"), "email"),
    "inherited list": (lambda s: s.roles.append("staff"), "roles"),
    "list in a dataclass in a dict": (lambda s: s.pages["a"].items.append(Item("z")), "pages"),
    "field of a dataclass in a list in a dataclass": (lambda s: setattr(s.pages["a"].items[0], "quantity", 5), "pages"),
    "list in a dict in a dataclass in a list": (lambda s: s.pages["a"].items[0].tags["t"].append("2"), "pages"),
    "new key of a dict": (lambda s: s.pages.update(c=Page()), "pages"),
    "removed key": (lambda s: s.pages.pop("b"), "pages"),
    "list in a dict in a list": (lambda s: s.rows[0]["r"].clear(), "rows"),
    "dict in a list": (lambda s: s.rows[1].update(q=[]), "rows"),
    "order of a list": (lambda s: s.rows.reverse(), "rows"),
    "added to a set": (lambda s: s.visited.add(5), "visited"),
    "removed from a set": (lambda s: s.visited.discard(8), "visited"),
    "set in a dict": (lambda s: s.sets["s"].add(3), "sets"),
    "list in a tuple": (lambda s: s.pair[0].append(2), "pair"),
    "dict in a tuple": (lambda s: s.pair[1].update(k=2), "pair"),
}


@pytest.mark.parametrize(("mutate", "name"), MUTATIONS.values(), ids=MUTATIONS.keys())
def test_a_change_is_seen_however_deep_it_is(mutate: Callable[[Deep], Any], name: str, format: Format) -> None:
    """A nested change is a change of its field alone, is stored, and is none any more after the save."""
    record = stored(deep(), format)
    copy = opened(Deep, record, format=format)
    mutate(copy.session)
    assert copy.has_changed_fields()
    after = saved(copy)
    before, now = plain(record), plain(after)
    assert {key for key in now if now[key] != before.get(key)} == {name}
    expected = deep()
    mutate(expected)
    assert opened(Deep, after, format=format).session == expected
    assert not copy.has_changed_fields()
    assert copy.content({}) is None


def test_an_untouched_session_is_no_change(format: Format) -> None:
    """Reading every field, and changing something there and back, leaves nothing to write."""
    copy = opened(Deep, stored(deep(), format), format=format)
    assert copy.session == deep()
    copy.session.pages["a"].items.append(Item("z"))
    copy.session.pages["a"].items.pop()
    copy.session.count = 5
    copy.session.count = 0
    assert not copy.has_changed_fields()
    assert copy.content(copy.read_bag()) is None
    assert copy.content(None) is None


def test_a_session_nobody_opened_is_not_decoded(format: Format) -> None:
    """A copy that is asked for nothing, or for the bag alone, does not even read the fields."""
    copy = opened(ShopSession, record_of({"cart": 5}, format=format), format=format)
    assert not copy.is_opened
    assert not copy.has_changed_fields()
    assert copy.content(None) is None
    assert copy.content({}) is None
    assert saved(copy, {"key": 1}).data == record_of({"cart": 5}, format=format).data
    assert not copy.is_opened
    assert copy.session is copy.session
    assert copy.is_opened


def test_equal_sets_are_no_change(format: Format) -> None:
    """A set that holds the same in another order, as after other insertions, is the same set."""
    record = stored(Deep(visited={0, 8}, sets={"s": {0, 8}}), format)
    copy = opened(Deep, record, format=format)
    copy.session.visited = {8, 0}
    copy.session.sets = {"s": {8, 0}}
    assert [*copy.session.visited] != [*{0, 8}], "this test needs sets in another order"
    assert copy.content({}) is None
    copy.session.visited = {8, 1}
    assert copy.content({}) is not None


def test_another_spelling_of_a_value_is_no_change(format: Format) -> None:
    """What another release or a person wrote differently, such as 5 for 5.0, is read and not written again."""

    @dataclass
    class Spelled(AuthUserSession):
        ratio: float = 0.0
        price: Decimal = Decimal(0)

    copy = opened(Spelled, record_of({"ratio": 5, "price": 7}, type="Spelled", format=format), format=format)
    assert (copy.session.ratio, copy.session.price) == (5.0, Decimal(7))
    assert copy.content({}) is None


def test_a_readable_spelling_of_the_whole_record_is_no_change() -> None:
    """White space, another order of fields and escapes, as after an edit by hand, are no change."""
    record = record_of(b'{ "page_views" : 5,\n "currency": "\\u0045UR", "cart": [ ] }')
    copy = opened(ShopSession, record)
    assert copy.session == ShopSession(page_views=5)
    assert copy.content({}) is None


def test_an_assigned_object_is_compared_with_what_was_loaded(format: Format) -> None:
    """A session may be replaced: an equal object is no change, another one is stored and is the session."""
    record = stored(ShopSession(page_views=5), format)
    copy = opened(ShopSession, record, format=format)
    copy.session = ShopSession(page_views=5)
    assert copy.content({}) is None
    replacement = ShopSession(currency="USD")
    copy.session = replacement
    assert copy.session is replacement
    again = opened(ShopSession, saved(copy), format=format)
    assert again.session == replacement


def test_an_assigned_object_may_be_of_a_subclass(format: Format) -> None:
    """A subclass without fields of its own is as good; the fields of one that has them would be lost."""

    @dataclass
    class Louder(ShopSession):
        def shout(self) -> str:
            return self.currency.upper()

    copy = opened(ShopSession, format=format)
    copy.session = Louder(currency="usd")
    assert opened(ShopSession, saved(copy), format=format).session == ShopSession(currency="usd")


def test_the_first_content_holds_everything(format: Format) -> None:
    """A session that is not stored has content even if nobody changed it: the class's name, version, fields and bag."""
    copy = opened(ShopSession, format=format)
    assert copy.record is None
    assert copy.read_bag() == {}
    content = copy.content(None)
    assert content is not None
    assert (content.type, content.schema) == ("ShopSession", 1)
    again = opened(ShopSession, with_content(content), format=format)
    assert again.session == ShopSession()
    assert again.read_bag() == {}
    assert opened(ShopSession, saved(copy, {"key": 1}), format=format).read_bag() == {"key": 1}


def test_a_wrong_default_is_refused_at_the_first_save(format: Format) -> None:
    """What a class gives to every new visitor is checked like what a view sets."""

    @dataclass
    class Careless(AuthUserSession):
        views: int = "none"  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]

    with pytest.raises(SessionFieldError, match=r"^Careless\.views: expected int, got str"):
        opened(Careless, format=format).content({})


def test_a_new_session_differs_by_what_was_set(format: Format) -> None:
    """A session that is not stored has changed as soon as a field is not what it began with, factories included."""
    numbers = iter(range(100))

    @dataclass
    class Numbered(AuthUserSession):
        number: int = field(default_factory=lambda: next(numbers))

    copy = opened(Numbered, format=format)
    assert copy.session.number >= 0
    assert not copy.has_changed_fields()
    copy.session.number = -1
    assert copy.has_changed_fields()
    assert opened(Numbered, saved(copy), format=format).session.number == -1


def test_changes_go_on_after_a_save(format: Format) -> None:
    """After a save the stored record is what later changes of the same request are compared with."""
    copy = opened(ShopSession, format=format)
    bag: dict[str, Any] = {}
    for turn in range(1, 4):
        copy.session.cart.append(CartLine(str(turn)))
        bag["turn"] = turn
        record = saved(copy, bag)
        assert copy.content(bag) is None
        again = opened(ShopSession, record, format=format)
        assert len(again.session.cart) == turn
        assert again.read_bag() == {"turn": turn}


def test_a_failed_save_may_be_tried_again(format: Format) -> None:
    """Content that was made and not stored stays to be stored."""
    copy = opened(ShopSession, stored(ShopSession(), format), format=format)
    copy.session.page_views = 1
    first, second = copy.content({}), copy.content({})
    assert first == second
    assert first is not None


def test_s71_unknown_fields_that_cannot_be_kept_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """An unknown field whose very name is broken goes with the next save, a log line says so, and all else is kept."""
    damaged = b"\x82\xaapage_views\x05\xa1\xff\x01"
    copy = opened(ShopSession, record_of(damaged, format=MSGPACK), format=MSGPACK)
    assert copy.session.page_views == 5
    with caplog.at_level(logging.WARNING, "typed_sessions"):
        copy.session.currency = "USD"
        record = saved(copy)
    assert plain(record).items() >= {"page_views": 5, "currency": "USD"}.items()
    assert "unknown fields cannot be kept" in caplog.text


# The bag


def test_nested_changes_of_the_bag_are_seen(format: Format) -> None:
    """A change deep in the bag is a change, without `modified`; the fields stay as they were."""
    record = stored(ShopSession(page_views=5), format, {"a": {"b": [1]}, "c": 1})
    copy = opened(ShopSession, record, format=format)
    bag = copy.read_bag()
    assert copy.content(bag) is None
    bag["a"]["b"].append(2)
    after = saved(copy, bag)
    assert after.data == record.data
    assert opened(ShopSession, after, format=format).read_bag() == {"a": {"b": [1, 2]}, "c": 1}


def test_a_bag_nobody_asked_for_is_kept(format: Format) -> None:
    """Fields are saved without the bag being read, and with it as it was."""
    record = stored(ShopSession(), format, {"a": [1, None, "é"]})
    record = changed(record, ShopSession, format, page_views=1)
    assert opened(ShopSession, record, format=format).read_bag() == {"a": [1, None, "é"]}


def test_both_may_change(format: Format) -> None:
    """Fields and bag are saved in one record at once."""
    copy = opened(ShopSession, stored(ShopSession(), format, {"a": 1}), format=format)
    copy.session.page_views = 1
    again = opened(ShopSession, saved(copy, {"b": 2}), format=format)
    assert (again.session.page_views, again.read_bag()) == (1, {"b": 2})


def test_a_bag_written_differently_is_no_change() -> None:
    """White space and escapes in a stored bag, as after an edit by hand, are no change."""
    copy = opened(ShopSession, record_of({}, bag=b'{ "a" : "\\u00e9", "b":[ 1 ]}'))
    bag = copy.read_bag()
    assert bag == {"a": "é", "b": [1]}
    assert copy.content(bag) is None


UNREADABLE_BAGS = [b"\x91\x01", b"\x05", b"\xc0", b'{"a":NaN}', b'{"a":', b"{}{}", b"\x81\xa1a\xc1", b""]


@pytest.mark.parametrize("raw", UNREADABLE_BAGS, ids=repr)
def test_s71_a_bag_that_cannot_be_read_is_empty(raw: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A damaged bag costs the bag, is told and logged, and stays in the store until somebody puts something in it."""
    for format in (JSON, MSGPACK):
        copy = opened(ShopSession, record_of({}, bag=raw, format=format), format=format)
        caplog.clear()
        with caplog.at_level(logging.WARNING, "typed_sessions"):
            bag = copy.read_bag()
        assert isinstance(bag, dict)
        if bag:
            continue  # a serializer may read what others do not
        assert len(caplog.messages) == 1
        assert "bag" in caplog.messages[0]
        assert copy.unreadable
        assert copy.content(bag) is None
        bag["new"] = 1
        assert opened(ShopSession, saved(copy, bag), format=format).read_bag() == {"new": 1}


def test_s71_a_bag_that_can_be_read_and_not_written_is_left_alone() -> None:
    """A number that reads as infinity, from a person's edit, stays in the store until somebody changes the bag."""
    record = record_of({}, bag=b'{"a":1e999}')
    copy = opened(ShopSession, record)
    bag = copy.read_bag()
    assert copy.content(bag) is None
    copy.session.page_views = 1
    after = saved(copy, bag)
    assert after.bag == record.bag
    bag["b"] = 1
    with pytest.raises(SessionFieldError, match=r"^session\['a'\]"):
        copy.content(bag)
    del bag["a"]
    assert opened(ShopSession, saved(copy, bag)).read_bag() == {"b": 1}


# Merging


def meet(
    format: Format,
    mine: Callable[[ShopSession], Any],
    theirs: Callable[[ShopSession], Any],
    session: ShopSession | None = None,
) -> WorkingCopy[ShopSession]:
    """This request's copy after another request saved first: merged, and saved on top."""
    record = stored(session or ShopSession(), format)
    copy = opened(ShopSession, record, format=format)
    mine(copy.session)
    assert copy.content(None)
    other = opened(ShopSession, record, format=format)
    theirs(other.session)
    copy.merge(saved(other), None)
    return copy


def test_different_fields_both_survive(format: Format) -> None:
    """Two requests that change different fields both have their way, and the object shows both."""
    copy = meet(format, lambda s: setattr(s, "currency", "USD"), lambda s: s.cart.append(CartLine("a")))
    assert copy.session == ShopSession(currency="USD", cart=[CartLine("a")])
    assert opened(ShopSession, saved(copy), format=format).session == copy.session


def test_the_later_save_of_one_field_wins(format: Format) -> None:
    """A field that both changed has this request's value, unless its `merge` says otherwise."""
    copy = meet(format, lambda s: setattr(s, "currency", "USD"), lambda s: setattr(s, "currency", "GBP"))
    assert copy.session.currency == "USD"
    assert opened(ShopSession, saved(copy), format=format).session.currency == "USD"


def test_merge_rules_are_used(format: Format) -> None:
    """A counter counts both requests, also when both counted the same, and a set has what either added."""

    def visit(page: str) -> Callable[[ShopSession], None]:
        def change(session: ShopSession) -> None:
            session.page_views += 1
            session.visited.add(page)

        return change

    copy = meet(format, visit("/a"), visit("/b"), ShopSession(page_views=5, visited={"/"}))
    assert (copy.session.page_views, copy.session.visited) == (7, {"/", "/a", "/b"})
    again = opened(ShopSession, saved(copy), format=format).session
    assert (again.page_views, again.visited) == (7, {"/", "/a", "/b"})


def test_what_only_they_changed_shows_in_the_object(format: Format) -> None:
    """After a merge the object that the view holds has the other request's changes, and nothing more is to be saved."""
    copy = meet(format, lambda s: setattr(s, "currency", "USD"), lambda s: setattr(s, "currency", "USD"))
    assert copy.content(None) is None
    copy = opened(ShopSession, stored(ShopSession(), format), format=format)
    session = copy.session
    copy.merge(stored(ShopSession(cart=[CartLine("a")], page_views=5), format), None)
    assert copy.session is session
    assert session == ShopSession(cart=[CartLine("a")], page_views=5)
    assert copy.content(None) is None


def test_several_others_may_come_first(format: Format) -> None:
    """A save that comes second again and again is merged again and again, and counts once."""
    record = stored(ShopSession(), format)
    copy = opened(ShopSession, record, format=format)
    copy.session.page_views += 1
    for turn in range(1, 4):
        record = changed(record, ShopSession, format, page_views=turn, email=f"{turn}@example.org")
        copy.merge(record, None)
        assert (copy.session.page_views, copy.session.email) == (turn + 1, f"{turn}@example.org")
    assert opened(ShopSession, saved(copy), format=format).session.page_views == 4


def test_a_session_nobody_opened_takes_theirs(format: Format) -> None:
    """A request that changed the bag alone keeps the other request's fields."""
    record = stored(ShopSession(), format, {"a": 1})
    copy = opened(ShopSession, record, format=format)
    bag = copy.read_bag()
    bag["b"] = 2
    theirs = changed(record, ShopSession, format, page_views=5)
    copy.merge(theirs, bag)
    assert not copy.is_opened
    again = opened(ShopSession, saved(copy, bag), format=format)
    assert (again.session.page_views, again.read_bag()) == (5, {"a": 1, "b": 2})


BAGS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    # of {"a": 1, "b": [1], "c": None}: mine, theirs, what comes of it
    "different keys": (
        {"a": 2, "b": [1], "c": None},
        {"a": 1, "b": [1, 2], "c": None},
        {"a": 2, "b": [1, 2], "c": None},
    ),
    "new keys": (
        {"a": 1, "b": [1], "c": None, "d": 1},
        {"a": 1, "b": [1], "c": None, "e": 1},
        {"a": 1, "b": [1], "c": None, "d": 1, "e": 1},
    ),
    "same key": ({"a": 2, "b": [1], "c": None}, {"a": 3, "b": [1], "c": None}, {"a": 2, "b": [1], "c": None}),
    "mine removed": ({"b": [1], "c": None}, {"a": 1, "b": [], "c": None}, {"b": [], "c": None}),
    "theirs removed": ({"a": 2, "b": [1], "c": None}, {"a": 1}, {"a": 2}),
    "both removed": ({"b": [1], "c": None}, {"b": [1]}, {"b": [1]}),
    "mine removed what theirs changed": ({"b": [1], "c": None}, {"a": 2, "b": [1], "c": None}, {"b": [1], "c": None}),
    "mine changed what theirs removed": (
        {"a": 2, "b": [1], "c": None},
        {"b": [1], "c": None},
        {"a": 2, "b": [1], "c": None},
    ),
    "only theirs": ({"a": 1, "b": [1], "c": None}, {}, {}),
    "only mine": ({}, {"a": 1, "b": [1], "c": None}, {}),
    "none became something": ({"a": 1, "b": [1], "c": 5}, {"a": 1, "b": [1]}, {"a": 1, "b": [1], "c": 5}),
}


@pytest.mark.parametrize(("mine", "theirs", "result"), BAGS.values(), ids=BAGS.keys())
def test_keys_of_the_bag_are_merged_like_fields(
    mine: dict[str, Any], theirs: dict[str, Any], result: dict[str, Any], format: Format
) -> None:
    """What this request set or removed in the bag is done on top of what the other stored, key by key."""
    record = stored(ShopSession(), format, {"a": 1, "b": [1], "c": None})
    copy = opened(ShopSession, record, format=format)
    bag = copy.read_bag()
    bag.clear()
    bag.update(mine)
    other = opened(ShopSession, record, format=format)
    copy.merge(saved(other, theirs), bag)
    assert bag == result
    assert opened(ShopSession, saved(copy, bag), format=format).read_bag() == result


@dataclass
class Strict(AuthUserSession):
    """Fields of which two changes at once are none."""

    balance: int = session_field(default=0, merge="refuse")
    limit: int = session_field(default=0, merge="refuse")
    views: int = session_field(default=0, merge="add")


def test_refuse_raises_a_conflict_that_names_the_fields(format: Format) -> None:
    """Two changes of a field that refuses are a conflict, with the session's id and all fields concerned."""
    record = stored(Strict(), format)
    copy = opened(Strict, record, format=format)
    copy.session.balance, copy.session.limit, copy.session.views = 1, 2, 3
    theirs = changed(record, Strict, format, balance=5, limit=6, views=7)
    with pytest.raises(SessionConflict) as caught:
        copy.merge(theirs, None)
    assert caught.value.fields == ("balance", "limit")
    assert caught.value.session_id == record.id
    assert opened(Strict, theirs, format=format).session.balance == 5


def test_refuse_is_about_one_field(format: Format) -> None:
    """A field that refuses may be changed by one request while the other changes other fields."""
    record = stored(Strict(), format)
    copy = opened(Strict, record, format=format)
    copy.session.balance = 1
    copy.merge(changed(record, Strict, format, views=7, limit=2), None)
    again = opened(Strict, saved(copy), format=format).session
    assert (again.balance, again.limit, again.views) == (1, 2, 7)


def test_two_equal_changes_are_two_changes(format: Format) -> None:
    """That both requests took the last piece is a conflict just as if they had taken different ones."""
    record = stored(Strict(balance=1), format)
    copy = opened(Strict, record, format=format)
    copy.session.balance = 0
    with pytest.raises(SessionConflict):
        copy.merge(changed(record, Strict, format, balance=0), None)


@dataclass
class Summed(AuthUserSession):
    amounts: dict[str, int] = session_field(
        default_factory=dict,
        merge=lambda base, mine, theirs: {
            key: theirs.get(key, 0) + mine.get(key, 0) - base.get(key, 0) for key in {**theirs, **mine}
        },
    )


def test_a_function_may_merge(format: Format) -> None:
    """A `merge` function gets base, mine and theirs as the field's own values, and its answer is stored."""
    record = stored(Summed(amounts={"a": 1}), format)
    copy = opened(Summed, record, format=format)
    copy.session.amounts["a"] += 1
    copy.session.amounts["b"] = 1
    copy.merge(changed(record, Summed, format, amounts={"a": 11, "c": 1}), None)
    assert opened(Summed, saved(copy), format=format).session.amounts == {"a": 12, "b": 1, "c": 1}


def test_what_a_function_makes_is_checked(format: Format) -> None:
    """A merged value of the wrong type is refused like one that a view set."""

    @dataclass
    class Confused(AuthUserSession):
        count: int = session_field(default=0, merge=lambda base, mine, theirs: "confused")

    record = stored(Confused(), format)
    copy = opened(Confused, record, format=format)
    copy.session.count = 1
    copy.merge(changed(record, Confused, format, count=2), None)
    with pytest.raises(SessionFieldError, match=r"^Confused\.count: expected int, got str"):
        copy.content(None)


def test_an_unreadable_field_can_be_changed_by_two_at_once(format: Format) -> None:
    """Where the base or what they stored cannot be read, the default stands for it, and nobody gets a server error."""
    damaged = record_of({"page_views": "many", "cart": 5, "visited": 5}, format=format)
    copy = opened(ShopSession, damaged, format=format)
    copy.session.page_views = 1
    copy.session.visited = {"/a"}
    copy.session.cart = [CartLine("mine")]
    copy.merge(changed(damaged, ShopSession, format, page_views=2, visited={"/b"}), None)
    assert (copy.session.page_views, copy.session.visited) == (3, {"/a", "/b"})
    assert copy.session.cart == [CartLine("mine")]
    copy.merge(record_of({"page_views": "few", "cart": {}}, format=format), None)
    assert copy.session.cart == [CartLine("mine")]
    assert opened(ShopSession, saved(copy), format=format).session.cart == [CartLine("mine")]


def test_a_damaged_record_of_theirs_does_not_spread(format: Format) -> None:
    """What they stored and this release cannot read is kept in the store, and the object has the default."""
    copy = opened(ShopSession, stored(ShopSession(page_views=5), format), format=format)
    copy.session.currency = "USD"
    copy.merge(record_of({"page_views": "many"}, format=format), None)
    record = saved(copy)
    assert plain(record)["page_views"] == "many"
    assert plain(record)["currency"] == "USD"


def test_unknown_fields_of_theirs_are_kept(format: Format) -> None:
    """What only the other request's release knows is in the record after the merge."""
    copy = opened(ShopSession, stored(ShopSession(), format), format=format)
    copy.session.currency = "USD"
    copy.merge(record_of({"later": [1], "page_views": 5}, format=format), None)
    assert plain(saved(copy)).items() >= {"later": [1], "page_views": 5, "currency": "USD"}.items()


def test_a_record_that_post_init_refuses_can_be_merged(format: Format) -> None:
    """A combination of theirs that this release refuses neither raises nor is overwritten as a whole."""
    copy = opened(CheckingSession, stored(CheckingSession(count=1), format), format=format)
    copy.session.email = "a@example.org"
    copy.merge(record_of({"count": -1, "items": ["x"]}, type="CheckingSession", format=format), None)
    assert plain(saved(copy)).items() >= {"email": "a@example.org", "items": ["x"]}.items()


@dataclass
class Mistaken(AuthUserSession):
    """With rules that cannot work, as only two requests that meet find out."""

    count: int = session_field(default=0, merge="add")
    name: str = session_field(default="", merge="add")
    sizes: dict[str, int] = session_field(default_factory=dict, merge="append")


@pytest.mark.parametrize(
    ("name", "rule", "mine", "theirs"), [("name", "add", "mine", "theirs"), ("sizes", "append", {"a": 1}, {"b": 1})]
)
def test_a_rule_that_cannot_work(format: Format, name: str, rule: str, mine: Any, theirs: Any) -> None:
    """It is an error that names the field and the rule. Nothing has been merged then, so that who gives the field up
    and tries again counts once, and brings nothing back that others have removed meanwhile.
    """
    record = stored(Mistaken(), format)
    copy, bag = opened(Mistaken, record, format=format), dict[str, Any]()
    copy.session.count = 1
    setattr(copy.session, name, mine)
    other = opened(Mistaken, record, format=format)
    other.session.count = 5
    setattr(other.session, name, theirs)
    second = saved(other, {"theirs": 1})
    with pytest.raises(SessionFieldError, match=rf"^Mistaken\.{name}: merge='{rule}' cannot make one of two changes"):
        copy.merge(second, bag)
    assert (copy.session.count, getattr(copy.session, name), bag) == (1, mine, {})
    setattr(copy.session, name, getattr(Mistaken(), name))
    copy.merge(saved(other, {}), bag)
    assert (copy.session.count, getattr(copy.session, name), bag) == (6, theirs, {})


def test_a_save_that_was_refused(format: Format) -> None:
    """What it would have written is forgotten, and not taken for what is stored when something else is saved."""
    copy, bag = opened(ShopSession, stored(ShopSession(), format), format=format), dict[str, Any]()
    copy.session.page_views, copy.session.currency = 7, "USD"
    assert copy.content(bag)  # and that is where it ends
    copy.session.page_views, copy.session.currency = 0, "EUR"
    bag["mine"] = 1
    record = saved(copy, bag)
    copy.merge(changed(record, ShopSession, format, page_views=1, currency="GBP"), bag)
    assert not copy.has_changed_fields()
    assert (copy.session.page_views, copy.session.currency) == (1, "GBP")
