"""Django's untyped mapping to bytes and back, by ``SESSION_SERIALIZER``, so that it means what it means in Django."""

from __future__ import annotations

import json
import logging
from typing import Any, Protocol

from .exceptions import SessionFieldError
from .formats import JSON, UNREADABLE, UNWRITABLE, FieldMap, Format, format_of


class Serializer(Protocol):
    """What ``SESSION_SERIALIZER`` names. It must write JSON, because the bag is part of a JSON or msgpack record."""

    def dumps(self, obj: Any) -> bytes: ...
    def loads(self, data: bytes) -> Any: ...


Bag = dict[str, Any]

logger = logging.getLogger("typed_sessions")


def write(bag: Bag, serializer: Serializer, format: Format) -> bytes:
    """The bag as a map of ``format``. Raises ``SessionFieldError`` that names the key which cannot be stored."""
    if not bag:
        return format.dumps({})
    try:
        return _write(bag, serializer, format)
    except (*UNWRITABLE, *UNREADABLE) as error:
        for key, value in bag.items():
            try:
                _write({key: value}, serializer, format)
            except (*UNWRITABLE, *UNREADABLE) as own:
                raise SessionFieldError(f"session[{key!r}]", str(own)) from own
        raise SessionFieldError("session", str(error)) from error


def _write(bag: Bag, serializer: Serializer, format: Format) -> bytes:
    text = serializer.dumps(bag)
    # Split, to be sure that it is JSON which a record can hold: json.dumps writes NaN, and no decoder reads it.
    JSON.split(text)
    return text if format is JSON else format.dumps(JSON.loads(text))


def writable(bag: Bag, serializer: Serializer, format: Format) -> Bag:
    """What of a bag ``format`` can hold, which may be less than the format that it was read from."""
    kept = {}
    for key, value in bag.items():
        try:
            _write({key: value}, serializer, format)
        except (*UNWRITABLE, *UNREADABLE) as error:
            logger.warning("session[%r] does not fit into %s and is left out: %s", key, format.name, error)
            continue
        kept[key] = value
    return kept


def read(raw: bytes, serializer: Serializer) -> Bag:
    """The bag that ``raw`` holds. Raises ``SessionFieldError`` if that is none."""
    format = format_of(raw)
    try:
        bag = serializer.loads(raw if format is JSON else json.dumps(format.loads(raw)).encode())
    except (*UNWRITABLE, *UNREADABLE) as error:
        raise SessionFieldError("session", str(error)) from error
    if not isinstance(bag, dict):
        raise SessionFieldError("session", f"is {type(bag).__name__}, not a mapping")
    return bag


def merged(base: FieldMap, mine: FieldMap, theirs: FieldMap) -> FieldMap:
    """Key by key: what this request changed or removed, over what the other one stored."""
    result = dict(theirs)
    for key in base.keys() | mine.keys():
        if mine.get(key) != base.get(key):
            if key in mine:
                result[key] = mine[key]
            else:
                result.pop(key, None)
    return result
