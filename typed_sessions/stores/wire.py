"""Records to bytes and back, for stores that keep a record as one value.

In both formats the clocks stand in the first hundred bytes under their names and with a fixed width (ten digits in JSON
until the year 2286, four bytes in msgpack until 2106), so that a script can move them without rewriting the record.
"""

from __future__ import annotations

import msgspec

from ..conf import settings
from ..exceptions import UnreadableRecord
from ..formats import FORMATS, JSON, MSGPACK, UNREADABLE, Format, format_of
from .record import FORMAT, Claimed, Record, Tombstone

_RECORDS = {JSON: JSON.decoder(Record), MSGPACK: MSGPACK.decoder(Record)}
_TOMBSTONES = {JSON: JSON.decoder(Tombstone), MSGPACK: MSGPACK.decoder(Tombstone)}
_CLAIMED = {JSON: JSON.decoder(Claimed), MSGPACK: MSGPACK.decoder(Claimed)}


def chosen_format() -> Format:
    """The format of ``TYPED_SESSIONS["CODEC"]``."""
    return FORMATS[settings().codec]


def encode(part: Record | Tombstone) -> bytes:
    """A record in the format of its own fields, so that an envelope never holds what it cannot delimit."""
    return (format_of(part.data) if isinstance(part, Record) else JSON).dumps(part)


def encode_claimed(tombstone: Tombstone, holder: str, until: int, last: bytes | None) -> bytes:
    """A tombstone that keeps ``last``, which is an encoded record, or nothing."""
    format = format_of(last) if last else JSON
    kept = msgspec.Raw(last or JSON.dumps(None))
    claimed = Claimed(
        format=FORMAT, ended=tombstone.ended, reason=tombstone.reason, holder=holder, until=until, last=kept
    )
    return format.dumps(claimed)


def decode_claimed(raw: bytes) -> Claimed | None:
    """What ``encode_claimed`` has made; nothing for whatever else a store may hold."""
    try:
        claimed: Claimed = _CLAIMED[format_of(raw)].decode(raw)
    except UNREADABLE:
        return None
    return claimed


def decode(session_id: str, raw: object) -> Record | Tombstone:
    """What ``raw`` says of the session ``session_id``.

    Raises ``UnreadableRecord`` for anything that is not a record of that very session: damaged, foreign, from a later
    envelope, or another session's under this key (REQ-S06).
    """
    if not isinstance(raw, bytes):
        raise UnreadableRecord(f"Session {session_id}: the stored value is {type(raw).__name__}, not a record")
    format = format_of(raw)
    try:
        if b"seen" not in raw[:24]:
            tombstone: Tombstone = _TOMBSTONES[format].decode(raw)
            return tombstone
        record: Record = _RECORDS[format].decode(raw)
    except UNREADABLE as error:
        raise UnreadableRecord(f"Session {session_id}: the stored value is not a record ({error})") from error
    if record.id != session_id:
        raise UnreadableRecord(f"Session {session_id}: the stored record belongs to session {record.id[:40]!r}")
    if record.format != FORMAT:
        raise UnreadableRecord(f"Session {session_id}: envelope {record.format} is not one that this release knows")
    return record


def stamp(record: Record) -> bytes:
    """The bytes by which a script recognises this very save of the record."""
    if format_of(record.data) is JSON:
        return b'revision":%d,"nonce":"%s"' % (record.revision, record.nonce.encode())
    return b"revision" + MSGPACK.dumps(record.revision) + b"\xa5nonce" + MSGPACK.dumps(record.nonce)
