"""Declared types, as people write them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Generic, Literal, Optional, TypeVar, Union
from uuid import UUID

import msgspec
import pytest

from tests.sessions import CartLine, ShopSession
from typed_sessions import schema
from typed_sessions.admin.hints import LONGEST, written

T = TypeVar("T")


class Colour(Enum):
    RED = "red"


@dataclass
class Page(Generic[T]):
    items: T | None = None


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (int, "int"),
        (None, "None"),
        (type(None), "None"),
        (Any, "Any"),
        (datetime, "datetime"),
        (UUID, "UUID"),
        (Colour, "Colour"),
        (CartLine, "CartLine"),
        (list, "list"),
        (list[CartLine], "list[CartLine]"),
        (dict[str, list[Decimal]], "dict[str, list[Decimal]]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (frozenset[Colour], "frozenset[Colour]"),
        (str | None, "str | None"),
        (Optional[str], "str | None"),  # noqa: UP045  # as older projects write it
        (Union[int, str, None], "int | str | None"),  # noqa: UP007  # likewise
        (Literal["a", 1, None], "Literal['a', 1, None]"),
        (Annotated[int, msgspec.Meta(ge=0)], "int"),
        (list[Annotated[str, "x"]], "list[str]"),
        (Page[int], "Page[int]"),
        (Page, "Page"),
        (T, "T"),
    ],
)
def test_a_type_is_written_as_in_the_class(hint: object, text: str) -> None:
    """Without the modules that its parts come from, and without constraints."""
    assert written(hint) == text


def test_a_class_inside_of_a_function_has_its_own_name() -> None:
    """Where it was made is nothing to know a type by."""

    class Local:
        pass

    assert written(list[Local]) == "list[Local]"


def test_a_long_type_is_cut() -> None:
    """A page is no place for a hundred literals."""
    text = written(Literal[tuple(map(str, range(200)))])
    assert (len(text), text[-1]) == (LONGEST + 1, "…")


def test_every_field_of_a_session_has_one() -> None:
    """By the annotations, which are texts here."""
    found = {name: written(hint) for name, hint in schema.hints(ShopSession).items()}
    assert found["cart"] == "list[CartLine]"
    assert found["visited"] == "set[str]"
    assert found["user_name"] == "str | None"
