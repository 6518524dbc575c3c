"""A session class that opens fields of every kind to clients."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import msgspec
from django.db.models import IntegerChoices, TextChoices

from typed_sessions import AuthUserSession, TypedSession, session_field

T = TypeVar("T")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(TextChoices):
    SMALL = "s", "Small"
    LARGE = "l", "Large"


class Floor(IntegerChoices):
    GROUND = 0
    FIRST = 1


@dataclass
class Line:
    sku: str
    quantity: int = 1
    price: Decimal = Decimal("0.00")
    parts: list[Line] = field(default_factory=list)


@dataclass(frozen=True)
class Box(Generic[T]):
    item: T


@dataclass
class ApiSession(AuthUserSession):
    """A shop's: what clients may see, what they may change, and what is none of their business."""

    currency: str = session_field(default="EUR", api="write")
    cart: list[Line] = session_field(default_factory=list, api="write")
    note: str | None = session_field(default=None, api="write")
    gift: bool = session_field(default=False, api="write")
    page_views: int = session_field(default=0, api="read")
    pin: str = session_field(default="", secret=True)
    internal: str = "for us"
    coupon: str = session_field(default="", merge="refuse", api="write")

    def __post_init__(self) -> None:
        if self.gift and not self.note:
            raise ValueError("A gift needs a note")


@dataclass
class EveryType(TypedSession):
    """Every type that a session can hold, open for change."""

    text: str = session_field(default="", api="write")
    number: int = session_field(default=0, api="write")
    ratio: float = session_field(default=0.0, api="write")
    flag: bool = session_field(default=False, api="write")
    raw: bytes = session_field(default=b"", api="write")
    anything: Any = session_field(default=None, api="write")
    amount: Decimal = session_field(default=Decimal(0), api="write")
    moment: datetime = session_field(default=datetime(2026, 1, 1, tzinfo=timezone.utc), api="write")
    day: date = session_field(default=date(2026, 1, 1), api="write")
    hour: time = session_field(default=time(12), api="write")
    span: timedelta = session_field(default=timedelta(0), api="write")
    key: UUID = session_field(default=UUID(int=0), api="write")
    colour: Colour = session_field(default=Colour.RED, api="write")
    size: Size = session_field(default=Size.SMALL, api="write")
    floor: Floor = session_field(default=Floor.GROUND, api="write")
    visited: set[int] = session_field(default_factory=set, api="write")
    tags: frozenset[str] = session_field(default_factory=frozenset, api="write")
    pair: tuple[int, str] = session_field(default=(0, ""), api="write")
    row: tuple[int, ...] = session_field(default=(), api="write")
    plain: list = session_field(default_factory=list, api="write")  # type: ignore[type-arg]  # is what is tested
    days: dict[date, int] = session_field(default_factory=dict, api="write")
    choice: Literal["a", "b", 1, None] = session_field(default=None, api="write")
    either: int | str = session_field(default=0, api="write")
    maybe: Line | None = session_field(default=None, api="write")
    lines: list[Line] = session_field(default_factory=list, api="write")
    box: Box[int] = session_field(default=Box(0), api="write")
    share: Annotated[int, msgspec.Meta(gt=0, le=100, examples=[50])] = session_field(default=1, api="write")
    code: Annotated[str, msgspec.Meta(max_length=3)] = session_field(default="", api="write")
    lines_by_day: dict[date, list[Line]] = session_field(default_factory=dict, api="write")
