"""Django's session API over records: what every engine does, whichever store it stands on.

Sync and async methods are the same flow, driven in two ways. ``request.session`` is the untyped bag, and
``request.session.typed_session`` the dataclass; both are parts of one record, read and written together.
"""

from __future__ import annotations

import logging
import secrets
import time
from contextlib import suppress
from typing import Any

from .. import clock, conf
from ..exceptions import SessionBusy, StoreUnavailable
from ..flows import Flow, Step, adrive, drive
from ..stores.base import Conflict, Gone, Outcome, Saved
from ..stores.record import Lease, Record
from . import patience, records
from .facts import Restraint
from .reaping import Reaped, reaping
from .restrained import AS_STORED
from .saved import Commit, SavedSession, Turn

__all__ = ["Commit", "SessionStore"]

logger = logging.getLogger("typed_sessions")


class SessionStore(SavedSession):
    """The base of the engines' ``SessionStore``; an engine says which ``store`` it uses."""

    def cycle_key(self) -> None:
        """A new token for the same content. In a request it is stored with the response, so that an error undoes it."""
        drive(self._cycling())

    async def acycle_key(self) -> None:
        await adrive(self._cycling())

    def _cycling(self) -> Flow[None]:
        self._refuse_change()
        if self.is_committed:
            return  # the client could not be told
        self.accessed = True
        if self._copy is None:
            yield from self._opening()
            self._refuse_change()
        self._facts.bag = self._opened.read_bag() if self._facts.bag is None else self._facts.bag
        self._issue(self.mode)
        self.modified = True
        if not self.is_bound:
            yield from self._saving()

    # Having the session for oneself. The lease is a part of the record, taken and given back by saves like any other:
    # whoever overstays finds the record changed, so that no clock need be trusted for it. Both are flows, and driven by
    # the ends of a stretch of the request.

    def take_lease(self, wait: float, seconds: int) -> Flow[None]:
        """Waits until no other request has the session for itself, ``wait`` seconds at most, and has it then, for
        ``seconds`` at most. A session that is not stored has nobody to share it with.

        Raises ``SessionBusy`` when the wait is over, and ``UpdateError`` if the session has ended meanwhile.
        """
        self._access()
        if self._copy is None:
            yield from self._opening()
        if self._turn is None and self._opened.record is not None:
            self._holder = self._holder or secrets.token_hex(8)
            yield from self._waiting_for_lease(wait, seconds)
        self._leases += 1
        self._turn = self._turn or Turn(self._as_it_is(), set(self._changed_since(AS_STORED)), self.modified)

    def give_lease_back(self, saves: bool) -> Flow[None]:
        """The end of ``take_lease``; ``saves`` what has changed in the same write, or else undoes it."""
        self._leases -= 1
        turn = self._turn
        if self._leases or turn is None:
            return
        is_held = self._lease is not None
        self._lease = None  # from here on a save gives it back
        try:
            if not saves:
                self.undo(turn.before, turn.pending)
                self.modified = turn.modified
            elif is_held and self._has_to_be_saved():
                yield from self._saving()
                self.modified = False
        finally:
            yield from self._freeing(self._opened.record)
            self._turn = None

    def _waiting_for_lease(self, wait: float, seconds: int) -> Flow[None]:
        deadline = time.monotonic() + wait
        while True:
            if self._is_over():
                yield from self._looking_for_later_use()
            record, now = self._opened.record, clock.now()
            assert record is not None
            if record.lease is None or record.lease.is_over(now) or record.lease.holder == self._holder:
                # Its seconds begin with the next full one.
                lease = Lease(holder=self._holder, until=now + 1 + seconds)
                try:
                    outcome = yield from self._putting(record, lease)
                except BaseException:  # such as of a task that is cancelled: it may have been taken all the same
                    with suppress(StoreUnavailable):
                        found = yield from self._looking_again(record)
                        yield from self._freeing(found.record if isinstance(found, Conflict) else None)
                    raise
                if isinstance(outcome, Saved):
                    self._lease = lease
                    return
            elif time.monotonic() < deadline:
                yield patience.pause()
                outcome = yield from self._looking_again(record)
            else:
                raise SessionBusy(record.id, wait)
            if isinstance(outcome, Gone):
                raise self._gone(outcome.tombstone)
            with self.unrestrained():
                self._merge(outcome.record)
            self._facts.record = outcome.record

    def _putting(self, base: Record, lease: Lease | None) -> Flow[Outcome]:
        """Stores ``base`` with another lease, and nothing else of it changed."""
        record = records.following(base, lease=lease)
        outcome: Outcome = yield Step(self.store.save, self.store.asave, (record, base))
        if isinstance(outcome, Saved) and base is self._opened.record:
            self._opened.record = self._facts.record = record
        return outcome

    def _has_to_be_saved(self) -> bool:
        if self._facts.restraint is Restraint.READ_ONLY or self._opened.record is None:  # or it has ended
            return False
        if self._facts.is_rotated or self.modified:
            return True
        return conf.settings().save == "auto" and self._opened.content(self._facts.bag) is not None

    def _freeing(self, base: Record | None) -> Flow[None]:
        """Gives back a lease that no save has given back. What others have stored stays for the next save to merge."""
        try:
            while base is not None and self._is_holder(base):
                outcome = yield from self._putting(base, None)
                base = outcome.record if isinstance(outcome, Conflict) else None
        except StoreUnavailable as error:  # it runs out by itself, and there may be another error to tell
            logger.warning("Session %s: its lease could not be given back: %s", self._facts.id, error)

    def leave(self, is_good: bool) -> None:
        """The view is over, also for what a response that was not rendered has left open. ``is_good`` unless the answer
        says that something went wrong.
        """
        drive(self._leaving(is_good))

    async def aleave(self, is_good: bool) -> None:
        await adrive(self._leaving(is_good))

    def _leaving(self, is_good: bool) -> Flow[None]:
        self.enable()
        while self._read_only_depth:
            self.end_read_only()
        if self._turn is not None:
            self._leases = 1
            yield from self.give_lease_back(is_good)
        if not is_good:
            yield from self.releasing()  # whoever has signed in has not

    def __reduce__(self) -> Any:
        raise TypeError("A session is not pickled, because its token would go along. Pickle its typed_session.")

    # Housekeeping

    @classmethod
    def clear_expired(cls) -> None:
        """Tells of the sessions that have expired, and removes them, as ``manage.py clearsessions`` does."""
        drive(cls().reap())

    @classmethod
    async def aclear_expired(cls) -> None:
        await adrive(cls().reap())

    def reap(self, limit: int | None = None, lease: int = 60, batch: int = 200) -> Flow[Reaped]:
        """As ``live_sessions.reap``, for whoever drives it."""
        return reaping(self, limit, lease, batch)
