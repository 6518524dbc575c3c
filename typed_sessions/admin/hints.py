"""Declared types as people write them: ``list[CartItem]``, ``str | None``."""

from __future__ import annotations

import types
import typing
from typing import Any, Final

LONGEST: Final = 200


def written(hint: Any) -> str:
    """A type without the modules that its parts come from, and without what constrains them."""
    text = _written(hint)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _written(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _written(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(_written, arguments))
    if origin is typing.Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    if origin is not None and arguments:
        return f"{_name(origin)}[{', '.join(map(_written, arguments))}]"
    return _name(hint)


def _name(hint: Any) -> str:
    if hint is type(None):
        return "None"
    if hint is Ellipsis:
        return "..."
    name: str = getattr(hint, "__qualname__", None) or getattr(hint, "__name__", None) or str(hint)
    return name.rpartition("<locals>.")[2].removeprefix("typing.")
