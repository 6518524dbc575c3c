"""The two ways to write a map of encoded values: JSON and msgpack."""

from __future__ import annotations

from typing import Any

import msgspec
from django.utils.functional import Promise

FieldMap = dict[str, msgspec.Raw]
NO_ENCODING = msgspec.Raw(b"")
"""Stands in a map for a value that cannot be written."""
"""Encoded values by name. They are slices of what they were split from, and equal if their bytes are."""

# msgspec's own errors, and what hostile input makes it run into.
UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, OverflowError)
UNWRITABLE = (TypeError, OverflowError, UnicodeError, RecursionError, ValueError)


def text_of(value: object) -> object:
    """What msgspec cannot encode by itself: lazy and marked-safe strings are text, everything else is refused."""
    if isinstance(value, Promise):
        return str(value)
    if isinstance(value, str):
        return str.__str__(value)  # SafeString's own __str__ gives a SafeString again
    model: Any = getattr(value, "_meta", None)
    if model is not None and hasattr(value, "pk"):
        raise TypeError(f"is a model instance ({model.label}); store its primary key")
    raise TypeError(f"is {type(value).__name__}, which a session cannot hold")


class Format:
    """One of the two ways to write a record: JSON, which people can read, or msgpack, which is smaller."""

    def __init__(self, name: str, module: Any) -> None:
        self.name = name
        self._module = module
        self._encoder = module.Encoder(enc_hook=text_of)
        self._splitter = module.Decoder(dict[str, msgspec.Raw])
        self._plain = module.Decoder()

    def __repr__(self) -> str:
        return f"<Format {self.name}>"

    def dumps(self, value: object) -> bytes:
        encoded: bytes = self._encoder.encode(value)
        return encoded

    def loads(self, raw: bytes | msgspec.Raw) -> Any:
        """Plain values: what JSON knows."""
        return self._plain.decode(raw)

    def decoder(self, hint: Any) -> Any:
        return self._module.Decoder(hint)

    def split(self, raw: bytes | msgspec.Raw) -> FieldMap:
        parts: FieldMap = self._splitter.decode(raw)
        return parts


JSON = Format("json", msgspec.json)
MSGPACK = Format("msgpack", msgspec.msgpack)
FORMATS = {"json": JSON, "msgpack": MSGPACK}


def format_of(raw: bytes | msgspec.Raw) -> Format:
    """The format of an encoded map: a JSON object begins with a brace, and no msgpack map does."""
    return JSON if memoryview(raw)[:1].tobytes() == b"{" else MSGPACK
