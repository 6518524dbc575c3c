"""The names of the keys that the Redis store has, besides those of records.

The lists of all sessions are kept apart by kind, that is by mode and by whether somebody is signed in, so that each
kind can be counted and paged by itself. They and what goes with them have the same part in braces, by which a cluster
keeps them together, for a script to look at all of them. Users and addresses are spread over it like records.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ..states import SessionMode
from ..tokens import urn
from .record import Record
from .selection import EVERYTHING, Selection

KINDS: Final = tuple((mode, signed_in) for mode in SessionMode for signed_in in (False, True))
"""In the order in which scripts have them."""
_TAG = "{lists}:"


class RedisKeys:
    """With ``prefix`` in front, which is that of the cache."""

    def __init__(self, prefix: str) -> None:
        self.root = prefix + urn("")
        self.claimed = f"{self.root}{_TAG}claimed"
        """Sessions whose end somebody is about to announce, by until when."""
        self.samples = f"{self.root}{_TAG}samples"
        self.users = f"{self.root}by-user:"
        self.addresses = f"{self.root}by-address:"
        self._seen = {kind: f"{self.root}{_TAG}by-seen:{_word(*kind)}" for kind in KINDS}
        self._expiry = {kind: f"{self.root}{_TAG}by-expiry:{_word(*kind)}" for kind in KINDS}
        self.all_seen, self.all_expiry = tuple(self._seen.values()), tuple(self._expiry.values())
        self.lists = (*self.all_seen, *self.all_expiry)

    def record(self, session_id: str) -> str:
        return self.root + session_id

    def user(self, user: str) -> str:
        """The sessions of a user, by expiry."""
        return self.users + user

    def tally(self, hour: int) -> str:
        """What has happened within an hour, by minute."""
        return f"{self.root}{_TAG}tally:{hour}"

    def lists_of(self, record: Record) -> tuple[str, str]:
        """The lists that a session stands in, by last use and by expiry."""
        kind = record.mode, record.user is not None
        return self._seen[kind], self._expiry[kind]

    def user_of(self, record: Record) -> tuple[str, ...]:
        return (self.user(record.user),) if record.user else ()

    def owners_of(self, record: Record) -> tuple[str, ...]:
        """What else it is found by: its user and addresses, each by expiry."""
        return (*self.user_of(record), *(self.addresses + address for address in record.addresses))

    def lists_for(self, selection: Selection = EVERYTHING) -> tuple[str, ...]:
        """The lists of the kinds that ``selection`` takes: by last use, and then by expiry."""
        kinds = [kind for kind in KINDS if selection.mode in (None, kind[0]) and selection.signed_in in (None, kind[1])]
        return (*(self._seen[kind] for kind in kinds), *(self._expiry[kind] for kind in kinds))

    def has_members(self, key: str) -> bool:
        """Whether ``key`` is one whose members are ids of records, and have to lead to one."""
        return key in self.lists or key == self.claimed or key.startswith(self.users)

    def is_own(self, key: str) -> bool:
        """Whether ``key`` belongs to the store, and holds no record."""
        return key.startswith((self.root + _TAG, self.users, self.addresses))


def _word(mode: SessionMode, signed_in: bool) -> str:
    return f"{mode.value}-{'user' if signed_in else 'anonymous'}"


def without(keys: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    """``keys`` that are none of ``others``."""
    known = set(others)
    return tuple(key for key in keys if key not in known)
