"""What cannot be stored is refused at start-up, in words that name class and field."""

from __future__ import annotations

import collections
import dataclasses
import decimal
import enum
import pathlib
import re
from collections.abc import Callable, Iterable
from dataclasses import InitVar, dataclass, field
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from uuid import UUID

import msgspec
import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured

from tests.core import classes
from tests.core.classes import Color, Item, Node, Page, Point
from tests.core.records import class_with
from tests.sessions import ShopSession
from typed_sessions import AuthUserSession, TypedSession, schema, session_field
from typed_sessions.codec import codec_for
from typed_sessions.formats import JSON
from typed_sessions.schema import Problem

if TYPE_CHECKING:
    from somewhere import Missing  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports]

T = TypeVar("T")


def only(session_class: Any) -> Problem:
    """The one problem of a class."""
    (problem,) = schema.problems(session_class)
    return problem


class Undecorated:
    name: str = ""


class Empty(enum.Enum):
    pass


class PydanticLike:
    """What pydantic's dataclasses look like from outside."""

    __pydantic_validator__ = None
    amount: int = 0


@dataclass
class WithModel:
    owners: list[User] = field(default_factory=list)


@dataclass
class WithInitVar:
    amount: int = 0
    seed: InitVar[int] = 0


REFUSED: dict[str, tuple[Any, str, str]] = {
    # the hint, the place after "Sample.value", what is said
    "model": (User, "", r"is a model \(django.contrib.auth.models.User\); store its primary key"),
    "models": (list[User], "[]", "is a model"),
    "optional model": (User | None, "", "is a model"),
    "dict of models": (dict[str, list[User]], "[][]", "is a model"),
    "model in a dataclass": (WithModel, ".owners[]", "is a model"),
    "model in dataclasses": (dict[int, Page[WithModel]], "[].items[].owners[]", "is a model"),
    "model in the second of two generics": (tuple[Page[int], Page[User]], "[].items[]", "is a model"),
    "object": (object, "", "is builtins.object"),
    "complex": (complex, "", "is builtins.complex, which has no single meaning"),
    "callable": (Callable[[], int], "", "is collections.abc.Callable"),
    "type": (type[int], "", "is builtins.type"),
    "deque": (collections.deque[int], "", "is collections.deque"),
    "defaultdict": (collections.defaultdict[str, int], "", "is collections.defaultdict"),
    "Counter": (collections.Counter[str], "", "is collections.Counter"),
    "OrderedDict": (collections.OrderedDict[str, int], "", "is collections.OrderedDict"),
    "Iterable": (Iterable[int], "", "is collections.abc.Iterable"),
    "exception": (Exception, "", "is builtins.Exception"),
    "pattern": (re.Pattern[str], "", "is re.Pattern"),
    "path": (pathlib.Path, "", "is pathlib"),
    "tzinfo": (tzinfo, "", "is datetime.tzinfo"),
    "forgotten @dataclass": (Undecorated, "", "is tests.core.test_schema.Undecorated"),
    "forgotten @dataclass in a list": (list[Undecorated], "[]", "is tests.core.test_schema.Undecorated"),
    "pydantic": (dataclass(PydanticLike), "", ".*a pydantic dataclass, whose validation would be skipped"),
    "pydantic in a dict": (dict[str, dataclass(PydanticLike)], "[]", ".*a pydantic dataclass"),  # type: ignore[misc]
    "InitVar in a dataclass": (WithInitVar, "", "cannot be stored: .*InitVar"),
    "two dataclasses": (Item | Node, "", "cannot be stored: .*more than one dataclass"),
    "set or list": (set[int] | list[int], "", "cannot be stored: .*more than one array-like"),
    "datetime or str": (datetime | str, "", "cannot be stored: .*more than one str-like"),
    "UUID or Decimal": (UUID | decimal.Decimal, "", "cannot be stored: .*more than one str-like"),
    "enum or str": (Color | str, "", "cannot be stored: .*more than one str-like"),
    "union in a list": (list[Color | str | None], "", "cannot be stored: .*more than one str-like"),
    "empty enum": (Empty, "", "cannot be stored: .*at least one item"),
    "keys of tuples": (dict[tuple[int, int], str], "", "is a dict whose keys JSON cannot write"),
    "keys of dataclasses": (dict[classes.Frozen, str], "", "is a dict whose keys JSON cannot write"),
    "keys of truth": (dict[str, dict[bool, str]], "[]", "is a dict whose keys JSON cannot write"),
    "keys of several kinds": (dict[int | tuple[int, ...], str], "", "is a dict whose keys JSON cannot write"),
    "keys of two kinds": (dict[int | str, str], "", "is a dict whose keys JSON cannot write"),
    "keys of bytes": (dict[bytes, str], "", "is a dict whose keys JSON cannot write"),
}


