"""A session dataclass to bytes and back, field by field.

Reading is tolerant: a field that cannot be read falls back to its default and the others live (contract §8). Writing is
strict: what would not be read back as it is now is refused, with the path to it (contract §3).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, Generic, NamedTuple, TypeVar, cast

import msgspec
from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import Promise
from django.utils.module_loading import import_string
from msgspec import inspect as types

from . import conf, schema
from .exceptions import SessionFieldError
from .formats import JSON, NO_ENCODING, UNREADABLE, UNWRITABLE, FieldMap, Format, format_of, text_of
from .session import TypedSession, field_options

S = TypeVar("S", bound=TypedSession)


_DEEP = 20
"""Steps into a value to say where in it something is wrong; what is nested deeper is too deep anyway."""
_STEP = re.compile(r"\.\w+|\[\d+\]")


class Unreadable(NamedTuple):
    """A part of a stored session that this release cannot read; it is kept as it is in the store."""

    where: str
    problem: str


@dataclass(frozen=True, slots=True)
class Decoded(Generic[S]):
    session: S
    stored: FieldMap | None
    """The stored fields under the names of this release, unknown ones among them; ``None`` if they are as they came."""
    version: int
    """The version of the class that ``stored`` is of: this release's, unless it is later or its ``upgrade`` failed."""
    unreadable: list[Unreadable]
    stands_in: bool = False
    """Whether ``session`` is a new one, because what is stored makes none."""


