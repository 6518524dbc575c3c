"""Whatever a record holds it opens, and whatever a visitor does to a session comes back: with hypothesis."""

from __future__ import annotations

import copy as copies
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.records import ID, opened, plain, record_of, saved, values_of
from tests.sessions import CartLine, ShopSession
from typed_sessions import tokens
from typed_sessions.exceptions import UnreadableRecord
from typed_sessions.formats import JSON, MSGPACK, Format
from typed_sessions.stores import wire
from typed_sessions.stores.record import Record

FORMATS = st.sampled_from([JSON, MSGPACK])
FUZZ = settings(deadline=None, max_examples=150)

TEXT = st.text(max_size=12)
PRICES = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=2)
LINES = st.builds(
    CartLine,
    sku=TEXT,
    quantity=st.integers(-(2**63), 2**64 - 1),
    price=PRICES,
    options=st.dictionaries(TEXT, st.lists(TEXT, max_size=3), max_size=3),
)
SESSIONS = st.builds(
    ShopSession,
    user_auth_id=st.none() | TEXT,
    display_name=st.none() | TEXT,
    roles=st.lists(TEXT, max_size=3),
    meta=st.dictionaries(TEXT, TEXT, max_size=3),
    cart=st.lists(LINES, max_size=3),
    currency=TEXT,
    page_views=st.integers(-(2**63), 2**63),
    visited=st.sets(TEXT, max_size=4),
    gift_note=TEXT,
)
# What a careless release, a person with redis-cli, or an attacker with the store's password may write.
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from([*values_of(ShopSession()), "unknown", "Other/cart", "ShopSession/cart", "", "/"])
DATA = st.dictionaries(NAMES, PLAIN, max_size=5)


def stored(session: ShopSession, format: Format) -> Record:
    """A record that holds `session`."""
    copy = opened(ShopSession, format=format)
    copy.session = session
    return saved(copy)


def opens(record: Record, format: Format) -> None:
    """A request may read record and bag, leave them alone, change a field and a key, and save."""
    copy = opened(ShopSession, record, format=format)
    assert isinstance(copy.session, ShopSession)
    bag = copy.read_bag()
    copy.content(bag)
    for request in (copy, opened(ShopSession, record, format=format)):
        request.session.page_views = 123_456
        assert opened(ShopSession, saved(request), format=format).session.page_views == 123_456


@FUZZ
@given(session=SESSIONS, format=FORMATS)
def test_any_session_comes_back(session: ShopSession, format: Format) -> None:
    """Whatever values of the right types a session holds are the same in the next request, and looking is no change."""
    again = opened(ShopSession, stored(session, format), format=format)
    assert again.session == session
    assert repr(again.session.cart) == repr(session.cart)
    assert again.unreadable == []
    assert again.content({}) is None


@FUZZ
@given(session=SESSIONS, source=FORMATS)
def test_any_session_survives_a_switch_of_codec(session: ShopSession, source: Format) -> None:
    """A session in either format is the same when it is read with the other, if the other has room for its numbers."""
    target = MSGPACK if source is JSON else JSON
    again = opened(ShopSession, stored(session, source), format=target)
    if session.page_views < 2**64:
        assert again.session == session
        assert again.content({}) is None


@FUZZ
@given(before=SESSIONS, after=SESSIONS, names=st.sets(st.sampled_from(list(values_of(ShopSession())))), format=FORMATS)
def test_exactly_the_changed_fields_are_written(
    before: ShopSession, after: ShopSession, names: set[str], format: Format
) -> None:
    """The fields that a request gave other values are the ones that differ in the record, and no others."""
    record = stored(before, format)
    copy = opened(ShopSession, record, format=format)
    for name in names:
        setattr(copy.session, name, getattr(after, name))
    expected = {name for name in names if differ(getattr(before, name), getattr(after, name))}
    was, now = plain(record), plain(saved(copy))
    assert {name for name in now if now[name] != was[name]} <= expected
    assert (copy.content({}) is None) is True
    assert all(not differ(getattr(copy.session, name), getattr(after, name)) for name in expected)
    again = opened(ShopSession, saved(copy), format=format).session
    assert again == copy.session
    if not expected:
        assert saved(copy) is record


