"""The session class of these tests, and what views do to a session."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import msgspec

from typed_sessions import TypedSession, session_field
from typed_sessions.formats import JSON, format_of
from typed_sessions.stores.record import Record


@dataclass
class Line:
    sku: str
    amounts: dict[str, list[int]] = field(default_factory=dict)


@dataclass
class MachineSession(TypedSession):
    views: int = session_field(default=0, merge="add")
    peak: int = session_field(default=0, merge="max")
    browsed: str = ""
    searched: str = ""
    ordered: str = ""
    form: str = session_field(default="", merge="refuse")
    visited: set[str] = session_field(default_factory=set, merge="union")
    trail: list[str] = session_field(default_factory=list, merge="append")
    lines: list[Line] = field(default_factory=list)


Bag = dict[str, Any]


class Content(NamedTuple):
    """What a session holds, as plain values that belong to nobody else."""

    session: MachineSession
    bag: Bag

    def copy(self) -> Content:
        return Content(deepcopy(self.session), deepcopy(self.bag))

    @classmethod
    def empty(cls) -> Content:
        return cls(MachineSession(), {})

    @classmethod
    def of(cls, record: Record) -> Content:
        """Read past the package's codec."""
        decoder = msgspec.json if format_of(record.data) is JSON else msgspec.msgpack
        return cls(
            decoder.decode(bytes(record.data), type=MachineSession), format_of(record.bag).loads(bytes(record.bag))
        )


class Refused(Exception):
    """Both have changed what only one may."""


def merge(base: Content, mine: Content, theirs: Content) -> Content:
    """What is to be stored when one who read `base` and made it `mine` finds `theirs` (contract §7)."""
    result = theirs.copy()
    for declared in fields(MachineSession):
        name = declared.name
        before, own, other = (getattr(content.session, name) for content in (base, mine, theirs))
        if own != before:
            setattr(result.session, name, deepcopy(_rule(name)(before, own, other) if other != before else own))
    for key in base.bag.keys() | mine.bag.keys():
        if mine.bag.get(key) != base.bag.get(key):
            result.bag.pop(key, None)
            if key in mine.bag:
                result.bag[key] = deepcopy(mine.bag[key])
    return result


def undone(base: Content, mine: Content, old_base: Content, old_mine: Content) -> Content:
    """`mine` without what has changed since it was `old_mine`, and is not stored; what is stored is `base`."""
    result = base.copy()
    for declared in fields(MachineSession):
        name = declared.name
        before, own, then, then_own = (getattr(each.session, name) for each in (base, mine, old_base, old_mine))
        if own != before and then_own != then:
            setattr(result.session, name, deepcopy(then_own))
    for key in base.bag.keys() | mine.bag.keys():
        if mine.bag.get(key) != base.bag.get(key) and old_mine.bag.get(key) != old_base.bag.get(key):
            result.bag.pop(key, None)
            if key in old_mine.bag:
                result.bag[key] = deepcopy(old_mine.bag[key])
    return result


def _refuse(before: Any, own: Any, other: Any) -> Any:
    raise Refused


def _rule(name: str) -> Callable[[Any, Any, Any], Any]:
    rules: dict[str, Callable[[Any, Any, Any], Any]] = {
        "views": lambda before, own, other: other + own - before,
        "peak": lambda before, own, other: max(own, other),
        "form": _refuse,
        "visited": lambda before, own, other: own | other,
        "trail": lambda before, own, other: other + own[len(before) :],
    }
    return rules.get(name, lambda before, own, other: own)


class Deed(NamedTuple):
    """Something that a view does to fields and bag. `mark` is a value that nobody else writes."""

    name: str
    do: Callable[[MachineSession, Bag, str], object]


def _deepen(bag: Bag, mark: str) -> None:
    bag.setdefault("deep", {"marks": []})["marks"].append(mark)


def _amount(session: MachineSession, mark: str) -> None:
    if session.lines:
        session.lines[0].amounts.setdefault("n", []).append(int(mark))


DEEDS = {
    deed.name: deed
    for deed in (
        Deed("count", lambda session, bag, mark: setattr(session, "views", session.views + 1)),
        Deed("uncount", lambda session, bag, mark: setattr(session, "views", session.views - 3)),
        Deed("peak", lambda session, bag, mark: setattr(session, "peak", int(mark) % 7)),
        Deed("browse", lambda session, bag, mark: setattr(session, "browsed", mark)),
        Deed("search", lambda session, bag, mark: setattr(session, "searched", mark)),
        Deed("order", lambda session, bag, mark: setattr(session, "ordered", mark)),
        Deed("fill in", lambda session, bag, mark: setattr(session, "form", mark)),
        Deed("visit", lambda session, bag, mark: session.visited.add(mark[-1])),
        Deed("leave", lambda session, bag, mark: session.visited.discard(mark[-1])),
        Deed("go", lambda session, bag, mark: session.trail.append(mark)),
        Deed("add line", lambda session, bag, mark: session.lines.append(Line(mark))),
        Deed("change line", lambda session, bag, mark: _amount(session, mark)),
        Deed("set key", lambda session, bag, mark: bag.__setitem__("abc"[int(mark) % 3], mark)),
        Deed("drop key", lambda session, bag, mark: bag.pop("abc"[int(mark) % 3], None)),
        Deed("change key", lambda session, bag, mark: _deepen(bag, mark)),
    )
}
