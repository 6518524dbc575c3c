"""Records without a store: what one request saved is what the next one opens."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from django.contrib.sessions.serializers import JSONSerializer

from typed_sessions import AuthUserSession, SessionMode, TypedSession
from typed_sessions.bag import Bag, Serializer
from typed_sessions.codec import codec_for
from typed_sessions.formats import JSON, Format, format_of
from typed_sessions.stores.record import FORMAT, Record
from typed_sessions.working_copy import Content, WorkingCopy

S = TypeVar("S", bound=TypedSession)

ID = "0123456789abcdef0123456789abcdef01234567"
NOW = 1_800_000_000


def record_of(
    data: Mapping[str, Any] | bytes = b"{}",
    *,
    type: str = "ShopSession",
    schema: int = 1,
    bag: Mapping[str, Any] | bytes | None = None,
    format: Format = JSON,
) -> Record:
    """A stored session that holds `data`, as bytes or as plain values in `format`."""
    return Record(
        format=FORMAT,
        seen=NOW,
        expires=NOW + 60,
        revision=1,
        nonce="00000001",
        id=ID,
        mode=SessionMode.TEMP,
        type=type,
        schema=schema,
        created=NOW,
        modified=NOW,
        data=msgspec.Raw(data if isinstance(data, bytes) else format.dumps(data)),
        bag=msgspec.Raw(bag if isinstance(bag, bytes) else _bag(bag or {}, format)),
    )


def _bag(bag: Mapping[str, Any], format: Format) -> bytes:
    return JSONSerializer().dumps(bag) if format is JSON else format.dumps(bag)


def opened(
    session_class: type[S], record: Record | None = None, *, format: Format = JSON, serializer: Serializer | None = None
) -> WorkingCopy[S]:
    """What a request of this session class makes of `record`, or of no record."""
    return WorkingCopy(codec_for(session_class, format), serializer or JSONSerializer(), record)


def with_content(content: Content, record: Record | None = None) -> Record:
    """The record after a save of `content`."""
    before = record or record_of()
    return msgspec.structs.replace(
        before,
        revision=before.revision + 1,
        type=content.type,
        schema=content.schema,
        data=msgspec.Raw(bytes(content.data)),
        bag=msgspec.Raw(bytes(content.bag)),
    )


def saved(copy: WorkingCopy[Any], bag: Bag | None = None) -> Record:
    """The record after this request saved it: changed, or as it was if nothing differs."""
    content = copy.content(bag)
    if content is None:
        assert copy.record is not None
        return copy.record
    record = with_content(content, copy.record)
    copy.rebase(record)
    return record


def changed(record: Record | None, session_class: type[TypedSession], format: Format = JSON, **values: Any) -> Record:
    """`record` after a request of this session class that sets these fields."""
    copy = opened(session_class, record, format=format)
    for name, value in values.items():
        setattr(copy.session, name, value)
    return saved(copy)


def plain(record: Record) -> dict[str, Any]:
    """The stored fields in plain values, as an upgrade or `redis-cli` sees them."""
    fields: dict[str, Any] = format_of(record.data).loads(bytes(record.data))
    return fields


def values_of(session: TypedSession) -> dict[str, Any]:
    """The fields of `session` by name, not copied."""
    return {declared.name: getattr(session, declared.name) for declared in dataclasses.fields(session)}


def class_with(hint: Any, default: Any = None, base: type[TypedSession] = AuthUserSession) -> type[Any]:
    """A session class whose one field of its own, `value`, is a `hint`."""
    declared = dataclasses.field(default_factory=lambda: default)
    return dataclasses.make_dataclass("Sample", [("value", hint, declared)], bases=(base,))