def differ(one: Any, other: Any) -> bool:
    """Whether two values are told apart when they are written: 1.0 and 1.00, but not two orders of one set."""
    return one != other if isinstance(one, set) else repr(one) != repr(other)


MUTATIONS = st.one_of(
    st.tuples(st.just("append"), LINES),
    st.tuples(st.just("pop"), st.integers(0, 5)),
    st.tuples(st.just("reverse"), st.none()),
    st.tuples(st.just("quantity"), st.integers(0, 3)),
    st.tuples(st.just("price"), PRICES),
    st.tuples(st.just("option"), TEXT),
    st.tuples(st.just("visit"), st.sampled_from("abc")),
    st.tuples(st.just("leave"), st.sampled_from("abc")),
    st.tuples(st.just("meta"), st.sampled_from("abc")),
    st.tuples(st.just("role"), TEXT),
    st.tuples(st.just("nothing"), st.none()),
)


def mutate(session: ShopSession, kind: str, value: Any) -> None:
    """One thing that a view may do somewhere in a session."""
    if kind == "append":
        session.cart.append(value)
    elif kind == "reverse":
        session.cart.reverse()
    elif kind in ("visit", "leave"):
        (session.visited.add if kind == "visit" else session.visited.discard)(value)
    elif kind == "meta":
        session.meta[value] = session.meta.pop(value, "") + value
    elif kind == "role":
        session.roles.append(value)
    elif session.cart and kind == "pop":
        session.cart.pop(value % len(session.cart))
    elif session.cart and kind == "option":
        session.cart[-1].options.setdefault(value, []).append(value)
    elif session.cart and kind in ("quantity", "price"):
        setattr(session.cart[0], kind, value)


@FUZZ
@given(session=SESSIONS, steps=st.lists(st.lists(MUTATIONS, max_size=4), max_size=4), format=FORMATS)
def test_any_nested_mutations_are_saved(session: ShopSession, steps: list[list[Any]], format: Format) -> None:
    """There is content just if something differs, and it is what the next request reads, request after request."""
    record = stored(session, format)
    for mutations in steps:
        copy = opened(ShopSession, record, format=format)
        before = copies.deepcopy(copy.session)
        for kind, value in mutations:
            mutate(copy.session, kind, copies.deepcopy(value))
        changed = any(differ(getattr(before, name), value) for name, value in values_of(copy.session).items())
        assert (copy.content({}) is not None) is changed
        record = saved(copy)
        assert opened(ShopSession, record, format=format).session == copy.session


@FUZZ
@given(data=DATA, bag=st.dictionaries(TEXT, PLAIN, max_size=3), source=FORMATS, target=FORMATS)
def test_s71_any_plain_values_open(data: Any, bag: Any, source: Format, target: Format) -> None:
    """A record of any values under any names, in either format, is a session in either format."""
    opens(record_of(source.dumps(data), bag=source.dumps(bag), format=source), target)


@FUZZ
@given(data=st.binary(max_size=60), bag=st.binary(max_size=60), target=FORMATS)
def test_s71_any_bytes_open(data: bytes, bag: bytes, target: Format) -> None:
    """Whatever bytes the fields and the bag are, reading and saving raise nothing."""
    opens(record_of(data, bag=bag), target)


@FUZZ
@given(session=SESSIONS, format=FORMATS, target=FORMATS, place=st.floats(0, 1), bytes_=st.binary(max_size=4))
def test_s71_damaged_records_open(
    session: ShopSession, format: Format, target: Format, place: float, bytes_: bytes
) -> None:
    """A record with some bytes overwritten, or cut off, is no server error."""
    data = bytes(stored(session, format).data)
    start = int(place * len(data))
    opens(record_of(data[:start] + bytes_ + data[start + len(bytes_) :]), target)
    opens(record_of(data[:start]), target)


