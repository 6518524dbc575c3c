"""Loading: the typed session and the bag, which are two sights of one record."""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timezone
from functools import cached_property
from typing import Any, Final

from django.conf import settings as django_settings
from django.utils.module_loading import import_string

from .. import clock, conf, hooks, telemetry, tokens
from ..addresses import address_of
from ..bag import Serializer
from ..codec import configured_codec
from ..exceptions import StoreUnavailable, UnreadableRecord
from ..flows import Flow, Step, adrive, drive
from ..session import TypedSession, attach
from ..states import EndReason, SessionMode, SessionStatus
from ..stores.base import Store
from ..stores.record import Record, Tombstone
from ..tokens import Token
from ..transports import Source
from ..working_copy import WorkingCopy
from .bound import BoundSession
from .facts import Facts, Restraint

_REMEMBERED: Final = 10_000
ROTATION_WINDOW: Final = 60
"""Seconds for which requests with a replaced token may still come, sent before the browser had the new one."""

logger = logging.getLogger("typed_sessions")
security_logger = logging.getLogger("django.security.typed_sessions")


class LoadedSession(BoundSession):
    """What can be read of a session, and what of it has been read already."""

    def __init__(self, session_key: str | None = None) -> None:
        self._copy: WorkingCopy[TypedSession] | None = None
        self._is_dispensable = False
        self.is_without_store = False
        """Whether the store did not answer, and the request goes on with a session that cannot be changed."""
        self._outdated: Tombstone | None = None
        """What is left under a token that was replaced a moment ago: the browser has the new one, or is about to."""
        super().__init__(session_key)

    @cached_property
    def store(self) -> Store:
        """Where records are kept. For an engine to say: this class is the base of engines and none itself."""
        raise NotImplementedError(f"{type(self).__module__}.SessionStore has no store.")

    @cached_property
    def serializer(self) -> type[Serializer]:
        """What ``SESSION_SERIALIZER`` names."""
        serializer: type[Serializer] = import_string(django_settings.SESSION_SERIALIZER)
        return serializer

    # The typed session and the bag

    @property
    def typed_session(self) -> TypedSession:
        """The session dataclass; loads the record if nobody has yet."""
        return self._typed() if self._is_shown() else drive(self._showing())

    @typed_session.setter
    def typed_session(self, replacement: TypedSession) -> None:
        current = self.typed_session
        if not isinstance(replacement, type(current)):
            raise TypeError(
                f"request.typed_session must be a {type(current).__name__} (TYPED_SESSIONS['SESSION_CLASS']), "
                f"not {type(replacement).__name__}."
            )
        if self._facts.restraint is not None:
            raise self._facts.refusal(["typed_session"])
        self._opened.session = replacement

    async def aget_typed_session(self) -> TypedSession:
        """``typed_session`` without blocking the event loop."""
        return self._typed() if self._is_shown() else await adrive(self._showing())

    def open(self) -> TypedSession:
        """``typed_session`` for who is about to change whose it is, so that its user need not be verified."""
        return drive(self._showing(verifies=False))

    async def aopen(self) -> TypedSession:
        return await adrive(self._showing(verifies=False))

    def _is_shown(self) -> bool:
        """Whether the typed session is there for everybody, with nothing left to wait for."""
        self._access()
        return self._copy is not None and (self._verifying is None or not self._facts.is_authenticated)

    def _showing(self, verifies: bool = True) -> Flow[TypedSession]:
        self._access()
        if self._copy is None:
            yield from self._opening()
        if verifies and self._verifying is not None and self._facts.is_authenticated:
            # Put aside while it is done, as it looks at the session itself.
            verifying, self._verifying = self._verifying, None
            is_done = False
            try:
                is_done = yield verifying._replace(args=(self.request,))
            finally:
                if not is_done:
                    self._verifying = verifying
        return self._typed()

    def _typed(self) -> TypedSession:
        typed = self._opened.session
        attach(typed, self._facts)
        return typed

    @property
    def _opened(self) -> WorkingCopy[TypedSession]:
        if self._copy is None:
            self._copy = self._new_copy(None)
        return self._copy

    def copy_of(self, record: Record) -> WorkingCopy[TypedSession]:
        """A record of this engine's store, to be looked at."""
        return self._new_copy(record)

    def _new_copy(self, record: Record | None) -> WorkingCopy[TypedSession]:
        return WorkingCopy(configured_codec(self.store.format), self.serializer(), record)

    # What the methods of SessionBase reach the bag by.
    def _get_session(self, no_load: bool = False) -> Any:
        self._access()
        return super()._get_session(no_load)  # type: ignore[misc]  # the stubs leave it out

    async def _aget_session(self, no_load: bool = False) -> Any:
        self._access()
        return await super()._aget_session(no_load)  # type: ignore[misc]  # likewise

    _session = property(_get_session)

    # SessionBase keeps the bag here, and asks whether it is there by the attribute.
    @property
    def _session_cache(self) -> dict[str, Any]:
        if self._facts.bag is None:
            if self._copy is None or self._copy.record is None:
                raise AttributeError("The session has not been loaded.")
            self._facts.bag = self._copy.read_bag()
        return self._facts.bag

    @_session_cache.setter
    def _session_cache(self, bag: dict[str, Any]) -> None:
        self._facts.bag = bag

    @_session_cache.deleter
    def _session_cache(self) -> None:
        self._facts.bag = self._copy = None

    @property
    def stale_mode(self) -> SessionMode | None:
        """The mode of the token that was presented, if it was found to open nothing."""
        presented = self._presented
        if presented is None or presented.token is None or self._copy is None or self._copy.record is not None:
            return None
        if self._outdated is not None or self.is_without_store:
            return None
        token = tokens.read(presented.token)
        return None if token and token.is_blank else presented.mode

    @property
    def is_all_over(self) -> bool:
        """Whether the token that was presented opens nothing, and there is none beside it that might."""
        return self.stale_mode is not None and self._presented is not None and not self._presented.superseded

    @property
    def has_stored_token(self) -> bool:
        """Whether the record is stored under the token that the session has now."""
        return self._facts.is_stored and not self._facts.is_rotated

    @property
    def leaving(self) -> list[str]:
        """Ids of the sessions that this browser has, and that end when somebody signs in."""
        record, presented = self._facts.record, self._presented
        others = presented.superseded if presented is not None else ()
        return [*([record.id] if record is not None else []), *others]

    def note(self, key: str, value: object) -> None:
        """Sets what is stored along with the next save. With ``SAVE="explicit"`` it is no reason for one."""
        self._get_session()[key] = value

    def is_empty(self) -> bool:
        """No key and nothing in it, neither in the bag nor in the fields. Loads nothing."""
        has_fields = self._copy is not None and self._copy.record is None and self._copy.has_changed_fields()
        return not self._key and not self._facts.bag and not has_fields

    def __bool__(self) -> bool:
        self.is_looked_at = True
        return not self.is_empty()

    # Loading

    def load(self) -> dict[str, Any]:
        drive(self._loading())
        return self._facts.bag or {}

    async def aload(self) -> dict[str, Any]:
        await adrive(self._loading())
        return self._facts.bag or {}

    def exists(self, session_key: str | None) -> bool:
        return drive(self._finding(session_key))

    async def aexists(self, session_key: str | None) -> bool:
        return await adrive(self._finding(session_key))

    def _opening(self) -> Flow[None]:
        """Loads what the key opens, if there is a key; a bag that was put in its place stays."""
        if self._refusal is not None:
            raise self._refusal.with_traceback(None)
        bag = self._facts.bag
        if self._key is None:
            if self._facts.status is SessionStatus.REJECTED:
                self._count_rejection()
            self._copy = self._new_copy(None)
        else:
            yield from self._loading_record()
        if bag is not None:
            self._facts.bag = bag

    def _loading(self) -> Flow[None]:
        self.accessed = True
        yield from self._loading_record()
        self._facts.bag = self._opened.read_bag()

    def _loading_record(self) -> Flow[None]:
        self._facts.record = None
        self._facts.bag = None
        token = tokens.read(self._key)
        if token is None or token.mode is not (self._presented.mode if self._presented else token.mode):
            if self._key:
                self._count_rejection()
            self._found_nothing(SessionStatus.REJECTED if self._key else self._facts.status)
            return
        if token.is_blank:
            self._found_nothing(SessionStatus.FRESH)
            return
        try:
            found = yield Step(self.store.load, self.store.aload, (token.id,))
            telemetry.counters.add("reads")
        except UnreadableRecord as error:
            security_logger.warning("%s", error)
            self._found_nothing(SessionStatus.ENDED, EndReason.UNDECODABLE)
        except StoreUnavailable as error:
            self._facts.status = SessionStatus.UNAVAILABLE
            if not self._goes_on_without_store:
                raise
            telemetry.counters.add("unavailable")
            logger.error("The session is not there, and the request goes on without: %s", error)
            self._go_on_without()
        else:
            if isinstance(found, Record) and found.overdue(clock.now()):
                yield from self.store.checking_clock()
            elif found is None and _is_young(token) and _is_first_to_miss(token.id):
                yield from self._telling_of_loss(token)
            self._receive(token, found)

    def allow_anonymous(self) -> None:
        """If the store does not answer, the request goes on with an anonymous session that cannot be changed."""
        self._is_dispensable = True

    @property
    def _goes_on_without_store(self) -> bool:
        return self._is_dispensable or conf.settings().on_store_error == "anonymous"

    def _go_on_without(self) -> None:
        """The visitor is nobody for this request, and keeps the cookies: the session is there, behind a store that is
        not. What would change it gets the store's error.
        """
        self._copy, self._facts.bag = self._new_copy(None), {}
        self._set_key(None)
        self.is_without_store = True
        self._facts.restraint = Restraint.UNAVAILABLE

    def _telling_of_loss(self, token: Token) -> Flow[None]:
        """Nothing is lost in silence: not what a cache has dropped, and not what somebody has deleted by hand."""
        request = self.request
        issued = datetime.fromtimestamp(token.issued, tz=timezone.utc)
        logger.warning(
            "Session %s is lost: its %s token was issued %s, and the store has neither the session nor a note that it "
            "has ended in the last hour. Asked for at %s from %s.",
            tokens.shown(token.id),
            token.mode.value,
            issued.isoformat(),
            getattr(request, "path", "(no request)"),
            (address_of(request) or "an unknown address") if request else "no request",
        )
        telemetry.counters.add("lost")
        telemetry.log("lost", tokens.shown(token.id))
        lost = self._new_copy(None).session
        attach(lost, self._facts_of_loss(token))
        yield hooks.send("on_lost", lost, request, session_id=tokens.shown(token.id), issued=issued)

    def _facts_of_loss(self, token: Token) -> Facts:
        facts = Facts()
        facts.known_id, facts.status = token.id, SessionStatus.LOST
        return facts

    def _receive(self, token: Token, found: Record | Tombstone | None) -> None:
        now = clock.now()
        if found is None:
            self._found_nothing(SessionStatus.LOST if _is_young(token) else SessionStatus.EXPIRED)
        elif isinstance(found, Tombstone):
            if found.reason is EndReason.ROTATED and now - found.ended < ROTATION_WINDOW:
                self._outdated = found
            self._found_nothing(found.reason.status, found.reason)
        elif found.mode is not token.mode:
            security_logger.warning("Session %s: the record is %s and the token is not", found.id, found.mode.value)
            self._count_rejection()
            self._found_nothing(SessionStatus.REJECTED)
        elif reason := found.overdue(now):
            self._found_nothing(reason.status, reason)
        else:
            self._facts.token = token
            self._facts.status = SessionStatus.LIVE
            self._facts.record = found
            self._copy = self._new_copy(found)

    def _found_nothing(self, status: SessionStatus, reason: EndReason | None = None) -> None:
        # The key is forgotten: a token that opens nothing is never adopted (REQ-S03).
        had_key = self._key is not None
        self._set_key(None)
        self._facts.status = status
        self._facts.end_reason = reason
        self._facts.bag = None
        self._copy = None
        if had_key and self.source is Source.HEADER:
            # Never a fallback: who says who they are is that, or nobody (REQ-S20).
            raise self.refuse(reason.value if reason else status.value)
        self._copy = self._new_copy(None)

    def set_aside(self) -> None:
        """For this request the visitor is nobody, though the session is there: its user is not vouched for now."""
        self._facts.record = None
        self._found_nothing(SessionStatus.REJECTED)
        self._facts.bag = {}

    def _finding(self, session_key: str | None) -> Flow[bool]:
        token = tokens.read(session_key)
        if (
            token is None
            or token.is_blank
            or (self._facts.is_rotated and self._facts.record and token.id == self._facts.record.id)
        ):
            return False
        try:
            found = yield Step(self.store.load, self.store.aload, (token.id,))
        except UnreadableRecord:
            return False
        return isinstance(found, Record) and found.is_live(clock.now())


def _is_young(token: Token) -> bool:
    """Whether the token cannot have been left unused for as long as its session waits, so that there must be one."""
    settings = conf.settings()
    lifetime = settings.perm_seconds if token.mode is SessionMode.PERM else settings.temp_seconds
    return clock.now() - token.issued < lifetime


_missing = threading.Lock()
_missed: dict[str, None] = {}
"""Ids of lost sessions that this process has told of, the latest last."""


def _is_first_to_miss(session_id: str) -> bool:
    """Whether nobody in this process has told of the loss yet: a page, its parts and the next one ask for it again."""
    with _missing:
        is_first = session_id not in _missed
        _missed[session_id] = None
        if len(_missed) > _REMEMBERED:
            del _missed[next(iter(_missed))]
    return is_first
