"""Saving: what has changed goes into the record, and over what another request has stored meanwhile."""

from __future__ import annotations

from collections.abc import Set
from contextlib import suppress
from datetime import timedelta
from enum import Enum
from typing import Any, Final, Literal, NamedTuple

import msgspec
from django.conf import settings as django_settings
from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.backends.base import CreateError, UpdateError

from .. import clock, conf, hooks, telemetry, tokens
from ..codec import configured_codec
from ..exceptions import SessionConflict, SessionLeaseLost, StoreUnavailable, UnreadableRecord
from ..flows import Flow, Step, adrive, drive
from ..session import TypedSession, attach
from ..states import EndReason, SessionMode, SessionStatus
from ..stores.base import Conflict, Gone, Outcome
from ..stores.record import FORMAT, GRACE, Lease, Record, Tombstone
from ..working_copy import Content, WorkingCopy
from . import limits, patience, records, revocations
from .endings import spreading
from .owned import OwnedSession
from .restrained import AS_STORED, Before

_ATTEMPTS: Final = 3
"""New tokens that may be found taken, which would be a wonder."""
_CUSTOM_EXPIRY: Final = b"_session_expiry"
"""Where Django's ``set_expiry`` keeps what it was told."""
_LATEST: Final = 4_102_444_800
"""2100-01-01: the end of what counts as for ever, and fits the clocks of both formats."""


class Commit(Enum):
    """What the end of a request did to the store."""

    NOTHING = "nothing"
    TOUCHED = "touched"
    SAVED = "saved"


class Turn(NamedTuple):
    """What there was when a request got the session for itself."""

    before: Before
    pending: Set[str]
    """What had been changed by then, and was not stored."""
    modified: bool


