"""Records to bytes and back, and the two formats."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest
from django.contrib.auth.models import User
from django.utils.functional import lazystr
from django.utils.safestring import SafeString, mark_safe
from hypothesis import given
from hypothesis import strategies as st

from typed_sessions import EndReason, clock
from typed_sessions.exceptions import UnreadableRecord
from typed_sessions.formats import FORMATS, JSON, MSGPACK, UNREADABLE, UNWRITABLE, Format, format_of
from typed_sessions.stores import wire
from typed_sessions.stores.record import FORMAT, Client, Record, Tombstone
from typed_sessions.testing.stores import full_record, next_save

if TYPE_CHECKING:
    from typed_sessions.stores.base import Store

both = pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)


def _record(format: Format, **changes: Any) -> Record:
    return full_record(cast("Store", SimpleNamespace(format=format)), **changes)


# Records


@both
def test_record_comes_back(format: Format) -> None:
    """A record is the same after it was bytes, in the format of its own fields."""
    record = _record(format)
    raw = wire.encode(record)
    assert format_of(raw) is format
    assert wire.decode(record.id, raw) == record


@both
def test_stamp_is_in_the_head(format: Format) -> None:
    """A script finds clocks and stamp in the first bytes, and takes no other save for this one."""
    for revision in (1, 127, 128, 65_535, 65_536, 2**32):
        record = next_save(_record(format), revision=revision)
        head = wire.encode(record)[:128]
        assert head.count(wire.stamp(record)) == 1
        assert wire.stamp(next_save(record, revision=revision)) not in head
        assert wire.stamp(next_save(record, nonce=record.nonce)) not in head
        assert b"seen" in head[:24]


def test_tombstone_comes_back() -> None:
    """A tombstone is JSON in every store, and cannot be taken for a record."""
    for reason in EndReason:
        tombstone = Tombstone(format=FORMAT, ended=clock.now(), reason=reason)
        raw = wire.encode(tombstone)
        assert format_of(raw) is JSON
        assert b"seen" not in raw[:24]
        assert wire.decode("x" * 40, raw) == tombstone


@given(st.binary(max_size=300))
def test_s71_any_bytes_are_told_from_a_record(raw: bytes) -> None:
    """There are no bytes that make reading fail in another way."""
    with pytest.raises(UnreadableRecord):
        wire.decode("x" * 40, raw)


@given(st.data(), st.sampled_from(list(FORMATS.values())))
def test_s71_any_damage_is_told_or_harmless(data: st.DataObject, format: Format) -> None:
    """Of a record with bytes changed or lost, a reader gets a record of the same session, or an error."""
    record = _record(format)
    raw = bytearray(wire.encode(record))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        there = wire.decode(record.id, bytes(raw))
    except UnreadableRecord:
        return
    assert isinstance(there, Tombstone) or there.id == record.id


_SCALARS = st.none() | st.booleans() | st.floats() | st.text(max_size=9)


@given(st.recursive(_SCALARS, lambda some: st.lists(some) | st.dictionaries(st.text(max_size=9), some), max_leaves=9))
def test_s71_any_json_is_told_from_a_record(value: object) -> None:
    """Nor does any document make it fail."""
    for format in FORMATS.values():
        with pytest.raises(UnreadableRecord):
            wire.decode("x" * 40, format.dumps(value))


def test_s68_type_is_a_name() -> None:
    """What a record says of its class is text here, and nothing is imported for it."""
    record = _record(JSON, type="os.system")
    there = wire.decode(record.id, wire.encode(record))
    assert isinstance(there, Record)
    assert there.type == "os.system"


# Parts of a record


def test_client_tells_first_and_last() -> None:
    """Who used a session first stays, and who used it last is told if that was somebody else."""
    first = Client(address="192.0.2.1", agent="A")
    assert first.seen_as("192.0.2.1", "A") is first
    second = first.seen_as("192.0.2.2", "A")
    assert second == Client(address="192.0.2.1", agent="A", last_address="192.0.2.2", last_agent="A")
    assert second.seen_as("192.0.2.2", "A") is second
    assert second.seen_as("192.0.2.1", "A") is second
    assert second.seen_as("192.0.2.2", "B").last_agent == "B"


def test_overdue_tells_which_timeout() -> None:
    """A session is over in the second of its expiry, by the absolute timeout if that is what it reached."""
    now = clock.now()
    idle, capped, forever = (_record(JSON, expires=now, until=until) for until in (now + 1, now, None))
    assert (idle.is_live(now - 1), idle.is_live(now)) == (True, False)
    assert [record.overdue(now - 1) for record in (idle, capped, forever)] == [None] * 3
    assert idle.overdue(now) is forever.overdue(now) is EndReason.EXPIRED_IDLE
    assert capped.overdue(now) is EndReason.EXPIRED_ABSOLUTE


# Formats


def test_formats_tell_their_names() -> None:
    """A format says which one it is."""
    assert [repr(format) for format in FORMATS.values()] == ["<Format json>", "<Format msgpack>"]
    assert FORMATS == {"json": JSON, "msgpack": MSGPACK}


@both
def test_map_is_split(format: Format) -> None:
    """The values of a map are taken out as they are encoded, and the map tells its format."""
    values = {"a": 1, "b": [1, {"c": None}], "ß": "ü"}
    parts = format.split(format.dumps(values))
    assert {name: format.loads(value) for name, value in parts.items()} == values
    assert format_of(msgspec.Raw(format.dumps({}))) is format_of(format.dumps(values)) is format


@both
@pytest.mark.parametrize("value", [7, "x", None, [1], 1.5])
def test_what_is_no_map_is_not_split(format: Format, value: object) -> None:
    """Only a map has fields."""
    with pytest.raises(UNREADABLE):
        format.split(format.dumps(value))


@both
def test_text_of_every_kind_is_text(format: Format) -> None:
    """Lazy and marked-safe strings are stored as the text they show."""
    values = [lazystr("later"), mark_safe("<b>"), type("Name", (str,), {})("Ada")]
    stored = format.loads(format.dumps(values))
    assert stored == ["later", "<b>", "Ada"]
    assert not any(isinstance(text, SafeString) for text in stored)


@both
def test_other_objects_are_refused(format: Format) -> None:
    """What has no meaning on the wire is named, and a model instance with what to do in its place."""
    with pytest.raises(UNWRITABLE, match="is SimpleNamespace, which a session cannot hold"):
        format.dumps({"x": SimpleNamespace()})
    with pytest.raises(UNWRITABLE, match=r"is a model instance \(auth.User\); store its primary key"):
        format.dumps(User(pk=7))


@both
def test_decoder_knows_types(format: Format) -> None:
    """A decoder for a type gives that type."""
    assert format.decoder(set[int]).decode(format.dumps([1, 2, 2])) == {1, 2}