@pytest.mark.parametrize(("hint", "place", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_a_type_without_one_meaning_is_refused(hint: Any, place: str, said: str) -> None:
    """The problem names class, field and the place in it, and a codec of the class is never made."""
    session_class = class_with(hint)
    problem = only(session_class)
    assert problem.where == f"Sample.value{place}"
    assert re.match(said, problem.what), problem.what
    assert problem.serious
    with pytest.raises(ImproperlyConfigured, match=re.escape(f"{problem.where} {problem.what}")):
        codec_for(session_class, JSON)


@pytest.mark.parametrize(
    ("hint", "place"),
    [(Any, ""), (list[Any], "[]"), (list, "[]"), (dict[str, Any], "[]"), (dict[int, list[Any]] | None, "[][]")],
    ids=str,
)
def test_any_is_allowed_with_a_warning(hint: Any, place: str) -> None:
    """What is in an `Any` loses its type, which is worth a warning and no more."""
    problem = only(class_with(hint))
    assert problem.where == f"Sample.value{place}"
    assert problem.what.startswith("is Any, so that dates, decimals, sets and dataclasses in it come back as plain")
    assert not problem.serious
    assert codec_for(class_with(hint), JSON).format is JSON


def test_good_classes_have_no_problems() -> None:
    """Neither the bases nor the tests' own session class are complained of."""
    for session_class in (
        TypedSession,
        AuthUserSession,
        ShopSession,
        classes.PlainSession,
        classes.CheckingSession,
        NameThatFits,
    ):
        assert schema.problems(session_class) == []


def test_every_problem_of_a_class_is_told() -> None:
    """The check tells of all fields at once, and the codec's error names all of them."""
    bad = dataclasses.make_dataclass(
        "Bad",
        [("a", complex, None), ("b", int, 0), ("c", list[User], field(default_factory=list))],
        bases=(TypedSession,),
    )
    assert [problem.where for problem in schema.problems(bad)] == ["Bad.a", "Bad.c[]"]
    with pytest.raises(ImproperlyConfigured, match=r"Bad\.a is .*; Bad\.c\[\] is a model"):
        codec_for(bad, JSON)


@dataclass
class NoSession:
    """A dataclass that forgot its base."""

    count: int = 0


@pytest.mark.parametrize("given", [NoSession, dict, int, "tests.sessions.ShopSession", None, ShopSession()], ids=repr)
def test_only_subclasses_are_session_classes(given: object) -> None:
    """Anything but a subclass of the two bases is refused as such."""
    problem = only(given)
    assert problem.what == "is not a subclass of typed_sessions.TypedSession or AuthUserSession"
    assert problem.serious


class ForgottenDecorator(AuthUserSession):
    count: int = 0


@dataclass
class UnderForgottenDecorator(ForgottenDecorator):
    name: str = ""


class Methods:
    limit: ClassVar[int] = 5

    def total(self) -> int:
        return self.limit


class Fields:
    label: str = "not a field"


@dataclass
class WithMethods(Methods, AuthUserSession):
    count: int = 0


@dataclass
class WithFields(Fields, AuthUserSession):
    count: int = 0


def test_a_forgotten_decorator_is_noticed() -> None:
    """Without @dataclass its fields would be class attributes, which every visitor shares."""
    problem = only(ForgottenDecorator)
    assert problem.where == "ForgottenDecorator"
    assert problem.what.startswith("has no @dataclass decorator")


def test_a_forgotten_decorator_of_a_base_is_noticed() -> None:
    """A base without @dataclass loses its fields although the class itself is decorated."""
    problem = only(UnderForgottenDecorator)
    assert "ForgottenDecorator" in problem.where
    assert "has no @dataclass decorator" in problem.what


def test_a_mixin_needs_the_decorator_for_its_fields() -> None:
    """A mixin of methods and class variables is fine; one with what looks like fields would lose them."""
    assert schema.problems(WithMethods) == []
    assert only(WithFields).where == "Fields"


@dataclass
class OwnInit(AuthUserSession):
    count: int = 0

    def __init__(self, count: int = 0) -> None:
        super().__init__()
        self.count = count


@dataclass
class SessionWithInitVar(AuthUserSession):
    seed: InitVar[int] = 0


@dataclass
class MissingDefault(AuthUserSession):
    count: int = field(kw_only=True)


@dataclass
class NameNotFound(AuthUserSession):
    value: Missing | None = None


@dataclass
class AttributeNotFound(AuthUserSession):
    value: decimal.Missing | None = None  # type: ignore[name-defined]  # pyright: ignore[reportAttributeAccessIssue]


@dataclass
class BadMerge(AuthUserSession):
    count: int = session_field(default=0, merge="sum")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


@dataclass
class BadApi(AuthUserSession):
    count: int = session_field(default=0, api="readwrite")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


@dataclass
class ShownSecret(AuthUserSession):
    count: int = session_field(default=0, api="write", secret=True)


@dataclass
class UnknownConstant(AuthUserSession):
    constant: ClassVar[Missing] = 5


@dataclass
class LongName(AuthUserSession):
    schema_name: ClassVar[str] = "x" * 101


@dataclass
class NameThatFits(AuthUserSession):
    schema_name: ClassVar[str] = "x" * 100


SAID_OF_CLASS: dict[type[Any], tuple[str, str]] = {
    OwnInit: ("OwnInit", "has an __init__ of its own, which is not called"),
    SessionWithInitVar: ("SessionWithInitVar.seed", "is an InitVar, which is not stored"),
    MissingDefault: ("MissingDefault.count", "has no default, and a visitor without a session gets the defaults"),
    NameNotFound: (
        "NameNotFound",
        r"has an annotation that cannot be found at run time \(name 'Missing'.*TYPE_CHECKING",
    ),
    AttributeNotFound: (
        "AttributeNotFound",
        r"has an annotation that cannot be read \(AttributeError: module 'decimal'",
    ),
    LongName: ("LongName", "has a schema_name of more than 100 characters; shorten it"),
    UnknownConstant: ("UnknownConstant", "cannot be stored as it is written: name 'Missing' is not defined"),
    BadApi: ("BadApi.count", "has api='readwrite'; it is one of '', 'read', 'write'"),
    ShownSecret: (
        "ShownSecret.count",
        "is secret, and has api='write', which shows it to clients; leave one of them out",
    ),
    BadMerge: ("BadMerge.count", "has merge='sum'; it is one of 'last', 'add', .* or a function"),
}


@pytest.mark.parametrize("session_class", SAID_OF_CLASS, ids=lambda cls: cls.__name__)
def test_what_is_wrong_with_a_class_is_told(session_class: type[Any]) -> None:
    """What would not work of the class itself is refused, and said what to do instead."""
    where, said = SAID_OF_CLASS[session_class]
    problem = only(session_class)
    assert problem.where == where
    assert re.match(said, problem.what), problem.what
    assert problem.serious


RESERVED = sorted(name for name in dir(TypedSession) if not name.startswith("_"))


@pytest.mark.parametrize("name", [*RESERVED, "_facts"])
def test_names_of_the_framework_are_reserved(name: str) -> None:
    """A field cannot take the name of a fact or hook that every session has."""
    session_class = dataclasses.make_dataclass("Sample", [(name, int, 0)], bases=(AuthUserSession,))
    (problem,) = [problem for problem in schema.problems(session_class) if problem.where == f"Sample.{name}"]
    assert problem.what == "is a name that every session already has; call the field something else"


def test_the_reserved_names_are_the_contracts() -> None:
    """The facts of contract §3 and the hooks are among the reserved names."""
    facts = {
        "id", "urn", "mode", "status", "is_new", "is_authenticated", "created_at", "authenticated_at", "last_modified",
        "last_seen_at", "expires_at", "client_info", "time_to_live", "on_created", "on_registered", "validate",
        "on_authenticated", "on_logout", "upgrade", "of",
    }  # fmt: skip
    assert facts <= set(RESERVED)


def add_up(base: int, mine: int, theirs: int) -> int:
    return mine + theirs - base


@pytest.mark.parametrize("rule", ["last", "add", "max", "min", "union", "append", "refuse", add_up])
def test_good_merge_rules(rule: Any) -> None:
    """Each rule of the contract, and a function, may be declared."""
    declared: Any = session_field(default_factory=list, merge=rule)
    assert (
        schema.problems(dataclasses.make_dataclass("Good", [("v", list[int], declared)], bases=(TypedSession,))) == []
    )


@pytest.mark.parametrize("api", ["", "read", "write"])
def test_good_api_access(api: Any) -> None:
    """Each word for what clients may do with a field may be declared; a secret one is for none."""
    for name, declared in (
        ("plain", session_field(default=0, api=api)),
        ("secret", session_field(default=0, secret=True)),
    ):
        session_class = dataclasses.make_dataclass("Good", [(name, int, declared)], bases=(TypedSession,))
        assert schema.problems(session_class) == []


def test_class_variables_are_no_fields() -> None:
    """A ClassVar is neither stored nor complained of, even if nothing could store it."""
    session_class = dataclasses.make_dataclass("Good", [("limit", ClassVar[User], 5)], bases=(AuthUserSession,))
    assert schema.problems(session_class) == []
    assert "limit" not in schema.hints(session_class)


@pytest.mark.parametrize(
    ("hint", "held"),
    [
        (float, True),
        (list[dict[str, float | None]], True),
        (Page[float], True),
        (Point, True),
        (tuple[int, ...], False),
        (Node, False),
        (classes.Chain[int], False),
        (classes.Chain[float], True),
        (Any, False),
    ],
    ids=str,
)
def test_contains_looks_into_everything(hint: Any, held: bool) -> None:
    """Whether a type can hold a float is found however deep it is, and recursion ends."""
    assert schema.contains(hint, msgspec.inspect.FloatType) is held
