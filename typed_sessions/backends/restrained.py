"""What may not be changed in a session, and when: in what is declared read-only, and after the answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..session import TypedSession
from ..working_copy import State, WorkingCopy
from .facts import Restraint
from .loaded import LoadedSession

logger = logging.getLogger("typed_sessions")


@dataclass
class Before:
    """What there was when something began that is not to change it; without a copy, nothing was loaded."""

    copy: WorkingCopy[TypedSession] | None
    state: State


AS_STORED = Before(None, State())


class RestrainedSession(LoadedSession):
    """Refuses changes that are not to be made, and finds those that no assignment shows."""

    _before: Before | None = None
    _late: Before | None = None
    _read_only_depth = 0
    is_passive = False
    """Whether this request, such as one of a page that polls, does not make the session last longer."""
    is_committed = False
    """Whether the request has been answered, so that what is changed now would be lost."""

    # Read-only

    def begin_read_only(self) -> None:
        """From now on changes raise ``SessionReadOnly``. May be called again within; then the outermost counts."""
        self._read_only_depth += 1
        if self._read_only_depth == 1 and self._facts.restraint is None:
            self._before = self._as_it_is()
            self._facts.restraint = Restraint.READ_ONLY

    def end_read_only(self) -> list[str]:
        """What has been changed all the same, in nested values, which are as before again."""
        self._read_only_depth -= 1
        before = self._before
        if self._read_only_depth or before is None:
            return []
        self._before = None
        if self._facts.restraint is Restraint.READ_ONLY:
            self._facts.restraint = None
        return self._go_back(before)

    # The answer

    def close(self) -> None:
        """The request is answered: what is changed from now on raises ``SessionCommitted``."""
        self.is_committed = True
        self._facts.restraint = Restraint.COMMITTED

    def late_changes(self) -> Callable[[], None]:
        """To be called when the last of the answer is sent: tells of nested values that were changed while it was, and
        that nobody has saved.
        """
        before = self._late = self._as_it_is()

        def report() -> None:
            lost = [name for name in self._changed_since(before) if name in self._changed_since(AS_STORED)]
            if lost:
                logger.error(
                    "Session %s: %s changed after the answer had begun, and was not saved. Change it before, or use "
                    "live_sessions.update(id, change).",
                    self._facts.id,
                    ", ".join(lost),
                )

        return report

    @contextmanager
    def unrestrained(self) -> Iterator[None]:
        """Within it, the framework itself may write what is no change of the project's."""
        restraint, self._facts.restraint = self._facts.restraint, None
        before = self._as_it_is() if restraint is not None else None
        try:
            yield
        finally:
            if before is not None:
                self._move_on(before)
            self._facts.restraint = restraint  # of other facts, if the session has ended within

    # Django's mapping

    def __setitem__(self, key: str, value: object) -> None:
        self._refuse_change(key)
        super().__setitem__(key, value)

    async def aset(self, key: str, value: object) -> None:
        self._refuse_change(key)
        await super().aset(key, value)

    def __delitem__(self, key: str) -> None:
        self._refuse_change(key)
        super().__delitem__(key)

    def pop(self, key: str, *default: Any, **options: Any) -> Any:
        if self._facts.restraint and key in self:
            self._refuse_change(key)
        return super().pop(key, *default, **options)

    async def apop(self, key: str, *default: Any, **options: Any) -> Any:
        if self._facts.restraint and await self.ahas_key(key):
            self._refuse_change(key)
        return await super().apop(key, *default, **options)

    def setdefault(self, key: str, value: Any) -> Any:  # type: ignore[override]  # as in Django
        if self._facts.restraint and key not in self:
            self._refuse_change(key)
        return super().setdefault(key, value)

    async def asetdefault(self, key: str, value: Any) -> Any:
        if self._facts.restraint and not await self.ahas_key(key):
            self._refuse_change(key)
        return await super().asetdefault(key, value)

    def update(self, dict_: Any) -> None:  # type: ignore[override]  # as in Django
        self._refuse_change(*_keys(dict_))
        super().update(dict_)

    async def aupdate(self, dict_: Any) -> None:
        self._refuse_change(*_keys(dict_))
        await super().aupdate(dict_)

    def clear(self) -> None:
        self._refuse_change()
        super().clear()

    def _refuse_change(self, *keys: object) -> None:
        if self._facts.restraint is not None:
            raise self._facts.refusal([f"session[{key!r}]" for key in keys])

    # Comparing

    def _go_back(self, before: Before) -> list[str]:
        """What has changed, and is as before again."""
        changed = self._changed_since(before)
        if changed and self._copy is not None:
            self._copy.go_back(self._state_of(before), self._facts.bag, set(changed))
        return changed

    def _as_it_is(self) -> Before:
        copy = self._copy
        return Before(copy, State() if copy is None else copy.state(self._facts.bag))

    def _changed_since(self, before: Before) -> list[str]:
        copy = self._copy
        return [] if copy is None else copy.changed_since(self._state_of(before), self._facts.bag)

    def _move_on(self, since: Before) -> None:
        """What has changed since is nobody's fault, whoever compares."""
        changed = set(self._changed_since(since))
        for before in (self._before, self._late):
            if before is not None and self._copy is not None:
                before.state = self._copy.moved_on(self._state_of(before), self._facts.bag, changed)
                before.copy = self._copy

    def _state_of(self, before: Before) -> State:
        """What to compare with: another copy, of a session that was loaded or has ended since, began as stored."""
        return before.state if before.copy is self._copy else State()


def _keys(given: object) -> Iterable[object]:
    """Of a mapping; anything else that ``update`` takes can be read only once."""
    return given.keys() if isinstance(given, Mapping) else ()