class SessionCodec(Generic[S]):
    """How one session class is written to and read from records, in one format."""

    def __init__(self, session_class: type[S], format: Format) -> None:
        serious = [problem for problem in schema.problems(session_class) if problem.serious]
        if serious:
            raise ImproperlyConfigured("; ".join(f"{problem.where} {problem.what}" for problem in serious) + ".")
        of_type = schema.hints(session_class)
        self.session_class = session_class
        self.format = format
        self.name = session_class.schema_name or session_class.__name__
        self.version = session_class.schema_version
        self.options = field_options(session_class)
        self._whole = format.decoder(session_class)
        self._decoders = {name: format.decoder(hint) for name, hint in of_type.items()}
        self._renamed = {name: options.renamed_from for name, options in self.options.items() if options.renamed_from}
        self._unordered = frozenset(
            name for name, hint in of_type.items() if schema.contains(hint, types.SetType, types.FrozenSetType)
        )
        # JSON has no NaN and no infinity, and msgspec writes null for them.
        self._nullable_floats = [
            name
            for name, hint in of_type.items()
            if format is JSON and schema.contains(hint, types.FloatType, types.AnyType)
        ]
        self._with_any = frozenset(name for name, hint in of_type.items() if schema.contains(hint, types.AnyType))
        self._with_decimals = frozenset(
            name for name, hint in of_type.items() if schema.contains(hint, types.DecimalType)
        )
        self._class_defaults = [
            (declared.name, declared.default)
            for declared in fields(session_class)
            if declared.default is not MISSING and getattr(session_class, declared.name) is declared.default
        ]
        self._defaults = format.split(self.write(session_class()))

    # Reading

    def read(self, data: msgspec.Raw, name: str, version: int) -> Decoded[S]:
        """The session that ``data`` holds, as class ``name`` of ``version`` stored it."""
        if name == self.name and version == self.version and not self._renamed and format_of(data) is self.format:
            try:
                return Decoded(self._whole.decode(data), None, version, [])
            except Exception:  # a decoder's, or one of the project's __post_init__
                pass  # read again below, field by field, to lose only what cannot be read
        return self._read_by_field(data, name, version)

    def _read_by_field(self, data: msgspec.Raw, name: str, version: int) -> Decoded[S]:
        unreadable: list[Unreadable] = []
        source = format_of(data)
        try:
            stored = source.split(data)
        except UNREADABLE as error:
            return Decoded(
                self.session_class(), {}, self.version, [Unreadable(self.name, _said(error))], stands_in=True
            )
        if name != self.name:
            stored = self._of_other_class(stored, name, unreadable)
            version = self.version
        elif version < self.version:
            stored, version = self._upgraded(stored, source, version, unreadable)
        stored = self._in_this_format(self._under_new_names(stored), source, unreadable)
        try:
            session = self._whole.decode(self.format.dumps(self._readable(stored, unreadable)))
        except Exception as error:  # __post_init__ refused the combination
            unreadable.append(Unreadable(self.name, _said(error)))
            return Decoded(self.session_class(), stored, version, unreadable, stands_in=True)
        return Decoded(session, stored, version, unreadable)

    def _of_other_class(self, stored: FieldMap, name: str, unreadable: list[Unreadable]) -> FieldMap:
        # A field of the same name in another class is not the same field. Each class keeps its own fields in the
        # record, under its name, so that a rename or a rollback in mid-flight takes nothing from either.
        unreadable.append(
            Unreadable(
                name,
                f"the record was stored by class {name!r}; if that is now {self.name!r}, "
                f"set schema_name = {name!r} on it",
            )
        )
        mine = f"{self.name}/"
        return {
            key.removeprefix(mine) if key.startswith(mine) else key if "/" in key else f"{name}/{key}": raw
            for key, raw in stored.items()
        }

    def _upgraded(
        self, stored: FieldMap, source: Format, version: int, unreadable: list[Unreadable]
    ) -> tuple[FieldMap, int]:
        try:
            data = self.session_class.upgrade(version, {name: source.loads(raw) for name, raw in stored.items()})
            if not all(isinstance(name, str) for name in data):
                raise TypeError("fields are named by text")
            return source.split(source.dumps(data)), self.version
        except Exception as error:  # the project's code: whatever it raises, the visitor gets a page
            problem = f"upgrade from version {version} failed: {type(error).__name__}: {error}"
            unreadable.append(Unreadable(self.name, problem))
            return stored, version  # so that a mended release upgrades it

    def _under_new_names(self, stored: FieldMap) -> FieldMap:
        stored = dict(stored)
        for name, former_names in self._renamed.items():
            # A release writes all names down to the oldest it knows, so the oldest that is stored is the newest value.
            for former in reversed(former_names):
                if former in stored and stored[former] != stored.get(name):
                    stored[name] = stored[former]
                    break
        return stored

    def _in_this_format(self, stored: FieldMap, source: Format, unreadable: list[Unreadable]) -> FieldMap:
        if source is self.format:
            return stored
        other = codec_for(self.session_class, source)
        arrived = {}
        for name, raw in stored.items():
            try:
                arrived[name] = other.transcode(name, raw, self.format)
            except (*UNREADABLE, *UNWRITABLE) as error:
                unreadable.append(
                    Unreadable(f"{self.name}.{name}", f"{self.format.name} cannot hold it: {_said(error)}")
                )
        return arrived

    def transcode(self, name: str, raw: msgspec.Raw, target: Format) -> msgspec.Raw:
        """A field in another format; by its type if it has one, so that bytes and dates arrive as what they were."""
        if name in self._decoders:
            try:
                value = self._decoders[name].decode(raw)
            except Exception:  # as in read
                value = self.format.loads(raw)  # carried as plain values, like a field this release does not know
        else:
            value = self.format.loads(raw)
        if target is JSON:
            _refuse_non_finite(value, name)
        return msgspec.Raw(target.dumps(value))

    def _readable(self, stored: FieldMap, unreadable: list[Unreadable]) -> FieldMap:
        good = {}
        for name, decoder in self._decoders.items():
            if name in stored:
                try:
                    decoder.decode(stored[name])
                    good[name] = stored[name]
                except Exception as error:  # as in read
                    unreadable.append(Unreadable(f"{self.name}.{name}{_path(error)}", _said(error)))
        return good

    def value(self, name: str, stored: FieldMap) -> Any:
        """One field's value; its default for a field that is not stored."""
        try:
            return self._decoders[name].decode(stored.get(name, self._defaults[name]))
        except Exception:  # as in read
            return self._decoders[name].decode(self._defaults[name])

    # Writing

    def write(self, session: S) -> bytes:
        """All fields, encoded. Raises ``SessionFieldError`` for what has no encoding."""
        self._complete(session)
        try:
            written = self.format.dumps(session)
        except UNWRITABLE as error:
            raise self._located(session, error) from error
        for name in self._nullable_floats:
            _refuse_non_finite(getattr(session, name), f"{self.name}.{name}")
        return written

    def _complete(self, session: S) -> None:
        # msgspec writes what the object itself holds, and a default may be held by the class alone.
        attributes = getattr(session, "__dict__", None)
        if attributes is not None:
            for name, default in self._class_defaults:
                if name not in attributes:
                    attributes[name] = default
            for name in attributes.keys() - self._decoders.keys():
                # A cached_property stands in the class, too; what does not is a misspelling that would be lost.
                if not name.startswith("_") and not hasattr(self.session_class, name):
                    raise SessionFieldError(f"{self.name}.{name}", "is not a field of the class, and would be lost")

    def differing(self, stored: FieldMap, written: bytes) -> FieldMap:
        """The fields of a result of ``write`` that differ from what is stored, as they are now.

        A field that is stored in another spelling of the same value does not differ, nor one that is not stored and has
        its default.
        """
        return self.differing_parts(stored, self.format.split(written))

    def parts(self, session: S) -> FieldMap:
        """All fields, encoded one by one if there is one that has ``NO_ENCODING``."""
        try:
            return self.format.split(self.write(session))
        except SessionFieldError:
            return {name: self._part(getattr(session, name)) for name in self.options}

    def _part(self, value: object) -> msgspec.Raw:
        try:
            return msgspec.Raw(self.format.dumps(value))
        except UNWRITABLE:
            return NO_ENCODING

    def differing_parts(self, stored: FieldMap, parts: FieldMap) -> FieldMap:
        """``differing`` of what ``parts`` answered."""
        return {
            name: raw
            for name, raw in parts.items()
            if (was := stored.get(name, self._defaults[name])) != raw and not self._alike(name, was, raw)
        }

    def _alike(self, name: str, was: msgspec.Raw, raw: msgspec.Raw) -> bool:
        try:
            value = self._decoders[name].decode(was)
            if name in self._unordered:  # equal sets may be written in different orders
                return bool(value == self._decoders[name].decode(raw))
        except Exception:  # as in read; what cannot be read stands for the default
            return raw == self._defaults[name]
        return self.format.dumps(value) == bytes(raw)

    def verify(self, session: S, changed: FieldMap) -> None:
        """Raises ``SessionFieldError`` for the first of ``changed`` that would not be read back as what it is now."""
        for name, raw in changed.items():
            path, value = f"{self.name}.{name}", getattr(session, name)
            try:
                again = self._decoders[name].decode(raw)
            except Exception as error:  # as in read
                raise SessionFieldError(path + self._where(name, value, error), _said(error)) from error
            # What is equal is of equal types, but for numbers: an int equals a Decimal, and is written differently.
            # What is Any comes back as plain values, which a check warns of.
            try:
                is_other = again != value or (name in self._with_decimals and self.format.dumps(again) != bytes(raw))
                if is_other and name not in self._with_any:
                    _compare(value, again, path)
            except RecursionError as error:  # dataclasses compare more shallowly than the codec reads
                raise SessionFieldError(path, "is nested too deep") from error

    def _where(self, name: str, value: object, error: Exception) -> str:
        """The path to what a decoder refused. It says ``[...]`` for every key, so the keys are found by trying them."""
        whole: Any = msgspec.to_builtins({"": value}, enc_hook=text_of)
        parent: Any = whole
        last: Any = ""
        told, seen = "", ""
        while True:
            path = _path(error)
            before, unknown, _ = path[len(seen) :].partition("[...]")
            for step in _STEP.findall(before):
                parent, last = parent[last], int(step[1:-1]) if step[0] == "[" else step[1:]
            told, seen = told + before, seen + before
            if not unknown and "`key` in" not in str(error):
                return told
            refused = self._refused_key(name, whole, parent, last)
            if refused is None:
                return told
            key, error = refused
            told += f"[{key!r}]"
            if _path(error) == seen:  # the key itself
                return told
            parent, last, seen = parent[last], key, seen + "[...]"

    def _refused_key(self, name: str, whole: Any, parent: Any, last: Any) -> tuple[Any, Exception] | None:
        """Which key of ``parent[last]`` makes the field unreadable; the others are taken out of it."""
        for key, item in list(parent[last].items()):
            parent[last] = {key: item}
            try:
                self._decoders[name].decode(self.format.dumps(whole[""]))
            except UNREADABLE as error:
                return key, error
        return None

    def overlay(self, stored: FieldMap, changed: FieldMap) -> FieldMap:
        """``stored`` with ``changed`` over it, under former names too."""
        if not self._renamed:
            return {**stored, **changed}
        former = {old: raw for name, raw in changed.items() for old in self._renamed.get(name, ())}
        return {**stored, **changed, **former}

    def _located(self, session: S, error: Exception) -> SessionFieldError:
        for declared in fields(session):
            value = getattr(session, declared.name, None)
            if self._fails(value):
                return self._descend(value, f"{self.name}.{declared.name}", error)
        return SessionFieldError(self.name, _said(error))

    def _fails(self, value: object) -> bool:
        return self._failure(value) is not None

    def _failure(self, value: object) -> Exception | None:
        try:
            self.format.dumps(value)
        except UNWRITABLE as error:
            return error
        return None

    def _descend(self, value: object, path: str, error: Exception) -> SessionFieldError:
        above: set[int] = set()
        while id(value) not in above:
            above.add(id(value))
            failing = next(((step, child) for step, child in _parts(value) if self._fails(child)), None)
            if failing is None or len(above) > _DEEP:
                for key in value if isinstance(value, Mapping) else ():
                    if failure := self._failure({key: None}):
                        return SessionFieldError(f"{path}[{key!r}]", _said(failure))
                return SessionFieldError(path, _said(self._failure(value) or error))
            path, value = path + failing[0], failing[1]
        return SessionFieldError(path, "contains itself")


