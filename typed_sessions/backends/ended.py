"""Ending a session: by who asks for it, and what else its browser is signed in with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .. import tokens
from ..flows import Flow, adrive, drive
from ..states import EndReason, SessionStatus
from ..stores.record import Record
from .endings import ending, spreading, telling
from .facts import Facts
from .restrained import RestrainedSession


class EndedSession(RestrainedSession):
    """A session that can end."""

    _ended: tuple[tuple[str, EndReason, str | None], ...] = ()
    _flush_reason = EndReason.LOGGED_OUT

    @contextmanager
    def flushing_because(self, reason: EndReason) -> Iterator[None]:
        """Within it, ``flush`` ends the session for ``reason``."""
        self._flush_reason = reason
        try:
            yield
        finally:
            self._flush_reason = EndReason.LOGGED_OUT

    def delete(self, session_key: str | None = None) -> None:
        drive(self._deleting_alone(session_key))

    async def adelete(self, session_key: str | None = None) -> None:
        await adrive(self._deleting_alone(session_key))

    def flush(self) -> None:
        """Ends this session and what else this browser is signed in with; what follows begins anew."""
        drive(self._flushing())

    async def aflush(self) -> None:
        await adrive(self._flushing())

    def _deleting_alone(self, session_key: str | None) -> Flow[None]:
        for session_id in (yield from self._deleting(session_key, EndReason.LOGGED_OUT))[-1:]:
            yield from spreading(self.store, session_id)

    def _deleting(self, session_key: str | None, reason: EndReason) -> Flow[list[str]]:
        token = tokens.read(session_key or self._key)
        ids = [token.id] if token and not token.is_blank else []
        record = self._facts.record
        if session_key is None and record is not None and record.id not in ids:
            ids.append(record.id)
        for session_id in ids:
            user = record.user if record is not None and record.id == session_id else None
            if self.store.is_provisional:
                self._ended += ((session_id, reason, user),)
            yield from ending(self, session_id, reason, user, self.request)
        return ids

    def _flushing(self) -> Flow[None]:
        reason = self._flush_reason
        if self.is_without_store:
            raise self._facts.refusal(())  # or who signs out would believe to be out
        ids = yield from self._deleting(None, reason)
        ids += yield from self._ending_superseded(reason)
        # Before anything is forgotten: until replicas know of it, whoever signs out is told to try again.
        for session_id in (ids or self._shown_ids())[-1:]:
            yield from spreading(self.store, session_id)
        # The object that views may still hold keeps showing the session that has ended.
        self._facts.status, self._facts.end_reason = SessionStatus.ENDED, reason
        self._outdated = None
        self._facts, former = Facts(), self._facts
        self._facts.restraint, former.restraint = former.restraint, None
        if reason is not EndReason.LOGGED_OUT:  # nobody has asked for this end, so that it has to be told
            self._facts.status, self._facts.end_reason = SessionStatus.ENDED, reason
        self._copy = self._new_copy(None)
        self._facts.bag = {}
        self._set_key(None)
        self._forget_sign_in()
        self.accessed = self.modified = self.is_flushed = True

    def _shown_ids(self) -> list[str]:
        """The id of the token that was presented, whatever it opens."""
        token = tokens.read(self._presented.token) if self._presented is not None else None
        return [token.id] if token is not None and not token.is_blank else []

    def _forget_sign_in(self) -> None:
        """Whoever has signed in during this request has no session for it any more."""
        self._former = None
        self.has_signed_in = self.is_claimed = False

    def confirm(self) -> None:
        """Ends once more what was ended within a transaction, which may have been rolled back since."""
        drive(self._confirming())

    async def aconfirm(self) -> None:
        await adrive(self._confirming())

    def _confirming(self) -> Flow[None]:
        ended, self._ended = self._ended, ()
        for session_id, reason, user in ended:
            yield from ending(self, session_id, reason, user, self.request)

    def _ending_superseded(self, reason: EndReason) -> Flow[list[str]]:
        """Ends what this client's token of the other mode opens."""
        if self._presented is None:
            return []
        superseded, self._presented = self._presented.superseded, self._presented._replace(other=None)
        for session_id in superseded:
            yield from ending(self, session_id, reason)
        return list(superseded)

    def _telling_of_replacement(self, replaced: Record) -> Flow[None]:
        """``replaced`` has ended by having been stored under another token."""
        yield from telling(self, replaced, EndReason.ROTATED, self.request)
