"""What is stored: the envelope around a session's fields and bag, and what remains of a session that ended."""

from __future__ import annotations

import secrets

import msgspec

from ..states import EndReason, SessionMode

FORMAT = 1
"""Version of the envelope itself."""

GRACE = 30
"""Seconds after its expiry in which a request that has loaded a session in time may still save it. Nobody announces the
end of a session before they are over."""

LINGER = 3600
"""Seconds that a store keeps a record beyond its expiry, so that whoever announces ends can tell its last state."""

TOMBSTONE_LIFE = 3600
"""Seconds that a store remembers at least that, and why, a session ended."""

LONGEST_LEASE = 3600
"""Seconds for which a request can have a session for itself at most."""

LONGEST_ADDRESS = 45
"""Characters of an address that sessions can be found by: those of the longest way to write an IPv6 address."""

_REMEMBERED = 3
"""Saves, besides the last one, that a record knows."""


class Client(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who used the session first, and who last if that was somebody else."""

    address: str = ""
    agent: str = ""
    last_address: str = ""
    last_agent: str = ""

    @property
    def addresses(self) -> tuple[str, ...]:
        """What the session can be found by."""
        both = dict.fromkeys((self.address, self.last_address))
        return tuple(address for address in both if 0 < len(address) <= LONGEST_ADDRESS)

    def seen_as(self, address: str, agent: str) -> Client:
        """This client after a request from ``address`` with ``agent``."""
        if (address, agent) in ((self.address, self.agent), (self.last_address, self.last_agent)):
            return self
        return msgspec.structs.replace(self, last_address=address, last_agent=agent)


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """That one request has the session for itself."""

    holder: str
    """Made up by that request, to know its own."""
    until: int
    """When it is over, whatever has become of the holder."""

    def is_over(self, now: int) -> bool:
        """Also if it ends later than any lease can: then the clock that it was made by was wrong."""
        return not now < self.until <= now + 1 + LONGEST_LEASE


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One stored session. All times are whole seconds since the epoch.

    The order of the fields is the order on the wire, and the first ones are where scripts in a store look for them.
    """

    format: int
    seen: int
    """Last use that was written; only moves forward."""
    expires: int
    """When it is over if it is not used again."""
    revision: int
    """Counts the saves; with the nonce, what a save must find unchanged."""
    nonce: str
    """Of one save, so that a save whose reply was lost recognises its own work."""
    id: str
    mode: SessionMode
    user: str | None = None
    """The signed-in user's primary key as text."""
    type: str
    """Registered name of the dataclass. Never an import path."""
    schema: int
    """Version of the dataclass."""
    created: int
    modified: int
    data: msgspec.Raw
    """The dataclass, a map of field to value."""
    bag: msgspec.Raw
    """Django's mapping, a map of key to value."""
    authenticated: int | None = None
    until: int | None = None
    """The absolute end, which never moves."""
    client: Client | None = None
    lease: Lease | None = None
    """Who has the session for itself. Stores keep it, and do nothing about it."""
    place: int = 0
    """Which of the user's sessions came first: when the user signed in, in milliseconds."""
    earlier: str = ""
    """The nonces of the last saves before this one, so that a save whose reply was lost recognises its own work also
    when others have saved since. A store where nothing is sent twice need not keep them."""

    def marks(self) -> str:
        """``earlier`` of the save that comes next."""
        return (self.nonce + self.earlier)[: _REMEMBERED * len(self.nonce)]

    def follows(self, record: Record) -> bool:
        """Whether ``record`` was saved, and others over it since."""
        size = len(record.nonce)
        return record.nonce in (self.earlier[at : at + size] for at in range(0, len(self.earlier), size))

    def keeps_clocks_of(self, base: Record) -> bool:
        """Whether the save is no use of the session, so that what others have used it since must stay."""
        return (self.seen, self.expires) == (base.seen, base.expires)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Those of its client."""
        return self.client.addresses if self.client else ()

    def is_live(self, now: int) -> bool:
        return now < self.expires

    def overdue(self, now: int) -> EndReason | None:
        """Which timeout the record has reached, if any."""
        if now < self.expires:
            return None
        absolute = self.until is not None and self.expires >= self.until
        return EndReason.EXPIRED_ABSOLUTE if absolute else EndReason.EXPIRED_IDLE


class Tombstone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is left under the key of a session that ended: nothing of it but when, and why."""

    format: int
    ended: int
    reason: EndReason
    nonce: str = ""
    """Of the save that replaced it, so that a replacement whose reply was lost recognises its own work."""


class Claimed(Tombstone, frozen=True, kw_only=True, omit_defaults=True):
    """A tombstone that still has the last state, because somebody is about to announce the end."""

    holder: str
    until: int
    """When somebody else may take it over."""
    last: msgspec.Raw
    """The record, as it was stored; ``null`` if that could not be read."""


def outlives(record: Record, reason: EndReason, now: int) -> int:
    """Seconds for which a tombstone has to stay in place of ``record``.

    Whoever has ended a session knows of it, and so does a browser that was given a new token. Other visitors may come
    back as late as the session would have waited for them, and have to be told what became of it.
    """
    is_known = reason in (EndReason.LOGGED_OUT, EndReason.ROTATED)
    return TOMBSTONE_LIFE if is_known else max(TOMBSTONE_LIFE, record.expires - now)


def new_nonce() -> str:
    return secrets.token_hex(4)