def _compare(value: object, again: object, path: str) -> None:
    """Raises ``SessionFieldError`` where ``value`` is of another type than ``again``, which was read back for it.

    The values may differ: a ``__post_init__`` computes some, and NaN equals nothing.
    """
    if isinstance(value, (str, Promise)) and isinstance(again, str):
        return  # lazy and marked-safe strings are text
    if type(value) is not type(again) and not (type(value) is int and type(again) is float):
        lost = "; what it has more would be lost" if isinstance(value, type(again)) else ""
        raise SessionFieldError(path, f"expected {type(again).__name__}, got {type(value).__name__}{lost}")
    if isinstance(value, (set, frozenset)):
        return  # its members have no order to be compared in; their types were looked at when they were read
    parts, read = list(_parts(value)), list(_parts(again))
    if len(parts) != len(read):
        raise SessionFieldError(path, "has parts that its type does not declare; they would be lost")
    for key, other_key in zip(value, cast("dict[Any, Any]", again), strict=True) if isinstance(value, dict) else ():
        _compare(key, other_key, f"{path}[{key!r}]")
    for (step, part), (_, other) in zip(parts, read, strict=True):
        _compare(part, other, path + step)


def _parts(value: object) -> Iterator[tuple[str, object]]:
    if is_dataclass(value) and not isinstance(value, type):
        for declared in fields(value):
            yield f".{declared.name}", getattr(value, declared.name, None)
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield f"[{key!r}]", child
    elif isinstance(value, (list, tuple, set, frozenset)):
        for index, child in enumerate(value):
            yield f"[{index}]", child


