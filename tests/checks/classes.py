"""Session classes that cannot be stored as they are, one fault each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from django.contrib.auth.models import User

from typed_sessions import AuthUserSession, TypedSession, session_field

if TYPE_CHECKING:
    from decimal import Decimal

T = TypeVar("T")


@dataclass
class WithModel(AuthUserSession):
    owner: User | None = None


@dataclass
class WithAny(AuthUserSession):
    anything: Any = None


@dataclass
class WithBoth(AuthUserSession):
    owner: User | None = None
    anything: Any = None


@dataclass
class Line:
    owner: User | None = None


@dataclass
class WithModelDeepInside(AuthUserSession):
    lines: dict[str, list[Line]] = field(default_factory=dict)


@dataclass
class WithoutDefault(AuthUserSession):
    currency: str = field(kw_only=True)


class Undecorated(AuthUserSession):
    currency: str = "EUR"


class UndecoratedParent(AuthUserSession):
    colour: str = "red"


@dataclass
class OfUndecoratedParent(UndecoratedParent):
    currency: str = "EUR"


class UndecoratedMixin:
    colour: str = "red"


@dataclass
class OfUndecoratedMixin(AuthUserSession, UndecoratedMixin):
    currency: str = "EUR"


@dataclass
class WithOwnInit(AuthUserSession):
    currency: str = "EUR"

    def __init__(self) -> None:
        super().__init__()


@dataclass
class WithInitVar(AuthUserSession):
    start: dataclasses.InitVar[int] = 0


@dataclass
class WithTakenName(AuthUserSession):
    mode: str = "dark"  # type: ignore[assignment]  # what the check is for


@dataclass
class WithUnknownMerge(AuthUserSession):
    page_views: int = session_field(default=0, merge="sum")  # type: ignore[call-overload]  # what the check is for


@dataclass
class WithTypeOfTypeChecking(AuthUserSession):
    total: Decimal | None = None


@dataclass
class WithAmbiguousUnion(AuthUserSession):
    tags: set[str] | list[str] | None = None


@dataclass
class WithSyntaxError(AuthUserSession):
    count: "int |" = 0  # type: ignore[valid-type]  # noqa: F722  # what the check is for


@dataclass
class WithFailingAnnotation(AuthUserSession):
    count: int | "str" = 0  # noqa: UP037  # pyright: ignore[reportGeneralTypeIssues]  # a TypeError when it is evaluated


@dataclass
class Tree(Generic[T]):
    below: Tree[list[T]] | None = None


@dataclass
class WithEndlessType(AuthUserSession):
    tree: Tree[int] | None = None


@dataclass
class Good(TypedSession):
    """Whatever a session class may have."""

    registry: ClassVar[dict[str, int]] = {}
    views: int = session_field(default=0, merge="add")
    longest: str = session_field(default="", merge=lambda base, mine, theirs: max(mine, theirs, key=len))
    lines: list[frozenset[int]] = field(default_factory=list)
    foreign: int = field(default=0, metadata={"typed_sessions": "of another library"})
    computed: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.computed = "yes"


@dataclass
class GoodChild(Good):
    more: int = 0


class Hooks(AuthUserSession):
    """Methods alone, which need no decorator."""

    limit: ClassVar[int] = 5

    def has_cart(self) -> bool:
        return False


@dataclass
class GoodOfHooks(Hooks):
    more: int = 0


class HooksMixin:
    limit: ClassVar[int] = 5

    def has_cart(self) -> bool:
        return False


@dataclass
class GoodOfMixin(AuthUserSession, HooksMixin):
    more: int = 0


@dataclass(slots=True)
class GoodWithSlots(AuthUserSession):
    views: int = 0


@dataclass
class UnrelatedDataclass:
    currency: str = "EUR"
