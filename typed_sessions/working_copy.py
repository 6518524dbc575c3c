"""A request's copy of one record: fields and bag, decoded when they are asked for, and what was changed in them."""

from __future__ import annotations

import logging
from collections.abc import Set
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from . import bag as bags
from .bag import Bag, Serializer
from .codec import Decoded, SessionCodec, Unreadable
from .exceptions import SessionConflict, SessionFieldError
from .formats import NO_ENCODING, UNREADABLE, FieldMap, format_of
from .merge import Refused, merged
from .session import TypedSession
from .stores.record import Record

S = TypeVar("S", bound=TypedSession)

logger = logging.getLogger("typed_sessions")


class Content(NamedTuple):
    """What a record holds besides its envelope."""

    type: str
    schema: int
    data: msgspec.Raw
    bag: msgspec.Raw


class State(NamedTuple):
    """What a copy holds at some moment; what is left out is as it is stored."""

    fields: FieldMap | None = None
    bag: FieldMap | None = None


class WorkingCopy(Generic[S]):
    """``record`` is what was loaded, or nothing for a session that is not stored yet."""

    __slots__ = (
        "_codec",
        "_schema",
        "_serializer",
        "_session",
        "_stood_in",
        "_stored",
        "_written",
        "record",
        "unreadable",
    )

    def __init__(self, codec: SessionCodec[S], serializer: Serializer, record: Record | None = None) -> None:
        self.record = record
        self.unreadable: list[Unreadable] = []
        """What could not be read; known after ``session`` was asked for."""
        self._codec = codec
        self._serializer = serializer
        self._session: S | None = None
        self._stored: FieldMap | None = None
        """The stored fields, once they are needed one by one."""
        self._stood_in: FieldMap | None = None
        """The fields of a session that stands in for one that could not be read: they differ from what is stored, and
        yet nobody has changed them."""
        self._written: FieldMap | None = None
        """The fields that the last ``content`` was made of."""
        self._schema = codec.version

    @property
    def session(self) -> S:
        """The typed session, always the same object."""
        if self._session is None:
            self._session = self._decoded()
        return self._session

    @session.setter
    def session(self, replacement: S) -> None:
        _ = self.session  # what it replaces is what it will be compared with
        self._session = replacement

    @property
    def is_opened(self) -> bool:
        """Whether anybody has asked for the typed session."""
        return self._session is not None

    def read_bag(self) -> Bag:
        if self.record is None:
            return {}
        try:
            return bags.read(bytes(self.record.bag), self._serializer)
        except SessionFieldError as error:
            logger.warning("Session %s: the bag cannot be read and is empty: %s", self.record.id, error)
            self.unreadable.append(Unreadable("session", error.problem))
            return {}

    def has_changed_fields(self) -> bool:
        """Whether a field differs from what is stored, however deep. Raises ``SessionFieldError``."""
        return self.is_opened and bool(self._changed_fields())

    def content(self, bag: Bag | None) -> Content | None:
        """What a save would write; nothing if that is what is stored. Raises ``SessionFieldError``.

        ``bag`` is nothing if nobody has asked for it, so that it cannot differ.
        """
        self._written = None
        if self.record is None:
            return self._first_content(bag or {})
        changed = self._changed_fields() if self.is_opened else {}
        changed_bag = None if bag is None else self._changed_bag(bag)
        if not changed and changed_bag is None:
            return None
        if not changed and format_of(self.record.data) is self._codec.format:
            kept = self.record
            return Content(kept.type, kept.schema, kept.data, kept.bag if changed_bag is None else changed_bag)
        self._codec.verify(self.session, changed)
        self._written = self._codec.overlay(self._fields(), changed)
        new_bag = self._unchanged_bag() if changed_bag is None else changed_bag
        return Content(self._codec.name, self._schema, self._joined(self._written), new_bag)

    def rebase(self, record: Record) -> None:
        """Takes ``record``, which was made of this copy's content, for what is stored now."""
        self.record = record
        if self._written is not None:
            self._stored, self._written = self._written, None
            if self._stood_in is not None:
                self._stood_in = self._split(self.session)

    def merge(self, theirs: Record, bag: Bag | None) -> None:
        """Brings what another request stored into this copy, so that a save can be tried again on top of it.

        Raises ``SessionConflict`` if both changed what is declared ``merge="refuse"``.
        """
        other: WorkingCopy[S] = WorkingCopy(self._codec, self._serializer, theirs)
        # Nothing is changed before all is known: a rule may raise, and whoever catches that saves again.
        values = self._merged_fields(other) if self.is_opened else {}
        if bag is not None:
            self._merge_bag(other, bag)
        if self.is_opened:
            for name, value in values.items():
                object.__setattr__(self.session, name, value)  # also after the answer, when it was told to save
            self._stored, self._stood_in = other._fields(), other._stood_in
            self._schema, self._written = other._schema, None
        self.record = theirs

    def take_over(self, theirs: Record, bag: Bag | None) -> None:
        """Makes this the copy of what another request stored, without anything that was changed in it."""
        other: WorkingCopy[S] = WorkingCopy(self._codec, self._serializer, theirs)
        if bag is not None:
            bag.clear()
            bag.update(other.read_bag())
        if self.is_opened:
            for name in self._codec.options:
                object.__setattr__(self.session, name, getattr(other.session, name))
            self._stored, self._stood_in = other._fields(), other._stood_in
            self._schema, self._written = other._schema, None
        self.record = theirs

    # Looking back

    def state(self, bag: Bag | None) -> State:
        """What there is now, to be compared with later."""
        fields = self._codec.parts(self.session) if self.is_opened else None
        return State(fields, None if bag is None else self._parts_of_bag(bag))

    def changed_since(self, before: State, bag: Bag | None) -> list[str]:
        """What differs from ``before``, as ``cart`` or ``session['key']``."""
        changed: list[str] = []
        if self.is_opened:
            changed += self._codec.differing_parts(self._fields_of(before), self._codec.parts(self.session))
        if bag is not None:
            keys, now = self._bag_of(before), self._parts_of_bag(bag)
            changed += [f"session[{key!r}]" for key in {**keys, **now} if keys.get(key) != now.get(key)]
        return changed

    def go_back(self, before: State, bag: Bag | None, changed: Set[str]) -> None:
        """Makes ``changed``, as ``changed_since`` names it, be again what it was."""
        fields = self._fields_of(before) if self.is_opened else {}
        for name in self._codec.options.keys() & changed:
            if fields.get(name) != NO_ENCODING:  # there is no telling what it was
                object.__setattr__(self.session, name, self._codec.value(name, fields))
        if bag is not None:
            stored = {key: raw for key, raw in self._bag_of(before).items() if raw != NO_ENCODING}
            was = bags.read(self._codec.format.dumps(stored), self._serializer)
            kept = {key: value for key, value in bag.items() if f"session[{key!r}]" not in changed}
            bag.clear()  # and in the order of before, as another would be a change
            bag.update({key: kept.get(key, value) for key, value in was.items()} | kept)

    def moved_on(self, before: State, bag: Bag | None, changed: Set[str]) -> State:
        """``before``, but for ``changed``, which is taken as it is now."""
        now = self.state(bag)
        fields, keys = before.fields, before.bag
        if now.fields is not None:
            fields = self._fields_of(before) | {name: raw for name, raw in now.fields.items() if name in changed}
        if now.bag is not None:
            kept = {key: raw for key, raw in self._bag_of(before).items() if f"session[{key!r}]" not in changed}
            keys = kept | {key: raw for key, raw in now.bag.items() if f"session[{key!r}]" in changed}
        return State(fields, keys)

    def _fields_of(self, state: State) -> FieldMap:
        if state.fields is not None:
            return state.fields
        return self._fields() if self._stood_in is None else self._stood_in

    def _bag_of(self, state: State) -> FieldMap:
        if state.bag is not None:
            return state.bag
        return {} if self.record is None else self._codec.format.split(self._canonical_bag())

    def _parts_of_bag(self, bag: Bag) -> FieldMap:
        try:
            return self._codec.format.split(self._write_bag(bag))
        except SessionFieldError:
            return {str(key): self._part_of_bag(key, value) for key, value in bag.items()}

    def _part_of_bag(self, key: str, value: object) -> msgspec.Raw:
        try:
            return self._codec.format.split(self._write_bag({key: value}))[key]
        except SessionFieldError:
            return NO_ENCODING

    # Fields

    def _decoded(self) -> S:
        if self.record is None:
            session = self._codec.session_class()
            # A default may be made anew each time; a visitor who changes nothing has what this one began with.
            self._stored = self._split(session)
            return session
        decoded = self._read(self.record)
        self._stored, self._schema = decoded.stored, decoded.version
        self.unreadable += decoded.unreadable
        for where, problem in decoded.unreadable:
            logger.warning("Session %s: %s cannot be read and takes its default: %s", self.record.id, where, problem)
        if decoded.stands_in:
            self._stood_in = self._split(decoded.session)
        return decoded.session

    def _read(self, record: Record) -> Decoded[S]:
        return self._codec.read(record.data, record.type, record.schema)

    def _fields(self) -> FieldMap:
        _ = self.session  # reading decides under which names they are stored
        if self._stored is None:
            assert self.record is not None
            try:
                self._stored = self._codec.format.split(self.record.data)
            except UNREADABLE as error:  # in what this release does not know, and so did not have to read
                logger.warning("Session %s: unknown fields cannot be kept: %s", self.record.id, error)
                self._stored = self._split(self._read(self.record).session)
        return self._stored

    def _changed_fields(self) -> FieldMap:
        written = self._codec.write(self.session)
        if self.record is not None and self._stored is None and written == bytes(self.record.data):
            return {}
        return self._codec.differing(self._fields_of(State()), written)

    def _first_content(self, bag: Bag) -> Content:
        codec = self._codec
        written = codec.format.split(codec.write(self.session))
        codec.verify(self.session, written)
        self._written = codec.overlay({}, written)
        return Content(codec.name, codec.version, self._joined(self._written), self._write_bag(bag))

    def _merged_fields(self, other: WorkingCopy[S]) -> dict[str, Any]:
        """The new values of what the other request has changed."""
        codec = self._codec
        theirs = other._fields()
        mine, before = self._changed_fields(), self._fields_of(State())
        values, refused = {}, []
        for name in codec.differing(before, codec.write(other.session)):
            value = getattr(other.session, name)
            if name in mine:
                rule, base = codec.options[name].merge, codec.value(name, before)
                try:
                    value = merged(rule, base, getattr(self.session, name), codec.value(name, theirs))
                except (TypeError, ValueError) as error:
                    problem = f"merge={rule!r} cannot make one of two changes ({error})"
                    raise SessionFieldError(f"{codec.name}.{name}", problem) from error
                except Refused:
                    refused.append(name)
            values[name] = value
        if refused:
            raise SessionConflict(other.record.id if other.record else "", refused)
        return values

    def _split(self, session: S) -> FieldMap:
        return self._codec.format.split(self._codec.write(session))

    def _joined(self, parts: FieldMap) -> msgspec.Raw:
        return msgspec.Raw(self._codec.format.dumps(parts))

    # The bag

    def _changed_bag(self, bag: Bag) -> msgspec.Raw | None:
        assert self.record is not None
        try:
            now = self._write_bag(bag)
        except SessionFieldError:
            if bag == self.read_bag():
                return None  # it was stored like that, and this request did not touch it
            raise
        # The same content may be written differently by another release or serializer; that is no change.
        return None if now == self.record.bag or now == self._canonical_bag() else now

    def _canonical_bag(self) -> msgspec.Raw:
        """The stored bag as this release writes it, without what it cannot write."""
        bag = self.read_bag()
        try:
            return self._write_bag(bag)
        except SessionFieldError:
            return self._write_bag(bags.writable(bag, self._serializer, self._codec.format))

    def _unchanged_bag(self) -> msgspec.Raw:
        assert self.record is not None
        return self.record.bag if format_of(self.record.bag) is self._codec.format else self._canonical_bag()

    def _write_bag(self, bag: Bag) -> msgspec.Raw:
        return msgspec.Raw(bags.write(bag, self._serializer, self._codec.format))

    def _merge_bag(self, other: WorkingCopy[S], bag: Bag) -> None:
        before, theirs = self._canonical_bag(), other._canonical_bag()
        if before == theirs:
            return
        split = self._codec.format.split
        mine = split(self._write_bag(bag))
        result = bags.merged(split(before), mine, split(theirs))
        new = {key: raw for key, raw in result.items() if raw != mine.get(key)}
        read = bags.read(self._codec.format.dumps(new), self._serializer)
        # What has not changed stays the same object, as the view may hold it.
        values = {key: read[key] if key in new else bag[key] for key in result}
        bag.clear()
        bag.update(values)