def _refuse_non_finite(value: object, path: str) -> None:
    waiting = [(value, path)]
    while waiting:
        value, path = waiting.pop()
        if isinstance(value, float) and not math.isfinite(value):
            raise SessionFieldError(
                path, f"is {value}, which JSON cannot hold; use None, or CODEC='msgpack' where it is used"
            )
        waiting += [(child, path + step) for step, child in _parts(value)]


def _said(error: BaseException) -> str:
    """What an encoder or decoder complained of, without the position."""
    if isinstance(error, RecursionError):
        return "is nested too deep, or contains itself"
    text = str(error).split(" - at `", 1)[0].replace("`", "")
    return text[:1].lower() + text[1:]


def _path(error: BaseException) -> str:
    """The position a decoder names, as ``[0].quantity``."""
    return str(error).partition("`$")[2].rstrip("`")


_configured: dict[Format, tuple[conf.Settings, SessionCodec[Any]]] = {}


def configured_codec(format: Format) -> SessionCodec[Any]:
    """The codec of ``TYPED_SESSIONS["SESSION_CLASS"]``."""
    settings = conf.settings()
    known = _configured.get(format)
    if known is None or known[0] is not settings:
        known = _configured[format] = (settings, codec_for(import_string(settings.session_class), format))
    return known[1]


_codecs: dict[tuple[type[TypedSession], Format], SessionCodec[Any]] = {}


def codec_for(session_class: type[S], format: Format) -> SessionCodec[S]:
    """The codec of a class, built once. Raises ``ImproperlyConfigured`` for a class that cannot be stored."""
    codec = _codecs.get((session_class, format))
    if codec is None:
        codec = _codecs[session_class, format] = SessionCodec(session_class, format)
    return codec
