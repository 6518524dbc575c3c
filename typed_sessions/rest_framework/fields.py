"""A session's field in an API: by its own type, as the store reads and writes it in JSON.

So an API serves every type that a session can hold, constraints of ``msgspec.Meta`` included, and lets nothing in that
the store would not give back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
from rest_framework import serializers

from ..formats import JSON, UNREADABLE, UNWRITABLE

if TYPE_CHECKING:
    from typing_extensions import Self

MAX_DEPTH: Final = 50
"""Lists and objects within each other. What reads a value later may have less room to go down than what stored it."""


class ValueType:
    """The type of a field, and what reads its values."""

    def __init__(self, hint: Any, owner: str = "") -> None:
        self.hint = hint
        self.owner = owner
        """The session class that names the type; goes before the names of its parts in an OpenAPI schema."""

    def __deepcopy__(self, memo: object) -> Self:
        return self  # REST framework copies fields with all that they were made of, for each request

    @cached_property
    def _decoder(self) -> Any:
        return JSON.decoder(self.hint)

    @cached_property
    def allows_null(self) -> bool:
        return self._is_readable(b"null")

    def from_plain(self, value: object) -> Any:
        """The value that ``value``, as a parser left it, stands for. Raises one of the errors of ``formats``."""
        if _is_deeper(value, MAX_DEPTH):
            raise RecursionError
        return self._decoder.decode(JSON.dumps(value))

    def from_text(self, text: str) -> Any:
        """The value that somebody typed into a form: JSON, or for a type that is one word, the word."""
        try:
            return self.from_plain(JSON.loads(text.encode()))
        except (*UNREADABLE, *UNWRITABLE) as error:
            try:
                return msgspec.convert(text, self.hint, strict=False)
            except UNREADABLE:
                raise error from None

    def _is_readable(self, raw: bytes) -> bool:
        try:
            self._decoder.decode(raw)
        except UNREADABLE:
            return False
        return True


class SessionValueField(serializers.JSONField):
    """Shows a value as the JSON codec stores it, and takes what that codec reads."""

    default_error_messages: ClassVar[Any] = {"refused": "{problem}"}

    def __init__(self, *, type: ValueType, **options: Any) -> None:
        self.type = type
        options.setdefault("allow_null", type.allows_null)
        if not options.get("read_only"):
            options.setdefault("required", False)
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> Any:
        try:
            # How JSONField marks what came from a form.
            return self.type.from_text(data) if hasattr(data, "is_json_string") else self.type.from_plain(data)
        except (*UNREADABLE, *UNWRITABLE) as error:
            self.fail("refused", problem=_told(error))

    def to_representation(self, value: Any) -> Any:
        return JSON.loads(JSON.dumps(_with_defaults(value)))


def _with_defaults(value: Any) -> Any:
    """``value`` with every field of the dataclasses in it. One that was read back may hold a default by its class only,
    and msgspec writes what the object itself holds.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {declared.name: _with_defaults(getattr(value, declared.name)) for declared in fields(value)}
    if isinstance(value, Mapping):
        return {key: _with_defaults(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_with_defaults(item) for item in value]
    return value


def _is_deeper(value: object, depth: int) -> bool:
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else None
    return inner is not None and (depth == 0 or any(_is_deeper(item, depth - 1) for item in inner))


def _told(error: BaseException) -> str:
    """What is wrong, after where it is in the value if that has parts."""
    if isinstance(error, RecursionError):
        return "Is nested too deep."
    if isinstance(error, UnicodeError):
        return "Is no text that can be written."
    problem, _, where = str(error).replace("`", "").partition(" - at ")
    where = where.replace("$", "").removesuffix(" in ")
    return f"{where}: {problem}" if where else problem
