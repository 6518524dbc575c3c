"""Whose session it is: signing in, and parting with a former user."""

from __future__ import annotations

from collections.abc import Set
from copy import deepcopy
from dataclasses import fields
from typing import Any, Final

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

from .. import clock
from ..flows import Flow
from ..states import SessionMode
from ..working_copy import State
from . import limits
from .ended import EndedSession
from .restrained import AS_STORED, Before

_AUTH_KEYS: Final = {SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY}


class OwnedSession(EndedSession):
    """A session that can be signed in to."""

    _authenticated_now = False
    _has_changed_hands = False
    _place: tuple[str, str] | None = None

    def __setitem__(self, key: str, value: object) -> None:
        super().__setitem__(key, value)
        if key == SESSION_KEY:
            self._claim()

    async def aset(self, key: str, value: object) -> None:
        await super().aset(key, value)
        if key == SESSION_KEY:
            self._claim()

    def _claim(self) -> None:
        self.is_claimed = True
        self.part_with_former_user()

    def part_with_former_user(self) -> None:
        """Who became somebody else past ``login()``, or nobody past ``logout()``, takes nothing of the former user's
        along, and whoever became a user does not keep the token of before (REQ-S11, REQ-S17).
        """
        record, user = self._facts.record, self._facts.user
        if record is None or self._authenticated_now or self._has_changed_hands or user == record.user:
            return
        if record.user is None and not self.is_bound:
            return  # nobody else has this token to share it
        self._has_changed_hands = True
        if record.user is not None:
            self._clear(_AUTH_KEYS if user else set())
        self.has_signed_in |= user is not None
        self._issue(self.mode)
        self.modified = True

    def _clear(self, kept: set[str]) -> None:
        bag, session = self._session_cache, self._opened.session
        for key in bag.keys() - kept:
            del bag[key]
        fresh = type(session)()
        for declared in fields(fresh):  # of the object that the view holds
            object.__setattr__(session, declared.name, getattr(fresh, declared.name))

    def begin_authenticated(self, mode: SessionMode) -> None:
        """Called at sign-in: the session gets a new token of ``mode`` when it is stored."""
        self._authenticated_now = self.has_signed_in = True
        self._verifying = None  # whoever signs in is good for it
        self._facts.signed_in = clock.now()
        self._issue(mode if self.is_bound else self.mode)
        self.modified = True

    def reserving(self) -> Flow[None]:
        """Takes a place for the session that has just been signed in to. Raises ``SignInRefused`` if there is none."""
        yield from self.releasing()  # of a sign-in before, in this very request
        user, session_id = self._facts.user, self._facts.id
        if user is not None and session_id is not None and (yield from limits.reserving(self, user)):
            self._place = (user, session_id)

    def releasing(self) -> Flow[None]:
        """Gives the place back that ``reserving`` has taken."""
        place, self._place = self._place, None
        if place is not None:
            yield from limits.releasing(self, *place)

    def checkpoint(self) -> dict[str, Any]:
        """The values of the fields as they are, for ``roll_back``."""
        session = self._typed()
        return {declared.name: deepcopy(getattr(session, declared.name)) for declared in fields(session)}

    def roll_back(self, values: dict[str, Any]) -> None:
        """Takes back a sign-in that is not stored yet, and what it did to the fields, whose ``values`` were these. What
        else this request has changed stays.
        """
        former, self._former = self._former, None
        if former is not None:
            self._set_key(former.key)
            self._facts.token, self.modified, self._verifying = former.token, former.modified, former.verifying
        for name, value in values.items():
            object.__setattr__(self._typed(), name, value)
        if not self._facts.was_authenticated and self._facts.bag is not None:
            for key in _AUTH_KEYS:
                self._facts.bag.pop(key, None)
        self._authenticated_now = self.has_signed_in = self.is_claimed = self._has_changed_hands = False
        self._facts.signed_in = None

    def take_sign_in_back(self) -> None:
        """``roll_back`` in the midst of a request, in which ``request.user`` is known."""
        self.roll_back({})
        if self._taking_back is not None and self.request is not None:
            self._taking_back(self.request, self)

    def undo(self, before: Before, pending: Set[str]) -> None:
        """Takes back what has changed since and is not stored; ``pending`` was that before already. What has been
        stored meanwhile, by this request or by others, stays.
        """
        if self._authenticated_now and f"session[{SESSION_KEY!r}]" not in pending:
            self.take_sign_in_back()
        changed = set(self._changed_since(AS_STORED))
        self._opened.go_back(State(), self._facts.bag, changed - pending)
        self._opened.go_back(self._state_of(before), self._facts.bag, changed & pending)

    def _forget_sign_in(self) -> None:
        super()._forget_sign_in()
        self._authenticated_now = self._has_changed_hands = False
