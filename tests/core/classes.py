"""Dataclasses and types that sessions are made of, one for each way to write them."""

from __future__ import annotations

import enum
from dataclasses import KW_ONLY, dataclass, field
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Generic, NamedTuple, TypedDict, TypeVar

from django.db import models
from msgspec import Meta

from typed_sessions import AuthUserSession, TypedSession, session_field

T = TypeVar("T")


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Rights(enum.IntFlag):
    READ = 1
    WRITE = 2
    ADMIN = 4


class Payment(models.TextChoices):
    CARD = "card", "By card"
    CASH = "cash", "In cash"


class Priority(models.IntegerChoices):
    NORMAL = 0, "Normal"
    URGENT = 1, "Urgent"


class Point(NamedTuple):
    x: int
    y: float = 0.0


class Address(TypedDict):
    street: str
    number: int


class PartialAddress(TypedDict, total=False):
    street: str


@dataclass
class Item:
    sku: str = ""
    quantity: int = 1
    price: Decimal = Decimal(0)
    tags: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class SpecialItem(Item):
    """What a field of type Item must not lose silently."""

    reason: str = "special"


@dataclass
class Page(Generic[T]):
    items: list[T] = field(default_factory=list)
    total: int = 0


@dataclass
class Chain(Generic[T]):
    """Generic and recursive."""

    head: T | None = None
    tail: Chain[T] | None = None


@dataclass
class Node:
    """Recursive."""

    label: str = ""
    children: list[Node] = field(default_factory=list)


@dataclass(frozen=True)
class Frozen:
    name: str
    size: int = 0


@dataclass(slots=True)
class Slotted:
    name: str = "slotted"
    sizes: list[int] = field(default_factory=list)


@dataclass(kw_only=True)
class KeywordOnly:
    name: str
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Strict:
    name: str
    size: int = 0


@dataclass
class Derived:
    """Has a field that is not an argument, and one that is computed."""

    amount: int = 1
    note: str = field(default="none", init=False)
    history: list[int] = field(default_factory=list, init=False)
    doubled: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.doubled = self.amount * 2


@dataclass
class Checked:
    """Refuses what is below nothing, as a ValueError, and what is above a hundred, as any other error."""

    amount: int = 0

    def __post_init__(self) -> None:
        if self.amount < 0:
            raise ValueError("amount must not be negative")
        if self.amount > 100:
            raise LookupError("amount must not be above 100")


@dataclass
class Limited:
    amount: Annotated[int, Meta(ge=0, le=10)] = 0
    code: Annotated[str, Meta(min_length=2, pattern="^[a-z]+$")] = "ab"


@dataclass
class Private:
    _hidden: int = 0
    limit: ClassVar[int] = 5


@dataclass
class PlainSession(TypedSession):
    """Without user fields."""

    count: int = 0
    items: list[Item] = field(default_factory=list)


@dataclass(slots=True)
class SlottedSession(AuthUserSession):
    """Its own fields in slots, inherited ones in a dict."""

    count: int = 0
    name: str = "nobody"
    items: list[Item] = field(default_factory=list)


@dataclass(slots=True)
class AllSlottedSession(TypedSession):
    """Without a dict."""

    count: int = 0
    name: str = "nobody"
    items: list[Item] = field(default_factory=list)


@dataclass(kw_only=True)
class KeywordOnlySession(AuthUserSession):
    count: int = 0
    items: list[Item] = field(default_factory=list)


@dataclass
class HalfKeywordOnlySession(AuthUserSession):
    count: int = 0
    _: KW_ONLY
    items: list[Item] = field(default_factory=list)


class Mixin:
    """Not a dataclass and without fields."""

    def total(self) -> int:
        return sum(item.quantity for item in getattr(self, "items", []))


@dataclass
class InheritedSession(Mixin, PlainSession):
    """Inherits fields, gives one another default, and has one more."""

    count: int = 7
    name: str = "inherited"


@dataclass
class PartlyInitSession(AuthUserSession):
    """Fields that are not arguments."""

    count: int = field(default=3, init=False)
    items: list[Item] = session_field(default_factory=list, init=False)


@dataclass(eq=False)
class IdentitySession(AuthUserSession):
    """Compared by identity."""

    count: int = 0
    items: list[Item] = field(default_factory=list)


@dataclass
class ComputingSession(AuthUserSession):
    """Computes a field after it was made."""

    count: int = 0
    parity: str = ""

    def __post_init__(self) -> None:
        self.parity = "odd" if self.count % 2 else "even"


@dataclass
class CheckingSession(AuthUserSession):
    """Refuses a combination: as a ValueError, or with the class of error that a test chooses."""

    count: int = 0
    items: list[str] = field(default_factory=list)
    error: ClassVar[type[Exception]] = ValueError

    def __post_init__(self) -> None:
        if self.count < 0:
            raise self.error("count must not be negative")


@dataclass
class LooseSession(AuthUserSession):
    """Takes anything, with a warning."""

    anything: Any = None
