"""What is in a session, for people to see: in what JSON has, with everything hidden that is nobody's business."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

from django.contrib.auth import HASH_SESSION_KEY
from django.middleware.csrf import CSRF_SESSION_KEY

from .session import TypedSession, options_of


class Hidden(str):
    """Stands for a value that is there, and is not shown; a text that reads alike is none."""

    __slots__ = ()


HIDDEN: Final = Hidden("(hidden)")
DEEPEST: Final = 32
"""Levels that are shown of a value; what is deeper is ``TOO_DEEP``."""
TOO_DEEP: Final = "…"

_OF_DJANGO: Final = {HASH_SESSION_KEY, CSRF_SESSION_KEY, "_password_reset_token"}
_TELLING: Final = re.compile(
    r"(?i)token|secret|passw|_hash$|api_?key|signature|credential|verifier|nonce|challenge|socialaccount_state"
    r"|^code$|(?:access|auth\w*|confirm\w*|email|login|reset|sms|verification)_code$"
)
"""Of a key in the bag, which has no declaration that could say what is secret: names of what opens something."""


def fields_of(session: TypedSession) -> dict[str, Any]:
    """The fields by name; those that are ``secret``, or that ``repr`` leaves out, are ``HIDDEN``, however deep."""
    return {part.name: _field(session, part, 0) for part in dataclasses.fields(session)}


def bag_of(bag: Mapping[str, Any]) -> dict[str, Any]:
    """Django's mapping; what opens something is ``HIDDEN`` by its name."""
    return {_text(key): HIDDEN if is_telling(key) else _plain(value, 1, is_telling) for key, value in bag.items()}


def plain(value: Any) -> Any:
    """A field's value in what JSON has."""
    return _plain(value, 0)


def is_hidden(declared: dataclasses.Field[Any]) -> bool:
    return options_of(declared).secret or not declared.repr


def is_telling(key: object) -> bool:
    return str(key) in _OF_DJANGO or _TELLING.search(str(key)) is not None


def _field(owner: Any, part: dataclasses.Field[Any], depth: int) -> Any:
    return HIDDEN if is_hidden(part) else _plain(getattr(owner, part.name), depth + 1)


def _plain(value: Any, depth: int, hides: Callable[[object], bool] | None = None) -> Any:
    if isinstance(value, str) and not isinstance(value, Enum):
        return _text(value)
    if depth > DEEPEST:
        return TOO_DEEP
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {part.name: _field(value, part, depth) for part in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return _plain(value.value, depth)
    if isinstance(value, Mapping):
        return {
            _text(_plain(key, depth + 1)): HIDDEN if hides and hides(key) else _plain(part, depth + 1, hides)
            for key, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(part, depth + 1, hides) for part in value]
    if isinstance(value, set | frozenset):
        return sorted((_plain(part, depth + 1) for part in value), key=repr)
    return value if value is None or isinstance(value, bool | int | float) else _text(value)


def _text(value: object) -> str:
    """Without halves of characters, which JSON can hold, and no page or terminal can take."""
    return str(value).encode(errors="backslashreplace").decode()