class SavedSession(OwnedSession):
    """A session that can be stored."""

    _leases = 0
    _turn: Turn | None = None
    """While this request has the session for itself."""
    _holder = ""
    _lease: Lease | None = None
    """While it is there, what is saved keeps the session for this request."""

    def get_cookie_age(self) -> int | None:
        """Seconds that the browser is to keep the cookie; ``None`` until it closes."""
        custom = self._custom_expiry()
        if custom == 0 or (
            custom is None and self.mode is SessionMode.TEMP and django_settings.SESSION_EXPIRE_AT_BROWSER_CLOSE
        ):
            return None
        record = self._facts.record
        return self.get_expiry_age() if record is None else max(0, record.expires - clock.now())

    def get_session_cookie_age(self) -> int:
        """The idle lifetime in seconds, by the session's mode."""
        settings = conf.settings()
        own = self._own_lifetime("lifetime")
        if own is not None:
            return own
        return settings.perm_seconds if self.mode is SessionMode.PERM else settings.temp_seconds

    def _own_lifetime(self, name: Literal["lifetime", "absolute_lifetime"]) -> int | None:
        """What the session class says of it, in seconds."""
        session_class = configured_codec(self.store.format).session_class
        if getattr(session_class, name) is getattr(TypedSession, name):
            return None  # so that nothing has to be decoded for it
        # Who asks before anything is loaded must not take the place of that.
        session = session_class() if self._copy is None else self._copy.session
        attach(session, self._facts)
        own: object = getattr(session, name)()
        if own is None:
            return None
        if not isinstance(own, timedelta) or not timedelta(seconds=1) <= own <= conf.LONGEST_LIFETIME:
            raise TypeError(
                f"{session_class.__name__}.{name}() must be a timedelta of one second to ten years, or None, "
                f"and not {own!r}."
            )
        return int(own.total_seconds())

    # Saving

    def create(self) -> None:
        drive(self._creating())

    async def acreate(self) -> None:
        await adrive(self._creating())

    def save(self, must_create: bool = False) -> None:
        """Stores what has changed. Raises ``UpdateError`` if the record is gone, and then stores nothing."""
        drive(self._saving_as_told(must_create))

    async def asave(self, must_create: bool = False) -> None:
        await adrive(self._saving_as_told(must_create))

    def commit(self) -> Commit:
        """The end of a request: saves what has changed, slides the idle timeout when that is due, or does nothing."""
        return drive(self._committing())

    async def acommit(self) -> Commit:
        return await adrive(self._committing())

    def _saving_as_told(self, must_create: bool) -> Flow[None]:
        if self._copy is None and (self.is_bound or not must_create):
            yield from self._opening()
        is_known = self._facts.record is not None and not self._facts.is_rotated and not must_create
        if not (self.is_committed and is_known):  # it needs no cookie
            self._refuse_change()
        yield from self._saving(must_create)

    def _creating(self) -> Flow[None]:
        self._refuse_change()
        if self._copy is None and self.is_bound:
            yield from self._opening()  # which tells whether the browser has a newer token
        if self._facts.is_rotated:  # a new record is on its way already
            yield from self._replacing()
            return
        self._facts.record = None
        if self._copy is not None and self._copy.record is not None:
            self._copy = self._detached(self._copy)
        self._issue(self.mode)
        yield from self._inserting(must_create=True)
        self.modified = True

    def _detached(self, copy: WorkingCopy[TypedSession]) -> WorkingCopy[TypedSession]:
        """The content of ``copy`` as that of a session that is not stored."""
        _ = self._session_cache
        detached = self._new_copy(None)
        detached.session = copy.session
        return detached

    def _storing(self, must_create: bool) -> Flow[Commit]:
        self.part_with_former_user()
        if self._key is None:
            self._issue(self.mode)
            self.modified = True  # as in Django, where a first save is a create()
        if must_create or self._opened.record is None:
            if self._authenticated_now:
                yield from self._ending_superseded(EndReason.ROTATED)
            yield from self._inserting(must_create)
            return Commit.SAVED
        if self._facts.is_rotated:
            yield from self._replacing()
            return Commit.SAVED
        return (yield from self._updating())

    def _committing(self) -> Flow[Commit]:
        if self._refusal is not None:
            return Commit.NOTHING
        if self.is_without_store:
            self._refuse_content()
            return Commit.NOTHING
        self.part_with_former_user()
        wanted = self.modified or (django_settings.SESSION_SAVE_EVERY_REQUEST and not self.was_disabled)
        if wanted and self._copy is None:
            yield from self._opening()
        if not (self.accessed or wanted) or self.is_empty():
            return Commit.NOTHING
        if self._copy is not None:
            yield from self._reporting_unreadable()
        automatic = conf.settings().save == "auto" and self._copy is not None
        record = self._facts.record
        if wanted or self._facts.is_rotated or (automatic and record is None and self._has_content()):
            return (yield from self._saving())
        if automatic and record is not None:
            content = self._opened.content(self._facts.bag)
            if content is not None:
                return (yield from self._updating(content))
        if record is not None and self._is_touch_due(record):
            # Nothing was changed, so nothing is lost if it is gone: the visitor's next request will be told.
            touched = yield from self._touching(record)
            return Commit.TOUCHED if touched else Commit.NOTHING
        return Commit.NOTHING

    def _refuse_content(self) -> None:
        """What was changed, and cannot be stored, is not to be lost in silence."""
        if self._has_content():
            raise self._facts.refusal(self._changed_since(AS_STORED))

    def _has_content(self) -> bool:
        return bool(self._facts.bag) or self._opened.has_changed_fields()

    def _saving(self, must_create: bool = False) -> Flow[Commit]:
        try:
            return (yield from self._storing(must_create))
        except Exception:
            yield from self.releasing()  # nothing is stored that would need the place
            raise

    def _inserting(self, must_create: bool) -> Flow[None]:
        if self._outdated is not None and not self._authenticated_now:
            raise self._gone(self._outdated)
        typed, is_sign_in = self._typed(), self._authenticated_now
        yield from self._reporting_unreadable()
        yield from hooks.tell("on_created", typed, self.request)
        for _ in range(_ATTEMPTS):
            if self._facts.token is None:  # save(must_create=True) with a key of the caller's choice
                self._facts.token = tokens.read(self._key)
            if self._facts.token is None:
                self._issue(self.mode)
            content = self._opened.content(self._facts.bag or {})
            assert content is not None and self._facts.id is not None
            record = self._next_record(content, None)
            if (yield Step(self.store.create, self.store.acreate, (record,))):
                self._stored(record)
                telemetry.counters.add("created")
                telemetry.log("created", tokens.shown(record.id), user=record.user)
                yield hooks.send("on_created", typed, self.request)
                if is_sign_in:
                    yield from self._taking_place(record)
                return
            if must_create:
                raise CreateError
            self._issue(self.mode)
        raise CreateError(f"No new session could be stored in {_ATTEMPTS} attempts.")

    def _updating(self, content: Content | None = None) -> Flow[Commit]:
        """Stores ``content``, which is what has changed if it is not known yet."""
        yield from self._reporting_unreadable()
        for pause in patience.tries(self._facts.record.id if self._facts.record else ""):
            if pause:
                yield pause
            copy = self._opened
            if self._is_over():
                yield from self._looking_for_later_use()
                content = None
            assert copy.record is not None
            content = content or copy.content(self._facts.bag)
            if content is None and self.is_passive:
                return Commit.NOTHING
            if content is None:
                if not (yield from self._touching(copy.record)):
                    raise self._gone(None)
                return Commit.TOUCHED
            record = self._next_record(content, copy.record)
            outcome = yield Step(self.store.save, self.store.asave, (record, copy.record))
            if self._settled(outcome, record):
                return Commit.SAVED
            content = None
        raise self._outrun()

    def _replacing(self) -> Flow[None]:
        """Stores the session under its new token, and ends it under the old one."""
        yield from self._reporting_unreadable()
        # First, so that there are never two sessions of which the browser knows one, whatever fails (REQ-S18).
        yield from self._ending_superseded(EndReason.ROTATED)
        for pause in patience.tries(self._facts.record.id if self._facts.record else ""):
            if pause:
                yield pause
            copy = self._opened
            if self._is_over() and not self._authenticated_now:
                yield from self._looking_for_later_use()
            replaced = copy.record
            assert replaced is not None
            record = self._next_record(copy.content(self._facts.bag) or _content_of(replaced), replaced)
            outcome = yield Step(self.store.replace, self.store.areplace, (record, replaced))
            if isinstance(outcome, Gone) and (self._authenticated_now or self._has_outlived(outcome)):
                # Whoever has just shown credentials signs in, whatever became of the session before it.
                yield Step(self.store.create, self.store.acreate, (record,))
                self._stored(record)  # its id is of this very request: nobody else can have taken it
                yield from self._taking_place(record)
                return
            is_sign_in = self._authenticated_now
            if self._settled(outcome, record):
                yield from self._telling_of_replacement(replaced)
                yield from revocations.noting(self.store, replaced.id, EndReason.ROTATED, record.modified)
                yield from spreading(self.store, replaced.id)
                if is_sign_in:
                    yield from self._taking_place(record)
                return
        raise self._outrun()

    def _taking_place(self, record: Record) -> Flow[None]:
        """Somebody has signed in, which may be once too often."""
        yield from limits.enforcing(self, record)
        yield from self.releasing()

    def _has_outlived(self, gone: Gone) -> bool:
        """Whether it was ended for an old password, which is the one that this very request has changed."""
        changes = self._opened.read_bag().get(HASH_SESSION_KEY) != (self._facts.bag or {}).get(HASH_SESSION_KEY)
        return gone.tombstone is not None and gone.tombstone.reason is EndReason.PASSWORD_CHANGED and changes

    def _outrun(self) -> StoreUnavailable:
        return StoreUnavailable(f"Session {self._facts.id}: for {patience.SECONDS} s other requests' saves came first")

    def _settled(self, outcome: Outcome, record: Record) -> bool:
        """Whether a save is done; after a conflict it is merged, and to be tried again."""
        if isinstance(outcome, Gone):
            raise self._gone(outcome.tombstone)
        if isinstance(outcome, Conflict):
            telemetry.counters.add("conflicts")
            self._merge(outcome.record)
            return False
        self._stored(record)
        return True

    def _merge(self, theirs: Record) -> None:
        assert self._opened.record is not None
        if self._turn and self._is_holder(self._opened.record) and not self._is_holder(theirs):
            self._lease = None
            self._give_up(theirs)
            raise SessionLeaseLost(theirs.id)
        try:
            self._opened.merge(theirs, self._facts.bag)
        except SessionConflict:
            self._give_up(theirs)
            raise

    def _give_up(self, theirs: Record) -> None:
        """What this request has changed is dropped: the session is as another one left it, and a view may go on so."""
        is_undone = self._facts.is_rotated
        self._opened.take_over(theirs, self._facts.bag)
        if is_undone:
            self.take_sign_in_back()
        self._facts.record = theirs
        self.modified = False

    def _stored(self, record: Record) -> None:
        telemetry.counters.add("writes")
        self._opened.rebase(record)
        self.has_later_end |= _moves_end(record, self._facts.record)
        self._facts.record = record
        self._facts.status = SessionStatus.LIVE
        self._facts.end_reason = self._facts.signed_in = self._former = None
        self._has_changed_hands = False
        self._authenticated_now = False
        if self._turn is not None:  # what is stored is not taken back
            self._turn = Turn(self._as_it_is(), set(), modified=False)

    def _gone(self, tombstone: Tombstone | None) -> UpdateError:
        session_id = self._facts.id
        if tombstone is not None:
            self._facts.status, self._facts.end_reason = tombstone.reason.status, tombstone.reason
        return UpdateError(f"Session {session_id} ended while this request was using it; its changes were not saved.")

    def _is_over(self) -> bool:
        """Whether the session was loaded in time, and has expired since, by all that this request knows of it."""
        record = self._opened.record
        return record is not None and not record.is_live(clock.now() - GRACE)

    def _looking_for_later_use(self) -> Flow[None]:
        """Who held a session until it was over does not bring it back, unless others have used it meanwhile."""
        assert self._opened.record is not None
        found = yield from self._looking_again(self._opened.record)
        if isinstance(found, Gone):
            raise self._gone(found.tombstone)
        if reason := found.record.overdue(clock.now() - GRACE):
            raise self._gone(Tombstone(format=FORMAT, ended=found.record.expires, reason=reason))
        self._merge(found.record)
        self._facts.record = found.record

    def _looking_again(self, record: Record) -> Flow[Conflict | Gone]:
        try:
            found = yield Step(self.store.load, self.store.aload, (record.id,))
        except UnreadableRecord:
            found = None
        return Conflict(found) if isinstance(found, Record) else Gone(found)

    def _touching(self, record: Record) -> Flow[bool]:
        now = clock.now()
        expires = max(record.expires, self._expiry(now, record.until))
        if not (yield Step(self.store.touch, self.store.atouch, (record, now, expires))):
            return False
        telemetry.counters.add("touches")
        moved = msgspec.structs.replace(record, seen=max(now, record.seen), expires=expires)
        self._opened.record = self._facts.record = moved
        self.has_later_end = True
        return True

    def _is_touch_due(self, record: Record) -> bool:
        settings = conf.settings()
        now = clock.now()
        is_due = settings.sliding and now - record.seen >= settings.touch_interval
        # What is over beyond the grace is not brought back by who held it for so long.
        return is_due and not self.is_passive and record.expires > now - GRACE and self._slides(record, now)

    def _slides(self, record: Record, now: int) -> bool:
        return self._expiry(now, record.until) > record.expires

    def _reporting_unreadable(self) -> Flow[None]:
        copy = self._opened
        if copy.unreadable:
            unreadable, copy.unreadable = copy.unreadable, []
            yield hooks.send("on_undecodable", self._typed(), self.request, unreadable=unreadable)

    # The record

    def _next_record(self, content: Content, base: Record | None) -> Record:
        """The record that stores ``content``, in place of ``base`` if there is one."""
        now = clock.now()
        used = max(now, base.seen) if base else now  # a clock that is behind must not end the session for others
        user = self._facts.user_over(base)
        is_new_user = user is not None and (base is None or base.user != user or self._authenticated_now)
        absolute = self._own_lifetime("absolute_lifetime") if is_new_user else None
        authenticated, until = records.authentication(user, base, now, self._authenticated_now, absolute)
        assert self._facts.token is not None
        is_kept = base is not None and self.is_passive and not self._authenticated_now and not self._has_new_expiry()
        record = records.make(
            content,
            self._facts.token,
            base,
            now=now,
            seen=base.seen if base and is_kept else used,
            expires=base.expires if base and is_kept else self._expiry(used, until),
            user=user,
            authenticated=authenticated,
            until=until,
            client=records.client_of(self.request, base),
            place=records.place(base, user, self._authenticated_now),
            lease=self._lease_over(base),
        )
        records.refuse_too_large(record, self.store.format)
        return record

    def _has_new_expiry(self) -> bool:
        """Whether ``set_expiry`` was told something in this request."""
        return bool(self._custom_expiry() != self._opened.read_bag().get("_session_expiry"))

    def _lease_over(self, base: Record | None) -> Lease | None:
        """Own, or that of another request, beside which this one saves."""
        if self._lease is not None or base is None or self._facts.is_rotated or self._is_holder(base):
            return self._lease
        return base.lease

    def _is_holder(self, record: Record) -> bool:
        return record.lease is not None and record.lease.holder == self._holder

    def _custom_expiry(self) -> Any:
        """What ``set_expiry`` was told, if it was; does not decode the bag for nothing."""
        bag, record = self._facts.bag, self._facts.record
        if bag is None and record is not None and _CUSTOM_EXPIRY in bytes(record.bag):
            bag = self._session_cache
        return None if bag is None else bag.get("_session_expiry")

    def has_custom_expiry(self) -> bool:
        return self._custom_expiry() is not None

    def _expiry(self, now: int, until: int | None) -> int:
        expires = now + self.get_session_cookie_age()
        if self._custom_expiry() is not None:
            # A value that nobody could have set is what a damaged record has, and not worth an error.
            with suppress(ValueError, TypeError, OverflowError):
                expires = now + int(self.get_expiry_age())
        return min(expires, _LATEST if until is None else until)


def _moves_end(record: Record, base: Record | None) -> bool:
    """Whether a browser that knows the end of ``base`` has to be told another one.

    At most once in a ``TOUCH_INTERVAL``: its answer may come after that of a request that has replaced the token, and
    would bring the old one back.
    """
    interval = max(1, conf.settings().touch_interval)
    if base is None or record.expires < base.expires or record.seen // interval != base.seen // interval:
        return True
    return _CUSTOM_EXPIRY in bytes(record.bag) or _CUSTOM_EXPIRY in bytes(base.bag)


def _content_of(record: Record) -> Content:
    return Content(record.type, record.schema, record.data, record.bag)