@FUZZ
@given(data=st.binary(max_size=40), bag=st.binary(max_size=40), format=FORMATS, target=FORMATS)
def test_s71_a_damaged_record_is_refused_by_the_wire_or_opens(
    data: bytes, bag: bytes, format: Format, target: Format
) -> None:
    """A stored value is `UnreadableRecord`, or a record that a request can work with: there is nothing between."""
    raw = format.dumps(record_of({}, format=format))
    good = format.dumps({})
    for damaged in (raw.replace(good, data, 1), raw.replace(good, bag, 2), raw.replace(good, data, 1) + bag):
        try:
            found = wire.decode(ID, damaged)
        except UnreadableRecord:
            continue
        if isinstance(found, Record):
            opens(found, target)


HOSTILE = {
    "deep": b'{"cart":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep and unknown": b'{"unknown":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "just deep enough": b'{"unknown":' + b"[" * 900 + b"]" * 900 + b"}",
    "deep msgpack": b"\x81\xa4cart" + b"\x91" * 100_000 + b"\xc0",
    "NaN": b'{"page_views":NaN}',
    "beyond floats": b'{"page_views":1e999,"unknown":1e999}',
    "beyond 64 bits": b'{"page_views":123456789012345678901234567890,"unknown":123456789012345678901234567890}',
    "lone surrogate": b'{"currency":"\\ud800","unknown":"\\ud800"}',
    "no UTF-8": b'{"currency":"\xff","unknown":"\xff"}',
    "no UTF-8 in msgpack": b"\x82\xa8currency\xa1\xff\xa7unknown\xa1\xff",
    "extension": b"\x82\xa8currency\xc7\x01\x05\x00\xa7unknown\xc7\x01\x05\x00",
    "bad time": b"\x81\xa7unknown\xc7\x0c\xff" + b"\xff" * 12,
    "keys of arrays": b"\x81\xa7unknown\x81\x92\x01\x02\x03",
    "keys that are no text": b"\x81\x01\x02",
    "keys that are no UTF-8": b"\x81\xa1\xff\x01",
    "keys of maps": b"\x81\xa7unknown\x81\x80\x01",
    "array": b"\x91\x01",
    "number": b"5",
    "null": b"null",
    "empty": b"",
    "large": b'{"unknown":"' + b"x" * 10_000_000 + b'"}',
    "claims to be large": b"\x81\xa7unknown\xdd\xff\xff\xff\xff",
    "two documents": b"{}{}",
    "pickle": b"\x80\x04K\x05.",
    "gzip": b"\x1f\x8b\x08\x00",
}


def test_s71_hostile_records_open() -> None:
    """The classics in fields and bag: depth, NaN, huge numbers, broken text, 10 MB, foreign formats."""
    for raw in HOSTILE.values():
        for target in (JSON, MSGPACK):
            opens(record_of(raw), target)
            opens(record_of({}, bag=raw), target)


@FUZZ
@given(text=st.text(max_size=60) | st.text(alphabet=tokens.ALPHABET, min_size=40, max_size=40) | PLAIN | st.binary())
def test_s02_no_input_is_a_token_or_an_error(text: object) -> None:
    """Reading a token is total: what nobody issued is none, whatever it is."""
    assert tokens.read(text) is None


@FUZZ
@given(amounts=st.lists(st.decimals(allow_nan=True, allow_infinity=True), max_size=3), format=FORMATS)
def test_any_decimal_comes_back(amounts: list[Decimal], format: Format) -> None:
    """Decimals keep every digit and sign, and also what is no number."""
    session = ShopSession(cart=[CartLine("a", price=amount) for amount in amounts if not amount.is_snan()])
    again = opened(ShopSession, stored(session, format), format=format)
    assert repr(again.session.cart) == repr(session.cart)
