"""What must be stored, told from what was acknowledged: sessions by id, each with the content that the rules make."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tests.state_machine.sessions import Content, Refused, merge, undone
from tests.state_machine.worlds import Stored
from typed_sessions import EndReason, SessionMode
from typed_sessions.stores.base import Conflict, Gone, Outcome, Saved
from typed_sessions.stores.record import GRACE, LINGER, TOMBSTONE_LIFE, Lease, Record, Tombstone
from typed_sessions.stores.redis import INDEX_LAG

IDLE = {SessionMode.TEMP: 600, SessionMode.PERM: 1800}
ABSOLUTE = 3600
ROTATION_WINDOW = 60
LATE = 60
"""Seconds between the last look at the clock and the command, at most."""
_SLACK = 30
"""Seconds by which a key may be gone early, because servers live in real time too."""


@dataclass
class Known:
    """A session that was stored."""

    record: Record
    """The last save that was acknowledged, with its clocks as they were moved since."""
    content: Content
    ended: EndReason | None = None
    ended_at: int = 0
    is_forgotten: bool = False
    """Whether it is gone without a tombstone."""

    def copy(self) -> Known:
        return Known(self.record, self.content, self.ended, self.ended_at, self.is_forgotten)

    def is_swept(self, now: int) -> bool:
        """Whether the store may have removed it."""
        return now + _SLACK >= self.record.expires + LINGER


@dataclass
class Reader:
    """What one request has read, and made of it."""

    base: Content = field(default_factory=Content.empty)
    mine: Content = field(default_factory=Content.empty)
    user: str | None = None
    signs_in: bool = False
    is_passive: bool = False
    """Whether it does not make the session last longer."""
    begins_anew: bool = False
    """Whether it does again what it does, when somebody else has saved, so that there is nothing to merge."""
    has_loaded: bool = False
    has_read: bool = False
    """Whether there was a session to read."""
    is_outdated: bool = False
    """Whether the token was replaced a moment ago."""
    is_refused: bool = False
    """Whether it has changed what another request changed, and only one may."""
    lease: Lease | None = None
    """That it has the session for itself, as far as it knows."""
    is_overtaken: bool = False
    """Whether somebody else has had it since."""
    remembered: tuple[Content, Content] = field(default_factory=lambda: (Content.empty(), Content.empty()))

    def read(self, known: Known | None) -> None:
        self.base = known.content if known else Content.empty()
        self.mine = self.base.copy()
        self.user = known.record.user if known else None
        self.has_read = known is not None
        self.is_outdated = self.signs_in = False

    def meet(self, theirs: Known) -> None:
        """Somebody else has saved since."""
        lease = theirs.record.lease
        self.is_overtaken = self.lease is not None and (lease is None or lease.holder != self.lease.holder)
        if self.begins_anew:
            self.read(theirs)
        elif not self.is_overtaken:
            try:
                self.mine = merge(self.base, self.mine, theirs.content)
            except Refused:
                self.is_refused = True
            self.base = theirs.content

    @property
    def has_unsaved(self) -> bool:
        return self.mine != self.base

    def remember(self) -> None:
        """An exclusive part begins."""
        self.remembered = self.base, self.mine.copy()

    def undo(self) -> None:
        """What was not saved in an exclusive part is as before it."""
        self.mine = undone(self.base, self.mine, *self.remembered)


@dataclass
class Call:
    """A verb of the store that is under way."""

    verb: str
    args: tuple[Any, ...]
    reader: Reader
    is_done: bool = False
    """Whether the store has done it already, and what is still missing is the reply."""
    versions: list[Known | None] = field(default_factory=list)
    """What was there while it was under way: an answer may be older than what is there when it comes."""

    @property
    def about(self) -> str:
        """The id of the session that is read, or has to be there."""
        about = self.args[1] if self.verb in ("save", "replace") else self.args[0]
        return str(getattr(about, "id", about))


class Model:
    """The sessions, and what they answer to the verbs."""

    def __init__(self, breaks_rotations: bool) -> None:
        self.now = 0
        self.sessions: dict[str, Known] = {}
        self.breaks_rotations = breaks_rotations

    # Looking at all that is stored

    def check(self, stored: Stored) -> None:
        """Each session is there with its content and clocks, those that are over are not, and there are no others."""
        for session_id, there in stored.items():
            known = self.sessions.get(session_id)
            assert known is not None, f"I8: nobody has stored {there}"
            if isinstance(there, Tombstone):
                assert known.ended, f"I6: {session_id} has not ended, and there is {there}"
            elif known.ended is None:
                self._check_record(known, there)
            else:  # it has expired for good, and nobody has swept it yet
                assert known.ended.status.value == "expired", f"I3: {session_id} ended, and is back: {there}"
                assert there.expires + GRACE <= self.now, f"I3: {session_id} expired, and is back: {there}"
        for session_id, known in self.sessions.items():
            if known.ended is None and session_id not in stored:
                self._forget(session_id, known)

    def _check_record(self, known: Known, there: Record) -> None:
        assert there.revision == known.record.revision, f"I7: {there.revision} is not {known.record.revision}"
        assert _envelope(there) == _envelope(known.record), f"I6: {there} is not {known.record}"
        assert Content.of(there) == known.content, f"I6: {Content.of(there)} is not {known.content}"

    def _forget(self, session_id: str, known: Known) -> None:
        assert known.is_swept(self.now), f"I2: {session_id} is lost"
        known.ended, known.ended_at, known.is_forgotten = EndReason.EXPIRED_IDLE, self.now, True

    def pass_time(self, now: int) -> None:
        """What expired longer than the grace ago is over for ever, whether or not it was swept: as soon as nobody can
        be about to save it who has looked in time.
        """
        self.now = now
        self._expire(now - GRACE - LATE)

    def _expire(self, moment: int, left: AbstractSet[str] = frozenset()) -> None:
        for session_id, known in self.sessions.items():
            if known.ended is None and session_id not in left and (reason := known.record.overdue(moment)):
                known.ended, known.ended_at, known.is_forgotten = reason, known.record.expires, True

    def reaped(self, stored: Stored) -> None:
        """A reaper has been there: what was over is over for ever, and no record is left of it. The index, by which it
        goes, may be behind the records for a moment.
        """
        left = {session_id for session_id, found in stored.items() if isinstance(found, Record)}
        self._expire(self.now - GRACE, left)
        for session_id, known in self.sessions.items():
            is_late = known.ended is None and known.record.expires > self.now - GRACE - INDEX_LAG - LATE
            assert is_late or session_id not in left, f"I9: {session_id} is left"

    def live(self) -> list[Known]:
        return [known for known in self.sessions.values() if known.ended is None and known.record.is_live(self.now)]

    # Answers of the store

    def begin(self, verb: str, args: tuple[Any, ...], reader: Reader) -> Call:
        call = Call(verb, args, reader)
        self.remember(call)
        return call

    def remember(self, call: Call) -> None:
        """What is there now may be what the store answers."""
        known = self.sessions.get(call.about)
        call.versions.append(known.copy() if known else None)

    def settle(self, call: Call, stored: Stored, is_over: bool = True) -> None:
        """Finds out whether the store has done what it has not answered: both are possible.

        `is_over` if nothing more will come of it.
        """
        if call.is_done:
            return
        if call.verb in ("create", "save") and _has(stored, call.args[0]):
            self._store(call)
        elif call.verb == "replace" and _has(stored, call.args[0]):
            record, base = call.args
            was_there = self._there(base.id) is not None or self._may_be_gone(base.id)
            if was_there and not isinstance(stored.get(base.id), Record):
                self._store(call)
            elif is_over:  # and nobody knows the token of the new one
                assert self.breaks_rotations, f"I8: {record.id} is there beside, or after, {base.id}"
                self._put(record, call.reader)
        elif call.verb == "touch":
            self._settle_touch(call, stored.get(call.args[0].id))
        elif call.verb == "end" and self._there(call.args[0]) and not isinstance(stored.get(call.args[0]), Record):
            self._bury(call)

    def _settle_touch(self, call: Call, there: Record | Tombstone | None) -> None:
        known = self.sessions.get(call.args[0].id)
        if known and isinstance(there, Record) and _envelope(there) != _envelope(known.record):
            self._move(call)

    def acknowledge(self, call: Call, answer: Any, is_repeated: bool = False) -> None:
        """Checks what the store has answered, and takes it for done."""
        match call.verb:
            case "load":
                self._loaded(call, answer)
            case "create":
                assert answer is True, f"I8: {call.args[0].id} was taken"
                if not call.is_done:
                    may_begin = call.reader.signs_in or not call.reader.is_outdated
                    assert may_begin, f"I8: {call.args[0]} beside its successor"
                    self._store(call)
            case "save" | "replace":
                self._saved(call, answer)
            case "touch":
                if not call.is_done:
                    known = self._there(call.args[0].id)
                    assert answer is (known is not None) or self._may_be_gone(call.args[0].id)
                    if answer:
                        self._move(call)
            case "end":
                self._ended(call, answer, is_repeated)

    def _there(self, session_id: str) -> Known | None:
        known = self.sessions.get(session_id)
        return known if known and known.ended is None else None

    def _may_be_gone(self, session_id: str) -> bool:
        """Whether it makes no difference that it is over: it is for ever, and was not swept yet; or the reverse."""
        known = self.sessions.get(session_id)
        if known is None:
            return False
        is_over = self.now + _SLACK >= known.record.expires + GRACE  # the store may have it for much longer
        return is_over and known.ended in (
            None, EndReason.EXPIRED_IDLE, EndReason.EXPIRED_ABSOLUTE
        )  # fmt: skip

    def _loaded(self, call: Call, answer: Record | Tombstone | None) -> None:
        (session_id,) = call.args
        known = self.sessions.get(session_id)
        fitting = [version for version in (known, *call.versions) if self._tells(version, answer)]
        assert fitting, f"I6: {answer} was read instead of {known}"
        found = fitting[0]
        if call.reader.has_loaded:  # and waits for its turn
            if found is not None and isinstance(answer, Record):
                call.reader.meet(found)
            return
        call.reader.read(found if isinstance(answer, Record) and answer.is_live(self.now) else None)
        is_rotated = isinstance(answer, Tombstone) and answer.reason is EndReason.ROTATED
        call.reader.is_outdated = is_rotated and found is not None and self.now - found.ended_at < ROTATION_WINDOW

    def _tells(self, known: Known | None, answer: Record | Tombstone | None) -> bool:
        """Whether a store that knows `known` may answer so."""
        if known is None:
            return answer is None
        if isinstance(answer, Tombstone):
            return answer.reason is known.ended or known.is_forgotten
        if answer is None:
            return known.is_forgotten or known.is_swept(self.now) or self.now + _SLACK > known.ended_at + TOMBSTONE_LIFE
        if known.ended is not None:
            return known.is_forgotten and answer.expires + GRACE <= self.now
        return _envelope(answer) == _envelope(known.record) and Content.of(answer) == known.content

    def _saved(self, call: Call, answer: Outcome) -> None:
        record, base = call.args
        known = self._there(base.id)
        if known is None and record.authenticated and self._may_be_gone(base.id):
            known = self.sessions[base.id]  # who signs in takes along what was read in time, until it is swept
        if known is None and _is_about_lease(record, base) and self._may_be_gone(base.id):
            if isinstance(answer, Saved):
                self.sessions[base.id].record = record
            return  # it is over, and stays so
        if call.is_done:
            self._told_late(call, answer)
        elif isinstance(answer, Saved):
            assert known is not None, f"I3: {base.id} was over, and {record} was saved"
            assert _version(known.record) == _version(base), f"I7: {record} came after {base}, and not {known.record}"
            self._store(call)
        elif isinstance(answer, Conflict):
            there = [version for version in (known, *call.versions) if version and self._tells(version, answer.record)]
            assert there, f"I6: {answer.record} was read instead of {known}"
            assert _version(there[0].record) != _version(base), f"I7: {answer} in place of {base}"
            if not (call.verb == "save" and record.lease is None and _is_about_lease(record, base)):
                call.reader.meet(there[0])
        else:
            assert isinstance(answer, Gone)
            is_gone = known is None or known.is_swept(self.now) or self._may_be_gone(base.id)
            assert is_gone, f"I2: {base.id} is there, and {answer} was answered"

    def _told_late(self, call: Call, answer: Outcome) -> None:
        """The reply to a save that was done before others went on, or to its repetition after them."""
        record, _ = call.args
        known = self._there(record.id)
        if isinstance(answer, Conflict):
            assert known is not None and _version(known.record) != _version(record)
            call.reader.read(known)  # what this one has changed is in it
        elif isinstance(answer, Gone):
            assert known is None

    def _ended(self, call: Call, answer: Record | None, is_repeated: bool) -> None:
        known = self.sessions.get(call.args[0])
        if call.is_done:
            assert answer is None or known is None or self._is_last(known, answer)
            return
        there = self._there(call.args[0])
        if answer is None:
            assert there is None or is_repeated or there.is_swept(self.now), (
                f"{call.args[0]} is there, and was not ended"
            )
        else:
            assert known is not None and (there is not None or known.is_forgotten), f"{answer} was ended twice"
            assert self._is_last(known, answer), f"I6: {known} was ended, and not {answer}"
        if there is not None or answer is not None:
            self._bury(call)

    def _is_last(self, known: Known, answer: Record) -> bool:
        return _envelope(answer) == _envelope(known.record) and Content.of(answer) == known.content

    # What becomes of it

    def _store(self, call: Call) -> None:
        record, *others = call.args
        base = self.sessions[others[0].id] if others else None
        call.is_done = True
        if call.verb == "save" and base is not None:
            self._check_successor(record, base.record)
            self._check_lease(record, base.record.lease, call.reader)
            clocks = (
                _clocks(base.record) if _clocks(record) == _clocks(others[0]) else {}
            )  # it is no use of the session
            stored = msgspec.structs.replace(record, **clocks)
            if _is_about_lease(record, others[0]):
                self.sessions[record.id] = Known(stored, base.content)
                call.reader.lease = record.lease
                return
            self.sessions[record.id] = Known(stored, call.reader.mine.copy())
        else:
            self._put(record, call.reader)
        if call.verb == "replace" and base is not None:
            base.ended, base.ended_at = EndReason.ROTATED, self.now
        self._check_saved(record, others[0] if others else None, call.reader)
        call.reader.base = self.sessions[record.id].content
        call.reader.lease = record.lease if call.reader.lease else None
        call.reader.signs_in = False

    def _put(self, record: Record, reader: Reader) -> None:
        assert record.id not in self.sessions, f"I4: {record.id} was issued before"
        self.sessions[record.id] = Known(record, reader.mine.copy())

    def _check_successor(self, record: Record, base: Record) -> None:
        assert record.revision == base.revision + 1, f"I7: {record} follows {base}"

    def _check_lease(self, record: Record, lease: Lease | None, reader: Reader) -> None:
        """A lease is taken by one at a time, given back by who has it, and not touched by others."""
        if record.lease != lease and lease is not None:
            is_own = reader.lease is not None and lease.holder == reader.lease.holder
            assert is_own or (lease.until <= self.now and record.lease), f"{record} takes what is {lease}'s"

    def is_taken(self, session_id: str) -> bool:
        """Whether somebody else has the session for himself."""
        lease = self.sessions[session_id].record.lease
        return lease is not None and lease.until > self.now

    def _check_saved(self, record: Record, base: Record | None, reader: Reader) -> None:
        assert Content.of(record) == reader.mine, f"I6: {Content.of(record)} was saved, and not {reader.mine}"
        assert record.user == reader.user, f"I6: {record} is not of user {reader.user}"
        assert record.until is None or record.expires <= record.until, f"I10: {record}"
        expires = min(record.modified + IDLE[record.mode], record.until or 1 << 40)
        if base is not None and reader.is_passive and not reader.signs_in:
            expires = base.expires
        assert record.expires == expires, f"I10: {record} after {base}"

    def _move(self, call: Call) -> None:
        record, seen, expires = call.args
        known = self.sessions[record.id]
        latest = known.record
        known.record = msgspec.structs.replace(
            latest, seen=max(seen, latest.seen), expires=max(expires, latest.expires)
        )
        call.is_done = True

    def _bury(self, call: Call) -> None:
        session_id, reason, now, *_ = call.args
        known = self.sessions[session_id]
        known.ended, known.ended_at = reason, now
        call.is_done = True


def _has(stored: Stored, record: Record) -> bool:
    there = stored.get(record.id)
    return isinstance(there, Record) and _version(there) == _version(record)


def _is_about_lease(record: Record, base: Record) -> bool:
    """Whether that is all there is to a save."""
    return record.lease != base.lease and (record.data, record.bag, record.modified) == (
        base.data, base.bag, base.modified
    )  # fmt: skip


def _version(record: Record) -> tuple[int, str]:
    return record.revision, record.nonce


def _clocks(record: Record) -> dict[str, int]:
    return {"seen": record.seen, "expires": record.expires}


def _envelope(record: Record) -> tuple[Any, ...]:
    return tuple(getattr(record, name) for name in record.__struct_fields__ if name not in ("data", "bag", "earlier"))
