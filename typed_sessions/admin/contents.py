"""What is in a session, as its page shows it: fields and bag, and what of them this release cannot read."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from django.utils.safestring import SafeString

from .. import schema, site
from ..codec import Unreadable
from ..formats import UNREADABLE, format_of
from ..session import TypedSession, field_options
from ..shown import bag_of, fields_of
from ..stores.record import Record
from ..working_copy import WorkingCopy
from .hints import written
from .values import ITEMS, Values, more

_QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"")


class Field(NamedTuple):
    name: str
    type: str
    value: SafeString


class Entry(NamedTuple):
    """Of the bag."""

    key: str
    value: SafeString


class Contents(NamedTuple):
    class_name: str
    version: int
    """Of the class in this release; the record may be of another."""
    fields: list[Field]
    bag: list[Entry]
    unshown: SafeString
    """How many entries of the bag there are beyond those."""
    unreadable: list[Unreadable]
    unknown: list[str]
    """Fields of another release or class."""


def contents_of(record: Record) -> Contents:
    """What is in a session. It is read as a request would, and left alone."""
    copy = site.engine().copy_of(record)
    session = copy.session
    of_type = schema.hints(type(session))
    entries = bag_of(copy.read_bag())
    values = Values()
    bag = [Entry(key, values.html(value)) for key, value in [*entries.items()][:ITEMS]]
    values = Values()
    return Contents(
        class_name=_name(session),
        version=session.schema_version,
        fields=[Field(name, written(of_type[name]), values.html(value)) for name, value in fields_of(session).items()],
        bag=bag,
        unshown=more(len(entries) - len(bag)),
        unreadable=[_without_values(part, record) for part in copy.unreadable],
        unknown=_unknown(copy, record),
    )


def _name(session: TypedSession) -> str:
    return session.schema_name or type(session).__name__


def _without_values(part: Unreadable, record: Record) -> Unreadable:
    """What is wrong, without the value that is: it may be of a secret field."""
    if part.where == record.type:  # which says which class it is
        return part
    return part._replace(problem=_QUOTED.sub("'…'", part.problem))


def _unknown(copy: WorkingCopy[TypedSession], record: Record) -> list[str]:
    known: set[str] = set()
    if record.type == _name(copy.session):
        for name, options in field_options(type(copy.session)).items():
            known.update((name, *options.renamed_from))
    try:
        stored = format_of(record.data).split(record.data)
    except UNREADABLE:  # told among what is unreadable
        return []
    return [name for name in stored if name not in known]
