"""Which classes and types a session can be made of, and what to say about the others."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect as types

from .session import TypedSession, has_default, options_of

_KEYS = (
    types.AnyType,
    types.StrType,
    types.IntType,
    types.FloatType,
    types.EnumType,
    types.LiteralType,
    types.DateTimeType,
    types.DateType,
    types.TimeType,
    types.TimeDeltaType,
    types.UUIDType,
    types.DecimalType,
)
_LONGEST_NAME = 100  # the column of the database store
_API_ACCESS = ("", "read", "write")
_MERGE_RULES = ("last", "add", "max", "min", "union", "append", "refuse")


class Problem(NamedTuple):
    """Something about a session class that will not work, or (``serious=False``) that will surprise."""

    where: str
    """``Class.field``, or the class."""
    what: str
    serious: bool = True


def problems(session_class: object) -> list[Problem]:
    """Everything that keeps ``session_class`` from being stored and read back, with where and why."""
    if not (isinstance(session_class, type) and issubclass(session_class, TypedSession)):
        return [Problem(str(session_class), "is not a subclass of typed_sessions.TypedSession or AuthUserSession")]
    found = [*_of_class(session_class), *_of_fields(session_class)]
    if any(problem.serious for problem in found):
        return found
    try:
        msgspec.json.Decoder(session_class)
    except (
        Exception
    ) as error:  # msgspec evaluates every annotation, and Python 3.10 cannot evaluate "_: KW_ONLY" as text
        found.append(Problem(session_class.__name__, f"cannot be stored as it is written: {error}"))
    return found


def hints(session_class: type[TypedSession]) -> dict[str, Any]:
    """The type of every field. Raises ``NameError`` for an annotation that names what cannot be found at run time."""
    names = [declared.name for declared in dataclasses.fields(session_class)]
    found: dict[str, Any] = {}
    for ancestor in reversed(session_class.__mro__):
        annotations = inspect.get_annotations(ancestor)
        # Of the fields alone: Python 3.10 cannot evaluate everything else that a dataclass may have, such as KW_ONLY.
        own = {name: annotations[name] for name in names if name in annotations}
        holder = type(ancestor.__name__, (), {"__annotations__": own, "__module__": ancestor.__module__})
        found |= typing.get_type_hints(holder, localns=dict(vars(ancestor)), include_extras=True)
    return {name: found[name] for name in names}


def _of_class(cls: type[TypedSession]) -> Iterator[Problem]:
    for ancestor in cls.__mro__:
        if "__dataclass_fields__" not in vars(ancestor) and (ancestor is cls or _annotated(ancestor)):
            yield Problem(ancestor.__name__, "has no @dataclass decorator, so its fields would not be stored; add it")
    if len(cls.schema_name or cls.__name__) > _LONGEST_NAME:
        yield Problem(cls.__name__, f"has a schema_name of more than {_LONGEST_NAME} characters; shorten it")
    written = vars(cls).get("__init__")
    if inspect.isfunction(written) and written.__code__.co_filename != "<string>":  # where dataclass puts its own
        yield Problem(
            cls.__name__,
            "has an __init__ of its own, which is not called when a session is read; use defaults, or __post_init__",
        )
    for name, declared in cls.__dataclass_fields__.items():
        if declared._field_type is dataclasses._FIELD_INITVAR:  # type: ignore[attr-defined]  # the only way to tell
            yield Problem(f"{cls.__name__}.{name}", "is an InitVar, which is not stored; make it a field")


def _annotated(cls: type) -> bool:
    """Whether a class without decorator has what would be fields with it."""
    # inspect.get_annotations, as a class's own __dict__ no longer holds them from Python 3.14 on.
    return any("ClassVar" not in str(annotation) for annotation in inspect.get_annotations(cls).values())


def _of_fields(cls: type[TypedSession]) -> Iterator[Problem]:
    reserved = {name for name in dir(TypedSession) if not name.startswith("__")}
    try:
        of_type = hints(cls)
    except NameError as error:
        yield Problem(
            cls.__name__,
            f"has an annotation that cannot be found at run time ({error}); "
            "import it outside TYPE_CHECKING, at the top of its module",
        )
        return
    except Exception as error:  # an annotation is an expression, and raises what it likes
        yield Problem(cls.__name__, f"has an annotation that cannot be read ({type(error).__name__}: {error})")
        return
    for declared in dataclasses.fields(cls):
        where = f"{cls.__name__}.{declared.name}"
        if declared.name in reserved:
            yield Problem(where, "is a name that every session already has; call the field something else")
        if not has_default(declared):
            yield Problem(where, "has no default, and a visitor without a session gets the defaults; give it one")
        yield from _of_options(where, declared)
        yield from _of_type(where, of_type[declared.name])


def _of_options(where: str, declared: dataclasses.Field[Any]) -> Iterator[Problem]:
    options = options_of(declared)
    if options.api not in _API_ACCESS:
        yield Problem(where, f"has api={options.api!r}; it is one of {', '.join(map(repr, _API_ACCESS))}")
    if options.api and options.secret:
        yield Problem(
            where, f"is secret, and has api={options.api!r}, which shows it to clients; leave one of them out"
        )
    merge = options.merge
    if not callable(merge) and merge not in _MERGE_RULES:
        yield Problem(
            where,
            f"has merge={merge!r}; it is one of {', '.join(map(repr, _MERGE_RULES))} or a function "
            "f(base, mine, theirs)",
        )


def _of_type(where: str, hint: Any) -> Iterator[Problem]:
    try:
        found = list(_walk(types.type_info(hint), where, set()))
        yield from found
        if not any(problem.serious for problem in found):
            msgspec.json.Decoder(hint)
            msgspec.msgpack.Decoder(hint)
    except Exception as error:  # as above, for what is inside the annotation
        yield Problem(where, f"cannot be stored: {type(error).__name__}: {error}")


def _walk(node: types.Type, where: str, seen: set[Any]) -> Iterator[Problem]:
    cls = getattr(node, "cls", None)
    if isinstance(node, types.CustomType):
        if not _is_enum(cls):
            yield Problem(where, _refusal(cls))
        return
    if isinstance(node, types.DictType) and not _is_key(node.key_type):
        yield Problem(where, "is a dict whose keys JSON cannot write; use text, numbers, dates, UUIDs or enums as keys")
    if isinstance(node, types.AnyType):
        yield Problem(
            where,
            "is Any, so that dates, decimals, sets and dataclasses in it come back as plain JSON values; name the type",
            serious=False,
        )
    if cls is not None:  # a class, or a generic one with its parameters
        if cls in seen:
            return
        seen.add(cls)
        if hasattr(cls, "__pydantic_validator__"):
            yield Problem(
                where,
                f"is {cls.__name__}, a pydantic dataclass, whose validation would be skipped; use a standard dataclass",
            )
    for name, child in _children(node):
        yield from _walk(child, f"{where}{name}", seen)


def _is_enum(cls: Any) -> bool:
    # Django's choices have a metaclass of their own, by which msgspec.inspect does not know them for what they are.
    return isinstance(cls, type) and issubclass(cls, Enum)


def _is_key(node: types.Type) -> bool:
    if isinstance(node, types.Metadata):
        return _is_key(node.type)
    return isinstance(node, _KEYS) or (isinstance(node, types.CustomType) and _is_enum(node.cls))


def _refusal(cls: Any) -> str:
    name = f"{cls.__module__}.{cls.__qualname__}" if isinstance(cls, type) else str(cls)
    if hasattr(cls, "_meta") and hasattr(cls, "_base_manager"):
        return f"is a model ({name}); store its primary key and look the object up when it is needed"
    return f"is {name}, which has no single meaning outside this process; store what it is made of"


def _children(node: types.Type) -> Iterator[tuple[str, types.Type]]:
    for inner in getattr(node, "fields", ()):
        yield f".{inner.name}", inner.type
    for attribute, name in (("item_type", "[]"), ("key_type", "[key]"), ("value_type", "[]"), ("type", "")):
        child = getattr(node, attribute, None)
        if isinstance(child, types.Type):
            yield name, child
    for attribute in ("item_types", "types"):
        for child in getattr(node, attribute, ()):
            yield "[]" if attribute == "item_types" else "", child


def contains(hint: Any, *kinds: type[types.Type]) -> bool:
    """Whether a value of this type can hold one of ``kinds`` of ``msgspec.inspect``, however deep."""
    return _contains(types.type_info(hint), kinds, set())


def _contains(node: types.Type, kinds: tuple[type[types.Type], ...], seen: set[Any]) -> bool:
    if isinstance(node, kinds):
        return True
    cls = getattr(node, "cls", None)
    if cls is not None:
        if cls in seen:
            return False
        seen.add(cls)
    return any(_contains(child, kinds, seen) for _, child in _children(node))
